"""What a mutation does to one syntax-tree node: which bytes of its line are replaced by what.

Each kind of bug is one function from a node to its possible rewrites.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

KINDS = (
    "boundary",
    "direction",
    "equality",
    "membership",
    "arithmetic",
    "boolean",
    "negation",
    "constant",
    "truth",
    "minmax",
    "method",
    "arguments",
    "variable",
)

_BOUNDARY = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_DIRECTION = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_EQUALITY = {"==": "!=", "!=": "=="}
_MEMBERSHIP = {"in": "not in", "not in": "in", "is": "is not", "is not": "is"}
_ARITHMETIC = {"+": ("-",), "-": ("+",), "*": ("+", "//"), "//": ("*", "%"), "%": ("//",), "/": ("*",)}
_CALLABLES = {"min": "max", "max": "min", "any": "all", "all": "any"}
_METHODS = {
    "startswith": "endswith",
    "endswith": "startswith",
    "upper": "lower",
    "lower": "upper",
    "lstrip": "rstrip",
    "rstrip": "lstrip",
    "ljust": "rjust",
    "rjust": "ljust",
    "find": "rfind",
    "rfind": "find",
    "keys": "values",
    "values": "keys",
    "isupper": "islower",
    "islower": "isupper",
    "isalpha": "isdigit",
    "isdigit": "isalpha",
    "append": "extend",
    "extend": "append",
    "title": "upper",
    "split": "rsplit",
    "rsplit": "split",
}
_OPERATORS: dict[type[ast.AST], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Div: "/",
    ast.And: "and",
    ast.Or: "or",
}


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Replace a piece of one line.

    Args:
        kind: one of `KINDS`.
        line, end_line: where the segment begins and ends, from 1.
        start, end: its byte columns.
        replacement: the new text.
        pattern: regular expression whose group 1 is what is replaced within the segment; "" replaces the whole segment.
    """

    kind: str
    line: int
    end_line: int
    start: int
    end: int
    replacement: str
    pattern: str = ""


def rewrites(node: ast.AST, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Rewrite]:
    """Every rewrite of one node of a function."""
    for types, rewriter in _REWRITERS:
        if isinstance(node, types):
            yield from rewriter(node, function)


def _whole(kind: str, node: ast.expr, replacement: str) -> Rewrite:
    return Rewrite(kind, node.lineno, node.end_lineno or 0, node.col_offset, node.end_col_offset or 0, replacement)


def _between(kind: str, left: ast.expr, right: ast.expr, old: str, new: str) -> Rewrite:
    """Replace the operator that stands between two operands (with brackets and blanks around it, perhaps)."""
    pattern = "(" + r"\s+".join(re.escape(word) for word in old.split()) + ")"
    end = left.end_col_offset or 0
    return Rewrite(kind, left.end_lineno or 0, right.lineno, end, right.col_offset, new, pattern)


def _compare(node: ast.Compare, function: ast.AST) -> Iterator[Rewrite]:
    operands = [node.left, *node.comparators]
    tables = (("boundary", _BOUNDARY), ("direction", _DIRECTION), ("equality", _EQUALITY), ("membership", _MEMBERSHIP))
    for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
        symbol = _OPERATORS[type(operator)]
        for kind, table in tables:
            if symbol in table:
                yield _between(kind, left, right, symbol, table[symbol])


def _arithmetic(node: ast.BinOp | ast.AugAssign, function: ast.AST) -> Iterator[Rewrite]:
    symbol = _OPERATORS.get(type(node.op), "")
    augmented = isinstance(node, ast.AugAssign)
    left, right = (node.target, node.value) if isinstance(node, ast.AugAssign) else (node.left, node.right)
    for other in _ARITHMETIC.get(symbol, ()):
        if augmented:
            yield _between("arithmetic", left, right, f"{symbol}=", f"{other}=")
        elif not _joins_text(node):
            yield _between("arithmetic", left, right, symbol, other)


