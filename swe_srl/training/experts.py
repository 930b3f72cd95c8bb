"""What the expert did in the tasks of rlvr: the commands that gated step rewards compare an episode's with."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Mapping, Sequence

from swe_srl.agents.definition import AgentDefinition
from swe_srl.errors import ConfigError
from swe_srl.rewards import get_similarity, step_reward
from swe_srl.training.data import quickstart_file
from swe_srl.training.rollouts import sharpened
from swe_srl.training.sampled import SampledTurn
from swe_srl.training.settings import QUICKSTART, StageSettings, TrainSettings
from swe_srl.trajectories import ReadReport, read_trajectories
from swe_srl.trajectories.action_format import is_shell, parse_action
from swe_srl.trajectories.steps import commands_of
from swe_srl.types import Action

Commands = Mapping[str, Sequence[str]]  # by task


def expert_commands(settings: TrainSettings) -> dict[str, tuple[str, ...]]:
    """The expert's commands by task, of the run's trajectories, as the agent would give them; empty when no stage asks for step
    rewards.

    Of several trajectories of a task, the last one counts; a malformed turn is none. What cannot be read is reported where the
    steps are made.
    """
    if not settings.needs_experts:
        return {}
    bundled = settings.trajectories == QUICKSTART
    source = quickstart_file("trajectories-train.jsonl") if bundled else settings.trajectories
    agent = AgentDefinition.load(settings.agent_name)
    return {
        one.task_id: commands_of(one, agent.submit, agent.prompting.action_format)
        for one in read_trajectories(source, ReadReport(), more=settings.logs)
        if one.task_id
    }


def experts_fingerprint(commands: Commands) -> dict[str, str]:
    """Of the experts' commands, when there are any."""
    if not commands:
        return {}
    return {"experts": f"sha256:{hashlib.sha256(json.dumps(sorted(commands.items())).encode()).hexdigest()}"}


def require_experts(commands: Commands, tasks: Sequence[str], source: str) -> int:
    """How many of the tasks have an expert.

    Raises:
        ConfigError: none has.
    """
    count = sum(task in commands for task in tasks)
    if not count:
        raise ConfigError(
            f"step_weight: none of the {len(tasks)} tasks of rlvr has an expert among the {len(commands)} tasks of "
            f"trajectories {source}: give trajectories of these tasks, or set step_weight to 0"
        )
    return count


class StepRewards:
    """How close an episode's commands are to the expert's of the same turns.

    Args:
        commands: the expert's, by task.
        stage: similarity and sharpness.
        form: how a completion holds its command (see `action_format`).
    """

    def __init__(self, commands: Commands, stage: StageSettings, form: str = "bash") -> None:
        self.commands, self.sharpness, self.form = commands, stage.sharpness, form
        self.similarity = get_similarity(stage.similarity, shell=is_shell(form))

    def __call__(self, task_id: str, turns: Sequence[SampledTurn]) -> float:
        """The mean over turns, in [0, 1]: 0 for a malformed one, beyond the expert's last, and for a task without an expert."""
        targets = self.commands.get(task_id, ())
        values = [self._value(turn, target) for turn, target in zip(turns, targets, strict=False)]
        return statistics.fmean([*values, *[0.0] * (len(turns) - len(values))]) if turns else 0.0

    def _value(self, turn: SampledTurn, target: str) -> float:
        action = parse_action(turn.text, self.form)
        if turn.malformed or not isinstance(action, Action):
            return 0.0
        return sharpened(step_reward(action, target, self.similarity, 0.0).value, self.sharpness)
