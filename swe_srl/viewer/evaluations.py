"""Evaluation runs for the pages: figures, the list of episodes, a script for each episode, comparisons of runs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from swe_srl.agents import AgentDefinition
from swe_srl.errors import ConfigError, SweSrlError
from swe_srl.evaluation.comparison import compare
from swe_srl.evaluation.pipeline import Failure, Key
from swe_srl.evaluation.policies import expert_trajectories
from swe_srl.evaluation.recorded import RecordedRun
from swe_srl.evaluation.report import rate
from swe_srl.progress import Progress
from swe_srl.rewards import get_similarity
from swe_srl.runs import RunFolder
from swe_srl.trajectories import ReadReport, read_trajectories
from swe_srl.trajectories.action_format import is_shell
from swe_srl.types import Task, Trajectory
from swe_srl.viewer.episodes import Expertise, episode_page, episode_row, searchable
from swe_srl.viewer.scripts import write_script
from swe_srl.viewer.settings import ViewSettings

COMPARED = 12  # pairs of runs whose difference is computed


def write_evaluation(
    data: Path, name: str, run: RunFolder, settings: ViewSettings, progress: Progress
) -> dict[str, Any]:
    """Write the scripts of a run's episodes below `data`, and return what the index says of the run.

    Args:
        data: folder of the pages' data.
        name: of the run's own folder in it, and of its scripts.
        run: the run.
        settings: of the pages.
        progress: tracks the episodes, and is told what the pages lack.
    """
    recorded = RecordedRun.read(run.path)
    expertise, notes = _expertise(recorded, settings)
    for note in notes:
        progress.note(f"{run.path}: {note}")
    keys = sorted(recorded.episodes.keys() | recorded.failures.keys(), key=_natural)
    progress.track(str(run.path), len(keys))
    rows, texts = [], {}
    for number, key in enumerate(keys):
        rows.append({"task": key[0], "sample": key[1], **_lost(recorded.failures.get(key))})
        if key in recorded.episodes:
            script = f"{name}/{number}"
            page = episode_page(recorded, key, expertise)
            trajectory, seconds = recorded.episodes[key]
            hardened = run.settings.get("hardened") is not False
            row = episode_row(trajectory, seconds, recorded.verdicts.get(key), page, hardened)
            rows[-1] = {**row, **rows[-1], "data": script}
            texts[str(number)] = searchable(trajectory)
            write_script(data, script, page)
        progress.advance(str(run.path))
    write_script(data, f"{name}/search", texts)
    return {
        "title": _title(run),
        "finished": run.file("report.json").is_file() and not run.lengthening,
        "report": _report(run),
        "rates": _rates(recorded, run),
        "rows": rows,
        "search": f"{name}/search",
        "similarity": settings.similarity[0],
        "notes": notes,
    }


def comparisons(runs: Mapping[str, Path]) -> list[dict[str, Any]]:
    """The paired differences of evaluation runs, by their names in the pages; pairs without a common task are left out."""
    names = list(runs)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    found = []
    for a, b in pairs[:COMPARED]:
        try:
            result = compare(runs[a], runs[b], common=True)
        except ConfigError:  # one of them has no verdicts yet, or they have no task in common
            continue
        plain = result.as_dict()
        kept = ("tasks", "rate_a", "rate_b", "difference", "p_value")
        found.append({"a": a, "b": b, "other_rows": result.other_rows, **{key: plain[key] for key in kept}})
    return found


def _expertise(recorded: RecordedRun, settings: ViewSettings) -> tuple[Expertise, list[str]]:
    """What is known of the run's tasks and experts, and what is not, in words."""
    tasks: Mapping[str, Task] = {}
    experts: dict[str, Trajectory] = {}
    notes: list[str] = []
    wanted = {task_id for task_id, _ in recorded.episodes}
    try:
        tasks = recorded.tasks() if recorded.episodes else {}
    except SweSrlError as error:
        notes.append(f"the run's tasks cannot be read, so gold patches are not shown: {_first_line(error)}")
    if settings.trajectories:
        experts = _given_experts(settings.trajectories, wanted, notes)
    elif tasks:
        chosen = [task for task in tasks.values() if task.instance_id in wanted]
        try:
            experts = expert_trajectories(recorded.settings, chosen)
        except SweSrlError as error:
            notes.append(f"the run's expert trajectories cannot be read: {_first_line(error)}")
    shell = _runs_a_shell(recorded, notes)
    similarities = {name: get_similarity(name, shell=shell) for name in settings.similarity}
    return Expertise(tasks, experts, similarities), notes


def _runs_a_shell(recorded: RecordedRun, notes: list[str]) -> bool:
    """Whether the run's commands are a shell's, by its agent definition; where that is not known, they are taken for such."""
    try:
        return is_shell(AgentDefinition.load(recorded.settings.agent_name).prompting.action_format)
    except SweSrlError as error:
        if recorded.run.kind == "eval":
            notes.append(
                f"the run's agent definition cannot be read, so its commands are taken for a shell's: {_first_line(error)}"
            )
        return True


def _given_experts(source: str, wanted: set[str], notes: list[str]) -> dict[str, Trajectory]:
    report = ReadReport()
    experts: dict[str, Trajectory] = {}
    for trajectory in read_trajectories(source, report):
        if trajectory.task_id in wanted:
            experts.setdefault(trajectory.task_id, trajectory)
    unread = sum(entry.count for entry in report.records.values())
    if unread:
        notes.append(f"{unread} records of {source} could not be read")
    if wanted and not experts:
        notes.append(f"{source} has no trajectory of this run's tasks")
    return experts


def _lost(failure: Failure | None) -> dict[str, Any]:
    """What replaces a verdict that the infrastructure prevented."""
    if failure is None:
        return {}
    return {"status": "infrastructure", "stop": "infrastructure", "reason": f"{failure.stage}: {failure.reason}"}


def _rates(recorded: RecordedRun, run: RunFolder) -> dict[str, Any]:
    """Resolve rates with their intervals over what is graded so far, by rule; without hardened runs nothing of them."""
    rules = ("official", "hardened") if run.settings.get("hardened") is not False else ("official",)
    found: dict[str, Any] = {"graded": len(recorded.verdicts)}
    for rule in rules if recorded.verdicts else ():
        by_task: dict[str, list[float]] = {}
        for (task_id, _), verdict in recorded.verdicts.items():
            by_task.setdefault(task_id, []).append(float(getattr(verdict, rule)))
        count = sum(getattr(verdict, rule) for verdict in recorded.verdicts.values())
        found[rule] = {"resolved": count, **dataclasses.asdict(rate(by_task))}
    return found


def _report(run: RunFolder) -> dict[str, Any] | None:
    """The finished run's report; None when there is none yet, or a damaged one."""
    try:
        content = json.loads(run.file("report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _title(run: RunFolder) -> str:
    policy, split = run.settings.get("policy"), run.settings.get("tasks") or run.settings.get("split")
    return f"{policy} on {split}" if policy and split else "graded predictions"


def _natural(key: Key) -> tuple[Sequence[tuple[int, str]], int]:
    """Sorts `task-9` before `task-10`."""
    parts: list[tuple[int, str]] = []
    digits = ""
    for character in key[0]:
        if character in "0123456789":
            digits += character
            continue
        if digits:
            parts.append((int(digits), ""))
            digits = ""
        parts.append((-1, character))
    return (*parts, (int(digits or -1), "")), key[1]


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
