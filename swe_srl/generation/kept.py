"""Contexts of episodes that go on: what a turn computed is kept for the next one, which computes only what is new.

Shapes: B contexts, U different ones, b of them computed together, H query heads, K key/value heads, P tokens of the longest,
T new tokens, S tokens seen, D head dimension.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import PreTrainedModel

from swe_srl.generation.attention import SharedPrefix

PADDING = 1.25  # computed tokens, padding included, for one that is real, at most; less matters for a few tokens:
FEW = 1024
SEEN = 32_768  # tokens that are seen by the rows computed together, at most: bounds the mask
BLOCK = 512  # queries at a time: bounds the mask

Place = tuple["Batch", int]  # a row of a batch


@dataclass(eq=False)
class Batch:
    """Keys and values of contexts that were computed together; freed when the last of them is forgotten.

    Args:
        contexts: U token sequences.
        prefix: their keys and values.
        rows: those that are still kept.
    """

    contexts: list[Sequence[int]]
    prefix: SharedPrefix
    rows: set[int] = field(default_factory=set)

    @property
    def size(self) -> int:
        """Tokens in memory, padding included."""
        return len(self.contexts) * (self.prefix.keys[0].shape[2] if self.prefix.keys else 0)


class KeptContexts:
    """Pre-fills contexts, and keeps their keys and values for contexts of later calls that begin alike.

    What is kept belongs to the model's weights: when they have changed, all of it is forgotten.

    Args:
        budget: tokens, padding included, that are kept between two calls; the oldest batch goes first.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._batches: list[Batch] = []
        self._order: list[tuple[bytes, int]] = []  # kept contexts in lexicographic order, with their number
        self._places: dict[int, Place] = {}
        self._next = 0
        self._weights = -1

    def prefill(self, model: PreTrainedModel, contexts: Sequence[Sequence[int]]) -> SharedPrefix:
        """Keys and values of B token sequences, right-padded; they may be empty or equal.

        Args:
            model: switched to grouped attention.
        """
        device = next(model.parameters()).device
        weights = sum(parameter._version for parameter in model.parameters())
        if weights != self._weights:
            self.forget()
            self._weights = weights
        numbers: dict[tuple[int, ...], int] = {}
        row_B = [numbers.setdefault(tuple(context), len(numbers)) for context in contexts]
        different = list(numbers)
        if not any(different):
            return SharedPrefix([], [], torch.zeros(len(contexts), dtype=torch.long, device=device))
        found = [self._longest(context) for context in different]
        prefix = _compute(model, different, found, device)
        self._keep(Batch(list(different), prefix), found)
        if len(different) == len(contexts):
            return prefix
        return prefix.select(torch.tensor(row_B, device=device))

    def forget(self) -> None:
        """Free everything."""
        self._batches, self._order, self._places = [], [], {}

    def _longest(self, context: tuple[int, ...]) -> tuple[int, Place | None]:
        """How much of a context is kept, and where: the longest common beginning is a lexicographic neighbour's."""
        key, best, where = _key(context), 0, None
        index = bisect_left(self._order, (key, -1))
        for _, number in self._order[max(0, index - 1) : index + 1]:
            batch, row = self._places[number]
            if (count := _common(batch.contexts[row], context)) > best:
                best, where = count, number
        return best, None if where is None else self._places[where]

    def _keep(self, batch: Batch, found: Sequence[tuple[int, Place | None]]) -> None:
        for count, place in found:
            if place is not None and count == len(place[0].contexts[place[1]]):
                self._drop(*place)  # the longer context says all that this one said
        if batch.size > self._budget:
            self.forget()
            return
        while self._batches and sum(kept.size for kept in self._batches) + batch.size > self._budget:
            for row in sorted((oldest := self._batches[0]).rows):
                self._drop(oldest, row)
        self._batches.append(batch)
        for row, context in enumerate(batch.contexts):
            if context:
                batch.rows.add(row)
                self._places[self._next] = (batch, row)
                insort(self._order, (_key(context), self._next))
                self._next += 1

    def _drop(self, batch: Batch, row: int) -> None:
        if row not in batch.rows:
            return
        batch.rows.discard(row)
        key = _key(batch.contexts[row])
        index = bisect_left(self._order, (key, -1))
        while self._places[self._order[index][1]] != (batch, row):
            index += 1
        del self._places[self._order.pop(index)[1]]
        if not batch.rows:
            self._batches.remove(batch)


def _key(context: Sequence[int]) -> bytes:
    """Bytes in the order of the token sequences."""
    return np.asarray(context, dtype=">u4").tobytes()


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    span = min(len(a), len(b))
    differing = np.flatnonzero(np.asarray(a[:span]) != np.asarray(b[:span]))
    return int(differing[0]) if len(differing) else span


