"""What `srl`, `sft` and `rlvr` have in common: what a stage asks of them, and what they share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch

from swe_srl.generation.attention import use_grouped
from swe_srl.generation.loading import load_model
from swe_srl.seeds import derive_seed
from swe_srl.training.adapters import has_adapter
from swe_srl.training.divergence import DivergedError
from swe_srl.training.forward import TokenGroup, score, shares_prefixes
from swe_srl.training.journal import Clock
from swe_srl.training.reference import Reference, StartAdapters
from swe_srl.training.rollouts import Logprobs
from swe_srl.training.selfcheck import self_check
from swe_srl.training.settings import StageSettings
from swe_srl.training.totals import Totals
from swe_srl.training.update import Updater
from swe_srl.training.watch import Watch
from swe_srl.training.workplace import Workplace

UNFINISHED = 0.05  # share of completions cut by the token limit that is worth a word


class Method(Protocol):
    """How a stage trains: what `StageTrainer` needs of `srl`, `sft` and `rlvr`."""

    updater: Updater
    watch: Watch
    updates: int  # of the stage
    criterion: str  # metric of `validate` that chooses the best update
    tie_break: str | None  # metric whose lower value is the better one of equals
    later_on_ties: bool  # without it: whether the later one of equally good updates is the best

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


class BaseMethod(ABC):
    """What the methods share: the updater, the self-check, the guard against divergence.

    Args:
        work: what the stages share; its model is changed in place.
        index: of the stage.
        start: model folder that the stage starts from: the reference of the KL divergence.
    """

    criterion = "validation_similarity"
    tie_break: str | None = None
    later_on_ties = False

    def __init__(self, work: Workplace, index: int, start: Path | str) -> None:
        self.work, self.index, self.start = work, index, start
        self.stage: StageSettings = work.settings.stages[index]
        self.seed = derive_seed(work.settings.seed, "stage", index)
        count = self.prepare()
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
            processes=work.processes,
            sharded=work.sharded,
        )
        self.checked = self.bounded = self.resumed = self.cut_told = False
        self.watch = Watch()

    @abstractmethod
    def prepare(self) -> int:
        """Get what the stage trains on; returns how many steps, or tasks, an epoch passes over."""

    def recorded(self, number: int) -> bool:
        """Whether samples.jsonl tells of this update: every `samples_every`, and the stage's last."""
        return number % self.work.settings.samples_every == 0 or number == self.updates

    @property
    def name(self) -> str:
        """Of the stage, for people."""
        return f"stage {self.index + 1} of {len(self.work.settings.stages)} ({self.stage.method})"

    def saved(self, updates: int) -> None:  # noqa: B027
        """Nothing: all that is needed is in the checkpoint."""

    def has_room(self, context: int, tokens: int) -> bool:
        """Whether so many tokens have room after a context of so many."""
        limit = self.work.settings.max_context_tokens
        if limit and context > limit:
            return False
        return self.positions is None or context + tokens <= self.positions

    def tell_unfinished(self, row: dict[str, Any]) -> None:
        """Say once that the token limit cut many of an update's completions."""
        share = row.get("unfinished", 0.0)
        if share >= UNFINISHED and not self.cut_told:
            self.cut_told = True
            self.work.progress.note(
                f"{self.name}: max_new_tokens: {self.stage.max_new_tokens:,} cut {share:.0%} of the completions of an update, "
                "which count as malformed; raise it when what they are to say is longer (samples.jsonl shows them)"
            )

    @property
    def positions(self) -> int | None:
        """Tokens that the model has positions for; None when its configuration tells no bound."""
        found = getattr(self.work.model.config.get_text_config(decoder=True), "max_position_embeddings", None)
        return None if found is None else int(found)

    def unfilled(self, kept: int, number: int) -> dict[str, int]:
        """How many groups the batch lacks: the bound on resampling was reached before it was full, which is told once."""
        missing = self.stage.batch_steps - kept
        if missing and self.stage.dynamic_sampling and not self.bounded:
            self.bounded = True
            self.work.progress.note(
                f"{self.name}: update {number} has {kept} of {self.stage.batch_steps} groups: the others that max_resampling "
                f"({self.stage.max_resampling:g} times batch_steps) lets it draw were too much alike. Later ones: see "
                "unfilled_groups in metrics.jsonl"
            )
        return {"unfilled_groups": missing}

    def guarded(self, totals: Totals, number: int) -> dict[str, float]:
        """The metrics of an update.

        Raises:
            DivergedError: the loss is not finite.
        """
        row = totals.metrics()
        if not math.isfinite(row["loss"]):
            raise DivergedError(f"the loss of update {number} is {row['loss']}")
        return row

    def tokens(self, sampled: int, totals: Totals | None = None, rescored: int = 0) -> dict[str, float]:
        """What an update computed: tokens that went forward and backward through a model.

        Args:
            sampled: forward tokens of the sampling.
            totals: of the update itself; None when there was nothing to learn from.
            rescored: forward tokens of scoring samples at their temperature.
        """
        computed = totals.computed if totals is not None else 0
        passes = 2 if self.updater.reference is not None else 1
        return {"forward_tokens": sampled + rescored + passes * computed, "backward_tokens": computed}

    def check(self, groups: Sequence[TokenGroup], clock: Clock, sampled: Sequence[Logprobs] | None = None) -> None:
        """On the first batch of every start: whether shared prefixes give what separate sequences give (see `self_check`).

        What was sampled before this start is not compared: it may be another machine's, or that of weights from before.
        """
        if self.checked or not self.work.settings.shared_contexts or not shares_prefixes(self.work.model):
            return
        dtype, score = self.work.autocast or self.work.model.dtype, self.updater.pass_of
        with clock.phase("self_check"):
            check = partial(self_check, self.work.model, groups, dtype, None if self.resumed else sampled, score)
            if self.work.sharded:
                check()  # its passes are made together: they fail in their midst
            else:
                self.work.processes.together(check)
        self.checked = True

    def server_gap(self, groups: Sequence[TokenGroup], sampled: Sequence[Logprobs], clock: Clock) -> dict[str, float]:
        """Metrics of a server that samples, on what it sampled with the weights of now (see `Served.gap`); else none."""
        if not self.work.served:
            return {}
        with clock.phase("server_gap"):
            return self.work.served.gap(groups, sampled, lambda chosen: self.updater.logprobs(chosen, 1.0))

    def _reference(self) -> Reference:
        """The model that the stage started with, which `work.model` still is; a frozen copy is shared out where the model is."""
        work = self.work
        if has_adapter(work.model):
            return StartAdapters(work.model, work.sharded.score if work.sharded else score)
        reference, _ = load_model(
            self.start, torch.device("cpu") if work.sharded else work.model.device, work.model.dtype
        )
        reference.requires_grad_(False)
        use_grouped(reference)
        return Reference(reference, work.sharded.like(reference).score if work.sharded else score)
