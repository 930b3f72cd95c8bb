"""The processes that train one model together. Each does the same: only sampling, rewards and passes are shared out.

What was sampled is handed to all, so every process takes the same decisions (dynamic sampling, the batch, the best update)
from the same numbers. The first one alone writes and speaks. This module is about one process; `training.group` about many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from torch import nn

from swe_srl.errors import ConfigError, ToldElsewhereError
from swe_srl.launched import check_launcher, launched

T = TypeVar("T")
R = TypeVar("R")


class Processes:
    """One process alone: it does everything."""

    index = 0
    count = 1

    @property
    def main(self) -> bool:
        """Whether this process writes and speaks."""
        return self.index == 0

    def each(self, work: Callable[[], T]) -> list[T]:
        """What `work` gives in every process, in order; when it fails in one, it fails in all.

        Raises:
            Exception: the process's own; else that of another process, which its message names.
        """
        return [work()]

    def together(self, work: Callable[[], T]) -> T:
        """What `work` gives in this process; when it fails in one, it fails in all (see `each`)."""
        return work()

    def from_main(self, work: Callable[[], T]) -> T:
        """What `work` gives in the first process, which alone does it."""
        return work()

    def map(self, work: Callable[[Sequence[T]], Sequence[R]], items: Sequence[T]) -> list[R]:
        """One result for each item, in order; every process works on its share of the items."""
        shares = self.each(lambda: work(items[self.index :: self.count]))
        return [shares[i % self.count][i // self.count] for i in range(len(items))]

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give the gradients of every process their sum over all."""

    def leave(self, error: BaseException) -> BaseException:
        """What to raise for an error that ends this process."""
        return error


ALONE = Processes()


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """The processes of this run: all that the launcher started, or this one alone.

    Args:
        device: the setting.

    Raises:
        ConfigError: the launcher was asked for what would be ignored, or the processes are to use one GPU.
        ToldElsewhereError: an error that the first process says.
    """
    place = launched()
    try:
        check_launcher()
        group = _group(device) if place.count > 1 else ALONE
    except ConfigError as error:  # the same in every process
        if place.main:
            raise
        raise ToldElsewhereError(str(error)) from error
    try:
        yield group
    except BaseException as error:
        last = group.leave(error)
        if last is error:
            raise
        raise last from error


def _group(device: str) -> Processes:
    from swe_srl.training.group import join  # torch.distributed and accelerate

    return join(device)


def fair_shares(sizes: Sequence[int], count: int) -> list[list[int]]:
    """Indices of items in `count` shares of about equal size, each ascending: the largest first, to whoever has least.

    >>> fair_shares([3, 1, 1, 3, 2], 2)
    [[0, 4], [1, 2, 3]]
    """
    shares: list[list[int]] = [[] for _ in range(count)]
    totals = [0] * count
    for index in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
        least = min(range(count), key=lambda share: (totals[share], share))
        shares[least].append(index)
        totals[least] += sizes[index]
    return [sorted(share) for share in shares]
