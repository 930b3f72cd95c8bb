"""ATIF, Harbor's trajectory format (versions 1.0 to 1.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from swe_srl.errors import TrajectoryError
from swe_srl.trajectories.calls import Call, make_call
from swe_srl.trajectories.chat import Conversation, Said, assemble
from swe_srl.trajectories.fields import boolean, clean, integer, mapping, stop_reason, string, text_of
from swe_srl.trajectories.readers.messages import is_swe_agent
from swe_srl.trajectories.statements import task_of
from swe_srl.types import Trajectory

NAME = "atif"
_ROLES = {"system": "system", "user": "user", "agent": "assistant"}


def recognises(value: object) -> bool:
    """Whether a record is of this format."""
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("schema_version"), str)
        and value["schema_version"].startswith("ATIF")
        and isinstance(value.get("steps"), list)
    )


def convert(row: Mapping[str, Any], label: str) -> Trajectory:
    """The trajectory of one document. Agent steps copied from another trajectory are reported, as the format asks.

    Raises:
        TrajectoryError: a step that is no object or has an unknown source.
    """
    said: list[Said] = []
    for step in row["steps"]:
        said.extend(_said(step))
    agent, extra = mapping(row, "agent"), mapping(row, "extra")
    task_id = string(extra, "instance_id", "task_id")
    return assemble(
        Conversation(
            said=tuple(said),
            trajectory_id=string(row, "session_id") or label,
            task_id=task_of(task_id),
            source_format=NAME,
            swe_agent=is_swe_agent(said),
            problem_statement=string(extra, "problem_statement"),
            repo=string(extra, "repo"),
            base_commit=string(extra, "base_commit"),
            resolved=boolean(extra, "resolved"),
            patch=string(extra, "patch"),
            stop_reason=stop_reason(string(extra, "exit_status")),
            extra={"agent": string(agent, "name"), "model": string(agent, "model_name")},
        )
    )


def _said(step: object) -> list[Said]:
    if not isinstance(step, Mapping):
        raise TrajectoryError(f"a step is {type(step).__name__}, not an object")
    source = step.get("source")
    role = _ROLES.get(source) if isinstance(source, str) else None
    if role is None:
        raise TrajectoryError(f"unknown source: {str(source)[:40]}")
    text = text_of(step.get("message"))
    if text is None:
        return [Said(role, clean(str(step.get("message"))), problem="unparsable: the message is not text")]
    if role != "assistant":
        return [Said(role, text)]
    calls = _calls(step.get("tool_calls"))
    problem = "copied context" if step.get("is_copied_context") is True else calls if isinstance(calls, str) else ""
    extra = mapping(step, "extra")
    problem = problem or string(extra, "format_error")
    reasoning = string(step, "reasoning_content")
    said = [Said(role, text, () if isinstance(calls, str) else calls, reasoning, problem=problem)]
    return said + _results(mapping(step, "observation").get("results"), extra)


def _calls(listed: object) -> tuple[Call, ...] | str:
    calls = []
    for entry in listed if isinstance(listed, Sequence) and not isinstance(listed, str) else ():
        if not isinstance(entry, Mapping):
            return "unparsable: a tool call is not an object"
        call = make_call(entry.get("function_name"), entry.get("arguments"), entry.get("tool_call_id"))
        if isinstance(call, str):
            return call
        calls.append(call)
    return tuple(calls)


def _results(results: object, extra: Mapping[str, Any]) -> list[Said]:
    if not isinstance(results, Sequence) or isinstance(results, str):
        return []
    code, plain, killed = integer(extra.get("exit_code")), extra.get("plain") is True, extra.get("killed") is True
    return [
        Said(
            "tool",
            text_of(result.get("content")) or "",
            exit_code=code,
            killed=killed,
            plain=plain,
            answers=string(result, "source_call_id"),
        )
        for result in results
        if isinstance(result, Mapping)
    ]
