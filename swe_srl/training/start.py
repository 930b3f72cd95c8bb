"""What a run sets out with: the start model, and the workplace that its stages share."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import PreTrainedModel

from swe_srl.agents import AgentDefinition
from swe_srl.errors import ConfigError
from swe_srl.generation.attention import use_grouped
from swe_srl.generation.loading import DTYPES, load_model, pick_device
from swe_srl.generation.local import TransformersGenerator
from swe_srl.generation.templates import template_notes
from swe_srl.generation.trying import check_decoding
from swe_srl.progress import Progress
from swe_srl.protocols import Generator
from swe_srl.runs import RunFolder
from swe_srl.training.adapters import add_adapter, has_adapter
from swe_srl.training.budget import budgets_of
from swe_srl.training.checkpoints import Checkpoints, write_folder
from swe_srl.training.data import StepData, quickstart_file
from swe_srl.training.effects import Effects
from swe_srl.training.forward import shares_prefixes
from swe_srl.training.journal import Journal
from swe_srl.training.memory import give_back_at_once, recompute_activations
from swe_srl.training.processes import Processes
from swe_srl.training.random_model import make_random_model
from swe_srl.training.served import Served
from swe_srl.training.settings import QUICKSTART, RANDOM, TrainSettings
from swe_srl.training.tasks import TaskData
from swe_srl.training.workplace import Workplace, arithmetic
from swe_srl.trajectories.prompting import render_messages
from swe_srl.types import Action, Message, Turn

if TYPE_CHECKING:
    from swe_srl.training.sharding import Sharded

FIRST = 200  # steps whose chats are looked at for what the chat template does


def start_model(settings: TrainSettings, run: RunFolder, data: StepData) -> Path | str:
    """The model folder or hub id that the run starts from."""
    if settings.model == QUICKSTART:
        return quickstart_file("model")
    if settings.model != RANDOM:
        return settings.model
    folder = run.file("random-model")
    if not folder.exists():
        form = action_format(settings)
        write_folder(folder, lambda hidden: make_random_model(hidden, data.training, settings.seed, form))
    return folder


def action_format(settings: TrainSettings) -> str:
    """How a completion holds its command (see `swe_srl.trajectories.action_format`)."""
    return AgentDefinition.load(settings.agent_name).prompting.action_format


def _longest_chat(settings: TrainSettings, data: StepData) -> tuple[Message, ...]:
    """The longest chat among the first steps; of a run without steps, one that its agent definition renders."""
    if data.training:
        return max((step.context for step in data.training[:FIRST]), key=len)
    turns = [Turn(Action("ls", "Look around."), "README.md\n", 0)] * 2
    return render_messages(AgentDefinition.load(settings.agent_name).prompting, "An issue.", turns)


def make_workplace(
    settings: TrainSettings,
    run: RunFolder,
    data: StepData,
    tasks: TaskData,
    start: Path | str,
    progress: Progress,
    processes: Processes,
) -> Workplace:
    """Load the model and set up what the stages share; every process has its own.

    Raises:
        ConfigError: adapters where a model is needed, or something that is asked for and not installed.
        GenerationError: the model cannot be loaded.
    """
    device = pick_device(settings.device)
    half = settings.dtype == "bfloat16" or (settings.dtype == "auto" and device.type != "cpu")
    shard = settings.shard and processes.count > 1
    model, tokenizer = load_model(start, torch.device("cpu") if shard else device, torch.float32)
    if has_adapter(model):
        raise ConfigError(f"{start} holds adapters, not a whole model: start from their base, or from a merged model")
    add_adapter(model, settings.lora, start, settings.seed)
    if settings.gradient_checkpointing:
        recompute_activations(model)
    half_type = DTYPES["bfloat16"] if half else None
    if settings.memory:
        give_back_at_once()
        settings = _fitted(settings, run, model, device, half_type, progress, processes)
    sharded = _sharded(model, device, settings) if shard else None
    grouped = use_grouped(model)
    served = Served(settings, model, tokenizer, _served_folder(settings, run), processes) if settings.vllm.url else None
    generator: Generator
    if served:
        generator = served.generator
        progress.note(f"vLLM {served.server.version} at {served.server.url} samples")
    else:
        generator = TransformersGenerator((model, tokenizer), batch_tokens=settings.generate_tokens)
    if settings.shared_contexts and not shares_prefixes(model):
        reason = "has attention of another kind"
        if grouped:
            reason = (
                f"runs on {device.type}" if device.type not in ("cpu", "cuda") else "has an output head of another kind"
            )
        progress.note(f"{type(model).__name__} {reason}: every sequence is computed apart")
    for said in template_notes(tokenizer, _longest_chat(settings, data)):
        progress.note(said)
    main = processes.main
    journal = Journal(run, settings.tensorboard and main, settings.track if main else (), writes=main)
    checkpoints = Checkpoints(run.file("checkpoints"), settings.keep, processes)
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
        half_type,
        action_format(settings),
        processes,
        sharded=sharded,
        served=served,
        effects=Effects.of(settings, tasks.states, progress.note),
    )


def _served_folder(settings: TrainSettings, run: RunFolder) -> Path:
    return Path(settings.vllm.folder) if settings.vllm.folder else run.file("served")


def _fitted(
    settings: TrainSettings,
    run: RunFolder,
    model: PreTrainedModel,
    device: torch.device,
    dtype: torch.dtype | None,
    progress: Progress,
    processes: Processes,
) -> TrainSettings:
    """The settings with the token budgets that fit into the memory."""
    use_grouped(model)  # as it will be for sampling
    shares = processes.count if settings.shard else 1
    passes = partial(arithmetic, model, dtype)
    found = processes.from_main(lambda: budgets_of(run.path, settings, model, passes, device, shares))
    progress.note(f"memory {settings.memory}: {found.text}")
    return replace(settings, update_tokens=found.update_tokens, generate_tokens=found.generate_tokens)


def _sharded(model: PreTrainedModel, device: torch.device, settings: TrainSettings) -> Sharded:
    from swe_srl.training.sharding import Sharded

    use_grouped(model)  # as it will be for sampling: the first pass is made here
    if not settings.vllm.url:
        check_decoding(model)  # while all of it is here
    return Sharded(model, device, settings.lora)
