"""What an engine tells while it works (pulls, builds), as it tells it, until nobody wants to know any more."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Protocol

POLL = 0.2  # seconds between looks whether somebody still waits
_END = object()


class Stopped(Protocol):
    """An event, as one of `threading`."""

    def is_set(self) -> bool: ...


class StreamStoppedError(Exception):
    """Nobody waits any more."""


def events(client: Any, begin: Callable[[], Iterable[Any]], stopped: Stopped) -> Iterator[Any]:
    """What `begin` yields. An engine that says nothing for long does not keep the caller from giving up.

    Args:
        client: of the engine, used by nobody else meanwhile.
        begin: asks the engine with that client, and yields what it tells; called in a thread.
        stopped: set when nobody waits any more: the connection is closed, which ends the engine's work.

    Raises:
        StreamStoppedError: `stopped` was set.
        Exception: what `begin` raises.
    """
    told: queue.SimpleQueue[tuple[object, Any]] = queue.SimpleQueue()
    answers: list[Any] = []

    def keep(answer: Any, **_: Any) -> None:
        answers.append(answer)

    def read() -> None:
        try:
            for event in begin():
                told.put((None, event))
            told.put((_END, None))
        except Exception as error:
            told.put((_END, error))

    hooks: list[Any] = client.api.hooks["response"]
    hooks.append(keep)
    reading = threading.Thread(target=read, name="engine-stream", daemon=True)
    reading.start()
    try:
        while True:
            try:
                end, event = told.get(timeout=POLL)
            except queue.Empty:
                if stopped.is_set():
                    raise StreamStoppedError from None
                continue
            if end is None:
                if stopped.is_set():
                    raise StreamStoppedError
                yield event
            elif event is None:
                return
            else:
                raise event
    finally:
        hooks.remove(keep)
        if reading.is_alive():
            for answer in answers:
                with suppress(OSError, ValueError, RuntimeError):  # it has come to its end meanwhile
                    answer.raw.shutdown()  # wakes the thread, whose error closes the connection
