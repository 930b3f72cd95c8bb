"""The decode loop: G completions per context against one pre-filled prefix; finished completions leave the batch.

Shapes: B contexts, G completions per context, N rows (slots), V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache

from swe_srl.generation.attention import GROUPED, SharedPrefix, turning_point
from swe_srl.generation.caches import BufferLayer, take_rows
from swe_srl.generation.kept import KeptContexts
from swe_srl.generation.sampling import draw
from swe_srl.generation.trunks import Trunk, prefill_in_turn, shared_tokens
from swe_srl.types import Sampling

COMPACT_BELOW = 0.75  # lay the batch out anew when fewer of its slots are still being written


@dataclass
class Sampled:
    """What was sampled for one completion; `finished` when it ended with an end token."""

    token_ids: list[int]
    logprobs: list[float]
    finished: bool


def device_of(model: PreTrainedModel) -> torch.device:
    """Where the model's parameters are."""
    return next(model.parameters()).device


def prefill(
    model: PreTrainedModel, contexts: Sequence[Sequence[int]], trunk: Trunk | KeptContexts | None = None
) -> SharedPrefix:
    """Keys and values of B token sequences, right-padded: causal attention never looks to the right, so needs no mask.

    Sequences may be empty. Where one goes on from the one before it, their common beginning is computed once.

    Args:
        trunk: what the batch before left for this one; left for the next one. Or what earlier turns left.
    """
    if isinstance(trunk, KeptContexts):
        return trunk.prefill(model, contexts)
    device, trunk = device_of(model), trunk or Trunk()
    starts = [
        min(shared_tokens(before, context), len(context) - 1) if context else 0
        for before, context in pairwise([trunk.tokens, *contexts])
    ]
    if any(starts) and all(contexts):
        prefix = prefill_in_turn(model, contexts, starts, trunk, device)
    else:
        prefix = _prefill_together(model, contexts, device)
    trunk.leave(contexts[-1], prefix)
    return prefix


def _prefill_together(model: PreTrainedModel, contexts: Sequence[Sequence[int]], device: torch.device) -> SharedPrefix:
    lengths_B = torch.tensor([len(context) for context in contexts], device=device)
    longest = int(lengths_B.max())
    if longest == 0:
        return SharedPrefix([], [], lengths_B)
    cache = Cache(layer_class_to_replicate=BufferLayer)
    ids_BP = pad(contexts, longest, device)
    positions_BP = torch.arange(longest, device=device).expand(len(contexts), -1)
    model(input_ids=ids_BP, position_ids=positions_BP, past_key_values=cache, use_cache=True, logits_to_keep=1)
    layers: list[Any] = cache.layers
    return SharedPrefix(
        [layer.keys[:, :, :longest] for layer in layers], [layer.values[:, :, :longest] for layer in layers], lengths_B
    )


def pad(sequences: Sequence[Sequence[int]], length: int, device: torch.device) -> Tensor:
    """[B, length] token ids, right-padded with 0 (never looked at)."""
    return torch.tensor([[*sequence, *[0] * (length - len(sequence))] for sequence in sequences], device=device)


