"""A whole training run: data, model, stages, the final model. Resumes when its folder holds the same run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from swe_srl.agents import AgentDefinition
from swe_srl.envs.definition import EnvironmentDefinition
from swe_srl.errors import ConfigError, SweSrlError
from swe_srl.files import write_atomic
from swe_srl.generation.loading import DTYPES, load_model, pick_device
from swe_srl.generation.local import TransformersGenerator
from swe_srl.generation.source import check_model_source
from swe_srl.generation.templates import template_notes
from swe_srl.progress import Progress, SilentProgress
from swe_srl.runs import RunFolder
from swe_srl.settings import as_mapping
from swe_srl.training.adapters import add_adapter, has_adapter
from swe_srl.training.checkpoints import Checkpoints, load_weights, save_result, write_folder
from swe_srl.training.data import (
    SHOWN,
    StepData,
    load_steps,
    model_fingerprint,
    order_fingerprint,
    quickstart_file,
    similarity_fingerprints,
)
from swe_srl.training.experts import expert_commands, experts_fingerprint, require_experts
from swe_srl.training.forward import shares_prefixes
from swe_srl.training.journal import Journal
from swe_srl.training.memory import memory_named
from swe_srl.training.random_model import make_random_model
from swe_srl.training.settings import QUICKSTART, RANDOM, TrainSettings
from swe_srl.training.stage import StageTrainer
from swe_srl.training.tasks import TaskData, load_task_data, runnable
from swe_srl.training.workplace import Workplace
from swe_srl.trajectories.prompting import render_messages
from swe_srl.types import Action, Message, Turn

FIRST = 200  # steps whose chats are looked at for what the chat template does

FREE_SETTINGS = (
    "output",
    "tensorboard",
    "track",
    "keep",
    "generate_tokens",
    "threads",
    "workers",
    "grading_workers",
    "pivot_cache",
)  # may change when a run is resumed


def train(settings: TrainSettings, progress: Progress | None = None) -> Path:
    """Train a model, or go on with the same run; returns the run folder, whose `model/` is the result.

    Raises:
        ConfigError: settings that cannot be used, or a folder that holds something else.
        TrajectoryError: trajectories that give no steps.
        ContaminationError: steps of evaluation tasks.
        TrainingError: training diverged, memory ran out, or the model failed its self-check.
        KeyboardInterrupt: passed on after a checkpoint was written; the same call goes on from there.
    """
    progress = progress or SilentProgress()
    data, tasks = load_steps(settings), load_task_data(settings)
    recorded, fingerprints, _ = check_start(settings, data, tasks)
    tasks, unavailable = (tasks, {}) if _finished(settings) else runnable(tasks, settings)
    defaults = as_mapping(TrainSettings())
    with RunFolder.start(settings.output, "train", recorded, fingerprints, FREE_SETTINGS, defaults) as run:
        if _finished(settings):
            progress.note(f"{run.path} is finished: nothing to do")
            return run.path
        _describe(run, data, progress)
        _describe_tasks(run, tasks, unavailable, progress)
        if settings.threads:
            torch.set_num_threads(settings.threads)
        start = _start_model(settings, run, data)
        try:
            with memory_named(settings):
                work = _workplace(settings, run, data, tasks, start, progress)
        except SweSrlError:
            run.abandon()  # a model that does not load must not keep the folder from a second, better start
            raise
        try:
            with memory_named(settings):
                _stages(work, run, start)
        finally:
            work.journal.close()
    return run.path


def _stages(work: Workplace, run: RunFolder, start: Path | str) -> None:
    """Run the stages that are left. A finished one has its row in stages/ and its model folder."""
    settings = work.settings
    ends: list[dict[str, Any]] = []
    for index in range(len(settings.stages)):
        result = run.file("model") if index == len(settings.stages) - 1 else run.file("stages") / str(index)
        row_file = run.file("stages") / f"{index}.json"
        if result.exists():
            load_weights(work.model, result)
            ends.append(json.loads(row_file.read_text(encoding="utf-8")))
            work.journal.lengths = dict(ends[-1]["journals"])
        else:
            trainer = StageTrainer(work, index, start)
            trainer.run()
            chosen = trainer.finish().update
            end = {"stage": index, "updates": trainer.update, "chosen_update": chosen, "best": trainer.best}
            end["compute_tokens"] = trainer.compute
            ends.append(end | {"journals": dict(work.journal.lengths)})
            write_atomic(row_file, json.dumps(ends[-1]) + "\n")
            write_folder(result, lambda folder: save_result(folder, work.model, work.tokenizer, settings.lora.merge))
        work.position += ends[-1]["updates"]
        start = result
    write_atomic(run.file("result.json"), json.dumps({"stages": ends}, indent=2) + "\n")


def _describe_tasks(run: RunFolder, tasks: TaskData, unavailable: dict[str, str], progress: Progress) -> None:
    """Write which tasks rlvr has, why others cannot be run here, and which contaminated ones were let in."""
    if not tasks.training:
        return
    progress.note(f"{len(tasks.training)} training tasks, {len(tasks.validation)} held out")
    report = {
        "training": len(tasks.training),
        "validation": len(tasks.validation),
        "unavailable": unavailable,
        "contaminated": [asdict(match) for match in tasks.contaminated],
    }
    write_atomic(run.file("tasks.json"), json.dumps(report, indent=2) + "\n")
    for reason in list(unavailable.values())[:1]:
        progress.note(
            f"{len(unavailable)} tasks cannot be run here (reasons in {run.file('tasks.json')}); the first: {reason}"
        )
    if tasks.contaminated:
        progress.note(f"warning: {len(tasks.contaminated)} tasks of rlvr are evaluation tasks")


def _describe(run: RunFolder, data: StepData, progress: Progress) -> None:
    """Write what became of every turn, and which contaminated steps were let in."""
    if not data.training:
        return
    report = data.report.as_dict() | {"training": len(data.training), "validation": len(data.validation)}
    report["contaminated"] = [asdict(match) for match in data.contaminated]
    if data.held_report is not None:
        report["validation_report"] = data.held_report.as_dict() | {"tasks_trained_on": data.shared_tasks}
    write_atomic(run.file("steps.json"), json.dumps(report, indent=2) + "\n")
    progress.note(
        f"{len(data.training)} training steps, {len(data.validation)} held out; {data.report.reported} turns "
        f"gave no step (reasons in {run.file('steps.json')})"
    )
    if data.held_report is not None and data.held_report.reported + len(data.held_report.records):
        progress.note(
            f"of the validation trajectories, {data.held_report.reported} turns gave no step and "
            f"{sum(entry.count for entry in data.held_report.records.values())} records could not be read (reasons in "
            f"{run.file('steps.json')})"
        )
    if data.shared_tasks:
        progress.note(
            f"warning: {len(data.shared_tasks)} tasks of the validation trajectories are trained on too, so validation "
            f"flatters the model: {', '.join(data.shared_tasks[:SHOWN])}"
        )
    if data.contaminated:
        progress.note(f"warning: {len(data.contaminated)} training steps belong to evaluation tasks")


def check_start(
    settings: TrainSettings, data: StepData, tasks: TaskData
) -> tuple[dict[str, Any], dict[str, str], bool]:
    """Look at what a run needs, without loading the model or writing anything.

    Returns:
        The settings as they are recorded, the fingerprints of what is read, and whether the folder holds this run already.

    Raises:
        ConfigError: no such model or device, or a folder that this run can neither begin in nor go on in.
    """
    recorded, fingerprints = as_mapping(settings), data.fingerprints() | tasks.fingerprints()
    fingerprints |= _model_fingerprint(settings) | similarity_fingerprints(settings)
    fingerprints |= experts_fingerprint(expert_commands(settings))
    if any(stage.steps_per_trajectory > 1 for stage in settings.stages):
        fingerprints["order"] = order_fingerprint(data.training)
    if (form := _action_format(settings)) != "bash":
        fingerprints["action_format"] = form
    defaults = as_mapping(TrainSettings())
    resumes = RunFolder.check(settings.output, "train", recorded, fingerprints, FREE_SETTINGS, defaults)
    if not _finished(settings):  # of a finished run, nothing is needed any more
        if settings.model not in (QUICKSTART, RANDOM):
            check_model_source(settings.model, (QUICKSTART, RANDOM))
        pick_device(settings.device)
        if settings.needs_experts:
            names = [task.instance_id for task in tasks.training]
            require_experts(expert_commands(settings), names, settings.trajectories)
        if settings.needs_tasks:
            AgentDefinition.load(settings.agent_name)
            if settings.environment:
                EnvironmentDefinition.load(settings.environment)
    return recorded, fingerprints, resumes


def _finished(settings: TrainSettings) -> bool:
    return (settings.output / "result.json").exists()


def _model_fingerprint(settings: TrainSettings) -> dict[str, str]:
    """Of the local model folder that the run starts from. A hub id names its model, and a random one follows the seed.

    A run that was begun without one goes on without one.
    """
    folder = quickstart_file("model") if settings.model == QUICKSTART else Path(settings.model)
    if settings.model == RANDOM or not folder.is_dir():
        return {}
    if (settings.output / "run.json").is_file() and "model" not in RunFolder.read(settings.output).data:
        return {}
    return {"model": model_fingerprint(folder)}


def _start_model(settings: TrainSettings, run: RunFolder, data: StepData) -> Path | str:
    """The model folder or hub id that the run starts from."""
    if settings.model == QUICKSTART:
        return quickstart_file("model")
    if settings.model != RANDOM:
        return settings.model
    folder = run.file("random-model")
    if not folder.exists():
        form = _action_format(settings)
        write_folder(folder, lambda hidden: make_random_model(hidden, data.training, settings.seed, form))
    return folder


def _action_format(settings: TrainSettings) -> str:
    return AgentDefinition.load(settings.agent_name).prompting.action_format


def _longest_chat(settings: TrainSettings, data: StepData) -> tuple[Message, ...]:
    """The longest chat among the first steps; of a run without steps, one that its agent definition renders."""
    if data.training:
        return max((step.context for step in data.training[:FIRST]), key=len)
    turns = [Turn(Action("ls", "Look around."), "README.md\n", 0)] * 2
    return render_messages(AgentDefinition.load(settings.agent_name).prompting, "An issue.", turns)


def _workplace(
    settings: TrainSettings, run: RunFolder, data: StepData, tasks: TaskData, start: Path | str, progress: Progress
) -> Workplace:
    device = pick_device(settings.device)
    half = settings.dtype == "bfloat16" or (settings.dtype == "auto" and device.type != "cpu")
    model, tokenizer = load_model(start, device, torch.float32)
    if has_adapter(model):
        raise ConfigError(f"{start} holds adapters, not a whole model: start from their base, or from a merged model")
    add_adapter(model, settings.lora, start, settings.seed)
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable()  # type: ignore[no-untyped-call]
        model.train()
    generator = TransformersGenerator((model, tokenizer), batch_tokens=settings.generate_tokens)
    if settings.shared_contexts and not shares_prefixes(model):
        reason = f"runs on {device.type}" if generator.grouped else "has attention of another kind"
        progress.note(f"{type(model).__name__} {reason}: every sequence is computed apart")
    for said in template_notes(tokenizer, _longest_chat(settings, data)):
        progress.note(said)
    journal = Journal(run, settings.tensorboard, settings.track)
    checkpoints = Checkpoints(run.file("checkpoints"), settings.keep)
    return Workplace(
        settings,
        model,
        tokenizer,
        generator,
        data.training,
        data.validation,
        tasks.training,
        tasks.validation,
        checkpoints,
        journal,
        progress,
        DTYPES["bfloat16"] if half else None,
        _action_format(settings),
    )
