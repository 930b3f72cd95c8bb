"""One update of the model: the objective over a batch in micro-batches, then the optimiser.

Shapes: N completions, T tokens of the longest one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor
from transformers import PreTrainedModel

from swe_srl.generation.decoding import device_of
from swe_srl.training.forest import TokenSequence, distinct
from swe_srl.training.forward import IDLE, Scored, ScorePass, TokenGroup, passes, score, shares_prefixes
from swe_srl.training.minibatches import minibatches
from swe_srl.training.objective import completion_weights, likelihood_loss, policy_loss
from swe_srl.training.optimiser import Optimiser
from swe_srl.training.processes import ALONE, Processes, fair_shares
from swe_srl.training.reference import Reference
from swe_srl.training.rollouts import Logprobs
from swe_srl.training.settings import StageSettings
from swe_srl.training.totals import Totals

if TYPE_CHECKING:
    from swe_srl.training.sharding import Sharded

T = TypeVar("T")
LossOf = Callable[
    [list[int], Scored, Tensor | None, Totals], Tensor
]  # rows, what their pass gave, the reference's [N, T]


@dataclass(frozen=True)
class PolicyGroup:
    """Completions of one context as the objective sees them.

    Args:
        tokens: context and completions.
        old: their log-probabilities when and as they were sampled.
        advantages: of each completion.
        wholes: tokens of the sequence that each completion is a part of; empty when every completion is a sequence.
    """

    tokens: TokenGroup
    old: Logprobs
    advantages: tuple[float, ...]
    wholes: tuple[int, ...] = ()


class Updater:
    """Applies updates to a model.

    Args:
        model: the model being trained.
        stage: objective and optimiser settings.
        total: optimiser steps of the stage, when every batch is full.
        budget: tokens of one forward and backward pass.
        autocast: arithmetic of the forward passes; None is the parameters' own.
        reference: what the KL divergence is measured from; needed when `stage.kl` is not 0.
        plain: compute every sequence apart instead of sharing prefixes.
        processes: each computes its share of the passes; gradients are summed over them.
        sharded: how the model is shared out; None when every process has all of it.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        stage: StageSettings,
        total: int,
        budget: int,
        autocast: torch.dtype | None = None,
        reference: Reference | None = None,
        plain: bool = False,
        processes: Processes = ALONE,
        sharded: Sharded | None = None,
    ) -> None:
        self.processes, self.sharded = processes, sharded is not None
        self.score: ScorePass = sharded.score if sharded else score
        self.model, self.stage, self.budget, self.autocast = model, stage, budget, autocast
        self.reference, self.plain = reference, plain
        self.optimiser = Optimiser(model, stage, total, self.sharded)
        self._stepping = False
        self.scored = 0  # tokens that went through the model in `logprobs`

    @property
    def halfway(self) -> bool:
        """Whether the parameters are half updated, or those of the reference: an interruption then leaves no model of the run."""
        return self._stepping or (self.reference is not None and self.reference.swapped)

    def context(self) -> AbstractContextManager[object]:
        """The arithmetic of forward passes."""
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(device_of(self.model).type, dtype=self.autocast)

    def policy(self, units: Sequence[Sequence[PolicyGroup]], seed: int, number: int = 1) -> Totals:
        """One update from samples: every inner epoch in seeded minibatches, an optimiser step each.

        Args:
            units: what minibatches are made of: one group each (srl), or all groups of a task's episodes (rlvr).
            number: of the update, from 1; the learning rate follows it.
        """
        totals = Totals()
        for place, part in minibatches(self.stage, len(units), seed, number):
            self._policy_step([group for i in part for group in units[i]], place, totals)
        return totals

    def likelihood(self, groups: Sequence[TokenGroup], number: int = 1) -> Totals:
        """One SFT update, the `number`th, on groups that hold one target each."""
        totals = Totals()
        sequences = _sequences(groups)
        weights = completion_weights([len(one.losses) for one in sequences], self.stage.average)

        def loss_of(rows: list[int], scored: Scored, reference_NT: Tensor | None, totals: Totals) -> Tensor:
            weight_N = torch.tensor([weights[row] for row in rows], device=scored.logprob_NT.device)
            return likelihood_loss(scored.logprob_NT, scored.mask_NT, weight_N)

        self._accumulate(sequences, 1.0, loss_of, totals)
        self._step(number - 1, totals)
        return totals

    @torch.no_grad()
    def loss(self, groups: Sequence[TokenGroup]) -> float:
        """Negative log-likelihood of targets, averaged as `likelihood` averages its loss, without an update."""
        sequences = _sequences(groups)
        weights = completion_weights([len(one.losses) for one in sequences], self.stage.average)

        def own() -> float:
            total = 0.0
            for rows, scored in self._passes(sequences, 1.0):
                sums = scored.logprob_NT.sum(dim=1).tolist() if rows else ()
                total -= sum(weights[row] * value for row, value in zip(rows, sums, strict=True))
            return total

        return sum(self._of_each(own))

    @torch.no_grad()
    def logprobs(self, groups: Sequence[TokenGroup], temperature: float | None = None) -> list[Logprobs]:
        """Log-probabilities of the model as it is now, by group and completion; None: at the sampling temperature."""
        sequences = _sequences(groups)

        def own() -> tuple[int, dict[int, tuple[float, ...]]]:
            computed = 0
            found: dict[int, tuple[float, ...]] = {}
            for rows, scored in self._passes(sequences, temperature or self.stage.temperature):
                computed += scored.computed
                for row, values in zip(rows, scored.logprob_NT.tolist() if rows else (), strict=True):
                    found[row] = tuple(values[: len(sequences[row].losses)])
            return computed, found

        shares = self._of_each(own)
        self.scored += sum(computed for computed, _ in shares)
        by_row = {row: values for _, share in shares for row, values in share.items()}
        each = iter(by_row[row] for row in range(len(sequences)))
        return [tuple(next(each) for _ in group.completions) for group in groups]

    def _passes(self, sequences: Sequence[TokenSequence], temperature: float) -> Iterator[tuple[list[int], Scored]]:
        """The rows of every forward pass of this process (none of an idle one), and what it gave."""
        for rows in self._packs(sequences):
            yield rows, self.pass_of(self.model, [sequences[row] for row in rows] or [IDLE], temperature, self.plain)

    def pass_of(self, model: PreTrainedModel, rows: Sequence[TokenSequence], temperature: float, plain: bool) -> Scored:
        """`score`, in an autocast of its own: one kept for several passes hides gradients from a model that is shared out."""
        with self.context():
            return self.score(model, rows, temperature, plain)

    def _of_each(self, own: Callable[[], T]) -> list[T]:
        """What passes give in every process. Where the model is shared out they are made together, and fail in their midst."""
        found = own() if self.sharded else None
        return self.processes.each(own if found is None else lambda: found)

    def _packs(self, sequences: Sequence[TokenSequence]) -> list[list[int]]:
        """The rows of this process's passes: those of one process alone, smaller where there would be too few for all.

        Where the model is shared out, all processes make equally many: whoever has fewer makes idle ones.
        """
        count = self.processes.count
        if count == 1:
            return passes(self.model, sequences, self.budget, self.plain)
        shared = not self.plain and shares_prefixes(self.model)
        size = distinct if shared else _inputs
        budget = min(self.budget, math.ceil(size(sequences) / count))
        packs = passes(self.model, sequences, max(1, budget), self.plain)
        shares = fair_shares([size([sequences[row] for row in rows]) for rows in packs], count)
        own = [packs[index] for index in shares[self.processes.index]]
        return own + [[]] * (max(map(len, shares)) - len(own) if self.sharded else 0)

    def _policy_step(self, groups: Sequence[PolicyGroup], place: int, totals: Totals) -> None:
        sequences = _sequences([group.tokens for group in groups])
        lengths = [len(one.losses) for one in sequences]
        wholes = [whole for group in groups for whole in group.wholes or map(len, group.tokens.completions)]
        weights = completion_weights(lengths, self.stage.average, wholes)
        old = [one for group in groups for one in group.old]
        advantages = [one for group in groups for one in group.advantages]

        def loss_of(rows: list[int], scored: Scored, reference_NT: Tensor | None, totals: Totals) -> Tensor:
            device = scored.logprob_NT.device
            old_NT = _padded([old[row] for row in rows], scored.logprob_NT)
            result = policy_loss(
                scored.logprob_NT,
                old_NT,
                torch.tensor([advantages[row] for row in rows], device=device),
                scored.mask_NT,
                torch.tensor([weights[row] for row in rows], device=device),
                self.stage.clip_low,
                self.stage.clip_high,
                self.stage.kl,
                reference_NT,
            )
            totals.add("ratio_mean", result.ratio)
            totals.add("clip_share", result.clipped)
            gap_NT = (scored.logprob_NT - old_NT).masked_fill(~scored.mask_NT, 0.0)
            totals.add("logprob_gap", gap_NT.abs().sum())
            if self.stage.kl:
                totals.add("kl", result.kl)
            return result.loss

        self._accumulate(sequences, self.stage.temperature, loss_of, totals)
        self._step(place, totals)

    def _accumulate(
        self,
        sequences: Sequence[TokenSequence],
        temperature: float,
        loss_of: LossOf,
        totals: Totals,
    ) -> None:
        """Gradients and sums over all passes, of every process."""
        if self.processes.count == 1:
            self._backward(sequences, temperature, loss_of, totals)
            return

        def own() -> Totals:
            share = Totals()
            self._backward(sequences, temperature, loss_of, share)
            return share

        for share in self._of_each(own):
            totals.merge(share)
        if not self.sharded:
            self.processes.sum_gradients(self.optimiser.parameters)

    def _backward(
        self,
        sequences: Sequence[TokenSequence],
        temperature: float,
        loss_of: LossOf,
        totals: Totals,
    ) -> None:
        """Gradients and sums over the passes of this process."""
        for rows in self._packs(sequences):
            chosen = [sequences[row] for row in rows] or [IDLE]
            reference_NT = self._reference_logprobs(
                chosen
            )  # before the model's own pass, which waits for the backward one
            scored = self.pass_of(self.model, chosen, temperature, self.plain)
            if not rows:  # in step with the passes of the others
                (0.0 * scored.logprob_NT.sum()).backward()  # type: ignore[no-untyped-call]
                continue
            loss = loss_of(rows, scored, reference_NT, totals)
            if scored.computed:
                loss.backward()  # type: ignore[no-untyped-call]
            totals.add("loss", loss)
            totals.add("entropy", scored.entropy_NT.sum())
            totals.tokens += int(scored.mask_NT.sum())
            totals.computed += scored.computed
            totals.plain += sum(sequences[row].inputs for row in rows)

    def _step(self, place: int, totals: Totals) -> None:
        self._stepping = True
        norm, totals.rate = self.optimiser.step(place)
        self._stepping = False
        totals.norms.append(norm)

    def _reference_logprobs(self, sequences: Sequence[TokenSequence]) -> Tensor | None:
        if not self.stage.kl:
            return None
        assert self.reference is not None
        with self.context():
            return self.reference.logprobs(sequences, self.stage.temperature, self.plain)


def _sequences(groups: Sequence[TokenGroup]) -> list[TokenSequence]:
    return [one for group in groups for one in group.sequences]


def _inputs(sequences: Sequence[TokenSequence]) -> int:
    return sum(one.inputs for one in sequences)


def _padded(rows: Sequence[Sequence[float]], like_NT: Tensor) -> Tensor:
    width = like_NT.shape[1]
    return torch.tensor([[*row, *[0.0] * (width - len(row))] for row in rows], device=like_NT.device)
