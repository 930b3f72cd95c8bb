"""The project's own JSON lines: trajectories and steps, to rows and back without loss."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from swe_srl.errors import TrajectoryError
from swe_srl.files import write_jsonl
from swe_srl.trajectories.records import read_records
from swe_srl.trajectories.report import ReadReport
from swe_srl.types import Action, FormatError, Message, Step, StopReason, Trajectory, Turn

FORMAT = "swe-srl-trajectory"
VERSION = 1
_TEXTS = ("task_id", "problem_statement", "system_prompt", "repo", "base_commit", "patch", "source_format")
_TURN_DEFAULTS: Mapping[str, Any] = {
    "observation": "",
    "exit_code": None,
    "raw": "",
    "similarity": None,
    "target": None,
    "prompt_tokens": 0,
    "completion_tokens": 0,
    "thought_tokens": 0,
    "seconds": 0.0,
    "killed": False,
}


def trajectory_to_row(trajectory: Trajectory) -> dict[str, Any]:
    """The trajectory as JSON data; fields at their defaults are left out.

    >>> row = trajectory_to_row(Trajectory("t", "task", (Turn(Action("ls", "Look."), "a.py", 0),)))
    >>> row["turns"]
    [{'command': 'ls', 'thought': 'Look.', 'observation': 'a.py', 'exit_code': 0}]
    >>> trajectory_from_row(row).turns[0].action
    Action(command='ls', thought='Look.')
    """
    row: dict[str, Any] = {"format": FORMAT, "version": VERSION, "trajectory_id": trajectory.trajectory_id}
    row.update({key: getattr(trajectory, key) for key in _TEXTS if getattr(trajectory, key)})
    if trajectory.resolved is not None:
        row["resolved"] = trajectory.resolved
    if trajectory.stop_reason is not None:
        row["stop_reason"] = trajectory.stop_reason.value
    if trajectory.extra != "{}":
        row["extra"] = trajectory.extra
    row["turns"] = [_turn_to_row(turn) for turn in trajectory.turns]
    return row


def _turn_to_row(turn: Turn) -> dict[str, Any]:
    if isinstance(turn.action, Action):
        row: dict[str, Any] = {"command": turn.action.command}
        if turn.action.thought:
            row["thought"] = turn.action.thought
    else:
        row = {"format_error": turn.action.reason, "text": turn.action.text}
    for key, default in _TURN_DEFAULTS.items():
        value = getattr(turn, key)
        if value != default:
            row[key] = value
    return row


def trajectory_from_row(row: Mapping[str, Any]) -> Trajectory:
    """The trajectory of a row made by `trajectory_to_row`.

    Raises:
        TrajectoryError: a field is missing or of the wrong type, or the version is newer than this program.
    """
    version = row.get("version", VERSION)
    if version != VERSION:
        raise TrajectoryError(
            f"version {version!r} of the trajectory format is not known (this program reads {VERSION})"
        )
    turns = row.get("turns")
    if not isinstance(turns, list):
        raise TrajectoryError("a trajectory needs its list of turns")
    extra = row.get("extra", "{}")
    stop = row.get("stop_reason")
    try:
        return Trajectory(
            trajectory_id=_text(row, "trajectory_id"),
            turns=tuple(_turn_from_row(turn) for turn in turns),
            resolved=_optional(row, "resolved", bool),
            stop_reason=None if stop is None else StopReason(stop),
            extra=extra if isinstance(extra, str) else json.dumps(extra, sort_keys=True),
            **{key: _text(row, key) if key in row else "" for key in _TEXTS},
        )
    except ValueError as error:
        raise TrajectoryError(str(error)) from error


def _turn_from_row(row: object) -> Turn:
    if not isinstance(row, Mapping):
        raise TrajectoryError(f"a turn is {type(row).__name__}, not an object")
    action: Action | FormatError
    if "format_error" in row:
        action = FormatError(_text(row, "format_error"), str(row.get("text", "")))
    else:
        action = Action(_text(row, "command"), str(row.get("thought", "")))
    return Turn(
        action=action,
        observation=str(row.get("observation", "")),
        exit_code=_optional(row, "exit_code", int),
        raw=str(row.get("raw", "")),
        similarity=_optional(row, "similarity", (int, float)),
        target=_optional(row, "target", str),
        prompt_tokens=_optional(row, "prompt_tokens", int) or 0,
        completion_tokens=_optional(row, "completion_tokens", int) or 0,
        thought_tokens=_optional(row, "thought_tokens", int) or 0,
        seconds=_optional(row, "seconds", (int, float)) or 0.0,
        killed=_optional(row, "killed", bool) or False,
    )


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise TrajectoryError(f"{key} must be text, not {type(value).__name__}")
    return value


def _optional(row: Mapping[str, Any], key: str, kind: type | tuple[type, ...]) -> Any:
    value = row.get(key)
    if value is None or isinstance(value, kind):
        return value
    raise TrajectoryError(f"{key} has the wrong type: {type(value).__name__}")


def write_trajectories(path: str | Path, trajectories: Iterable[Trajectory]) -> None:
    """Write the project's own JSON lines, whole or not at all."""
    write_jsonl(Path(path), map(trajectory_to_row, trajectories))


