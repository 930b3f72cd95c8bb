"""The Agent Data Protocol's standard form: a `content` list of typed actions and observations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from swe_srl.errors import TrajectoryError
from swe_srl.trajectories.calls import SHELL_TOOL, Call
from swe_srl.trajectories.chat import Conversation, Said, assemble
from swe_srl.trajectories.fields import boolean, clean, mapping, stop_reason, string
from swe_srl.trajectories.readers.messages import is_swe_agent
from swe_srl.trajectories.statements import task_of
from swe_srl.trajectories.tools import windowed
from swe_srl.types import Trajectory

NAME = "adp"
_SHELLS = frozenset({"bash", "sh", "shell", ""})
_FINISH = "<finish>"


def recognises(value: object) -> bool:
    """Whether a record is of this format."""
    if not isinstance(value, Mapping) or not isinstance(value.get("content"), list) or not value["content"]:
        return False
    first = value["content"][0]
    return isinstance(first, Mapping) and "class_" in first


def convert(row: Mapping[str, Any], label: str) -> Trajectory:
    """The trajectory of one record.

    Raises:
        TrajectoryError: an entry that is no object or of an unknown class.
    """
    said = _said_of(row["content"])
    details = mapping(row, "details")
    name = string(row, "id")
    return assemble(
        Conversation(
            said=tuple(said),
            trajectory_id=name or label,
            task_id=task_of(name),
            source_format=NAME,
            swe_agent=is_swe_agent(said),
            resolved=boolean(details, "resolved"),
            patch=string(details, "generated_patch", "patch"),
            stop_reason=stop_reason(string(details, "exit_status")),
            extra={key: details[key] for key in ("model_name", "exit_status", "run_id") if details.get(key)},
        )
    )


def _said_of(entries: Sequence[Any]) -> list[Said]:
    said: list[Said] = []
    for entry in entries:
        if not isinstance(entry, Mapping):
            raise TrajectoryError(f"an entry is {type(entry).__name__}, not an object")
        said.append(_said(entry, after_submit=_submits(said)))
    return said


def _submits(said: Sequence[Said]) -> bool:
    last = next((one for one in reversed(said) if one.role == "assistant"), None)
    return last is not None and any(call.name == "submit" for call in last.calls)


def _said(entry: Mapping[str, Any], after_submit: bool) -> Said:
    kind, thought = entry.get("class_"), string(entry, "description")
    content = string(entry, "content")
    if kind in ("text_observation", "web_observation"):
        return Said("user", content or string(entry, "axtree", "html"))
    if kind == "code_action":
        return _code(string(entry, "language").lower(), content, thought)
    if kind == "api_action":
        return _api(string(entry, "function"), mapping(entry, "kwargs"), thought)
    if kind == "message_action":
        if content.startswith(_FINISH) and not after_submit:
            return Said("assistant", thought, (Call("finish", {}),))
        return Said("assistant", "\n".join(filter(None, (thought, content))), problem="no command")
    raise TrajectoryError(f"unknown class: {str(kind)[:40]}")


def _code(language: str, content: str, thought: str) -> Said:
    if language in _SHELLS:
        return Said("assistant", thought, (Call(SHELL_TOOL, {"command": content}),))
    return Said(
        "assistant", "\n".join(filter(None, (thought, content))), problem=f"no shell equivalent: {language} code"
    )


def _api(function: str, arguments: Mapping[str, Any], thought: str) -> Said:
    if not function:
        return Said("assistant", thought, problem="unparsable: the tool has no name")
    values = {str(key): clean(value) if isinstance(value, str) else value for key, value in arguments.items()}
    if function in windowed.NAMES:
        values = {key: _unquoted(value) for key, value in values.items()}
        values = {_RENAMED.get((function, key), key): value for key, value in values.items()}
    return Said("assistant", thought, (Call(function, values),))


_RENAMED = {
    ("search_file", "file_name"): "file",
    ("search_dir", "dir_name"): "dir",
    ("create", "file_name"): "filename",
}


def _unquoted(value: Any) -> Any:
    """The standard form keeps the quotes of SWE-agent's arguments."""
    if isinstance(value, str) and len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value
