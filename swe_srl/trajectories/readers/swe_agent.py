"""SWE-agent's `.traj`: the history of messages, and the list of executed turns, old and new schema."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from swe_srl.trajectories.calls import SHELL_TOOL, Call
from swe_srl.trajectories.chat import Conversation, Said, assemble
from swe_srl.trajectories.fields import clean, mapping, stop_reason, string, text_of
from swe_srl.trajectories.readers.messages import said_of
from swe_srl.types import Trajectory

NAME = "swe-agent"


def recognises(value: object) -> bool:
    """Whether a record is of this format."""
    if not isinstance(value, Mapping):
        return False
    turns, history = value.get("trajectory"), value.get("history")
    if isinstance(turns, list) and turns and isinstance(turns[0], Mapping) and "action" in turns[0]:
        return True
    return isinstance(history, list) and bool(history) and isinstance(history[0], Mapping) and "agent" in history[0]


def convert(row: Mapping[str, Any], label: str) -> Trajectory:
    """The trajectory of one file.

    The executed turns are the spine where they are recorded; the history gives the messages before them and the tool calls.

    Raises:
        TrajectoryError: a message that is no object or has an unknown role.
    """
    history = [_said(item) for item in row.get("history") or [] if not _is_demonstration(item)]
    turns = row.get("trajectory")
    first = next((index for index, one in enumerate(history) if one.role == "assistant"), len(history))
    said = history if not isinstance(turns, list) or not turns else _merge(history, first, turns)
    info = mapping(row, "info")
    status = string(info, "exit_status")
    task_id = string(row, "instance_id") or label
    return assemble(
        Conversation(
            said=tuple(said),
            trajectory_id=task_id,
            task_id=task_id,
            source_format=NAME,
            swe_agent=True,
            base_commit=_base_commit(row.get("replay_config")),
            patch=string(info, "submission"),
            stop_reason=stop_reason(status),
            extra={"exit_status": status, "environment": string(row, "environment")},
        )
    )


def _is_demonstration(item: object) -> bool:
    return isinstance(item, Mapping) and item.get("is_demo") is True


def _said(item: object) -> Said:
    said = said_of(item)
    if (
        said.role == "assistant"
        and not said.calls
        and isinstance(item, Mapping)
        and isinstance(item.get("action"), str)
    ):
        thought = text_of(item.get("thought")) or ""
        return replace(said, text=thought.strip(), calls=(_shell(item["action"]),), written=said.text)
    return said


def _shell(action: str) -> Call:
    return Call(SHELL_TOOL, {"command": clean(action)})


def _merge(history: Sequence[Said], first: int, turns: Sequence[Any]) -> list[Said]:
    """The opening messages, then per executed turn what was said and what it brought.

    A turn takes the message of the history that holds the same action, and that message's observation with the viewer's state
    under it; one the history lacks is made of the turn alone.
    """
    said = list(history[:first])
    rest = list(history[first:])
    position = 0
    for turn in turns:
        if not isinstance(turn, Mapping):
            said.append(Said("assistant", clean(str(turn)), problem="unparsable: the turn is not an object"))
            continue
        message, answer, position = _in_history(rest, position, turn)
        said.append(message or _from_turn(turn))
        said.append(answer or Said("tool", _observation(turn)))
    return said


def _in_history(rest: Sequence[Said], position: int, turn: Mapping[str, Any]) -> tuple[Said | None, Said | None, int]:
    while position < len(rest) and rest[position].role != "assistant":
        position += 1
    if position >= len(rest) or not _same(rest[position], turn):
        return None, None, position
    answer = rest[position + 1] if position + 1 < len(rest) and rest[position + 1].role != "assistant" else None
    return rest[position], answer, position + 1


def _same(message: Said, turn: Mapping[str, Any]) -> bool:
    action, thought = string(turn, "action").strip(), string(turn, "thought").strip()
    if message.calls and message.calls[0].name == SHELL_TOOL:
        return str(message.calls[0].arguments.get("command", "")).strip() == action
    return not thought or thought in message.text or message.text.strip() in thought


def _from_turn(turn: Mapping[str, Any]) -> Said:
    action, thought = string(turn, "action"), string(turn, "thought").strip()
    if not action.strip():
        return Said("assistant", string(turn, "response") or thought, problem="no command")
    return Said("assistant", thought, (_shell(action),))


def _observation(turn: Mapping[str, Any]) -> str:
    """The observation with the viewer's state under it, as the history writes it."""
    observation = text_of(turn.get("observation")) or ""
    state = turn.get("state")
    if isinstance(state, str):
        try:
            state = json.loads(state)
        except (ValueError, RecursionError):
            state = None
    if not isinstance(state, Mapping) or not string(state, "open_file"):
        return observation
    file, folder = string(state, "open_file"), string(state, "working_dir")
    return f"{observation}\n(Open file: {file})\n(Current directory: {folder})\nbash-$"


def _base_commit(replay_config: object) -> str:
    if isinstance(replay_config, str):
        try:
            replay_config = json.loads(replay_config)
        except (ValueError, RecursionError):
            return ""
    if not isinstance(replay_config, Mapping):
        return ""
    commit = string(mapping(mapping(replay_config, "env"), "repo"), "base_commit")
    return commit if commit != "HEAD" else ""
