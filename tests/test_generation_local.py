"""The embedded generator: the same tokens, log-probabilities and distribution as the plain model."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tiny_models import make_model, make_tokenizer, save_model
from transformers import OPTConfig, OPTForCausalLM

from swe_srl.errors import ConfigError, GenerationError
from swe_srl.generation import TransformersGenerator
from swe_srl.generation.attention import GROUPED, supports_grouped, use_grouped
from swe_srl.generation.decoding import decode_batch
from swe_srl.generation.loading import encode_chat
from swe_srl.generation.sampling import draw, filtered, uniforms
from swe_srl.protocols import Generator
from swe_srl.types import Message, Sampling, StopReason

FAMILIES = ("qwen2", "qwen3", "llama", "mistral", "sliding")


def contexts(*lengths: int, vocab: int = 400) -> list[list[int]]:
    stream = torch.Generator().manual_seed(7)
    return [torch.randint(3, vocab, (length,), generator=stream).tolist() for length in lengths]


def teacher_forced(model: torch.nn.Module, context: list[int], completion: list[int]) -> torch.Tensor:
    """Log-probabilities of the completion's tokens by one plain forward of the whole sequence."""
    model.set_attn_implementation("eager")
    ids = torch.tensor([context + completion])
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, len(context) - 1 : -1]
    return logits.log_softmax(-1).gather(-1, torch.tensor(completion)[:, None])[:, 0]


@pytest.mark.parametrize("family", FAMILIES)
def test_logprobs_are_those_of_the_plain_model(family: str) -> None:
    model = make_model(family).double()
    assert use_grouped(model) == (family != "sliding") == supports_grouped(model)
    batch = contexts(5, 11, 3, 8)
    streams = uniforms([(i, j) for i in range(4) for j in range(3)], 20)
    ends = range(0, 400, 8)
    with torch.no_grad():
        sampled = decode_batch(model, batch, 3, Sampling(max_new_tokens=20), streams, ends)
        lengths = {len(one.token_ids) for one in sampled}
        assert len(lengths) > 3, "no completion left the batch early: the test would not see a wrong layout"
        for index, one in enumerate(sampled):
            expected = teacher_forced(model, batch[index // 3], one.token_ids)
            torch.testing.assert_close(torch.tensor(one.logprobs), expected, atol=1e-5, rtol=1e-5, check_dtype=False)
            assert one.finished == (one.token_ids[-1] in ends)


@pytest.mark.parametrize("family", ["qwen2", "sliding"])
def test_greedy_equals_generate(family: str) -> None:
    model = make_model(family, seed=3).double()
    use_grouped(model)
    batch = contexts(4, 9, 6)
    ours = decode_batch(model, batch, 1, Sampling(0.0, max_new_tokens=12), uniforms([(0, 0)] * 3, 12), [2])
    model.set_attn_implementation("eager")
    for context, one in zip(batch, ours, strict=True):
        ids = torch.tensor([context])
        theirs = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12)
        assert one.token_ids == theirs[0, len(context) :].tolist()


def test_a_completion_does_not_depend_on_its_batch() -> None:
    model = make_model().double()
    use_grouped(model)
    batch = contexts(5, 12, 7, 3)
    seeds = [11, 12, 13, 14]
    sampling = Sampling(max_new_tokens=16)
    ends = [2, 60, 61, 62, 63, 64]
    streams = uniforms([(seed, j) for seed in seeds for j in range(4)], 16)
    together = decode_batch(model, batch, 4, sampling, streams, ends)
    for index, context in enumerate(batch):
        alone = decode_batch(model, [context], 2, sampling, uniforms([(seeds[index], j) for j in range(2)], 16), ends)
        assert [one.token_ids for one in alone] == [one.token_ids for one in together[index * 4 : index * 4 + 2]]


def chi_square(counts: Counter[int], probs: torch.Tensor) -> float:
    total = sum(counts.values())
    return sum((counts[i] - total * p) ** 2 / (total * p) for i, p in enumerate(probs.tolist()))


@pytest.mark.parametrize(("sampler", "rejected"), [(1.0, False), (1.05, True)])
def test_first_tokens_follow_the_models_distribution(sampler: float, rejected: bool) -> None:
    """Chi-square at a fixed seed, with a power check: a planted bug (temperature 1.05) must be rejected."""
    model = make_model(vocab=12, seed=5).double()
    use_grouped(model)
    context = contexts(6, vocab=12)
    with torch.no_grad():
        probs = model(torch.tensor(context)).logits[0, -1].softmax(-1)
        count = 40_000
        streams = uniforms([(5, j) for j in range(count)], 1)
        sampled = decode_batch(model, context, count, Sampling(sampler, max_new_tokens=1), streams, [0])
    value = chi_square(Counter(one.token_ids[0] for one in sampled), probs)
    critical = 31.26  # chi-square with 11 degrees of freedom, p = 0.001
    assert (value > critical) == rejected, value


def test_streams_are_uniform_and_of_their_seed_alone() -> None:
    many = uniforms([(seed, j) for seed in range(50) for j in range(8)], 64)
    assert torch.equal(many[3 * 8 + 5], uniforms([(3, 5)], 64)[0])
    assert len(torch.unique(many)) == many.numel() and abs(float(many.mean()) - 0.5) < 0.01
    assert torch.equal(uniforms([(3, 5)], 8)[0], many[3 * 8 + 5, :8])


def test_filters() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]]))
    kept = lambda sampling: torch.isfinite(filtered(logits, sampling))[0].tolist()  # noqa: E731
    assert kept(Sampling()) == [True] * 4
    assert kept(Sampling(top_k=2)) == [True, True, False, False]
    assert kept(Sampling(top_p=0.7)) == [True, True, False, False]
    assert kept(Sampling(top_p=0.01)) == [True, False, False, False]
    token, logprob = draw(logits, torch.tensor([0.999999]), Sampling(top_k=2))
    assert token.item() == 1 and abs(logprob.item() - torch.log(torch.tensor(0.3)).item()) < 1e-6


