"""What a run folder says of the data that a run began with: steps.json and tasks.json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from swe_srl.files import write_atomic
from swe_srl.progress import Progress
from swe_srl.runs import RunFolder
from swe_srl.training.data import SHOWN, StepData
from swe_srl.training.tasks import TaskData
from swe_srl.trajectories.report import ReadReport


def describe_tasks(run: RunFolder, tasks: TaskData, unavailable: dict[str, str], progress: Progress) -> None:
    """Write which tasks rlvr has, why others cannot be run here, and which contaminated ones were let in."""
    if not tasks.training:
        return
    progress.note(f"{len(tasks.training)} training tasks, {len(tasks.validation)} held out")
    report = {
        "training": len(tasks.training),
        "validation": len(tasks.validation),
        "unavailable": unavailable,
        "contaminated": [asdict(match) for match in tasks.contaminated],
    }
    write_atomic(run.file("tasks.json"), json.dumps(report, indent=2) + "\n")
    for reason in list(unavailable.values())[:1]:
        progress.note(
            f"{len(unavailable)} tasks cannot be run here (reasons in {run.file('tasks.json')}); the first: {reason}"
        )
    if tasks.contaminated:
        progress.note(f"warning: {len(tasks.contaminated)} tasks of rlvr are evaluation tasks")


def describe_steps(run: RunFolder, data: StepData, progress: Progress) -> None:
    """Write what became of every turn, and which contaminated steps were let in."""
    if not data.training:
        return
    report = data.report.as_dict() | {"training": len(data.training), "validation": len(data.validation)}
    report["trajectories_trained_on"] = len({step.trajectory_id for step in data.training})
    report["contaminated"] = [asdict(match) for match in data.contaminated]
    if data.held_report is not None:
        report["validation_report"] = data.held_report.as_dict() | {"tasks_trained_on": data.shared_tasks}
    write_atomic(run.file("steps.json"), json.dumps(report, indent=2) + "\n")
    progress.note(
        f"{len(data.training)} training steps, {len(data.validation)} held out; {_losses(data.report)} (reasons in "
        f"{run.file('steps.json')})"
    )
    if data.held_report is not None and data.held_report.reported + len(data.held_report.records):
        lost = _losses(data.held_report)
        progress.note(f"of the validation trajectories, {lost} (reasons in {run.file('steps.json')})")
    for warning in step_warnings(data):
        progress.note(warning)


def _losses(report: ReadReport) -> str:
    records = sum(entry.count for entry in report.records.values())
    unread = f" and {records} records could not be read" if records else ""
    return f"{report.reported} turns gave no step{unread}"


def step_warnings(data: StepData) -> Iterator[str]:
    """What makes figures of these steps better than they should be."""
    if data.shared_tasks:
        yield (
            f"warning: {len(data.shared_tasks)} tasks of the validation trajectories are trained on too, so validation "
            f"flatters the model: {', '.join(data.shared_tasks[:SHOWN])}"
        )
    if data.contaminated:
        yield f"warning: {len(data.contaminated)} steps, trained on or held out, belong to evaluation tasks"
