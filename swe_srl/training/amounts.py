"""Amounts that a user writes. Imports no torch."""

from __future__ import annotations

import re

from swe_srl.errors import ConfigError


def memory_bytes(text: str) -> float:
    """The bytes of an amount of memory.

    Raises:
        ConfigError: it is none.

    >>> memory_bytes("24GB"), memory_bytes("1.5 GiB")
    (24000000000.0, 1610612736.0)
    >>> memory_bytes("2000")
    Traceback (most recent call last):
    ...
    swe_srl.errors.ConfigError: memory: expected an amount such as 24GB, 1.5GiB or 800MB, got '2000': it has no unit
    """
    found = re.fullmatch(r"([0-9.]+) *([MGT])(i?)B?", text.strip(), re.IGNORECASE)
    number = float(found[1]) if found and found[1].count(".") < 2 and found[1] != "." else 0.0
    if found is None or number <= 0:
        bare = re.fullmatch(r"[0-9.]+", text.strip(), re.ASCII)
        why = "it has no unit" if bare else "it must be above 0" if found and not number else "that is none"
        raise ConfigError(f"memory: expected an amount such as 24GB, 1.5GiB or 800MB, got {text!r}: {why}")
    return number * float((1024 if found[3] else 1000) ** ("MGT".index(found[2].upper()) + 2))
