"""The Hugging Face hub's client, kept from printing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_CLIENTS = ("huggingface_hub", "datasets", "transformers")


@contextmanager
def quiet_hub() -> Iterator[None]:
    """The hub's client does not tell of every try, each with a page of addresses: what comes of them is told once, by us.

    It has to be imported before, since importing it sets the levels that are changed here.
    """
    loggers = [logging.getLogger(name) for name in _CLIENTS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
