"""What a forked process of the owner must not keep: its copies of the connections that keep sandboxes alive.

A sandbox ends when the owner's end of its connections closes. A child that Python forks (`os.fork`, `multiprocessing` with
`fork`) closes its copies at once, so that sandboxes end with their owner, whoever was forked meanwhile.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import weakref
from collections.abc import Iterator
from typing import Protocol

WAIT_SECONDS = 10.0  # that a fork waits for connections that are just being made


class Connected(Protocol):
    """Something of the owner's with descriptors that only the owner may hold."""

    def after_fork(self) -> None:
        """In a process that was just forked: close its copies, telling nobody at the other end. Takes no lock."""


class _Gate:
    """Lets either connections be made, by any number of threads, or processes be forked."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._making = 0
        self._forking = 0

    @contextlib.contextmanager
    def making(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._forking, WAIT_SECONDS)
            self._making += 1
        try:
            yield
        finally:
            with self._changed:
                self._making -= 1
                self._changed.notify_all()

    def before_fork(self) -> None:
        with self._changed:
            self._forking += 1
            self._changed.wait_for(lambda: not self._making, WAIT_SECONDS)

    def after_fork(self) -> None:
        with self._changed:
            self._forking -= 1
            self._changed.notify_all()


_connected: weakref.WeakSet[Connected] = weakref.WeakSet()
_gate = _Gate()


@contextlib.contextmanager
def making_connections(owner: Connected) -> Iterator[None]:
    """While connections are made that `owner` holds from then on. A fork waits until they are (ten seconds at most)."""
    _watch_forks()
    _connected.add(owner)
    with _gate.making():
        yield


@functools.cache
def _watch_forks() -> None:
    os.register_at_fork(
        before=lambda: _gate.before_fork(), after_in_parent=lambda: _gate.after_fork(), after_in_child=_close_copies
    )


def _close_copies() -> None:
    global _gate
    _gate = _Gate()
    for owner in list(_connected):
        with contextlib.suppress(AttributeError):  # it could not be made, and has nothing open
            owner.after_fork()
    _connected.clear()
