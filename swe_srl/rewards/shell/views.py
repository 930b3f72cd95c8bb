"""Lines A to B of a file, whichever tools cut them out: `head | tail`, `tail | head` and `awk` as `sed -n 'A,Bp'`."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swe_srl.rewards.shell.normal import Normal

_FROM = re.compile(r"\A\+([0-9]{1,9})\Z")
_COUNT = re.compile(r"\A([0-9]{1,9})\Z")
_AWK = (
    re.compile(
        r"\A\s*NR\s*>=\s*([0-9]{1,9})\s*&&\s*NR\s*<=\s*([0-9]{1,9})\s*(?:\{\s*print\s*(?:\$0)?\s*;?\s*\})?\s*\Z"
    ),
    re.compile(r"\A\s*NR\s*==\s*([0-9]{1,9})\s*,\s*NR\s*==\s*([0-9]{1,9})\s*(?:\{\s*print\s*(?:\$0)?\s*;?\s*\})?\s*\Z"),
    re.compile(r"\A\s*NR\s*==\s*([0-9]{1,9})\s*(?:\{\s*print\s*(?:\$0)?\s*;?\s*\})?\s*\Z"),
)


_SED = re.compile(r"\A([0-9]{1,9}),(\+?)([0-9]{1,9})p(?:; ?([0-9]{1,9})q)?\Z")


def with_views(stages: list[Normal]) -> list[Normal]:
    """The stages of a pipeline; where its first ones show some lines of one file, `sed` does it.

    A count from the end of a cut (`head -n 20 FILE | tail -n 5`) is taken to be of a file that long.
    """
    if not stages or len(stages[0].operands) != 1 or stages[0].redirects or stages[0].body:
        return stages
    if stages[0].program == "awk" and not stages[0].options:
        found = next(filter(None, (pattern.match(stages[0].pattern) for pattern in _AWK)), None)
        lines = (int(found.group(1)), int(found.group(found.lastindex or 1))) if found is not None else None
        return _shown(stages, lines, 1)
    if stages[0].program == "sed" and stages[0].edit is None and (found := _SED.match(stages[0].pattern)):
        first, last = int(found.group(1)), int(found.group(3)) + (int(found.group(1)) if found.group(2) else 0)
        ends = int(found.group(4) or last)  # the line after which it reads no more
        plain = ("n", "") in stages[0].options and 1 <= first <= last <= ends
        return [replace(stages[0], pattern=f"{first},{last}p"), *stages[1:]] if plain else stages
    if len(stages) > 1 and not stages[1].operands and not stages[1].redirects and not stages[1].body:
        return _shown(stages, _cut(stages[0], stages[1]), 2)
    return stages


def _cut(first: Normal, second: Normal) -> tuple[int, int] | None:
    """First and last line that two cuts leave of a file, where both are plain."""
    options = dict(first.options), dict(second.options)
    numbered = options[0].pop("numbered", None) is not None
    if any(set(one) - {"n"} for one in options) or numbered:
        return None
    ours, theirs = options[0].get("n", "10"), options[1].get("n", "10")
    if first.program == "head" and second.program == "tail" and (last := _COUNT.match(ours)):
        if start := _FROM.match(theirs):
            return int(start.group(1)), int(last.group(1))
        if count := _COUNT.match(theirs):
            return int(last.group(1)) - int(count.group(1)) + 1, int(last.group(1))
    start, count = _FROM.match(ours), _COUNT.match(theirs)
    if first.program == "tail" and second.program == "head" and start and count:
        return int(start.group(1)), int(start.group(1)) + int(count.group(1)) - 1
    return None


def _shown(stages: list[Normal], lines: tuple[int, int] | None, used: int) -> list[Normal]:
    if lines is None or not 1 <= lines[0] <= lines[1]:
        return stages
    view = replace(stages[0], program="sed", options=(("n", ""),), pattern=f"{lines[0]},{lines[1]}p", quoted=())
    return [view, *stages[used:]]
