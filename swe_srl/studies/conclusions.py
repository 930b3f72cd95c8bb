"""Sentences that a study's figures support: each is made from an interval, and says so when it includes 0."""

from __future__ import annotations

from collections.abc import Sequence

from swe_srl.evaluation.statistics import Estimate
from swe_srl.studies.results import ArmResult, Results
from swe_srl.studies.settings import DATA
from swe_srl.studies.statistics import difference, includes_zero


def conclusions(results: Results, table: str) -> list[str]:
    """What one table shows: every arm against the base, the main arm against the others, the length of the answers."""
    rows = list(results.tables[table])
    base, main = (results.row(table, name) for name in (results.runs.study.base, results.runs.study.main))
    if base is None:
        return ["The base model was not evaluated: nothing can be compared."]
    said = [_against_base(row) for row in rows if row.change is not None]
    if main is not None and main is not base:
        others = [row for row in rows if row not in (base, main)]
        said += [
            _compared(main.arm.title, row.arm.title, difference(row.resolved, main.resolved), against=True)
            for row in others
        ]
        said.append(_longer(main))
        said += _controls(results, table, base, rows)
    return said + _caveats(results, rows)


def _against_base(row: ArmResult) -> str:
    if row.as_base:
        return f"{row.arm.title} against the base model: the same episodes, word for word."
    return _compared(row.arm.title, "the base model", row.change)


def _compared(name: str, other: str, change: Estimate | None, against: bool = False) -> str:
    """One comparison of resolve rates."""
    if change is None:
        return f"{name} and {other} have no seed in common: not compared."
    points = f"{_points(change.value)} ({_interval(change)})"
    if includes_zero(change):
        return f"{name} against {other}: {points}; the interval includes 0: no difference is shown."
    verb = "resolves more than" if change.value > 0 else "resolves LESS than" if against else "resolves less than"
    return f"{name} {verb} {other}: {points}."


def _longer(row: ArmResult) -> str:
    """The paper's claim: the answers of SRL are no longer than the base model's."""
    if row.as_base:
        return f"Answers of {row.arm.title} are the base model's."
    if row.longer is None:
        return f"{row.arm.title} and the base model have no seed in common: their answers' lengths are not compared."
    change = f"{row.longer.value:+.1f} tokens a turn (95% interval {row.longer.low:+.1f} to {row.longer.high:+.1f})"
    if includes_zero(row.longer):
        return f"Answers of {row.arm.title} against the base model's: {change}; the interval includes 0: no difference is shown."
    return f"Answers of {row.arm.title} are {'longer' if row.longer.value > 0 else 'shorter'} than the base model's: {change}."


def _controls(results: Results, table: str, base: ArmResult, rows: Sequence[ArmResult]) -> list[str]:
    """A training at learning rate 0 has to give the base model's own outcomes, task for task."""
    said = []
    for row in rows:
        stages = row.settings.get("stages", ())
        if not stages or any(stage.get("learning_rate") != 0 for stage in stages):
            continue
        if results.runs.recipe(row.arm).agent_name != results.runs.recipe(base.arm).agent_name:
            continue  # the model is the same, what it is shown is not
        same = all(row.resolved[seed] == base.resolved.get(seed) for seed in row.seeds)
        told = "resolves exactly what the base model does" if same else "differs from the base model, WHICH IT MUST NOT"
        where = (
            ""
            if set(row.seeds) == set(base.seeds)
            else f" with the same seeds ({', '.join(map(str, sorted(row.seeds)))})"
        )
        said.append(f"Learning rate 0 ({row.arm.title}): {told}{where}.")
    return said


def _caveats(results: Results, rows: Sequence[ArmResult]) -> list[str]:
    """What a reader must know before believing any of it."""
    said = []
    fewest = min(len(row.seeds) for row in rows)
    if fewest == 1:
        said.append(
            "An arm has a single training: its intervals are over tasks alone and do not tell what another seed would bring."
        )
    elif fewest < 5:
        said.append(f"{fewest} trainings of an arm say little of how much seeds differ: the intervals are rough.")
    lost = sum(row.lost for row in rows)
    if lost:
        said.append(f"{lost} samples were lost to infrastructure failures and count for nothing.")
    if len(rows) > 2:
        said.append(
            "No correction is made for the number of comparisons: of 20 true zeros, one interval misses 0 by chance."
        )
    return said


def summary(results: Results) -> str:
    """One sentence on the main arm, for the end of the command."""
    main = results.row(DATA, results.runs.study.main)
    if main is None or main.change is None:
        return "The main arm is not finished: there is nothing to conclude."
    return _against_base(main)


def _points(value: float) -> str:
    return f"{100 * value:+.1f} points"


def _interval(change: Estimate) -> str:
    return f"95% interval {100 * change.low:+.1f} to {100 * change.high:+.1f}"