class Decoding:
    """The state of one batch while it is decoded against shared prefixes. Use `decode_batch`."""

    def __init__(
        self,
        model: PreTrainedModel,
        contexts: Sequence[Sequence[int]],
        n: int,
        uniforms: Tensor,
        ends: Sequence[int],
        trunk: Trunk | KeptContexts | None = None,
        rooms: Sequence[int] = (),
    ) -> None:
        self.model = model
        self.device = device_of(model)
        self.group = n
        count = len(contexts) * n
        self.lengths_B = torch.tensor([len(context) - 1 for context in contexts], device=self.device)
        self.rooms_B = torch.tensor(rooms or [uniforms.shape[1]] * len(contexts), device=self.device)
        self.row_N = torch.arange(count, device=self.device)  # the completion that each slot writes
        self.alive_N = torch.ones(count, dtype=torch.bool, device=self.device)
        self.token_N = torch.tensor([context[-1] for context in contexts], device=self.device).repeat_interleave(n)
        self.uniforms = uniforms.to(self.device)
        self.ends = torch.tensor(list(ends), device=self.device)
        self.time = 0
        self._start([context[:-1] for context in contexts], trunk)

    def _start(self, contexts: Sequence[Sequence[int]], trunk: Trunk | KeptContexts | None) -> None:
        self.prefix = prefill(self.model, contexts, trunk)
        self.cache = Cache(layer_class_to_replicate=BufferLayer)
        self.nothing_hidden = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=self.device)  # 4-D: taken as it is

    def _forward(self, positions_N1: Tensor) -> Tensor:
        logits: Tensor = self.model(
            input_ids=self.token_N[:, None],
            position_ids=positions_N1,
            attention_mask=self.nothing_hidden,
            past_key_values=self.cache,
            use_cache=True,
            plan=self.prefix,
        ).logits
        return logits[:, -1]

    def _keep(self, slot_N: Tensor, contexts: list[int]) -> None:
        for layer in self.cache.layers:
            assert isinstance(layer, BufferLayer)
            layer.keep(slot_N)
        if len(contexts) < self.prefix.lengths_B.shape[0] and self.prefix.keys:
            self.prefix = self.prefix.select(torch.tensor(contexts, device=self.device))

    def step(self, sampling: Sampling) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Write one token in every slot; of the live ones: completion, token, log-probability, whether it ended."""
        written_B = (self.rooms_B - 1).clamp(
            max=self.time
        )  # a slot without room is spare: it stays where there are positions
        logits_NV = self._forward((self.lengths_B + written_B).repeat_interleave(self.group)[:, None])
        token_N, logprob_N = draw(logits_NV, self.uniforms[self.row_N, self.time], sampling)
        ended_N = torch.isin(token_N, self.ends) & self.alive_N
        live_N = self.alive_N
        self.time += 1
        self.alive_N = live_N & ~ended_N & (self.rooms_B > self.time).repeat_interleave(self.group)
        self.token_N = token_N
        return self.row_N[live_N], token_N[live_N], logprob_N[live_N], ended_N[live_N]

    def compact(self) -> bool:
        """Let finished completions leave when enough have; returns whether any are left.

        The layout stays B' contexts times G' slots: contexts with nothing left go, G' is the largest number left of a
        context, and spare slots repeat a live one without being recorded.
        """
        alive = self.alive_N.tolist()
        live = sum(alive)
        if live == 0:
            return False
        by_context = [
            [slot for slot in range(start, start + self.group) if alive[slot]]
            for start in range(0, len(alive), self.group)
        ]
        kept = [index for index, slots in enumerate(by_context) if slots]
        group = max(len(slots) for slots in by_context)
        if live > COMPACT_BELOW * len(alive) or len(kept) * group == len(alive):
            return True
        slots = [slot for index in kept for slot in (by_context[index] + [by_context[index][0]] * group)[:group]]
        real = [position < len(by_context[index]) for index in kept for position in range(group)]
        self._lay_out(slots, real, kept, group)
        return True

    def _lay_out(self, slots: list[int], real: list[bool], contexts: list[int], group: int) -> None:
        slot_N = torch.tensor(slots, device=self.device)
        self._keep(slot_N, contexts)
        context_B = torch.tensor(contexts, device=self.device)
        self.lengths_B, self.rooms_B = self.lengths_B[context_B], self.rooms_B[context_B]
        self.row_N, self.token_N = self.row_N[slot_N], self.token_N[slot_N]
        self.alive_N = torch.tensor(real, device=self.device)
        self.group = group


class PlainDecoding(Decoding):
    """The same with keys and values repeated per completion: for models with other kinds of attention."""

    def _start(self, contexts: Sequence[Sequence[int]], trunk: Trunk | KeptContexts | None) -> None:
        longest = int(self.lengths_B.max())
        self.seen_NP = torch.arange(longest, device=self.device) >= longest - self.lengths_B[:, None]
        padded = [[*[0] * (longest - len(context)), *context] for context in contexts]
        self.plain_cache = DynamicCache(config=self.model.config)
        if longest:
            positions_BP = (self.seen_NP.cumsum(-1) - 1).clamp(min=0)
            self.model(
                input_ids=torch.tensor(padded, device=self.device),
                attention_mask=self.seen_NP.long(),
                position_ids=positions_BP,
                past_key_values=self.plain_cache,
                use_cache=True,
                logits_to_keep=1,
            )
        take_rows(self.plain_cache, torch.arange(len(contexts), device=self.device).repeat_interleave(self.group))
        self.seen_NP = self.seen_NP.repeat_interleave(self.group, 0)
        self.turn = turning_point(self.model)
        self.ids_NP = torch.tensor(padded, dtype=torch.long, device=self.device).repeat_interleave(self.group, 0)

    def _forward(self, positions_N1: Tensor) -> Tensor:
        self.seen_NP = torch.cat([self.seen_NP, torch.ones_like(positions_N1, dtype=torch.bool)], dim=-1)
        new_NT = self.token_N[:, None]
        self.ids_NP = torch.cat([self.ids_NP, new_NT], dim=-1)
        if (
            self.turn and int(positions_N1.max()) == self.turn
        ):  # one context: all are rotated anew, as the model's own generate does
            new_NT, self.plain_cache = self.ids_NP, DynamicCache(config=self.model.config)
            positions_N1 = torch.arange(self.turn + 1, device=self.device).expand_as(new_NT)
        logits: Tensor = self.model(
            input_ids=new_NT,
            attention_mask=self.seen_NP.long(),
            position_ids=positions_N1,
            past_key_values=self.plain_cache,
            use_cache=True,
        ).logits
        return logits[:, -1]

    def _keep(self, slot_N: Tensor, contexts: list[int]) -> None:
        take_rows(self.plain_cache, slot_N)
        self.seen_NP, self.ids_NP = self.seen_NP[slot_N], self.ids_NP[slot_N]


@torch.no_grad()
def decode_batch(
    model: PreTrainedModel,
    contexts: Sequence[Sequence[int]],
    n: int,
    sampling: Sampling,
    uniforms: Tensor,
    ends: Sequence[int],
    trunk: Trunk | KeptContexts | None = None,
    rooms: Sequence[int] = (),
) -> list[Sampled]:
    """`n` completions for each of B contexts: B·n records in order.

    A model switched to grouped attention (`attention.use_grouped`) decodes against shared prefixes, any other one with
    repeated keys and values: the same tokens, more memory and time.

    Args:
        contexts: B token sequences, none empty.
        uniforms: [B·n, max_new_tokens] numbers in [0, 1), one stream per completion.
        ends: ids that end a completion.
        trunk: what the batch before left for this one, where contexts go on from one another (see `trunks`), or
            what earlier calls left (see `kept`).
        rooms: tokens that the completions of each context may have, at most `max_new_tokens`; empty: so many.
    """
    grouped = model.config._attn_implementation == GROUPED
    state = (Decoding if grouped else PlainDecoding)(model, contexts, n, uniforms, ends, trunk, rooms)
    count = len(contexts) * n
    tokens = torch.zeros(count, sampling.max_new_tokens, dtype=torch.long, device=state.device)
    logprobs = torch.zeros(count, sampling.max_new_tokens, device=state.device)
    lengths = torch.zeros(count, dtype=torch.long, device=state.device)
    finished = torch.zeros(count, dtype=torch.bool, device=state.device)
    for time in range(sampling.max_new_tokens):
        row, token, logprob, ended = state.step(sampling)
        tokens[row, time], logprobs[row, time] = token, logprob
        lengths[row] = time + 1
        finished[row] = ended
        if not state.compact():
            break
    return [
        Sampled(token[:length], logprob[:length], done)
        for token, logprob, length, done in zip(
            tokens.tolist(), logprobs.tolist(), lengths.tolist(), finished.tolist(), strict=True
        )
    ]
