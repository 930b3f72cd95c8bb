"""Tiny random models and tokenizers, built on the spot: what the tests of generation and training run on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

torch.set_num_threads(1)

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXTS = (
    "<think>Look around.</think>\n```bash\nls -la src && cat setup.py\n```",
    "<think>Run the tests.</think>\n```bash\npython3 -m unittest -v tests.test_core\n```",
    "system user assistant The function returns the wrong value when the list is empty.",
    "sed -i 's/a - b/a + b/' calc/core.py; grep -rn 'def add' .; git diff; submit",
)
FAMILIES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, {"num_key_value_heads": 2}),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM, {"num_key_value_heads": 1, "head_dim": 8}),
    "llama": (LlamaConfig, LlamaForCausalLM, {"num_key_value_heads": 4}),
    "mistral": (MistralConfig, MistralForCausalLM, {"num_key_value_heads": 2, "sliding_window": None}),
    "sliding": (MistralConfig, MistralForCausalLM, {"num_key_value_heads": 2, "sliding_window": 6}),
}


def make_tokenizer(texts: Iterable[str] = TEXTS, size: int = 400) -> PreTrainedTokenizerFast:
    """A byte-level BPE with ChatML turns, trained on `texts`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<|pad|>", eos_token="<|im_end|>")
    fast.chat_template = CHATML
    return fast


def make_model(
    family: str = "qwen2", vocab: int = 400, layers: int = 2, seed: int = 0, **extra: Any
) -> PreTrainedModel:
    """A random model: hidden size 32, 4 heads. Its logits are scaled up so that its choices are far from uniform."""
    config_class, model_class, special = FAMILIES[family]
    settings = {
        "vocab_size": vocab,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "max_position_embeddings": 512,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    torch.manual_seed(seed)
    model = model_class(config_class(**{**settings, **special, **extra}))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(6.0)
    return model.eval()


def save_model(folder: Path, family: str = "qwen2", **extra: Any) -> Path:
    """A model folder as `from_pretrained` reads it."""
    tokenizer = make_tokenizer()
    make_model(family, vocab=len(tokenizer), **extra).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
