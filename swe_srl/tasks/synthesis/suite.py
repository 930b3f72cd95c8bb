"""A repository's modules and unittest suite, as far as synthesis must understand them."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from swe_srl.python_source import parse_expression, parse_python

TEST_COMMAND = "python3 -m unittest -v"
TEST_SECONDS = 30  # bound of a suite that takes a fraction of a second: an agent's edit may loop for ever
_RESULT = re.compile(r"^(.+?) \.\.\. .*?(ok|FAIL|ERROR|skipped\b.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class TestMethod:
    """One test method.

    Args:
        path: its file, relative to the repository.
        class_name: its class.
        first_line, last_line: its lines, decorators included.
        expression, expected: the arguments of its only assertion, when that is a one-line `assertEqual`; else "".
        importing: the imports its expression needs, as one line.
        title: first line of its docstring, which `unittest -v` prints below the name.
    """

    __test__ = False  # not a test class for pytest

    path: str
    class_name: str
    name: str
    first_line: int
    last_line: int
    expression: str
    expected: str
    importing: str
    title: str = ""

    @property
    def identifier(self) -> str:
        """What `unittest -v` prints before the result: the name that swebench's parser of such logs yields."""
        if self.title:
            return self.title
        module = self.path.removesuffix(".py").replace("/", ".")
        return f"{self.name} ({module}.{self.class_name}.{self.name})"

    def calls(self, function: str) -> bool:
        """Whether the expression calls a function or method of that plain name."""
        if not self.expression:
            return False
        called = [node.func for node in ast.walk(parse_expression(self.expression)) if isinstance(node, ast.Call)]
        names = {f.id if isinstance(f, ast.Name) else f.attr for f in called if isinstance(f, ast.Name | ast.Attribute)}
        return function in names


def module_paths(root: Path) -> list[str]:
    """The Python files of a repository that are neither tests nor hidden, relative, sorted."""
    return [path for path in _python_paths(root) if not _is_test(path)]


def read_tests(root: Path) -> list[TestMethod]:
    """The test methods of a repository's test files, in order of file and line."""
    return [
        test for path in _python_paths(root) if _is_test(path) for test in methods_of(path, (root / path).read_text())
    ]


def methods_of(path: str, text: str) -> list[TestMethod]:
    """The test methods of one test file.

    >>> text = "class T:\\n    def test_f(self):\\n        self.assertEqual(f(1), 2)\\n"
    >>> methods_of("tests/test_a.py", text)[0].expression
    'f(1)'
    """
    tree = parse_python(text)
    importing = "; ".join(ast.unparse(node) for node in tree.body if _is_plain_import(node))
    return [
        _test_method(path, owner.name, method, text, importing)
        for owner in tree.body
        if isinstance(owner, ast.ClassDef)
        for method in owner.body
        if isinstance(method, ast.FunctionDef) and method.name.startswith("test")
    ]


def log_outcomes(log: str) -> dict[str, str]:
    """Test name to ok, FAIL, ERROR or skipped of a `unittest -v` log: enough to screen bugs, not to grade patches.

    >>> log_outcomes("test_a (tests.test_m.T.test_a) ... ok\\ntest_b (tests.test_m.T.test_b) ... FAIL")
    {'test_a (tests.test_m.T.test_a)': 'ok', 'test_b (tests.test_m.T.test_b)': 'FAIL'}
    """
    return {match[1]: match[2].split()[0] for match in _RESULT.finditer(log)}


def _python_paths(root: Path) -> list[str]:
    paths = (path.relative_to(root) for path in root.rglob("*.py"))
    return sorted(
        path.as_posix()
        for path in paths
        if not any(part.startswith(".") or part == "__pycache__" for part in path.parts)
    )


def _is_test(path: str) -> bool:
    parts = path.split("/")
    return parts[-1].startswith("test") or "tests" in parts[:-1]


def _is_plain_import(node: ast.stmt) -> bool:
    if isinstance(node, ast.Import):
        return all(alias.name != "unittest" for alias in node.names)
    return isinstance(node, ast.ImportFrom) and node.level == 0


def _test_method(path: str, owner: str, method: ast.FunctionDef, text: str, importing: str) -> TestMethod:
    expression, expected = _assertion(method, text)
    title = (ast.get_docstring(method) or "").partition("\n")[0].strip()
    last = method.end_lineno or method.lineno
    return TestMethod(path, owner, method.name, _first_line(method), last, expression, expected, importing, title)


def _first_line(method: ast.FunctionDef) -> int:
    return min([method.lineno, *(decorator.lineno for decorator in method.decorator_list)])


def _assertion(method: ast.FunctionDef, text: str) -> tuple[str, str]:
    """Expression and expected value of a method that is one one-line `self.assertEqual(expression, expected)`."""
    statement = method.body[0]
    call = statement.value if isinstance(statement, ast.Expr) else None
    if len(method.body) != 1 or not isinstance(call, ast.Call) or call.lineno != call.end_lineno:
        return "", ""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "assertEqual" or len(call.args) != 2:
        return "", ""
    expression, expected = (ast.get_source_segment(text, argument) or "" for argument in call.args)
    return expression, expected
