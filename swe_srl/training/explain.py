"""Why a step was learnt as it was: its samples, their rewards and advantages, and what the update did to them.

What the trainer recorded (`samples.jsonl`) is read as it is. Any other step of the run is sampled again from a checkpoint
and scored by a later one; only that needs torch.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swe_srl.agents.definition import AgentDefinition
from swe_srl.errors import ConfigError, suggest
from swe_srl.runs import RunFolder
from swe_srl.seeds import derive_seed
from swe_srl.settings import as_mapping, from_mapping, setting
from swe_srl.training.data import load_steps, quickstart_file, stage_steps
from swe_srl.training.settings import QUICKSTART, RANDOM, StageSettings, TrainSettings
from swe_srl.trajectories.action_format import parse_action
from swe_srl.types import Action, Step

if TYPE_CHECKING:
    from swe_srl.training.rollouts import Logprobs, Rollouts

LAST = "last"
LISTED = 12  # recorded steps named in a message


@dataclass(frozen=True)
class ExplainSettings:
    """Settings of `swe-srl explain`."""

    run: str = setting("", "Run folder of a training run.")
    step: str = setting(LAST, "A recorded update's number, the id of a step, or last (the newest recorded step).")
    resample: bool = setting(False, "Sample the step again, even if it is recorded.")
    stage: int = setting(-1, "Stage of the run, from 0; -1: the last srl stage.")
    before: int = setting(
        -1, "Sample again with the checkpoint of this update; -1: with the model the stage started with."
    )
    after: int = setting(
        -1, "Compare with the checkpoint of this update; -1: the stage's result, or its newest checkpoint."
    )
    full: bool = setting(False, "Print the completions whole.")
    json: bool = setting(False, "Print it as JSON.")


@dataclass(frozen=True)
class Explained:
    """One completion: what it earned, and its log-probability (of all its tokens) before and after the update."""

    text: str
    command: str
    malformed: str
    parts: dict[str, float]
    reward: float
    advantage: float
    tokens: int
    before: float | None  # not known of runs that did not record it
    after: float | None

    @property
    def change(self) -> float | None:
        """Of the log-probability, per token."""
        if self.before is None or self.after is None:
            return None
        return (self.after - self.before) / max(1, self.tokens)


@dataclass(frozen=True)
class Explanation:
    """The samples of one step.

    Args:
        sampled: "recorded" when the trainer used them, "again" when they were sampled for this.
        before: the model that sampled, in words.
        after: the model that is compared with it.
    """

    stage: int
    update: int | None
    step_id: str
    target: str
    sampled: str
    before: str
    after: str
    completions: tuple[Explained, ...]

    @property
    def mean(self) -> float:
        """Of the rewards."""
        return statistics.fmean(one.reward for one in self.completions)

    @property
    def spread(self) -> float:
        """Sample standard deviation of the rewards."""
        return statistics.stdev(one.reward for one in self.completions)

    def moved(self, better: bool) -> float | None:
        """Factor of the probability per token of the completions that are better (or worse) than the group's mean."""
        changes = [one.change for one in self.completions if (one.advantage > 0 if better else one.advantage < 0)]
        known = [change for change in changes if change is not None]
        return math.exp(statistics.fmean(known)) if known else None

    def as_dict(self) -> dict[str, Any]:
        """As JSON data."""
        derived: dict[str, float | None] = {"reward_mean": self.mean, "reward_spread": self.spread}
        derived |= {"better_moved_by": self.moved(True), "worse_moved_by": self.moved(False)}
        return {**asdict(self), **derived}


def explain(settings: ExplainSettings) -> Explanation:
    """What became of a step in a run.

    Raises:
        ConfigError: no training run there, no such step or update, or no such checkpoint.
    """
    run = RunFolder.read(settings.run, ("train",))
    trained = from_mapping(TrainSettings, {**as_mapping(TrainSettings()), **run.settings}, settings.run)
    stage = _stage(trained, settings.stage)
    rows = [row for row in run.rows("samples") if "step_id" in row]
    if settings.stage >= 0:
        rows = [row for row in rows if row["stage"] == stage]
    found = [row for row in rows if settings.step in (LAST, str(row["update"]), row["step_id"])]
    if found and not settings.resample:
        return _recorded(found[-1], AgentDefinition.load(trained.agent_name).prompting.action_format)
    if not found and (settings.step == LAST or settings.step.isdigit()):
        raise ConfigError(f"{settings.run} has no recorded step of update {settings.step}; {_listed(rows)}")
    step_id = found[-1]["step_id"] if found else settings.step
    return _again(run, trained, stage, _step(trained, stage, step_id), settings)


def _stage(trained: TrainSettings, asked: int) -> int:
    stages = [index for index, stage in enumerate(trained.stages) if stage.method == "srl"]
    if asked >= 0 and asked not in stages:
        raise ConfigError(f"stage {asked} is no srl stage of this run (those are: {stages or 'none'})")
    if not stages:
        raise ConfigError("the run has no srl stage: only srl samples steps")
    return asked if asked >= 0 else stages[-1]


def _listed(rows: Sequence[dict[str, Any]]) -> str:
    shown = [f"{row['update']} ({row['step_id']})" for row in rows[-LISTED:]]
    return f"recorded updates (with their steps): {', '.join(shown)}" if shown else "none is recorded yet"


