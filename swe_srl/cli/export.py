"""`swe-srl trajectories export`: trajectories in the forms that other tools read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from swe_srl.cli.console import Console
from swe_srl.cli.trajectories import FORMAT, PATH
from swe_srl.settings import setting
from swe_srl.trajectories.export import EXPORTS


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """Settings of `swe-srl trajectories export`."""

    path: str = setting("", PATH)
    format: str = setting("", FORMAT)
    to: str = setting("mini-swe-agent", "The form to write.", EXPORTS)
    output: Path = setting(
        Path("exported"),
        "A folder for one file each (mini-swe-agent, atif), or a file of JSON lines (messages, swe-srl).",
    )


def run(settings: ExportSettings, console: Console) -> int:
    """Write them; the exit code is 1 when there is none."""
    from swe_srl.trajectories import ReadReport, read_trajectories
    from swe_srl.trajectories.export import export_trajectories

    report = ReadReport()
    read = read_trajectories(settings.path, report, settings.format)
    count = export_trajectories(settings.output, read, settings.to)
    for reason, found in report.records.items():
        console.say(f"{found.count} records left out: {reason}")
    console.say(f"{count} trajectories written to {settings.output} as {settings.to}")
    return 0 if count else 1
