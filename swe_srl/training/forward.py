"""Log-probabilities of trained tokens, with gradients: every distinct prefix is computed once, without padding.

The sequences of a pass are packed into one row, a forest (`training.forest`); logits are computed where there is loss, in
blocks. Exactly the numbers of the separate sequences (`plain=True`).

Shapes: N sequences, T losses of the one with most, C losses of all, U packed tokens that have any, M packed tokens,
L longest sequence, D hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from swe_srl.generation.attention import GROUPED, Plan, turning_point
from swe_srl.generation.decoding import device_of, pad
from swe_srl.training.finishing import finish_of
from swe_srl.training.forest import Forest, Ints, TokenSequence, split
from swe_srl.training.forest_attention import ForestPlan
from swe_srl.training.forest_flex import FlexPlan

HEAD_BLOCK = 2**26  # logits held at a time


@dataclass(frozen=True, slots=True)
class TokenGroup:
    """A context and its completions as token ids; the context has at least one token."""

    context: tuple[int, ...]
    completions: tuple[tuple[int, ...], ...]

    @property
    def sequences(self) -> list[TokenSequence]:
        """One sequence per completion, all of whose tokens are trained on."""
        start = len(self.context)
        return [TokenSequence(self.context + one, range(start, start + len(one))) for one in self.completions]


@dataclass(frozen=True, slots=True)
class Scored:
    """Per trained token, right-padded: log-probability, entropy of its distribution (no gradient), and the mask.

    `computed` is the number of tokens that went through the model.
    """

    logprob_NT: Tensor
    entropy_NT: Tensor
    mask_NT: Tensor
    computed: int


ScorePass = Callable[
    [PreTrainedModel, Sequence[TokenSequence], float, bool], Scored
]  # `score`, or one that does as it does
IDLE = TokenSequence((0, 0), (1,))  # the least that goes through a model


def shares_prefixes(model: PreTrainedModel) -> bool:
    """Whether the model can take a forest: switched to `generation.attention.use_grouped`, on a CPU or a CUDA GPU, and its logits
    are its output head's, finished in a known way (`finishing.finish_of`)."""
    if model.config._attn_implementation != GROUPED or device_of(model).type not in ("cpu", "cuda"):
        return False
    return finish_of(model) is not None


def passes(
    model: PreTrainedModel, sequences: Sequence[TokenSequence], budget: int, plain: bool = False
) -> list[list[int]]:
    """Indices of the sequences that go through the model together, about `budget` tokens at a time.

    A forest's packs (`forest.split`), or, for sequences computed apart, rows of similar length with their padding.
    """
    if not plain and shares_prefixes(model):
        return split(sequences, budget)
    batches: list[list[int]] = []
    for index in sorted(range(len(sequences)), key=lambda i: (sequences[i].inputs, i)):
        if not batches or (len(batches[-1]) + 1) * sequences[index].inputs > budget:
            batches.append([])
        batches[-1].append(index)
    return batches


def score(
    model: PreTrainedModel, sequences: Sequence[TokenSequence], temperature: float = 1.0, plain: bool = False
) -> Scored:
    """Log-probabilities of the trained tokens of every sequence, in order.

    Args:
        model: one that `shares_prefixes`, or any other one, which takes the plain path.
        sequences: computed in one pass (see `passes`).
        temperature: logits are divided by it.
        plain: compute each sequence apart, through the model's ordinary forward.
    """
    if plain or not shares_prefixes(model):
        return _score_plain(model, sequences, temperature)
    device = device_of(model)
    forest = Forest.of(sequences)
    source_C = np.concatenate([np.empty(0, np.int64), *forest.sources])
    target_C = np.array([one.tokens[loss] for one in sequences for loss in one.losses], np.int64)
    if not len(source_C):
        return _grid(sequences, torch.zeros(0, device=device), torch.zeros(0, device=device), 0)
    decoder = model.get_decoder()  # type: ignore[no-untyped-call]
    hidden_1MD = decoder(
        input_ids=torch.from_numpy(forest.tokens).to(device)[None],
        position_ids=torch.from_numpy(forest.positions).to(device)[None],
        attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device),  # 4-D: taken as it is
        use_cache=False,
        plan=_plan(forest, device),
    ).last_hidden_state
    logprob_C, entropy_C = _head(model, hidden_1MD[0], source_C, target_C, temperature)
    return _grid(sequences, logprob_C, entropy_C, len(forest.tokens))


def _plan(forest: Forest, device: torch.device) -> Plan:
    return FlexPlan(forest, device) if device.type == "cuda" else ForestPlan(forest)


