"""Taking typed values out of foreign JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from swe_srl.types import StopReason


def clean(text: str) -> str:
    """The text without lone surrogates, which no file and no tokenizer takes.

    >>> clean("a\\ud800b")
    'a?b'
    """
    if text.isascii():
        return text
    return text.encode("utf-8", errors="replace").decode("utf-8")


def text_of(value: object) -> str | None:
    """The text of a message's content: a string, or the text parts of a list; "" for null, None when it is neither."""
    if value is None:
        return ""
    if isinstance(value, str):
        return clean(value)
    if not isinstance(value, Sequence):
        return None
    parts = []
    for part in value:
        if isinstance(part, str):
            parts.append(part)
        elif not isinstance(part, Mapping):
            return None
        elif isinstance(part.get("text"), str):
            parts.append(part["text"])
        elif part.get("type") == "tool_result":
            inner = text_of(part.get("content"))
            if inner is None:
                return None
            parts.append(inner)
    return clean("\n".join(parts))


def string(row: Mapping[str, Any], *keys: str) -> str:
    """The first of these fields that is a string with something in it, or ""."""
    for key in keys:
        value = row.get(key)
        if isinstance(value, str) and value:
            return clean(value)
    return ""


def mapping(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A field that is an object, or an empty one."""
    value = row.get(key)
    return value if isinstance(value, Mapping) else {}


def integer(value: object) -> int | None:
    """An integer, or None. An exit code of -1 means "not ended" in every harness, so it is None too."""
    if isinstance(value, bool) or not isinstance(value, int) or value == -1:
        return None
    return value


def boolean(row: Mapping[str, Any], *keys: str) -> bool | None:
    """The first of these fields that is a truth value (or its word, or 0 or 1), or None when none is."""
    for key in keys:
        value = row.get(key)
        if isinstance(value, (bool, int, float)) and value in (0, 1):
            return bool(value)
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
    return None


_STOPS = (
    ("submitted", StopReason.SUBMITTED),
    ("submit", StopReason.SUBMITTED),
    ("agent_finished", StopReason.SUBMITTED),
    ("agent", StopReason.SUBMITTED),
    ("finished", StopReason.SUBMITTED),
    ("limitsexceeded", StopReason.TURN_LIMIT),
    ("max_step_limit", StopReason.TURN_LIMIT),
    ("max_iterations", StopReason.TURN_LIMIT),
    ("exit_cost", StopReason.TURN_LIMIT),
    ("exit_context", StopReason.TOKEN_LIMIT),
    ("token_limit", StopReason.TOKEN_LIMIT),
    ("llm_query_error", StopReason.INFRASTRUCTURE),
    ("exit_format", StopReason.FORMAT_ERRORS),
    ("repeatedformaterror", StopReason.FORMAT_ERRORS),
    ("timeexceeded", StopReason.TIME_LIMIT),
    ("traj_time_limit", StopReason.TIME_LIMIT),
    ("exit_environment_error", StopReason.INFRASTRUCTURE),
    ("exit_error", StopReason.INFRASTRUCTURE),
)


def stop_reason(exit_status: str) -> StopReason | None:
    """The stop reason of another harness's exit status; None for one not known.

    >>> stop_reason("submitted (exit_cost)").value, stop_reason("exit_cost").value, stop_reason("?")
    ('submitted', 'turn_limit', None)
    """
    status = exit_status.lower().replace(" ", "_")
    for prefix, reason in _STOPS:
        if status == prefix or (status.startswith(prefix) and not status[len(prefix)].isalnum()):
            return reason
    return None
