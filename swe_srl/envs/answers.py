"""An environment of one problem: the actions are steps of its solution, and the one with `\\boxed{}` is the last."""

from __future__ import annotations

from typing import Any

import gymnasium

from swe_srl.envs.spaces import TerminalText
from swe_srl.tasks.problems import last_boxed
from swe_srl.types import Task


class AnswerEnv(gymnasium.Env[str, str]):
    """A problem to be solved in text. Nothing runs: the observation after a step is empty.

    The reward is 0: `swe_srl.grading.grade` compares the answer.

    Args:
        task: the problem.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 (as gymnasium declares it)

    def __init__(self, task: Task) -> None:
        self.task = task
        self.steps: list[str] = []
        self.observation_space = TerminalText()
        self.action_space = TerminalText()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Gives the problem's text."""
        super().reset(seed=seed)
        self.steps = []
        return self.task.problem_statement, {"task_id": self.task.instance_id}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Takes a step of the solution; it ends the episode when it gives an answer."""
        self.steps.append(action)
        return "", 0.0, bool(last_boxed(action)), False, {"task_id": self.task.instance_id, "exit_code": 0}

    def patch(self) -> str:
        """What is graded: the solution, all its steps."""
        return "\n\n".join(self.steps)
