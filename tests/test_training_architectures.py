"""Models of many architectures: the plain model's numbers, or the plain path; never other numbers in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import make_tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from swe_srl.errors import GenerationError
from swe_srl.generation import TransformersGenerator
from swe_srl.generation.attention import UnplannedError, grouped_attention, use_grouped
from swe_srl.generation.decoding import decode_batch
from swe_srl.generation.loading import encode_chat
from swe_srl.generation.sampling import uniforms
from swe_srl.training.finishing import Finish, finish_of
from swe_srl.training.forest import TokenSequence
from swe_srl.training.forward import TokenGroup, score, shares_prefixes
from swe_srl.training.selfcheck import self_check
from swe_srl.types import Message, Sampling

MLA: dict[str, Any] = {
    "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1, "kv_lora_rank": 8, "q_lora_rank": 8,
    "qk_rope_head_dim": 4, "qk_nope_head_dim": 8, "v_head_dim": 8, "head_dim": 4, "moe_intermediate_size": 16,
    "num_key_value_heads": 4, "first_k_dense_replace": 1,
}  # fmt: skip
LINEAR: dict[str, Any] = {
    "layer_types": ["linear_attention", "full_attention"], "linear_num_key_heads": 2, "linear_num_value_heads": 2,
    "linear_key_head_dim": 8, "linear_value_head_dim": 8,
}  # fmt: skip
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
# the model's type, what is special about it, whether its contexts are shared
ARCHITECTURES: dict[str, tuple[str, dict[str, Any], bool]] = {
    "granite": ("granite", {"logits_scaling": 8.0, "attention_multiplier": 0.3, "embedding_multiplier": 3.0}, True),
    "cohere": ("cohere", {"logit_scale": 0.0625}, True),
    "tied": ("qwen2", {"tie_word_embeddings": True}, True),
    "biases": ("llama", {"attention_bias": True, "mlp_bias": True}, True),
    "partial rotary": ("phi", {}, True),
    "layers without rotary": ("smollm3", {"no_rope_layers": [1, 0]}, True),
    "learnt positions": ("opt", {"word_embed_proj_dim": 32, "ffn_dim": 48}, True),
    "router losses": ("qwen3_moe", {**EXPERTS, "output_router_logits": True}, True),
    "own attention modules": ("nemotron", {}, False),
    "latent attention": ("deepseek_v3", MLA, False),
    "sinks": ("gpt_oss", {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 6}, False),
    "soft bounds": ("gemma2", {"sliding_window": 6}, False),
    "mixed windows": (
        "gemma3_text",
        {"sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"]},
        False,
    ),
    "position biases": ("bloom", {"n_layer": 2, "n_head": 4}, False),
    "convolutions": ("lfm2", {"layer_types": ["conv", "full_attention"]}, False),
    "linear attention": ("qwen3_5_text", LINEAR, False),
}
# that keep other things of earlier tokens than the generator knows
UNKNOWN: dict[str, tuple[str, dict[str, Any], bool]] = {
    "states alone": ("mamba", {"state_size": 8}, False),
    "states of their own": ("rwkv", {"attention_hidden_size": 32, "context_length": 512}, False),
    "keys repeated later": ("jetmoe", {"num_local_experts": 4, "num_experts_per_tok": 2}, True),
}
CONTEXT = tuple(range(20, 40))
GROUPS = [
    TokenGroup(CONTEXT, (tuple(range(50, 57)), (61, 62, 63))),
    TokenGroup((*CONTEXT, 7, 8, 9), ((91, 92), (91, 93, 94, 95))),
    TokenGroup((5, 6, 7), ((70, 71, 72, 73), (80,))),
]
SEQUENCES = [one for group in GROUPS for one in group.sequences]


def make(name: str) -> PreTrainedModel:
    """A random model with choices far from uniform, and no two layers' parameters alike."""
    kind, special, _ = (ARCHITECTURES | UNKNOWN)[name]
    common = {
        "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 512, "bos_token_id": None, "eos_token_id": 2,
        "pad_token_id": 0,
    }  # fmt: skip
    torch.manual_seed(0)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{**common, **special}))
    with torch.no_grad():
        for label, parameter in model.named_parameters():
            if parameter.ndim >= 2:
                parameter.mul_(4.0)
            elif "bias" in label or "sinks" in label:
                parameter.normal_(0.0, 1.0)
    return model.eval()