def step_to_row(step: Step) -> dict[str, Any]:
    """A step as JSON data: any domain's training instance is a `context` of chat messages and a `target`."""
    row: dict[str, Any] = {
        "step_id": step.step_id,
        "trajectory_id": step.trajectory_id,
        "task_id": step.task_id,
        "index": step.index,
        "context": [message.as_dict() for message in step.context],
        "target": step.target,
    }
    row.update({key: getattr(step, key) for key in ("thought", "repo", "base_commit") if getattr(step, key)})
    return row


def _identifier(row: Mapping[str, Any], key: str) -> str:
    """A name, which may be a number (0 is one); "" for none."""
    value = row.get(key)
    return "" if value is None else str(value)


def step_from_row(row: Mapping[str, Any], label: str = "") -> Step:
    """A step of a row; only `context` and `target` are required.

    Args:
        row: JSON data; unknown keys are ignored.
        label: the step's id when the row has none.

    Raises:
        TrajectoryError: the context is no list of messages that ends with the user's, or the target is no text.

    >>> step_from_row({"context": [{"role": "user", "content": "2 + 2?"}], "target": "4"}, "sum:1").step_id
    'sum:1'
    """
    items = row.get("context")
    if not isinstance(items, list) or not items:
        raise TrajectoryError("a step needs its context: a list of messages")
    context = tuple(_message(item) for item in items)
    if context[-1].role != "user":
        raise TrajectoryError("a step's context ends with a user message: the target is what the assistant says next")
    target = _text(row, "target")
    name = _identifier(row, "step_id") or label
    return Step(
        step_id=name,
        trajectory_id=_identifier(row, "trajectory_id") or name,
        task_id=_identifier(row, "task_id"),
        index=_optional(row, "index", int) or 0,
        context=context,
        target=target,
        thought=str(row.get("thought") or ""),
        repo=str(row.get("repo") or ""),
        base_commit=str(row.get("base_commit") or ""),
    )


def _message(item: object) -> Message:
    if not isinstance(item, Mapping) or item.get("role") not in ("system", "user", "assistant"):
        raise TrajectoryError("a message needs a role (system, user or assistant) and a content")
    return Message(item["role"], _text(item, "content"))


def write_steps(path: str | Path, steps: Iterable[Step]) -> None:
    """Write steps as JSON lines, whole or not at all."""
    write_jsonl(Path(path), map(step_to_row, steps))


def is_step_file(path: str | Path) -> bool:
    """Whether a file holds steps: its first readable record has a `context` and a `target`."""
    path = Path(path)
    if not path.is_file():
        return False
    first = next((record.value for record in read_records(path) if not record.problem), None)
    return isinstance(first, Mapping) and "context" in first and "target" in first


def read_steps(path: str | Path, report: ReadReport | None = None) -> Iterator[Step]:
    """Stream a file of steps in the generic form: one JSON object a line with `context` and `target`.

    Args:
        path: JSON lines, or any other file that records are read from.
        report: receives what is no step, and why. Without one, the first such record raises.

    Raises:
        TrajectoryError: the file is missing, or, without a report, a record is not a step; the message names file and record.
    """
    path = Path(path)
    if report is not None:
        report.files += 1
    for record in read_records(path):
        try:
            if record.problem:
                raise TrajectoryError(f"{record.problem}: {record.text}")
            if not isinstance(record.value, Mapping):
                raise TrajectoryError("a step is an object")
            step = step_from_row(record.value, f"{path.stem}:{record.number}")
        except TrajectoryError as error:
            if report is None:
                raise TrajectoryError(f"{path}, record {record.number}: {error}") from error
            reason = record.problem or f"no step: {error}"
            report.refuse(reason, str(path), record.number, record.text or json.dumps(record.value, default=str))
            continue
        if report is not None:
            report.place(step.trajectory_id, str(path), record.number)
        yield step