class Growing:
    """The attention of b contexts that go on: the newest tokens of each see what was before and, causally, themselves.

    Args:
        states: keys and values by layer, [U, K, P, D] each, that are filled here.
        rows: [b] which of the U contexts.
        starts: [b] tokens that are there already.
        stops: [b] tokens that are there afterwards.
        positions_bT: of the new tokens, padded with the last one's.
    """

    def __init__(
        self, states: States, rows: Sequence[int], starts: Sequence[int], stops: Sequence[int], positions_bT: Tensor
    ) -> None:
        self.states, self.rows, self.starts, self.stops = states, rows, starts, stops
        self.positions_bT = positions_bT
        self.row_b = torch.tensor(rows, device=positions_bT.device)

    def attend(self, layer: int, query_NHTD: Tensor, key_NKSD: Tensor, value_NKSD: Tensor) -> Tensor:
        """See `generation.attention.Plan`."""
        keys_UKPD, values_UKPD = self.states.layer(layer, value_NKSD)
        for index, (row, start, stop) in enumerate(zip(self.rows, self.starts, self.stops, strict=True)):
            keys_UKPD[row, :, start:stop] = key_NKSD[index, :, : stop - start]
            values_UKPD[row, :, start:stop] = value_NKSD[index, :, : stop - start]
        span = query_NHTD.shape[1] // key_NKSD.shape[1]
        if not any(self.starts):
            key, value = (_repeated(x, span) for x in (key_NKSD, value_NKSD))
            return scaled_dot_product_attention(query_NHTD, key, value, is_causal=True, scale=1.0)
        seen = max(self.stops)
        key, value = (_repeated(x[self.row_b, :, :seen], span) for x in (keys_UKPD, values_UKPD))
        column_S = torch.arange(seen, device=key.device)
        outputs = []
        for begin in range(0, query_NHTD.shape[2], BLOCK):
            visible = column_S <= self.positions_bT[:, begin : begin + BLOCK, None]
            query = query_NHTD[:, :, begin : begin + BLOCK]
            outputs.append(scaled_dot_product_attention(query, key, value, attn_mask=visible[:, None], scale=1.0))
        return torch.cat(outputs, dim=2)


def _repeated(x_NKSD: Tensor, span: int) -> Tensor:
    return x_NKSD.repeat_interleave(span, 1) if span > 1 else x_NKSD


class States:
    """Keys and values of U contexts by layer; a layer begins with what is kept, once its shape is known.

    Args:
        contexts: U.
        longest: P.
        found: [U] how much is kept of each, and where.
    """

    def __init__(self, contexts: int, longest: int, found: Sequence[tuple[int, Place | None]]) -> None:
        self.contexts, self.longest, self.found = contexts, longest, found
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []

    def layer(self, number: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """[U, K, P, D] keys and values of a layer, of which all before are there; `like`: its values of any tokens."""
        if number == len(self.keys):
            _, heads, _, width = like.shape  # under autocast, the keys are in float32 and the values are not
            self.keys.append(like.new_zeros(self.contexts, heads, self.longest, width))
            self.values.append(like.new_zeros(self.contexts, heads, self.longest, width))
            self._copy_kept(number)
        return self.keys[number], self.values[number]

    def _copy_kept(self, number: int) -> None:
        for row, (count, place) in enumerate(self.found):
            if place is not None:
                kept, of = place[0].prefix, place[1]
                self.keys[number][row, :, :count] = kept.keys[number][of, :, :count]
                self.values[number][row, :, :count] = kept.values[number][of, :, :count]

    def copy_all(self) -> None:
        """Copy what is kept where nothing was computed."""
        example = next(place for _, place in self.found if place is not None)[0].prefix
        for number, values in enumerate(example.values):
            self.layer(number, values)


def _compute(
    model: PreTrainedModel,
    contexts: Sequence[tuple[int, ...]],
    found: Sequence[tuple[int, Place | None]],
    device: torch.device,
) -> SharedPrefix:
    lengths = [len(context) for context in contexts]
    states = States(len(contexts), max(lengths), found)
    nothing_hidden = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device)  # 4-D: taken as it is
    for rows in together([length - count for length, (count, _) in zip(lengths, found, strict=True)], lengths):
        starts, stops = [found[row][0] for row in rows], [lengths[row] for row in rows]
        longest = max(stop - start for start, stop in zip(starts, stops, strict=True))
        new = [[*contexts[row][start:], *[0] * longest][:longest] for row, start in zip(rows, starts, strict=True)]
        positions_bT = torch.tensor(starts, device=device)[:, None] + torch.arange(longest, device=device)
        positions_bT = positions_bT.clamp(max=torch.tensor(stops, device=device)[:, None] - 1)
        model(
            input_ids=torch.tensor(new, device=device),
            position_ids=positions_bT,
            attention_mask=nothing_hidden,
            use_cache=False,
            logits_to_keep=1,
            plan=Growing(states, rows, starts, stops, positions_bT),
        )
    if not states.keys:
        states.copy_all()
    return SharedPrefix(states.keys, states.values, torch.tensor(lengths, device=device))


def together(new: Sequence[int], lengths: Sequence[int]) -> list[list[int]]:
    """Which rows are computed together: those with about as many new tokens; none for rows with nothing new.

    Args:
        new: [U] new tokens.
        lengths: [U] all tokens.
    """
    groups: list[list[int]] = []
    for row in sorted((row for row in range(len(new)) if new[row]), key=lambda row: (-new[row], row)):
        if groups:
            grown = [*groups[-1], row]
            padded, real = len(grown) * new[grown[0]], sum(new[i] for i in grown)
            seen = len(grown) * max(lengths[i] for i in grown)
            if padded <= max(FEW, PADDING * real) and seen <= SEEN:
                groups[-1] = grown
                continue
        groups.append([row])
    return groups
