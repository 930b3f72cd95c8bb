"""Contexts of episodes that go on: what a turn computed is kept for the next one, which computes only what is new.

Shapes: B contexts, U different ones, K key/value heads, P tokens of the longest, D head dimension.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from swe_srl.generation.attention import SharedPrefix
from swe_srl.generation.growing import Beginning, compute
from swe_srl.generation.trunks import LEAST_SHARED

UNUSED = 4  # calls after which a context that none went on from is forgotten: its episode has ended
Tokens = npt.NDArray[np.uint32]
Place = tuple["Batch", int]  # a row of a batch
Found = tuple[int, Place | None]  # how many tokens of a context are kept, and where


@dataclass(eq=False)
class Batch:
    """Keys and values of contexts that were computed together; freed when the last of them is forgotten.

    Args:
        contexts: U token sequences.
        prefix: their keys and values.
        call: in which they were computed.
        rows: those that are still kept.
    """

    contexts: list[Tokens]
    prefix: SharedPrefix
    call: int
    rows: set[int] = field(default_factory=set)

    @property
    def size(self) -> int:
        """Tokens in memory, padding included."""
        return len(self.contexts) * (self.prefix.keys[0].shape[2] if self.prefix.keys else 0)


class KeptContexts:
    """Pre-fills contexts, and keeps their keys and values for contexts of later calls that begin alike.

    What is kept belongs to a model and its weights. A change that PyTorch counts (`Tensor._version`) is noticed; whoever
    changes weights in another way (`.data`, fused optimisers, switched adapters) calls `forget`. For one thread.

    Args:
        budget: tokens, padding included, that are kept between two calls. What does not fit is not kept: those that are
            there already are as likely to be gone on from.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._batches: list[Batch] = []
        self._order: list[tuple[bytes, int]] = []  # kept contexts in lexicographic order, with their number
        self._places: dict[int, Place] = {}
        self._next = self._call = 0
        self._model: tuple[object, ...] = ()

    @property
    def size(self) -> int:
        """Tokens that are kept, padding included."""
        return sum(batch.size for batch in self._batches)

    def begin(self) -> None:
        """A new call begins: forget contexts that no context of the last calls went on from."""
        self._call += 1
        for batch in [batch for batch in self._batches if self._call - batch.call > UNUSED]:
            self._forget(batch)

    def forget(self) -> None:
        """Free everything."""
        self._batches, self._order, self._places = [], [], {}

    def shrink(self) -> bool:
        """Free everything, and keep at most half as much from now on; whether there was anything to free."""
        freed = self.size
        self._budget = freed // 2
        self.forget()
        return freed > 0

    def prefill(self, model: PreTrainedModel, contexts: Sequence[Sequence[int]]) -> SharedPrefix:
        """Keys and values of B token sequences, right-padded; they may be empty or equal.

        Args:
            model: switched to grouped attention.
        """
        device = next(model.parameters()).device
        self._notice(model)
        arrays = [np.asarray(context, dtype=np.uint32) for context in contexts]
        numbers: dict[bytes, int] = {}
        row_B = [numbers.setdefault(_key(array), len(numbers)) for array in arrays]
        different = [arrays[row_B.index(number)] for number in range(len(numbers))]
        if not any(map(len, different)):
            return SharedPrefix([], [], torch.zeros(len(contexts), dtype=torch.long, device=device))
        if (
            self.size + len(different) * max(map(len, different)) <= self._budget
        ):  # else what is first would not be kept
            self._prefill_shared(model, different, device)
        prefix = self._computed(model, different, device)
        if len(different) == len(contexts):
            return prefix
        return prefix.select(torch.tensor(row_B, device=device))

    def _prefill_shared(self, model: PreTrainedModel, contexts: Sequence[Tokens], device: torch.device) -> None:
        """Where contexts share a long beginning that is not kept, compute one of them first, for the others to go on from."""
        left = sorted(contexts, key=_key)
        while True:
            first: list[Tokens] = []
            later: list[Tokens] = []
            for number, context in enumerate(left):
                shared = _common(left[number - 1], context) if number else 0
                known = self._longest(context)[0] if shared >= LEAST_SHARED else shared
                (later if shared - known >= LEAST_SHARED else first).append(context)
            if not later:
                return
            self._computed(model, first, device)
            left = later

    def _computed(self, model: PreTrainedModel, contexts: Sequence[Tokens], device: torch.device) -> SharedPrefix:
        found = [self._longest(context) for context in contexts]
        prefix = compute(model, [context.tolist() for context in contexts], [_beginning(one) for one in found], device)
        self._keep(Batch(list(contexts), prefix, self._call), found)
        return prefix

    def _notice(self, model: PreTrainedModel) -> None:
        """Forget everything when the model is another one, or its weights are."""
        versions = sum(0 if weight.is_inference() else weight._version for weight in model.parameters())
        now = (id(model), model.dtype, versions)
        if now != self._model:
            self.forget()
            self._model = now

    def _longest(self, context: Tokens) -> Found:
        """How much of a context is kept, and where: the longest common beginning is a lexicographic neighbour's."""
        key, best, where = _key(context), 0, None
        index = bisect_left(self._order, (key, -1))
        for _, number in self._order[max(0, index - 1) : index + 1]:
            batch, row = self._places[number]
            if (count := _common(batch.contexts[row], context)) > best:
                best, where = count, number
        return best, None if where is None else self._places[where]

    def _keep(self, batch: Batch, found: Sequence[Found]) -> None:
        for count, place in found:
            if place is not None and count == len(place[0].contexts[place[1]]):
                self._drop(*place)  # the longer context says all that this one said
        if self.size + batch.size > self._budget:
            return
        self._batches.append(batch)
        for row, context in enumerate(batch.contexts):
            if len(context):
                batch.rows.add(row)
                self._places[self._next] = (batch, row)
                insort(self._order, (_key(context), self._next))
                self._next += 1

    def _forget(self, batch: Batch) -> None:
        for row in sorted(batch.rows):
            self._drop(batch, row)

    def _drop(self, batch: Batch, row: int) -> None:
        if row not in batch.rows:
            return
        batch.rows.discard(row)
        index = bisect_left(self._order, (_key(batch.contexts[row]), -1))
        while self._places[self._order[index][1]] != (batch, row):
            index += 1
        del self._places[self._order.pop(index)[1]]
        if not batch.rows:
            self._batches.remove(batch)


def _beginning(found: Found) -> Beginning | None:
    count, place = found
    return None if place is None else Beginning(count, place[0].prefix, place[1])


def _key(context: Tokens) -> bytes:
    """Bytes in the order of the token sequences."""
    return context.astype(">u4").tobytes()


def _common(a: Tokens, b: Tokens) -> int:
    span = min(len(a), len(b))
    differing = np.flatnonzero(a[:span] != b[:span])
    return int(differing[0]) if len(differing) else span
