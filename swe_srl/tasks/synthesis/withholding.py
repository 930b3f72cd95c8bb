"""Taking tests out of a test file, and the unified diffs between the states of a repository."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Collection, Mapping

from swe_srl.python_source import parse_python
from swe_srl.tasks.synthesis.suite import methods_of


def withhold(path: str, text: str, identifiers: Collection[str]) -> str:
    """A test file without some of its test methods; a class that loses all it has keeps `pass`.

    Args:
        path: the file's place in the repository.
        text: its content.
        identifiers: the tests to take out, as `TestMethod.identifier` names them.
    """
    removed = [test for test in methods_of(path, text) if test.identifier in identifiers]
    return without_lines(text, [(test.first_line, test.last_line) for test in removed])


def without_lines(text: str, spans: Collection[tuple[int, int]]) -> str:
    """A Python file without some functions, and without the blank lines before them.

    Args:
        text: its content.
        spans: first and last line of each function that goes, from 1.
    """
    lines = text.splitlines(keepends=True)
    gone = {line for first, last in spans for line in range(first, last + 1)}
    for first, _ in spans:
        gone |= _blank_lines_before(first, lines)
    fillers = _empty_classes(text, gone)
    kept = []
    for number, line in enumerate(lines, start=1):
        if number in fillers:
            kept.append("    pass\n")
        if number not in gone:
            kept.append(line)
    return "".join(kept)


def _blank_lines_before(line: int, lines: list[str]) -> set[int]:
    blank = set()
    while line > 1 and not lines[line - 2].strip():
        line -= 1
        blank.add(line)
    return blank


def _empty_classes(text: str, gone: set[int]) -> set[int]:
    """First body lines of the classes of which nothing is left."""
    classes = [node for node in parse_python(text).body if isinstance(node, ast.ClassDef)]
    return {
        min(gone & set(range(node.body[0].lineno, (node.end_lineno or 0) + 1)))
        for node in classes
        if all(statement.lineno in gone for statement in node.body)
    }


def file_diff(path: str, old: str, new: str) -> str:
    """One file's change as a unified diff that `git apply` reads; "" when nothing changed."""
    old_lines, new_lines = old.splitlines(keepends=True), new.splitlines(keepends=True)
    hunks = list(difflib.unified_diff(old_lines, new_lines, f"a/{path}", f"b/{path}"))
    if not hunks:
        return ""
    ended = (line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in hunks)
    return f"diff --git a/{path} b/{path}\n" + "".join(ended)


def tree_diff(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """The change of several files (path to content), in order of their paths; both hold the same paths."""
    return "".join(file_diff(path, old[path], new[path]) for path in sorted(old))
