"""`swe-srl demo`: evaluate the bundled tiny model, train it with SRL, evaluate it again, and show what changed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from swe_srl.cli.console import Console
from swe_srl.errors import ConfigError
from swe_srl.settings import check_at_least, setting

if TYPE_CHECKING:
    from swe_srl.evaluation import Comparison, EvalSettings, Report
    from swe_srl.evaluation.statistics import Estimate
    from swe_srl.training.settings import TrainSettings


@dataclass(frozen=True)
class DemoSettings:
    """Settings of `swe-srl demo`."""

    output: Path = setting(Path("runs/demo"), "Folder of the run; the same command on the same folder goes on.")
    recipe: str = setting("quickstart", "Training recipe, by name or path.")
    updates: int | None = setting(None, "Updates of the training; none takes the recipe's.")
    split: str = setting("quickstart-test", "Held-out tasks.")
    limit: int = setting(0, "Only the first so many tasks; 0 takes all.")
    samples: int = setting(1, "Episodes per task, before and after.")
    workers: int = setting(16, "Episodes at a time.")
    seed: int = setting(0, "Seed of training and evaluation.")

    def __post_init__(self) -> None:
        check_at_least(self, samples=1, workers=1, limit=0, updates=1)


def run(settings: DemoSettings, console: Console) -> int:
    """The whole job; each of its parts is kept, and a second start goes on where the first stopped."""
    from swe_srl.evaluation import compare, evaluate
    from swe_srl.training import train

    console.resumable(settings.output)
    console.sweep()
    begun = time.monotonic()
    progress = console.progress()
    progress.note("1 of 3: the bundled model on held-out tasks")
    before = evaluate(evaluation(settings, "quickstart", "before"), progress, watch=console.watch())
    progress.note("2 of 3: training with SRL on the expert's steps")
    folder = train(training(settings), progress)
    progress.note("3 of 3: the trained model on the same tasks")
    after = evaluate(evaluation(settings, str(folder / "model"), "after"), progress, watch=console.watch())
    if not before.samples or not after.samples:
        console.say(f"nothing could be graded; the reasons are in {settings.output}/before and /after (report.md)")
        return 1
    try:
        comparison = compare(settings.output / "before", settings.output / "after", common=True)
    except ConfigError as error:  # no task in common
        console.say(f"{error}; the reasons are in {settings.output}/before and /after (report.md)")
        return 1
    show(before, after, comparison, console)
    console.say(f"{(time.monotonic() - begun) / 60:.1f} minutes; run folder: {settings.output}")
    return 0


def plan(settings: DemoSettings, console: Console) -> None:
    """What the three parts would be."""
    from swe_srl.cli import evaluate, train

    evaluate.plan(evaluation(settings, "quickstart", "before"), console)
    train.plan(training(settings), console)
    console.say("then the trained model on the same tasks")


def evaluation(settings: DemoSettings, policy: str, name: str) -> EvalSettings:
    """Settings of one of the two evaluations."""
    from swe_srl.evaluation import EvalSettings

    return EvalSettings(
        split=settings.split,
        policy=policy,
        samples=settings.samples,
        limit=settings.limit,
        workers=settings.workers,
        seed=settings.seed,
        output=settings.output / name,
    )


def training(settings: DemoSettings) -> TrainSettings:
    """Settings of the training between them."""
    from swe_srl.training.recipes import load_recipe

    overrides = {} if settings.updates is None else {"updates": settings.updates}
    return load_recipe(settings.recipe, output=settings.output / "train", seed=settings.seed, **overrides)


def show(before: Report, after: Report, comparison: Comparison, console: Console) -> None:
    """The table at the end."""
    from swe_srl.evaluation.markdown import percent

    rows = [
        ("resolve rate (95% interval)", percent(before.resolve_rate), percent(after.resolve_rate)),
        ("resolve rate, hardened rules", _rate(before.hardened_rate), _rate(after.hardened_rate)),
        ("mean similarity to the expert", _number(before.similarity), _number(after.similarity)),
        ("format errors, of the turns", f"{before.format_error_rate:.1%}", f"{after.format_error_rate:.1%}"),
        *(
            (f"{kind} tokens per turn", f"{value:.1f}", _number(after.tokens.get(kind), 1))
            for kind, value in before.tokens.items()
        ),
        ("turns per episode", f"{before.turns:.1f}", f"{after.turns:.1f}"),
    ]
    console.table(("figure", "before", "after SRL"), rows, title="The bundled model on held-out tasks")
    change = comparison.difference
    console.say(
        f"difference of the resolve rates, paired over {comparison.tasks} tasks (of {before.samples} samples before and "
        f"{after.samples} after): {100 * change.value:+.1f} points "
        f"(95% interval {100 * change.low:+.1f} to {100 * change.high:+.1f})"
    )
    for name, missing, report in (("after", comparison.only_a, after), ("before", comparison.only_b, before)):
        if missing:
            reasons = sorted(
                {" ".join(lost.reason.split())[:200] for lost in report.failures if lost.task_id in missing}
            )
            console.say(
                f"{len(missing)} tasks are left out of it: not graded {name}: {'; '.join(reasons) or 'see report.md'}"
            )


def _rate(estimate: Estimate | None) -> str:
    from swe_srl.evaluation.markdown import percent

    return "not measured" if estimate is None else percent(estimate)


def _number(value: float | None, digits: int = 3) -> str:
    return "unknown" if value is None else f"{value:.{digits}f}"
