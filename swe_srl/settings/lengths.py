"""How long a run is to be, beside the one that its folder holds: a longer one may go on in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

NOT_SHORTER = "A run can be made longer, not shorter"


@dataclass(frozen=True)
class Lengths:
    """How long a run is to be, and how long the one in its folder is.

    Args:
        now: the settings that say how long it is, by the names that `differences` gives them.
        was: the same, of the folder.
        grown: those that are longer now, and may be.
        refused: why others that differ have to be the folder's; "" where none differs.
        data: fingerprints that depend on the length, as they are at the folder's.
    """

    now: Mapping[str, Any] = field(default_factory=dict)
    was: Mapping[str, Any] = field(default_factory=dict)
    grown: tuple[str, ...] = ()
    refused: str = ""
    data: Mapping[str, str] = field(default_factory=dict)


LengthsOf = Callable[[Mapping[str, Any], Mapping[str, Any]], Lengths]  # of a folder's settings and of those of a start


def longer(was: int, now: int, endless: bool = False) -> bool:
    """Whether a bound is above another one; with `endless`, 0 is no bound.

    >>> longer(3, 4), longer(3, 0), longer(3, 0, endless=True), longer(0, 3, endless=True)
    (True, False, True, False)
    """
    if endless and 0 in (was, now):
        return now == 0 and was != 0
    return now > was