def by_itself(model: PreTrainedModel, one: TokenSequence) -> torch.Tensor:
    logprobs = model(input_ids=torch.tensor([one.tokens]), use_cache=False).logits[0].float().log_softmax(-1)
    return torch.stack([logprobs[loss - 1, one.tokens[loss]] for loss in one.losses])


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_gives_the_plain_models_numbers(name: str) -> None:
    """Log-probabilities of training, and what the generator writes, against the model before anything was switched."""
    model = make(name)
    model.config.output_router_logits, router_losses = False, getattr(model.config, "output_router_logits", False)
    with torch.no_grad():
        expected = [by_itself(model, one) for one in SEQUENCES]
    written = []
    for group in GROUPS:
        ids = torch.tensor([group.context])
        whole = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=8, pad_token_id=0
        )
        written.append(whole[0, ids.shape[1] :].tolist())
    model.config.output_router_logits = router_losses

    assert use_grouped(model) == shares_prefixes(model) == ARCHITECTURES[name][2]
    for plain in (False, True):
        scored = score(model, SEQUENCES, plain=plain)
        for row, mask, other in zip(scored.logprob_NT, scored.mask_NT, expected, strict=True):
            torch.testing.assert_close(row[mask], other, atol=1e-5, rtol=1e-5)
    self_check(model, GROUPS, torch.float32)
    streams = uniforms([(i, j) for i in range(len(GROUPS)) for j in range(2)], 8)
    sampled = decode_batch(
        model, [list(group.context) for group in GROUPS], 2, Sampling(0.0, max_new_tokens=8), streams, (2,)
    )
    assert [one.token_ids for one in sampled] == [ids for ids in written for _ in range(2)]


@pytest.mark.parametrize("name", ["convolutions", "linear attention"])
def test_states_of_completions_that_ended_leave_the_batch(name: str) -> None:
    """Of layers without keys and values too: who is left writes what it writes alone."""
    model = make(name)
    contexts, ends = [list(group.context) for group in GROUPS], range(100)
    streams = uniforms([(i, j) for i in range(len(contexts)) for j in range(4)], 12)
    drawing = Sampling(1.0, max_new_tokens=12)
    together = decode_batch(model, contexts, 4, drawing, streams, ends)
    assert len({len(one.token_ids) for one in together}) > 1
    for row, context in enumerate(contexts):
        alone = decode_batch(model, [context], 4, drawing, streams[4 * row : 4 * row + 4], ends)
        for one, other in zip(together[4 * row : 4 * row + 4], alone, strict=True):
            assert one.token_ids == other.token_ids
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_what_a_model_does_to_its_logits_is_found() -> None:
    assert finish_of(make("granite")) == Finish(scale=1 / 8.0)
    assert finish_of(make("cohere")) == Finish(scale=0.0625)
    assert finish_of(make("soft bounds")) == Finish(bound=30.0)
    assert finish_of(make("tied")) == Finish()


def test_logits_finished_in_an_unknown_way_are_left_to_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    shifted = make("tied")
    own = type(shifted).forward

    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = own(self, *args, **kwargs)
        found.logits = found.logits - 0.1 * found.logits.abs()
        return found

    monkeypatch.setattr(type(shifted), "forward", forward)
    use_grouped(shifted)
    assert finish_of(shifted) is None and not shares_prefixes(shifted)
    with torch.no_grad():
        scored = score(shifted, SEQUENCES[:1])
        torch.testing.assert_close(scored.logprob_NT[0], by_itself(shifted, SEQUENCES[0]))


def test_attention_that_no_plan_computes_is_refused_where_it_is_asked_for() -> None:
    module, states = torch.nn.Module(), torch.zeros(1, 2, 3, 4)
    with pytest.raises(UnplannedError, match="Module asks for attention with s_aux"):
        plan: Any = object()
        grouped_attention(module, states, states, states, None, plan=plan, s_aux=torch.zeros(2))


