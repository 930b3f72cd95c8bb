"""Drawing tokens: seeded streams per completion, and temperature, top-k, top-p.

Shapes: N rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from swe_srl.errors import GenerationError
from swe_srl.types import Sampling


def uniforms(seeds: Sequence[tuple[int, int]], count: int) -> Tensor:
    """[len(seeds), count] numbers in [0, 1), float64: each row is the stream of its own `(seed, j)`."""
    streams = [np.random.default_rng([seed % 2**64, j]).random(count) for seed, j in seeds]
    return torch.from_numpy(np.stack(streams))


def draw(logits_NV: Tensor, uniform_N: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """The next token of each row, and its log-probability at temperature 1 without filters: both [N].

    The token is the inverse of the cumulative distribution at the row's number, so one number in is one token out.

    Raises:
        GenerationError: there is no distribution: logits are NaN or infinite.
    """
    logits_NV = logits_NV.float()
    normaliser_N = logits_NV.logsumexp(-1)
    if not normaliser_N.isfinite().all():
        raise GenerationError("the model's logits are NaN or infinite: its weights are broken, or its dtype overflows")
    if sampling.temperature == 0:
        token_N = logits_NV.argmax(-1)
    else:
        probs_NV = torch.softmax(filtered(logits_NV / sampling.temperature, sampling), dim=-1)
        cumulative_NV = probs_NV.cumsum(-1, dtype=torch.float64)
        total_N = cumulative_NV[:, -1]
        below_N = total_N.nextafter(torch.zeros_like(total_N))  # a rounded-up product must not pass the last token
        level_N = torch.minimum(uniform_N.to(total_N) * total_N, below_N)
        token_N = torch.searchsorted(cumulative_NV, level_N[:, None], right=True)[:, 0]
    logprob_N = logits_NV.gather(-1, token_N[:, None])[:, 0] - normaliser_N
    return token_N, logprob_N


def filtered(logits_NV: Tensor, sampling: Sampling) -> Tensor:
    """Logits with everything outside the `top_k` best, then outside the `top_p` nucleus, at minus infinity."""
    if 0 < sampling.top_k < logits_NV.shape[-1]:
        worst_N1 = logits_NV.topk(sampling.top_k, dim=-1).values[:, -1:]
        logits_NV = logits_NV.masked_fill(logits_NV < worst_N1, -torch.inf)
    if sampling.top_p < 1:
        ordered_NV, index_NV = logits_NV.sort(dim=-1, descending=True)
        probs_NV = ordered_NV.softmax(-1)
        before_NV = probs_NV.cumsum(-1) - probs_NV  # the best token always stays
        drop_NV = torch.zeros_like(before_NV, dtype=torch.bool).scatter(-1, index_NV, before_NV >= sampling.top_p)
        logits_NV = logits_NV.masked_fill(drop_NV, -torch.inf)
    return logits_NV
