"""Memory: running out of it is said with the settings that lower what is needed; what is not used is given back."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from swe_srl.errors import TrainingError
from swe_srl.training.settings import TrainSettings

CPU_REASON = "can't allocate memory"  # of the RuntimeError that torch raises on a CPU


@contextmanager
def memory_named(settings: TrainSettings) -> Iterator[None]:
    """Say which settings to lower when memory runs out inside, on a GPU or a CPU.

    Raises:
        TrainingError: memory ran out.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not isinstance(error, (torch.OutOfMemoryError, MemoryError)) and CPU_REASON not in str(error):
            raise
        budgets = [f"update_tokens ({settings.update_tokens})", f"generate_tokens ({settings.generate_tokens})"]
        lower = [f"memory ({settings.memory})"] if settings.memory else budgets
        lower += [] if settings.max_context_tokens == 0 else [f"max_context_tokens ({settings.max_context_tokens})"]
        other = [] if settings.gradient_checkpointing else ["set gradient_checkpointing"]
        other += [] if settings.lora.rank else ["train adapters (lora.rank)"]
        hint = f"; or {', or '.join(other)}" if other else ""
        reason = (str(error).strip().splitlines() or ["no details"])[0]
        raise TrainingError(f"out of memory: lower {' or '.join(lower)}{hint} ({reason})") from error


def release() -> None:
    """Give memory that was freed back to the system.

    The C library (glibc) keeps it for later, in pieces; passes and batches of other sizes do not fit into them, so a process
    would grow beyond what it uses. Elsewhere nothing happens.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except AttributeError:  # another C library
        return
    trim(ctypes.c_size_t(0))