def test_a_generator_of_a_model_that_looks_like_others_writes_what_the_model_writes(tmp_path: Path) -> None:
    """Its modules never asked for a plan: contexts were not seen at all."""
    tokenizer = make_tokenizer()
    model = make("own attention modules")
    model.resize_token_embeddings(len(tokenizer))
    chat = (Message("user", "Where is the wrong value?"),)
    ids = tokenizer.apply_chat_template(
        [one.as_dict() for one in chat], add_generation_prompt=True, return_tensors="pt"
    )
    expected = model.generate(**ids, do_sample=False, max_new_tokens=8, pad_token_id=0, eos_token_id=[2])
    (((one,),)) = TransformersGenerator((model, tokenizer)).generate([chat], 1, Sampling(0.0, max_new_tokens=8), [0])
    assert list(one.token_ids) == expected[0, ids["input_ids"].shape[1] :].tolist()


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_model_that_would_not_see_its_context_is_refused(name: str) -> None:
    model = make(name)
    for _ in range(2):
        with pytest.raises(GenerationError, match=r"cannot be sampled from here .*something else of earlier tokens"):
            TransformersGenerator((model, make_tokenizer()))


def test_a_model_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is shared out among processes, which leaves nothing to try."""
    model = make("own attention modules")
    assert not use_grouped(model)
    TransformersGenerator((model, make_tokenizer()))

    def shared_out(*arguments: Any, **named: Any) -> None:
        raise AssertionError("a pass of a model that is shared out")

    monkeypatch.setattr(model, "forward", shared_out)
    assert not use_grouped(model)
    TransformersGenerator((model, make_tokenizer()))


def test_a_model_that_rotates_longer_sequences_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longrope: what is written is what the model's own generate writes, across the turning point too; and no sequence is
    computed as a longer one beside it is."""
    tokenizer, turn = make_tokenizer(), 40
    rope = {
        "rope_type": "longrope",
        "rope_theta": 10_000.0,
        "short_factor": [1.0] * 4,
        "long_factor": [2.0, 4.0, 8.0, 16.0],
    }
    monkeypatch.setitem(
        ARCHITECTURES,
        "longrope",
        ("phi3", {"rope_parameters": rope, "original_max_position_embeddings": turn, "sliding_window": None}, False),
    )
    model = make("longrope").double()
    model.resize_token_embeddings(len(tokenizer))
    chats = [(Message("user", "x" * letters),) for letters in (1, 23, 29, 30, 31, 60)]
    encoded = [encode_chat(tokenizer, chat) for chat in chats]
    expected = []
    for ids in encoded:
        whole = torch.tensor([ids])
        made = model.generate(
            whole,
            attention_mask=torch.ones_like(whole),
            do_sample=False,
            max_new_tokens=12,
            pad_token_id=0,
            eos_token_id=2,
        )
        expected.append(made[0, len(ids) :].tolist())
    lengths = [len(ids) for ids in encoded]
    assert (
        lengths[0] + 12 < turn
        and lengths[1] < turn < lengths[1] + 12
        and {turn, turn + 1} <= {*lengths}
        and lengths[-1] > 60
    )
    generator = TransformersGenerator((model, tokenizer))
    groups = generator.generate(chats, 2, Sampling(0.0, max_new_tokens=12), range(len(chats)))
    assert [[list(one.token_ids) for one in group] for group in groups] == [[ids, ids] for ids in expected]
    sequences = [
        TokenSequence((*ids, *new), range(len(ids), len(ids) + len(new)))
        for ids, new in zip(encoded, expected, strict=True)
    ]
    scored = score(model, sequences)
    for row, mask, one in zip(scored.logprob_NT, scored.mask_NT, sequences, strict=True):
        alone = score(model, [one])
        torch.testing.assert_close(row[mask], alone.logprob_NT[0], atol=1e-5, rtol=1e-5)
