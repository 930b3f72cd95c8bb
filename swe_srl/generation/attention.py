"""Attention of many completions to one shared context, whose keys and values are not copied per completion.

Registered with `transformers` under the name `GROUPED`: called without a `plan` it is plain `sdpa`, so a model can keep
it for every purpose. With one, the plan computes attention: in decoding, N = B·G rows of new tokens attend to their
context's prefix (one per G rows) and to their own earlier tokens; training has plans of its own (`training.forest`).

Shapes: B contexts, G completions per context, N = B·G rows, H query heads, K key/value heads, R = H / K, P prefix
tokens, T new tokens, S suffix tokens, D head dimension.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakSet

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

GROUPED = "swe_srl_grouped"
OTHERS = ("s_aux", "softcap", "sliding_window", "position_bias")  # what a layer may ask for that no plan computes
TRIED = 4  # tokens that a model's layers are tried on
ALIKE = {torch.bfloat16: 0.2, torch.float16: 0.05}  # mean difference of its logits by their spread; 1e-3 for others
ROTATED_BY_LENGTH = {"dynamic", "longrope"}  # keys of a short context are others than those of a long one

_others: WeakSet[PreTrainedModel] = WeakSet()  # models that were tried and take no plan


class Plan(Protocol):
    """Passed to a model's forward as `plan=`: computes the attention of every layer in place of `sdpa`."""

    def attend(self, layer: int, query_NHTD: Tensor, key_NKSD: Tensor, value_NKSD: Tensor) -> Tensor:
        """Attention output [N, H, T, D]; the query is already scaled."""


@dataclass
class SharedPrefix:
    """Keys and values of B contexts, right-padded to P tokens: the plan of decoding.

    Args:
        keys: one [B, K, P, D] tensor per layer.
        values: one [B, K, P, D] tensor per layer.
        lengths_B: true number of tokens of each context.
    """

    keys: list[Tensor]
    values: list[Tensor]
    lengths_B: Tensor

    def __post_init__(self) -> None:
        longest = self.keys[0].shape[2] if self.keys else 0
        self.hidden_BP = hidden_positions(self.lengths_B, longest)

    def attend(self, layer: int, query_NHTD: Tensor, key_NKSD: Tensor, value_NKSD: Tensor) -> Tensor:
        """New tokens see their whole context and, causally, their own row."""
        if not self.keys:  # contexts of a single token: nothing was pre-filled
            contexts, kv_heads, width = self.lengths_B.shape[0], key_NKSD.shape[1], key_NKSD.shape[3]
            nothing = key_NKSD.new_zeros(contexts, kv_heads, 0, width)
            return grouped(query_NHTD, key_NKSD, value_NKSD, nothing, nothing, None)
        return grouped(query_NHTD, key_NKSD, value_NKSD, self.keys[layer], self.values[layer], self.hidden_BP)

    def select(self, rows: Tensor) -> SharedPrefix:
        """The contexts with these indices, cut to the longest of them."""
        lengths = self.lengths_B[rows]
        longest = int(lengths.max())
        return SharedPrefix(
            [keys[rows, :, :longest] for keys in self.keys],
            [values[rows, :, :longest] for values in self.values],
            lengths,
        )


def hidden_positions(lengths_B: Tensor, longest: int) -> Tensor | None:
    """[B, P] true at padding, or None when nothing is padded."""
    hidden_BP = torch.arange(longest, device=lengths_B.device)[None, :] >= lengths_B[:, None]
    return hidden_BP if bool(hidden_BP.any()) else None


def supports_grouped(model: PreTrainedModel) -> bool:
    """Whether every layer is full attention through `transformers`' interface, and a key the same in every context; otherwise the
    plain path is taken."""
    config = model.config.get_text_config(decoder=True)
    layer_types = getattr(config, "layer_types", None) or ["full_attention"]
    sliding = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    return bool(
        model._supports_attention_backend
        and model._supports_sdpa
        and all(kind == "full_attention" for kind in layer_types)
        and not sliding
        and not getattr(config, "attn_logit_softcapping", None)
        and not ROTATED_BY_LENGTH & _rope_types(getattr(config, "rope_parameters", None))
    )


def turning_point(model: PreTrainedModel) -> int:
    """Tokens of a sequence beyond which a model rotates all of its keys otherwise (longrope); 0: it never does."""
    parameters = getattr(model.config.get_text_config(decoder=True), "rope_parameters", None)
    if not isinstance(parameters, dict) or "longrope" not in _rope_types(parameters):
        return 0
    return int(parameters.get("original_max_position_embeddings") or 0)


def _rope_types(parameters: Any) -> set[str]:
    """Of a configuration's rotary embeddings, which may be by kind of layer."""
    if not isinstance(parameters, dict):
        return set()
    found = {str(parameters[name]) for name in ("rope_type", "type") if name in parameters}
    return found.union(*(_rope_types(value) for value in parameters.values()))


def use_grouped(model: PreTrainedModel) -> bool:
    """Switch a model to grouped attention where it supports it; returns whether it does.

    What its configuration does not tell is tried, on a few tokens: some models have modules that do not ask the interface, or
    ask it for more than keys, values and a scale. Router losses, which nothing here reads, are switched off either way.
    """
    if getattr(model.config, "output_router_logits", False):
        model.config.output_router_logits = False  # computed for masks of a batch, which a plan has none of
    if not supports_grouped(model):
        return False
    AttentionInterface.register(GROUPED, grouped_attention)
    AttentionMaskInterface.register(GROUPED, sdpa_mask)
    before = model.config._attn_implementation
    if before == GROUPED:
        return True
    if model in _others:  # it may be shared out by now, and cannot be tried again
        return False
    model.set_attn_implementation(GROUPED)
    if _takes_plans(model):
        return True
    model.set_attn_implementation(before)
    _others.add(model)
    return False


