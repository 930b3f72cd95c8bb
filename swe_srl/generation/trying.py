"""Whether a model can be sampled from here: its decoding is tried on a few tokens, against its ordinary forward."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
from transformers import PreTrainedModel

from swe_srl.errors import GenerationError
from swe_srl.generation.decoding import decode_batch, device_of
from swe_srl.types import Sampling

CONTEXTS = ([0, 1, 2, 3, 4], [5, 6])  # of other lengths, so that one is padded
WRITTEN = 6  # tokens
NEVER = -1
ALLOWED = {
    torch.bfloat16: 0.5,
    torch.float16: 0.3,
}  # mean difference of log-probabilities by the logits' spread; 1e-2 for others

_found: WeakKeyDictionary[PreTrainedModel, str] = WeakKeyDictionary()


def check_decoding(model: PreTrainedModel) -> None:
    """Try how a model decodes, once: the result is remembered.

    Raises:
        GenerationError: it does not write what its ordinary forward says. Models that keep states of their own in place of
            keys and values (Mamba, RWKV) would not see their contexts.
    """
    if model not in _found:
        _found[model] = _difference(model)
    if _found[model]:
        raise GenerationError(
            f"{type(model).__name__} cannot be sampled from here ({_found[model]}): it keeps something else of earlier tokens "
            "than keys and values. Take another model, or one that a server samples from"
        )


@torch.no_grad()
def _difference(model: PreTrainedModel) -> str:
    """What is wrong with what the model writes, or ""."""
    training = [module for module in model.modules() if module.training]
    model.train(False)
    numbers = torch.linspace(0.1, 0.9, len(CONTEXTS) * WRITTEN, dtype=torch.float64).view(len(CONTEXTS), WRITTEN)
    gaps: list[float] = []
    try:
        with torch.autocast(device_of(model).type, enabled=False):
            written = decode_batch(model, CONTEXTS, 1, Sampling(max_new_tokens=WRITTEN), numbers, (NEVER,))
            for context, one in zip(CONTEXTS, written, strict=True):
                ids = torch.tensor([context + one.token_ids], device=device_of(model))
                logits = model(input_ids=ids, use_cache=False).logits[0, len(context) - 1 : -1].float()
                own = logits.log_softmax(-1).gather(-1, ids[0, len(context) :, None])[:, 0]
                gap = (own.cpu() - torch.tensor(one.logprobs)).abs().mean() / logits.std().cpu().clamp(min=1e-12)
                gaps.append(float(gap))
    except GenerationError:  # broken weights, which sampling tells
        return ""
    except torch.OutOfMemoryError:
        raise
    except (ValueError, TypeError, RuntimeError, AttributeError, LookupError) as error:
        return (str(error).strip().splitlines() or [type(error).__name__])[0]
    finally:
        for module in training:
            module.training = True
    return (
        "" if max(gaps) <= ALLOWED.get(model.dtype, 1e-2) else "what it writes is not what it would after its context"
    )
