"""AdamW with a learning rate that is a function of the place in the stage alone, so that resuming needs no scheduler state."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from swe_srl.training.divergence import DivergedError
from swe_srl.training.settings import StageSettings

T = TypeVar("T")


def learning_rate(stage: StageSettings, step: int, total: int) -> float:
    """The learning rate of optimiser step `step` (from 0) of `total`.

    >>> [learning_rate(StageSettings(learning_rate=1.0, warmup=0.5, schedule="linear"), i, 4) for i in range(4)]
    [0.5, 1.0, 1.0, 0.5]
    """
    rising = math.ceil(stage.warmup * total)
    if step < rising:
        return stage.learning_rate * (step + 1) / rising
    progress = (step - rising) / max(1, total - rising)
    if stage.schedule == "linear":
        return stage.learning_rate * (1 - progress)
    if stage.schedule == "cosine":
        return stage.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
    return stage.learning_rate


@torch.no_grad()
def all_finite(tensors: Sequence[Tensor]) -> bool:
    """Whether all numbers of these tensors are finite: one pass over them."""
    held = [one.detach() for one in tensors if one.numel()]
    return not held or math.isfinite(float(torch.nn.utils.get_total_norm(held, math.inf)))


class Optimiser:
    """AdamW over a model's trainable parameters, with clipping of the gradient norm.

    Args:
        model: its trainable parameters are updated in place.
        stage: learning rate, schedule, weight decay, bound on the gradient norm.
        total: optimiser steps of the stage, when every batch is full.
        sharded: whether the parameters are shared out among processes (see `training.sharding`).
    """

    def __init__(self, model: nn.Module, stage: StageSettings, total: int, sharded: bool = False) -> None:
        self.sharded = sharded
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.stage, self.total, self.steps = stage, total, 0
        self.adam = torch.optim.AdamW(self.parameters, lr=stage.learning_rate, weight_decay=stage.weight_decay)

    def step(self, place: int) -> tuple[float, float]:
        """Apply the gathered gradients and clear them; returns their norm before clipping, and the learning rate.

        Args:
            place: of this step among the `total` (from 0): updates that made fewer steps than planned count whole.

        Raises:
            DivergedError: the gradient is not finite; the parameters are left as they are.
        """
        bound = self.stage.grad_norm or math.inf
        norm = float(self._whole(torch.nn.utils.clip_grad_norm_(self.parameters, bound)))
        if not math.isfinite(norm):
            raise DivergedError(f"the gradient's norm is {norm}")
        rate = learning_rate(self.stage, place, self.total)
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        self.steps += 1
        return norm, rate

    def finite(self) -> bool:
        """Whether all parameters are finite: one pass over them, as cheap as a part of a step. All processes must ask."""
        if self.sharded:
            from swe_srl.training.sharding import finite_everywhere

            return finite_everywhere(self.parameters)
        return all_finite(self.parameters)

    def state(self) -> dict[str, Tensor | int | dict[str, object]]:
        """What resuming needs."""
        return {"adam": self._whole(self.adam.state_dict()), "steps": self.steps}

    def restore(self, state: dict[str, object]) -> None:
        """Go on from `state`."""
        adam, steps = state["adam"], state["steps"]
        assert isinstance(adam, dict) and isinstance(steps, int)
        if self.sharded:
            from swe_srl.training.sharding import shard_state

            adam = shard_state(adam, self.parameters)
        self.adam.load_state_dict(adam)
        self.steps = steps

    def _whole(self, value: T) -> T:
        """What the processes share, gathered: all of them must ask."""
        if not self.sharded:
            return value
        from swe_srl.training.sharding import whole

        return cast(T, whole(value))
