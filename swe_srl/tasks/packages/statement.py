"""The issue of a task: what a failing test shows, in the words of its output; never the fix, never the test's name."""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence

MESSAGE_LINES = 12
LINE_CHARACTERS = 200
UNNAMED = "this code"
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")
_INSIDE = re.compile(r"(?:\w+\.)+<locals>\.")  # of what a test defines: it begins with the test's name
_TITLES = {
    True: ("{subject}: wrong result", "{subject} gives a wrong result", "Unexpected result of {subject}"),
    False: ("{subject} raises {error}", "{error} from {subject}", "{subject}: unexpected {error}"),
}
_BODIES = (
    "{intro}:\n\n```python\n{code}\n```\n\nIt ends with\n\n```\n{message}\n```",
    "{intro}:\n\n```python\n{code}\n```\n\nOutput:\n\n```\n{message}\n```",
    "```python\n{code}\n```\n\n{outcome}:\n\n```\n{message}\n```",
)


def write_statement(subject: str, error: str, message: str, code: str, complete: bool, stream: random.Random) -> str:
    """A problem statement.

    Args:
        subject: what it is about, as the failing code names it; `UNNAMED` where it calls nothing by name.
        error: the name of the exception's class.
        message: how the failing code ended.
        code: what fails.
        complete: whether the code runs by itself; else it is an excerpt.
        stream: of the choice of words.
    """
    failed = error in {"AssertionError", "Failed"}
    named = subject if subject == UNNAMED else f"`{subject}`"
    title = stream.choice(_TITLES[failed]).format(subject=named, error=f"`{error}`")
    body = stream.choice(_BODIES).format(
        intro="This should run without an error" if complete else "In code like this the last line should hold",
        outcome="This fails" if complete else "Here the last line fails",
        code=code,
        message=message,
    )
    return f"{title[0].upper()}{title[1:]}\n\n{body}"


def shortened(message: str) -> str:
    """An error's text for an issue: its first lines, each of bounded length, and without objects' addresses and the names
    of the tests that define them.

    >>> shortened("ValueError: <object at 0x7f0011223344>")
    'ValueError: <object at 0x...>'
    >>> shortened("assert <function test_sum.<locals>.add at 0x7f0011223344> is None")
    'assert <function add at 0x...> is None'
    """
    text = _ADDRESS.sub("0x...", _INSIDE.sub("", message))
    lines = [line.rstrip()[:LINE_CHARACTERS] for line in text.splitlines()]
    return "\n".join([*lines[:MESSAGE_LINES], *(["..."] if len(lines) > MESSAGE_LINES else [])]).strip()


def names_a_test(text: str, tests: Collection[str]) -> bool:
    """Whether a text holds the name of one of these tests, be it in the path of the temporary folder that pytest gave it.

    >>> names_a_test("no /tmp/test_sum0/x", ["test_sum"]), names_a_test("test_sums", ["test_sum"])
    (True, False)
    """
    return any(re.search(rf"(?<!\w){re.escape(test)}(?![^\W\d])", text) for test in tests)


def names_the_fix(statement: str, fixed: Sequence[str]) -> bool:
    """Whether a statement holds a line of the fix. Lines of a word or two say nothing.

    >>> names_the_fix("use `return low <= value`", ["    return low <= value"])
    True
    """
    flat = " ".join(statement.split())
    return any(len(line.split()) > 2 and " ".join(line.split()) in flat for line in fixed)
