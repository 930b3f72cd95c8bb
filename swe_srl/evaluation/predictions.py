"""Grading anybody's predictions: a file in SWE-bench's format, through the same pipeline as our own."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from swe_srl.agents import Episode, EpisodeJob
from swe_srl.errors import ConfigError, SweSrlError
from swe_srl.evaluation.markdown import denominator
from swe_srl.evaluation.pipeline import Journal, Pipeline
from swe_srl.evaluation.report import Report, make_report
from swe_srl.evaluation.running import write_report
from swe_srl.evaluation.selection import check_tasks, rows_fingerprint
from swe_srl.evaluation.settings import EvalSettings
from swe_srl.evaluation.store import ImageStore
from swe_srl.grading import GradingSettings, OpenSandboxes, check_sandboxes
from swe_srl.progress import Progress, SilentProgress
from swe_srl.provenance import fingerprint
from swe_srl.runs import RunFolder
from swe_srl.types import Task, Trajectory

ORIGIN = ("split", "tasks", "revision", "images")  # settings that say where the tasks were read


@dataclass(frozen=True, slots=True)
class Prediction:
    """One row of a predictions file. `patch` is "" when the row's is null."""

    instance_id: str
    patch: str
    model: str = ""


def read_predictions(path: str | Path) -> list[Prediction]:
    """The rows of a predictions file: .jsonl, or .json with a list, or with an object by instance.

    Raises:
        ConfigError: the file cannot be read, or a row is no prediction; an instance that occurs twice.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
        if file.suffix == ".jsonl":
            rows = [
                _parsed(file, number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()
            ]
        else:
            content = json.loads(text)
            rows = list(content.values()) if isinstance(content, Mapping) else content
    except ConfigError:
        raise
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: the predictions cannot be read: {error}") from error
    if not isinstance(rows, list):
        raise ConfigError(f"{file}: predictions are a list of rows, or an object of rows by instance")
    found = [_prediction(row, f"{file}, row {number}") for number, row in enumerate(rows, start=1)]
    seen: set[str] = set()
    for prediction in found:
        if prediction.instance_id in seen:
            raise ConfigError(f"{file}: {prediction.instance_id} occurs twice: give one prediction per instance")
        seen.add(prediction.instance_id)
    return found


def grade_predictions(
    predictions: str | Path,
    tasks: Sequence[Task],
    output: str | Path,
    grading: GradingSettings | None = None,
    workers: int = 2,
    cache: str = "",
    progress: Progress | None = None,
    images: ImageStore | None = None,
    origin: Mapping[str, str] | None = None,
) -> Report:
    """Grade a predictions file. The same call on the same folder goes on where a killed one stopped.

    Args:
        predictions: the file.
        tasks: the rows of its instances; tasks without a prediction are not counted, and the report says so.
        output: run folder.
        grading: sandbox and limits.
        workers: patches graded at a time.
        cache: folder of verdicts known already; "" grades anew.
        progress: is told of every verdict.
        images: gives out container images; None for those that are here.
        origin: where the tasks were read (`split`, `tasks`, `revision`, `images` of `EvalSettings`), for whoever reads the run
            later; it may be another one when the run goes on.

    Raises:
        ConfigError: a prediction of an instance that is not among the tasks, or the folder holds another run: of other
            predictions, of other rows of these tasks, or with other settings.
        SweSrlError: the file cannot be read, or no task can be run here.
    """
    told, chosen = progress or SilentProgress(), replace(grading or GradingSettings(), open=OpenSandboxes())
    store = images or ImageStore()
    rows = {prediction.instance_id: prediction for prediction in read_predictions(predictions)}
    known = {task.instance_id: task for task in tasks}
    strange = sorted(rows.keys() - known.keys())
    if strange:
        raise ConfigError(
            f"{predictions}: {strange[0]} is not among the {len(known)} tasks that were read ({len(strange)} such rows of "
            f"{len(rows)}): name the tasks that the patches are of by --split or --tasks"
        )
    if not rows:
        raise ConfigError(f"{predictions}: there is no prediction in it")
    predicted = [known[name] for name in rows]
    selection = check_tasks(predicted, chosen, store.pull)
    jobs = [EpisodeJob(task) for task in selection.tasks]
    keys = [(job.task.instance_id, 0) for job in jobs]
    settings = EvalSettings(policy=str(predictions), grading_workers=workers, cache=cache)
    recorded = {
        "sandbox": chosen.sandbox,
        "timeout": chosen.timeout,
        "hardened": chosen.hardened,
        "regrade": chosen.times,
        **(origin or {}),
    }
    data = {"predictions": fingerprint(predictions), "rows": rows_fingerprint(predicted)}
    with RunFolder.start(output, "grade", recorded, data, ORIGIN, defaults={"regrade": 1}) as run:
        journal = Journal(run, next((row.model for row in rows.values() if row.model), "unknown"))
        journal.load(keys)
        left = [job for job in jobs if (job.task.instance_id, 0) not in journal.episodes]
        ungraded = [task for task in selection.tasks if (task.instance_id, 0) not in journal.verdicts]
        try:
            check_sandboxes(ungraded if chosen.make_sandbox is None else (), chosen.sandbox)
        except SweSrlError:
            run.abandon()
            raise
        Pipeline(settings, journal, chosen, told, store).work(jobs, _episodes(left, rows))
        unpredicted = {name: "no prediction of this task" for name in known if name not in rows}
        report = make_report(
            title=f"predictions of {journal.name}",
            attempts=journal.attempts(keys),
            failures=list(journal.failures.values()),
            unavailable={**selection.unavailable, **unpredicted},
            asked=len(jobs),
            experts={},
            similarity=None,
            hardened=chosen.hardened,
            tasks=known,
        )
        write_report(run.path, report)
    told.note(denominator(report))
    return report


def _episodes(jobs: Sequence[EpisodeJob], rows: Mapping[str, Prediction]) -> Generator[Episode, None, None]:
    """Predictions as finished episodes without turns."""
    for job in jobs:
        task, patch = job.task, rows[job.task.instance_id].patch
        trajectory = Trajectory(f"{task.instance_id}#0", task.instance_id, (), repo=task.repo, patch=patch)
        yield Episode(task.instance_id, 0, trajectory, patch)


def _parsed(file: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{file}, line {number}: the predictions cannot be read: not JSON ({error})") from error


def _prediction(row: Any, where: str) -> Prediction:
    if not isinstance(row, Mapping) or not isinstance(row.get("instance_id"), str):
        raise ConfigError(f"{where}: a prediction is an object with instance_id and model_patch")
    if "model_patch" not in row:
        raise ConfigError(f"{where}: no model_patch; this row has {', '.join(map(str, row))}")
    patch = row["model_patch"]
    if patch is not None and not isinstance(patch, str):
        raise ConfigError(f"{where}: model_patch is {type(patch).__name__}, text was expected")
    return Prediction(row["instance_id"], patch or "", str(row.get("model_name_or_path") or ""))
