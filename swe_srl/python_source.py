"""Parsing Python source in several threads at a time."""

from __future__ import annotations

import ast
import os
import threading
from typing import cast

_parsing = threading.Lock()


def parse_python(source: str) -> ast.Module:
    """`ast.parse(source)`, from any thread.

    Before CPython 3.11.5, `ast.parse` in two threads at a time raises `SystemError: AST constructor recursion depth
    mismatch` now and then (python/cpython#106905): here one thread parses at a time.

    Raises:
        SyntaxError: the source is not Python, holds a null character, or is nested too deeply.
    """
    return cast(ast.Module, _parse(source, "exec"))


def parse_expression(source: str) -> ast.expr:
    """The one expression of a source, from any thread.

    >>> ast.unparse(parse_expression("f( 1,2 )"))
    'f(1, 2)'

    Raises:
        SyntaxError: as for `parse_python`.
    """
    return cast(ast.Expression, _parse(source.lstrip(" \t"), "eval")).body


def _parse(source: str, mode: str) -> ast.AST:
    with _parsing:
        try:
            return cast(ast.AST, ast.parse(source, mode=mode))
        except (ValueError, RecursionError, MemoryError) as error:
            raise SyntaxError(str(error) or "nested too deeply") from None


def _renew() -> None:
    global _parsing  # a thread of the parent may hold it for ever in a forked child
    _parsing = threading.Lock()


os.register_at_fork(after_in_child=_renew)
