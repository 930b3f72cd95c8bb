"""One update of the model: the objective over a batch in micro-batches, then the optimiser.

Shapes: N completions, T tokens of the longest one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor
from transformers import PreTrainedModel

from swe_srl.errors import TrainingError
from swe_srl.generation.decoding import device_of
from swe_srl.training.forest import TokenSequence
from swe_srl.training.forward import Scored, TokenGroup, passes, score
from swe_srl.training.objective import completion_weights, likelihood_loss, policy_loss
from swe_srl.training.optimiser import Optimiser
from swe_srl.training.rollouts import Logprobs
from swe_srl.training.settings import StageSettings


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


@dataclass
class Totals:
    """Sums over the tokens of an update, and what its optimiser steps reported."""

    sums: dict[str, float] = field(default_factory=dict)
    norms: list[float] = field(default_factory=list)
    rate: float = 0.0
    tokens: int = 0  # of completions
    computed: int = 0  # tokens in the forward passes, and in the backward ones
    plain: int = 0  # tokens that separate sequences would have taken

    def add(self, name: str, value: Tensor) -> None:
        """Add to a sum over tokens."""
        self.sums[name] = self.sums.get(name, 0.0) + float(value.detach())

    def metrics(self) -> dict[str, float]:
        """Means per completion token; `loss` is the mean over optimiser steps."""
        steps = max(1, len(self.norms))
        row = {name: value / max(1, self.tokens) for name, value in self.sums.items() if name != "loss"}
        row |= {"loss": self.sums.get("loss", 0.0) / steps, "grad_norm": sum(self.norms) / steps}
        row |= {"learning_rate": self.rate, "updated_tokens": self.computed}
        row["sharing_ratio"] = self.plain / max(1, self.computed)
        return row


class Updater:
    """Applies updates to a model.

    Args:
        model: the model being trained.
        stage: objective and optimiser settings.
        total: optimiser steps of the stage.
        budget: tokens of one forward and backward pass.
        autocast: arithmetic of the forward passes; None is the parameters' own.
        reference: the model that the KL divergence is measured from; needed when `stage.kl` is not 0.
        plain: compute every sequence apart instead of sharing prefixes.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        stage: StageSettings,
        total: int,
        budget: int,
        autocast: torch.dtype | None = None,
        reference: PreTrainedModel | None = None,
        plain: bool = False,
    ) -> None:
        self.model, self.stage, self.budget, self.autocast = model, stage, budget, autocast
        self.reference, self.plain = reference, plain
        self.optimiser = Optimiser(model, stage, total)
        self.stepping = False  # while true, an interruption leaves the parameters half updated
        self.scored = 0  # tokens that went through the model in `logprobs`

    def context(self) -> AbstractContextManager[object]:
        """The arithmetic of forward passes."""
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(device_of(self.model).type, dtype=self.autocast)

    def policy(self, units: Sequence[Sequence[PolicyGroup]], seed: int) -> Totals:
        """One update from samples: every inner epoch in seeded minibatches, an optimiser step each.

        Args:
            units: what minibatches are made of: one group each (srl), or all groups of a task's episodes (rlvr).
        """
        totals = Totals()
        order = list(range(len(units)))
        for epoch in range(self.stage.inner_epochs):
            if self.stage.minibatches > 1:
                random.Random(f"{seed} {epoch}").shuffle(order)
            for part in _split(order, self.stage.minibatches):
                self._policy_step([group for i in part for group in units[i]], totals)
        return totals

    def likelihood(self, groups: Sequence[TokenGroup]) -> Totals:
        """One SFT update on groups that hold one target each."""
        totals = Totals()
        sequences = _sequences(groups)
        weights = completion_weights([len(one.losses) for one in sequences], self.stage.average)

        def loss_of(rows: list[int], scored: Scored) -> Tensor:
            weight_N = torch.tensor([weights[row] for row in rows], device=scored.logprob_NT.device)
            return likelihood_loss(scored.logprob_NT, scored.mask_NT, weight_N)

        self._accumulate(sequences, 1.0, loss_of, totals)
        self._step(totals)
        return totals

    @torch.no_grad()
    def loss(self, groups: Sequence[TokenGroup]) -> float:
        """Mean negative log-likelihood per token of targets, without an update."""
        total, tokens = 0.0, 0
        for _, scored in self._passes(_sequences(groups), 1.0):
            total -= float(scored.logprob_NT.sum())
            tokens += int(scored.mask_NT.sum())
        return total / max(1, tokens)

    @torch.no_grad()
    def logprobs(self, groups: Sequence[TokenGroup]) -> list[Logprobs]:
        """Log-probabilities of the model as it is now at the sampling temperature, by group and completion."""
        sequences = _sequences(groups)
        found: list[tuple[float, ...]] = [()] * len(sequences)
        for rows, scored in self._passes(sequences, self.stage.temperature):
            self.scored += scored.computed
            for row, values in zip(rows, scored.logprob_NT.tolist(), strict=True):
                found[row] = tuple(values[: len(sequences[row].losses)])
        each = iter(found)
        return [tuple(next(each) for _ in group.completions) for group in groups]

    def _passes(self, sequences: Sequence[TokenSequence], temperature: float) -> Iterator[tuple[list[int], Scored]]:
        """The rows of every forward pass, and what it gave."""
        for rows in passes(self.model, sequences, self.budget, self.plain):
            with self.context():
                scored = score(self.model, [sequences[row] for row in rows], temperature, self.plain)
            yield rows, scored

    def _policy_step(self, groups: Sequence[PolicyGroup], totals: Totals) -> None:
        sequences = _sequences([group.tokens for group in groups])
        lengths = [len(one.losses) for one in sequences]
        wholes = [whole for group in groups for whole in group.wholes or map(len, group.tokens.completions)]
        weights = completion_weights(lengths, self.stage.average, wholes)
        old = [one for group in groups for one in group.old]
        advantages = [one for group in groups for one in group.advantages]

        def loss_of(rows: list[int], scored: Scored) -> Tensor:
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
                self._reference_logprobs([sequences[row] for row in rows]),
            )
            totals.add("ratio_mean", result.ratio)
            totals.add("clip_share", result.clipped)
            gap_NT = (scored.logprob_NT - old_NT).masked_fill(~scored.mask_NT, 0.0)
            totals.add("logprob_gap", gap_NT.abs().sum())
            if self.stage.kl:
                totals.add("kl", result.kl)
            return result.loss

        self._accumulate(sequences, self.stage.temperature, loss_of, totals)
        self._step(totals)

    def _accumulate(
        self,
        sequences: Sequence[TokenSequence],
        temperature: float,
        loss_of: Callable[[list[int], Scored], Tensor],
        totals: Totals,
    ) -> None:
        try:
            for rows, scored in self._passes(sequences, temperature):
                loss = loss_of(rows, scored)
                if scored.computed:
                    loss.backward()  # type: ignore[no-untyped-call]
                totals.add("loss", loss)
                totals.add("entropy", scored.entropy_NT.sum())
                totals.tokens += int(scored.mask_NT.sum())
                totals.computed += scored.computed
                totals.plain += sum(sequences[row].inputs for row in rows)
        except torch.OutOfMemoryError as error:
            raise TrainingError(f"out of memory in an update: lower update_tokens ({self.budget})") from error

    def _step(self, totals: Totals) -> None:
        self.stepping = True
        norm, totals.rate = self.optimiser.step()
        self.stepping = False
        totals.norms.append(norm)

    @torch.no_grad()
    def _reference_logprobs(self, sequences: Sequence[TokenSequence]) -> Tensor | None:
        if not self.stage.kl:
            return None
        assert self.reference is not None
        with self.context():
            return score(self.reference, sequences, self.stage.temperature, self.plain).logprob_NT


def _sequences(groups: Sequence[TokenGroup]) -> list[TokenSequence]:
    return [one for group in groups for one in group.sequences]


def _padded(rows: Sequence[Sequence[float]], like_NT: Tensor) -> Tensor:
    width = like_NT.shape[1]
    return torch.tensor([[*row, *[0.0] * (width - len(row))] for row in rows], device=like_NT.device)


def _split(order: Sequence[int], parts: int) -> list[list[int]]:
    """At most `parts` slices whose sizes differ by at most one, none empty."""
    bounds = [round(i * len(order) / parts) for i in range(parts + 1)]
    return [list(order[a:b]) for a, b in pairwise(bounds) if a < b]