@given(st.integers(0, 2**64 - 1), st.floats(0, 1, exclude_max=True))
@settings(max_examples=50, deadline=None)
def test_a_token_without_probability_is_never_drawn(seed: int, uniform: float) -> None:
    logits = torch.randn(1, 30, generator=torch.Generator().manual_seed(seed % 2**63))
    logits[0, ::3] = -torch.inf
    token, _ = draw(logits, torch.tensor([uniform], dtype=torch.float64), Sampling())
    assert token.item() % 3 != 0


def chat(*texts: str) -> tuple[Message, ...]:
    return tuple(Message("user" if i % 2 == 0 else "assistant", text) for i, text in enumerate(texts))


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> TransformersGenerator:
    return TransformersGenerator(save_model(tmp_path_factory.mktemp("model")), device="cpu")


CHATS = [chat("Fix the tests."), chat("The list is empty.", "```bash\nls\n```", "calc tests"), chat("x")]


def test_generate_from_a_folder(generator: TransformersGenerator) -> None:
    assert isinstance(generator, Generator) and generator.grouped
    sampling = Sampling(max_new_tokens=10)
    groups = generator.generate(CHATS, 3, sampling, [1, 2, 3])
    assert [len(group) for group in groups] == [3, 3, 3]
    for messages, group in zip(CHATS, groups, strict=True):
        prompt = encode_chat(generator.tokenizer, messages)
        for one in group:
            assert one.prompt_tokens == len(prompt)
            assert len(one.token_ids) == len(one.logprobs) <= 10
            assert one.finished == (one.token_ids[-1] == generator.tokenizer.eos_token_id)
            written = one.token_ids[:-1] if one.finished else one.token_ids
            assert one.text == generator.tokenizer.decode(written)
    assert len({one.text for group in groups for one in group}) > 5
    assert groups == generator.generate(CHATS, 3, sampling, [1, 2, 3])


def test_small_batches_give_the_same_completions(generator: TransformersGenerator) -> None:
    narrow = TransformersGenerator((generator.model, generator.tokenizer), batch_tokens=60)
    sampling = Sampling(max_new_tokens=8)
    groups = generator.generate(CHATS, 2, sampling, [1, 2, 3])
    assert [[c.token_ids for c in g] for g in narrow.generate(CHATS, 2, sampling, [1, 2, 3])] == [
        [c.token_ids for c in g] for g in groups
    ]


def test_no_room_left_in_the_context_window() -> None:
    tokenizer = make_tokenizer()
    model = make_model(vocab=len(tokenizer), max_position_embeddings=24)
    crowded = TransformersGenerator((model, tokenizer))
    sampling = Sampling(max_new_tokens=30)
    groups = crowded.generate([chat("Fix."), chat("The function returns the wrong value " * 4)], 2, sampling, [1, 2])
    room = 24 - groups[0][0].prompt_tokens
    assert all(0 < len(one.token_ids) <= room for one in groups[0])
    assert [(one.text, one.token_ids, one.finished) for one in groups[1]] == [("", (), False)] * 2
    assert all(one.refusal is not None and one.refusal.stop is StopReason.TOKEN_LIMIT for one in groups[1])
    assert groups[1][0].prompt_tokens > 24


