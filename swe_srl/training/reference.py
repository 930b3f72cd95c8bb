"""What the KL divergence is measured from: the model that a stage started with.

A whole model that is trained needs a frozen copy. Of a model with adapters nothing else is trained, so it is the same model with
the values that its adapters had when the stage started: none, or those that the stage before ended with.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from swe_srl.training.forest import TokenSequence
from swe_srl.training.forward import ScorePass


class Reference:
    """A frozen model.

    Args:
        model: whose log-probabilities are the reference's.
        score: how a pass goes through it.
    """

    swapped = False  # while true, an interruption leaves the reference's values in the model being trained

    def __init__(self, model: PreTrainedModel, score: ScorePass) -> None:
        self.model, self._score = model, score

    @torch.no_grad()
    def logprobs(self, sequences: Sequence[TokenSequence], temperature: float, plain: bool) -> Tensor:
        """[N, T] of the trained tokens of every sequence (see `forward.score`)."""
        return self._score(self.model, sequences, temperature, plain).logprob_NT


class StartAdapters(Reference):
    """The model being trained, with the adapters' values of when this is made.

    They are put into it for a pass: no gradient may be waiting for a backward pass through it then.
    """

    def __init__(self, model: PreTrainedModel, score: ScorePass) -> None:
        super().__init__(model, score)
        self._adapters = [one for one in model.parameters() if one.requires_grad]
        self._start = self._values()

    @torch.no_grad()
    def logprobs(self, sequences: Sequence[TokenSequence], temperature: float, plain: bool) -> Tensor:
        """See `Reference.logprobs`."""
        now = self._values()
        self.swapped = True
        try:
            self._put(self._start)
            return super().logprobs(sequences, temperature, plain)
        finally:
            self._put(now)
            self.swapped = False

    def _values(self) -> list[Tensor]:
        return [one.detach().clone() for one in self._adapters]

    def _put(self, values: Sequence[Tensor]) -> None:
        for adapter, value in zip(self._adapters, values, strict=True):
            adapter.copy_(value)