def _joins_text(node: ast.AST) -> bool:
    """Whether an operand is visibly text: subtracting from a text is an error nobody would commit."""
    return any(isinstance(part, ast.Constant) and isinstance(part.value, str) for part in ast.iter_child_nodes(node))


def _boolean(node: ast.BoolOp, function: ast.AST) -> Iterator[Rewrite]:
    symbol = _OPERATORS[type(node.op)]
    if len(node.values) == 2:
        yield _between("boolean", node.values[0], node.values[1], symbol, "or" if symbol == "and" else "and")


def _negation(node: ast.If | ast.While | ast.UnaryOp, function: ast.AST) -> Iterator[Rewrite]:
    if isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.Not):
            yield Rewrite(
                "negation", node.lineno, node.lineno, node.col_offset, node.operand.col_offset, "", r"\A(not\s+)"
            )
    elif not isinstance(node.test, ast.UnaryOp | ast.BoolOp | ast.Compare):
        test = node.test
        yield Rewrite("negation", test.lineno, test.lineno, test.col_offset, test.col_offset, "not ")


def _constant(node: ast.Constant, function: ast.AST) -> Iterator[Rewrite]:
    if isinstance(node.value, int) and not isinstance(node.value, bool):
        yield _whole("constant", node, str(node.value + 1))
        if node.value > 0:
            yield _whole("constant", node, str(node.value - 1))


def _truth(node: ast.Constant, function: ast.AST) -> Iterator[Rewrite]:
    if isinstance(node.value, bool):
        yield _whole("truth", node, str(not node.value))


def _minmax(node: ast.Call, function: ast.AST) -> Iterator[Rewrite]:
    if isinstance(node.func, ast.Name) and node.func.id in _CALLABLES:
        yield _whole("minmax", node.func, _CALLABLES[node.func.id])


def _method(node: ast.Call, function: ast.AST) -> Iterator[Rewrite]:
    if isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS:
        place = node.func
        pattern = rf"\.\s*({place.attr})\Z"
        line, end_line = place.lineno, place.end_lineno or 0
        end = place.end_col_offset or 0
        yield Rewrite("method", line, end_line, place.col_offset, end, _METHODS[place.attr], pattern)


def _arguments(node: ast.Call, function: ast.AST) -> Iterator[Rewrite]:
    """The first two positional arguments of a call, swapped."""
    simple = (ast.Name, ast.Constant, ast.Attribute, ast.Subscript, ast.BinOp, ast.Call)
    if len(node.args) < 2 or not all(isinstance(argument, simple) for argument in node.args[:2]):
        return
    if isinstance(node.func, ast.Name) and node.func.id in {"min", "max", "isinstance"}:
        return  # the order of min's and max's arguments means nothing
    first, second = node.args[:2]
    swapped = f"{ast.unparse(second)}, {ast.unparse(first)}".replace("'", '"')
    end_line, end = second.end_lineno or 0, second.end_col_offset or 0
    yield Rewrite("arguments", first.lineno, end_line, first.col_offset, end, swapped)


def _variable(node: ast.Name, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Rewrite]:
    """Another parameter of the function in place of one."""
    parameters = [argument.arg for argument in function.args.args if argument.arg not in {"self", "cls"}]
    if isinstance(node.ctx, ast.Load) and node.id in parameters:
        for other in parameters:
            if other != node.id:
                yield _whole("variable", node, other)


_Rewriter = Callable[..., Iterator[Rewrite]]
_REWRITERS: tuple[tuple[type[ast.AST] | tuple[type[ast.AST], ...], _Rewriter], ...] = (
    (ast.Compare, _compare),
    ((ast.BinOp, ast.AugAssign), _arithmetic),
    (ast.BoolOp, _boolean),
    ((ast.If, ast.While, ast.UnaryOp), _negation),
    (ast.Constant, _constant),
    (ast.Constant, _truth),
    (ast.Call, _minmax),
    (ast.Call, _method),
    (ast.Call, _arguments),
    (ast.Name, _variable),
)
