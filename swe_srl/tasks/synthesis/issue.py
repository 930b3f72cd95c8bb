"""What the issue says: an example of the bug from a withheld test, what it gave, what was expected; never the fix."""

from __future__ import annotations

import ast
import random
from dataclasses import dataclass

from swe_srl.python_source import parse_expression

MAX_CHARACTERS = 250
_TEMPLATES = (
    "`{function}` returns the wrong result.\n\n`{example}` {outcome}, expected `{expected}`.",
    "Bug in `{function}`: `{example}` {outcome}, expected `{expected}`.",
    "`{example}` should be `{expected}`.\n\nIt {outcome}. Please fix `{function}`.",
)


@dataclass(frozen=True, slots=True)
class Example:
    """One failing expression: what it is expected to give, and what it gave (a value's repr, or `Type: message`)."""

    importing: str
    expression: str
    expected: str
    wrong: str
    raised: bool

    @property
    def outcome(self) -> str:
        return f"raises `{self.wrong}`" if self.raised else f"gives `{self.wrong}`"


def write_issue(function: str, example: Example, stream: random.Random) -> str:
    """A problem statement of at most `MAX_CHARACTERS`, or "" when the example is too long for that.

    >>> bug = Example("from a import *", "clamp(5, 0, 3)", "3", "5", raised=False)
    >>> write_issue("clamp", bug, random.Random(1))
    '`clamp` returns the wrong result.\\n\\n`clamp(5, 0, 3)` gives `5`, expected `3`.'
    """
    template = stream.choice(_TEMPLATES)
    text = template.format(
        function=function, example=example.expression, outcome=example.outcome, expected=example.expected
    )
    return text if len(text) <= MAX_CHARACTERS else ""


def double_quoted(text: str) -> str:
    """A repr with double quotes, as most people write Python, when that means the same.

    >>> double_quoted("['a', 'b']")
    '["a", "b"]'
    """
    if '"' in text or "\\" in text:
        return text
    changed = text.replace("'", '"')
    try:
        same = ast.literal_eval(parse_expression(changed)) == ast.literal_eval(parse_expression(text))
    except (ValueError, SyntaxError):
        return text
    return changed if same else text
