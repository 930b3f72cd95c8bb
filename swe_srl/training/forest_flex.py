"""Attention over a packed forest by FlexAttention with a block mask: the plan of a CUDA GPU.

FlexAttention skips blocks of which nothing is visible and applies no mask to those of which everything is; which they are
follows from the forest's `ends` alone, without a dense mask.

Shapes: H query heads, K key/value heads, M packed tokens, P the same padded to whole blocks, D head dimension, B blocks.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from swe_srl.training.forest import Forest

BLOCK = 128


class FlexPlan:
    """Attention of a forest's tokens as one row (see `generation.attention.Plan`)."""

    def __init__(self, forest: Forest, device: torch.device) -> None:
        self.padding = -len(forest.tokens) % BLOCK
        self.mask = block_mask(forest, device)

    def attend(self, layer: int, query_NHTD: Tensor, key_NKSD: Tensor, value_NKSD: Tensor) -> Tensor:
        """Every token attends to its own sequence so far; only the attention sees padding."""
        query, key, value = (
            torch.nn.functional.pad(x, (0, 0, 0, self.padding)) for x in (query_NHTD, key_NKSD, value_NKSD)
        )
        attention = _compiled() if query.is_cuda else flex_attention
        shared = query.shape[1] != key.shape[1]
        output: Tensor = attention(query, key, value, block_mask=self.mask, scale=1.0, enable_gqa=shared)
        return output[:, :, : query_NHTD.shape[2]]


def block_mask(forest: Forest, device: torch.device) -> BlockMask:
    """Key k is visible to query q if and only if `k <= q <= ends[k]`; a token of the padding sees and is seen by itself."""
    ends_M = torch.from_numpy(forest.ends)
    padding = torch.arange(len(ends_M), len(ends_M) - len(ends_M) % -BLOCK)
    ends_P = torch.cat([ends_M, padding])
    ends_BS = ends_P.view(-1, BLOCK)
    index_B = torch.arange(len(ends_BS))
    first_B, last_B = index_B * BLOCK, (index_B + 1) * BLOCK - 1
    earlier_BB = index_B[None, :] < index_B[:, None]
    full_BB = earlier_BB & (ends_BS.amin(1)[None, :] >= last_B[:, None])
    some_BB = earlier_BB & (ends_BS.amax(1)[None, :] >= first_B[:, None])
    partial_BB = (some_BB & ~full_BB) | torch.eye(len(index_B), dtype=torch.bool)
    visible = ends_P.to(device)

    def mask_mod(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (key <= query) & (query <= visible[key])

    partial, full = ((_listed(x_BB, device)) for x_BB in (partial_BB, full_BB))
    length = len(ends_P)
    return BlockMask.from_kv_blocks(*partial, *full, BLOCK_SIZE=BLOCK, mask_mod=mask_mod, seq_lengths=(length, length))


def _listed(which_BB: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """[1, 1, B] numbers of chosen key blocks per query block, and [1, 1, B, B] their indices first."""
    count_B = which_BB.sum(1, dtype=torch.int32)
    order_BB = torch.argsort(which_BB.int(), dim=1, descending=True, stable=True).int()
    return count_B[None, None].to(device), order_BB[None, None].to(device)


@cache
def _compiled() -> Any:
    return torch.compile(flex_attention)
