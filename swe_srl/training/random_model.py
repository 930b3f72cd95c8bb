"""A tiny randomly initialised model with a tokenizer trained on the spot: smoke runs on any trajectories, without a hub."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from swe_srl.seeds import derive_seed
from swe_srl.training.checkpoints import save_model
from swe_srl.trajectories.action_format import format_action
from swe_srl.types import Action, Step

VOCABULARY = 1024
TEXT_CHARACTERS = 2_000_000  # that the tokenizer is trained on
POSITIONS = 4096
PAD, START, END = "<|pad|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def train_tokenizer(texts: Iterator[str], vocabulary: int = VOCABULARY) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with a ChatML template, trained on `texts`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    make: Any = PreTrainedTokenizerFast
    fast: PreTrainedTokenizerFast = make(tokenizer_object=tokenizer, pad_token=PAD, eos_token=END)
    fast.chat_template = CHAT_TEMPLATE
    return fast


def make_random_model(folder: Path, steps: Sequence[Step], seed: int, form: str = "bash") -> None:
    """Write a model folder: about a million parameters of the Qwen2 kind, and a tokenizer of these steps' texts."""
    tokenizer = train_tokenizer(_texts(steps, seed, form))
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "random model"))
        model = Qwen2ForCausalLM(config)
    save_model(folder, model, tokenizer)


def _texts(steps: Sequence[Step], seed: int, form: str) -> Iterator[str]:
    """Contexts and targets of steps in random order, up to a bound."""
    order = list(range(len(steps)))
    random.Random(derive_seed(seed, "tokenizer texts")).shuffle(order)
    room = TEXT_CHARACTERS
    for index in order:
        step = steps[index]
        yield format_action(Action(step.target, step.thought), form=form)
        for message in step.context[-2:]:
            yield message.content[: max(0, room)]
            room -= len(message.content)
        if room <= 0:
            return
