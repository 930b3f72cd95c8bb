"""The objective as pure functions on tensors: group advantages, the clipped policy gradient, KL, averaging.

Shapes: B groups, G completions per group, N completions of any groups, T tokens of the longest completion (right-padded).
`mask_NT` is 1 at a completion's tokens and 0 at padding; what stands at padding never matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

STD_FLOOR = 1e-6  # added to a group's standard deviation before dividing by it


def group_std(rewards_BG: Tensor) -> Tensor:
    """[B] sample standard deviation (divisor G - 1) of each group's rewards: what dynamic sampling compares with epsilon.

    >>> group_std(torch.tensor([[0.0, 1.0], [0.5, 0.5]]))
    tensor([0.7071, 0.0000])
    """
    return rewards_BG.std(dim=-1, unbiased=True)


def group_advantages(rewards_BG: Tensor, std_scaling: bool = True) -> Tensor:
    """[B, G] rewards less their group's mean, over the group's standard deviation when `std_scaling`.

    Identical rewards give advantages of exactly 0 (arXiv 2402.03300, eq. 3, with the sample standard deviation).

    >>> group_advantages(torch.tensor([[0.0, 1.0], [-1.0, -1.0]]), std_scaling=False)
    tensor([[-0.5000,  0.5000],
            [ 0.0000,  0.0000]])
    """
    centred_BG = rewards_BG - rewards_BG.mean(dim=-1, keepdim=True)
    identical_B1 = rewards_BG.amax(-1, keepdim=True) == rewards_BG.amin(-1, keepdim=True)
    centred_BG = centred_BG.masked_fill(identical_B1, 0.0)
    return centred_BG / (group_std(rewards_BG)[:, None] + STD_FLOOR) if std_scaling else centred_BG


def completion_weights(lengths: Sequence[int], average: str, wholes: Sequence[int] = ()) -> list[float]:
    """The weight of each token of each completion of an update, so that the weighted sum over tokens is the average.

    `sequence`: the mean over sequences of the mean over their tokens (every sequence counts the same, so a token of
    a long one counts less). `token`: the mean over all tokens (a long sequence counts more).

    Args:
        lengths: tokens of each completion.
        average: "sequence" or "token".
        wholes: tokens of the sequence that each completion is a part of (the completions of one episode are parts of one
            sequence); empty when every completion is a sequence.

    >>> completion_weights([1, 4], "sequence")
    [0.5, 0.125]
    >>> completion_weights([1, 4], "token")
    [0.2, 0.2]
    >>> completion_weights([1, 3, 4], "sequence", wholes=[4, 4, 4])
    [0.125, 0.125, 0.125]
    """
    if average == "sequence":
        parts = list(zip(lengths, wholes or lengths, strict=True))
        count = round(sum(length / whole if whole else 1.0 for length, whole in parts))
        return [1.0 / (whole * count) if whole else 0.0 for _, whole in parts]
    return [1.0 / max(1, sum(lengths))] * len(lengths)


@dataclass(frozen=True)
class PolicyLoss:
    """The loss of some completions, and sums over their tokens for the metrics (divide by the number of tokens)."""

    loss: Tensor
    ratio: Tensor
    clipped: Tensor
    kl: Tensor


def policy_loss(
    new_NT: Tensor,
    old_NT: Tensor,
    advantage_N: Tensor,
    mask_NT: Tensor,
    weight_N: Tensor,
    clip_low: float,
    clip_high: float,
    kl: float = 0.0,
    reference_NT: Tensor | None = None,
) -> PolicyLoss:
    """The clipped policy gradient of PPO and GRPO, plus a KL penalty; a weighted sum over tokens.

    Args:
        new_NT: log-probabilities under the model being trained.
        old_NT: log-probabilities when the tokens were sampled.
        weight_N: weight of each token of a completion (`completion_weights`, or parts of it: losses of parts add up).
        clip_low: the ratio is clipped to [1 - clip_low, 1 + clip_high] (asymmetric as in DAPO, arXiv 2503.14476).
        kl: weight of the divergence from the reference.
        reference_NT: log-probabilities under the reference model; needed when `kl` is not 0.
    """
    mask_NT = mask_NT.bool()
    log_ratio_NT = (new_NT - old_NT).masked_fill(~mask_NT, 0.0)
    ratio_NT = log_ratio_NT.exp()
    clipped_NT = ratio_NT.clamp(1 - clip_low, 1 + clip_high)
    gain_NT = torch.minimum(ratio_NT * advantage_N[:, None], clipped_NT * advantage_N[:, None])
    kl_NT = torch.zeros_like(gain_NT)
    if kl:
        assert reference_NT is not None
        kl_NT = divergence(new_NT.masked_fill(~mask_NT, 0.0), reference_NT.masked_fill(~mask_NT, 0.0))
    token_NT = (kl * kl_NT - gain_NT).masked_fill(~mask_NT, 0.0)
    active_NT = mask_NT & (gain_NT < ratio_NT * advantage_N[:, None])
    return PolicyLoss(
        loss=(token_NT * weight_N[:, None]).sum(),
        ratio=ratio_NT.detach().masked_fill(~mask_NT, 0.0).sum(),
        clipped=active_NT.sum(),
        kl=kl_NT.detach().sum(),
    )


def divergence(new_NT: Tensor, reference_NT: Tensor) -> Tensor:
    """Per token, the unbiased and never negative estimate of KL(new || reference): r - 1 - log r with r = reference / new.

    (Schulman, "Approximating KL divergence", estimator k3; arXiv 2402.03300, eq. 4.)
    """
    log_ratio_NT = reference_NT - new_NT
    return log_ratio_NT.exp() - 1 - log_ratio_NT


def likelihood_loss(new_NT: Tensor, mask_NT: Tensor, weight_N: Tensor) -> Tensor:
    """Negative log-likelihood of the target tokens, weighted as in `policy_loss`."""
    return -(new_NT.masked_fill(~mask_NT.bool(), 0.0) * weight_N[:, None]).sum()