def _command(text: str, form: str) -> str:
    action = parse_action(text, form)
    return action.command if isinstance(action, Action) else ""


def _recorded(row: dict[str, Any], form: str) -> Explanation:
    completions = tuple(
        Explained(
            one["text"],
            _command(one["text"], form),
            one["malformed"],
            one.get("parts", {}),
            one["reward"],
            one["advantage"],
            one["tokens"],
            sum(one["logprobs"]) if "logprobs" in one else None,
            sum(one["logprobs_after"]) if "logprobs_after" in one else None,
        )
        for one in row["completions"]
    )
    update = row["update"]
    before, after = "the model that sampled it", f"the model after update {update}"
    return Explanation(row["stage"], update, row["step_id"], row["target"], "recorded", before, after, completions)


def _step(trained: TrainSettings, index: int, step_id: str) -> Step:
    """The step as its stage trained on it."""
    data = load_steps(trained)
    training = stage_steps(data.training, trained, index)
    steps = {step.step_id: step for step in (*training, *data.validation)}
    if step_id not in steps:
        raise ConfigError(f"STEP: {suggest(step_id, steps, 'step')}")
    return steps[step_id]


def _again(run: RunFolder, trained: TrainSettings, index: int, step: Step, settings: ExplainSettings) -> Explanation:
    """Sample a step with the model before, and score what came of it by the model after."""
    from swe_srl.generation import TransformersGenerator
    from swe_srl.training.effects import Effects
    from swe_srl.training.expert_states import load_states
    from swe_srl.training.objective import group_advantages
    from swe_srl.training.rollouts import Sampler

    stage = trained.stages[index]
    (before, first), (after, second) = (
        _start(run, trained, index, settings.before),
        _end(run, trained, index, settings.after),
    )
    form = AgentDefinition.load(trained.agent_name).prompting.action_format
    generator = TransformersGenerator(before, trained.device, "float32", trained.generate_tokens)
    states = load_states(trained)
    if states.tasks:
        states.require([step], "explained")
    effects = Effects.of(trained, states)
    sampler = Sampler(generator, [step], stage, derive_seed(trained.seed, "explain", index), form=form, effects=effects)
    (group,) = sampler.sample([(0, 0)], stage.group_size)
    old = _logprobs(generator, stage, group, step, trained.update_tokens)
    scorer = TransformersGenerator(after, trained.device, "float32", trained.generate_tokens)
    new = _logprobs(scorer, stage, group, step, trained.update_tokens)
    import torch

    advantages = group_advantages(torch.tensor([group.rewards]), stage.std_scaling)[0].tolist()
    completions = tuple(
        Explained(
            one.text,
            _command(one.text, form),
            group.reasons[i],
            group.parts[i],
            group.rewards[i],
            advantages[i],
            len(one.token_ids),
            sum(old[i]),
            sum(new[i]),
        )
        for i, one in enumerate(group.completions)
    )
    return Explanation(index, None, step.step_id, step.target, "again", first, second, completions)


def _logprobs(generator: Any, stage: StageSettings, group: Rollouts, step: Step, budget: int) -> Logprobs:
    from swe_srl.generation.loading import encode_chat
    from swe_srl.training.forward import TokenGroup, shares_prefixes
    from swe_srl.training.update import Updater

    context = tuple(encode_chat(generator.tokenizer, step.context))
    tokens = TokenGroup(context, tuple(one.token_ids for one in group.completions))
    generator.model.requires_grad_(True)  # adapters are read frozen; nothing is trained here
    updater = Updater(generator.model, stage, 1, budget, plain=not shares_prefixes(generator.model))
    return updater.logprobs([tokens])[0]


def _checkpoints(run: RunFolder, stage: int) -> Iterator[tuple[int, Path]]:
    for folder in sorted(run.file("checkpoints").glob(f"s{stage}-u*")):
        yield int(folder.name.rpartition("u")[2]), folder


def _checkpoint(run: RunFolder, stage: int, update: int) -> tuple[Path, str]:
    kept = dict(_checkpoints(run, stage))
    if update not in kept:
        shown = ", ".join(map(str, kept)) or "none"
        raise ConfigError(f"stage {stage} has no checkpoint of update {update}; there are: {shown}")
    return kept[update], f"update {update} of stage {stage}"


def _start(run: RunFolder, trained: TrainSettings, index: int, update: int) -> tuple[Path | str, str]:
    if update >= 0:
        return _checkpoint(run, index, update)
    if index:
        return run.file("stages") / str(index - 1), f"the start of stage {index}"
    names: dict[str, Path] = {RANDOM: run.file("random-model")}
    if trained.model == QUICKSTART:
        names[QUICKSTART] = quickstart_file("model")
    return names.get(trained.model, trained.model), f"the start of stage {index}"


def _end(run: RunFolder, trained: TrainSettings, index: int, update: int) -> tuple[Path, str]:
    if update >= 0:
        return _checkpoint(run, index, update)
    result = run.file("model") if index == len(trained.stages) - 1 else run.file("stages") / str(index)
    if result.exists():
        return result, f"the result of stage {index}"
    kept = list(_checkpoints(run, index))
    if not kept:
        raise ConfigError(f"{run.path} has no checkpoint of stage {index} yet")
    return kept[-1][1], f"update {kept[-1][0]} of stage {index}"
