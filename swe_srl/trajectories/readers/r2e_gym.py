"""R2E-Gym's recorded trajectories: `trajectory_steps` of thought, action and observation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swe_srl.errors import TrajectoryError
from swe_srl.trajectories.chat import Conversation, Said, assemble
from swe_srl.trajectories.fields import integer, mapping, stop_reason, string
from swe_srl.types import Trajectory

NAME = "r2e-gym"


def recognises(value: object) -> bool:
    """Whether a record is of this format."""
    return isinstance(value, Mapping) and isinstance(value.get("trajectory_steps"), list)


def convert(row: Mapping[str, Any], label: str) -> Trajectory:
    """The trajectory of one record.

    Raises:
        TrajectoryError: a step that is no object.
    """
    said: list[Said] = []
    for step in row["trajectory_steps"]:
        if not isinstance(step, Mapping):
            raise TrajectoryError(f"a step is {type(step).__name__}, not an object")
        text = "\n\n".join(filter(None, (string(step, "thought"), string(step, "action"))))
        said.append(Said("assistant", text))
        code = integer(mapping(step, "info").get("exit_code"))
        said.append(Said("tool", string(step, "observation"), exit_code=code))
    source, reward = mapping(row, "ds"), row.get("reward")
    task_id = string(source, "instance_id") or string(row, "docker_image")
    return assemble(
        Conversation(
            said=tuple(said),
            trajectory_id=".".join(filter(None, (task_id, string(row, "exp_name")))) or label,
            task_id=task_id,
            source_format=NAME,
            problem_statement=string(row, "problem_statement"),
            repo=string(source, "repo", "repo_name"),
            base_commit=string(source, "base_commit", "commit_hash"),
            resolved=reward == 1 if isinstance(reward, (int, float)) else None,
            patch=string(row, "output_patch"),
            stop_reason=stop_reason(string(row, "exit_reason")),
            extra={"docker_image": string(row, "docker_image")},
        )
    )
