"""The shared-context pass is exactly the separate sequences: log-probabilities, entropies, gradients."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import make_model

from swe_srl.errors import TrainingError
from swe_srl.generation.attention import use_grouped
from swe_srl.training import forward
from swe_srl.training.forward import TokenGroup, micro_batches, score
from swe_srl.training.selfcheck import self_check

MODELS = {name: make_model(name) for name in ("qwen2", "qwen3", "llama", "mistral")}
for _model in MODELS.values():
    use_grouped(_model)


def random_groups(seed: int, contexts: int, size: int, longest: int = 14, shortest: int = 1) -> list[TokenGroup]:
    rng = random.Random(seed)
    tokens = lambda low: tuple(rng.randrange(3, 400) for _ in range(rng.randint(low, longest)))  # noqa: E731
    return [TokenGroup(tokens(shortest), tuple(tokens(1) for _ in range(size))) for _ in range(contexts)]


def gradients(model: torch.nn.Module, groups: list[TokenGroup], temperature: float, plain: bool) -> list[torch.Tensor]:
    scored = score(model, groups, temperature, plain)
    weights = torch.linspace(0.5, 2.0, scored.logprob_NT.numel()).view(scored.logprob_NT.shape)
    (scored.logprob_NT * weights).sum().backward()
    found = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad(set_to_none=True)
    return [scored.logprob_NT.detach(), scored.entropy_NT, *found]


@given(
    st.sampled_from(sorted(MODELS)),
    st.integers(0, 10**6),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from([1.0, 0.7]),
)
@settings(max_examples=15, deadline=None)
def test_shared_equals_plain(family: str, seed: int, contexts: int, size: int, temperature: float) -> None:
    model = MODELS[family]
    groups = random_groups(seed, contexts, size)
    shared, plain = (gradients(model, groups, temperature, plain) for plain in (False, True))
    for ours, theirs in zip(shared, plain, strict=True):
        scale = max(1.0, float(theirs.abs().max()))
        torch.testing.assert_close(ours / scale, theirs / scale, atol=1e-5, rtol=1e-5)


def test_plain_equals_a_forward_per_sequence() -> None:
    model = MODELS["qwen2"]
    groups = random_groups(3, 2, 2)
    scored = score(model, groups, plain=True)
    row = 0
    for group in groups:
        for one in group.completions:
            logits = model(torch.tensor([group.context + one])).logits[0, len(group.context) - 1 : -1]
            expected = logits.log_softmax(-1)[torch.arange(len(one)), list(one)]
            torch.testing.assert_close(scored.logprob_NT[row, : len(one)], expected, atol=1e-5, rtol=1e-5)
            assert scored.mask_NT[row].tolist() == [i < len(one) for i in range(scored.mask_NT.shape[1])]
            row += 1


def test_logits_in_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = MODELS["llama"]
    groups = random_groups(5, 2, 3)
    whole = gradients(model, groups, 1.0, plain=False)
    monkeypatch.setattr(forward, "HEAD_BLOCK", 7)
    for ours, theirs in zip(gradients(model, groups, 1.0, plain=False), whole, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-5)


def test_gradient_checkpointing_changes_nothing() -> None:
    model = make_model("qwen2", seed=4)
    use_grouped(model)
    groups = random_groups(6, 2, 3)
    without = gradients(model, groups, 1.0, plain=False)
    model.gradient_checkpointing_enable()
    model.train()
    for ours, theirs in zip(gradients(model, groups, 1.0, plain=False), without, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_other_attention_takes_the_plain_path_and_sees_its_window() -> None:
    model = make_model("sliding")
    assert not use_grouped(model)
    groups = random_groups(7, 2, 2)
    group = groups[0]
    logits = model(torch.tensor([group.context + group.completions[0]])).logits[0, len(group.context) - 1 : -1]
    expected = logits.log_softmax(-1)[torch.arange(len(group.completions[0])), list(group.completions[0])]
    found = score(model, groups).logprob_NT[0, : len(group.completions[0])]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@given(st.integers(0, 1000), st.integers(1, 12), st.integers(10, 200))
def test_micro_batches_hold_every_group_once_under_the_budget(seed: int, count: int, budget: int) -> None:
    groups = random_groups(seed, count, 2)
    batches = micro_batches(groups, budget)
    assert sorted(index for batch in batches for index in batch) == list(range(count))
    for batch in batches:
        assert len(batch) == 1 or sum(groups[i].tokens for i in batch) <= budget


def test_tokens_are_counted() -> None:
    group = TokenGroup((1, 2, 3, 4), ((5, 6), (7, 8, 9)))
    assert (group.tokens, group.plain_tokens) == (3 + 2 + 3, 3 + 2 + 3 + 3)


def test_self_check_passes_and_leaves_no_gradient() -> None:
    model = MODELS["qwen2"]
    groups = random_groups(1, 3, 3)
    sampled = [score(model, [g], plain=True).logprob_NT.tolist() for g in groups]
    assert self_check(model, groups, torch.float32, sampled) < 1e-3
    assert all(parameter.grad is None for parameter in model.parameters())
    with pytest.raises(TrainingError, match="the generator's log-probabilities by"):
        self_check(model, groups, torch.float32, [[[v - 0.1 for v in row] for row in rows] for rows in sampled])


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
