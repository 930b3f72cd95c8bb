"""Chats as a list of messages: SWE-Gym, SWE-smith, SWE-rebench, nebius, R2E-Gym's SFT set, plain ones."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from swe_srl.errors import TrajectoryError
from swe_srl.trajectories.calls import Call, make_call
from swe_srl.trajectories.chat import Conversation, Said, assemble
from swe_srl.trajectories.fields import boolean, clean, integer, mapping, stop_reason, string, text_of
from swe_srl.trajectories.statements import task_of
from swe_srl.types import Trajectory

NAME = "messages"
ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "agent": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "environment": "tool",
}
_LISTS = ("messages", "conversations", "trajectory", "conversation")
_SWE_AGENT = re.compile(r"special interface|\bDISCUSSION\b|\(Open file: ")


def recognises(value: object) -> bool:
    """Whether a record is of this format."""
    return isinstance(value, Mapping) and _list_of(value) is not None


def is_message(value: object) -> bool:
    """Whether a record is a single message: then the file as a whole is the chat."""
    return isinstance(value, Mapping) and "role" in value and "content" in value and _list_of(value) is None


def convert(row: Mapping[str, Any], label: str) -> Trajectory:
    """The trajectory of one chat.

    Args:
        row: the record.
        label: the trajectory's id when the record names none.

    Raises:
        TrajectoryError: a message that is no object or has an unknown role.
    """
    items = _list_of(row) or []
    said = [said_of(part) for item in items for part in _apart(item)]
    if row.get("system") and isinstance(row["system"], str) and not any(one.role == "system" for one in said):
        said.insert(0, Said("system", clean(row["system"])))
    name = string(row, "instance_id", "task_id", "id")
    attempt = string(row, "traj_id", "trajectory_id", "run_id", "id")
    result = mapping(row, "test_result")
    status = string(row, "exit_status", "exit_reason")
    return assemble(
        Conversation(
            said=tuple(said),
            trajectory_id=_identity(name, attempt) or label,
            task_id=task_of(name),
            source_format=NAME,
            swe_agent=is_swe_agent(said),
            problem_statement=string(row, "problem_statement"),
            repo=string(row, "repo"),
            base_commit=string(row, "base_commit"),
            resolved=boolean(row, "resolved", "target", "verified"),
            patch=string(row, "patch", "model_patch", "generated_patch") or string(result, "git_patch"),
            stop_reason=stop_reason(status),
            extra={key: row[key] for key in ("model", "model_name", "exit_status", "run_id") if row.get(key)},
        )
    )


def is_swe_agent(said: Sequence[Said]) -> bool:
    """Whether SWE-agent's rules hold: its system prompt, or its prompt lines under the first observations."""
    return any(_SWE_AGENT.search(one.text) for one in said[:6] if one.role != "assistant")


def said_of(item: object) -> Said:
    """One message of the chat-completions form (or of its many relatives).

    Raises:
        TrajectoryError: it is no object or has an unknown role.
    """
    if not isinstance(item, Mapping):
        raise TrajectoryError(f"a message is {type(item).__name__}, not an object")
    told = item.get("role", item.get("from"))
    role = ROLES.get(told) if isinstance(told, str) else None
    if role is None:
        raise TrajectoryError(f"unknown role: {str(told)[:40]}")
    content = item.get("content", item.get("value", item.get("text")))
    if not content and isinstance(item.get("system_prompt"), str):
        content = item["system_prompt"]
    text = text_of(content)
    if text is None:
        return Said(role, clean(str(content)), problem="unparsable: the content is not text")
    extra = mapping(item, "extra")
    if role != "assistant":
        if not isinstance(extra.get("raw_output"), str):
            return Said(role, text, answers=string(item, "tool_call_id"))
        code, killed = integer(extra.get("returncode")), extra.get("killed") is True
        told = string(item, "tool_call_id")
        return Said(role, clean(extra["raw_output"]), exit_code=code, killed=killed, plain=True, answers=told)
    if isinstance(extra.get("format_error"), str):
        return Said(role, text, problem=extra["format_error"])
    calls = calls_of(item)
    reasoning = string(item, "reasoning_content", "reasoning", "thinking")
    if isinstance(calls, str):
        return Said(role, text, reasoning=reasoning, problem=calls)
    return Said(role, text, calls, reasoning)


def _apart(item: object) -> list[object]:
    """A message of the user whose parts answer tool calls, as one message an answer; any other as it is."""
    parts = item.get("content") if isinstance(item, Mapping) else None
    if not isinstance(item, Mapping) or not isinstance(parts, list) or not any(map(_is_result, parts)):
        return [item]
    rest = [part for part in parts if not _is_result(part)]
    answers = [
        {"role": "tool", "content": part.get("content"), "tool_call_id": part.get("tool_use_id")}
        for part in parts
        if _is_result(part)
    ]
    return [*answers, {**item, "content": rest}] if rest else [*answers]


def _is_result(part: object) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "tool_result"


def calls_of(item: Mapping[str, Any]) -> tuple[Call, ...] | str:
    """The tool calls of a message, or why they are malformed."""
    found: list[Call] = []
    for name, arguments, call_id in _raw_calls(item):
        call = make_call(name, arguments, call_id)
        if isinstance(call, str):
            return call
        found.append(call)
    return tuple(found)


def _raw_calls(item: Mapping[str, Any]) -> list[tuple[object, object, object]]:
    raw: list[tuple[object, object, object]] = []
    listed = item.get("tool_calls")
    single = item.get("function_call")
    for call in [*(listed if isinstance(listed, list) else []), *([single] if single else [])]:
        body = call.get("function", call) if isinstance(call, Mapping) else {}
        body = body if isinstance(body, Mapping) else {}
        told = call if isinstance(call, Mapping) else {}
        raw.append((body.get("name"), body.get("arguments"), told.get("call_id") or told.get("id")))
    parts = item.get("content")
    for part in parts if isinstance(parts, list) else []:
        if isinstance(part, Mapping) and part.get("type") == "tool_use":
            raw.append((part.get("name"), part.get("input"), part.get("id")))
    return raw


def _list_of(row: Mapping[str, Any]) -> list[Any] | None:
    for key in _LISTS:
        items = row.get(key)
        if isinstance(items, str) and items.startswith("["):
            items = _parsed(items)
        if isinstance(items, list) and items and isinstance(items[0], Mapping) and {"role", "from"} & items[0].keys():
            return items
    return None


def _parsed(text: str) -> object:
    """SWE-smith's tables keep the list as JSON text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _identity(name: str, attempt: str) -> str:
    if not name or not attempt or attempt.startswith(name):
        return attempt or name
    return f"{name}.{attempt}"
