"""OpenHands' classic events: `action` events of the agent, `observation` events that name their `cause`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from swe_srl.trajectories.calls import SHELL_TOOL, Call, make_call
from swe_srl.trajectories.chat import Said
from swe_srl.trajectories.fields import integer, mapping, string, text_of

_SILENT_ACTIONS = frozenset({"recall", "change_agent_state", "condensation", "condensation_request", "null", "system"})
_SILENT_OBSERVATIONS = frozenset({"recall", "agent_state_changed", "null", "condense"})
_ACTIONS = frozenset(
    {"run", "read", "write", "edit", "think", "finish", "run_ipython", "browse", "browse_interactive", "message"}
    | {"delegate", "call_tool_mcp", "task_tracking", "reject"}
    | _SILENT_ACTIONS
)


def is_event(value: object) -> bool:
    """Whether a record is one of these events."""
    if not isinstance(value, Mapping):
        return False
    if isinstance(value.get("action"), str) and value["action"] in _ACTIONS:
        return True
    return isinstance(value.get("observation"), str) and "content" in value


def said_of(events: Sequence[Mapping[str, Any]]) -> list[Said]:
    """The session as messages: every action of the agent is one assistant message, followed by what it caused."""
    said: list[Said] = []
    caused = _by_cause(events)
    for event in events:
        action, kind = event.get("action"), event.get("observation")
        if isinstance(action, str) and action:
            said.extend(_of_action(event, action))
            said.extend(caused.get(_key(event.get("id")), ()))
        elif isinstance(kind, str) and kind not in _SILENT_OBSERVATIONS and not _is_claimed(event, caused):
            if (
                kind == "error" and said and said[-1].role == "tool"
            ):  # of a call that was refused before it became an event
                said.append(Said("assistant", "", problem="action missing"))
            said.append(_of_observation(event))
    return said


def _by_cause(events: Sequence[Mapping[str, Any]]) -> dict[str, list[Said]]:
    actions = {_key(event.get("id")) for event in events if event.get("action")} - {""}
    caused: dict[str, list[Said]] = {}
    for event in events:
        cause = _key(event.get("cause"))
        if (
            cause in actions
            and isinstance(event.get("observation"), str)
            and event["observation"] not in (_SILENT_OBSERVATIONS)
        ):
            caused.setdefault(cause, []).append(_of_observation(event))
    return caused


def _is_claimed(event: Mapping[str, Any], caused: Mapping[str, list[Said]]) -> bool:
    return _key(event.get("cause")) in caused


def _key(value: object) -> str:
    return str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else ""


def _of_observation(event: Mapping[str, Any]) -> Said:
    extras = mapping(event, "extras")
    code = integer(mapping(extras, "metadata").get("exit_code"))
    if code is None:
        code = integer(extras.get("exit_code", event.get("exit_code")))
    text = text_of(event.get("content"))
    return Said("tool", str(event.get("content")) if text is None else text, exit_code=code)


def _of_action(event: Mapping[str, Any], action: str) -> list[Said]:
    arguments = mapping(event, "args") or event
    if action == "system":
        return [Said("system", string(arguments, "content") or string(event, "message"))]
    if action in _SILENT_ACTIONS:
        return []
    if action == "message" and event.get("source") != "agent":
        return [Said("user", string(arguments, "content") or string(event, "message"))]
    thought = string(arguments, "thought") if action != "think" else ""
    if action == "message":
        return [Said("assistant", string(arguments, "content") or string(event, "message"), problem="no command")]
    call = _recorded_call(event) or _call(action, arguments)
    if isinstance(call, str):
        return [Said("assistant", thought, problem=call)]
    return [Said("assistant", thought, (call,))]


def _recorded_call(event: Mapping[str, Any]) -> Call | str | None:
    """The call as the model wrote it, where the event keeps the model's response."""
    metadata = mapping(event, "tool_call_metadata")
    choices = mapping(metadata, "model_response").get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        return None
    calls = mapping(choices[0], "message").get("tool_calls")
    for call in calls if isinstance(calls, list) else []:
        if isinstance(call, Mapping) and call.get("id") == metadata.get("tool_call_id"):
            function = mapping(call, "function")
            return make_call(function.get("name"), function.get("arguments"))
    return None


def _call(action: str, arguments: Mapping[str, Any]) -> Call | str:
    if action == "run":
        return Call(SHELL_TOOL, {key: arguments[key] for key in ("command", "is_input") if key in arguments})
    if action == "read":
        return Call("str_replace_editor", {"command": "view", "path": arguments.get("path"), **_range(arguments)})
    if action == "edit" and isinstance(arguments.get("command"), str):
        return Call("str_replace_editor", {key: value for key, value in arguments.items() if value is not None})
    if action == "edit":
        return "no shell equivalent: an edit by a draft"
    if action == "write":
        if arguments.get("start", 0) not in (0, 1) or arguments.get("end", -1) != -1:
            return "no shell equivalent: a partial write"
        content = arguments.get("content")
        return Call("str_replace_editor", {"command": "create", "path": arguments.get("path"), "file_text": content})
    if action == "run_ipython":
        return Call("run_ipython", {"code": arguments.get("code", "")})
    return Call(action, {})


def _range(arguments: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(arguments.get("view_range"), list):
        return {"view_range": arguments["view_range"]}
    start, end = integer(arguments.get("start")), arguments.get("end")
    if not start or not isinstance(end, int) or (start <= 1 and end == -1):
        return {}
    return {"view_range": [start, end]}
