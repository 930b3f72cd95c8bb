"""mini-swe-agent's `.traj.json`: version 1 with fenced commands, version 2 with tool calls or `extra.actions`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from swe_srl.trajectories.calls import SHELL_TOOL, Call
from swe_srl.trajectories.chat import Conversation, Said, assemble
from swe_srl.trajectories.fields import mapping, stop_reason, string
from swe_srl.trajectories.readers.messages import said_of
from swe_srl.types import Trajectory

NAME = "mini-swe-agent"

_ACTION = re.compile(r"```(?:bash|mswea_bash_command)\s*\n(.*?)\r?\n```", re.DOTALL)


def recognises(value: object) -> bool:
    """Whether a record is of this format."""
    if not isinstance(value, Mapping) or not isinstance(value.get("messages"), list):
        return False
    told = value.get("trajectory_format")
    return (isinstance(told, str) and told.startswith(NAME)) or "mini_version" in mapping(value, "info")


def convert(row: Mapping[str, Any], label: str) -> Trajectory:
    """The trajectory of one file.

    Raises:
        TrajectoryError: a message that is no object or has an unknown role.
    """
    info = mapping(row, "info")
    config = mapping(info, "config")
    said = tuple(_said(item) for item in row["messages"] if not _is_exit(item))
    task_id = string(row, "instance_id")
    status = string(info, "exit_status")
    template = string(mapping(config, "agent"), "instance_template")
    opening = next((one.text for one in said if one.role == "user"), "")
    return assemble(
        Conversation(
            said=said,
            trajectory_id=string(row, "trajectory_id") or task_id or label,
            task_id=task_id,
            source_format=NAME,
            problem_statement=statement_by_template(template, opening),
            patch=string(info, "submission"),
            stop_reason=stop_reason(status),
            extra={
                "exit_status": status,
                "mini_version": string(info, "mini_version"),
                "model": string(mapping(config, "model"), "model_name"),
            },
        )
    )


def statement_by_template(template: str, message: str) -> str:
    """What stands in a rendered message where its template has `{{task}}`, or "" when that cannot be told.

    >>> statement_by_template("Solve: {{task}}\\n\\nRules {{n}}", "Solve: It breaks.\\n\\nRules 3")
    'It breaks.'
    """
    before, found, after = template.replace("{{ task }}", "{{task}}").partition("{{task}}")
    head = before[before.rfind("}") + 1 :][-80:]
    tail = after.split("{", 1)[0].rstrip()[:80]
    if not found or not head.strip() or not tail.strip() or head not in message:
        return ""
    rest = message.split(head, 1)[1]
    return rest.split(tail, 1)[0].strip() if tail in rest else ""


def _is_exit(item: object) -> bool:
    return isinstance(item, Mapping) and item.get("role") == "exit"


def _said(item: object) -> Said:
    if isinstance(item, Mapping) and "role" not in item:
        item = _from_response(item)
    said = said_of(item)
    extra = mapping(item, "extra") if isinstance(item, Mapping) else {}
    return _with_actions(said, extra.get("actions")) if said.role == "assistant" else said


def _with_actions(said: Said, actions: object) -> Said:
    """The message with the command that mini-swe-agent ran: as it recorded it, or by its rule (exactly one fence)."""
    if said.calls or said.problem:
        return said
    blocks = list(_ACTION.finditer(said.text))
    if isinstance(actions, list) and actions:
        commands = [action.get("command") for action in actions if isinstance(action, Mapping)]
    else:
        commands = [block.group(1) for block in blocks]
    if len(commands) != 1 or not isinstance(commands[0], str):
        return replace(said, problem="several commands" if commands else "no command")
    thought = said.text[: blocks[0].start()] if blocks else said.text
    call = Call(SHELL_TOOL, {"command": commands[0]})
    text = thought.strip().removeprefix("THOUGHT:").strip()
    return replace(said, calls=(call,), text=text, written=said.text)


def _from_response(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """A message of the Responses API as one of the chat form."""
    if item.get("type") == "function_call_output":
        answered = {"tool_call_id": item.get("call_id")}
        return {"role": "tool", "content": item.get("output"), "extra": item.get("extra"), **answered}
    output = item.get("output")
    if not isinstance(output, Sequence) or isinstance(output, str):
        return item
    parts = [part for part in output if isinstance(part, Mapping)]
    return {
        "role": "assistant",
        "content": [inner for part in parts if part.get("type") == "message" for inner in part.get("content") or []],
        "tool_calls": [part for part in parts if part.get("type") == "function_call"],
        "extra": {},
    }
