"""Saved test runs: verdicts can be judged again from them, without a sandbox."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from swe_srl.errors import SweSrlError
from swe_srl.files import write_atomic
from swe_srl.grading import combine, judge
from swe_srl.runs import RunFolder
from swe_srl.trajectories.rows import trajectory_from_row
from swe_srl.types import Task, TestRun, Verdict

GRADED = ("eval", "grade")  # kinds of run that hold verdicts


def save_test_run(folder: Path, run: TestRun) -> None:
    """Write test_output.txt (the harness's log), hardened.json (when there was such a run) and outcome.json."""
    write_atomic(folder / "test_output.txt", run.log.encode(errors="replace"))
    if run.report:
        write_atomic(folder / "hardened.json", run.report)
    outcome = {"exit_code": run.exit_code, "applied": run.applied, "timed_out": run.timed_out, "error": run.error}
    write_atomic(folder / "outcome.json", json.dumps(outcome) + "\n")


def load_test_run(folder: Path) -> TestRun:
    """The run that `save_test_run` wrote.

    Raises:
        SweSrlError: there is none, or it cannot be read.
    """
    try:
        outcome = json.loads((folder / "outcome.json").read_text(encoding="utf-8"))
        log = (folder / "test_output.txt").read_bytes().decode(errors="replace")
        report = folder / "hardened.json"
        return TestRun(log=log, report=report.read_text(encoding="utf-8") if report.is_file() else "", **outcome)
    except (OSError, ValueError, TypeError) as error:
        raise SweSrlError(f"{folder}: no saved test run can be read here: {error}") from error


def judge_again(folder: str | Path, tasks: Sequence[Task]) -> list[tuple[int, Verdict]]:
    """Verdicts of a run folder's saved logs by the present rules: (sample, verdict) for every graded sample.

    Patches that were never run (empty ones, and verdicts taken from a cache) have no log and are left out.

    Args:
        folder: of an evaluation run.
        tasks: its tasks; samples of others are left out.
    """
    run, known = RunFolder.read(folder, GRADED), {task.instance_id: task for task in tasks}
    again: list[tuple[int, Verdict]] = []
    for row in run.rows("episodes"):
        task, sample = known.get(str(row["task_id"])), int(row["sample"])
        if task is None:
            continue
        patch = trajectory_from_row(row).patch
        found = [judge(task, patch, load_test_run(logs)) for logs in log_folders(run, task.instance_id, sample)]
        if found:
            again.append((sample, combine(found) if len(found) > 1 else found[0]))
    return again


def log_folders(run: RunFolder, task_id: str, sample: int) -> list[Path]:
    """The folders of a sample's saved test runs: `logs/TASK/SAMPLE`, and `regrade-1` and so on in it."""
    first = run.file("logs") / task_id / str(sample)
    if not first.is_dir():
        return []
    more = [entry for entry in first.iterdir() if entry.name.startswith("regrade-")]
    return [first, *sorted(more, key=lambda entry: int(entry.name.removeprefix("regrade-")))]
