"""Which of a stage's settings each method reads: one that is set and not read is refused. Imports neither torch nor a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from swe_srl.errors import ConfigError
from swe_srl.settings import settings_of

if TYPE_CHECKING:
    from swe_srl.training.settings import StageSettings

SAMPLED, STEPS = ("srl", "rlvr"), ("srl", "sft")
READ_BY: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("group_size", "std_scaling", "clip_low", "clip_high", "kl"), SAMPLED),
    **dict.fromkeys(("dynamic_sampling", "epsilon", "max_resampling", "inner_epochs", "minibatches"), SAMPLED),
    **dict.fromkeys(("steps_per_trajectory", "sft_target", "shuffle_targets", "format_penalty"), STEPS),
    **dict.fromkeys(("pivot_samples", "pivot_below", "pivot_steps", "srl_target"), ("srl",)),
    "step_weight": ("rlvr",),
}  # all others are read by every method: in sft, what is sampled is its validation


def with_overrides(stages: Sequence[StageSettings], given: Mapping[str, Any]) -> tuple[StageSettings, ...]:
    """The stages with the run's own values of their settings, each in those stages whose method reads it.

    Raises:
        ConfigError: no stage reads a setting of the run, or a stage has one that its method does not read.
    """
    methods = [given.get("method", stage.method) for stage in stages]
    for name in given:
        if not any(_reads(method, name) for method in methods):
            raise ConfigError(
                f"{name}: no stage of this run reads it. {_whose(name)}; the stages are {_listed(methods)}"
            )
    if given:
        stages = [
            dataclasses.replace(stage, **{name: value for name, value in given.items() if _reads(method, name)})
            for stage, method in zip(stages, methods, strict=True)
        ]
    for index, stage in enumerate(stages):
        _check_read(stage, index)
    return tuple(stages)


def _check_read(stage: StageSettings, index: int) -> None:
    for name, item in settings_of(type(stage)).items():
        value = getattr(stage, name)
        if not _reads(stage.method, name) and value != item.default():
            raise ConfigError(
                f"stages.{index}.{name} is {value}, but the stage's method, {stage.method}, does not read it. "
                f"{_whose(name)}: leave it out"
            )


def _reads(method: str, name: str) -> bool:
    return method in READ_BY.get(name, (method,))


def _whose(name: str) -> str:
    return f"It is a setting of {' and '.join(READ_BY[name])}"


def _listed(methods: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(methods))
