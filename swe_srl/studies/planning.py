"""What the runs of a study will take, and which of them fit into a budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from swe_srl.studies.definition import Arm
from swe_srl.studies.records import Record
from swe_srl.studies.settings import COMPUTE, DATA
from swe_srl.studies.units import FIRST_SEEDS, Runs, Unit, updates_of

MARGIN = 1.15  # a run is begun when so many times its estimate is left
START = 15.0  # seconds of a run beside its updates and episodes: loading, the first checkpoint
RESERVE = 30.0  # seconds kept for the tables and figures
MATCHED = 0.1  # a run whose compute is nearer than this to what is asked for stands in for one that has it
SHARES = (1.0, 0.5, 0.25)  # of the recipes' updates


@dataclass(frozen=True)
class Cost:
    """What a run takes: seconds, and tokens as `compute_tokens` counts them."""

    seconds: float = 0.0
    tokens: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.seconds + other.seconds, self.tokens + other.tokens)


@dataclass(frozen=True)
class Choice:
    """What fits into a budget."""

    taken: Sequence[tuple[Unit, Cost]]
    left: Sequence[tuple[Unit, Cost]]

    @property
    def total(self) -> Cost:
        """Of what is taken."""
        return sum((cost for _, cost in self.taken), Cost())


class Costs:
    """Estimates of a study's runs: what was measured here, and the study's own figures for what was not yet.

    Args:
        runs: of the study.
        records: of finished runs.
        tasks: held-out tasks of an evaluation.
    """

    def __init__(self, runs: Runs, records: Iterable[Record], tasks: int) -> None:
        self.runs, self.tasks = runs, tasks
        done = [record for record in records if record.status == "done"]
        self.finished = {record.name for record in done}
        self.records = {record.name: record for record in done if not record.same_as}
        self.measured = self._measured()
        expected = [arm for arm in runs.arms if arm.name in self.measured and arm.seconds and arm.tokens]
        factors = [self.measured[arm.name].seconds / (arm.seconds / arm.tokens) for arm in expected]
        self.speed = median([*factors, *self._episode_factors()] or [1.0])

    def of(self, unit: Unit) -> Cost:
        """What a run will take; nothing when it is finished, or when another one will stand in for it."""
        if unit.name in self.finished or (unit.table == COMPUTE and self._stands_in(unit)):
            return Cost()
        return self._stages(unit.arm, unit.table, unit.seed) + Cost(
            START + self.tasks * self.runs.samples * self.episode_seconds
        )

    @property
    def episode_seconds(self) -> float:
        """Of an evaluation's episodes."""
        known = [record for record in self.records.values() if record.episodes]
        if known:
            return sum(one.eval_seconds for one in known) / sum(one.episodes for one in known)
        return self.runs.study.seconds_per_episode * self.speed

    def compute(self, seed: int) -> float:
        """The compute that the second table gives every arm: what the main arm's run of this seed takes."""
        main = self.runs.study.arm(self.runs.study.main)
        found = self.records.get(Unit(DATA, main, seed).name)
        return found.compute if found is not None else self._data(main, seed).tokens

    def choose(self, budget: float) -> Choice:
        """The runs that fit, in their order; one that does not fit is left out, and so are those that need it."""
        taken: list[tuple[Unit, Cost]] = []
        left: list[tuple[Unit, Cost]] = []
        missing: set[Unit] = set()
        rest = budget - RESERVE
        for unit in self.runs.units():
            cost = self.of(unit)
            needed = [one for one in needs(self.runs, unit) if one in missing]
            if needed or (cost.seconds and MARGIN * cost.seconds > rest):
                left.append((unit, cost))
                missing.add(unit)
                continue
            rest -= MARGIN * cost.seconds
            taken.append((unit, cost))
        return Choice(taken, left)

    def _measured(self) -> dict[str, Cost]:
        """By arm: seconds per token of its own stages, and tokens per update."""
        found: dict[str, list[Cost]] = {}
        for arm in self.runs.arms:
            for seed in self.runs.seeds:
                record = self.records.get(Unit(DATA, arm, seed).name)
                if record is not None and record.own_compute and sum(record.updates):
                    rate = Cost(record.train_seconds / record.own_compute, record.own_compute / sum(record.updates))
                    found.setdefault(arm.name, []).append(rate)
        return {
            name: Cost(fmean(one.seconds for one in rates), fmean(one.tokens for one in rates))
            for name, rates in found.items()
        }

    def _episode_factors(self) -> list[float]:
        known = [record for record in self.records.values() if record.episodes]
        if not known or not self.runs.study.seconds_per_episode:
            return []
        seconds = sum(one.eval_seconds for one in known) / sum(one.episodes for one in known)
        return [seconds / self.runs.study.seconds_per_episode]

    def _rate(self, arm: Arm) -> Cost:
        """Seconds per token, and tokens per update."""
        if arm.name in self.measured:
            return self.measured[arm.name]
        return Cost(self.speed * arm.seconds / arm.tokens if arm.tokens else 0.0, arm.tokens)

    def _data(self, arm: Arm, seed: int) -> Cost:
        """A training on matched data, without what the arm goes on from."""
        if not arm.recipe:
            return Cost()
        found, rate = self.records.get(Unit(DATA, arm, seed).name), self._rate(arm)
        tokens = found.own_compute if found is not None else rate.tokens * updates_of(self.runs.stages(arm))
        return Cost(tokens * rate.seconds, tokens)

    def _stages(self, arm: Arm, table: str, seed: int) -> Cost:
        if table == DATA:
            return self._data(arm, seed)
        chain = self.runs.chain(arm)
        parts = [one for one in chain for _ in self.runs.stages(one)]
        each = self.compute(seed) / max(1, len(parts))
        return sum((Cost(each * self._rate(one).seconds, each) for one in parts), Cost())

    def _stands_in(self, unit: Unit) -> bool:
        found = self.records.get(Unit(DATA, unit.arm, unit.seed).name)
        tokens = sum(self._data(one, unit.seed).tokens for one in self.runs.chain(unit.arm))
        return matched(found.compute if found is not None else tokens, self.compute(unit.seed))


