"""Contexts that go on from beginnings whose keys and values are known: several at a time, computing what is new.

Shapes: U contexts, b of them computed together, H query heads, K key/value heads, P tokens of the longest context, T new
tokens, S tokens seen, D head dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import PreTrainedModel

from swe_srl.generation.attention import SharedPrefix

PADDING = 1.25  # computed tokens, padding included, for one that is real, at most; less matters for a few tokens:
FEW = 1024
SEEN = 32_768  # tokens that are seen by the rows computed together, at most: bounds the mask
BLOCK = 512  # queries at a time: bounds the mask


@dataclass(frozen=True)
class Beginning:
    """The first `count` tokens of a row of known keys and values."""

    count: int
    prefix: SharedPrefix
    row: int


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
        beginnings: [U] what is kept of each.
    """

    def __init__(self, contexts: int, longest: int, beginnings: Sequence[Beginning | None]) -> None:
        self.contexts, self.longest, self.beginnings = contexts, longest, beginnings
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
        for row, one in enumerate(self.beginnings):
            if one is not None:
                self.keys[number][row, :, : one.count] = one.prefix.keys[number][one.row, :, : one.count]
                self.values[number][row, :, : one.count] = one.prefix.values[number][one.row, :, : one.count]

    def copy_all(self) -> None:
        """Copy what is kept where nothing was computed."""
        example = next(one for one in self.beginnings if one is not None)
        for number, values in enumerate(example.prefix.values):
            self.layer(number, values)


def compute(
    model: PreTrainedModel,
    contexts: Sequence[Sequence[int]],
    beginnings: Sequence[Beginning | None],
    device: torch.device,
) -> SharedPrefix:
    """Keys and values of U token sequences, at least one of them not empty.

    Args:
        model: switched to grouped attention.
        beginnings: [U] what is kept of each.
    """
    lengths, there = [len(context) for context in contexts], [one.count if one else 0 for one in beginnings]
    states = States(len(contexts), max(lengths), beginnings)
    nothing_hidden = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device)  # 4-D: taken as it is
    for rows in together([length - count for length, count in zip(lengths, there, strict=True)], lengths):
        starts, stops = [there[row] for row in rows], [lengths[row] for row in rows]
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
    most = real = longest = 0
    for row in sorted((row for row in range(len(new)) if new[row]), key=lambda row: (-new[row], row)):
        count = len(groups[-1]) + 1 if groups else 0
        padded, seen = count * most, count * max(longest, lengths[row])
        if groups and padded <= max(FEW, PADDING * (real + new[row])) and seen <= SEEN:
            groups[-1].append(row)
            real, longest = real + new[row], max(longest, lengths[row])
        else:
            groups.append([row])
            most, real, longest = new[row], new[row], lengths[row]
    return groups
