"""Memory: running out of it is said with the settings that lower what is needed; what is not used is given back."""

from __future__ import annotations

import ctypes
import re
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import PreTrainedModel

from swe_srl.errors import TrainingError
from swe_srl.training.settings import TrainSettings

CPU_REASON = "can't allocate memory"  # of the RuntimeError that torch raises on a CPU
M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
APART = 2**20  # bytes: larger blocks are the system's again as soon as they are freed


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
        again = (
            f"lower {' or '.join(lower)}{'' if settings.gradient_checkpointing else ', or set gradient_checkpointing'}"
        )
        context = f" ({settings.max_context_tokens})" if settings.max_context_tokens else ""
        new = [f"a lower max_context_tokens{context}", *([] if settings.lora.rank else ["adapters (lora.rank)"])]
        reason = (str(error).strip().splitlines() or ["no details"])[0]
        raise TrainingError(
            f"out of memory: {again}, and give the same command again: the run goes on. Or start another one, in another "
            f"folder, with {' or '.join(new)} ({reason})"
        ) from error


def recompute_activations(model: PreTrainedModel) -> None:
    """Let a model compute activations again going backward, and nothing else: dropout stays off.

    `transformers` does so in modules in training mode alone, so those that can are put into it, without what is in them.
    """
    model.gradient_checkpointing_enable()  # type: ignore[no-untyped-call]
    for module in model.modules():
        if getattr(module, "gradient_checkpointing", False):
            module.training = True
            own = [name for name, value in vars(module).items() if "drop" in name and isinstance(value, float)]
            for name in own:
                setattr(module, name, 0.0)


def give_back_at_once() -> None:
    """Let every large block of this process be the system's own again when it is freed; for the rest of the process.

    The C library (glibc) raises the size from which it does so with every block that it frees, up to 32 MiB. Activations and
    logits then come from its heap, where blocks of other sizes leave holes: the peak is up to half above what is in use, and
    another in every run. It takes more of the kernel's time (zeroed pages). Elsewhere nothing happens.
    """
    try:
        option = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return
    option(ctypes.c_int(M_MMAP_THRESHOLD), ctypes.c_int(APART))


def release() -> None:
    """Give memory that was freed in small blocks back to the system, which the C library (glibc) keeps for later.

    Elsewhere nothing happens.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except AttributeError:  # another C library
        return
    trim(ctypes.c_size_t(0))


def peak_bytes() -> int:
    """The most memory that this process has held.

    Linux's `ru_maxrss` is no such number: a process started by `vfork` (as `subprocess` does) has its parent's peak in it.
    """
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(), re.MULTILINE)):
        return int(found[1]) << 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10
