"""Loading a model folder, and what its tokenizer and generation settings say about chats."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jinja2
import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from swe_srl.errors import ConfigError, GenerationError
from swe_srl.generation.source import check_model_source
from swe_srl.hub import quiet_hub
from swe_srl.types import Message

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
MARK = "\ue0c7"  # of private use: stands around what is not to be read as a control token while a template is applied


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


@contextmanager
def telling_what_cannot_be_loaded(source: str | Path) -> Iterator[None]:
    """What `transformers` and the libraries below it say of a model that they cannot read, as one error that names it.

    Raises:
        GenerationError: anything was raised, for a damaged file makes them raise almost anything.
    """
    try:
        yield
    except SafetensorError as error:
        raise GenerationError(f"cannot load a model from {str(source)!r}: its weights are damaged ({error})") from error
    except Exception as error:
        said = [line.strip() for line in str(error).strip().splitlines()] or [type(error).__name__]
        reason = " ".join(said) if said[0].endswith(":") else said[0]
        if not isinstance(error, (OSError, ValueError)):
            reason = f"{type(error).__name__}: {reason}"
        raise GenerationError(f"cannot load a model from {str(source)!r}: {reason}") from error


def load_model(
    source: str | Path, device: torch.device, dtype: torch.dtype
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A causal language model in evaluation mode, and its tokenizer.

    Args:
        source: a `transformers` model folder, or a hub id.

    Raises:
        ConfigError: neither a model folder nor a hub id.
        GenerationError: nothing loadable there, weights that are missing, or a tokenizer without a chat template.
    """
    check_model_source(source)
    asked = "" if Path(source).is_dir() else f"the model {source}"
    with telling_what_cannot_be_loaded(source), quietly(), quiet_hub(asked):
        tokenizer = AutoTokenizer.from_pretrained(str(source))
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            str(source), dtype=dtype, output_loading_info=True, ignore_mismatched_sizes=True
        )
    model, found = loaded
    if made_up := sorted([*found["missing_keys"], *(key for key, *_ in found["mismatched_keys"])]):
        raise GenerationError(
            f"cannot load a model from {str(source)!r}: {len(made_up)} of its weights are missing or of another shape than its "
            f"config.json says, as {made_up[0]}"
        )
    if not tokenizer.chat_template:
        raise GenerationError(f"the tokenizer of {str(source)!r} has no chat template: use an instruct model")
    torch.nn.Module.to(model, device)
    model.train(False)
    return model, tokenizer


def encode_chat(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[int]:
    """Token ids of a chat with the generation prompt: what a completion continues.

    What reads like a control token in a message (a file about tokenizers, or a forged turn in an observation) is text, none.

    Raises:
        ConfigError: the model's chat template refuses the chat, such as one with a system message, or writes nothing for it.
    """
    if ids := _chat_ids(tokenizer, messages):
        return ids
    raise ConfigError(
        f"the chat template of {tokenizer.name_or_path!r} writes nothing for a chat with the roles {_roles(messages)}: give the "
        "tokenizer a template that writes its messages (tokenizer.chat_template)"
    )


def _chat_ids(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[int]:
    found = [one for one in control_tokens(tokenizer) if any(one in message.content for message in messages)]
    if not found:
        return [int(token) for token in _applied(tokenizer, messages, tokenize=True, prompt=True)]
    marks = {f"{MARK}{number}{MARK}": one for number, one in enumerate(found)}
    hidden = list(messages)
    for mark, one in marks.items():
        hidden = [Message(message.role, message.content.replace(one, mark)) for message in hidden]
    parts = re.split(f"({MARK}[0-9]+{MARK})", render_chat(tokenizer, hidden))
    ids = [encode_text(tokenizer, marks[part]) if part in marks else _encoded(tokenizer, part) for part in parts]
    return [one for part in ids for one in part]


def check_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> None:
    """Check that the model has an embedding for every token.

    Raises:
        GenerationError: it has none for one of them: on a GPU, a pass with it would end the process.
    """
    known = model.config.get_text_config(decoder=True).vocab_size
    if ids and (last := max(ids)) >= known:
        raise GenerationError(
            f"token {last} ({tokenizer.decode([last])!r}) is beyond the model's {known} embeddings: tokenizer and model do not "
            "belong together, or tokens were added to the one and the other was not resized (resize_token_embeddings)"
        )


def encode_text(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of text alone: no control token comes of it, whatever it reads like."""
    if not any(one in text for one in control_tokens(tokenizer)):
        return _encoded(tokenizer, text)
    return [int(one) for one in tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids]


def control_tokens(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The texts of the tokens that a tokenizer marks as special, the longest first."""
    added = tokenizer.added_tokens_decoder.values()
    return sorted({one.content for one in added if one.special}, key=lambda one: (-len(one), one))


def _encoded(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return [int(one) for one in tokenizer(text, add_special_tokens=False).input_ids]


def render_chat(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], prompt: bool = True) -> str:
    """The text of a chat; with the generation prompt unless `prompt` is off. Raises as `encode_chat` does."""
    return str(_applied(tokenizer, messages, tokenize=False, prompt=prompt))


def _applied(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], tokenize: bool, prompt: bool) -> Any:
    chat: list[dict[str, str]] = [message.as_dict() for message in messages]
    try:
        return tokenizer.apply_chat_template(chat, add_generation_prompt=prompt, tokenize=tokenize, return_dict=False)
    except jinja2.TemplateError as error:
        raise ConfigError(
            f"the chat template of {tokenizer.name_or_path!r} refuses a chat with the roles {_roles(messages)}: {error}. "
            "If it takes no system message, use an agent definition with an empty one."
        ) from error


def _roles(messages: Sequence[Message]) -> str:
    return ", ".join(dict.fromkeys(message.role for message in messages))


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
