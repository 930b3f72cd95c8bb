"""Contexts that begin alike, as those of a trajectory's steps with full history: what they share is computed once.

Shapes: B contexts, H query heads, K key/value heads, P tokens of the longest context, T new tokens, S tokens so far,
D head dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

from swe_srl.generation.attention import SharedPrefix
from swe_srl.generation.caches import RowLayer

LEAST_SHARED = 2048  # tokens below which computing a common beginning again costs less than going on from it
LEAST_SHARE = 0.25  # of the longer context
BLOCK = 512  # queries at a time that see more than themselves: bounds the mask


def shared_tokens(before: Sequence[int], context: Sequence[int]) -> int:
    """How many tokens of `context` need not be computed after `before` was; 0 when they are too few to matter."""
    span = min(len(before), len(context))
    if span < max(LEAST_SHARED, LEAST_SHARE * len(context)):
        return 0
    differing = np.flatnonzero(np.asarray(before[:span]) != np.asarray(context[:span]))
    common = int(differing[0]) if len(differing) else span
    return common if common >= max(LEAST_SHARED, LEAST_SHARE * len(context)) else 0


def by_trunk(contexts: Sequence[Sequence[int]], indices: Sequence[int]) -> list[int]:
    """The indices with contexts that share a trunk side by side, each after the one it shares most with; else by length."""
    families: list[list[int]] = []
    for index in sorted(indices, key=lambda i: (contexts[i], i)):
        if families and shared_tokens(contexts[families[-1][-1]], contexts[index]):
            families[-1].append(index)
        else:
            families.append([index])
    families.sort(key=lambda family: (max(len(contexts[i]) for i in family), min(family)))
    return [index for family in families for index in family]


@dataclass
class Trunk:
    """What a batch leaves for the next one: keys and values of the beginning that its last context shares with `wanted`.

    Args:
        wanted: the first context of the next batch; empty for none.
        tokens: what is kept.
        keys: one [K, P, D] tensor per layer.
        values: one [K, P, D] tensor per layer.
    """

    wanted: Sequence[int] = ()
    tokens: Sequence[int] = ()
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    def leave(self, context: Sequence[int], prefix: SharedPrefix) -> None:
        """Keep what is wanted of the last context of a batch."""
        count = min(shared_tokens(context, self.wanted), len(context))
        self.tokens = context[:count]
        self.keys = [keys[-1, :, :count].clone() for keys in prefix.keys] if count else []
        self.values = [values[-1, :, :count].clone() for values in prefix.values] if count else []


class Continuing:
    """Attention of the newest tokens of one context to what was before and, causally, to themselves."""

    def attend(self, layer: int, query_NHTD: Tensor, key_NKSD: Tensor, value_NKSD: Tensor) -> Tensor:
        """See `generation.attention.Plan`."""
        new, total = query_NHTD.shape[2], key_NKSD.shape[2]
        span = query_NHTD.shape[1] // key_NKSD.shape[1]
        key, value = (x.repeat_interleave(span, 1) if span > 1 else x for x in (key_NKSD, value_NKSD))
        if new == total:
            return scaled_dot_product_attention(query_NHTD, key, value, is_causal=True, scale=1.0)
        outputs = []
        for start in range(0, new, BLOCK):
            stop = min(start + BLOCK, new)
            seen = total - new + stop
            visible = torch.ones(stop - start, seen, dtype=torch.bool, device=key.device).tril(seen - stop + start)
            query = query_NHTD[:, :, start:stop]
            outputs.append(
                scaled_dot_product_attention(query, key[:, :, :seen], value[:, :, :seen], attn_mask=visible, scale=1.0)
            )
        return torch.cat(outputs, dim=2)


def prefill_in_turn(
    model: PreTrainedModel,
    contexts: Sequence[Sequence[int]],
    starts: Sequence[int],
    trunk: Trunk,
    device: torch.device,
) -> SharedPrefix:
    """Keys and values of B token sequences, none empty, of which each goes on from the one before.

    Args:
        model: switched to grouped attention.
        starts: [B] how many tokens are taken from the sequence before, less than all; of the first, from `trunk`.
    """
    layers: list[RowLayer] = [
        RowLayer(len(contexts), max(map(len, contexts)))
        for _ in range(model.config.get_text_config(decoder=True).num_hidden_layers)
    ]
    cache = Cache(layers=[*layers])
    nothing_hidden = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device)  # 4-D: taken as it is
    for row, (context, start) in enumerate(zip(contexts, starts, strict=True)):
        for number, layer in enumerate(layers):
            layer.begin(row, _beginning(layer, number, row, start, trunk))
        model(
            input_ids=torch.tensor([context[start:]], device=device),
            position_ids=torch.arange(start, len(context), device=device)[None],
            attention_mask=nothing_hidden,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            plan=Continuing(),
        )
    lengths_B = torch.tensor([len(context) for context in contexts], device=device)
    return SharedPrefix([_whole(layer.keys) for layer in layers], [_whole(layer.values) for layer in layers], lengths_B)


def _beginning(layer: RowLayer, number: int, row: int, start: int, trunk: Trunk) -> tuple[Tensor, Tensor] | None:
    """The first `start` keys and values of a row."""
    if not start:
        return None
    if not row:
        return trunk.keys[number][:, :start], trunk.values[number][:, :start]
    return _whole(layer.keys)[row - 1, :, :start], _whole(layer.values)[row - 1, :, :start]


def _whole(states: Tensor | None) -> Tensor:
    assert states is not None, "a layer without attention"
    return states
