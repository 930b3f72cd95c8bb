"""Mutations of a function's structure: branches that are missing, and attributes mixed up."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from swe_srl.tasks.synthesis.rewrites import Rewrite

_Key = tuple[str, bool]  # of an attribute: whose, and whether it is called


@dataclass(frozen=True, slots=True)
class Removal:
    """Lines of a file that go, from 1, both included."""

    first: int
    last: int


def attribute_rewrites(nodes: Sequence[ast.AST]) -> Iterator[Rewrite]:
    """Attributes that are read, each in place of another one that the same function uses of the same name.

    A method takes the place of a method alone: `self.low` becomes `self.high`, `match.start()` becomes `match.end()`.
    """
    called = {node.func for node in nodes if isinstance(node, ast.Call)}
    used: dict[_Key, dict[str, None]] = {}
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used.setdefault((node.value.id, node in called), {})[node.attr] = None
    for node in nodes:
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            continue
        names = list(used[node.value.id, node in called])
        if not isinstance(node.ctx, ast.Load) or len(names) < 2:
            continue
        other = names[(names.index(node.attr) + 1) % len(names)]
        pattern = rf"\.\s*({node.attr})\Z"
        end_line, end = node.end_lineno or 0, node.end_col_offset or 0
        yield Rewrite("attribute", node.lineno, end_line, node.col_offset, end, other, pattern)


def removals(function: ast.FunctionDef | ast.AsyncFunctionDef, lines: Sequence[str]) -> Iterator[Removal]:
    """The lines of every branch that can be missing: an `if` that stands alone, an `elif`, an `else`."""
    for node in ast.walk(function):
        if not isinstance(node, ast.If):
            continue
        last = node.body[-1].end_lineno or node.lineno
        opens = lines[node.lineno - 1].lstrip()
        if opens.startswith("elif") or not node.orelse:
            yield Removal(node.lineno, last)
        if node.orelse:
            heads = range(last, node.orelse[0].lineno)
            begins = next((line for line in heads if lines[line].strip() == "else:"), None)
            if begins is not None:
                yield Removal(begins + 1, node.orelse[-1].end_lineno or begins)
