"""`swe-srl trajectories collect`: a policy's own resolved episodes become trajectories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swe_srl.cli.console import Console

if TYPE_CHECKING:
    from swe_srl.evaluation import CollectSettings


def run(settings: CollectSettings, console: Console) -> int:
    """Collect; the exit code is 1 when no episode was kept."""
    if settings.check:
        from swe_srl.cli.evaluate import run_check

        return run_check(settings.evaluation, console)
    from swe_srl.evaluation import collect
    from swe_srl.evaluation.collection import FILE
    from swe_srl.evaluation.markdown import percent

    console.resumable(settings.folder)
    console.sweep()
    collection, report = collect(settings, console.progress(), watch=console.watch())
    rules = "hardened" if settings.hardened else "official"
    rows = [
        ("episodes graded", collection.episodes),
        (f"not resolved by the {rules} rules", collection.unresolved),
        *([("… resolved by the official ones", collection.fooled)] if collection.fooled else []),
        ("same commands as another", collection.duplicates),
        *([(f"more than {settings.keep} of their task", collection.beyond)] if settings.keep else []),
        ("kept", len(collection.trajectories)),
        ("tasks they are of", collection.tasks),
    ]
    console.table(("episodes", ">count"), rows)
    console.say(f"resolve rate {percent(report.resolve_rate)}" if report.samples else "nothing could be graded")
    if not collection.trajectories:
        console.say("no episode is worth keeping: take more samples, easier tasks, or another policy")
        return 1
    console.say(f"{len(collection.trajectories)} trajectories written to {settings.folder / FILE}")
    return 0


def plan(settings: CollectSettings, console: Console) -> None:
    """What the episodes would be."""
    from swe_srl.cli import evaluate
    from swe_srl.evaluation.collection import FILE

    evaluate.plan(settings.evaluation, console)
    console.say(f"would write the resolved ones to {settings.folder / FILE}")
