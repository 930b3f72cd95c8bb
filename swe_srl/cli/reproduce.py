"""`swe-srl reproduce`: the arms of a study, trained and evaluated, and their tables."""

from __future__ import annotations

from swe_srl.cli.console import Console
from swe_srl.cli.estimate import duration
from swe_srl.studies.settings import ReproduceSettings


def run(settings: ReproduceSettings, console: Console) -> int:
    """The whole study, or what is left of it; the exit code is 1 when a run failed or nothing could be compared."""
    from swe_srl.studies import reproduce
    from swe_srl.studies.conclusions import summary
    from swe_srl.studies.figures import require_drawing
    from swe_srl.studies.markdown import COLUMNS, TITLES, row_cells

    if settings.figures:
        require_drawing()
    console.resumable(settings.folder)
    console.sweep()
    results = reproduce(settings, console.progress(), console.typed)
    for table, rows in results.tables.items():
        shown = [row_cells(row)[:10] for row in rows]
        console.table(COLUMNS[:10], shown, title=TITLES[table])
    for line in results.left_lines():
        console.say(f"left out: {line}")
    console.say(summary(results))
    console.say(f"{results.spent / 60:.1f} minutes in all; results: {settings.folder}/results.md")
    return 1 if results.failed or not any(results.tables.values()) else 0


def plan(settings: ReproduceSettings, console: Console) -> None:
    """What would be run, with the estimated time and tokens, and what a budget leaves out."""
    from swe_srl.studies import plan_of
    from swe_srl.studies.figures import require_drawing

    if settings.figures:
        require_drawing()
    found = plan_of(settings)
    choice, runs = found.choice, found.runs
    rows = [
        (unit.name, unit.arm.title, _cost(cost.seconds), f"{cost.tokens / 1e6:.1f}M" if cost.tokens else "")
        for unit, cost in choice.taken
    ]
    console.table(("run", "arm", ">about", ">tokens"), rows)
    if runs.share < 1:
        console.say(f"stages would have {runs.share:g} of the recipes' updates, so that the first arms fit the budget")
    left: dict[str, list[str]] = {}
    for unit, _ in choice.left:
        left.setdefault(f"{unit.arm.title}, matched {unit.table}", []).append(str(unit.seed))
    for name, seeds in left.items():
        console.say(f"does not fit the budget: {name}: seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}")
    total = choice.total
    console.say(
        f"{len(choice.taken)} runs, {found.finished} of them finished; what is left takes about {duration(total.seconds)} and "
        f"{total.tokens / 1e6:.1f} million tokens (forward, and twice backward)"
    )
    console.say("estimates are the study's own, of a machine with two cores, until runs are finished here")
    if found.spent:
        console.say(f"{duration(found.spent)} were spent by earlier starts")
    console.say(f"results folder: {settings.folder}{' (exists: would go on)' if found.resumes else ''}")


def _cost(seconds: float) -> str:
    return duration(seconds) if seconds else "nothing to do"
