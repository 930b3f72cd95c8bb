"""What a model does to the logits of its output head: scales them (Granite, Cohere) or bounds them (Gemma), or nothing.

A pass that applies the output head by itself has to do the same. What that is, is not read off the configuration, where one
name means two things (`logits_scaling` divides in one architecture and multiplies in another): known logits are sent through
the model, and the configuration only says with which numbers they may have been changed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import PreTrainedModel

from swe_srl.generation.decoding import device_of

SCALES = ("logits_scaling", "logit_scale", "output_multiplier", "lm_head_multiplier")
BOUNDS = ("final_logit_softcapping", "logits_soft_cap")
WIDEST = 40.0  # of the logits that are sent through
TOLERANCE = {torch.bfloat16: 2e-2, torch.float16: 2e-3}  # relative to the largest logit; 1e-4 for others


@dataclass(frozen=True, slots=True)
class Finish:
    """Logits are multiplied by `scale`, then bounded softly by `bound`; infinity is none."""

    scale: float = 1.0
    bound: float = math.inf

    def __call__(self, logits: Tensor) -> Tensor:
        """The model's logits from its output head's."""
        if self.scale != 1.0:
            logits = logits * self.scale
        return logits if math.isinf(self.bound) else torch.tanh(logits / self.bound) * self.bound


_found: WeakKeyDictionary[PreTrainedModel, Finish | None] = WeakKeyDictionary()


def finish_of(model: PreTrainedModel) -> Finish | None:
    """What the model does between its output head and its logits, found by a pass of two tokens and remembered.

    None when it is nothing of the kind, or when the head does not read what the decoder returns: then only the model's own
    forward gives its logits.
    """
    if model not in _found:
        _found[model] = _find(model)
    return _found[model]


@torch.no_grad()
def _find(model: PreTrainedModel) -> Finish | None:
    decoder, head = model.get_decoder(), model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if decoder is None or decoder is model or head is None:
        return None
    seen: dict[str, Tensor] = {}

    def look(module: torch.nn.Module, arguments: Any, output: Any) -> None:
        seen["decoded"] = output.last_hidden_state

    def send(module: torch.nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
        seen["read"] = arguments[0]
        seen["sent"] = torch.linspace(-WIDEST, WIDEST, output.shape[-1]).to(output).expand_as(output)
        return seen["sent"]

    hooks = decoder.register_forward_hook(look), head.register_forward_hook(send)
    device = device_of(model)
    try:
        with torch.autocast(device.type, enabled=False):
            given = model(input_ids=torch.zeros(1, 2, dtype=torch.long, device=device), use_cache=False).logits
    finally:
        for hook in hooks:
            hook.remove()
    if seen.keys() != {"decoded", "read", "sent"} or not torch.equal(seen["decoded"], seen["read"]):
        return None
    if given.shape != seen["sent"].shape:
        return None
    gaps = {one: _gap(one(seen["sent"].float()), given.float()) for one in _candidates(model)}
    best = min(gaps, key=lambda one: gaps[one])
    return best if gaps[best] <= TOLERANCE.get(given.dtype, 1e-4) else None


def _candidates(model: PreTrainedModel) -> list[Finish]:
    """Nothing first, then every way to use the numbers that the configuration has under such names."""
    config = model.config.get_text_config(decoder=True)
    scales = [float(x) for name in SCALES if isinstance(x := getattr(config, name, None), int | float) and x]
    bounds = [float(x) for name in BOUNDS if isinstance(x := getattr(config, name, None), int | float) and x]
    both = [1.0, *(one for x in scales for one in (x, 1 / x))]
    return list(dict.fromkeys(Finish(scale, bound) for scale, bound in product(both, [math.inf, *bounds])))


def _gap(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-12))
