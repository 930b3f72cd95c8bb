"""`swe-srl train`: train a model on expert trajectories."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from swe_srl.cli.console import Console
from swe_srl.cli.processes import run_many
from swe_srl.cli.trajectories import tell_report
from swe_srl.launched import launched

if TYPE_CHECKING:
    from swe_srl.training.settings import StageSettings, TrainSettings


def run(settings: TrainSettings, console: Console) -> int:
    """Train, or go on with the run in the folder."""
    place = launched()
    console.resumable(settings.output)
    _check_names(settings)
    if settings.processes > 1 and place.count == 1:
        return run_many(shlex.split(console.typed)[1:], settings.processes)
    from swe_srl.training import train
    from swe_srl.training.effect_settings import tries_commands

    if place.main and (settings.needs_tasks or any(map(tries_commands, settings.stages))):
        console.sweep()
    folder = train(settings, console.progress())
    if place.main:
        console.say(f"run folder: {folder}")
    return 0


def _check_names(settings: TrainSettings) -> None:
    """Before anything that takes seconds to load."""
    from swe_srl.training.names import check_names

    check_names(settings)


def plan(settings: TrainSettings, console: Console) -> None:
    """Make the steps and say what would be trained; of the model, only the tokenizer is loaded, where it is here."""
    _check_names(settings)
    from swe_srl.generation.source import is_hub_id
    from swe_srl.training.data import load_steps
    from swe_srl.training.describing import step_warnings
    from swe_srl.training.room import context_lengths
    from swe_srl.training.run import check_processes, check_start
    from swe_srl.training.tasks import load_task_data, runnable

    if not launched().main:
        return
    check_processes(settings, max(launched().count, settings.processes))
    data, tasks = load_steps(settings), load_task_data(settings)
    resumes = check_start(settings, data, tasks)[2]
    if settings.needs_steps:
        console.say(f"{len(data.training)} training steps, {len(data.validation)} held out")
        tell_report(data.report, console, (settings.trajectories, *settings.logs))
        for warning in step_warnings(data):
            console.say(warning)
        if lengths := context_lengths(settings, data.training):
            console.say(lengths.text)
            for warning in lengths.warnings:
                console.say(warning)
    if settings.needs_tasks:
        tasks, unavailable = runnable(tasks, settings)
        console.say(f"{len(tasks.training)} training tasks, {len(tasks.validation)} held out")
        console.tell_unavailable(unavailable)
    for number, stage in enumerate(settings.stages):
        console.say(f"stage {number}: {stage_summary(stage)}")
    exists = " (exists: would go on)" if resumes else ""
    unchecked = " (not looked for on the hub)" if is_hub_id(settings.model) else ""
    console.say(
        f"model {settings.model}{unchecked}, agent {settings.agent_name}, run folder: {settings.output}{exists}"
    )


def stage_summary(stage: StageSettings) -> str:
    """One line about a stage."""
    length = f"{stage.updates} updates" if stage.updates else f"{stage.epochs} epochs"
    if stage.compute_tokens:
        length = f"at most {length}, until {stage.compute_tokens:,} tokens of compute,"
    unit, samples = ("tasks", "episodes") if stage.method == "rlvr" else ("steps", "completions")
    group = f", {stage.group_size} {samples} each" if stage.method != "sft" else ""
    return f"{stage.method}, {length} of {stage.batch_steps} {unit}{group}, learning rate {stage.learning_rate:g}"
