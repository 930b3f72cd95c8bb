"""Dynamic sampling: groups whose rewards are too much alike are replaced until the batch is full."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from swe_srl.training.data import StepStream
from swe_srl.training.settings import StageSettings

SLOWEST_RATE = 0.25  # a round draws at most 1 / this many groups for each one that is missing
RATE_MEMORY = 0.8  # weight of the past in the running share of groups kept


class Group(Protocol):
    """What is compared with each other: completions of a step, or episodes of a task."""

    @property
    def spread(self) -> float: ...

    def row(self) -> dict[str, Any]: ...


G = TypeVar("G", bound=Group)


def take_fitting(stream: StepStream, count: int, fits: Callable[[int], bool]) -> tuple[list[tuple[int, int]], int]:
    """The next `count` (epoch, index) pairs whose index fits, and how many were passed over; at least one must fit."""
    taken: list[tuple[int, int]] = []
    passed = 0
    while len(taken) < count:
        drawn = stream.take(count - len(taken))
        fitting = [pair for pair in drawn if fits(pair[1])]
        passed += len(drawn) - len(fitting)
        taken += fitting
    return taken, passed


class GroupSampler(Generic[G]):
    """Draws the batches of one stage, each group from the next step or task of a seeded order.

    Args:
        count: of steps or tasks.
        stage: `batch_steps` and dynamic sampling.
        seed: of the order.
        from_row: reads back what a group's `row` gave.
        trajectories: of each step, in order: for `steps_per_trajectory`.
    """

    def __init__(
        self,
        count: int,
        stage: StageSettings,
        seed: int,
        from_row: Callable[[dict[str, Any]], G],
        trajectories: Sequence[str] = (),
    ) -> None:
        self.stage, self.seed = stage, seed
        together = stage.steps_per_trajectory if trajectories else 1
        self.stream = StepStream(count, seed, trajectories=trajectories, together=together)
        self.rate = 1.0  # running share of drawn groups that are kept
        self.waiting: list[G] = []  # usable groups beyond the last batch: the first of the next one
        self._from_row = from_row

    def state(self) -> dict[str, Any]:
        """What resuming needs, as JSON data."""
        return {"drawn": self.stream.drawn, "rate": self.rate, "waiting": [group.row() for group in self.waiting]}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.stream.drawn = state["drawn"]
        self.rate = state["rate"]
        self.waiting = [self._from_row(row) for row in state["waiting"]]

    def fill(self, draw: Callable[[int], list[G]]) -> list[G]:
        """`batch_steps` groups, the waiting ones first; fewer when the bound on resampling is reached before.

        Args:
            draw: gives the groups of so many next steps or tasks; fewer when some cannot be used at all.
        """
        wanted, bound = self.stage.batch_steps, math.ceil(self.stage.max_resampling * self.stage.batch_steps)
        kept, drawn = list(self.waiting), 0
        while len(kept) < wanted and drawn < bound:
            ask = min(bound - drawn, math.ceil((wanted - len(kept)) / max(self.rate, SLOWEST_RATE)))
            drawn += ask
            groups = draw(ask)
            if not self.stage.dynamic_sampling:
                kept += groups
                continue
            usable = [group for group in groups if group.spread > self.stage.epsilon]
            if groups:
                self.rate = RATE_MEMORY * self.rate + (1 - RATE_MEMORY) * len(usable) / len(groups)
            kept += usable
        self.waiting = kept[wanted:]
        return kept[:wanted]
