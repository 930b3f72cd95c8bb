"""What a small Python program does apart from the texts in it: its code without strings and without the names it gives."""

from __future__ import annotations

import ast
import builtins

_KNOWN = frozenset(dir(builtins)) | {"__file__", "__name__", "__doc__"}


def shape_of(tree: ast.Module) -> tuple[str, bool]:
    """The code with its strings left out and its own names numbered, and whether every name that it reads is set somewhere.

    The shape is "" for a program nested too deeply. The tree is changed.

    >>> one, other = "text = 'a'\\nprint(text)", "t = 'b'\\nprint( t )"
    >>> shape_of(ast.parse(one)) == shape_of(ast.parse(other)), shape_of(ast.parse("print(text)"))[1]
    (True, False)
    """
    given = _given(tree)
    nodes = list(ast.walk(tree))
    read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    stars = any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in nodes)
    sound = stars or read <= given | _KNOWN
    numbers: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
        elif isinstance(node, ast.Name) and node.id in given:
            node.id = numbers.setdefault(node.id, f"name_{len(numbers)}")
    try:
        return ast.unparse(tree), sound
    except RecursionError:
        return "", sound


def _given(tree: ast.Module) -> set[str]:
    """The names that a program sets, wherever in it."""
    given: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            given.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            given.add(node.name)
        elif isinstance(node, ast.arg):
            given.add(node.arg)
        elif isinstance(node, ast.alias):
            given.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            given.add(node.name)
    return given
