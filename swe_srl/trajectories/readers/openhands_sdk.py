"""The OpenHands SDK's events: `ActionEvent`, `ObservationEvent`, `MessageEvent`, … told apart by `kind`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from swe_srl.trajectories.calls import Call, make_call
from swe_srl.trajectories.chat import Said
from swe_srl.trajectories.fields import integer, mapping, string, text_of

_ANSWERS = frozenset({"ObservationEvent", "AgentErrorEvent", "UserRejectObservation"})
_META = frozenset({"kind", "is_input", "timeout", "reset", "security_risk"})


def is_event(value: object) -> bool:
    """Whether a record is one of these events."""
    return isinstance(value, Mapping) and isinstance(value.get("kind"), str) and "source" in value


def said_of(events: Sequence[Mapping[str, Any]]) -> list[Said]:
    """The session as messages: every action event is one assistant message, followed by what answers its call."""
    asked = {string(event, "tool_call_id") for event in events if event.get("kind") == "ActionEvent"}
    answers: dict[str, list[Said]] = {}
    for event in events:
        if event.get("kind") in _ANSWERS:
            answers.setdefault(string(event, "tool_call_id"), []).append(_answer(event))
    said: list[Said] = []
    for event in events:
        kind = event.get("kind")
        if kind == "ActionEvent":
            said.append(_action(event))
            said.extend(answers.get(string(event, "tool_call_id"), ()))
        elif kind in _ANSWERS and string(event, "tool_call_id") not in asked:
            said.append(Said("assistant", "", problem="action missing"))
            said.append(_answer(event))
        elif kind == "MessageEvent":
            said.append(_message(event))
        elif kind == "SystemPromptEvent":
            said.append(Said("system", text_of(mapping(event, "system_prompt").get("text")) or ""))
    return said


def _message(event: Mapping[str, Any]) -> Said:
    text = text_of(mapping(event, "llm_message").get("content"))
    role = "assistant" if event.get("source") == "agent" else "user"
    if text is None:
        return Said(role, "", problem="unparsable: the content is not text")
    return Said(role, text, problem="no command" if role == "assistant" else "")


def _action(event: Mapping[str, Any]) -> Said:
    reasoning = string(event, "reasoning_content").strip()
    thought = text_of(event.get("thought")) or ""
    if reasoning:
        thought = thought.replace(f"<think>{string(event, 'reasoning_content')}</think>", "")
    call = _call(event)
    if isinstance(call, str):
        return Said("assistant", thought.strip(), reasoning=reasoning, problem=call)
    return Said("assistant", thought.strip(), (call,), reasoning)


def _call(event: Mapping[str, Any]) -> Call | str:
    recorded = mapping(event, "tool_call")
    if recorded:
        function = mapping(recorded, "function") or recorded
        return make_call(function.get("name") or event.get("tool_name"), function.get("arguments"))
    action = mapping(event, "action")
    arguments = {key: value for key, value in action.items() if key not in _META or (key == "is_input" and value)}
    return make_call(event.get("tool_name"), arguments)


def _answer(event: Mapping[str, Any]) -> Said:
    observation = mapping(event, "observation")
    text = text_of(observation.get("content")) if observation else string(event, "error", "rejection_reason")
    code = integer(mapping(observation, "metadata").get("exit_code"))
    return Said("tool", text or "", exit_code=integer(observation.get("exit_code")) if code is None else code)
