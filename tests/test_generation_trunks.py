"""Contexts that go on from one another: computed once, and sampled as if each were alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise, takewhile

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_generation_local import teacher_forced
from tiny_models import make_model, make_tokenizer

from swe_srl.generation import TransformersGenerator, trunks
from swe_srl.generation.attention import use_grouped
from swe_srl.generation.decoding import decode_batch
from swe_srl.generation.loading import encode_chat
from swe_srl.generation.sampling import uniforms
from swe_srl.types import Completion, Message, Sampling

ENDS = range(0, 400, 9)


@pytest.fixture
def short_trunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trunks, "LEAST_SHARED", 4)


def trajectory() -> list[list[int]]:
    """Contexts of one trajectory, each going on from the last; one that leaves it in the middle; and a stranger."""
    stream = torch.Generator().manual_seed(3)
    tokens = torch.randint(3, 400, (60,), generator=stream).tolist()
    branch = tokens[:25] + torch.randint(3, 400, (9,), generator=stream).tolist()
    return [tokens[:12], tokens[:24], branch, tokens[:50], tokens, tokens, [7, 8, 9]]


@contextmanager
def prefilled(model: torch.nn.Module) -> Iterator[list[int]]:
    """Numbers of tokens that prefilling computes, by forward pass."""
    counts: list[int] = []

    def see(module: torch.nn.Module, arguments: object, given: dict[str, torch.Tensor]) -> None:
        if "logits_to_keep" in given:
            counts.append(given["input_ids"].numel())

    hook = model.register_forward_pre_hook(see, with_kwargs=True)
    yield counts
    hook.remove()


def distinct(sequences: Sequence[Sequence[int]]) -> int:
    return len({tuple(one[:end]) for one in sequences for end in range(1, len(one) + 1)})


@pytest.mark.parametrize("family", ["qwen2", "qwen3", "llama", "mistral"])
def test_logprobs_are_those_of_separate_contexts(family: str, short_trunks: None) -> None:
    model = make_model(family).double()
    use_grouped(model)
    found = trajectory()
    batch = [found[i] for i in trunks.by_trunk(found, range(len(found)))]
    streams = uniforms([(i, j) for i in range(len(batch)) for j in range(3)], 20)
    with prefilled(model) as computed, torch.no_grad():
        sampled = decode_batch(model, batch, 3, Sampling(max_new_tokens=20), streams, ENDS)
        # the last token of a context is fed when its completions begin; of equal contexts, one token is computed again
        assert sum(computed) == distinct([one[:-1] for one in batch]) + 1
        for index, one in enumerate(sampled):
            expected = teacher_forced(model, batch[index // 3], one.token_ids)
            torch.testing.assert_close(torch.tensor(one.logprobs), expected, atol=1e-5, rtol=1e-5, check_dtype=False)
    assert len({len(one.token_ids) for one in sampled}) > 3, "no completion left the batch early"


def test_queries_come_in_blocks(short_trunks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model().double()
    use_grouped(model)
    tokens = trajectory()[4]
    streams = uniforms([(0, 0), (1, 0)], 6)
    both = [tokens[:20], tokens]
    whole = decode_batch(model, both, 1, Sampling(max_new_tokens=6), streams, ENDS)
    monkeypatch.setattr(trunks, "BLOCK", 7)
    blocks = decode_batch(model, both, 1, Sampling(max_new_tokens=6), streams, ENDS)
    assert [one.token_ids for one in blocks] == [one.token_ids for one in whole]
    torch.testing.assert_close([one.logprobs for one in blocks], [one.logprobs for one in whole], atol=1e-9, rtol=0)


def chats() -> list[tuple[Message, ...]]:
    words = ["The function returns", "the wrong value", "when the list", "is empty.", "Run the tests.", "Look around."]
    whole = [Message("user" if i % 2 == 0 else "assistant", word * 2) for i, word in enumerate([*words, words[0]])]
    return [tuple(whole[:length]) for length in (1, 3, 5, 7)] + [(Message("user", "ls"),)]


def tokens_of(groups: list[list[Completion]]) -> list[list[tuple[int, ...]]]:
    return [[one.token_ids for one in group] for group in groups]


@pytest.mark.parametrize("batch_tokens", [100_000, 1])
def test_a_trunk_is_computed_once_over_all_batches(batch_tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = make_tokenizer()
    model = make_model(vocab=len(tokenizer)).double()
    generator = TransformersGenerator((model, tokenizer), batch_tokens=batch_tokens)
    sampling, seeds = Sampling(max_new_tokens=8), [3, 1, 4, 1, 5]
    with prefilled(model) as apart:
        expected = generator.generate(chats(), 2, sampling, seeds)
    monkeypatch.setattr(trunks, "LEAST_SHARED", 4)
    with prefilled(model) as shared:
        groups = generator.generate(chats(), 2, sampling, seeds)
    assert tokens_of(groups) == tokens_of(expected)
    ids = [encode_chat(tokenizer, chat)[:-1] for chat in chats()]
    assert distinct(ids) == sum(shared) < 0.6 * sum(map(len, ids)) <= 0.6 * sum(apart)


def test_models_with_other_attention_take_no_notice(short_trunks: None) -> None:
    model = make_model("sliding").double()
    assert not use_grouped(model)
    tokens = trajectory()[4]
    streams = uniforms([(0, 0), (1, 0)], 6)
    together = decode_batch(model, [tokens[:20], tokens], 1, Sampling(max_new_tokens=6), streams, ENDS, trunks.Trunk())
    alone = decode_batch(model, [tokens], 1, Sampling(max_new_tokens=6), streams[1:], ENDS)
    assert together[1].token_ids == alone[0].token_ids


def test_short_beginnings_are_not_shared() -> None:
    """What `transformers` computes for a short context does not depend on what it is sampled with."""
    context = list(range(trunks.LEAST_SHARED - 1))
    assert trunks.shared_tokens(context, [*context, 1]) == 0
    assert trunks.shared_tokens([*context, 5], [*context, 5, 1]) == trunks.LEAST_SHARED
    assert trunks.shared_tokens([*context, 5], [*context, 5, *[1] * 4 * trunks.LEAST_SHARED]) == 0
    short = [[1, 2, 3], [1, 2], [1, 2, 3, 4], [9]]
    assert trunks.by_trunk(short, [0, 1, 2, 3]) == [3, 1, 0, 2]
    assert trunks.by_trunk(short, [2, 0]) == [0, 2]


def common(one: Sequence[int], other: Sequence[int]) -> int:
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))))


@given(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=9), min_size=1, max_size=8))
@settings(max_examples=200, deadline=None)
def test_each_context_follows_the_one_it_shares_most_with(contexts: list[list[int]]) -> None:
    before, share = trunks.LEAST_SHARED, trunks.LEAST_SHARE
    trunks.LEAST_SHARED, trunks.LEAST_SHARE = 2, 0.0
    try:
        order = trunks.by_trunk(contexts, range(len(contexts)))
        shared = [trunks.shared_tokens(contexts[one], contexts[other]) for one, other in pairwise(order)]
    finally:
        trunks.LEAST_SHARED, trunks.LEAST_SHARE = before, share
    assert sorted(order) == list(range(len(contexts)))
    for place, got in enumerate(shared, start=1):
        most = max(common(contexts[i], contexts[order[place]]) for i in order[:place])
        assert got == (most if most >= 2 else 0)
