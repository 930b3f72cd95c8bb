"""How an update's units are split into optimiser steps, and where these are in the stage."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import pairwise

from swe_srl.training.settings import StageSettings


def minibatches(stage: StageSettings, units: int, seed: int, number: int) -> Iterator[tuple[int, list[int]]]:
    """The optimiser steps of an update: every inner epoch in seeded minibatches.

    Args:
        units: of the update; fewer than there are minibatches make fewer steps.
        seed: of the order.
        number: of the update, from 1.

    Yields:
        The place of the step among all that the stage makes when every batch is full, from 0, and the step's units. So a schedule
        reaches its end whatever the batches hold.
    """
    order = list(range(units))
    for epoch in range(stage.inner_epochs):
        if stage.minibatches > 1:
            random.Random(f"{seed} {epoch}").shuffle(order)
        parts = split(order, stage.minibatches)
        begin = ((number - 1) * stage.inner_epochs + epoch) * stage.minibatches
        for done, part in enumerate(parts):
            yield begin + done * stage.minibatches // len(parts), part


def split(order: Sequence[int], parts: int) -> list[list[int]]:
    """At most `parts` slices whose sizes differ by at most one, none empty."""
    bounds = [round(i * len(order) / parts) for i in range(parts + 1)]
    return [list(order[a:b]) for a, b in pairwise(bounds) if a < b]
