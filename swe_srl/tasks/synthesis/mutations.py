"""Syntax-tree mutations: small bugs in Python functions, each one replaced piece of one line, or removed lines.

A mutation rewrites only the source segment of its node: the rest of the file stays as it is, byte for byte, so the fix
is a replacement of one line (of a removed branch: its lines come back). Nothing here runs code: whether a mutation is a bug
that tests notice is found out by running them (`swe_srl.tasks.synthesis.screening`, `swe_srl.tasks.packages.trial`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from swe_srl.python_source import parse_python
from swe_srl.tasks.synthesis.rewrites import KINDS, Rewrite, rewrites
from swe_srl.tasks.synthesis.structure import Removal, attribute_rewrites, removals

Function = ast.FunctionDef | ast.AsyncFunctionDef
ALL_KINDS = (*KINDS, "attribute", "branch")


@dataclass(frozen=True, slots=True)
class Mutation:
    """One possible bug in one file.

    Args:
        kind: what sort of bug; one of `ALL_KINDS`.
        function: qualified name of the innermost function (`clamp`, `Box.holds`).
        line: line number of the change, from 1; `old` and `new` are that line (or the removed lines) before and after.
        pieces: the mutated file: what stands before the change, the change, what stands after it.
    """

    kind: str
    function: str
    line: int
    old: str
    new: str
    pieces: tuple[Sequence[str], str, int] = field(repr=False, compare=False)

    @property
    def source(self) -> str:
        """The whole mutated file."""
        lines, changed, last = self.pieces
        return "".join([*lines[: self.line - 1], changed, *lines[last:]])


def mutations(source: str, kinds: Collection[str] = KINDS, special: bool = False, only: str = "") -> list[Mutation]:
    """Every mutation of the functions in a Python file, in order of their place; none if the file does not parse.

    Args:
        source: the file.
        kinds: of bugs, among `ALL_KINDS`.
        special: whether methods such as `__add__` count too.
        only: functions and methods of this plain name alone; "" for all.

    >>> [(m.kind, m.new.strip()) for m in mutations("def f(a, b):\\n    return a < b\\n")][:2]
    [('boundary', 'return a <= b'), ('direction', 'return a > b')]
    """
    try:
        tree = parse_python(source)
    except SyntaxError:
        return []
    lines = source.splitlines(keepends=True)
    found: dict[tuple[int, str], Mutation] = {}
    for name, function in functions(tree, special):
        if only and name.rpartition(".")[2] != only:
            continue
        for mutation in _of_function(name, function, lines, kinds):
            found.setdefault((mutation.line, mutation.new), mutation)
    return sorted(found.values(), key=lambda mutation: mutation.line)


def _of_function(name: str, function: Function, lines: Sequence[str], kinds: Collection[str]) -> Iterator[Mutation]:
    span = (function.lineno, function.end_lineno or function.lineno)
    found = [rewrite for node in _own_nodes(function) for rewrite in rewrites(node, function)]
    found += attribute_rewrites(list(_own_nodes(function))) if "attribute" in kinds else []
    for rewrite in found:
        mutation = _apply(rewrite, lines, name, span) if rewrite.kind in kinds else None
        if mutation is not None:
            yield mutation
    for removal in removals(function, lines) if "branch" in kinds else ():
        if _parses(lines, span, removal.first, "", removal.last):
            yield _removed(removal, lines, name)


def functions(tree: ast.Module, special: bool = False) -> Iterator[tuple[str, Function]]:
    """Top-level functions and methods of top-level classes with their qualified names; dunder methods only if `special`."""
    for node in tree.body:
        if isinstance(node, Function):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, Function) and (special or not member.name.startswith("__")):
                    yield f"{node.name}.{member.name}", member


def _own_nodes(function: Function) -> Iterator[ast.expr | ast.stmt]:
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


def _apply(rewrite: Rewrite, lines: Sequence[str], function: str, span: tuple[int, int]) -> Mutation | None:
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
    if new == old or not _parses(lines, span, rewrite.line, new, rewrite.line):
        return None
    pieces = (lines, new, rewrite.line)
    return Mutation(rewrite.kind, function, rewrite.line, old.rstrip("\r\n"), new.rstrip("\r\n"), pieces)


def _removed(removal: Removal, lines: Sequence[str], function: str) -> Mutation:
    old = "".join(lines[removal.first - 1 : removal.last]).rstrip("\r\n")
    return Mutation("branch", function, removal.first, old, "", (lines, "", removal.last))


def _parses(lines: Sequence[str], span: tuple[int, int], first: int, changed: str, last: int) -> bool:
    """Whether a function (its lines from its `def` on) is still Python with some lines changed."""
    text = "".join([*lines[span[0] - 1 : first - 1], changed, *lines[last : span[1]]])
    try:
        parse_python(f"class _:\n{text}" if text[:1].isspace() else text)
    except SyntaxError:
        return False
    return True
