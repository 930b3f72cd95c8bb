"""From a failing test to a script that shows the failure without pytest and without the test's name."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from swe_srl.python_source import parse_expression, parse_python

MAX_LINES = 25
MAX_CHARACTERS = 1200
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class FoundTest:
    """A test function in a test file.

    Args:
        function: its syntax tree.
        owner: the class that it is a method of, if any.
        first_line, last_line: its lines, decorators included.
    """

    function: _Function
    owner: ast.ClassDef | None
    first_line: int
    last_line: int


def find_test(tree: ast.Module, node_id: str) -> FoundTest | None:
    """The function of a test; None when the file does not spell it out (it is inherited, or made by a program).

    Args:
        tree: the test file's.
        node_id: as pytest gives it.
    """
    *classes, name = (part.split("[")[0] for part in node_id.split("[")[0].split("::")[1:])
    owner: ast.ClassDef | None = None
    body: Sequence[ast.stmt] = tree.body
    for wanted in classes:
        owner = next((node for node in body if isinstance(node, ast.ClassDef) and node.name == wanted), None)
        if owner is None:
            return None
        body = owner.body
    several = [node for node in body if isinstance(node, _Function) and node.name == name]
    if len(several) != 1:
        return None
    function = several[0]
    first = min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])
    return FoundTest(function, owner, first, function.end_lineno or function.lineno)


def failing_statement(test: FoundTest, line: int) -> ast.stmt | None:
    """The innermost simple statement of a test that stands on a line; of a compound one, nothing."""
    inside = [node for node in ast.walk(test.function) if isinstance(node, ast.stmt) and _covers(node, line)]
    simple = [node for node in inside if not hasattr(node, "body")]
    return simple[-1] if simple else None


def example_script(text: str, tree: ast.Module, test: FoundTest, line: int, values: Mapping[str, str]) -> str:
    """A script that does what the test does up to the failing line; "" when none can be told from the source.

    Args:
        text: the test file; `tree` is its syntax tree.
        test: one of its tests.
        line: where it fails.
        values: reprs of its arguments; those that are no plain values (most fixtures) cannot be written down.
    """
    arguments = [argument.arg for argument in test.function.args.args]
    if isinstance(test.function, ast.AsyncFunctionDef):
        return ""
    lines = text.split("\n")
    head: list[str] = []
    if arguments[:1] == ["self"] and test.owner is not None:
        arguments = arguments[1:]
        if _uses_self(test.function):
            if not _asserts_alone(test.function):
                return ""
            head = ["import unittest", "self = unittest.TestCase()"]
    for name in arguments:
        if not _is_plain(values.get(name, "")):
            return ""
        head.append(f"{name} = {values[name]}")
    statements = [node for node in _without_docstring(test.function) if node.lineno <= line]
    if not statements or not _covers(statements[-1], line):
        return ""
    body = textwrap.dedent("\n".join(lines[_first_line(statements[0]) - 1 : statements[-1].end_lineno]))
    try:
        needed = _names(parse_python(body)) - set(arguments)
    except SyntaxError:  # a text in several lines that dedenting changed
        return ""
    above = _definitions(tree, lines, needed)
    script = "\n".join([*above, *head, body]).strip("\n")
    fits = len(script) <= MAX_CHARACTERS and script.count("\n") < MAX_LINES
    return script if fits and "pytest" not in script else ""


def called_names(statement: ast.stmt) -> list[str]:
    """Plain names of what a statement calls, in order, the innermost last."""
    found = [node.func for node in ast.walk(statement) if isinstance(node, ast.Call)]
    names = [f.id if isinstance(f, ast.Name) else f.attr for f in found if isinstance(f, ast.Name | ast.Attribute)]
    return list(dict.fromkeys(names))


def _covers(node: ast.stmt, line: int) -> bool:
    return _first_line(node) <= line <= (node.end_lineno or node.lineno)


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _without_docstring(function: _Function) -> list[ast.stmt]:
    return function.body[1:] if ast.get_docstring(function) is not None else function.body


def _is_plain(text: str) -> bool:
    try:
        ast.literal_eval(parse_expression(text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False
    return True


def _uses_self(function: _Function) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "self" for node in ast.walk(function))


def _asserts_alone(function: _Function) -> bool:
    """Whether all that a method asks of `self` is what `unittest.TestCase` has."""
    used = [node for node in ast.walk(function) if isinstance(node, ast.Attribute)]
    asked = [node for node in used if isinstance(node.value, ast.Name) and node.value.id == "self"]
    count = sum(isinstance(node, ast.Name) and node.id == "self" for node in ast.walk(function))
    return len(asked) == count and all(node.attr.startswith("assert") or node.attr == "fail" for node in asked)


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _definitions(tree: ast.Module, lines: Sequence[str], needed: set[str]) -> list[str]:
    """Source of the module's statements that bind the needed names, and those that these need, in order."""
    bound = [(node, set(_binds(node))) for node in tree.body]
    chosen: set[int] = set()
    waiting, asked = set(needed), set(needed)
    while waiting:
        name = waiting.pop()
        asked.add(name)
        for index, (node, names) in enumerate(bound):
            if name in names and index not in chosen:
                chosen.add(index)
                if not isinstance(node, ast.Import | ast.ImportFrom):
                    waiting |= _names(node)
    return [_source(tree.body[index], lines, asked) for index in sorted(chosen)]


def _source(node: ast.stmt, lines: Sequence[str], needed: set[str]) -> str:
    if isinstance(node, ast.Import | ast.ImportFrom):
        kept = [alias for alias in node.names if (alias.asname or alias.name).split(".")[0] in needed]
        node.names, names = kept or node.names, node.names
        text = ast.unparse(node)
        node.names = names
        return text
    return "\n".join(lines[_first_line(node) - 1 : node.end_lineno])


def _binds(node: ast.stmt) -> Iterator[str]:
    """The names that a statement at the top of a module binds; of a star import or a relative one, none."""
    if isinstance(node, ast.ImportFrom) and node.level:
        return
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from ((alias.asname or alias.name).split(".")[0] for alias in node.names)
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, _Function | ast.ClassDef):
        yield node.name
