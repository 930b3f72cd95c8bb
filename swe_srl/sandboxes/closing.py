"""Closing what an interrupt has left running, which a second interrupt must not stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from swe_srl.errors import SandboxError

log = logging.getLogger(__name__)


class Closeable(Protocol):
    """A sandbox, or what has one."""

    def close(self) -> None: ...


def close_all(begin: Callable[[], Sequence[Callable[[], None]]]) -> None:
    """Close several things at a time, and wait for them. An interrupt ends the waiting alone.

    Args:
        begin: what comes first; it gives what closes each of them, which raises nothing.
    """

    def work() -> None:
        threads = [threading.Thread(target=close, name="closing") for close in begin()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    closing = threading.Thread(target=work, name="closing")
    closing.start()
    closing.join()


def close_or_tell(what: Closeable) -> None:
    """Close a sandbox; one that cannot be closed is left to be swept."""
    try:
        what.close()
    except SandboxError as error:
        log.warning("a sandbox could not be closed and is left to be swept: %s", error)
