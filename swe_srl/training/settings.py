"""Settings of `swe-srl train`: what a run shares, and what each of its stages does. Imports neither torch nor a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swe_srl.errors import ConfigError, suggest
from swe_srl.rewards import get_similarity
from swe_srl.settings import check_at_least, check_choices, check_finite, setting, settings_of
from swe_srl.tasks.sources import BUNDLED
from swe_srl.training.adapter_settings import LoraSettings
from swe_srl.training.amounts import memory_bytes
from swe_srl.training.effect_settings import check_effect
from swe_srl.training.method_settings import READ_BY, with_overrides
from swe_srl.training.stage_checks import check_bounds
from swe_srl.training.vllm_settings import VllmSettings
from swe_srl.trajectories.steps import StepSettings

DTYPES = ("auto", "float32", "bfloat16")
METHODS = ("srl", "sft", "rlvr")
TRACKERS = ("wandb", "trackio")
QUICKSTART = "quickstart"
RANDOM = "random"


@dataclass(frozen=True)
class StageSettings:
    """One stage of a run. Every stage starts from the model that the stage before it ended with."""

    method: str = setting(
        "srl",
        "How to train: samples of the expert's steps rewarded by similarity (srl), likelihood of the expert's targets "
        "(sft), or whole episodes rewarded by the hidden tests (rlvr).",
        METHODS,
    )
    updates: int = setting(0, "Updates of this stage; 0 counts by epochs.")
    compute_tokens: int = setting(
        0, "End the stage when its forward and twice its backward tokens reach this; 0: never."
    )
    epochs: int = setting(
        1,
        "When updates is 0: as many updates as drawing batch_steps steps each takes for so many passes over the steps; "
        "dynamic sampling draws others in place of groups that it skips, so it can pass over them several times more.",
    )
    batch_steps: int = setting(
        16, "Steps per update (for srl: groups with a usable reward spread; for rlvr: tasks with one)."
    )
    steps_per_trajectory: int = setting(
        1,
        "Steps of one trajectory that are drawn one after the other (srl, sft): with full history they share their trunk, "
        "so an update computes fewer tokens, of fewer trajectories.",
    )
    learning_rate: float = setting(1e-5, "Peak learning rate of AdamW.")
    warmup: float = setting(0.0, "Share of the stage over which the learning rate rises from 0.")
    schedule: str = setting("constant", "Learning rate after the warm-up.", ("constant", "linear", "cosine"))
    weight_decay: float = setting(0.0, "Decoupled weight decay of AdamW.")
    grad_norm: float = setting(1.0, "Gradients are scaled down to this norm; 0 leaves them.")
    group_size: int = setting(8, "Completions sampled per step, or episodes per task (G).")
    temperature: float = setting(1.0, "Sampling temperature of training and validation.")
    max_new_tokens: int = setting(512, "Tokens a completion may have; a longer one is cut, and malformed.")
    similarity: str = setting(
        "sequence",
        "Similarity of command and target command that is the reward: a name, or a function of your own as FILE.py:FUNCTION "
        "or package.module:FUNCTION. effect tries both in a sandbox of the step's task, after the expert's earlier turns.",
    )
    sharpness: float = setting(
        1.0, "The reward is the similarity to this power: above 1, near misses earn little and hedging does not pay."
    )
    format_penalty: float = setting(-1.0, "Reward of a malformed completion.")
    std_scaling: bool = setting(True, "Divide a group's advantages by the standard deviation of its rewards.")
    clip_low: float = setting(0.2, "The probability ratio is clipped below at 1 - clip_low.")
    clip_high: float = setting(0.2, "The probability ratio is clipped above at 1 + clip_high.")
    kl: float = setting(0.0, "Weight of the KL divergence from the model that the stage started with; 0 needs no copy.")
    average: str = setting(
        "sequence",
        "Every completion (for rlvr: every episode) counts the same (sequence), or every token does (token).",
        ("sequence", "token"),
    )
    dynamic_sampling: bool = setting(True, "Replace groups whose reward spread is too small until the batch is full.")
    epsilon: float = setting(0.01, "Dynamic sampling keeps groups whose rewards' standard deviation exceeds this.")
    max_resampling: float = setting(4.0, "Dynamic sampling draws at most this many times batch_steps steps an update.")
    pivot_samples: int = setting(
        0,
        "Before an srl stage, sample so many completions of each step with the stage's start model, and train on pivots "
        "alone: steps with mixed rewards (their spread exceeds epsilon) and a mean below pivot_below; 0: on all steps.",
    )
    pivot_below: float = setting(1.0, "Mean reward of the probing pass below which a step can be a pivot.")
    pivot_steps: int = setting(0, "Steps that the probing pass looks at, chosen by the seed; 0: all.")
    step_weight: float = setting(
        0.0,
        "In rlvr, a resolved episode earns beside its 1 so many times the mean similarity of its commands to the expert's of "
        "the same turns; an unresolved one earns nothing. 0: the verdict alone.",
    )
    inner_epochs: int = setting(1, "Passes over an update's samples.")
    minibatches: int = setting(1, "Optimiser steps per pass over an update's samples.")
    sft_target: str = setting("thought+command", "What sft learns to write.", ("command", "thought+command"))
    srl_target: str = setting(
        "turn",
        "What srl compares with: the expert's command of the turn, or the rest of its trajectory as one action (rest).",
        ("turn", "rest"),
    )
    shuffle_targets: bool = setting(False, "Control: give every step the target of another one.")
    eval_every: int = setting(10, "Updates between validations; 0 for none.")
    validation_steps: int = setting(64, "Held-out steps (for rlvr: tasks) of a validation, the same ones each time.")
    save_every: int = setting(10, "Updates between checkpoints; 0 for the stage's end only.")

    def __post_init__(self) -> None:
        check_choices(self)
        check_finite(self)
        get_similarity(self.similarity)  # an unknown one is refused now, not when the stage begins
        check_effect(self)
        check_bounds(self)


def override(name: str) -> Any:
    """A setting of the run that, when given, replaces the same setting of every stage."""
    item = settings_of(StageSettings)[name]
    whose = "" if name not in READ_BY else f" ({', '.join(READ_BY[name])})"
    return setting(None, f"In every stage{whose}: {item.help[0].lower()}{item.help[1:]}", item.choices)


@dataclass(frozen=True)
class TrainSettings:
    """A training run. Settings that a stage has too, when given here, replace those of every stage that reads them."""

    model: str = setting(QUICKSTART, "Model folder, hub id, quickstart (the bundled one), or random (a tiny new one).")
    trajectories: str = setting(
        QUICKSTART,
        "Expert trajectories: a file, a folder, a data set of the hub, or quickstart (the bundled ones); or a file of steps.",
    )
    validation: str = setting("", "Held-out trajectories; empty for the bundled ones, or validation_share of the rest.")
    validation_share: float = setting(0.05, "Share of the tasks held out when there are no held-out trajectories.")
    logs: tuple[str, ...] = setting((), "More trajectories: files and folders of any format, as of your own agent.")
    most_trajectories: int = setting(
        0, "Train on so many trajectories, drawn by the seed (fewer are among more); 0: all."
    )
    difficulty: tuple[str, ...] = setting((), "Train on `tasks` of these difficulties and their trajectories alone.")
    instances: tuple[str, ...] = setting((), "Train on these tasks and their trajectories alone: ids, or .txt lists.")
    tasks: str = setting(
        "",
        "Tasks of rlvr stages and of effect: a set, a file or a hub id; empty: quickstart-train for bundled trajectories.",
    )
    validation_tasks: str = setting(
        "",
        "Held-out tasks of rlvr and effect; empty: quickstart's own for its tasks, else validation_share of the tasks.",
    )
    sandbox: str = setting(
        "auto", "Where episodes and tests of rlvr, and the commands of effect, run.", ("auto", "local", "docker")
    )
    environment: str = setting(
        "",
        "Environment definition of rlvr and effect; empty: swebench for tasks with an image, quickstart's own, else default.",
    )
    workers: int = setting(8, "Episodes of rlvr, or states of effect, at a time.")
    grading_workers: int = setting(2, "Patches of rlvr graded at a time.")
    grading_timeout: float = setting(1800.0, "Seconds that a task's tests may take.")
    agent: str = setting("", "Agent definition that renders prompts; empty: quickstart for bundled data, else shell.")
    output: Path = setting(Path("runs/train"), "Run folder; the same command on the same folder resumes.")
    seed: int = setting(0, "Seed of everything random.")
    stages: tuple[StageSettings, ...] = setting((StageSettings(),), "The stages, in order.")
    steps: StepSettings = setting(StepSettings(), "Which turns become steps.")
    evaluation_split: str = setting("", "Split that will be evaluated: steps that belong to its tasks are refused.")
    allow_contamination: bool = setting(False, "Train on such steps all the same; the run records it.")
    max_context_tokens: int = setting(
        0, "Leave out steps with longer contexts, and say how many; 0: the model's limit."
    )
    lora: LoraSettings = setting(LoraSettings(), "Training adapters instead of the whole model.")
    vllm: VllmSettings = setting(VllmSettings(), "Sampling with a vLLM server.")
    device: str = setting("auto", "auto, cpu, cuda, cuda:1, …")
    processes: int = setting(
        1,
        "Processes on this machine that share the work; this command starts them (a launcher's number goes before it).",
    )
    shard: bool = setting(
        False, "Share parameters, gradients and optimiser out among the processes (FSDP); off: each holds all of them."
    )
    dtype: str = setting("auto", "Arithmetic; auto is float32 on a CPU and bfloat16 on a GPU.", DTYPES)
    threads: int = setting(0, "CPU threads; 0 leaves torch's choice. Results repeat at an equal number of threads.")
    shared_contexts: bool = setting(True, "Compute shared prefixes once; off: every sequence apart (slower).")
    gradient_checkpointing: bool = setting(False, "Compute activations again going backward: less memory, more time.")
    generate_tokens: int = setting(131_072, "Tokens of a generation batch, and as many kept between turns.")
    memory: str = setting(
        "",
        "Memory that a process may take (of its GPU where there is one), such as 24GB: sets update_tokens and generate_tokens "
        "to what fits; empty: they are as given.",
    )
    update_tokens: int = setting(
        4_096,
        "Tokens of one forward and backward pass, or a quarter more than a longer sequence's: lower it when memory runs out.",
    )
    samples_every: int = setting(
        10, "Updates between rows of samples.jsonl (completions beside their targets); the last one has one, too."
    )
    keep: int = setting(2, "Newest checkpoints kept, besides the best one.")
    final_model: str = setting("best", "The model a stage ends with: best by validation, or last.", ("best", "last"))
    pivot_cache: str = setting(
        "",
        "Folder for what probing passes found, which other runs use too (same model, steps, settings); empty: the run's.",
    )
    tensorboard: bool = setting(False, "Write TensorBoard events too (needs the tracking extra).")
    track: tuple[str, ...] = setting(
        (), "Trackers that get the metrics too: wandb, trackio (needs the tracking extra)."
    )
    method: str | None = override("method")
    updates: int | None = override("updates")
    epochs: int | None = override("epochs")
    batch_steps: int | None = override("batch_steps")
    steps_per_trajectory: int | None = override("steps_per_trajectory")
    group_size: int | None = override("group_size")
    learning_rate: float | None = override("learning_rate")
    temperature: float | None = override("temperature")
    max_new_tokens: int | None = override("max_new_tokens")
    similarity: str | None = override("similarity")
    sharpness: float | None = override("sharpness")
    kl: float | None = override("kl")
    dynamic_sampling: bool | None = override("dynamic_sampling")
    pivot_samples: int | None = override("pivot_samples")
    pivot_below: float | None = override("pivot_below")
    pivot_steps: int | None = override("pivot_steps")
    step_weight: float | None = override("step_weight")
    sft_target: str | None = override("sft_target")
    shuffle_targets: bool | None = override("shuffle_targets")
    eval_every: int | None = override("eval_every")
    save_every: int | None = override("save_every")

    def __post_init__(self) -> None:
        check_choices(self)
        check_finite(self)
        for name in self.track:
            if name not in TRACKERS:
                raise ConfigError(f"track: {suggest(name, TRACKERS, 'tracker')}")
        if not self.stages:
            raise ConfigError("stages: a run has at least one")
        check_at_least(self, generate_tokens=1, update_tokens=1, samples_every=1, keep=1)
        check_at_least(
            self, threads=0, max_context_tokens=0, most_trajectories=0, workers=1, grading_workers=1, processes=1
        )
        if self.memory:
            memory_bytes(self.memory)
        if self.grading_timeout <= 0:
            raise ConfigError(f"grading_timeout must be positive, not {self.grading_timeout}")
        if not 0 <= self.validation_share < 1:
            raise ConfigError(f"validation_share must be at least 0 and below 1, not {self.validation_share}")
        shared = {name for name in settings_of(StageSettings) if name in settings_of(TrainSettings)}
        given = {name: value for name in shared if (value := getattr(self, name)) is not None}
        object.__setattr__(self, "stages", with_overrides(self.stages, given))
        if self.needs_tasks and not self.task_source:
            raise ConfigError("tasks: an rlvr stage needs tasks: a task set, a file or a hub id")
        if self.difficulty and not self.task_source:
            raise ConfigError("difficulty: tasks tell it: name those that the trajectories are of with --tasks")
        if self.model == RANDOM and not self.needs_steps:
            raise ConfigError(
                "model: a random one is made from expert steps, which rlvr alone does not read: give a model"
            )

    @property
    def needs_steps(self) -> bool:
        """Whether a stage learns from the expert's steps."""
        return any(stage.method != "rlvr" for stage in self.stages)

    @property
    def needs_tasks(self) -> bool:
        """Whether a stage runs episodes."""
        return any(stage.method == "rlvr" for stage in self.stages)

    @property
    def needs_experts(self) -> bool:
        """Whether a stage rewards what is close to the expert in whole episodes."""
        return any(stage.method == "rlvr" and stage.step_weight > 0 for stage in self.stages)

    @property
    def task_source(self) -> str:
        """The tasks of rlvr stages, or "" when nothing says."""
        return self.tasks or (f"{QUICKSTART}-train" if self.trajectories == QUICKSTART else "")

    @property
    def bundled_tasks(self) -> bool:
        """Whether the tasks of rlvr stages are the quickstart's."""
        return self.task_source in BUNDLED

    @property
    def agent_name(self) -> str:
        """The agent definition that renders prompts."""
        bundled = self.trajectories == QUICKSTART if self.needs_steps else self.bundled_tasks
        return self.agent or (QUICKSTART if bundled else "shell")
