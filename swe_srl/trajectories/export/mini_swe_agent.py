"""mini-swe-agent's `.traj.json`, version 2 with tool calls."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from swe_srl.trajectories.action_format import SUBMIT
from swe_srl.trajectories.export.messages import opening, tool_messages
from swe_srl.trajectories.metadata import KEY, metadata_of
from swe_srl.types import Action, StopReason, Trajectory, Turn

SUBMISSION = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
_STATUSES = {
    StopReason.SUBMITTED: "Submitted",
    StopReason.TURN_LIMIT: "LimitsExceeded",
    StopReason.TIME_LIMIT: "TimeExceeded",
    StopReason.FORMAT_ERRORS: "RepeatedFormatError",
}


def to_mini_swe_agent(trajectory: Trajectory) -> dict[str, Any]:
    """The trajectory as mini-swe-agent saves it; the reserved submit command becomes its own."""
    messages = opening(trajectory)
    for index, turn in enumerate(trajectory.turns):
        said, answer = tool_messages(_with_submission(turn), index)
        calls = said.get("tool_calls", ())
        said["extra"] = {**said.get("extra", {}), "actions": [_action(call) for call in calls]}
        messages.extend((said, answer))
    status = _STATUSES.get(trajectory.stop_reason, "") if trajectory.stop_reason else ""
    outcome = {"exit_status": status, "submission": trajectory.patch}
    messages.append({"role": "exit", "content": trajectory.patch, "extra": outcome})
    return {
        "info": {"config": {"agent": {}, "agent_type": "swe_srl"}, "mini_version": "2.0.0", **outcome},
        "messages": messages,
        "trajectory_format": "mini-swe-agent-1.1",
        "instance_id": trajectory.task_id,
        KEY: metadata_of(trajectory),
    }


def _with_submission(turn: Turn) -> Turn:
    if isinstance(turn.action, Action) and turn.action.command == SUBMIT:
        return replace(turn, action=replace(turn.action, command=SUBMISSION))
    return turn


def _action(call: dict[str, Any]) -> dict[str, str]:
    return {"command": json.loads(call["function"]["arguments"])["command"], "tool_call_id": call["id"]}
