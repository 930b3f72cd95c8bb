"""One stage of a run: updates, validations, checkpoints, until its last update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swe_srl.errors import TrainingError
from swe_srl.training.checkpoints import Place
from swe_srl.training.compute import compute_of
from swe_srl.training.divergence import DivergedError, way_on
from swe_srl.training.journal import Clock
from swe_srl.training.method import Method
from swe_srl.training.rlvr import RlvrMethod
from swe_srl.training.settings import StageSettings
from swe_srl.training.step_methods import SftMethod, SrlMethod
from swe_srl.training.workplace import Workplace

METHODS: dict[str, Callable[[Workplace, int, Path | str], Method]] = {
    "srl": SrlMethod,
    "sft": SftMethod,
    "rlvr": RlvrMethod,
}


@dataclass
class StageTrainer:
    """Trains one stage.

    Args:
        work: what the stages share; its model is the stage's start and is changed in place.
        index: of the stage.
        start: model folder that the stage starts from: the reference of the KL divergence.
    """

    work: Workplace
    index: int
    start: Path | str
    update: int = 0
    best: dict[str, Any] = field(default_factory=dict)
    compute: int = 0  # tokens so far, as `compute_tokens` counts them
    unwritten: dict[str, Any] = field(
        default_factory=dict
    )  # the metrics of the last update, until their row is written
    before_row: dict[str, int] = field(default_factory=dict)  # lengths of the journals without that row

    def __post_init__(self) -> None:
        self.stage: StageSettings = self.work.settings.stages[self.index]
        self.method: Method = METHODS[self.stage.method](self.work, self.index, self.start)
        self.updates = self.method.updates

    @property
    def name(self) -> str:
        """Of the stage, for people."""
        return f"stage {self.index + 1} of {len(self.work.settings.stages)} ({self.stage.method})"

    def run(self) -> None:
        """All updates that are left, from the newest checkpoint on; then the model is the stage's last.

        Raises:
            TrainingError: training diverged, or cannot teach anything; the checkpoints are those from before.
        """
        resumed = self._resume()
        total = None if self.stage.compute_tokens else self.updates
        self.work.progress.track(self.name, total=total, done=self.update)
        if not resumed:
            self._begin()
        if self.unwritten:  # interrupted in its validation
            self._end_update(self.unwritten, Clock())
        updater = self.method.updater
        while not self._over:
            before = self._state()
            mark = (self.update, updater.optimiser.steps, False)
            try:
                self._one_update()
            except KeyboardInterrupt:
                if mark == (self.update, updater.optimiser.steps, updater.halfway):
                    self._checkpoint(before, alone=True)  # the model is still that of the last complete update
                elif (
                    self.update > mark[0]
                ):  # this one is complete; what was interrupted came after it, such as a validation
                    self._checkpoint(self._state(), alone=True)
                raise
            except DivergedError as error:
                best = self.best.get("update")
                onwards = way_on(self.work, self.index, self.start, best, error.unlearnt)
                raise TrainingError(f"{self.name}: {error}: training diverged; {onwards}") from error
        if said := self.method.watch.unlearnt():
            self.work.progress.note(f"{self.name}: {said}")

    def finish(self) -> Place:
        """The checkpoint that the stage ends with; its weights are put into the model."""
        place = Place(self.index, self.update)
        if self.work.settings.final_model == "best" and self.best:
            place = Place(self.index, self.best["update"])
        if place.update != self.update:
            self.work.load(self.work.checkpoints.path(place))
        self._say(place.update)
        return place

    def _say(self, chosen: int) -> None:
        """Tell which update the stage ends with."""
        by = (
            f"the best by validation ({self.best['value']:.3f})" if self.best else "the last one; nothing was validated"
        )
        if self.work.settings.final_model == "last":
            by = "the last one, as final_model says"
        said = f"{self.name}: ends with update {chosen} of {self.update}, {by}"
        if chosen == 0 and self.update:
            said = f"warning: {said}: this is the model that the stage started with, no update was better"
        self.work.progress.note(said)

    @property
    def _arithmetic(self) -> str:
        """The dtype of forward passes, by its name."""
        return str(self.work.autocast or self.work.model.dtype).removeprefix("torch.")

    @property
    def _over(self) -> bool:
        """Whether the last update was made."""
        limit = self.stage.compute_tokens
        return self.update >= self.updates or bool(limit and self.compute >= limit)

    def _resume(self) -> bool:
        """Go on from the newest checkpoint of this stage; returns whether there is one."""
        place = self.work.checkpoints.newest(self.index)
        if place is None:
            self.work.journal.rewind(self.work.journal.lengths)  # rows of this stage before its first checkpoint
            return False
        state = self.work.checkpoints.state(place)
        self.work.load(self.work.checkpoints.path(place))
        self.method.updater.optimiser.restore(self.work.checkpoints.restore(place)["optimiser"])
        self.update, self.best, self.compute = state["update"], state["best"], state.get("compute", 0)
        self.method.restore(state["sampler"], self.update)
        self.unwritten = state.get("unwritten", {})
        written = self.update - bool(self.unwritten)
        self.work.journal.rewind(state["journals"], self.work.position + written + 1)
        self.work.checkpoints.mark_best(self.index, self.best)  # a kill may have come before it was
        self.method.watch.restore(state, self.update)
        if (before := state.get("arithmetic", self._arithmetic)) != self._arithmetic:
            self.work.progress.note(
                f"warning: {self.name}: goes on in {self._arithmetic}, and ran in {before} until update {self.update}: dtype "
                f"auto follows the device. Set dtype in a new run to keep it the same"
            )
        return True

    def _begin(self) -> None:
        clock = Clock()
        row = self.method.validate(clock) if self.stage.eval_every else {}
        self._choose(row)
        self._write(row, clock)
        self._checkpoint(self._state())

    def _one_update(self) -> None:
        clock = Clock()
        row = self.method.update(self.update + 1, clock)
        if not self.method.updater.optimiser.finite():  # so that no checkpoint holds such a model
            raise DivergedError(f"parameters are not finite after update {self.update + 1}")
        self.compute += compute_of(row)
        before = dict(self.work.journal.lengths)
        self.unwritten, self.before_row = row, before
        self.update += 1
        self._end_update(row, clock)

    def _end_update(self, made: dict[str, Any], clock: Clock) -> None:
        """What follows when an update was made: a validation and a checkpoint where they are due, and the row."""
        row, improved = dict(made), False
        if self.stage.eval_every and (self.update % self.stage.eval_every == 0 or self._over):
            row |= self.method.validate(clock)
            improved = self._choose(row)
        self._write(row, clock)
        self.unwritten = {}
        due = self.stage.save_every and self.update % self.stage.save_every == 0
        if due or improved or self._over:
            self._checkpoint(self._state())
        told = "reward_mean" if "reward_mean" in row else "loss"  # a policy's loss is about 0 whatever it learns
        info = [f"{told} {row[told]:.3f}"] if told in row else []
        if self.best:
            info.append(f"best {self.best['criterion'].replace('_', ' ')} {self.best['value']:.3f}")
        self.work.progress.advance(self.name, 1, " · ".join(info))

    def _choose(self, row: dict[str, Any]) -> bool:
        """Note the update as the best one when it is; returns whether it is."""
        value = row.get(self.method.criterion)
        if value is None:
            return False
        if self.best and not self._better(row, value):
            return False
        figures = {name: number for name, number in row.items() if name.startswith("validation_")}
        self.best = {"update": self.update, "value": value, "criterion": self.method.criterion, "figures": figures}
        return True

    def _better(self, row: dict[str, Any], value: float) -> bool:
        """Whether a validation is better than the best one so far; equal ones are told by `tie_break`, where lower is better."""
        if value != self.best["value"]:
            return bool(value > self.best["value"])
        if self.method.tie_break is None:
            return self.method.later_on_ties
        before = self.best.get("figures", {}).get(self.method.tie_break)
        return before is not None and bool(row[self.method.tie_break] < before)

    def _write(self, row: dict[str, Any], clock: Clock) -> None:
        head = {"stage": self.index, "method": self.stage.method, "update": self.update}
        self.work.journal.metrics({**head, **row}, clock, self.work.position + self.update)

    def _state(self) -> dict[str, Any]:
        """What follows an update depends on, as JSON data: also before it, for a checkpoint of when it is interrupted."""
        journals = self.before_row if self.unwritten else self.work.journal.lengths
        return {"sampler": self.method.state(), "journals": dict(journals), **self.method.watch.state()}

    def _checkpoint(self, state: dict[str, Any], alone: bool = False) -> None:
        if alone and self.work.sharded:
            return  # a checkpoint takes all processes, and they may be elsewhere
        own = {"best": self.best, "compute": self.compute, "arithmetic": self._arithmetic, "unwritten": self.unwritten}
        trainer = {"optimiser": self.method.updater.optimiser.state()}
        place = Place(self.index, self.update)
        self.work.checkpoints.write(place, self.work.to_save(), self.work.tokenizer, trainer, state | own, alone)
        if self.work.processes.main:
            self.method.saved(self.update)
