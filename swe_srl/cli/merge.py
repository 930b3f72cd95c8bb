"""`swe-srl merge`: one run of the parts that several machines worked on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from swe_srl.cli.console import Console
from swe_srl.errors import ConfigError
from swe_srl.settings import setting


@dataclass(frozen=True)
class MergeSettings:
    """Settings of `swe-srl merge`."""

    parts: tuple[str, ...] = setting((), "Run folders of all parts of an evaluation (`eval --shard i/n`).")
    output: Path | None = setting(None, "Run folder to make of them.")


def run(settings: MergeSettings, console: Console) -> int:
    """Merge; the exit code is 1 when the parts hold no graded sample."""
    from swe_srl.evaluation import merge
    from swe_srl.evaluation.markdown import report_markdown

    if settings.output is None:
        raise ConfigError("--output: give the run folder to make of the parts")
    report = merge(settings.parts, settings.output)
    console.markdown(report_markdown(report))
    console.say(f"run folder: {settings.output}")
    return 0 if report.samples else 1
