"""Steps of a run that were not recorded: sampled again by a model of the run, and scored by a later one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from swe_srl.agents.definition import AgentDefinition
from swe_srl.errors import ConfigError, suggest
from swe_srl.generation import TransformersGenerator
from swe_srl.generation.loading import encode_chat
from swe_srl.generation.templates import turn_end
from swe_srl.rewards.registry import EFFECT
from swe_srl.runs import RunFolder
from swe_srl.seeds import derive_seed
from swe_srl.training.data import load_steps, quickstart_file, stage_steps
from swe_srl.training.effects import Effects
from swe_srl.training.expert_states import load_states
from swe_srl.training.explain import ExplainSettings, command_of
from swe_srl.training.explained import AnswerExplanation, Explained, Explanation, Piece, Sample
from swe_srl.training.forward import TokenGroup, shares_prefixes
from swe_srl.training.journal import CONTEXT
from swe_srl.training.objective import group_advantages
from swe_srl.training.rollouts import Logprobs, Sampler
from swe_srl.training.settings import QUICKSTART, RANDOM, StageSettings, TrainSettings
from swe_srl.training.targets import target_tokens
from swe_srl.training.update import Updater
from swe_srl.types import Step

Models = tuple[tuple[Path | str, str], tuple[Path | str, str]]  # before and after: folder or hub id, and in words


def sampled_again(
    run: RunFolder, trained: TrainSettings, index: int, step_id: str, settings: ExplainSettings
) -> Explanation | AnswerExplanation:
    """Sample a step with one model of the run, and compare with another one.

    Args:
        index: of the stage, which is one of srl or sft.

    Raises:
        ConfigError: no such step or checkpoint.
    """
    step = _step(trained, index, step_id)
    models = _start(run, trained, index, settings.before), _end(run, trained, index, settings.after)
    told = _answer if trained.stages[index].method == "sft" else _samples
    return told(trained, index, step, models)


def _step(trained: TrainSettings, index: int, step_id: str) -> Step:
    """The step as its stage trained on it."""
    data = load_steps(trained)
    training = stage_steps(data.training, trained, index)
    steps = {step.step_id: step for step in (*data.validation, *training)}  # a name may be of both
    if step_id not in steps:
        raise ConfigError(f"STEP: {suggest(step_id, steps, 'step')}")
    return steps[step_id]


def _form(trained: TrainSettings) -> str:
    return AgentDefinition.load(trained.agent_name).prompting.action_format


def _generator(model: Path | str, trained: TrainSettings) -> TransformersGenerator:
    return TransformersGenerator(model, trained.device, "float32", trained.generate_tokens)


def _samples(trained: TrainSettings, index: int, step: Step, models: Models) -> Explanation:
    (before, first), (after, second) = models
    stage, form = trained.stages[index], _form(trained)
    generator, states = _generator(before, trained), load_states(trained)
    if states.tasks:
        states.require([step], "explained")
    effects = Effects.of(trained, states)
    sampler = Sampler(generator, [step], stage, derive_seed(trained.seed, "explain", index), form=form, effects=effects)
    (group,) = sampler.sample([(0, 0)], stage.group_size)
    context = tuple(encode_chat(generator.tokenizer, step.context))
    tokens = TokenGroup(context, tuple(one.token_ids for one in group.completions))
    old = _logprobs(generator, stage, tokens, trained.update_tokens, stage.temperature)
    new = _logprobs(_generator(after, trained), stage, tokens, trained.update_tokens, stage.temperature)
    advantages = group_advantages(torch.tensor([group.rewards]), stage.std_scaling)[0].tolist()
    completions = tuple(
        Explained(
            one.text,
            command_of(one.text, form),
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


def _answer(trained: TrainSettings, index: int, step: Step, models: Models) -> AnswerExplanation:
    (before, first), (after, second) = models
    stage, form = trained.stages[index], _form(trained)
    if stage.similarity == EFFECT:  # as what an sft stage writes down
        stage = replace(stage, similarity="shell")
    old, new = _generator(before, trained), _generator(after, trained)
    end = turn_end(old.tokenizer, old.ends)
    ids = target_tokens(old.tokenizer, step, stage.sft_target == "thought+command", form, end)
    tokens = TokenGroup(tuple(encode_chat(old.tokenizer, step.context)), (ids,))
    (was,), (now,) = (_logprobs(one, stage, tokens, trained.update_tokens, 1.0) for one in (old, new))
    sampler = Sampler(new, [step], stage, derive_seed(trained.seed, "explain", index), form=form)
    (group,) = sampler.sample([(0, 0)], 1)
    text = group.completions[0].text
    similarity = group.parts[0]["similarity"]
    own = Sample(step.step_id, step.target, text, command_of(text, form), group.reasons[0], similarity)
    pieces = tuple(map(Piece, [str(old.tokenizer.decode([one])) for one in ids], was, now))
    ending = step.context[-1].content[-CONTEXT:]
    return AnswerExplanation(index, None, step.step_id, step.target, "again", first, second, ending, pieces, own, None)


def _logprobs(
    generator: TransformersGenerator, stage: StageSettings, tokens: TokenGroup, budget: int, temperature: float
) -> Logprobs:
    generator.model.requires_grad_(True)  # adapters are read frozen; nothing is trained here
    updater = Updater(generator.model, stage, 1, budget, plain=not shares_prefixes(generator.model))
    return updater.logprobs([tokens], temperature)[0]


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
