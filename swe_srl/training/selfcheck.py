"""Whether the forest of a model gives what its ordinary forward gives: asked once, on the first batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from swe_srl.errors import TrainingError
from swe_srl.training.forest import TokenSequence
from swe_srl.training.forward import ScorePass, TokenGroup, score

GRADIENTS = {
    torch.float64: 1e-5,
    torch.float32: 1e-2,
    torch.bfloat16: 0.5,
    torch.float16: 0.2,
}  # relative to their norm
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3, torch.bfloat16: 0.25, torch.float16: 0.1}
AVERAGED = (torch.bfloat16, torch.float16)  # in these, rounding alone moves single tokens by more than that
GROUPS = 2  # that are checked
COMPLETIONS = 2  # of each


def self_check(
    model: PreTrainedModel,
    groups: Sequence[TokenGroup],
    dtype: torch.dtype,
    sampled: Sequence[Sequence[Sequence[float]]] | None = None,
    score: ScorePass = score,
) -> float:
    """Compare log-probabilities and gradients on the shortest groups; returns the difference of the former.

    Log-probabilities are compared by the token that differs most, in half precision by their mean difference.
    Gradients of the model are clear afterwards.

    Args:
        groups: the first batch.
        dtype: arithmetic of the forward pass, which decides how close is equal.
        sampled: log-probabilities that the generator reported for the groups' completions, at temperature 1.
        score: makes a pass: another one where the model is shared out among processes.

    Raises:
        TrainingError: they differ: the model's attention is not what the forest computes.
    """
    chosen = sorted(range(len(groups)), key=lambda i: (len(groups[i].context), i))[:GROUPS]
    sequences = [one for i in chosen for one in groups[i].sequences[:COMPLETIONS]]
    shared_C, shared_gradient = _pass(model, [sequences], False, score)
    plain_C, plain_gradient = _pass(model, [[one] for one in sequences], True, score)
    half, allowed = dtype in AVERAGED, TOLERANCE[dtype]
    average = " on average" if half else ""
    gaps = [(f"log-probabilities{average}", _difference(shared_C, plain_C, half), allowed)]
    scale = float(plain_gradient.norm()) + 1e-12
    gap = float((shared_gradient - plain_gradient).norm()) / scale
    gaps.append(("gradients (relative to their norm)", gap, GRADIENTS[dtype]))
    if sampled is not None:
        old_C = torch.tensor([value for i in chosen for row in sampled[i][:COMPLETIONS] for value in row])
        gaps.append((f"the generator's log-probabilities{average}", _difference(plain_C.cpu(), old_C, half), allowed))
    wrong = [f"{what} by {gap:.2g} (allowed: {limit:.2g})" for what, gap, limit in gaps if not gap <= limit]
    if wrong:
        raise TrainingError(
            f"self-check: {type(model).__name__} does not compute the same with shared prefixes as with separate "
            f"sequences: {', '.join(wrong)}. Set shared_contexts to false to train on separate sequences"
        )
    return gaps[0][1]


def _difference(ours_C: Tensor, theirs_C: Tensor, half: bool) -> float:
    difference_C = (ours_C - theirs_C).abs()
    return float(difference_C.mean() if half else difference_C.max())


def _pass(
    model: PreTrainedModel, parts: Sequence[Sequence[TokenSequence]], plain: bool, score: ScorePass
) -> tuple[Tensor, Tensor]:
    """Log-probabilities of all trained tokens and the gradient of their sum (this process's share), a part at a time."""
    values = []
    for sequences in parts:
        scored = score(model, sequences, 1.0, plain)
        scored.logprob_NT.sum().backward()  # type: ignore[no-untyped-call]
        values.append(scored.logprob_NT.detach()[scored.mask_NT])
    gradients = [_own(p.grad).flatten().float() for p in model.parameters() if p.grad is not None]
    model.zero_grad(set_to_none=True)
    return torch.cat(values), torch.cat(gradients)


def _own(gradient: Tensor) -> Tensor:
    """This process's share."""
    if type(gradient) is Tensor:
        return gradient
    from torch.distributed.tensor import DTensor  # the model is shared out

    assert isinstance(gradient, DTensor)
    return gradient.to_local()
