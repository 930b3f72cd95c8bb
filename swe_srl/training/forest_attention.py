"""Attention over a packed forest that pays for what is visible alone: the plan of a CPU.

A forest falls into chains (runs of packed tokens, each the first child of the one before) and the subtrees that branch off
them. A subtree sees a chain it branches off up to the branching point: one contiguous piece of keys, no mask. So all of
attention is a short list of visits of contiguous queries to contiguous keys, each done by torch's flash kernel, which holds
no scores; partial results are merged by their log-sum-exp, and going backward the kernel given the merged one returns each
visit's exact share of the gradients.

Shapes: H query heads, K key/value heads, R = H / K, M packed tokens, D head dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from swe_srl.training.forest import Forest

TILE = (
    64  # subtrees of up to so many tokens are taken together, under a mask: below, a call costs more than it computes
)

_flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_flash_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


@dataclass(frozen=True, slots=True)
class Visit:
    """Queries [first, stop) attend to keys [key_first, key_stop): to all of them, causally, or under the forest's mask."""

    first: int
    stop: int
    key_first: int
    key_stop: int
    kind: Literal["all", "causal", "masked"] = "all"


def visits_of(forest: Forest, tile: int = TILE) -> list[Visit]:
    """Every visible (query, key) pair once: first the tokens' visits to their own chains or tiles, then to those above."""
    if not len(forest.tokens):
        return []
    chains, branches = _chains(forest)
    own: list[Visit] = []
    above: list[Visit] = []
    pending = [(-1, -1)]
    for home, parent in pending:  # grows
        siblings = branches[parent]
        stops = [int(forest.ends[start]) + 1 for start in siblings]
        if parent >= 0:
            above.append(Visit(siblings[0], stops[-1], home, parent + 1))
        first = siblings[0]
        for number, (start, stop) in enumerate(zip(siblings, stops, strict=True)):
            if stop - start > tile:
                own.append(Visit(start, chains[start].stop, start, chains[start].stop, "causal"))
                pending += [(start, token) for token in chains[start].branching]
                first = stop
            elif stop == stops[-1] or stops[number + 1] - first > tile:
                alone = chains[first].stop == stop
                own.append(Visit(first, stop, first, stop, "causal" if alone else "masked"))
                first = stop
    return own + above


@dataclass
class _Chain:
    """Packed tokens from `first` on, at depths from `depth` on, and those of them that others branch off."""

    first: int
    stop: int
    depth: int
    branching: list[int] = field(default_factory=list)


def _chains(forest: Forest) -> tuple[dict[int, _Chain], dict[int, list[int]]]:
    """The chains by their first token, and by branching token (-1: none, they are roots) the chains that branch off it."""
    starts = [0, *(np.flatnonzero(np.diff(forest.positions) != 1) + 1).tolist()]
    chains: dict[int, _Chain] = {}
    branches: dict[int, list[int]] = {}
    path: list[_Chain] = []
    for start, stop in zip(starts, [*starts[1:], len(forest.tokens)], strict=True):
        chain = chains[start] = _Chain(start, stop, int(forest.positions[start]))
        while path and path[-1].depth >= chain.depth:
            path.pop()
        parent = path[-1].first + chain.depth - 1 - path[-1].depth if path else -1
        if path and parent not in branches:
            path[-1].branching.append(parent)
        branches.setdefault(parent, []).append(start)
        path.append(chain)
    return chains, branches


