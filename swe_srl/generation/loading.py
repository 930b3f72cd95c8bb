"""Loading a model folder, and what its tokenizer and generation settings say about chats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jinja2
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from swe_srl.errors import ConfigError, GenerationError
from swe_srl.generation.source import check_model_source
from swe_srl.hub import quiet_hub
from swe_srl.types import Message

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@contextmanager
def quietly() -> Iterator[None]:
    """Without the progress bars that `transformers` prints when it loads and saves: only the command line prints."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def pick_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" is the first CUDA GPU, or the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device {name!r}: {str(error).splitlines()[0]}") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {name!r}: no CUDA GPU is visible; use --device cpu")
    return device


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """The dtype of that name; "auto" is float32 on a CPU and bfloat16 on a GPU."""
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    if name not in DTYPES:
        raise ConfigError(f"dtype must be auto, {', '.join(DTYPES)}, not {name!r}")
    return DTYPES[name]


def load_model(
    source: str | Path, device: torch.device, dtype: torch.dtype
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A causal language model in evaluation mode, and its tokenizer.

    Args:
        source: a `transformers` model folder, or a hub id.

    Raises:
        ConfigError: neither a model folder nor a hub id.
        GenerationError: nothing loadable there, or a tokenizer without a chat template.
    """
    check_model_source(source)
    try:
        with quietly(), quiet_hub():
            tokenizer = AutoTokenizer.from_pretrained(str(source))
            model = AutoModelForCausalLM.from_pretrained(str(source), dtype=dtype)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise GenerationError(f"cannot load a model from {str(source)!r}: {reason}") from error
    if not tokenizer.chat_template:
        raise GenerationError(f"the tokenizer of {str(source)!r} has no chat template: use an instruct model")
    torch.nn.Module.to(model, device)
    model.train(False)
    return model, tokenizer


def encode_chat(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[int]:
    """Token ids of a chat with the generation prompt: what a completion continues.

    Raises:
        ConfigError: the model's chat template refuses the chat, such as one with a system message.
    """
    return [int(token) for token in _applied(tokenizer, messages, tokenize=True, prompt=True)]


def render_chat(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], prompt: bool = True) -> str:
    """The text of a chat; with the generation prompt unless `prompt` is off. Raises as `encode_chat` does."""
    return str(_applied(tokenizer, messages, tokenize=False, prompt=prompt))


def _applied(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], tokenize: bool, prompt: bool) -> Any:
    chat: list[dict[str, str]] = [message.as_dict() for message in messages]
    try:
        return tokenizer.apply_chat_template(chat, add_generation_prompt=prompt, tokenize=tokenize, return_dict=False)
    except jinja2.TemplateError as error:
        roles = ", ".join(dict.fromkeys(message.role for message in messages))
        raise ConfigError(
            f"the chat template of {tokenizer.name_or_path!r} refuses a chat with the roles {roles}: {error}. "
            "If it takes no system message, use an agent definition with an empty one."
        ) from error


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Ids that end a completion: the generation settings' and the tokenizer's own.

    Raises:
        GenerationError: there is none, so no completion would ever end.
    """
    settings = model.generation_config
    declared = settings.eos_token_id if settings is not None else None
    found = [] if declared is None else [declared] if isinstance(declared, int) else list(declared)
    if tokenizer.eos_token_id is not None:
        found.append(tokenizer.eos_token_id)
    if not found:
        raise GenerationError("neither the tokenizer nor the generation settings name an end-of-turn token")
    return tuple(dict.fromkeys(int(token) for token in found))


def decode(tokenizer: PreTrainedTokenizerBase, token_ids: Sequence[int], ends: Sequence[int]) -> str:
    """Text of a completion without its closing end token; special tokens in its middle are kept visible."""
    kept = list(token_ids[:-1]) if token_ids and token_ids[-1] in ends else list(token_ids)
    return str(tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False))
