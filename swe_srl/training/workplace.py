"""What the stages of a run share: settings, the model, its generator, the steps, where things are written."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from swe_srl.generation.loading import encode_chat
from swe_srl.generation.local import TransformersGenerator
from swe_srl.progress import Progress
from swe_srl.training.checkpoints import Checkpoints
from swe_srl.training.journal import Journal
from swe_srl.training.settings import TrainSettings
from swe_srl.types import Message, Step, Task

ENCODED = 4096  # contexts whose tokens are remembered


@dataclass
class Workplace:
    """What the stages of a run share."""

    settings: TrainSettings
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    generator: TransformersGenerator
    training: Sequence[Step]
    validation: Sequence[Step]
    tasks: Sequence[Task]
    held_tasks: Sequence[Task]
    checkpoints: Checkpoints
    journal: Journal
    progress: Progress
    autocast: torch.dtype | None
    action_format: str = "bash"  # how a completion holds its command
    position: int = 0  # updates of the stages before

    def __post_init__(self) -> None:
        @lru_cache(maxsize=ENCODED)
        def encode(context: tuple[Message, ...]) -> tuple[int, ...]:
            return tuple(encode_chat(self.tokenizer, context))

        self.encode = encode

    def arithmetic(self) -> AbstractContextManager[object]:
        """The arithmetic of forward passes."""
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(self.model.device.type, dtype=self.autocast)
