"""Several processes: accelerate finds and joins them, torch.distributed carries what they tell each other.

Whatever goes wrong in one process ends all of them, with one message. What happens inside `each` is told there; for
everything else the process leaves word in the group's store and leaves, which ends the others' waiting.
"""

from __future__ import annotations

import atexit
import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from swe_srl.errors import ConfigError, SweSrlError, ToldElsewhereError, TrainingError
from swe_srl.generation.loading import pick_device
from swe_srl.training.processes import Processes

T = TypeVar("T")
Failure = tuple[type[BaseException], str]

PATIENCE = timedelta(hours=2)  # that a process waits for another one that says nothing
HEARD_SECONDS = 10.0  # that a failed process waits for the first one to speak for it
LEFT_SECONDS = 5.0  # that the first one waits for the others to end
POLL_SECONDS = 0.1
BUCKET = 2**25  # numbers that are summed at a time
TOLD = (SweSrlError, MemoryError, torch.OutOfMemoryError, RuntimeError)  # what other processes raise as what it is


class Group(Processes):
    """The processes of a launched run; `join` makes it."""

    def __init__(self) -> None:
        self.index, self.count = dist.get_rank(), dist.get_world_size()
        self._store: Any = dist.distributed_c10d._get_default_store()

    def each(self, work: Callable[[], T]) -> list[T]:
        """See `Processes.each`."""
        failure: BaseException | None = None
        value: T | None = None
        try:
            value = work()
        except BaseException as error:
            failure = error
        answers: list[tuple[Failure | None, Any]] = [(None, None)] * self.count
        try:
            dist.all_gather_object(answers, (_failure(failure), value))
        except RuntimeError as error:
            self._lost(failure or error)
        if failure is not None:
            raise failure
        for index, (said, _) in enumerate(answers):
            if said is not None:
                raise self._of_another(index, said)
        return [value for _, value in answers]

    def together(self, work: Callable[[], T]) -> T:
        """See `Processes.together`."""
        own: list[T] = []
        self.each(lambda: own.append(work()))
        return own[0]

    def from_main(self, work: Callable[[], T]) -> T:
        """See `Processes.from_main`."""
        return self.each(lambda: work() if self.main else None)[0]  # type: ignore[return-value]

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """See `Processes.sum_gradients`. A parameter without a gradient in any process keeps none."""
        trained = list(parameters)
        device = trained[0].device
        used = torch.tensor([one.grad is not None for one in trained], dtype=torch.uint8, device=device)
        try:
            dist.all_reduce(used, dist.ReduceOp.MAX)
            for bucket in _buckets([one for one, there in zip(trained, used.tolist(), strict=True) if there]):
                _sum(bucket)
        except RuntimeError as error:
            self._lost(error)

    def leave(self, error: BaseException) -> BaseException:
        """What to raise for an error that ends this process: the first one speaks for all, if it still can."""
        said = self._word(error)
        with suppress(RuntimeError):  # the store has gone, with the first process
            self._store.set(f"failed/{self.index}", pickle.dumps(_failure(error)))
            _leave()  # ends the waiting of the others
            if self.main:  # whose end would leave the others without the store
                self._heard(range(self.count), LEFT_SECONDS)
            elif self._heard((0,), HEARD_SECONDS):
                return ToldElsewhereError(str(error))
            else:
                self._store.set(f"told/{self.index}", b"yes")
        return said

    def _heard(self, indices: Sequence[int], seconds: float) -> bool:
        """Whether these processes have failed too, within so long."""
        until = time.monotonic() + seconds
        while not self._store.check([f"failed/{index}" for index in indices]):
            if time.monotonic() > until:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _word(self, error: BaseException) -> BaseException:
        """The error, or that of the process whose end caused it."""
        if isinstance(error, (SweSrlError, KeyboardInterrupt)) or not _is_loss(error):
            return error
        for index in range(self.count):
            with suppress(RuntimeError):
                if index != self.index and self._store.check([f"told/{index}"]):
                    return ToldElsewhereError(str(error))
                if index != self.index and self._store.check([f"failed/{index}"]):
                    return self._of_another(index, pickle.loads(self._store.get(f"failed/{index}")))
        return TrainingError(
            f"one of the {self.count} processes ended without a word (killed, out of memory, or its machine is gone): the "
            "same command goes on from the last checkpoint"
        )

    def _lost(self, error: BaseException) -> NoReturn:
        raise self._word(error) from error

    def _of_another(self, index: int, failure: Failure) -> BaseException:
        kind, text = failure
        return kind(f"process {index + 1} of {self.count}: {text}")


def _failure(error: BaseException | None) -> Failure | None:
    """An error as it can be sent."""
    if error is None:
        return None
    if isinstance(error, KeyboardInterrupt):
        return TrainingError, "interrupted"
    text = (
        (str(error).strip() or type(error).__name__) if isinstance(error, TOLD) else f"{type(error).__name__}: {error}"
    )
    return (type(error) if isinstance(error, TOLD) else TrainingError), text


def _is_loss(error: BaseException) -> bool:
    """Whether it says that the connection to another process is gone."""
    if isinstance(error, dist.DistError):
        return True
    return isinstance(error, RuntimeError) and any(
        word in str(error).lower() for word in ("gloo", "connection", "nccl")
    )


def _buckets(parameters: list[nn.Parameter]) -> Iterator[list[Tensor]]:
    """Gradients of one kind, so many together; a missing one is made of zeros."""
    bucket: list[Tensor] = []
    size = 0
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        if bucket and (size + parameter.numel() > BUCKET or parameter.grad.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(parameter.grad)
        size += parameter.numel()
    if bucket:
        yield bucket


def _sum(gradients: list[Tensor]) -> None:
    flat = torch.cat([one.reshape(-1) for one in gradients])
    dist.all_reduce(flat)
    parts = flat.split([one.numel() for one in gradients])  # type: ignore[no-untyped-call]
    for one, part in zip(gradients, parts, strict=True):
        one.copy_(part.view_as(one))


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def join(device: str) -> Group:
    """The group of this process.

    Args:
        device: the setting.

    Raises:
        ConfigError: the processes are to use one GPU.
    """
    where = pick_device(device)
    if where.index is not None:
        raise ConfigError(f"device {device!r}: every process takes a GPU of its own; use cuda or auto")
    if not dist.is_initialized():
        from accelerate import PartialState

        cpu = where.type == "cpu"
        PartialState(cpu=cpu, backend="gloo" if cpu else "cuda:nccl,cpu:gloo", timeout=PATIENCE)
        atexit.register(_leave)
    return Group()
