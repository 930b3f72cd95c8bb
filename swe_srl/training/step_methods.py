"""The methods that train on the expert's steps: `srl` (sampled completions, rewarded) and `sft` (the expert's targets)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from swe_srl.errors import TrainingError
from swe_srl.generation.loading import check_ids
from swe_srl.rewards.registry import EFFECT
from swe_srl.seeds import derive_seed
from swe_srl.training.data import StepStream, stage_steps
from swe_srl.training.dynamic import take_fitting
from swe_srl.training.forward import TokenGroup
from swe_srl.training.journal import Clock, sampled
from swe_srl.training.method import BaseMethod
from swe_srl.training.objective import group_advantages
from swe_srl.training.pivots import select_pivots
from swe_srl.training.rollouts import Logprobs, Rollouts, Sampler, mean_similarity
from swe_srl.training.room import cut_commands, some_steps
from swe_srl.training.targets import target_tokens
from swe_srl.training.update import PolicyGroup
from swe_srl.training.workplace import Workplace
from swe_srl.types import Step


class StepMethod(BaseMethod):
    """What `srl` and `sft` share: the expert's steps, and validation on held-out ones."""

    steps: list[Step]

    def prepare(self) -> int:
        """The training steps."""
        self.steps = stage_steps(self.work.training, self.work.settings, self.index)
        target = self.stage.method == "sft"
        if self.steps and not any(self.fits(step, target) for step in self.steps):
            raise self.too_long("every training step")
        return len(self.steps)

    def validate(self, clock: Clock) -> dict[str, Any]:
        """Similarity, reward, format errors and the target's loss on held-out steps."""
        steps = self.held_out
        if not steps:
            return {}
        self.work.progress.track("validation", total=len(steps))
        with clock.phase("validate"), self.updater.context():
            seed = derive_seed(self.seed, "validation")
            form, processes = self.work.action_format, self.work.processes
            generator, effects = self.work.generator, self.work.effects
            judge = Sampler(generator, steps, self.stage, seed, form=form, processes=processes, effects=effects)
            with self.work.whole():
                groups = judge.sample([(0, index) for index in range(len(steps))], 1)
            loss = self.updater.loss([self.target(step) for step in steps])
        malformed = sum(bool(reason) for group in groups for reason in group.reasons)
        similarity = mean_similarity(groups)
        self.work.progress.advance("validation", len(steps), f"similarity {similarity:.3f}")
        return {
            "validation_similarity": similarity,
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
        thought = self.stage.sft_target == "thought+command"
        tokens = target_tokens(self.work.tokenizer, step, thought, self.work.action_format, self.work.end)
        check_ids(self.work.model, self.work.tokenizer, tokens)
        return TokenGroup(self.work.encode(step.context), (tokens,))

    def fits(self, step: Step, target: bool = False) -> bool:
        """Whether a completion, and the step's target when that is asked for, has room after the context."""
        tokens = self.stage.max_new_tokens
        if target:
            tokens = max(tokens, len(self.target(step).completions[0]))
        return self.has_room(len(self.work.encode(step.context)), tokens)

    def too_long(self, which: str) -> TrainingError:
        """That these steps do not fit: what the shortest of them takes, what has room, and what to do."""
        shortest = min(len(self.work.encode(step.context)) for step in self.steps)
        limit, positions = self.work.settings.max_context_tokens, self.positions
        room = [f"max_context_tokens is {limit}"] if limit else []
        if positions is not None:
            room.append(
                f"the model has {positions} positions for context and answer (max_new_tokens {self.stage.max_new_tokens})"
            )
        return TrainingError(
            f"{which} is too long for the model: the shortest context of a step has {shortest} tokens, and "
            f"{', and '.join(room)}. Choose another model, an agent definition with a shorter context (context: last_k, "
            "observation_chars), or other steps (steps.last_turn)"
        )


class SrlMethod(StepMethod):
    """Sampled completions of expert steps, rewarded by their commands' similarity."""

    def __init__(self, work: Workplace, index: int, start: Path | str) -> None:
        super().__init__(work, index, start)
        form, processes = work.action_format, work.processes
        self.sampler = Sampler(
            work.generator, self.steps, self.stage, self.seed, self.fits, form, processes, work.effects
        )

    def prepare(self) -> int:
        """The training steps; only the pivots when there is a probing pass."""
        count = super().prepare()
        work, looked_at = self.work, some_steps(self.steps, self.work.settings.seed)
        if said := cut_commands(work.tokenizer, looked_at, self.stage.max_new_tokens, work.action_format, work.end):
            work.progress.note(f"{self.name}: {said}")
        if not self.stage.pivot_samples:
            return count
        fitting = [index for index, step in enumerate(self.steps) if self.fits(step)]
        selection = select_pivots(self.work, self.stage, self.index, self.steps, fitting)
        self.work.progress.note(
            f"{self.name}: {len(selection.kept)} pivots among {selection.looked_at} steps ({selection.alike} with rewards "
            f"too much alike, {selection.easy} too easy); the probing pass took {selection.seconds:.0f} s and "
            f"{selection.tokens} tokens{'' if selection.sampled_now else ', and was made before'}"
        )
        self.steps = [self.steps[index] for index in selection.kept]
        return len(self.steps)

    def state(self) -> dict[str, Any]:
        """Of the sampler."""
        return self.sampler.state()

    def restore(self, state: dict[str, Any], updates: int) -> None:
        """Go on from `state`."""
        self.sampler.restore(state)
        self.resumed = updates > 0

    def update(self, number: int, clock: Clock) -> dict[str, Any]:
        """Sample until the batch is full, then update."""
        with self.work.whole(), self.updater.context():
            batch = self.sampler.batch()
        clock.add("generate", batch.generate_seconds)
        clock.add("reward", batch.reward_seconds)
        if said := self.watch.see(batch.kept, batch.drawn):
            self.work.progress.note(f"{self.name}: {said}")
        self.work.release()
        row: dict[str, Any] = {
            "epoch": self.sampler.stream.epoch,
            **batch.metrics(self.stage.epsilon, self.stage.dynamic_sampling),
        }
        row |= self.unfilled(len(batch.kept), number)
        self.tell_unfinished(row)
        if not batch.kept:
            return row | self.tokens(batch.forward_tokens)
        scored = self.updater.scored
        tokens = [self._tokens(group) for group in batch.kept]
        at_one = [tuple(one.logprobs for one in group.completions) for group in batch.kept]
        self.check(tokens, clock, None if self.work.served else at_one)
        drawn = set(map(id, batch.drawn))
        fresh = [index for index, group in enumerate(batch.kept) if id(group) in drawn]
        row |= self.server_gap([tokens[i] for i in fresh], [at_one[i] for i in fresh], clock)
        with clock.phase("update"):
            self.sampler.rescore(batch, lambda groups: self.updater.logprobs([self._tokens(group) for group in groups]))
        rescored = self.updater.scored - scored
        advantages = group_advantages(
            torch.tensor([one.rewards for one in batch.kept]), self.stage.std_scaling
        ).tolist()
        units = [
            [PolicyGroup(self._tokens(one), one.old, tuple(row))]
            for one, row in zip(batch.kept, advantages, strict=True)
        ]
        with clock.phase("update"):
            totals = self.updater.policy(units, derive_seed(self.seed, "minibatches", number - 1), number)
        row |= self.guarded(totals, number) | self.tokens(batch.forward_tokens, totals, rescored)
        if self.recorded(number):
            with clock.phase("samples"):
                self._show(batch.kept, number)
        return row

    def _show(self, groups: Sequence[Rollouts], number: int) -> None:
        """Write down one group of the update, with what the update did to it."""
        shown = sampled(groups)
        if shown is not None:
            place = {"stage": self.index, "update": number}
            (after,) = self.updater.logprobs([self._tokens(shown)])
            self.work.journal.samples(place, shown, self.steps[shown.index], self.stage.std_scaling, after)

    def _tokens(self, group: Rollouts) -> TokenGroup:
        context = self.work.encode(self.steps[group.index].context)
        return TokenGroup(context, tuple(one.token_ids for one in group.completions))


class SftMethod(StepMethod):
    """The likelihood of the expert's targets."""

    tie_break: str | None = "validation_loss"

    def __init__(self, work: Workplace, index: int, start: Path | str) -> None:
        super().__init__(work, index, start)
        names = [step.trajectory_id for step in self.steps]
        together = self.stage.steps_per_trajectory
        self.stream = StepStream(len(self.steps), self.seed, trajectories=names, together=together)

    def state(self) -> dict[str, Any]:
        """How far the steps were drawn."""
        return {"drawn": self.stream.drawn}

    def restore(self, state: dict[str, Any], updates: int) -> None:
        """Go on from `state`."""
        self.stream.drawn = state["drawn"]
        self.resumed = updates > 0

    def update(self, number: int, clock: Clock) -> dict[str, Any]:
        """Draw steps that fit, then update."""
        taken, passed = take_fitting(
            self.stream, self.stage.batch_steps, lambda index: self.fits(self.steps[index], target=True)
        )
        steps = [self.steps[index] for _, index in taken]
        chosen = [self.target(step) for step in steps]
        self.check(chosen, clock)
        shown = self.recorded(number)
        before: list[Logprobs] = []
        if shown:
            with clock.phase("samples"):
                before = self.updater.logprobs(chosen[:1], 1.0)
        with clock.phase("update"):
            totals = self.updater.likelihood(chosen, number)
        row: dict[str, Any] = {"epoch": self.stream.epoch, "too_long_steps": passed}
        row |= self.guarded(totals, number) | self.tokens(0, totals)
        if shown and self.updater.optimiser.finite():  # a model that is broken cannot sample; the stage says so
            with clock.phase("samples"):
                self._show(steps[0], chosen[0], before[0][0], number)
        return row

    def _show(self, step: Step, target: TokenGroup, before: tuple[float, ...], number: int) -> None:
        """Write down a step of the update: what the update did to its target, and what the model writes there now.

        The same of a held-out step, when there are validations: what is better on the trained step alone was learnt by heart.
        """
        ((after,),) = self.updater.logprobs([target], 1.0)
        ids = list(target.completions[0])
        pieces = [str(self.work.tokenizer.decode([one])) for one in ids]
        answer = {"pieces": pieces, "token_ids": ids, "logprobs": before, "logprobs_after": after}
        held = self.held_out if self.stage.eval_every else []
        other = held[number // self.work.settings.samples_every % len(held)] if held else None
        own, *rest = self._samples([step] if other is None else [step, other])
        place = {"stage": self.index, "update": number}
        self.work.journal.answer(place, step, answer, own, (other, rest[0]) if other is not None else None)

    def _samples(self, steps: list[Step]) -> list[Rollouts]:
        """One completion of each step. Commands are not tried for it: instead of `effect`, `shell` compares them."""
        by_words = self.stage.similarity == EFFECT
        stage = replace(self.stage, similarity="shell") if by_words else self.stage
        seed, form = derive_seed(self.seed, "shown"), self.work.action_format
        judge = Sampler(self.work.generator, steps, stage, seed, form=form, processes=self.work.processes)
        with self.work.whole(), self.updater.context():
            return judge.sample([(0, index) for index in range(len(steps))], 1)
