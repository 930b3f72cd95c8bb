"""Pairs of words and of parts: which belongs to which, and how alike two paths are."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence

MOST = 40  # pipelines, stages and operands that are compared one by one; more count as unmatched


def assign(table: list[list[float]]) -> list[tuple[int, int]]:
    """Pairs of pipelines, best first; at most one partner each."""
    cells = [(-value, abs(i - j), i, j) for i, row in enumerate(table) for j, value in enumerate(row)]
    pairs: list[tuple[int, int]] = []
    used: tuple[set[int], set[int]] = (set(), set())
    for _, _, i, j in sorted(cells):
        if i not in used[0] and j not in used[1]:
            used[0].add(i)
            used[1].add(j)
            pairs.append((i, j))
    return pairs


def path_similarity(first: str, second: str) -> float:
    """1 for the same path; part of it for the same name elsewhere, or a neighbour in the same folder.

    >>> path_similarity("src/a.py", "src/a.py"), path_similarity("src/a.py", "src/b.py") < path_similarity("a.py", "src/a.py")
    (1.0, True)
    """
    if first == second:
        return 1.0
    if first.partition("::")[0] == second.partition("::")[0]:
        return 0.6
    if posixpath.basename(first) == posixpath.basename(second):
        return 0.45
    ours, theirs = first.split("/"), second.split("/")
    common = 0
    while common < min(len(ours), len(theirs)) and ours[common] == theirs[common]:
        common += 1
    inside = 0.15 if common and common == min(len(ours), len(theirs)) else 0.0
    return 0.2 * common / max(len(ours), len(theirs)) + inside


def in_order(first: Sequence[str], second: Sequence[str], likeness: Callable[[str, str], float]) -> float:
    """Mean likeness of words in the same place."""
    longest = max(len(first), len(second))
    return sum(likeness(one, other) for one, other in zip(first, second, strict=False)) / longest if longest else 1.0


def match(first: Sequence[str], second: Sequence[str], likeness: Callable[[str, str], float]) -> float:
    """Mean likeness of words with their partners, whatever the order."""
    longest = max(len(first), len(second))
    if not longest:
        return 1.0
    table = [[likeness(one, other) for other in second[:MOST]] for one in first[:MOST]]
    return sum(table[i][j] for i, j in assign(table)) / longest
