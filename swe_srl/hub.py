"""The Hugging Face hub's client, kept from printing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 4.0  # seconds
_WAITING = "waiting for %s, from the Hugging Face hub or its cache; HF_HUB_OFFLINE=1 asks the cache alone"
_log = logging.getLogger(__name__)
_CLIENTS = ("huggingface_hub", "datasets", "transformers")


@contextmanager
def quiet_hub(asked: str = "") -> Iterator[None]:
    """The hub's client does not tell of every try, each with a page of addresses: what comes of them is told once, by us.

    It has to be imported before, since importing it sets the levels that are changed here.

    Args:
        asked: what the hub is asked for; where that takes some seconds, a warning says so. "" for what is on this machine.
    """
    waiting = threading.Timer(PATIENCE, _log.warning, (_WAITING, asked))
    waiting.daemon = True
    if asked:
        waiting.start()
    loggers = [logging.getLogger(name) for name in _CLIENTS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        waiting.cancel()
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
