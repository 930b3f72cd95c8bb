"""Whether the shared-prefix pass of this model gives what its ordinary forward gives: asked once, on the first batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from swe_srl.errors import TrainingError
from swe_srl.training.forward import TokenGroup, score

TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3, torch.bfloat16: 0.25, torch.float16: 0.1}
COMPLETIONS = 2  # of the checked group


def self_check(
    model: PreTrainedModel,
    groups: Sequence[TokenGroup],
    dtype: torch.dtype,
    sampled: Sequence[Sequence[Sequence[float]]] | None = None,
) -> float:
    """Compare log-probabilities and gradients on the smallest group; returns the largest difference of the former.

    Gradients of the model are clear afterwards.

    Args:
        groups: the first batch.
        dtype: arithmetic of the forward pass, which decides how close is equal.
        sampled: log-probabilities that the generator reported for the groups' completions, at temperature 1.

    Raises:
        TrainingError: they differ: the model's attention is not what the shared pass computes.
    """
    index = min(range(len(groups)), key=lambda i: len(groups[i].context))
    group = TokenGroup(groups[index].context, groups[index].completions[:COMPLETIONS])
    shared_NT, shared_gradient = _pass(model, group, plain=False)
    plain_NT, plain_gradient = _pass(model, group, plain=True)
    gaps = {"log-probabilities": float((shared_NT - plain_NT).abs().max())}
    scale = float(plain_gradient.norm()) + 1e-12
    gaps["gradients (relative to their norm)"] = float((shared_gradient - plain_gradient).norm()) / scale / 10
    if sampled is not None:
        pairs = zip(plain_NT.tolist(), sampled[index][:COMPLETIONS], strict=True)
        gap = max(abs(a - b) for row, old in pairs for a, b in zip(row, old, strict=False))
        gaps["the generator's log-probabilities"] = gap
    allowed = TOLERANCE[dtype]
    wrong = [f"{what} by {gap:.2g}" for what, gap in gaps.items() if not gap <= allowed]
    if wrong:
        raise TrainingError(
            f"self-check: {type(model).__name__} does not compute the same with a shared context as with separate "
            f"sequences: {', '.join(wrong)} (allowed: {allowed:.2g}). Set shared_contexts to false to train on separate "
            "sequences"
        )
    return max(gaps.values())


def _pass(model: PreTrainedModel, group: TokenGroup, plain: bool) -> tuple[Tensor, Tensor]:
    scored = score(model, [group], plain=plain)
    scored.logprob_NT.sum().backward()  # type: ignore[no-untyped-call]
    gradients = [p.grad.flatten().float() for p in model.parameters() if p.grad is not None]
    model.zero_grad(set_to_none=True)
    return scored.logprob_NT.detach(), torch.cat(gradients)
