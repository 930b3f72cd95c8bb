"""The forest as a structure: what is packed, who sees whom, which visits make attention, how packs are cut."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from forest_strategies import random_sequences, sequence_sets
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn.attention.flex_attention import create_block_mask

from swe_srl.training.forest import SLACK, Forest, TokenSequence, split
from swe_srl.training.forest_attention import ForestPlan, visits_of
from swe_srl.training.forest_flex import BLOCK, FlexPlan, block_mask


def prefixes(sequences: list[TokenSequence]) -> set[tuple[int, ...]]:
    return {one.tokens[:stop] for one in sequences for stop in range(1, one.inputs + 1)}


def test_the_documented_example() -> None:
    """Two completions of one context, and a longer context that goes on from the first."""
    context = (5, 6, 7)
    first = TokenSequence((*context, 8, 9), (3, 4))
    second = TokenSequence((*context, 4, 9), (3, 4))
    later = TokenSequence((*context, 8, 9, 1, 2), (6,))
    forest = Forest.of([first, second, later])
    assert forest.tokens.tolist() == [5, 6, 7, 8, 9, 1, 4]
    assert forest.positions.tolist() == [0, 1, 2, 3, 4, 5, 3]
    assert forest.ends.tolist() == [6, 6, 6, 5, 5, 5, 6]
    assert [one.tolist() for one in forest.sources] == [[2, 3], [2, 6], [5]]


@given(sequence_sets(alphabet=3))
@settings(deadline=None, max_examples=60)
@example([])
@example([TokenSequence((4,), ()), TokenSequence((), ())])
@example([TokenSequence((4, 5), (1,)), TokenSequence((4, 5), (1,)), TokenSequence((4, 5, 6), (1, 2))])
def test_a_forest_holds_each_prefix_once_and_a_token_sees_its_own_prefix(sequences: list[TokenSequence]) -> None:
    forest = Forest.of(sequences)
    seen = [tuple(forest.tokens[np.flatnonzero(row)].tolist()) for row in forest.visible()]
    assert len(seen) == len(set(seen)) and set(seen) == prefixes(sequences)
    assert [len(path) - 1 for path in seen] == forest.positions.tolist()
    for one, sources in zip(sequences, forest.sources, strict=True):
        assert [seen[source] for source in sources] == [one.tokens[:loss] for loss in one.losses]


@given(sequence_sets(count=14, alphabet=3), st.sampled_from([0, 1, 2, 5, 16, 64]))
@settings(deadline=None)
def test_visits_cover_every_visible_pair_once_and_nothing_else(sequences: list[TokenSequence], tile: int) -> None:
    forest = Forest.of(sequences)
    visible = forest.visible()
    count = np.zeros(visible.shape, int)
    began: set[int] = set()
    for visit in visits_of(forest, tile):
        block = count[visit.first : visit.stop, visit.key_first : visit.key_stop]
        rows = range(visit.first, visit.stop)
        if visit.kind == "all":
            assert began.issuperset(rows), "a partial result is merged into one that is there"
            block += 1
        else:
            assert began.isdisjoint(rows)
            began.update(rows)
            own = visible[visit.first : visit.stop, visit.key_first : visit.key_stop]
            block += np.tri(len(rows), dtype=int) if visit.kind == "causal" else own
    assert (count == visible).all()


def test_a_trunk_with_completions_takes_two_visits_each() -> None:
    """What makes full history cheap: the trunk in one piece, each completion itself and the trunk before it."""
    trunk = tuple(range(1000, 2000))
    sequences = [
        TokenSequence((*trunk[:stop], *range(100 * i, 100 * i + 100)), range(stop, stop + 100))
        for i, stop in enumerate((250, 500, 750, 1000))
    ]
    visits = visits_of(Forest.of(sequences))
    assert len(visits) == 1 + 3 * 2 and {visit.kind for visit in visits} == {"causal", "all"}


@pytest.mark.parametrize("losses", [(0,), (2, 1), (1, 3), (1, 1)])
def test_losses_that_cannot_be(losses: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="losses must ascend within 1 and 2"):
        TokenSequence((7, 8, 9), losses)


@given(sequence_sets(count=12, alphabet=2), st.integers(1, 60))
@settings(deadline=None)
def test_packs_hold_every_sequence_once_within_the_budget(sequences: list[TokenSequence], budget: int) -> None:
    packs = split(sequences, budget)
    assert sorted(index for pack in packs for index in pack) == list(range(len(sequences)))
    for pack in packs:
        chosen = [sequences[index] for index in pack]
        longest = max((one.inputs for one in chosen), default=0)
        assert len(prefixes(chosen)) <= max(budget, (1 + SLACK) * longest)
    if len(prefixes(sequences)) <= budget:
        assert len(packs) <= 1


def partitions(items: list[int]) -> Iterator[list[list[int]]]:
    if not items:
        yield []
        return
    first, *rest = items
    for partition in partitions(rest):
        yield [[first], *partition]
        for number, pack in enumerate(partition):
            yield [*partition[:number], [first, *pack], *partition[number + 1 :]]


def fewest_tokens(sequences: list[TokenSequence], budget: int) -> int:
    """Over all partitions: what no algorithm can beat."""
    best = sum(one.inputs for one in sequences)
    for partition in partitions(list(range(len(sequences)))):
        total = 0
        for pack in partition:
            chosen = [sequences[index] for index in pack]
            size = len(prefixes(chosen))
            total += size
            if size > max(budget, (1 + SLACK) * max(one.inputs for one in chosen)):
                total = best
                break
        best = min(best, total)
    return best


def branches_off_a_trunk(seed: int) -> list[TokenSequence]:
    """The hard case: what does not fit together is a matter of bin packing."""
    rng = random.Random(seed)
    trunk = tuple(range(100, 100 + rng.randint(0, 20)))
    found = []
    for number in range(6):
        branch = tuple(range(1000 * number, 1000 * number + rng.randint(1, 12)))
        tokens = trunk[: rng.choice([len(trunk), rng.randint(0, len(trunk))])] + branch
        found.append(TokenSequence((*tokens, 5), (len(tokens),)))
    return found


@pytest.mark.parametrize(
    ("make", "optimal", "mean"),
    [(lambda seed: random_sequences(seed, 6, 8, 3, 1.0), 0.95, 1.005), (branches_off_a_trunk, 0.6, 1.05)],
    ids=["random", "trunk"],
)
def test_packs_against_the_optimum(make: Callable[[int], list[TokenSequence]], optimal: float, mean: float) -> None:
    """Brute force over all partitions of 6 sequences: mostly optimal, never far from it."""
    ratios = []
    for sequences in map(make, range(12)):
        total = len(prefixes(sequences))
        for budget in (total // 3 + 1, total // 2 + 1):
            packs = split(sequences, budget)
            found = sum(len(prefixes([sequences[index] for index in pack])) for pack in packs)
            ratios.append(found / max(1, fewest_tokens(sequences, budget)))
    assert min(ratios) >= 1 and max(ratios) <= 1.4
    assert sum(ratio == 1 for ratio in ratios) / len(ratios) > optimal and sum(ratios) / len(ratios) < mean


def test_a_cut_trunk_repeats_only_the_trunk() -> None:
    """Completions along one trunk: packs are cut along it, so each repeats the trunk up to its deepest context."""
    trunk = tuple(range(1000, 1400))
    sequences = [
        TokenSequence((*trunk[:stop], *range(10 * i, 10 * i + 11)), range(stop, stop + 11))
        for i, stop in enumerate(range(100, 401, 5))
    ]
    packs = split(sequences, 600)
    depths = [[len(sequences[index].tokens) for index in pack] for pack in packs]
    assert len(packs) == 3
    total = sum(len(prefixes([sequences[index] for index in pack])) for pack in packs)
    assert total == len(sequences) * 10 + sum(depth[0] - 11 for depth in depths)
    assert all(min(deeper) >= max(shallower) for deeper, shallower in pairwise(depths))


@pytest.mark.parametrize("seed", range(3))
def test_the_block_mask_is_the_forests(seed: int) -> None:
    forest = Forest.of(random_sequences(seed, 30, longest=200))
    count = len(forest.tokens)
    mask = block_mask(forest, torch.device("cpu"))
    padded = mask.seq_lengths[0]
    assert mask.mask_mod is not None and padded % BLOCK == 0 and padded - count < BLOCK and padded > 5 * BLOCK
    index = torch.arange(padded)
    dense = mask.mask_mod(torch.tensor(0), torch.tensor(0), index[:, None], index[None, :])
    expected = torch.eye(padded, dtype=torch.bool)
    expected[:count, :count] = torch.from_numpy(forest.visible())
    assert torch.equal(dense, expected)
    slow = create_block_mask(mask.mask_mod, None, None, padded, padded, device="cpu")
    assert torch.equal(mask.to_dense(), slow.to_dense())
    assert mask.full_kv_num_blocks is not None and slow.full_kv_num_blocks is not None
    assert torch.equal(mask.full_kv_num_blocks, slow.full_kv_num_blocks) and int(mask.full_kv_num_blocks.sum()) > 0
    for row in range(padded // BLOCK):
        for name in ("kv", "full_kv"):
            size = int(getattr(slow, f"{name}_num_blocks")[0, 0, row])
            ours, theirs = (getattr(one, f"{name}_indices")[0, 0, row, :size].tolist() for one in (mask, slow))
            assert sorted(ours) == sorted(theirs)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_both_plans_compute_the_masks_attention() -> None:
    """FlexAttention has no backward on a CPU: its gradients are in test_training_gpu.py."""
    forest = Forest.of(random_sequences(5, 12, longest=60))
    count = len(forest.tokens)
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(1, heads, count, 16, generator=generator) for heads in (4, 2, 2))
    scores = query @ key.repeat_interleave(2, 1).transpose(-1, -2)
    weights = scores.masked_fill(~torch.from_numpy(forest.visible()), -torch.inf).softmax(-1)
    expected = weights @ value.repeat_interleave(2, 1)
    with torch.no_grad():
        torch.testing.assert_close(ForestPlan(forest).attend(0, query, key, value), expected, atol=1e-5, rtol=1e-5)
        flex = FlexPlan(forest, torch.device("cpu")).attend(0, query, key, value)
    torch.testing.assert_close(flex, expected, atol=1e-5, rtol=1e-5)
