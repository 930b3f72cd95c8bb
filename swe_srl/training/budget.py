"""The token budgets that fit into a given memory: how many tokens a pass, and a batch of sampling, may have.

What training takes is fixed (parameters, gradients, the optimiser's two moments, the reference of a KL divergence, what the
process holds beside) or grows with the tokens: what a pass keeps for going backward, which is measured here on the model
itself, logits, and the keys and values of sampling.
"""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from swe_srl.errors import ConfigError
from swe_srl.files import write_atomic
from swe_srl.training.amounts import memory_bytes
from swe_srl.training.forest import TokenSequence
from swe_srl.training.forward import HEAD_BLOCK, score
from swe_srl.training.memory import peak_bytes
from swe_srl.training.settings import TrainSettings

CPU = torch.device("cpu")
FILE = "budgets.json"
PROBED = (64, 192)  # tokens of the measured passes
USED = 0.9  # of the memory: the rest is for what is not foreseen
BACKWARD = 1.3  # going backward holds gradients of activations beside what was kept
LEAST = 64  # tokens of a pass
MOST_UPDATE, MOST_GENERATE = 65_536, 524_288  # more gains nothing
LOGIT_BYTES = 16  # float32 logits, their softmax, its product and a gradient
HIDDEN_COPIES = 12  # of a token's hidden state that a layer holds at a time, without going backward


@dataclass(frozen=True)
class Budgets:
    """What fits.

    Args:
        update_tokens: of one forward and backward pass.
        generate_tokens: of one batch of sampling.
        fixed_mb: what is taken whatever their size.
        update_token_kb: what a token of a pass takes.
        generate_token_kb: what a token of sampling takes.
        memory, gradient_checkpointing, shares: what they were measured for.
    """

    update_tokens: int
    generate_tokens: int
    fixed_mb: int
    update_token_kb: float
    generate_token_kb: float
    memory: str = ""
    gradient_checkpointing: bool = False
    shares: int = 1

    @property
    def text(self) -> str:
        """For people."""
        return f"update_tokens {self.update_tokens:,}, generate_tokens {self.generate_tokens:,}"


def budgets_of(
    folder: Path,
    settings: TrainSettings,
    model: PreTrainedModel,
    arithmetic: Callable[[], AbstractContextManager[object]],
    device: torch.device = CPU,
    shares: int = 1,
) -> Budgets:
    """The budgets for `settings.memory`: those that the run folder has for it, so that a resumed run has the same; else new.

    Args:
        folder: of the run.
        model: whole, with its adapters.
        arithmetic: of forward passes.
        device: whose memory it is.
        shares: processes that parameters, gradients and optimiser are shared out among.

    Raises:
        ConfigError: the memory is too small for the model.
    """
    file = folder / FILE
    if file.is_file():
        there = Budgets(**json.loads(file.read_text(encoding="utf-8")))
        asked = settings.memory, settings.gradient_checkpointing, shares
        if (there.memory, there.gradient_checkpointing, there.shares) == asked:
            return there
    found = fit(settings, model, arithmetic, device, shares)
    write_atomic(file, json.dumps(asdict(found), indent=2) + "\n")
    return found


