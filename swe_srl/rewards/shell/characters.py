"""Characters that the grammar cannot read: other letters stand in for them while it does."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any


def stand_ins(text: str) -> dict[int, str] | None:
    """Letters below U+0100, not in the text, for its characters above; None when there are too many of those.

    The grammar's scanner looks characters up in a table of that size and may end the process on others.
    """
    high = sorted({ord(char) for char in text if ord(char) > 0xFF})
    free = [chr(code) for code in range(0xC0, 0x100) if chr(code) not in text]
    return dict(zip(high, free, strict=False)) if len(high) <= len(free) else None


def translated(value: Any, table: dict[int, str]) -> Any:
    """The same records with every string in them translated."""
    if isinstance(value, str):
        return value.translate(table)
    if isinstance(value, list | tuple):
        return type(value)(translated(one, table) for one in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: translated(getattr(value, one.name), table) for one in fields(value)})
    return value
