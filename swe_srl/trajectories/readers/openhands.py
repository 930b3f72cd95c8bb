"""OpenHands: event histories (`output.jsonl`, saved sessions, pairs of the first versions) and the SDK's events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from swe_srl.errors import TrajectoryError
from swe_srl.trajectories.chat import Conversation, Said, assemble
from swe_srl.trajectories.fields import boolean, mapping, string
from swe_srl.trajectories.readers import openhands_events, openhands_sdk
from swe_srl.trajectories.statements import task_of
from swe_srl.types import Trajectory

NAME = "openhands"


def recognises(value: object) -> bool:
    """Whether a record is of this format."""
    if not isinstance(value, Mapping) or not isinstance(value.get("history"), list) or not value["history"]:
        return False
    first = value["history"][0]
    if isinstance(first, list):
        return bool(first) and is_event(first[0])
    return is_event(first)


def is_event(value: object) -> bool:
    """Whether a record is a single event: then the file as a whole is one session."""
    return openhands_events.is_event(value) or openhands_sdk.is_event(value)


def convert(row: Mapping[str, Any], label: str) -> Trajectory:
    """The trajectory of one output row, or of `{"history": events}`.

    Raises:
        TrajectoryError: no event of the history is one of OpenHands.
    """
    events = flat(row["history"])
    if any(openhands_sdk.is_event(event) for event in events):
        said = openhands_sdk.said_of(events)
    else:
        said = openhands_events.said_of(events)
    said = _with_instruction(said, string(row, "instruction"))
    instance, issue = mapping(row, "instance"), mapping(row, "issue")
    task_id = task_of(string(row, "instance_id") or string(instance, "instance_id"))
    repo = string(instance, "repo") or "/".join(filter(None, (string(issue, "owner"), string(issue, "repo"))))
    return assemble(
        Conversation(
            said=tuple(said),
            trajectory_id=string(row, "trajectory_id") or task_id or label,
            task_id=task_id,
            source_format=NAME,
            problem_statement=string(instance, "problem_statement") or _issue_text(issue),
            repo=repo,
            base_commit=string(row, "base_commit") or string(instance, "base_commit"),
            resolved=boolean(row, "resolved") if "resolved" in row else boolean(mapping(row, "report"), "resolved"),
            patch=string(mapping(row, "test_result"), "git_patch") or string(row, "git_patch"),
            extra={"error": row["error"]} if row.get("error") else {},
        )
    )


def flat(history: Sequence[Any]) -> list[Mapping[str, Any]]:
    """The events in order; the first versions kept them as (action, observation) pairs.

    Raises:
        TrajectoryError: an event is no object.
    """
    events: list[Mapping[str, Any]] = []
    for entry in history:
        for event in entry if isinstance(entry, list) else [entry]:
            if not isinstance(event, Mapping):
                raise TrajectoryError(f"an event is {type(event).__name__}, not an object")
            events.append(event)
    return events


def _with_instruction(said: list[Said], instruction: str) -> list[Said]:
    if not instruction or any(one.role == "user" for one in said[:3]):
        return said
    return [Said("user", instruction), *said]


def _issue_text(issue: Mapping[str, Any]) -> str:
    return "\n\n".join(filter(None, (string(issue, "title"), string(issue, "body"))))
