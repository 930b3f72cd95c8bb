"""What the numbers of a stage must be like. Imports neither torch nor a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swe_srl.errors import ConfigError
from swe_srl.settings import check_at_least, settings_of

if TYPE_CHECKING:
    from swe_srl.training.settings import StageSettings

FLOAT32 = 3.4028234663852886e38  # the largest
FIRST_STEP = 0.09  # AdamW's first step divides the learning rate by 1 - 0.9, so by a tenth


def check_bounds(stage: StageSettings) -> None:
    """Check the numbers of a stage.

    Raises:
        ConfigError: names the setting, its bound and its value.
    """
    at_least = {"updates": 0, "epochs": 1, "batch_steps": 1, "steps_per_trajectory": 1, "inner_epochs": 1}
    at_least |= {"eval_every": 0, "save_every": 0, "max_new_tokens": 1, "validation_steps": 1, "minibatches": 1}
    at_least |= {"group_size": 1 if stage.method == "sft" else 2, "max_resampling": 1}
    at_least |= {"learning_rate": 0, "weight_decay": 0, "grad_norm": 0, "kl": 0, "epsilon": 0, "clip_high": 0}
    check_at_least(stage, pivot_samples=0, pivot_steps=0, step_weight=0, compute_tokens=0, **at_least)
    for name in settings_of(type(stage)):
        value = getattr(stage, name)
        if isinstance(value, float) and abs(value) > FLOAT32:
            raise ConfigError(f"{name} must be within the range of float32 (up to 3.4e38), not {value:g}")
    if stage.learning_rate * max(1.0, stage.weight_decay) > FIRST_STEP * FLOAT32:
        raise ConfigError(
            f"learning_rate {stage.learning_rate:g}{' times weight_decay' if stage.weight_decay > 1 else ''} makes steps beyond "
            f"float32: it must be at most {FIRST_STEP * FLOAT32:.1e} (a usual one is 1e-6 to 1e-3)"
        )
    if stage.pivot_samples == 1:
        raise ConfigError("pivot_samples must be 0 or at least 2, not 1: one reward is never mixed")
    if stage.sharpness <= 0:
        raise ConfigError(f"sharpness must be positive, not {stage.sharpness}")
    if stage.temperature <= 0:
        raise ConfigError(f"temperature must be positive, not {stage.temperature}: greedy samples are all the same")
    for name in ("warmup", "clip_low"):
        if not 0 <= getattr(stage, name) < 1:
            raise ConfigError(f"{name} must be at least 0 and below 1, not {getattr(stage, name)}")
    if stage.compute_tokens and (stage.schedule != "constant" or stage.warmup):
        raise ConfigError("compute_tokens needs a constant learning rate: where the stage ends is not known before")
    if stage.minibatches > stage.batch_steps:
        raise ConfigError(f"minibatches ({stage.minibatches}) must not exceed batch_steps ({stage.batch_steps})")
