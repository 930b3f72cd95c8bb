"""What one update of a stage consists of, by method: sampling and rewards, or targets, then the model's update."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import PreTrainedModel

from swe_srl.errors import TrainingError
from swe_srl.seeds import derive_seed
from swe_srl.training.data import StepStream, shuffle_targets
from swe_srl.training.forward import TokenGroup
from swe_srl.training.journal import Clock, sampled
from swe_srl.training.objective import group_advantages
from swe_srl.training.rollouts import Logprobs, Rollouts, Sampler, mean_similarity
from swe_srl.training.selfcheck import self_check
from swe_srl.training.settings import StageSettings
from swe_srl.training.targets import target_tokens
from swe_srl.training.update import PolicyGroup, Totals, Updater
from swe_srl.training.watch import Watch
from swe_srl.training.workplace import Workplace
from swe_srl.types import Step


class Lesson(Protocol):
    """How a stage teaches: what `StageTrainer` needs of a method."""

    updater: Updater
    watch: Watch
    updates: int  # of the stage
    criterion: str  # metric of `validate` that chooses the best update
    later_on_ties: bool  # whether the later one of equally good updates is the best

    def update(self, number: int, clock: Clock) -> dict[str, Any]:
        """The update with this number, from 1; returns its metrics."""

    def validate(self, clock: Clock) -> dict[str, Any]:
        """Metrics on what is held out: the same, with the same random numbers, every time."""

    def state(self) -> dict[str, Any]:
        """What resuming needs, as JSON data."""

    def restore(self, state: dict[str, Any], updates: int) -> None:
        """Go on from `state`, taken after `updates` updates."""

    def saved(self, updates: int) -> None:
        """A checkpoint was written after so many updates: what only served to get there may go."""


class Teacher:
    """What the methods share: the updater, the self-check, the guard against divergence.

    Args:
        work: what the stages share; its model is changed in place.
        index: of the stage.
        start: model folder that the stage starts from: the reference of the KL divergence.
        count: what an epoch passes over: steps, or tasks.
    """

    criterion = "validation_similarity"
    later_on_ties = False

    def __init__(self, work: Workplace, index: int, start: Path | str, count: int) -> None:
        self.work, self.index, self.start = work, index, start
        self.stage: StageSettings = work.settings.stages[index]
        self.seed = derive_seed(work.settings.seed, "stage", index)
        self.updates = self.stage.updates or math.ceil(self.stage.epochs * count / self.stage.batch_steps)
        sampled = self.stage.method != "sft"
        self.updater = Updater(
            work.model,
            self.stage,
            self.updates * (self.stage.inner_epochs * self.stage.minibatches if sampled else 1),
            work.settings.update_tokens,
            work.autocast,
            self._reference() if self.stage.kl and sampled else None,
            plain=not work.settings.shared_contexts,
        )
        self.checked = False
        self.watch = Watch()

    @property
    def name(self) -> str:
        """Of the stage, for people."""
        return f"stage {self.index + 1} of {len(self.work.settings.stages)} ({self.stage.method})"

    def saved(self, updates: int) -> None:
        """Nothing: all that is needed is in the checkpoint."""

    def has_room(self, context: int, tokens: int) -> bool:
        """Whether so many tokens have room after a context of so many."""
        limit = self.work.settings.max_context_tokens
        positions = getattr(self.work.model.config.get_text_config(decoder=True), "max_position_embeddings", None)
        if limit and context > limit:
            return False
        return positions is None or context + tokens <= int(positions)

    def guarded(self, totals: Totals, number: int) -> dict[str, float]:
        """The metrics of an update.

        Raises:
            TrainingError: the loss is not finite.
        """
        row = totals.metrics()
        if not math.isfinite(row["loss"]):
            raise TrainingError(f"the loss of update {number} is {row['loss']}: lower the learning_rate")
        return row

    def check(self, groups: Sequence[TokenGroup], clock: Clock, sampled: Sequence[Logprobs] | None = None) -> None:
        """On the first batch: whether shared contexts give what separate sequences give (see `self_check`)."""
        if self.checked or not self.work.settings.shared_contexts or not self.work.generator.grouped:
            return
        with clock.phase("self_check"), self.updater.context():
            self_check(self.work.model, groups, self.work.autocast or self.work.model.dtype, sampled)
        self.checked = True

    def _reference(self) -> PreTrainedModel:
        """A frozen copy of the model that the stage started with."""
        from swe_srl.generation.attention import use_grouped
        from swe_srl.generation.loading import load_model

        reference, _ = load_model(self.start, self.work.model.device, self.work.model.dtype)
        reference.requires_grad_(False)
        use_grouped(reference)
        return reference


class StepLesson(Teacher):
    """What `srl` and `sft` share: the expert's steps, and validation on held-out ones."""

    def __init__(self, work: Workplace, index: int, start: Path | str) -> None:
        super().__init__(work, index, start, len(work.training))
        shuffled = self.stage.shuffle_targets
        self.steps = shuffle_targets(work.training, self.seed) if shuffled else list(work.training)

    def validate(self, clock: Clock) -> dict[str, Any]:
        """Similarity, reward, format errors and the target's loss on held-out steps."""
        steps = self.held_out
        if not steps:
            return {}
        with clock.phase("validate"), self.updater.context():
            judge = Sampler(self.work.generator, steps, self.stage, derive_seed(self.seed, "validation"))
            groups = judge.sample([(0, index) for index in range(len(steps))], 1)
            loss = self.updater.loss([self.target(step) for step in steps])
        malformed = sum(bool(reason) for group in groups for reason in group.reasons)
        return {
            "validation_similarity": mean_similarity(groups),
            "validation_reward": sum(group.rewards[0] for group in groups) / len(groups),
            "validation_format_errors": malformed / len(groups),
            "validation_loss": loss,
        }

    @cached_property
    def held_out(self) -> list[Step]:
        """The steps of every validation.

        Raises:
            TrainingError: none of the named validation trajectories' steps fits into the model.
        """
        steps = [step for step in self.work.validation if self.fits(step, target=True)]
        missing = len(self.work.validation) - len(steps)
        text = (
            f"{missing} of {missing + len(steps)} validation steps are too long for the model (see max_context_tokens)"
        )
        if missing and not steps and self.work.settings.validation:
            raise TrainingError(f"{text}: choose other validation trajectories, or set eval_every to 0")
        if missing:
            self.work.progress.note(f"{self.name}: {text} and are left out")
        steps.sort(key=lambda step: derive_seed(self.work.settings.seed, "validation", step.step_id))
        return steps[: self.stage.validation_steps]

    def target(self, step: Step) -> TokenGroup:
        """The step's target as tokens."""
        tokens = target_tokens(self.work.tokenizer, step, self.stage.sft_target == "thought+command")
        return TokenGroup(self.work.encode(step.context), (tokens,))

    def fits(self, step: Step, target: bool = False) -> bool:
        """Whether a completion, and the step's target when that is asked for, has room after the context."""
        tokens = self.stage.max_new_tokens
        if target:
            tokens = max(tokens, len(self.target(step).completions[0]))
        return self.has_room(len(self.work.encode(step.context)), tokens)


