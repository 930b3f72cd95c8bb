"""One stage of a run: updates, validations, checkpoints, until its last update."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from swe_srl.errors import TrainingError
from swe_srl.seeds import derive_seed
from swe_srl.training.checkpoints import Place, load_weights
from swe_srl.training.data import shuffle_targets
from swe_srl.training.forward import TokenGroup
from swe_srl.training.journal import Clock, sampled
from swe_srl.training.rollouts import Logprobs, Rollouts, Sampler, mean_similarity
from swe_srl.training.selfcheck import self_check
from swe_srl.training.settings import StageSettings
from swe_srl.training.targets import target_tokens
from swe_srl.training.update import PolicyGroup, Totals, Updater
from swe_srl.training.watch import Watch
from swe_srl.training.workplace import Workplace
from swe_srl.types import Step


@dataclass
class StageTrainer:
    """Trains one stage.

    Args:
        work: what the stages share; its model is the stage's start and is changed in place.
        index: of the stage.
        start: model folder that the stage starts from: the reference of the KL divergence.
    """

    work: Workplace
    index: int
    start: Path | str
    update: int = 0
    best: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stage: StageSettings = self.work.settings.stages[self.index]
        self.seed = derive_seed(self.work.settings.seed, "stage", self.index)
        steps = self.work.training
        self.steps = shuffle_targets(steps, self.seed) if self.stage.shuffle_targets else list(steps)
        self.updates = self.stage.updates or math.ceil(self.stage.epochs * len(steps) / self.stage.batch_steps)
        steps_per_update = self.stage.inner_epochs * self.stage.minibatches if self.stage.method == "srl" else 1
        self.updater = Updater(
            self.work.model,
            self.stage,
            self.updates * steps_per_update,
            self.work.settings.update_tokens,
            self.work.autocast,
            self._reference() if self.stage.kl and self.stage.method == "srl" else None,
            plain=not self.work.settings.shared_contexts,
        )
        self.sampler = Sampler(self.work.generator, self.steps, self.stage, self.seed, self._fits)
        self.checked = False
        self.watch = Watch()

    @property
    def name(self) -> str:
        """Of the stage, for people."""
        return f"stage {self.index + 1} of {len(self.work.settings.stages)} ({self.stage.method})"

    def run(self) -> None:
        """All updates that are left, from the newest checkpoint on; then the model is the stage's last."""
        resumed = self._resume()
        self.work.progress.track(self.name, total=self.updates, done=self.update)
        if not resumed:
            self._begin()
        while self.update < self.updates:
            sampler, journals = self.sampler.state(), dict(self.work.journal.lengths)
            mark = (self.update, self.updater.optimiser.steps, False)
            try:
                self._one_update()
            except KeyboardInterrupt:
                if mark == (self.update, self.updater.optimiser.steps, self.updater.stepping):
                    self._checkpoint(sampler, journals)  # the model is still that of the last complete update
                raise
        if said := self.watch.unlearnt():
            self.work.progress.note(f"{self.name}: {said}")

    def finish(self) -> Place:
        """The checkpoint that the stage ends with; its weights are put into the model."""
        place = Place(self.index, self.updates)
        if self.work.settings.final_model == "best" and self.best:
            place = Place(self.index, self.best["update"])
        if place.update != self.updates:
            load_weights(self.work.model, self.work.checkpoints.path(place))
        return place

    def _resume(self) -> bool:
        """Go on from the newest checkpoint of this stage; returns whether there is one."""
        places = [place for place in self.work.checkpoints.places() if place.stage == self.index]
        if not places:
            self.work.journal.rewind(self.work.journal.lengths)  # rows of this stage before its first checkpoint
            return False
        state = self.work.checkpoints.state(places[-1])
        self.updater.optimiser.restore(self.work.checkpoints.restore(places[-1], self.work.model)["optimiser"])
        self.sampler.restore(state["sampler"])
        self.work.journal.rewind(state["journals"])
        self.update, self.best = state["update"], state["best"]
        self.checked = self.update > 0
        self.watch.learnt = state.get("learnt", self.update > 0)
        return True

    def _begin(self) -> None:
        clock = Clock()
        row = self._validate(clock) if self.stage.eval_every else {}
        self._choose(row)
        self._write(row, clock)
        self._checkpoint(self.sampler.state(), self.work.journal.lengths)

    def _one_update(self) -> None:
        clock = Clock()
        row = self._srl(clock) if self.stage.method == "srl" else self._sft(clock)
        self.update += 1
        improved = False
        if self.stage.eval_every and (self.update % self.stage.eval_every == 0 or self.update == self.updates):
            row |= self._validate(clock)
            improved = self._choose(row)
        self._write(row, clock)
        due = self.stage.save_every and self.update % self.stage.save_every == 0
        if due or improved or self.update == self.updates:
            self._checkpoint(self.sampler.state(), self.work.journal.lengths)
        info = " · ".join(f"{name} {row[name]:.3f}" for name in ("reward_mean", "loss") if name in row)
        best = f" · best {self.best['value']:.3f}" if self.best else ""
        self.work.progress.advance(self.name, 1, info + best)

    def _srl(self, clock: Clock) -> dict[str, Any]:
        with self.updater.context():
            batch = self.sampler.batch()
        clock.add("generate", batch.generate_seconds)
        clock.add("reward", batch.reward_seconds)
        if not batch.drawn and not batch.kept:
            raise TrainingError(
                "every step that was drawn has a context too long for the model: raise max_context_tokens, or use an "
                "agent definition with a shorter context"
            )
        if said := self.watch.see(batch):
            self.work.progress.note(f"{self.name}: {said}")
        row: dict[str, Any] = {"epoch": self.sampler.stream.epoch, **batch.metrics(self.stage.epsilon)}
        if not batch.kept:
            return row
        at_one = [tuple(one.logprobs for one in group.completions) for group in batch.kept]
        self._check([self._tokens(group) for group in batch.kept], clock, at_one)
        with clock.phase("update"):
            self.sampler.rescore(batch, lambda groups: self.updater.logprobs([self._tokens(group) for group in groups]))
        groups = [PolicyGroup(self._tokens(group), group.old, group.rewards) for group in batch.kept]
        shown = sampled(batch.kept)
        if shown is not None and (self.update + 1) % self.work.settings.samples_every == 0:
            place = {"stage": self.index, "update": self.update + 1}
            self.work.journal.samples(place, shown, self.steps[shown.index], self.stage.std_scaling)
        with clock.phase("update"):
            totals = self.updater.policy(groups, derive_seed(self.seed, "minibatches", self.update))
        return row | self._guarded(totals)

    def _sft(self, clock: Clock) -> dict[str, Any]:
        chosen: list[TokenGroup] = []
        tried = 0
        while len(chosen) < self.stage.batch_steps and tried < 4 * self.stage.batch_steps:
            taken = [self.steps[index] for _, index in self.sampler.stream.take(self.stage.batch_steps - len(chosen))]
            tried += len(taken)
            chosen += [self._target(step) for step in taken if self._fits(step, target=True)]
        if not chosen:
            raise TrainingError(
                "every step that was drawn has a context too long for the model: see max_context_tokens"
            )
        self._check(chosen, clock)
        with clock.phase("update"):
            totals = self.updater.likelihood(chosen)
        row = {"epoch": self.sampler.stream.epoch, "too_long_steps": tried - len(chosen)}
        return row | self._guarded(totals)

    def _guarded(self, totals: Totals) -> dict[str, float]:
        row = totals.metrics()
        if not math.isfinite(row["loss"]):
            raise TrainingError(f"the loss of update {self.update + 1} is {row['loss']}: lower the learning_rate")
        return row

    def _validate(self, clock: Clock) -> dict[str, Any]:
        """Metrics on held-out steps: the same steps and the same random numbers every time."""
        steps = self.held_out
        if not steps:
            return {}
        with clock.phase("validate"), self.updater.context():
            judge = Sampler(self.work.generator, steps, self.stage, derive_seed(self.seed, "validation"))
            groups = judge.sample([(0, index) for index in range(len(steps))], 1)
            loss = self.updater.loss([self._target(step) for step in steps])
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
        steps = [step for step in self.work.validation if self._fits(step, target=True)]
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

    def _choose(self, row: dict[str, Any]) -> bool:
        """Note the update as the best one when it is; returns whether it is."""
        value = row.get("validation_similarity")
        if value is None or (self.best and value <= self.best["value"]):
            return False
        self.best = {"update": self.update, "value": value}
        return True

    def _write(self, row: dict[str, Any], clock: Clock) -> None:
        head = {"stage": self.index, "method": self.stage.method, "update": self.update}
        self.work.journal.metrics({**head, **row}, clock, self.work.position + self.update)

    def _checkpoint(self, sampler: dict[str, Any], journals: dict[str, int]) -> None:
        state = {"sampler": sampler, "journals": journals, "best": self.best, "learnt": self.watch.learnt}
        trainer = {"optimiser": self.updater.optimiser.state()}
        place = Place(self.index, self.update)
        self.work.checkpoints.write(place, self.work.model, self.work.tokenizer, trainer, state)

    def _check(self, groups: Sequence[TokenGroup], clock: Clock, sampled: Sequence[Logprobs] | None = None) -> None:
        if self.checked or not self.work.settings.shared_contexts or not self.work.generator.grouped:
            return
        with clock.phase("self_check"), self.updater.context():
            self_check(self.work.model, groups, self.work.autocast or self.work.model.dtype, sampled)
        self.checked = True

    def _tokens(self, group: Rollouts) -> TokenGroup:
        context = self.work.encode(self.steps[group.index].context)
        return TokenGroup(context, tuple(one.token_ids for one in group.completions))

    def _target(self, step: Step) -> TokenGroup:
        tokens = target_tokens(self.work.tokenizer, step, self.stage.sft_target == "thought+command")
        return TokenGroup(self.work.encode(step.context), (tokens,))

    def _fits(self, step: Step, target: bool = False) -> bool:
        """Whether a completion, and the step's target when that is asked for, has room after the context."""
        length = len(self.work.encode(step.context))
        tokens = self.stage.max_new_tokens
        if target:
            tokens = max(tokens, len(self._target(step).completions[0]))
        limit = self.work.settings.max_context_tokens
        positions = getattr(self.work.model.config.get_text_config(decoder=True), "max_position_embeddings", None)
        if limit and length > limit:
            return False
        return positions is None or length + tokens <= int(positions)

    def _reference(self) -> PreTrainedModel:
        """A frozen copy of the model that the stage started with."""
        from swe_srl.generation.attention import use_grouped
        from swe_srl.generation.loading import load_model

        reference, _ = load_model(self.start, self.work.model.device, self.work.model.dtype)
        reference.requires_grad_(False)
        use_grouped(reference)
        return reference
