"""A whole training run: data, model, stages, the final model. Resumes when its folder holds the same run."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from swe_srl.agents import AgentDefinition
from swe_srl.agents.showing import check_agent
from swe_srl.envs.definition import EnvironmentDefinition
from swe_srl.errors import ConfigError, SweSrlError
from swe_srl.files import write_atomic
from swe_srl.generation.loading import pick_device
from swe_srl.generation.source import check_model_source
from swe_srl.progress import Progress, SilentProgress
from swe_srl.runs import RunFolder
from swe_srl.seeds import derive_seed
from swe_srl.settings import as_mapping
from swe_srl.training.checkpoints import disk_named, save_result, write_folder
from swe_srl.training.data import (
    StepData,
    load_steps,
    model_fingerprint,
    order_fingerprint,
    quickstart_file,
    similarity_fingerprints,
    try_similarities,
)
from swe_srl.training.describing import describe_steps, describe_tasks
from swe_srl.training.expert_states import check_states
from swe_srl.training.experts import expert_commands, experts_fingerprint, require_experts
from swe_srl.training.lengthening import check_lengthening, is_lengthening, lengths_of
from swe_srl.training.memory import memory_named
from swe_srl.training.processes import Processes, joined
from swe_srl.training.served import check_server
from swe_srl.training.settings import QUICKSTART, RANDOM, TrainSettings
from swe_srl.training.stage import StageTrainer
from swe_srl.training.start import action_format, make_workplace, start_model
from swe_srl.training.tasks import TaskData, definition_fingerprints, load_task_data, runnable
from swe_srl.training.workplace import Workplace

FREE_SETTINGS = (
    "output",
    "tensorboard",
    "track",
    "keep",
    "generate_tokens",
    "update_tokens",
    "memory",
    "gradient_checkpointing",
    "threads",
    "workers",
    "grading_workers",
    "pivot_cache",
    "processes",
    "shard",
    "vllm",
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
    with joined(settings.device) as processes:
        return _train(settings, progress if progress and processes.main else SilentProgress(), processes)


def _train(settings: TrainSettings, progress: Progress, processes: Processes) -> Path:
    check_processes(settings, processes.count)
    data, tasks = processes.together(lambda: (load_steps(settings), load_task_data(settings)))
    recorded, fingerprints, _ = processes.together(lambda: check_start(settings, data, tasks))
    _same_data(processes.each(lambda: fingerprints))
    finished = processes.from_main(lambda: _finished(settings))
    tasks, unavailable = processes.from_main(lambda: (tasks, {}) if finished else runnable(tasks, settings))
    with _folder(settings, recorded, fingerprints, processes) as run:
        if finished:
            progress.note(f"{run.path} is finished: nothing to do")
            return run.path
        if processes.count > 1:
            progress.note(f"{processes.count} processes share the work")
        if processes.main:
            describe_steps(run, data, progress)
            describe_tasks(run, tasks, unavailable, progress)
        if processes.count > 1:
            torch.manual_seed(derive_seed(settings.seed, "process", processes.index))  # what a layer may draw
        if settings.threads:
            torch.set_num_threads(settings.threads)
        try:
            with memory_named(settings):
                start = processes.from_main(lambda: start_model(settings, run, data))
                make = partial(make_workplace, settings, run, data, tasks, start, progress, processes)
                work = processes.together(make)
        except SweSrlError:
            if processes.main:
                run.abandon()  # a model that does not load must not keep the folder from a second, better start
            raise
        try:
            with memory_named(settings), disk_named(run.path):
                _stages(work, run, start)
        finally:
            work.journal.close()
    return run.path


def check_processes(settings: TrainSettings, count: int) -> None:
    """Check that what is asked for several processes has several.

    Raises:
        ConfigError: there is one alone.
    """
    if count > 1:
        return
    if settings.processes > 1:
        raise ConfigError("processes: from Python, a launcher has to start them (torchrun, or accelerate launch)")
    if settings.shard:
        raise ConfigError("shard: one process has nobody to share with; start several (processes, or a launcher)")


def _folder(
    settings: TrainSettings, recorded: dict[str, Any], fingerprints: dict[str, str], processes: Processes
) -> RunFolder:
    """The run folder: locked by the first process; the others look into it.

    Raises:
        ConfigError: another process does not see it.
    """
    defaults, path = as_mapping(TrainSettings()), settings.output
    begin = partial(RunFolder.start, path, "train", recorded, fingerprints, FREE_SETTINGS, defaults, lengths_of)
    own = processes.together(lambda: begin() if processes.main else RunFolder(path, "train", recorded, fingerprints))
    try:
        processes.together(lambda: _require_seen(path))
    except SweSrlError:
        if processes.main:
            own.abandon()
        raise
    return own


def _require_seen(path: Path) -> None:
    if not (path / "run.json").is_file():
        raise ConfigError(f"does not see {path}, which the first one has made: all machines have to share that folder")


def _same_data(found: list[dict[str, str]]) -> None:
    for index, one in enumerate(found):
        if one != found[0]:
            names = ", ".join(sorted(name for name in {*one, *found[0]} if one.get(name) != found[0].get(name)))
            raise ConfigError(f"process {index + 1} of {len(found)} reads other data than the first one: {names}")


def _stages(work: Workplace, run: RunFolder, start: Path | str) -> None:
    """Run the stages that are left. A finished one has its row in stages/ and its model folder.

    Where a run is made longer, those of the last stage are the shorter run's, and stay until they are replaced; only then is the
    run no longer marked, so that a start after a kill replaces them again, from the last checkpoint.
    """
    settings, lengthening = work.settings, work.processes.from_main(lambda: run.lengthening)
    if lengthening:
        work.progress.note(f"{run.path} is made longer: until it ends, a result in it is the shorter run's")
    ends: list[dict[str, Any]] = []
    for index in range(len(settings.stages)):
        last = index == len(settings.stages) - 1
        result = run.file("model") if last else run.file("stages") / str(index)
        row_file = run.file("stages") / f"{index}.json"
        if work.processes.from_main(result.exists) and not (last and lengthening):
            work.load(result)
            ends.append(json.loads(row_file.read_text(encoding="utf-8")))
            work.journal.lengths = dict(ends[-1]["journals"])
        else:
            trainer = StageTrainer(work, index, start)
            trainer.run()
            chosen = trainer.finish().update
            end = {"stage": index, "updates": trainer.update, "chosen_update": chosen, "best": trainer.best}
            end["compute_tokens"] = trainer.compute
            ends.append(end | {"journals": dict(work.journal.lengths)})
            model = work.to_save()
            work.processes.from_main(partial(_write_result, work, model, row_file, ends[-1], result))
        work.position += ends[-1]["updates"]
        start = result
    text = json.dumps({"stages": ends}, indent=2) + "\n"
    work.processes.from_main(lambda: write_atomic(run.file("result.json"), text))
    work.processes.from_main(run.lengthened)


def _write_result(work: Workplace, model: PreTrainedModel, row_file: Path, row: dict[str, Any], result: Path) -> None:
    write_atomic(row_file, json.dumps(row) + "\n")
    write_folder(result, lambda folder: save_result(folder, model, work.tokenizer, work.settings.lora.merge))


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
    fingerprints |= definition_fingerprints(settings, tasks)
    if settings.vllm.url:
        fingerprints["generator"] = "vllm"  # whichever server it is; another generator draws other completions
    if (form := action_format(settings)) != "bash":
        fingerprints["action_format"] = form
    defaults = as_mapping(TrainSettings())
    resumes = RunFolder.check(settings.output, "train", recorded, fingerprints, FREE_SETTINGS, defaults, lengths_of)
    check_lengthening(settings)
    if not _finished(settings):  # of a finished run, nothing is needed any more
        if settings.model not in (QUICKSTART, RANDOM):
            check_model_source(settings.model, (QUICKSTART, RANDOM))
        try_similarities(settings, data.training)
        pick_device(settings.device)
        if settings.vllm.url:
            check_server(settings)
        if settings.needs_experts:
            names = [task.instance_id for task in tasks.training]
            require_experts(expert_commands(settings), names, settings.trajectories)
        check_states(tasks.states, settings, data)
        if settings.environment and (settings.needs_tasks or tasks.states.tasks):
            EnvironmentDefinition.load(settings.environment)
        if settings.needs_tasks:
            check_agent(AgentDefinition.load(settings.agent_name), (*tasks.training, *tasks.validation))
    return recorded, fingerprints, resumes


def _finished(settings: TrainSettings) -> bool:
    return (settings.output / "result.json").exists() and not is_lengthening(settings)


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
