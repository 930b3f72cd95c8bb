"""What patches are like: their size, and which files they touch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from swe_srl.types import Task

_TEST = re.compile(r"(?:^|/)(?:tests?|testing)/|(?:^|/)(?:test_[^/]*|[^/]*_tests?\.\w+|conftest\.py)$")


@dataclass(frozen=True, slots=True)
class PatchStatistics:
    """Means over the patches that are not empty and can be read.

    Args:
        patches: how many those are.
        empty: patches without a change.
        unreadable: patches that unidiff cannot read.
        files, hunks, added, removed: mean sizes; the last two in lines.
        touched_gold: share of the patches that touch a file of the gold patch; None where no gold patch is known.
        found_gold: mean share of the gold patch's files that a patch touches; None likewise.
        touched_tests: share of the patches that touch a test file.
    """

    patches: int
    empty: int
    unreadable: int
    files: float = 0.0
    hunks: float = 0.0
    added: float = 0.0
    removed: float = 0.0
    touched_gold: float | None = None
    found_gold: float | None = None
    touched_tests: float = 0.0


def patch_statistics(patches: Iterable[tuple[str, str]], tasks: Mapping[str, Task]) -> PatchStatistics:
    """The figures of some patches.

    Args:
        patches: instance and diff.
        tasks: by instance, for their gold patches and test patches; others have none.
    """
    given = list(patches)
    read = [(name, found) for name, patch in given if patch.strip() and (found := _read(patch)) is not None]
    empty = sum(not patch.strip() for _, patch in given)
    unreadable = len(given) - empty - len(read)
    if not read:
        return PatchStatistics(0, empty, unreadable)
    shares = [share for name, found in read if (share := _gold_share(found, tasks.get(name))) is not None]
    return PatchStatistics(
        patches=len(read),
        empty=empty,
        unreadable=unreadable,
        files=fmean(len(found) for _, found in read),
        hunks=fmean(sum(len(file) for file in found) for _, found in read),
        added=fmean(found.added for _, found in read),
        removed=fmean(found.removed for _, found in read),
        touched_gold=fmean(share > 0 for share in shares) if shares else None,
        found_gold=fmean(shares) if shares else None,
        touched_tests=fmean(_touches_tests(found, tasks.get(name)) for name, found in read),
    )


def touched_files(patch: str) -> frozenset[str]:
    """The files that a diff changes, adds or removes; none when it cannot be read.

    >>> sorted(touched_files("--- a/x.py\\n+++ b/x.py\\n@@ -1 +1 @@\\n-a\\n+b\\n"))
    ['x.py']
    """
    return _files(_read(patch) or ())


def _read(patch: str) -> PatchSet | None:
    try:
        found = PatchSet(patch)
    except UnidiffParseError:
        return None
    return found if len(found) else None


def _files(patch: Iterable[object]) -> frozenset[str]:
    return frozenset(str(file.path) for file in patch)  # type: ignore[attr-defined]


def _gold_share(patch: PatchSet, task: Task | None) -> float | None:
    gold = touched_files(task.patch) if task is not None else frozenset()
    return len(gold & _files(patch)) / len(gold) if gold else None


def _touches_tests(patch: PatchSet, task: Task | None) -> bool:
    graded = touched_files(task.test_patch) if task is not None else frozenset()
    return any(name in graded or _TEST.search(name) for name in _files(patch))
