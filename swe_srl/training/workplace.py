"""What the stages of a run share: settings, the model, its generator, the steps, where things are written."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from swe_srl.generation.decoding import device_of
from swe_srl.generation.loading import check_ids, encode_chat, end_tokens
from swe_srl.generation.templates import turn_end
from swe_srl.progress import Progress
from swe_srl.protocols import Generator
from swe_srl.training.checkpoints import Checkpoints, load_weights
from swe_srl.training.effects import Effects
from swe_srl.training.journal import Journal
from swe_srl.training.memory import release
from swe_srl.training.processes import ALONE, Processes
from swe_srl.training.settings import TrainSettings
from swe_srl.types import Message, Step, Task

if TYPE_CHECKING:
    from swe_srl.training.served import Served
    from swe_srl.training.sharding import Sharded

ENCODED = 4096  # contexts whose tokens are remembered


@dataclass
class Workplace:
    """What the stages of a run share."""

    settings: TrainSettings
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    generator: Generator
    training: Sequence[Step]
    validation: Sequence[Step]
    tasks: Sequence[Task]
    held_tasks: Sequence[Task]
    checkpoints: Checkpoints
    journal: Journal
    progress: Progress
    autocast: torch.dtype | None
    action_format: str = "bash"  # how a completion holds its command
    processes: Processes = ALONE
    sharded: Sharded | None = None  # how the model is shared out among them
    served: Served | None = None  # the server that samples
    effects: Effects | None = None  # what commands do at the steps' states
    position: int = 0  # updates of the stages before

    def __post_init__(self) -> None:
        @lru_cache(maxsize=ENCODED)
        def encode(context: tuple[Message, ...]) -> tuple[int, ...]:
            ids = tuple(encode_chat(self.tokenizer, context))
            check_ids(self.model, self.tokenizer, ids)
            return ids

        self.encode = encode

    @cached_property
    def end(self) -> int:
        """The id that an answer ends with."""
        return turn_end(self.tokenizer, end_tokens(self.model, self.tokenizer))

    def whole(self) -> AbstractContextManager[object]:
        """Inside, every process can sample: where the model is shared out, each gathers all of it; a server has its weights."""
        self.release()
        if self.served:
            self.served.follow(self.to_save, self.sharded is not None)
            return nullcontext()
        return self.sharded.whole() if self.sharded else nullcontext()

    def release(self) -> None:
        """Where the memory is bounded, give back what is not used (see `memory.release`): before a phase of other sizes."""
        if self.settings.memory:
            release()

    def load(self, folder: Path) -> None:
        """Put the weights of a model folder into the model (see `load_weights`)."""
        if self.sharded:
            self.sharded.load(folder)
        else:
            load_weights(self.model, folder)

    def to_save(self) -> PreTrainedModel:
        """The model, or where it is shared out a whole copy of it: every process must ask."""
        return self.sharded.copy() if self.sharded else self.model

    def arithmetic(self) -> AbstractContextManager[object]:
        """The arithmetic of forward passes."""
        return arithmetic(self.model, self.autocast)


def arithmetic(model: PreTrainedModel, dtype: torch.dtype | None) -> AbstractContextManager[object]:
    """The arithmetic of forward passes; None is the parameters' own."""
    return nullcontext() if dtype is None else torch.autocast(device_of(model).type, dtype=dtype)