def fit(
    settings: TrainSettings,
    model: PreTrainedModel,
    arithmetic: Callable[[], AbstractContextManager[object]],
    device: torch.device = CPU,
    shares: int = 1,
) -> Budgets:
    """New budgets; see `budgets_of`."""
    fixed = fixed_bytes(settings, model, device, shares)
    room = USED * memory_bytes(settings.memory) - fixed
    update = BACKWARD * kept_bytes(model, arithmetic, settings.gradient_checkpointing)
    generate = sampling_bytes(settings, model)
    vocabulary = int(model.config.get_text_config(decoder=True).vocab_size)
    update_tokens = _most(room, update, LOGIT_BYTES * vocabulary, LOGIT_BYTES * HEAD_BLOCK, MOST_UPDATE)
    generate_tokens = min(MOST_GENERATE, int(room / generate))
    if min(update_tokens, generate_tokens) < LEAST:
        needed = fixed + LEAST * max(update, generate) + LOGIT_BYTES * min(HEAD_BLOCK, LEAST * vocabulary)
        other = "" if settings.lora.rank else " train adapters (lora.rank),"
        raise ConfigError(
            f"memory: {settings.memory} is too little: this model with its optimiser takes {fixed / 2**30:.1f} GiB before any "
            f"token. Give at least {needed / USED / 2**30:.1f} GiB,{other} share it out (shard), or take a smaller model"
        )
    return Budgets(
        update_tokens,
        generate_tokens,
        int(fixed / 2**20),
        round(update / 1024, 2),
        round(generate / 1024, 2),
        settings.memory,
        settings.gradient_checkpointing,
        shares,
    )


def fixed_bytes(settings: TrainSettings, model: PreTrainedModel, device: torch.device, shares: int) -> float:
    """What is taken whatever the tokens."""
    whole = sum(one.numel() * one.element_size() for one in model.parameters())
    trained = sum(one.numel() * one.element_size() for one in model.parameters() if one.requires_grad)
    diverges = any(stage.kl and stage.method != "sft" for stage in settings.stages)
    reference = (
        0 if not diverges else 2 * trained if settings.lora.rank else whole
    )  # adapters: of the start, and set aside
    gathered = whole if shares > 1 else 0  # for sampling
    beside = max(0, _held() - whole) if device.type == "cpu" else 0
    return (whole + 3 * trained + reference) / shares + gathered + beside


def kept_bytes(
    model: PreTrainedModel, arithmetic: Callable[[], AbstractContextManager[object]], checkpointed: bool
) -> float:
    """What a pass keeps of each token for going backward, measured; logits apart."""
    if checkpointed:
        model.gradient_checkpointing_disable()  # type: ignore[no-untyped-call]
    try:
        few, many = (_kept(model, tokens, arithmetic) for tokens in PROBED)
    finally:
        if checkpointed:
            model.gradient_checkpointing_enable()  # type: ignore[no-untyped-call]
    each = (many - few) / (PROBED[1] - PROBED[0])
    if not checkpointed:
        return each
    shape = model.config.get_text_config(decoder=True)
    return each / int(shape.num_hidden_layers) + int(shape.num_hidden_layers) * int(shape.hidden_size) * 4


def _kept(model: PreTrainedModel, tokens: int, arithmetic: Callable[[], AbstractContextManager[object]]) -> int:
    own = {one.untyped_storage().data_ptr() for one in model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    sequence = TokenSequence(tuple(index % 7 for index in range(tokens + 1)), (tokens,))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), arithmetic():
        score(model, [sequence])
    return sum(kept.values())


def sampling_bytes(settings: TrainSettings, model: PreTrainedModel) -> float:
    """What sampling takes of each token: its keys and values, a layer's work on it, and its part of a row of logits."""
    shape = model.config.get_text_config(decoder=True)
    heads = int(shape.num_attention_heads)
    width = int(getattr(shape, "head_dim", None) or shape.hidden_size // heads)
    keys = 2 * int(shape.num_hidden_layers) * int(getattr(shape, "num_key_value_heads", None) or heads) * width * 4
    layer = (HIDDEN_COPIES * int(shape.hidden_size) + 3 * int(shape.intermediate_size)) * 4
    longest = min(stage.max_new_tokens for stage in settings.stages)
    return keys + layer + LOGIT_BYTES * int(shape.vocab_size) / longest


def _most(room: float, each: float, logits: float, bound: float, most: int) -> int:
    """The most tokens with `each` bytes, and logits that stop to grow at a bound."""
    tokens = room / (each + logits)
    if tokens * logits > bound:
        tokens = (room - bound) / each
    return max(0, min(most, int(tokens)))


def _held() -> int:
    """Bytes of memory that this process holds."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return peak_bytes()
