"""Episodes that go on: what a turn computed is kept for the next one, and sampled as if each turn's contexts were alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_generation_trunks import prefilled
from tiny_models import make_model, make_tokenizer

from swe_srl.errors import GenerationError
from swe_srl.generation import TransformersGenerator, growing, kept
from swe_srl.generation.attention import supports_grouped, use_grouped
from swe_srl.generation.decoding import decode_batch, prefill
from swe_srl.generation.growing import together
from swe_srl.generation.kept import UNUSED, KeptContexts
from swe_srl.generation.sampling import uniforms
from swe_srl.types import Message, Sampling

ENDS = range(0, 400, 9)
MUCH = 10_000


def tokens(count: int, seed: int) -> list[int]:
    return torch.randint(3, 400, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


def episodes() -> list[list[list[int]]]:
    """Contexts by turn: two of one beginning, one that begins anew in the middle, one that comes late, one of one token."""
    a, b = tokens(60, 1), tokens(70, 2)
    return [
        [a[:9], b[:30], b[:30]],
        [a[:20], b[:31], b[:40] + tokens(5, 3)],
        [a[:20], a[:40], tokens(33, 4), b[:40] + tokens(25, 3), [7], b],
        [b, a],
    ]


def sampled(model: torch.nn.Module, turns: Sequence[Sequence[list[int]]], memory: KeptContexts | None) -> list[object]:
    drawn = []
    for number, contexts in enumerate(turns):
        streams = uniforms([(number, row) for row in range(len(contexts))], 6).double()
        found = decode_batch(model, contexts, 1, Sampling(max_new_tokens=6), streams, ENDS, memory)  # type: ignore[arg-type]
        drawn += [(one.token_ids, [round(value, 7) for value in one.logprobs], one.finished) for one in found]
    return drawn


@pytest.mark.parametrize("family", ["qwen2", "qwen3", "llama", "mistral"])
@pytest.mark.parametrize("budget", [0, 150, MUCH])
def test_turns_are_sampled_as_if_nothing_were_kept(family: str, budget: int) -> None:
    model = make_model(family).double()
    use_grouped(model)
    assert sampled(model, episodes(), KeptContexts(budget)) == sampled(model, episodes(), None)


def test_logprobs_are_those_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "BLOCK", 3)
    model = make_model("qwen2").double()
    use_grouped(model)
    memory = KeptContexts(MUCH)
    for contexts in episodes():
        streams = uniforms([(1, row) for row in range(len(contexts))], 5).double()
        found = decode_batch(model, contexts, 1, Sampling(max_new_tokens=5), streams, ENDS, memory)
        for context, one in zip(contexts, found, strict=True):
            whole = torch.tensor([[*context, *one.token_ids]])
            with torch.no_grad():
                logits = model(whole).logits[0, len(context) - 1 : -1].log_softmax(-1)
            expected = [float(logits[i, token]) for i, token in enumerate(one.token_ids)]
            assert one.logprobs == pytest.approx(expected, abs=1e-6)


def test_only_what_is_new_is_computed() -> None:
    model = make_model("llama")
    use_grouped(model)
    a, b = tokens(600, 1), tokens(600, 2)
    memory = KeptContexts(MUCH)
    with prefilled(model) as counts, torch.no_grad():
        prefill(model, [a[:300], b[:300], a[:300]], memory)
        assert sum(counts) == 600  # equal contexts once
        counts.clear()
        prefill(model, [a[:320], b[:340], a[:300]], memory)
        assert sum(counts) == 80  # 20 new tokens beside 40, and none
        counts.clear()
        prefill(model, [b[:340], a[:320]], memory)
        assert counts == []
        prefill(model, [a[:310] + b[:7]], memory)
        assert counts == [7]


def test_groups_of_about_as_many_new_tokens_are_computed_together() -> None:
    assert together([0, 5000, 10, 4500, 0, 1000, 9, 900], [9000] * 8) == [[1, 3], [5, 7], [2, 6]]
    assert together([600, 600, 1], [30_000, 30_000, 5]) == [[0], [1], [2]]  # bounded by the tokens that are seen
    assert together([0, 0], [3, 4]) == []


def test_changed_weights_are_noticed() -> None:
    model = make_model("llama").double()
    use_grouped(model)
    memory, context = KeptContexts(MUCH), tokens(40, 1)
    with torch.no_grad():
        prefill(model, [context], memory)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.tensor([context])).logits.sum().backward()
    optimizer.step()
    with torch.no_grad():
        remembered, fresh = prefill(model, [context], memory), prefill(model, [context])
    torch.testing.assert_close(remembered.keys, fresh.keys)


@pytest.mark.parametrize("budget", [50, 90, 130])
def test_no_more_is_kept_than_the_budget(budget: int) -> None:
    model = make_model("llama")
    use_grouped(model)
    memory = KeptContexts(budget)
    with torch.no_grad():
        for turn in range(1, 12):
            prefill(model, [tokens(4 * turn, 1), tokens(3 * turn, 2), tokens(40, 10 + turn)], memory)
            assert memory.size <= budget
            assert len(memory._order) == len(memory._places) == sum(len(batch.rows) for batch in memory._batches)


def test_what_longer_contexts_hold_is_let_go() -> None:
    model = make_model("llama")
    use_grouped(model)
    memory, stream = KeptContexts(MUCH), tokens(400, 1)
    with torch.no_grad():
        for length in range(10, 400, 10):
            prefill(model, [stream[:length]], memory)
    assert [batch.size for batch in memory._batches] == [390]


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_random_episodes_have_the_states_of_a_plain_prefill(data: st.DataObject) -> None:
    model = make_model("qwen2").double()
    use_grouped(model)
    memory = KeptContexts(data.draw(st.sampled_from([40, 120, MUCH])))
    context = st.lists(st.integers(3, 5), max_size=14)
    for _ in range(data.draw(st.integers(1, 4))):
        contexts = data.draw(st.lists(context, min_size=1, max_size=5))
        with torch.no_grad():
            remembered, fresh = prefill(model, contexts, memory), prefill(model, contexts)
        assert remembered.lengths_B.tolist() == fresh.lengths_B.tolist() == [len(one) for one in contexts]
        for row, one in enumerate(contexts if any(contexts) else []):
            for layer in range(len(fresh.keys)):
                for ours, theirs in ((remembered.keys, fresh.keys), (remembered.values, fresh.values)):
                    torch.testing.assert_close(ours[layer][row, :, : len(one)], theirs[layer][row, :, : len(one)])


def test_what_does_not_fit_is_not_kept_in_place_of_what_does() -> None:
    model = make_model("llama")
    use_grouped(model)
    memory, contexts = KeptContexts(95), [tokens(50, seed) for seed in range(3)]
    with prefilled(model) as counts, torch.no_grad():
        for turn in range(3):
            counts.clear()
            for context in contexts:
                prefill(model, [context[: 30 + 2 * turn]], memory)
        assert sum(counts) == 2 + 2 + 34  # two of three are gone on from, turn after turn


def test_contexts_of_ended_episodes_are_forgotten() -> None:
    generator = TransformersGenerator((make_model("llama"), make_tokenizer())).for_episodes()
    kept_tokens = []
    for episode in range(12):
        chat = (Message("user", f"Fix the tests of {episode}. " * 9),)
        generator.generate([chat], 1, Sampling(max_new_tokens=2), [episode])
        assert generator.kept is not None
        kept_tokens.append(generator.kept.size)
    assert max(kept_tokens) <= (UNUSED + 2) * kept_tokens[0]


def test_a_long_common_beginning_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "LEAST_SHARED", 50)
    monkeypatch.setattr(growing, "FEW", 0)
    monkeypatch.setattr(growing, "PADDING", 1.0)
    model = make_model("qwen2").double()
    use_grouped(model)
    common, more = tokens(100, 1), tokens(80, 2)
    contexts = [
        common + tokens(9, 3),
        common + more,
        common + more + tokens(5, 4),
        tokens(70, 5),
        common + tokens(3, 6),
        [4],
    ]
    with prefilled(model) as counts, torch.no_grad():
        remembered = prefill(model, contexts, KeptContexts(MUCH))
    with torch.no_grad():
        fresh = prefill(model, contexts)
    for row, context in enumerate(contexts):
        torch.testing.assert_close(remembered.keys[1][row, :, : len(context)], fresh.keys[1][row, :, : len(context)])
    assert sum(counts) == 100 + 9 + 80 + 5 + 3 + 70 + 1


def test_short_memory_frees_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = TransformersGenerator((make_model("llama"), make_tokenizer())).for_episodes()
    memory = generator.kept
    assert memory is not None
    chats: list[tuple[Message, ...]] = [(Message("user", f"Fix the tests of {number}."),) for number in range(3)]
    generator.generate(chats, 1, Sampling(max_new_tokens=2), [1, 2, 3])
    kept_before, forward = memory.size, generator.model.forward

    left = [1]

    def short(*arguments: object, **given: object) -> object:
        if left[0]:
            left[0] -= 1
            raise torch.OutOfMemoryError("no memory")
        return forward(*arguments, **given)

    monkeypatch.setattr(generator.model, "forward", short)
    other: tuple[Message, ...] = (Message("user", "Something else."),)
    assert generator.generate([other], 1, Sampling(max_new_tokens=1), [4])[0][0].token_ids
    assert kept_before > 0 and memory._budget == kept_before // 2
    memory.forget()
    left[0] = 1  # with nothing to free, it is the end
    with pytest.raises(GenerationError, match="lower batch_tokens"):
        generator.generate([other], 1, Sampling(max_new_tokens=1), [5])


def test_another_model_or_dtype_is_noticed() -> None:
    first, second = make_model("llama").double(), make_model("llama", seed=1).double()
    memory, context = KeptContexts(MUCH), tokens(20, 1)
    for model in (first, second, second.float()):
        use_grouped(model)
        with torch.no_grad():
            torch.testing.assert_close(prefill(model, [context], memory).keys, prefill(model, [context]).keys)


@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
def test_models_whose_keys_depend_on_the_length_take_the_plain_path(kind: str) -> None:
    model = make_model("llama")
    model.config.rope_parameters = {"rope_type": kind, "rope_theta": 10_000.0}
    assert not supports_grouped(model)
    model.config.rope_parameters = {"full_attention": {"rope_type": kind}, "other": {"rope_type": "default"}}
    assert not supports_grouped(model)
    model.config.rope_parameters = {"rope_type": "yarn", "rope_theta": 10_000.0}
    assert supports_grouped(model)


def test_generator_for_episodes_says_the_same_and_leaves_the_other_alone() -> None:
    plain = TransformersGenerator((make_model("qwen2").double(), make_tokenizer()))
    episodic = plain.for_episodes()
    assert plain.kept is None and episodic.model is plain.model and episodic.batch_tokens == plain.batch_tokens
    chat: tuple[Message, ...] = (Message("user", "Fix the tests."),)
    for turn in range(4):
        given, sampling = (
            [chat, (*chat, Message("assistant", "ls"), Message("user", "a b"))],
            Sampling(max_new_tokens=8),
        )
        for ours, theirs in zip(
            episodic.generate(given, 1, sampling, [turn, 9]), plain.generate(given, 1, sampling, [turn, 9]), strict=True
        ):
            assert ours[0].token_ids == theirs[0].token_ids
            assert ours[0].logprobs == pytest.approx(theirs[0].logprobs, abs=1e-9)
        chat = (*chat, Message("assistant", f"command {turn}"), Message("user", "the output " * turn))
    assert episodic.kept is not None and episodic.kept._places


def test_models_with_other_attention_keep_nothing() -> None:
    generator = TransformersGenerator((make_model("sliding"), make_tokenizer())).for_episodes(batch_tokens=100)
    assert generator.kept is None and generator.batch_tokens == 100
