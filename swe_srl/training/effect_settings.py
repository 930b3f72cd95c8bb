"""Where similarity `effect` can be a reward: settings that it does not go with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from swe_srl.errors import ConfigError
from swe_srl.rewards.registry import EFFECT

if TYPE_CHECKING:
    from swe_srl.training.settings import StageSettings


def check_effect(stage: StageSettings) -> None:
    """Refuse what has no effects to compare.

    Raises:
        ConfigError: the targets are not what the expert did there, or the states are not the expert's.
    """
    if stage.similarity != EFFECT:
        return
    if stage.method == "srl" and stage.srl_target == "rest":
        raise ConfigError(
            "similarity: effect compares one command with the expert's next one, not with the rest of its trajectory: with "
            "srl_target rest, train with shell"
        )
    if stage.method == "srl" and stage.shuffle_targets:
        raise ConfigError(
            "similarity: effect tries a target where the expert gave it, and shuffle_targets gives every step the target of "
            "another one: train this control with shell"
        )
    if stage.method == "rlvr" and stage.step_weight > 0:
        raise ConfigError(
            "similarity: effect tries commands where the expert was, and an episode of rlvr goes its own way: with "
            "step_weight, use shell"
        )


def tries_commands(stage: StageSettings) -> bool:
    """Whether a stage tries commands: in every update (srl), or in its validations alone (sft)."""
    return stage.similarity == EFFECT and (stage.method == "srl" or validates_by_effect([stage]))


def validates_by_effect(stages: Iterable[StageSettings]) -> bool:
    """Whether a validation of one of the stages tries commands."""
    return any(one.similarity == EFFECT and one.method != "rlvr" and one.eval_every > 0 for one in stages)
