"""`swe-srl reproduce`: every run of a study that is not finished yet, then its tables. Resumable at any moment."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swe_srl.errors import ConfigError, SweSrlError
from swe_srl.files import read_jsonl, write_atomic
from swe_srl.generation.source import check_model_source
from swe_srl.progress import Progress, SilentProgress
from swe_srl.runs import RunFolder
from swe_srl.settings import as_mapping
from swe_srl.studies.definition import Study, load_study
from swe_srl.studies.joining import check_joined, joined
from swe_srl.studies.planning import MARGIN, RESERVE, Choice, Costs, choose_share, least_seconds, matched, needs
from swe_srl.studies.reading import read_results
from swe_srl.studies.records import PLAN, Record, Records, Stopwatch, kept_share, read_records, spent_before
from swe_srl.studies.results import Results
from swe_srl.studies.settings import COMPUTE, DATA, FREE, ReproduceSettings
from swe_srl.studies.units import Runs, Unit
from swe_srl.studies.writing import write_results
from swe_srl.training.compute import tokens_of_run
from swe_srl.training.settings import QUICKSTART

CLOCK = "clock.json"


@dataclass(frozen=True)
class Plan:
    """What a study would do.

    Args:
        runs: the runs, with the share of the updates that the budget leaves.
        choice: what fits, and what does not; estimated.
        finished: how many runs are done already.
        spent: seconds of earlier starts.
        resumes: whether the folder holds this study already.
    """

    runs: Runs
    choice: Choice
    finished: int
    spent: float
    resumes: bool


def plan_of(settings: ReproduceSettings) -> Plan:
    """Look at everything that a study needs, and neither run nor write anything.

    Raises:
        ConfigError: the budget is too short for anything.
        SweSrlError: as `reproduce` would.
    """
    from swe_srl.evaluation.running import check_run
    from swe_srl.training.data import load_steps
    from swe_srl.training.tasks import load_task_data

    if settings.model not in ("", QUICKSTART):  # an evaluation would take the name of another policy, too
        check_model_source(settings.model, (QUICKSTART,))
    study = load_study(settings.study, settings.model, settings.overrides)
    resumes = RunFolder.check(settings.folder, "reproduce", *_identity(settings, study))
    check_joined(settings, *_identity(settings, study))
    runs = Runs(settings, study)
    tasks = len(check_run(runs.evaluation(Unit(DATA, study.arm(study.base), runs.seeds[0])))[0].tasks)
    trainings = [runs.training(Unit(DATA, arm, runs.seeds[0])) for arm in runs.arms if arm.recipe]
    for training in [one for one in trainings if one.needs_steps][:1]:  # all arms have the same data
        load_steps(training)
    for training in [one for one in trainings if one.needs_tasks][:1]:
        load_task_data(training)
    records, spent = read_records(settings.folder), spent_before(settings.folder / CLOCK)
    budget = settings.budget_seconds
    for arm in runs.arms if budget is not None else ():
        if arm.recipe and not (arm.seconds and arm.tokens):
            raise ConfigError(
                f"--budget: arm {arm.name} of {settings.study} has no estimate: give it `seconds` and `tokens`"
            )
    share = kept_share(settings.folder)
    if share is None:
        share = choose_share(runs, records, tasks, budget - spent) if _may_shorten(settings) and budget else 1.0
    runs = dataclasses.replace(runs, share=share)
    choice = Costs(runs, records, tasks).choose(float("inf") if budget is None else budget - spent)
    if budget is not None and not records and not any(unit.arm.recipe for unit, _ in choice.taken):
        least = math.ceil(least_seconds(runs, tasks) / 60)
        raise ConfigError(
            f"budget: no arm can be trained and evaluated in {settings.budget}: give it {least}m at least"
        )
    return Plan(runs, choice, sum(record.status == "done" for record in records), spent, resumes)


def reproduce(settings: ReproduceSettings, progress: Progress | None = None, command: str = "") -> Results:
    """Train and evaluate every arm of a study with every seed, as far as the budget reaches, and write the tables.

    Args:
        settings: of the study.
        progress: is told of every run.
        command: as the user typed it, for the results.

    Returns:
        What was found; it is in the folder as results.json and results.md.

    Raises:
        ConfigError: settings that cannot be used, or the folder holds something else.
        KeyboardInterrupt: passed on; the same call goes on where it was.
    """
    study = load_study(settings.study, settings.model, settings.overrides)
    runs = Runs(settings, study)
    for unit in runs.units():
        if unit.arm.recipe and unit.table == DATA:
            runs.training(unit)  # what is wrong with a recipe is said before anything is run
    check_joined(settings, *_identity(settings, study))
    resumes = RunFolder.check(settings.folder, "reproduce", *_identity(settings, study))
    if settings.budget or not (resumes or settings.join):  # the tables of what is there need no sandbox
        plan_of(settings)  # what no run could begin with, and too short a budget, are refused before anything is run
    with RunFolder.start(settings.folder, "reproduce", *_identity(settings, study)) as run:
        watch = Stopwatch(run.file(CLOCK), progress or SilentProgress())
        try:
            found = _Work(runs, Records(run), watch, command).all()
        finally:
            watch.save()
    return found


class _Work:
    """The runs of a study, one after the other."""

    def __init__(self, runs: Runs, records: Records, watch: Stopwatch, command: str) -> None:
        self.runs, self.records, self.watch, self.command = runs, records, watch, command
        self.share: float | None = kept_share(runs.settings.folder)
        self.left: dict[str, str] = {}
        self.tasks = 0

    def all(self) -> Results:
        """Every run that fits, then the results."""
        units = self.runs.units()
        for folder in self.runs.settings.join:
            self._join(folder)
        for number, unit in enumerate(units, start=1):
            if self.records.done(unit.name):
                continue
            if unit.arm.recipe:
                self._shorten()
            reason = self._obstacle(unit)
            if reason:
                self.left[unit.name] = reason
                self.watch.note(f"{unit.name} is left out: {reason}")
                continue
            title = f"{unit.arm.title}, matched {unit.table}, seed {unit.seed}"
            self.watch.note(f"{self._place(number, units)}: {title}")
            self._one(unit)
            self._write(last=False)
        return self._write()

    def _join(self, folder: Path) -> None:
        """Take over what is finished in another folder, and the time that it took."""
        taken = joined(self.runs.settings, folder, [record.name for record in self.records if record.status == "done"])
        for record in taken:
            self.records.keep(record)
        if taken:
            self.watch.before += spent_before(folder / CLOCK)
            self.watch.save()
            self.watch.note(f"{len(taken)} finished runs of {folder} joined")

    def _place(self, number: int, units: Sequence[Unit]) -> str:
        """Of a run that begins, among all of them; with a budget, which does not reach for all, what is left of it."""
        budget = self.runs.settings.budget_seconds
        if budget is None:
            return f"run {number} of {len(units)}"
        finished = sum(self.records.done(unit.name) is not None for unit in units)
        return f"run {finished + 1}, {_minutes(max(0.0, budget - self.watch.spent))} of the budget left"

    def _write(self, last: bool = True) -> Results:
        results = read_results(self.runs, self.records, self.left, self.command, self.watch.spent)
        write_results(results, self.watch, last)
        return results

    def _one(self, unit: Unit) -> None:
        """Train and evaluate; what fails is written down, and the study goes on."""
        try:
            self.records.keep(self._stand_in(unit) or self._run(unit))
        except ConfigError:
            raise
        except SweSrlError as error:
            self.left[unit.name] = f"it failed: {error}"
            self.records.keep(Record(unit.name, "failed", str(error)))
            self.watch.note(f"{unit.name} failed, the study goes on: {error}")
        self.watch.save()

    def _run(self, unit: Unit) -> Record:
        from swe_srl.evaluation import evaluate
        from swe_srl.training import train

        record = Record(unit.name, "done")
        if unit.arm.recipe:
            compute = self._wanted(unit.seed) if unit.table == COMPUTE else 0
            record = self._trained(record, unit, train(self.runs.training(unit, compute), self.watch))
        settings = self.runs.evaluation(unit)
        before = sum(1 for _ in read_jsonl(settings.folder / "episodes.jsonl"))
        begun = time.monotonic()
        report = evaluate(settings, self.watch)
        if not report.samples:
            raise SweSrlError(f"nothing could be graded; the reasons are in {settings.folder}/report.md")
        self.tasks = report.tasks
        return dataclasses.replace(
            record, eval_seconds=round(time.monotonic() - begun, 1), episodes=max(0, report.samples - before)
        )

    def _trained(self, record: Record, unit: Unit, folder: Path) -> Record:
        forward, backward = tokens_of_run(folder)
        seconds = sum(row["seconds"]["total"] for row in read_jsonl(folder / "metrics.jsonl"))
        stages = json.loads((folder / "result.json").read_text(encoding="utf-8"))["stages"]
        before = None
        if unit.arm.after and unit.table == DATA:
            before = self.records.done(Unit(DATA, self.runs.study.arm(unit.arm.after), unit.seed).name)
        return dataclasses.replace(
            record,
            train_seconds=round(seconds, 1),
            forward_tokens=forward + (before.forward_tokens if before else 0),
            backward_tokens=backward + (before.backward_tokens if before else 0),
            own_forward=forward,
            own_backward=backward,
            updates=tuple(stage["updates"] for stage in stages),
            chosen=tuple(stage["chosen_update"] for stage in stages),
        )

    def _wanted(self, seed: int) -> int:
        """The compute of the second table: that of the main arm's run of this seed."""
        main = self.records.done(Unit(DATA, self.runs.study.arm(self.runs.study.main), seed).name)
        assert main is not None
        return main.compute

    def _stand_in(self, unit: Unit) -> Record | None:
        """The arm's run on matched data, when it has the compute that is asked for."""
        data = self.records.done(Unit(DATA, unit.arm, unit.seed).name)
        if unit.table == DATA or data is None or not matched(data.compute, self._wanted(unit.seed)):
            return None
        return Record(unit.name, "done", same_as=data.name)

    def _obstacle(self, unit: Unit) -> str:
        """Why a run cannot be begun, or ""."""
        for one in needs(self.runs, unit):
            if not self.records.done(one.name):
                return f"it needs {one.name}, which is not there"
        budget = self.runs.settings.budget_seconds
        if budget is None:
            return ""
        if unit.table == COMPUTE and self._stand_in(unit):
            return ""
        cost = MARGIN * Costs(self.runs, self.records, self._tasks()).of(unit).seconds
        rest = budget - self.watch.spent - RESERVE
        if cost <= rest:
            return ""
        return f"it would take about {_minutes(cost)}, and {_minutes(max(0.0, rest))} of the budget are left"

    def _shorten(self) -> None:
        """Before the first training: choose how long the stages are. By then an evaluation has been timed."""
        if self.share is None:
            settings, share = self.runs.settings, 1.0
            if _may_shorten(settings):
                assert settings.budget_seconds is not None
                rest = settings.budget_seconds - self.watch.spent
                share = choose_share(self.runs, list(self.records), self._tasks(), rest)
            if share < 1:
                self.watch.note(f"stages have {share:g} of the recipes' updates, so that the first arms fit the budget")
            write_atomic(settings.folder / PLAN, json.dumps({"share": share}) + "\n")
            self.share = share
        self.runs = dataclasses.replace(self.runs, share=self.share)

    def _tasks(self) -> int:
        if not self.tasks:
            from swe_srl.evaluation.selection import select_tasks

            base = Unit(DATA, self.runs.study.arm(self.runs.study.base), self.runs.seeds[0])
            self.tasks = len(select_tasks(self.runs.evaluation(base)))
        return self.tasks


def _may_shorten(settings: ReproduceSettings) -> bool:
    return settings.budget_seconds is not None and settings.updates is None


def _identity(
    settings: ReproduceSettings, study: Study
) -> tuple[dict[str, Any], dict[str, str], tuple[str, ...], dict[str, Any]]:
    """What makes a folder this study's: arguments of `RunFolder.start`. Estimates and titles may change."""
    arms = [[arm.name, arm.recipe, list(arm.settings), arm.after] for arm in study.arms]
    content = json.dumps([study.model, study.split, study.samples, study.base, study.main, arms])
    data = {"study": f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"}
    return as_mapping(settings), data, FREE, as_mapping(ReproduceSettings())


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} minutes"
