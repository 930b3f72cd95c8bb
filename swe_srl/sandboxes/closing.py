"""Closing what an interrupt has left running, which a second interrupt must not stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence


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