class ForestPlan:
    """Attention of a forest's tokens as one row (see `generation.attention.Plan`), on a CPU."""

    def __init__(self, forest: Forest) -> None:
        self.visits = visits_of(forest)
        self._ends = torch.from_numpy(forest.ends)
        self._masks: dict[torch.dtype, list[Tensor | None]] = {}

    def attend(self, layer: int, query_NHTD: Tensor, key_NKSD: Tensor, value_NKSD: Tensor) -> Tensor:
        """Every token attends to its own sequence so far."""
        key_KMD, value_KMD = key_NKSD[0], value_NKSD[0]
        query_KRMD = query_NHTD[0].view(key_KMD.shape[0], -1, *query_NHTD.shape[2:])
        masks = self._masks.get(query_KRMD.dtype)
        if masks is None:
            masks = self._masks[query_KRMD.dtype] = [self._mask(visit, query_KRMD.dtype) for visit in self.visits]
        output_KRMD: Tensor = _Visits.apply(  # type: ignore[no-untyped-call]
            query_KRMD, key_KMD, value_KMD, self.visits, masks
        )
        return output_KRMD.flatten(0, 1)[None]

    def _mask(self, visit: Visit, dtype: torch.dtype) -> Tensor | None:
        if visit.kind != "masked":
            return None
        index = torch.arange(visit.first, visit.stop)
        visible = (index[None, :] <= index[:, None]) & (index[:, None] <= self._ends[visit.first : visit.stop][None, :])
        return torch.zeros(visible.shape, dtype=dtype).masked_fill(~visible, -torch.inf)


class _Visits(torch.autograd.Function):
    """The visits' attention, scale 1: [K, R, M, D] queries, [K, M, D] keys and values, [K, R, M, D] output."""

    @staticmethod
    def forward(
        ctx: Any,
        query_KRMD: Tensor,
        key_KMD: Tensor,
        value_KMD: Tensor,
        visits: Sequence[Visit],
        masks: Sequence[Tensor | None],
    ) -> Tensor:
        wide = torch.promote_types(query_KRMD.dtype, torch.float32)
        output_KRMD = query_KRMD.new_empty(query_KRMD.shape, dtype=wide)
        total_KRM = query_KRMD.new_empty(query_KRMD.shape[:3], dtype=wide)
        for visit, mask in zip(visits, masks, strict=True):
            query, key, value = _pieces(visit, query_KRMD, key_KMD, value_KMD)
            output, total = _flash(query, key, value, 0.0, visit.kind == "causal", attn_mask=mask, scale=1.0)
            here = slice(visit.first, visit.stop)
            if visit.kind == "all":
                before = total_KRM[:, :, here]
                both = torch.logaddexp(before, total)
                output_KRMD[:, :, here].mul_((before - both).exp_()[..., None])
                output_KRMD[:, :, here].addcmul_(output.to(wide), (total - both).exp_()[..., None])
                total = both
            else:
                output_KRMD[:, :, here] = output
            total_KRM[:, :, here] = total
        output_KRMD = output_KRMD.to(query_KRMD.dtype)
        ctx.save_for_backward(query_KRMD, key_KMD, value_KMD, output_KRMD, total_KRM)
        ctx.visits, ctx.masks = visits, masks
        return output_KRMD

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query_KRMD, key_KMD, value_KMD, output_KRMD, total_KRM = ctx.saved_tensors
        wide = total_KRM.dtype
        gradient_KRMD = gradients[0]
        to_query, to_key, to_value = (torch.zeros(x.shape, dtype=wide) for x in (query_KRMD, key_KMD, value_KMD))
        for visit, mask in zip(ctx.visits, ctx.masks, strict=True):
            query, key, value = _pieces(visit, query_KRMD, key_KMD, value_KMD)
            here, there = slice(visit.first, visit.stop), slice(visit.key_first, visit.key_stop)
            query_part, key_part, value_part = _flash_backward(
                gradient_KRMD[:, :, here],
                query,
                key,
                value,
                output_KRMD[:, :, here],
                total_KRM[:, :, here],
                0.0,
                visit.kind == "causal",
                attn_mask=mask,
                scale=1.0,
            )
            to_query[:, :, here] += query_part
            to_key[:, there] += key_part.sum(1, dtype=wide)
            to_value[:, there] += value_part.sum(1, dtype=wide)
        return to_query.to(query_KRMD.dtype), to_key.to(key_KMD.dtype), to_value.to(value_KMD.dtype), None, None


def _pieces(visit: Visit, query_KRMD: Tensor, key_KMD: Tensor, value_KMD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What a visit reads: views, keys and values shared by the R query heads."""
    there = slice(visit.key_first, visit.key_stop)
    heads = query_KRMD.shape[1]
    key, value = (x[:, None, there].expand(-1, heads, -1, -1) for x in (key_KMD, value_KMD))
    return query_KRMD[:, :, visit.first : visit.stop], key, value
