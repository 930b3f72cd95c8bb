"""ATIF 1.5, Harbor's trajectory format."""

from __future__ import annotations

from typing import Any

from swe_srl.trajectories.export.messages import TOOL
from swe_srl.trajectories.metadata import KEY, metadata_of
from swe_srl.types import Action, Trajectory, Turn


def to_atif(trajectory: Trajectory) -> dict[str, Any]:
    """The trajectory as one ATIF document."""
    steps: list[dict[str, Any]] = []
    if trajectory.system_prompt:
        steps.append({"source": "system", "message": trajectory.system_prompt})
    steps.append({"source": "user", "message": trajectory.problem_statement})
    steps.extend(_step(turn, index) for index, turn in enumerate(trajectory.turns))
    return {
        "schema_version": "ATIF-v1.5",
        "session_id": trajectory.trajectory_id,
        "agent": {"name": "swe-srl", "version": "1"},
        "steps": [{"step_id": number, **step} for number, step in enumerate(steps, start=1)],
        "final_metrics": {
            "total_prompt_tokens": sum(turn.prompt_tokens for turn in trajectory.turns),
            "total_completion_tokens": sum(turn.completion_tokens for turn in trajectory.turns),
        },
        "extra": {KEY: metadata_of(trajectory)},
    }


def _step(turn: Turn, index: int) -> dict[str, Any]:
    step: dict[str, Any] = {"source": "agent"}
    result: dict[str, Any] = {"content": turn.observation}
    extra: dict[str, Any] = {"exit_code": turn.exit_code, "plain": True}
    if turn.killed:
        extra["killed"] = True
    if isinstance(turn.action, Action):
        name = f"call_{index}"
        step["message"] = turn.action.thought
        step["tool_calls"] = [
            {"tool_call_id": name, "function_name": TOOL, "arguments": {"command": turn.action.command}}
        ]
        result["source_call_id"] = name
    else:
        step["message"] = turn.action.text
        extra["format_error"] = turn.action.reason
    step["observation"] = {"results": [result]}
    if turn.prompt_tokens or turn.completion_tokens:
        step["metrics"] = {"prompt_tokens": turn.prompt_tokens, "completion_tokens": turn.completion_tokens}
    return {**step, "extra": extra}