class SrlLesson(StepLesson):
    """Sampled completions of expert steps, rewarded by their commands' similarity."""

    def __init__(self, work: Workplace, index: int, start: Path | str) -> None:
        super().__init__(work, index, start)
        self.sampler = Sampler(work.generator, self.steps, self.stage, self.seed, self.fits)

    def state(self) -> dict[str, Any]:
        """Of the sampler."""
        return self.sampler.state()

    def restore(self, state: dict[str, Any], updates: int) -> None:
        """Go on from `state`."""
        self.sampler.restore(state)
        self.checked = updates > 0

    def update(self, number: int, clock: Clock) -> dict[str, Any]:
        """Sample until the batch is full, then update."""
        with self.updater.context():
            batch = self.sampler.batch()
        clock.add("generate", batch.generate_seconds)
        clock.add("reward", batch.reward_seconds)
        if not batch.drawn and not batch.kept:
            raise TrainingError(
                "every step that was drawn has a context too long for the model: raise max_context_tokens, or use an "
                "agent definition with a shorter context"
            )
        if said := self.watch.see(batch.kept, batch.drawn):
            self.work.progress.note(f"{self.name}: {said}")
        row: dict[str, Any] = {"epoch": self.sampler.stream.epoch, **batch.metrics(self.stage.epsilon)}
        if not batch.kept:
            return row
        at_one = [tuple(one.logprobs for one in group.completions) for group in batch.kept]
        self.check([self._tokens(group) for group in batch.kept], clock, at_one)
        with clock.phase("update"):
            self.sampler.rescore(batch, lambda groups: self.updater.logprobs([self._tokens(group) for group in groups]))
        shown = sampled(batch.kept)
        if shown is not None and number % self.work.settings.samples_every == 0:
            place = {"stage": self.index, "update": number}
            self.work.journal.samples(place, shown, self.steps[shown.index], self.stage.std_scaling)
        advantages = group_advantages(
            torch.tensor([one.rewards for one in batch.kept]), self.stage.std_scaling
        ).tolist()
        units = [
            [PolicyGroup(self._tokens(one), one.old, tuple(row))]
            for one, row in zip(batch.kept, advantages, strict=True)
        ]
        with clock.phase("update"):
            totals = self.updater.policy(units, derive_seed(self.seed, "minibatches", number - 1))
        return row | self.guarded(totals, number)

    def _tokens(self, group: Rollouts) -> TokenGroup:
        context = self.work.encode(self.steps[group.index].context)
        return TokenGroup(context, tuple(one.token_ids for one in group.completions))


class SftLesson(StepLesson):
    """The likelihood of the expert's targets."""

    def __init__(self, work: Workplace, index: int, start: Path | str) -> None:
        super().__init__(work, index, start)
        self.stream = StepStream(len(self.steps), self.seed)

    def state(self) -> dict[str, Any]:
        """How far the steps were drawn."""
        return {"drawn": self.stream.drawn}

    def restore(self, state: dict[str, Any], updates: int) -> None:
        """Go on from `state`."""
        self.stream = StepStream(len(self.steps), self.seed, state["drawn"])
        self.checked = updates > 0

    def update(self, number: int, clock: Clock) -> dict[str, Any]:
        """Draw steps that fit, then update."""
        chosen: list[TokenGroup] = []
        tried = 0
        while len(chosen) < self.stage.batch_steps and tried < 4 * self.stage.batch_steps:
            taken = [self.steps[index] for _, index in self.stream.take(self.stage.batch_steps - len(chosen))]
            tried += len(taken)
            chosen += [self.target(step) for step in taken if self.fits(step, target=True)]
        if not chosen:
            raise TrainingError(
                "every step that was drawn has a context too long for the model: see max_context_tokens"
            )
        self.check(chosen, clock)
        with clock.phase("update"):
            totals = self.updater.likelihood(chosen)
        row = {"epoch": self.stream.epoch, "too_long_steps": tried - len(chosen)}
        return row | self.guarded(totals, number)


def _rlvr(work: Workplace, index: int, start: Path | str) -> Lesson:
    from swe_srl.training.rlvr import RlvrLesson

    return RlvrLesson(work, index, start)


LESSONS: dict[str, Callable[[Workplace, int, Path | str], Lesson]] = {
    "srl": SrlLesson,
    "sft": SftLesson,
    "rlvr": _rlvr,
}