@pytest.mark.parametrize("sharing", [True, False])
def test_a_context_near_the_last_position_leaves_the_batch(sharing: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Learnt positions end there: what is written after it, while others go on, has none."""
    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    config = OPTConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        word_embed_proj_dim=32,
        ffn_dim=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        eos_token_id=2,
    )
    model: Any = OPTForCausalLM(config).eval()
    if not sharing:
        monkeypatch.setattr("swe_srl.generation.attention.supports_grouped", lambda model: False)
    generator, sampling = TransformersGenerator((model, tokenizer)), Sampling(max_new_tokens=40)
    assert generator.grouped == sharing
    chats = [chat("Fix."), chat("The function returns the wrong value " * 6)]
    together = generator.generate(chats, 3, sampling, [1, 2])
    room = 64 - together[1][0].prompt_tokens
    assert 0 < room < 20 and max(len(one.token_ids) for one in together[0]) > room
    assert all(0 < len(one.token_ids) <= room for one in together[1])
    for index, group in enumerate(together):
        (alone,) = generator.generate([chats[index]], 3, sampling, [index + 1])
        assert [one.token_ids for one in group] == [one.token_ids for one in alone]


def test_clear_errors(tmp_path: Path, generator: TransformersGenerator) -> None:
    with pytest.raises(ConfigError, match=r"no config\.json"):
        TransformersGenerator(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="no tokenizer in this folder"):
        TransformersGenerator(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(GenerationError, match="cannot load a model from"):
        TransformersGenerator(tmp_path)
    with pytest.raises(ConfigError, match="dtype"):
        TransformersGenerator(tmp_path, dtype="float8")
    with pytest.raises(ConfigError, match="device"):
        TransformersGenerator(tmp_path, device="quantum")
    bare = make_tokenizer()
    bare.chat_template = None
    folder = save_model(tmp_path / "bare")
    bare.save_pretrained(folder)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(GenerationError, match="no chat template"):
        TransformersGenerator(folder)
    weights = load_file(folder / "model.safetensors")
    gone = next(name for name in weights if "layers.0" in name)
    save_file(
        {name: one for name, one in weights.items() if name != gone}, folder / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(GenerationError, match=f"1 of its weights are missing .*, as {gone}"):
        TransformersGenerator(folder)
    save_file({**weights, gone: weights[gone][:-1].contiguous()}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(GenerationError, match=f"1 of its weights .* of another shape .*, as {gone}"):
        TransformersGenerator(folder)
    (folder / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(GenerationError, match="its weights are damaged"):
        TransformersGenerator(folder)
    (folder / "config.json").write_text('{"model_type": "llama", "hidden_size": 10, "num_attention_heads": 3}')
    with pytest.raises(GenerationError, match=r"cannot load a model from .*hidden size"):
        TransformersGenerator(folder)
    endless = make_model(eos_token_id=None)
    tokenizer = make_tokenizer()
    tokenizer.eos_token = None
    with pytest.raises(GenerationError, match="end-of-turn"):
        TransformersGenerator((endless, tokenizer))


def test_a_switched_model_is_still_the_plain_model_elsewhere(tmp_path: Path) -> None:
    model = make_model()
    ids = torch.tensor(contexts(6, 6))
    mask = torch.tensor([[0, 0, 1, 1, 1, 1], [1] * 6])
    with torch.no_grad():
        before = model(ids, attention_mask=mask).logits
        use_grouped(model)
        after = model(ids, attention_mask=mask).logits
    torch.testing.assert_close(after[mask.bool()], before[mask.bool()], atol=1e-6, rtol=1e-6)
    model.save_pretrained(tmp_path)
    assert GROUPED not in (tmp_path / "config.json").read_text()


def test_a_chat_template_that_refuses_a_role_is_a_configuration_error() -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        + str(tokenizer.chat_template)
    )
    assert encode_chat(tokenizer, [Message("user", "Fix.")])
    with pytest.raises(ConfigError, match="roles system, user: System role not supported"):
        encode_chat(tokenizer, [Message("system", "You work."), Message("user", "Fix.")])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_without_a_distribution_are_told(bad: float, temperature: float) -> None:
    logits = torch.zeros(2, 5)
    logits[1, 3] = bad
    with pytest.raises(GenerationError, match="NaN or infinite"):
        draw(logits, torch.tensor([0.5, 0.5]), Sampling(temperature))


def test_a_token_that_the_model_has_no_embedding_for_is_named() -> None:
    """As when a token was added and the model was not resized; a chat without it is fine."""
    tokenizer = make_tokenizer()
    model = make_model(vocab=len(tokenizer))
    tokenizer.add_tokens(["<added>"])
    generator = TransformersGenerator((model, tokenizer))
    sampling = Sampling(max_new_tokens=2)
    assert generator.generate([(Message("user", "ls"),)], 1, sampling, [0])[0][0].token_ids
    with pytest.raises(GenerationError, match=r"token \d+ \('<added>'\) is beyond the model's \d+ embeddings"):
        generator.generate([(Message("user", "ls <added>"),)], 1, sampling, [0])
