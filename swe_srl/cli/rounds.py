"""`swe-srl self-improve`: a model as its own teacher, in rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swe_srl.cli.console import Console

if TYPE_CHECKING:
    from swe_srl.studies.rounds_settings import RoundsSettings


def run(settings: RoundsSettings, console: Console) -> int:
    """All rounds, or those that are left; the exit code is 1 when not a single one could train."""
    from swe_srl.studies.rounds import COLUMNS, self_improve

    console.resumable(settings.output)
    console.sweep()
    rounds = self_improve(settings, console.progress(), console.watch())
    console.table(COLUMNS, [one.cells() for one in rounds])
    console.say(f"results: {settings.output}/rounds.md")
    return 0 if len(rounds) > 1 else 1


def plan(settings: RoundsSettings, console: Console) -> None:
    """What the first round would do; the others do the same with the model that it makes."""
    from swe_srl.cli import collect, evaluate
    from swe_srl.cli.train import stage_summary
    from swe_srl.studies.rounds import check_rounds, collecting_of, evaluation_of, training_of
    from swe_srl.training.recipes import load_recipe

    model = settings.model or load_recipe(settings.recipe).model
    training = training_of(settings, 1, model)
    check_rounds(settings)
    evaluate.plan(evaluation_of(settings, 0, model), console)
    collect.plan(collecting_of(settings, 1, model), console)
    for number, stage in enumerate(training.stages):
        console.say(f"stage {number} of the training: {stage_summary(stage)}")
    console.say(f"{settings.rounds} rounds, and an evaluation after each; results folder: {settings.output}")
