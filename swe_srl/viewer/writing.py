"""The folder of pages: the shipped page and scripts, and the data of the runs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from swe_srl import __version__
from swe_srl.errors import ConfigError
from swe_srl.evaluation.logs import GRADED
from swe_srl.progress import Progress, SilentProgress
from swe_srl.runs import RunFolder
from swe_srl.viewer.evaluations import comparisons, write_evaluation
from swe_srl.viewer.scripts import write_script
from swe_srl.viewer.settings import ViewSettings
from swe_srl.viewer.trainings import write_training

MARK = "viewer.json"  # in a folder of pages: it may be replaced
RESERVED = "compare"  # no run has this name in the pages: it begins the address of a comparison


def write_view(settings: ViewSettings, progress: Progress | None = None) -> Path:
    """Write the pages of some runs, whole or not at all; returns the page to open.

    Nothing is written into the runs. A run that is going on, was interrupted or has just begun is shown as it is now.

    Args:
        settings: which runs, and where.
        progress: is told of every run and of what its pages lack.

    Raises:
        ConfigError: a folder is no run and holds none, or `output` holds something else than pages or cannot be made.
        TrajectoryError: the expert trajectories cannot be read.
        SweSrlError: a run's journal is damaged.
    """
    told = progress or SilentProgress()
    runs = [run for folder in settings.runs for run in find_runs(Path(folder))]
    _check_output(settings.output)
    made = _empty_folder(settings.output)
    try:
        made.chmod(0o755)
        _write_pages(made, runs, settings, told)
        _replace(settings.output, made)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return settings.output / "index.html"


def find_runs(folder: Path) -> list[RunFolder]:
    """The run in a folder, or the runs in its sub-folders (of `swe-srl demo`, of `runs/`), the oldest first.

    Raises:
        ConfigError: there is none.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder")
    if (folder / "run.json").is_file():
        return [RunFolder.read(folder, (*GRADED, "train"))]
    below = sorted(entry.parent for entry in folder.glob("*/run.json"))
    runs = [RunFolder.read(entry) for entry in below]
    runs = [run for run in runs if run.kind in (*GRADED, "train")]
    if not runs:
        raise ConfigError(f"{folder}: not a run folder (no run.json in it), and no run is in its sub-folders")
    return sorted(runs, key=lambda run: str(_created(run)))


def names_of(runs: Sequence[RunFolder]) -> Iterator[str]:
    """A short name for every run, unlike the others: the folder's name, with a number where two are alike."""
    taken = {RESERVED, ""}
    for run in runs:
        plain = run.path.resolve().name
        name, number = plain, 2
        while name in taken:
            name, number = f"{plain}-{number}", number + 1
        taken.add(name)
        yield name


def _write_pages(made: Path, runs: Sequence[RunFolder], settings: ViewSettings, progress: Progress) -> None:
    assets = resources.files("swe_srl") / "viewer" / "assets"
    (made / "assets").mkdir()
    for asset in sorted(assets.iterdir(), key=lambda entry: entry.name):
        place = made if asset.name == "index.html" else made / "assets"
        (place / asset.name).write_bytes(asset.read_bytes())
    data, index = made / "data", []
    evaluations: dict[str, Path] = {}
    for number, (name, run) in enumerate(zip(names_of(runs), runs, strict=True)):
        script = f"run{number}"
        if run.kind == "train":
            shown = write_training(data, script, run)
        else:
            shown = write_evaluation(data, script, run, settings, progress)
            evaluations[name] = run.path
        index.append({"name": name, "kind": run.kind, "path": str(run.path), **_provenance(run), **shown})
    content = {"version": __version__, "written": datetime.now(UTC).isoformat(timespec="seconds"), "runs": index}
    write_script(data, "index", {**content, "comparisons": comparisons(evaluations)})
    (made / MARK).write_text('{"made_by": "swe-srl view"}\n', encoding="ascii")


def _provenance(run: RunFolder) -> dict[str, Any]:
    sessions = list(run.rows("sessions"))
    return {
        "created": _created(run),
        "settings": run.settings,
        "starts": len(sessions),
        "session": (sessions or [{}])[-1],
    }


def _created(run: RunFolder) -> Any:
    return next((row.get("started", "") for row in run.rows("sessions")), "")


def _check_output(output: Path) -> None:
    if not output.exists():
        return
    if not output.is_dir():
        raise ConfigError(f"output: {output} is not a folder: choose another one")
    if any(output.iterdir()) and not (output / MARK).is_file():
        raise ConfigError(f"output: {output} holds something else than pages of swe-srl view: choose another folder")


def _empty_folder(output: Path) -> Path:
    """Where the pages are made, beside where they will be."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise ConfigError(
            f"output: {output} cannot be made: {output.parent.absolute()} is no folder that can be written: choose another one"
        ) from error


def _replace(output: Path, made: Path) -> None:
    """Put the new folder in the place of the old one."""
    if not output.exists():
        made.rename(output)
        return
    old = made.with_name(f"{made.name}.old")
    output.rename(old)
    made.rename(output)
    shutil.rmtree(old)
