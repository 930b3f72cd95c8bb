"""Log-probabilities of completions, with gradients: each context is computed once for its whole group, without padding.

The tokens of a micro-batch lie in one row, contexts first: the linear layers see no padding, attention works on padded
views, and logits are computed at completion tokens only. Exactly the numbers of the separate sequences (`plain=True`).

Shapes: B contexts, G completions per context, N = B·G completions, M tokens in the row, C of them in completions, H query
heads, K key/value heads, D head dimension, P longest context, T longest completion, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.integrations.sdpa_attention import repeat_kv

from swe_srl.generation.attention import GROUPED, grouped, hidden_positions
from swe_srl.generation.decoding import device_of, pad

HEAD_BLOCK = 4096  # tokens whose logits are held at a time


@dataclass(frozen=True, slots=True)
class TokenGroup:
    """A context and its completions as token ids; no completion is empty, the context has at least one token."""

    context: tuple[int, ...]
    completions: tuple[tuple[int, ...], ...]

    @property
    def tokens(self) -> int:
        """Tokens that one forward pass computes."""
        return len(self.context) - 1 + sum(len(completion) for completion in self.completions)

    @property
    def plain_tokens(self) -> int:
        """Tokens that separate sequences would compute."""
        return sum(len(self.context) - 1 + len(completion) for completion in self.completions)


@dataclass(frozen=True, slots=True)
class Scored:
    """Per completion token, right-padded: log-probability, entropy of its distribution (no gradient), and the mask."""

    logprob_NT: Tensor
    entropy_NT: Tensor
    mask_NT: Tensor


class RowPlan:
    """Attention over one row that holds B contexts and then their N completions (see `generation.attention.Plan`).

    The last token of a context is the first input of each of its completions, so it is not part of the context here.
    """

    def __init__(self, groups: Sequence[TokenGroup], device: torch.device) -> None:
        contexts = [group.context[:-1] for group in groups]
        branches = [group.context[-1:] + one[:-1] for group in groups for one in group.completions]
        lengths, sizes = [len(c) for c in contexts], [len(b) for b in branches]
        self.contexts, self.longest, self.branches, self.widest = len(contexts), max(lengths), len(branches), max(sizes)
        self.context_tokens = sum(lengths)
        self.lengths_B = torch.tensor(lengths, device=device)
        self.hidden_BP = hidden_positions(self.lengths_B, self.longest)
        self.context_slot = _slots(lengths, self.longest, device)
        self.branch_slot_C = _slots(sizes, self.widest, device)
        row = [token for context in contexts for token in context] + [token for one in branches for token in one]
        self.ids_1M = torch.tensor([row], device=device)
        starts_N = self.lengths_B.repeat_interleave(self.branches // self.contexts)
        offset_C = self.branch_slot_C % self.widest
        position_C = starts_N[self.branch_slot_C // self.widest] + offset_C
        self.positions_1M = torch.cat([self.context_slot % max(1, self.longest), position_C])[None]

    def attend(self, layer: int, query_NHTD: Tensor, key_NKSD: Tensor, value_NKSD: Tensor) -> Tensor:
        """Contexts attend causally to themselves; completions to their context and causally to themselves."""
        query, key, value = (x[0].transpose(0, 1) for x in (query_NHTD, key_NKSD, value_NKSD))  # [M, ·, D]
        cut = self.context_tokens
        own = [self._branch_grid(x[cut:]) for x in (query, key, value)]
        shared = [self._context_grid(x[:cut]) for x in (query, key, value)]
        outputs = []
        if cut:
            repeat = query.shape[1] // key.shape[1]
            context_BHPD = scaled_dot_product_attention(
                shared[0], repeat_kv(shared[1], repeat), repeat_kv(shared[2], repeat), is_causal=True, scale=1.0
            )
            outputs.append(context_BHPD.transpose(1, 2).flatten(0, 1)[self.context_slot])
        branch_NHTD = grouped(own[0], own[1], own[2], shared[1], shared[2], self.hidden_BP)
        outputs.append(branch_NHTD.transpose(1, 2).flatten(0, 1)[self.branch_slot_C])
        return torch.cat(outputs).transpose(0, 1)[None]

    def _context_grid(self, x: Tensor) -> Tensor:
        return _grid(x, self.context_slot, self.contexts, self.longest)

    def _branch_grid(self, x: Tensor) -> Tensor:
        return _grid(x, self.branch_slot_C, self.branches, self.widest)


def score(
    model: PreTrainedModel, groups: Sequence[TokenGroup], temperature: float = 1.0, plain: bool = False
) -> Scored:
    """Log-probabilities of every token of every completion, in order of groups and completions.

    Args:
        model: switched to grouped attention (`generation.attention.use_grouped`), or any model, which takes the plain path.
        groups: all with the same number of completions.
        temperature: logits are divided by it.
        plain: compute each sequence apart, context repeated, through the model's ordinary forward.
    """
    if plain or model.config._attn_implementation != GROUPED:
        return _score_plain(model, groups, temperature)
    device = device_of(model)
    plan = RowPlan(groups, device)
    hidden_1MD = model.base_model(
        input_ids=plan.ids_1M,
        position_ids=plan.positions_1M,
        attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device),  # 4-D: taken as it is
        use_cache=False,
        plan=plan,
    ).last_hidden_state
    target_C = torch.tensor([t for group in groups for one in group.completions for t in one], device=device)
    logprob_C, entropy_C = _head(model, hidden_1MD[0, plan.context_tokens :], target_C, temperature)
    shape = (plan.branches, plan.widest)
    count = shape[0] * shape[1]
    return Scored(
        logprob_C.new_zeros(count).index_copy(0, plan.branch_slot_C, logprob_C).view(shape),
        entropy_C.new_zeros(count).index_copy(0, plan.branch_slot_C, entropy_C).view(shape),
        torch.zeros(count, dtype=torch.bool, device=device).index_fill(0, plan.branch_slot_C, True).view(shape),
    )


def micro_batches(groups: Sequence[TokenGroup], budget: int) -> list[list[int]]:
    """Indices of groups in batches of at most `budget` tokens (one group may exceed it), similar context lengths together.

    The groups of a batch have the same number of completions.
    """
    batches: list[list[int]] = []
    room = size = 0
    order = sorted(range(len(groups)), key=lambda i: (len(groups[i].completions), len(groups[i].context), i))
    for index in order:
        if not batches or groups[index].tokens > room or len(groups[index].completions) != size:
            batches.append([])
            room, size = budget, len(groups[index].completions)
        batches[-1].append(index)
        room -= groups[index].tokens
    return batches


def _score_plain(model: PreTrainedModel, groups: Sequence[TokenGroup], temperature: float) -> Scored:
    device = device_of(model)
    rows = [(group.context, one) for group in groups for one in group.completions]
    sequences = [context + one for context, one in rows]
    longest, widest = max(map(len, sequences)), max(len(one) for _, one in rows)
    ids_NL = pad(sequences, longest, device)
    length_N = torch.tensor([len(sequence) for sequence in sequences], device=device)
    seen_NL = torch.arange(longest, device=device)[None] < length_N[:, None]
    logits_NLV = model(input_ids=ids_NL, attention_mask=seen_NL.long(), use_cache=False).logits.float() / temperature
    start_N = torch.tensor([len(context) for context, _ in rows], device=device)
    size_N = torch.tensor([len(one) for _, one in rows], device=device)
    offset_T = torch.arange(widest, device=device)
    mask_NT = offset_T[None] < size_N[:, None]
    target_NT = torch.where(mask_NT, start_N[:, None] + offset_T[None], 1)
    row_N1 = torch.arange(len(rows), device=device)[:, None]
    logprob_NTV = logits_NLV[row_N1, target_NT - 1].log_softmax(-1)
    logprob_NT = logprob_NTV.gather(-1, ids_NL[row_N1, target_NT][..., None])[..., 0]
    entropy_NT = -(logprob_NTV.exp() * logprob_NTV).sum(-1).detach()
    return Scored(logprob_NT.masked_fill(~mask_NT, 0.0), entropy_NT.masked_fill(~mask_NT, 0.0), mask_NT)


def _head(model: PreTrainedModel, hidden_CD: Tensor, target_C: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """[C] log-probabilities and entropies, the logits of `HEAD_BLOCK` tokens at a time (computed again going backward)."""

    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]

    def block(hidden: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        logits = head(hidden).float() / temperature
        total = logits.logsumexp(-1)
        with torch.no_grad():
            entropy = total - (torch.softmax(logits, -1) * logits).sum(-1)
        return logits.gather(-1, target[:, None])[:, 0] - total, entropy

    if hidden_CD.shape[0] <= HEAD_BLOCK:
        return block(hidden_CD, target_C)
    parts = [
        checkpoint(block, hidden, target, use_reentrant=False)
        for hidden, target in zip(torch.split(hidden_CD, HEAD_BLOCK), torch.split(target_C, HEAD_BLOCK), strict=True)
    ]
    return torch.cat([logprob for logprob, _ in parts]), torch.cat([entropy for _, entropy in parts])


def _slots(lengths: Sequence[int], width: int, device: torch.device) -> Tensor:
    """Where the tokens of rows of these lengths go in a right-padded [rows, width] grid, flattened."""
    return torch.cat([torch.arange(length, device=device) + row * width for row, length in enumerate(lengths)])


def _grid(x: Tensor, slots: Tensor, rows: int, width: int) -> Tensor:
    """[tokens, heads, D] -> [rows, heads, width, D], zero at padding."""
    grid = x.new_zeros(rows * width, *x.shape[1:]).index_copy(0, slots, x)
    return grid.view(rows, width, *x.shape[1:]).transpose(1, 2)
