"""The forest's pass is exactly the separate sequences: log-probabilities, entropies, gradients."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
import torch
from forest_strategies import random_sequences, sequence_sets
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import make_model
from transformers import PreTrainedModel

from swe_srl.errors import TrainingError
from swe_srl.generation.attention import use_grouped
from swe_srl.training import forward
from swe_srl.training.forest import TokenSequence
from swe_srl.training.forward import Scored, TokenGroup, passes, score, shares_prefixes
from swe_srl.training.memory import recompute_activations
from swe_srl.training.objective import policy_loss
from swe_srl.training.selfcheck import self_check

MODELS = {name: make_model(name) for name in ("qwen2", "qwen3", "llama", "mistral")}
MODELS["llama-gqa"] = make_model("llama", num_key_value_heads=2)
for _model in MODELS.values():
    use_grouped(_model)
FAMILIES = st.sampled_from(sorted(MODELS))


def random_groups(seed: int, contexts: int, size: int, longest: int = 14, shortest: int = 1) -> list[TokenGroup]:
    rng = random.Random(seed)
    tokens = lambda low: tuple(rng.randrange(3, 400) for _ in range(rng.randint(low, longest)))  # noqa: E731
    return [TokenGroup(tokens(shortest), tuple(tokens(1) for _ in range(size))) for _ in range(contexts)]


def flat(groups: list[TokenGroup]) -> list[TokenSequence]:
    return [one for group in groups for one in group.sequences]


def gradients(
    model: PreTrainedModel,
    sequences: list[TokenSequence],
    temperature: float = 1.0,
    plain: bool = False,
    budget: int = 10**6,
) -> list[torch.Tensor]:
    """Log-probabilities, entropies and gradients; the loss gives every trained token its own weight."""
    width = max((len(one.losses) for one in sequences), default=0)
    weights = torch.linspace(0.5, 2.0, len(sequences) * width).view(len(sequences), width)
    values, entropies = torch.zeros(2, len(sequences), width)
    for rows in passes(model, sequences, budget, plain):
        scored = score(model, [sequences[row] for row in rows], temperature, plain)
        size = scored.mask_NT.shape[1]
        if scored.computed:
            (scored.logprob_NT * weights[rows, :size]).sum().backward()
        values[rows, :size], entropies[rows, :size] = scored.logprob_NT.detach(), scored.entropy_NT
    found = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in model.parameters()]
    model.zero_grad(set_to_none=True)
    return [values, entropies, *found]


def assert_equal(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        scale = max(1.0, float(other.abs().max())) if other.numel() else 1.0
        torch.testing.assert_close(one / scale, other / scale, atol=1e-5, rtol=1e-5)


@given(FAMILIES, sequence_sets(), st.sampled_from([1.0, 0.7]), st.sampled_from([1, 20, 10**6]))
@settings(max_examples=25, deadline=None)
def test_a_forest_equals_separate_sequences(
    family: str, sequences: list[TokenSequence], temperature: float, budget: int
) -> None:
    model = MODELS[family]
    assert_equal(
        gradients(model, sequences, temperature, budget=budget), gradients(model, sequences, temperature, plain=True)
    )


@given(FAMILIES, st.integers(0, 10**6))
@settings(max_examples=6, deadline=None)
def test_long_branches_equal_separate_sequences(family: str, seed: int) -> None:
    """Longer than a tile of attention: chains, tiles and what is above them."""
    sequences = random_sequences(seed, 8, longest=90)
    assert_equal(gradients(MODELS[family], sequences), gradients(MODELS[family], sequences, plain=True))


@given(FAMILIES, st.integers(0, 10**6), st.integers(1, 3))
@settings(max_examples=8, deadline=None)
def test_the_objective_equals_that_of_separate_sequences(family: str, seed: int, contexts: int) -> None:
    """Advantages of -1 rewards, unequal lengths, equal and empty completions, in packs of a few tokens."""
    model, rng = MODELS[family], random.Random(seed)
    groups = random_groups(seed, contexts, 3)
    groups.append(TokenGroup(groups[0].context + groups[0].completions[0], ((5, 6), (5, 6), (), (5, 6, 7))))
    sequences = flat(groups)
    width = max(len(one.losses) for one in sequences)
    old_NT = -5 * torch.rand(len(sequences), width, generator=torch.Generator().manual_seed(seed))
    advantage_N = torch.tensor([rng.choice([-1.0, -0.3, 0.0, 1.2]) for _ in sequences])
    weight_N = torch.rand(len(sequences), generator=torch.Generator().manual_seed(seed))

    def update(plain: bool) -> list[torch.Tensor]:
        total = torch.zeros(())
        for rows in passes(model, sequences, 16, plain):
            scored = score(model, [sequences[row] for row in rows], plain=plain)
            old = old_NT[rows, : scored.mask_NT.shape[1]]
            loss = policy_loss(scored.logprob_NT, old, advantage_N[rows], scored.mask_NT, weight_N[rows], 0.2, 0.2).loss
            if scored.computed:
                loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        found = [parameter.grad.clone() for parameter in model.parameters()]  # type: ignore[union-attr]
        model.zero_grad(set_to_none=True)
        return [total, *found]

    assert_equal(update(plain=False), update(plain=True))


def test_plain_equals_a_forward_per_sequence() -> None:
    model = MODELS["qwen2"]
    sequences = flat(random_groups(3, 2, 2))
    scored = score(model, sequences, plain=True)
    for row, one in enumerate(sequences):
        start, size = one.losses[0], len(one.losses)
        logits = model(torch.tensor([one.tokens])).logits[0, start - 1 : -1]
        expected = logits.log_softmax(-1)[torch.arange(size), list(one.tokens[start:])]
        torch.testing.assert_close(scored.logprob_NT[row, :size], expected, atol=1e-5, rtol=1e-5)
        assert scored.mask_NT[row].tolist() == [i < size for i in range(scored.mask_NT.shape[1])]


def test_nothing_to_train_on_is_nothing_computed() -> None:
    for plain in (False, True):
        scored = score(MODELS["qwen2"], [TokenSequence((5, 6), ()), TokenSequence((), ())], plain=plain)
        assert scored.computed == 0 and scored.logprob_NT.shape == scored.mask_NT.shape == (2, 0)


def test_logits_in_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, sequences = MODELS["llama"], random_sequences(5, 10)
    whole = gradients(model, sequences)
    monkeypatch.setattr(forward, "HEAD_BLOCK", 7 * 400)
    assert_equal(gradients(model, sequences), whole)


def test_gradient_checkpointing_changes_nothing() -> None:
    model, sequences = make_model("qwen2", seed=4), random_sequences(6, 10)
    use_grouped(model)
    without = gradients(model, sequences)
    recompute_activations(model)
    assert_equal(gradients(model, sequences), without)


def test_bfloat16_is_as_near_as_its_precision() -> None:
    model, sequences = make_model("qwen2", seed=4), random_sequences(8, 10)
    use_grouped(model)
    exact = gradients(model, sequences)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values, _, *found = gradients(model, sequences)
        plain, _, *_ = gradients(model, sequences, plain=True)
    error, usual = (float((one - exact[0]).abs().mean()) for one in (values, plain))
    assert 0 < error < 1.5 * usual
    assert all(one.isfinite().all() for one in found)


def test_other_attention_takes_the_plain_path_and_sees_its_window() -> None:
    model = make_model("sliding")
    assert not use_grouped(model) and not shares_prefixes(model)
    sequences = flat(random_groups(7, 2, 2))
    first = sequences[0]
    start, size = first.losses[0], len(first.losses)
    logits = model(torch.tensor([first.tokens])).logits[0, start - 1 : -1]
    expected = logits.log_softmax(-1)[torch.arange(size), list(first.tokens[start:])]
    scored = score(model, sequences)
    torch.testing.assert_close(scored.logprob_NT[0, :size], expected, atol=1e-5, rtol=1e-5)
    assert scored.computed == sum(one.inputs for one in sequences)


@given(sequence_sets(count=12), st.integers(1, 60), st.booleans())
@settings(deadline=None)
def test_passes_hold_every_sequence_once_under_the_budget(
    sequences: list[TokenSequence], budget: int, plain: bool
) -> None:
    found = passes(MODELS["qwen2"], sequences, budget, plain)
    assert sorted(row for rows in found for row in rows) == list(range(len(sequences)))
    if plain:
        for rows in found:
            assert len(rows) == 1 or len(rows) * max(sequences[row].inputs for row in rows) <= budget


def test_tokens_are_counted() -> None:
    group = TokenGroup((1, 2, 3, 4), ((5, 6), (7, 8, 9)))
    shared = score(MODELS["qwen2"], group.sequences)
    assert (shared.computed, score(MODELS["qwen2"], group.sequences, plain=True).computed) == (4 + 1 + 2, 5 + 6)


def test_self_check_passes_and_leaves_no_gradient() -> None:
    model = MODELS["qwen2"]
    groups = random_groups(1, 3, 3)
    sampled = [
        [row[:size].tolist() for row, size in zip(scored.logprob_NT, scored.mask_NT.sum(-1).tolist(), strict=True)]
        for scored in (score(model, group.sequences, plain=True) for group in groups)
    ]
    assert self_check(model, groups, torch.float32, sampled) < 1e-3
    assert all(parameter.grad is None for parameter in model.parameters())
    with pytest.raises(TrainingError, match="the generator's log-probabilities by"):
        self_check(model, groups, torch.float32, [[[v - 0.1 for v in row] for row in rows] for rows in sampled])


@pytest.mark.parametrize("factor", [0.0, -1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_self_check_sees_gradients_that_are_none_or_wrong(dtype: torch.dtype, factor: float) -> None:
    """Of right log-probabilities; what is near depends on the arithmetic."""
    model, groups = MODELS["qwen2"], random_groups(1, 3, 3, shortest=8)

    def rounded(model: Any, sequences: Any, temperature: float, plain: bool) -> Scored:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype is torch.bfloat16):
            return score(model, sequences, temperature, plain)

    def wrong(model: Any, sequences: Any, temperature: float, plain: bool) -> Scored:
        found = rounded(model, sequences, temperature, plain)
        right = found.logprob_NT
        return found if plain else replace(found, logprob_NT=right.detach() + factor * (right - right.detach()))

    assert 0 <= self_check(model, groups, dtype, score=rounded) < 0.25
    with pytest.raises(TrainingError, match=r"gradients \(relative to their norm\) by [12]"):
        self_check(model, groups, dtype, score=wrong)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_self_check_takes_single_tokens_that_half_precision_rounds_far_off(dtype: torch.dtype) -> None:
    """An unlikely token's log-probability is easily 0.5 off there; that of all tokens is not."""
    model, groups = MODELS["qwen2"], random_groups(1, 3, 3, shortest=8)
    with torch.no_grad():
        own = [score(model, group.sequences, plain=True) for group in groups]
    exact = [[row[seen].tolist() for row, seen in zip(one.logprob_NT, one.mask_NT, strict=True)] for one in own]
    one_off = [[[values[0] + 0.5, *values[1:]] for values in rows] for rows in exact]
    all_off = [[[value + 0.5 for value in values] for values in rows] for rows in exact]
    if dtype is torch.bfloat16:
        self_check(model, groups, dtype, one_off)
        with pytest.raises(TrainingError, match=r"the generator's log-probabilities on average by 0\.5"):
            self_check(model, groups, dtype, all_off)
    else:
        with pytest.raises(TrainingError, match=r"the generator's log-probabilities by 0\.5"):
            self_check(model, groups, dtype, one_off)


def test_self_check_stops_a_wrong_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose rotary angles ignore the positions it is given: the shared pass cannot be right for it."""
    model = make_model("qwen2", seed=9)
    use_grouped(model)
    rotary = model.model.rotary_emb.forward
    monkeypatch.setattr(
        model.model.rotary_emb, "forward", lambda x, position_ids: rotary(x, torch.arange(x.shape[1])[None])
    )
    with pytest.raises(TrainingError, match=r"self-check: Qwen2ForCausalLM .* shared_contexts"):
        self_check(model, random_groups(1, 3, 3, shortest=8), torch.float32)
