"""The objective against an independent, slow, obvious reference, in plain Python numbers."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_srl.training.objective import (
    completion_weights,
    divergence,
    group_advantages,
    group_std,
    likelihood_loss,
    policy_loss,
)

REWARDS = st.sampled_from([-1.0, 0.0, 0.1, 0.5, 0.9, 1.0]) | st.floats(0, 1, width=32)


def slow_advantages(rewards: list[float], std_scaling: bool) -> list[float]:
    mean = sum(rewards) / len(rewards)
    std = statistics.stdev(rewards)
    return [(r - mean) / (std + 1e-6) if std_scaling else r - mean for r in rewards]


def slow_loss(
    new: list[list[float]],
    old: list[list[float]],
    ref: list[list[float]],
    rewards: list[list[float]],
    low: float,
    high: float,
    kl: float,
    std_scaling: bool,
    average: str,
) -> float:
    """GRPO as it is written in the papers: loops over groups, completions and tokens."""
    advantages = [a for group in rewards for a in slow_advantages(group, std_scaling)]
    losses: list[list[float]] = []
    for completion, advantage in enumerate(advantages):
        losses.append([])
        for n, o, r in zip(new[completion], old[completion], ref[completion], strict=True):
            ratio = math.exp(n - o)
            clipped = min(max(ratio, 1 - low), 1 + high)
            gain = min(ratio * advantage, clipped * advantage)
            penalty = math.exp(r - n) - (r - n) - 1
            losses[-1].append(-gain + kl * penalty)
    if average == "sequence":
        return sum(sum(row) / len(row) for row in losses) / len(losses)
    return sum(sum(row) for row in losses) / sum(len(row) for row in losses)


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[list[float]], list[list[int]], int]:
    group = draw(st.integers(2, 4))
    rewards = draw(st.lists(st.lists(REWARDS, min_size=group, max_size=group), min_size=1, max_size=3))
    if draw(st.booleans()):
        rewards.append([0.3] * group)  # identical rewards
    lengths = [[draw(st.integers(1, 6)) for _ in row] for row in rewards]
    return rewards, lengths, draw(st.integers(0, 10**6))


@given(
    batches(),
    st.sampled_from([(0.2, 0.2), (0.2, 0.28), (0.0, 0.0)]),
    st.sampled_from([0.0, 0.1]),
    st.booleans(),
    st.sampled_from(["sequence", "token"]),
)
@settings(max_examples=60, deadline=None)
def test_loss_and_gradient_equal_the_slow_reference(
    batch: tuple[list[list[float]], list[list[int]], int],
    clip: tuple[float, float],
    kl: float,
    std_scaling: bool,
    average: str,
) -> None:
    rewards, lengths, seed = batch
    sizes = [length for row in lengths for length in row]
    rng = torch.Generator().manual_seed(seed)
    shape = (len(sizes), max(sizes))
    new, old, ref = (-torch.rand(shape, generator=rng, dtype=torch.float64) * 2 for _ in range(3))
    mask = torch.arange(shape[1])[None] < torch.tensor(sizes)[:, None]
    for tensor in (new, old, ref):
        tensor[~mask] = math.nan if tensor is not new else 7.0  # what stands at padding never matters
    new.requires_grad_()
    advantages = group_advantages(torch.tensor(rewards, dtype=torch.float64), std_scaling).flatten()
    weights = torch.tensor(completion_weights(sizes, average), dtype=torch.float64)
    result = policy_loss(new, old, advantages, mask, weights, *clip, kl, ref)
    result.loss.backward()

    rows = [[t[i, : sizes[i]].tolist() for i in range(len(sizes))] for t in (new.detach(), old, ref)]
    expected = slow_loss(*rows, rewards, *clip, kl, std_scaling, average)
    assert float(result.loss.detach()) == pytest.approx(expected, abs=1e-5)
    for i in range(min(3, len(sizes))):  # the gradient, by central differences of the slow reference
        step = 1e-6
        values = []
        for sign in (1, -1):
            moved = [list(row) for row in rows[0]]
            moved[i][0] += sign * step
            values.append(slow_loss(moved, rows[1], rows[2], rewards, *clip, kl, std_scaling, average))
        ratio = math.exp(rows[0][i][0] - rows[1][i][0])
        if min(abs(ratio - 1 + clip[0]), abs(ratio - 1 - clip[1])) > 1e-4:  # not at a corner of the clipping
            assert float(new.grad[i, 0]) == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-5)
    assert torch.all(new.grad[~mask] == 0)


def test_losses_of_parts_add_up() -> None:
    torch.manual_seed(0)
    new, old = torch.randn(4, 5), torch.randn(4, 5)
    mask = torch.arange(5)[None] < torch.tensor([5, 1, 3, 2])[:, None]
    advantages = group_advantages(torch.tensor([[0.1, 0.9], [-1.0, 1.0]])).flatten()
    weights = torch.tensor(completion_weights([5, 1, 3, 2], "sequence"))
    whole = policy_loss(new, old, advantages, mask, weights, 0.2, 0.2)
    parts = [policy_loss(new[s], old[s], advantages[s], mask[s], weights[s], 0.2, 0.2) for s in ([0, 1], [2, 3])]
    torch.testing.assert_close(whole.loss, parts[0].loss + parts[1].loss)
    torch.testing.assert_close(whole.ratio, parts[0].ratio + parts[1].ratio)
    assert whole.clipped == parts[0].clipped + parts[1].clipped


@pytest.mark.parametrize("value", [0.1, 1 / 3, -1.0, 0.7])
@pytest.mark.parametrize("std_scaling", [True, False])
def test_identical_rewards_give_exactly_nothing(value: float, std_scaling: bool) -> None:
    assert torch.equal(group_advantages(torch.full((2, 7), value), std_scaling), torch.zeros(2, 7))


@given(st.lists(REWARDS, min_size=2, max_size=8))
def test_advantages_equal_the_slow_reference(rewards: list[float]) -> None:
    for std_scaling in (True, False):
        ours = group_advantages(torch.tensor([rewards], dtype=torch.float64), std_scaling)[0].tolist()
        assert ours == pytest.approx(slow_advantages(rewards, std_scaling), abs=1e-6)
    assert float(group_std(torch.tensor([rewards], dtype=torch.float64))) == pytest.approx(statistics.stdev(rewards))


def test_averaging_decides_what_a_long_completion_weighs() -> None:
    """A token of a long completion counts less by sequence; a long completion counts more by token."""
    lengths = [10, 90]
    sequence, token = completion_weights(lengths, "sequence"), completion_weights(lengths, "token")
    assert [w * n for w, n in zip(sequence, lengths, strict=True)] == pytest.approx([0.5, 0.5])
    assert [w * n for w, n in zip(token, lengths, strict=True)] == pytest.approx([0.1, 0.9])


def test_clip_share_counts_tokens_whose_gradient_is_cut() -> None:
    new = torch.log(torch.tensor([[1.5, 0.5, 1.1], [1.5, 0.5, 1.1]])).requires_grad_()
    result = policy_loss(new, torch.zeros(2, 3), torch.tensor([1.0, -1.0]), torch.ones(2, 3), torch.ones(2), 0.2, 0.28)
    result.loss.backward()
    assert int(result.clipped) == 2
    assert (new.grad == 0).tolist() == [[True, False, False], [False, True, False]]


def test_divergence_is_an_unbiased_estimate() -> None:
    torch.manual_seed(0)
    new, reference = (torch.randn(6, dtype=torch.float64).log_softmax(-1) for _ in range(2))
    exact = (new.exp() * (new - reference)).sum()
    torch.testing.assert_close((new.exp() * divergence(new, reference)).sum(), exact)
    assert torch.all(divergence(new, reference) >= 0)


def test_likelihood_is_the_weighted_negative_sum() -> None:
    new = torch.tensor([[-1.0, -2.0], [-3.0, math.nan]], requires_grad=True)
    mask = torch.tensor([[1, 1], [1, 0]])
    loss = likelihood_loss(new, mask, torch.tensor(completion_weights([2, 1], "token")))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(2.0)
    assert new.grad[1, 1] == 0