def least_seconds(runs: Runs, tasks: int) -> float:
    """The shortest budget with which something can be compared: the base and the cheapest trained arm, with few updates."""
    costs = Costs(dataclasses.replace(runs, share=SHARES[-1]), [], tasks)
    seconds = {arm.name: costs.of(Unit(DATA, arm, runs.seeds[0])).seconds for arm in runs.arms if not arm.after}
    return RESERVE + MARGIN * (seconds.pop(runs.study.base) + min(seconds.values(), default=0.0))


def matched(tokens: float, wanted: float) -> bool:
    """Whether a run's compute is as good as what is asked for.

    >>> matched(95, 100), matched(80, 100)
    (True, False)
    """
    return wanted > 0 and abs(tokens - wanted) <= MATCHED * wanted


def needs(runs: Runs, unit: Unit) -> list[Unit]:
    """The runs that have to be finished before this one."""
    found = [Unit(DATA, runs.study.arm(unit.arm.after), unit.seed)] if unit.arm.after and unit.table == DATA else []
    if unit.table == COMPUTE:
        found += [Unit(DATA, runs.study.arm(runs.study.main), unit.seed), Unit(DATA, unit.arm, unit.seed)]
    return found


def choose_share(runs: Runs, records: Sequence[Record], tasks: int, budget: float) -> float:
    """The largest share of the recipes' updates with which the first arms and seeds, and a seed of each control, fit; the
    smallest when none does."""
    seeds = runs.seeds[:FIRST_SEEDS]
    early = {Unit(DATA, arm, seed) for arm in runs.arms[: runs.study.core] for seed in seeds}
    early |= {Unit(DATA, arm, seeds[0]) for arm in runs.controls}
    for share in SHARES:
        tried = dataclasses.replace(runs, share=share)
        if early <= {unit for unit, _ in Costs(tried, records, tasks).choose(budget).taken}:
            return share
    return SHARES[-1]