def _grid(sequences: Sequence[TokenSequence], logprob_C: Tensor, entropy_C: Tensor, computed: int) -> Scored:
    """Right-pad what is in order of sequences and losses."""
    device = logprob_C.device
    sizes = [len(one.losses) for one in sequences]
    shape = len(sizes), max(sizes, default=0)
    slot_C = torch.from_numpy(np.concatenate([np.arange(size) + row * shape[1] for row, size in enumerate(sizes)]))
    slot_C = slot_C.to(device)
    empty = logprob_C.new_zeros(shape[0] * shape[1])
    return Scored(
        empty.index_copy(0, slot_C, logprob_C).view(shape),
        empty.index_copy(0, slot_C, entropy_C).view(shape),
        empty.bool().index_fill(0, slot_C, True).view(shape),
        computed,
    )


def _head(
    model: PreTrainedModel, hidden_MD: Tensor, source_C: Ints, target_C: Ints, temperature: float
) -> tuple[Tensor, Tensor]:
    """[C] log-probabilities and entropies, `HEAD_BLOCK` logits at a time (computed again going backward).

    Losses of several sequences at the same packed token share its logits.
    """
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    device, finish = hidden_MD.device, finish_of(model)
    assert finish is not None, "a model that shares no prefixes"

    def block(hidden: Tensor, row: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        logits = finish(head(hidden)).float() / temperature
        total = logits.logsumexp(-1)
        with torch.no_grad():
            entropy = total - (torch.softmax(logits, -1) * logits).sum(-1)
        return logits[row, target] - total[row], entropy[row]

    source_U, row_C = np.unique(source_C, return_inverse=True)
    hidden_UD = hidden_MD[torch.from_numpy(source_U).to(device)]
    order_C = np.argsort(row_C, kind="stable")
    size = max(1, HEAD_BLOCK // model.config.get_text_config(decoder=True).vocab_size)
    if len(source_U) <= size:
        row, target = (torch.from_numpy(x).to(device) for x in (row_C, target_C))
        logprob_C, entropy_C = block(hidden_UD, row, target)
        return logprob_C, entropy_C
    parts = []
    for first, stop in pairwise([*range(0, len(source_U), size), len(source_U)]):
        low, high = np.searchsorted(row_C[order_C], [first, stop])
        here_C = order_C[low:high]
        row, target = (torch.from_numpy(x).to(device) for x in (row_C[here_C] - first, target_C[here_C]))
        parts.append(checkpoint(block, hidden_UD[first:stop], row, target, use_reentrant=False))
    back_C = torch.from_numpy(np.argsort(order_C)).to(device)
    return torch.cat([one for one, _ in parts])[back_C], torch.cat([one for _, one in parts])[back_C]


def _score_plain(model: PreTrainedModel, sequences: Sequence[TokenSequence], temperature: float) -> Scored:
    device = device_of(model)
    inputs = [one.tokens[: max(1, one.inputs)] for one in sequences]
    longest = max(map(len, inputs))
    if (
        min(map(len, inputs)) <= turning_point(model) < longest
    ):  # a longer sequence beside it would change a shorter one
        parts = [_score_plain(model, [one], temperature) for one in sequences]
        logprob_C, entropy_C = (
            torch.cat([values[part.mask_NT] for part, values in zip(parts, some, strict=True)])
            for some in ([part.logprob_NT for part in parts], [part.entropy_NT for part in parts])
        )
        return _grid(sequences, logprob_C, entropy_C, sum(part.computed for part in parts))
    length_N = torch.tensor([len(one) for one in inputs], device=device)
    seen_NL = torch.arange(longest, device=device)[None] < length_N[:, None]
    row_C = torch.tensor([row for row, one in enumerate(sequences) for _ in one.losses], device=device)
    target_C = torch.tensor([one.tokens[loss] for one in sequences for loss in one.losses], device=device)
    source_C = torch.tensor([loss - 1 for one in sequences for loss in one.losses], device=device)
    if not len(source_C):
        return _grid(sequences, torch.zeros(0, device=device), torch.zeros(0, device=device), 0)
    first = int(source_C.min())
    logits_NLV = model(
        input_ids=pad(inputs, longest, device),
        attention_mask=seen_NL.long(),
        use_cache=False,
        logits_to_keep=torch.arange(first, longest, device=device),
    ).logits
    logprob_CV = (logits_NLV[row_C, source_C - first].float() / temperature).log_softmax(-1)
    entropy_C = -(logprob_CV.exp() * logprob_CV).sum(-1).detach()
    logprob_C = logprob_CV.gather(-1, target_C[:, None])[:, 0]
    return _grid(sequences, logprob_C, entropy_C, sum(one.inputs for one in sequences))
