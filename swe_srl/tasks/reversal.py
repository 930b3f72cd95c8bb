"""Turning a unified diff around, for data sets whose `patch` plants the bug instead of fixing it."""

from __future__ import annotations

import re

_HUNK = re.compile(r"^@@ -(\d+(?:,\d+)?) \+(\d+(?:,\d+)?) @@(.*)$", re.DOTALL)
_INDEX = re.compile(r"^index ([0-9a-f]+)\.\.([0-9a-f]+)(.*)$", re.DOTALL)
_OPPOSITE = (
    ("new file mode ", "deleted file mode "),
    ("old mode ", "new mode "),
    ("rename from ", "rename to "),
    ("copy from ", "copy to "),
)


def reverse_patch(patch: str) -> str:
    """The diff that undoes `patch`.

    >>> print(reverse_patch("--- a/f\\n+++ b/f\\n@@ -1,2 +1,2 @@\\n-old\\n+new\\n same\\n"), end="")
    --- a/f
    +++ b/f
    @@ -1,2 +1,2 @@
    -new
    +old
     same
    """
    result: list[str] = []
    header: list[str] = []
    block: list[str] = []  # a run of changed lines
    in_hunk = False
    for line in patch.splitlines(keepends=True):
        hunk = _HUNK.match(line)
        if in_hunk and line[0] in "-+\\":
            block.append(line)
            continue
        result += _reverse_block(block)
        block.clear()
        if hunk:
            result += _reverse_header(header)
            header.clear()
            result.append(f"@@ -{hunk[2]} +{hunk[1]} @@{hunk[3]}")
            in_hunk = True
        elif in_hunk and line[0] in " \r\n":
            result.append(line)
        else:
            in_hunk = False
            header.append(line)
    return "".join([*result, *_reverse_block(block), *_reverse_header(header)])


def _reverse_block(block: list[str]) -> list[str]:
    """Changed lines with their signs swapped, removals first; a "no newline" mark stays with the line before it."""
    removed: list[str] = []
    added: list[str] = []
    for line in block:
        if line[0] == "-":
            added.append("+" + line[1:])
            last = added
        elif line[0] == "+":
            removed.append("-" + line[1:])
            last = removed
        else:
            last.append(line)
    return removed + added


def _reverse_header(header: list[str]) -> list[str]:
    """The lines before a file's first hunk, seen from the other side."""
    names = {line[:4]: line[4:] for line in header if line.startswith(("--- ", "+++ "))}
    return [_reverse_header_line(line, names) for line in _ordered(header)]


def _ordered(header: list[str]) -> list[str]:
    """`rename from` must come before `rename to`, `old mode` before `new mode`: swap such neighbours."""
    lines = list(header)
    for i in range(len(lines) - 1):
        for first, second in _OPPOSITE[1:]:
            if lines[i].startswith(first) and lines[i + 1].startswith(second):
                lines[i], lines[i + 1] = lines[i + 1], lines[i]
    return lines


def _reverse_header_line(line: str, names: dict[str, str]) -> str:
    if line.startswith("--- "):
        return "--- " + _renamed(names.get("+++ ", line[4:]), "a/")
    if line.startswith("+++ "):
        return "+++ " + _renamed(names.get("--- ", line[4:]), "b/")
    index = _INDEX.match(line)
    if index:
        return f"index {index[2]}..{index[1]}{index[3]}"
    for first, second in _OPPOSITE:
        if line.startswith(first):
            return second + line[len(first) :]
        if line.startswith(second):
            return first + line[len(second) :]
    return line


def _renamed(name: str, prefix: str) -> str:
    return name if name.startswith("/dev/null") or name[1:2] != "/" else prefix + name[2:]
