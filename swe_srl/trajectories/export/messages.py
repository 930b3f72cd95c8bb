"""Chat messages of the chat-completions form, one record a trajectory."""

from __future__ import annotations

import json
from typing import Any

from swe_srl.trajectories.action_format import format_action
from swe_srl.trajectories.metadata import KEY, metadata_of
from swe_srl.types import Action, Trajectory, Turn

TOOL = "bash"


def to_messages(trajectory: Trajectory, style: str = "tools") -> dict[str, Any]:
    """The trajectory as a record with `messages`.

    Args:
        trajectory: what to write.
        style: "tools" puts each command into a tool call, which holds any text exactly; "text" writes the completions of
            `action_format`, ready for fine-tuning.

    >>> from swe_srl.types import Action, Turn
    >>> record = to_messages(Trajectory("t", "task", (Turn(Action("ls", "Look."), "a.py"),), "It breaks."), "text")
    >>> [message["role"] for message in record["messages"]]
    ['user', 'assistant', 'user']
    """
    messages = opening(trajectory)
    for index, turn in enumerate(trajectory.turns):
        messages.extend(_text(turn) if style == "text" else tool_messages(turn, index))
    return {"instance_id": trajectory.task_id, "messages": messages, KEY: metadata_of(trajectory)}


def opening(trajectory: Trajectory) -> list[dict[str, Any]]:
    """The system prompt, when there is one, and the issue."""
    messages: list[dict[str, Any]] = []
    if trajectory.system_prompt:
        messages.append({"role": "system", "content": trajectory.system_prompt})
    return [*messages, {"role": "user", "content": trajectory.problem_statement}]


def tool_messages(turn: Turn, index: int) -> list[dict[str, Any]]:
    """One turn as an assistant message with a tool call, and the tool's answer. A malformed turn keeps its text."""
    extra: dict[str, Any] = {"raw_output": turn.observation, "returncode": turn.exit_code}
    if turn.killed:
        extra["killed"] = True
    if not isinstance(turn.action, Action):
        said = {"role": "assistant", "content": turn.action.text, "extra": {"format_error": turn.action.reason}}
        return [said, {"role": "user", "content": turn.observation, "extra": extra}]
    name = f"call_{index}"
    arguments = json.dumps({"command": turn.action.command})
    call = {"id": name, "type": "function", "function": {"name": TOOL, "arguments": arguments}}
    return [
        {"role": "assistant", "content": turn.action.thought, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": name, "content": turn.observation, "extra": extra},
    ]


def _text(turn: Turn) -> list[dict[str, Any]]:
    action = turn.action
    said = format_action(action, thought=bool(action.thought)) if isinstance(action, Action) else action.text
    return [{"role": "assistant", "content": said}, {"role": "user", "content": turn.observation}]
