"""Locks on files that go with the process that holds them, and that waiting for can be given up."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from swe_srl.evaluation.pulling import PullStoppedError

POLL = 0.2  # seconds between looks


@contextmanager
def locked(file: Path, how: int, stopped: threading.Event) -> Iterator[int]:
    """Hold a lock; the file's descriptor is given for `lock` and `unlock` in between.

    Args:
        file: made when missing.
        how: `fcntl.LOCK_SH` or `fcntl.LOCK_EX`.
        stopped: set by another thread to give up waiting.

    Raises:
        PullStoppedError: `stopped` was set.
    """
    handle = _open(file)
    try:
        lock(handle, how, stopped)
        yield handle
    finally:
        os.close(handle)


@contextmanager
def alone(file: Path) -> Iterator[bool]:
    """Whether nobody else holds a lock on the file; if so, it is held alone until the block ends."""
    handle = _open(file)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def lock(handle: int, how: int, stopped: threading.Event) -> None:
    """Take a lock in place of the one held, if any.

    Raises:
        PullStoppedError: `stopped` was set.
    """
    while True:
        try:
            fcntl.flock(handle, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if stopped.wait(POLL):
                raise PullStoppedError("waiting for an image was interrupted") from None
        else:
            return


def unlock(handle: int) -> None:
    """Let go of the lock."""
    fcntl.flock(handle, fcntl.LOCK_UN)


def _open(file: Path) -> int:
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
