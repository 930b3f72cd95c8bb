"""The runs of a study: which there are, in which order, where they are and with which settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swe_srl.errors import ConfigError
from swe_srl.studies.definition import Arm, Study, recipe_of
from swe_srl.studies.settings import COMPUTE, DATA, ReproduceSettings
from swe_srl.training.settings import StageSettings, TrainSettings

if TYPE_CHECKING:
    from swe_srl.evaluation import EvalSettings

MANY = 1_000_000  # updates of a stage that its compute ends
FIRST_SEEDS = 2  # seeds of the first arms before the other arms have their turn


@dataclass(frozen=True)
class Unit:
    """One training of one arm with its evaluation: the smallest piece of a study that is begun or left out."""

    table: str  # one of `settings.TABLES`
    arm: Arm
    seed: int

    @property
    def name(self) -> str:
        """Of its folder, below the study's `runs`."""
        return f"{self.table}/{self.arm.name}-{self.seed}"


@dataclass(frozen=True)
class Runs:
    """Where the runs of a study are and how they are made.

    Args:
        settings: what the user asked for.
        study: the arms.
        share: of the recipes' updates, when the user named none: less than 1 when a budget is short.
    """

    settings: ReproduceSettings
    study: Study
    share: float = 1.0

    @property
    def arms(self) -> list[Arm]:
        """The arms that are asked for, with those that they need."""
        return self.study.chosen(self.settings.arms)

    @property
    def controls(self) -> list[Arm]:
        """Those of the arms that must not improve."""
        return [arm for arm in self.arms if arm.control]

    @property
    def seeds(self) -> list[int]:
        """The seeds that are asked for."""
        usual = self.study.most_seeds if self.settings.budget else self.study.seeds
        return [self.settings.seed + number for number in range(self.settings.seeds or usual)]

    @property
    def samples(self) -> int:
        """Episodes per task and seed."""
        return self.settings.samples or self.study.samples

    def tables(self) -> tuple[str, ...]:
        """The tables that can be made: those of the study; compute is matched with the main arm's, so it takes the main arm."""
        names = {arm.name for arm in self.arms}
        wanted = [one for one in self.settings.tables if one in self.study.tables]
        if not wanted:
            raise ConfigError(f"tables: {self.settings.study} has only {', '.join(self.study.tables)}")
        return tuple(one for one in wanted if one == DATA or self.study.main in names)

    def units(self) -> list[Unit]:
        """All runs, the most important first: the first arms with two seeds, controls with one, the others, then more seeds.

        The base and the main arm have one run for both tables.
        """
        head, rest = self.arms[: self.study.core], self.arms[self.study.core :]
        first, later = self.seeds[:FIRST_SEEDS], self.seeds[FIRST_SEEDS:]
        tables = (DATA, *(table for table in self.tables() if table != DATA))
        rounds = [(table, arms, first) for arms in (head, rest) for table in tables]
        rounds.insert(1, (DATA, self.controls, first[:1]))
        rounds += [(table, self.arms, [seed]) for seed in later for table in tables]
        found = (Unit(table, arm, seed) for table, arms, seeds in rounds for seed in seeds for arm in arms)
        shared = (self.study.base, self.study.main)
        return list(dict.fromkeys(unit for unit in found if unit.table == DATA or unit.arm.name not in shared))

    def of(self, table: str, arm: Arm, seed: int) -> Unit:
        """The run that a table shows of an arm."""
        shared = arm.name in (self.study.base, self.study.main)
        return Unit(DATA if shared else table, arm, seed)

    def recipe(self, arm: Arm) -> TrainSettings:
        """The recipe of an arm, by whose agent definition and arithmetic it is evaluated, too; the base has the main arm's."""
        return recipe_of(arm if arm.recipe else self.study.arm(self.study.main))

    def folder(self, unit: Unit) -> Path:
        """Of a run: its training is in `train`, its evaluation in `eval`."""
        return self.settings.folder / "runs" / unit.name

    def chain(self, arm: Arm) -> list[Arm]:
        """The arm and those that it goes on from, the first one first."""
        before = self.chain(self.study.arm(arm.after)) if arm.after else []
        return [*before, arm]

    def stages(self, arm: Arm) -> list[StageSettings]:
        """The arm's own stages on matched data."""
        stages = recipe_of(arm).stages
        if self.settings.updates is not None:
            return [dataclasses.replace(stage, updates=self.settings.updates) for stage in stages]
        if self.share == 1.0:
            return list(stages)
        return [_shortened(stage, self.share) for stage in stages]

    def training(self, unit: Unit, compute: int = 0) -> TrainSettings:
        """The settings of a training.

        Args:
            unit: of an arm with a recipe.
            compute: tokens that a run of the second table has; an arm that goes on from another one has its stages too, and
                every stage gets an equal part.
        """
        arm, settings = unit.arm, recipe_of(unit.arm)
        model, stages = self.study.model, self.stages(arm)
        if unit.table == COMPUTE:
            stages = [stage for one in self.chain(arm) for stage in self.stages(one)]
            each = max(1, compute // len(stages))
            stages = [dataclasses.replace(stage, updates=MANY, compute_tokens=each) for stage in stages]
        elif arm.after:
            model = str(self.folder(Unit(DATA, self.study.arm(arm.after), unit.seed)) / "train" / "model")
        done: dict[str, Any] = dict.fromkeys(OVERRIDES)  # they are in the stages already
        return dataclasses.replace(
            settings,
            **done,
            stages=tuple(stages),
            model=model,
            seed=unit.seed,
            output=self.folder(unit) / "train",
            evaluation_split=self.study.split,
            difficulty=self.settings.difficulty or settings.difficulty,
            workers=self.settings.workers,
            sandbox=self.settings.sandbox,
        )

    def evaluation(self, unit: Unit) -> EvalSettings:
        """The settings of an evaluation: the same tasks and seeds for every arm, so that arms can be paired."""
        from swe_srl.evaluation import EvalSettings

        trained = bool(unit.arm.recipe)
        return EvalSettings(
            split=self.study.split,
            policy=str(self.folder(unit) / "train" / "model") if trained else self.study.model,
            agent=self.recipe(unit.arm).agent_name,
            dtype=self.recipe(unit.arm).dtype,
            samples=self.samples,
            limit=self.settings.limit,
            difficulty=self.settings.difficulty,
            workers=self.settings.workers,
            sandbox=self.settings.sandbox,
            seed=unit.seed,
            output=self.folder(unit) / "eval",
        )


def _shortened(stage: StageSettings, share: float) -> StageSettings:
    """A stage with a share of its updates; of its epochs, when it counts these."""
    name = "updates" if stage.updates else "epochs"
    return dataclasses.replace(stage, **{name: max(1, round(share * getattr(stage, name)))})


OVERRIDES = tuple(
    field.name
    for field in dataclasses.fields(TrainSettings)
    if field.name in {stage.name for stage in dataclasses.fields(StageSettings)}
)


def updates_of(stages: Sequence[StageSettings]) -> int:
    """Updates of all stages; those that count by epochs are not known before the data is read, and count as 0."""
    return sum(stage.updates for stage in stages)