class _Witness:
    """Causal attention of one row that notes which layers ask for it; `fits` while they ask for nothing else."""

    def __init__(self) -> None:
        self.layers: list[int] = []
        self.fits = True

    def attend(self, layer: int, query_NHTD: Tensor, key_NKSD: Tensor, value_NKSD: Tensor) -> Tensor:
        self.layers.append(layer)
        self.fits = self.fits and query_NHTD.shape[-1] == key_NKSD.shape[-1] == value_NKSD.shape[-1]
        span = query_NHTD.shape[1] // key_NKSD.shape[1]
        key_NHSD, value_NHSD = (x.repeat_interleave(span, 1) for x in (key_NKSD, value_NKSD))
        return scaled_dot_product_attention(query_NHTD, key_NHSD, value_NHSD, is_causal=True, scale=1.0)


@torch.no_grad()
def _takes_plans(model: PreTrainedModel) -> bool:
    """Whether every layer asks a plan for its attention, once, and the logits are then what they are without one."""
    device, witness = next(model.parameters()).device, _Witness()
    ids = torch.arange(TRIED, device=device)[None]
    seen = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device)  # 4-D: taken as it is
    with torch.autocast(device.type, enabled=False):
        own = model(input_ids=ids, use_cache=False).logits.float()
        try:
            ours = model(
                input_ids=ids, position_ids=ids, attention_mask=seen, use_cache=False, plan=witness
            ).logits.float()
        except UnplannedError:
            return False
    count = model.config.get_text_config(decoder=True).num_hidden_layers
    gap = float((ours - own).abs().mean() / own.std().clamp(min=1e-12))
    return witness.fits and sorted(witness.layers) == list(range(count)) and gap <= ALIKE.get(model.dtype, 1e-3)


class UnplannedError(ValueError):
    """A layer asks for attention of another kind than a plan computes."""


def grouped_attention(
    module: torch.nn.Module,
    query_NHTD: Tensor,
    key_NKSD: Tensor,
    value_NKSD: Tensor,
    attention_mask: Tensor | None,
    plan: Plan | None = None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    """Attention output [N, T, H, D] of an attention module of `transformers`: the plan's (the mask is not looked at)."""
    if plan is None:
        output: tuple[Tensor, Tensor | None] = sdpa_attention_forward(
            module, query_NHTD, key_NKSD, value_NKSD, attention_mask, scaling=scaling, **kwargs
        )
        return output
    if others := [name for name in OTHERS if kwargs.get(name) is not None]:
        raise UnplannedError(f"{type(module).__name__} asks for attention with {', '.join(others)}")
    layer = int(module.layer_idx)  # type: ignore[arg-type]
    kind = value_NKSD.dtype  # under autocast, rotary embeddings leave queries and keys in float32
    scale = scaling if scaling is not None else query_NHTD.shape[-1] ** -0.5
    return plan.attend(layer, (query_NHTD * scale).to(kind), key_NKSD.to(kind), value_NKSD).transpose(
        1, 2
    ).contiguous(), None


def grouped(
    query_NHTD: Tensor,
    key_NKSD: Tensor,
    value_NKSD: Tensor,
    prefix_key_BKPD: Tensor,
    prefix_value_BKPD: Tensor,
    hidden_BP: Tensor | None,
) -> Tensor:
    """[N, H, 1, D]: the newest of S suffix tokens of each row attends to the row's context and to its suffix.

    Rows g·G to g·G + G - 1 belong to context g. The query is already scaled.
    """
    rows, heads, _, width = query_NHTD.shape
    contexts, kv_heads, prefix, _ = prefix_key_BKPD.shape
    group, span = rows // contexts, heads // kv_heads
    lowest = torch.finfo(query_NHTD.dtype).min

    def by_context(x: Tensor) -> Tensor:  # [N, K, R, ·] -> [B, K, G·R, ·]
        x = x.view(contexts, group, kv_heads, span, -1).transpose(1, 2)
        return x.reshape(contexts, kv_heads, group * span, -1)

    def by_row(x: Tensor) -> Tensor:  # [B, K, G·R, ·] -> [N, K, R, ·]
        return x.view(contexts, kv_heads, group, span, -1).transpose(1, 2).reshape(rows, kv_heads, span, -1)

    query = query_NHTD.reshape(rows, kv_heads, span, width)
    to_prefix = by_context(query) @ prefix_key_BKPD.transpose(-1, -2)
    if hidden_BP is not None:
        to_prefix = to_prefix.masked_fill(hidden_BP[:, None, None, :], lowest)
    to_suffix = query @ key_NKSD.transpose(-1, -2)
    scores = torch.cat([to_prefix, by_context(to_suffix)], dim=-1)
    weights = torch.softmax(scores, dim=-1, dtype=torch.promote_types(query.dtype, torch.float32)).to(query.dtype)
    output = by_row(weights[..., :prefix] @ prefix_value_BKPD) + by_row(weights[..., prefix:]) @ value_NKSD
    return output.reshape(rows, heads, 1, width)
