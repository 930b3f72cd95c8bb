"""Layers of keys and values for `transformers`' `Cache`, written in place.

Shapes: B contexts, N rows, K key/value heads, T new tokens, S tokens so far, D head dimension.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer, LinearAttentionCacheLayerMixin

_GROWTH = 64  # tokens by which a suffix buffer grows


def take_rows(cache: Cache, rows: Tensor) -> None:
    """Only these rows of the batch, in this order; a row may be taken several times. Of every kind of layer."""
    for layer in cache.layers:
        if isinstance(layer, LinearAttentionCacheLayerMixin):
            for states in (layer.conv_states, layer.recurrent_states):
                for index, state in states.items():
                    states[index] = None if state is None else state[rows]
        if isinstance(layer, DynamicLayer):
            layer.batch_select_indices(rows)


class BufferLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Suffix keys and values of one layer in a buffer that grows by blocks, not by a copy per token."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.length = 0

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Append [N, K, T, D] keys and values; returns all of the suffix so far."""
        end = self.length + key_states.shape[2]
        if self.keys is None or end > self.keys.shape[2]:
            self._grow(value_states, end)  # under autocast, the keys are in float32 and the values are not
        assert self.keys is not None and self.values is not None
        self.keys[:, :, self.length : end] = key_states
        self.values[:, :, self.length : end] = value_states
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def keep(self, slots: Tensor) -> None:
        """Only these rows, in this order."""
        if self.keys is not None and self.values is not None:
            self.keys, self.values = self.keys[slots], self.values[slots]

    def _grow(self, like: Tensor, end: int) -> None:
        rows, heads, _, width = like.shape
        capacity = end + _GROWTH
        for name in ("keys", "values"):
            old: Tensor | None = getattr(self, name)
            buffer = like.new_empty(rows, heads, capacity, width)
            if old is not None:
                buffer[:, :, : self.length] = old[:, :, : self.length]
            setattr(self, name, buffer)
        self.is_initialized = True


class RowLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Keys and values of one layer for B contexts, written one context after the other, each in a row of its own."""

    def __init__(self, contexts: int, longest: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.contexts, self.longest = contexts, longest
        self.row = self.length = 0

    def begin(self, row: int, trunk: tuple[Tensor, Tensor] | None) -> None:
        """Go to the next row, which begins with [K, S, D] keys and values."""
        self.row, self.length = row, 0
        if trunk is not None:
            self.update(trunk[0][None], trunk[1][None])

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Append [1, K, T, D] keys and values to the row; returns all of it so far."""
        if self.keys is None or self.values is None:
            _, heads, _, width = value_states.shape  # under autocast, the keys are in float32 and the values are not
            self.keys = value_states.new_zeros(self.contexts, heads, self.longest, width)
            self.values = torch.zeros_like(self.keys)
            self.is_initialized = True
        here, end = slice(self.row, self.row + 1), self.length + key_states.shape[2]
        self.keys[here, :, self.length : end] = key_states
        self.values[here, :, self.length : end] = value_states
        self.length = end
        return self.keys[here, :, :end], self.values[here, :, :end]
