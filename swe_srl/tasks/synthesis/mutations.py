"""Syntax-tree mutations: small bugs in Python functions, each one replaced piece of one line.

A mutation rewrites only the source segment of its node: the rest of the file stays as it is, byte for byte, so the fix
is a replacement of one line. Nothing here runs code: whether a mutation is a bug that tests notice is found out by
running them (`swe_srl.tasks.synthesis.screening`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from swe_srl.python_source import parse_python
from swe_srl.tasks.synthesis.rewrites import Rewrite, rewrites

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Mutation:
    """One possible bug in one file.

    Args:
        kind: what sort of bug; one of `rewrites.KINDS`.
        function: qualified name of the innermost function (`clamp`, `Box.holds`).
        line: line number of the change, from 1; `old` and `new` are that line before and after.
        source: the whole mutated file.
    """

    kind: str
    function: str
    line: int
    old: str
    new: str
    source: str


def mutations(source: str) -> list[Mutation]:
    """Every mutation of the functions in a Python file, in order of their place; none if the file does not parse.

    >>> [(m.kind, m.new.strip()) for m in mutations("def f(a, b):\\n    return a < b\\n")][:2]
    [('boundary', 'return a <= b'), ('direction', 'return a > b')]
    """
    try:
        tree = parse_python(source)
    except SyntaxError:
        return []
    lines = source.splitlines(keepends=True)
    found: dict[tuple[int, str], Mutation] = {}
    for name, function in functions(tree):
        for node in _own_nodes(function):
            for rewrite in rewrites(node, function):
                mutation = _apply(rewrite, lines, name)
                if mutation is not None:
                    found.setdefault((mutation.line, mutation.new), mutation)
    return sorted(found.values(), key=lambda mutation: mutation.line)


def functions(tree: ast.Module) -> Iterator[tuple[str, _Function]]:
    """Top-level functions and methods of top-level classes with their qualified names; dunder methods are left out."""
    for node in tree.body:
        if isinstance(node, _Function):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, _Function) and not member.name.startswith("__"):
                    yield f"{node.name}.{member.name}", member


def _own_nodes(function: _Function) -> Iterator[ast.expr | ast.stmt]:
    """The nodes of a function's body in source order; the docstring and what stands inside f-strings are left out."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    nodes = [node for statement in body for node in _outside_fstrings(statement)]
    return iter(sorted(nodes, key=lambda node: (node.lineno, node.col_offset)))


def _outside_fstrings(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    if isinstance(node, ast.JoinedStr):  # before Python 3.12 the places of nodes inside an f-string are not known
        return
    if isinstance(node, ast.expr | ast.stmt):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _outside_fstrings(child)


def _apply(rewrite: Rewrite, lines: list[str], function: str) -> Mutation | None:
    """The mutation, or None when the rewritten segment is not within one line or the result is no Python."""
    if rewrite.line != rewrite.end_line:
        return None
    old = lines[rewrite.line - 1]
    data = old.encode()  # the syntax tree counts bytes
    segment = data[rewrite.start : rewrite.end].decode()
    match = re.search(rewrite.pattern or r"\A(.*)\Z", segment)
    if match is None:
        return None
    changed = segment[: match.start(1)] + rewrite.replacement + segment[match.end(1) :]
    if changed == "0" and data[rewrite.start - 1 : rewrite.start] == b"-":
        return None  # nobody writes -0
    new = data[: rewrite.start].decode() + changed + data[rewrite.end :].decode()
    mutated = "".join([*lines[: rewrite.line - 1], new, *lines[rewrite.line :]])
    if new == old or not _parses(mutated):
        return None
    return Mutation(rewrite.kind, function, rewrite.line, old.rstrip("\r\n"), new.rstrip("\r\n"), mutated)


def _parses(source: str) -> bool:
    try:
        parse_python(source)
    except SyntaxError:
        return False
    return True
