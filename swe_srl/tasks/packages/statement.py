"""The issue of a task: what a failing test shows, in the words of its output; never the fix, never the test's name."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

MESSAGE_LINES = 12
LINE_CHARACTERS = 200
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")
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
        subject: what it is about, as the failing code names it.
        error: the name of the exception's class.
        message: how the failing code ended.
        code: what fails.
        complete: whether the code runs by itself; else it is an excerpt.
        stream: of the choice of words.
    """
    failed = error in {"AssertionError", "Failed"}
    title = stream.choice(_TITLES[failed]).format(subject=f"`{subject}`", error=f"`{error}`")
    body = stream.choice(_BODIES).format(
        intro="This should run without an error" if complete else "In code like this the last line should hold",
        outcome="This fails" if complete else "Here the last line fails",
        code=code,
        message=message,
    )
    return f"{title}\n\n{body}"


def shortened(message: str) -> str:
    """An error's text for an issue: its first lines, each of bounded length, and without objects' addresses.

    >>> shortened("ValueError: <object at 0x7f0011223344>")
    'ValueError: <object at 0x...>'
    """
    lines = [line.rstrip()[:LINE_CHARACTERS] for line in _ADDRESS.sub("0x...", message).splitlines()]
    return "\n".join([*lines[:MESSAGE_LINES], *(["..."] if len(lines) > MESSAGE_LINES else [])]).strip()


def names_the_fix(statement: str, fixed: Sequence[str]) -> bool:
    """Whether a statement holds a line of the fix. Lines of a word or two say nothing.

    >>> names_the_fix("use `return low <= value`", ["    return low <= value"])
    True
    """
    flat = " ".join(statement.split())
    return any(len(line.split()) > 2 and " ".join(line.split()) in flat for line in fixed)
