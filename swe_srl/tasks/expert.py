"""The scripted expert: how somebody who knows the fix would work on a synthesised task, one shell command a turn.

Look around, read, reproduce, edit, run the tests, submit: the mini-swe-agent style. It reads the gold patch and what the
synthesis recorded about the bug (`Task.extra`), so it is a teacher and never a baseline.
"""

from __future__ import annotations

import io
import json
import shlex
import tokenize
from dataclasses import dataclass

from unidiff.patch import PatchSet

from swe_srl.errors import TaskError
from swe_srl.types import Action, Task

VIEW_LINES = 8  # after the `def` line
TEST_COMMAND = "python3 -m unittest 2>&1 | tail -n 1"
SUBMIT = "submit"


@dataclass(frozen=True, slots=True)
class KnownBug:
    """What the expert knows: where the bug is, the line as it is and as it should be, and an example that shows it."""

    path: str
    line: int
    buggy: str
    fixed: str
    function: str  # plain name, as it stands after `def`
    importing: str  # "from geom.area import *"
    example: str  # an expression
    expected: str = ""


def known_bug(task: Task) -> KnownBug:
    """The bug of a synthesised task.

    Raises:
        TaskError: the task was not synthesised by this project, or its fix is not one replaced line.
    """
    extra = json.loads(task.extra)
    missing = [key for key in ("function", "example", "import") if key not in extra]
    if missing:
        raise TaskError(
            f"{task.instance_id}: the scripted expert needs a synthesised task; missing: {', '.join(missing)}"
        )
    changed = [(file.path, line) for file in PatchSet(task.patch) for hunk in file for line in hunk]
    removed = [(path, line.source_line_no or 0, line.value) for path, line in changed if line.is_removed]
    added = [line.value for _, line in changed if line.is_added]
    if len(removed) != 1 or len(added) != 1:
        raise TaskError(f"{task.instance_id}: the scripted expert fixes one line, this patch replaces {len(removed)}")
    path, number, buggy = removed[0]
    return KnownBug(
        path=path,
        line=number,
        buggy=buggy.rstrip("\n"),
        fixed=added[0].rstrip("\n"),
        function=str(extra["function"]).rpartition(".")[2],
        importing=str(extra["import"]),
        example=str(extra["example"]),
        expected=str(extra.get("expected", "")),
    )


def expert_actions(task: Task) -> list[Action]:
    """Thoughts and commands that resolve a synthesised task.

    Raises:
        TaskError: see `known_bug`.
    """
    bug = known_bug(task)
    old, new = changed_text(bug.buggy, bug.fixed)
    return [
        Action(find_command(bug.function), f"The issue is about {bug.function}. Find it."),
        Action(view_command(bug.function, bug.path), f"Read {bug.function} in {bug.path}."),
        Action(example_command(bug.importing, bug.example), "Reproduce the example of the issue."),
        Action(edit_command(bug.path, bug.line, old, new), edit_thought(bug.line, bug.buggy, bug.function, old, new)),
        Action(check_command(bug.importing, bug.example), "Check the example and run the tests."),
        Action(SUBMIT, "The example is right and the tests pass."),
    ]


def find_command(function: str) -> str:
    """Where a function is defined."""
    return f'grep -rn "def {function}(" .'


def view_command(function: str, path: str) -> str:
    """A function's lines with their numbers."""
    return f'grep -n -A {VIEW_LINES} "def {function}(" {path}'


def example_command(importing: str, example: str) -> str:
    """Run the issue's example."""
    return f"python3 -c {shlex.quote(f'{importing}; print({example})')}"


def check_command(importing: str, example: str) -> str:
    """Run the issue's example, then the visible tests."""
    return f"{example_command(importing, example)}; {TEST_COMMAND}"


def edit_command(path: str, line: int, old: str, new: str) -> str:
    """Replace the first `old` of one line by `new`.

    >>> edit_command("geom/area.py", 12, "a * b", "a + b")
    "sed -i '12s|a \\\\* b|a + b|' geom/area.py"
    """
    pattern = "".join(f"\\{char}" if char in r"\.*[]^$|" else char for char in old)
    replacement = "".join(f"\\{char}" if char in r"\&|" else char for char in new)
    return f"sed -i {shlex.quote(f'{line}s|{pattern}|{replacement}|')} {path}"


def edit_thought(line: int, text: str, function: str, old: str, new: str) -> str:
    """Why an edit is made: the line as `view_command` shows it, and what should be another thing in it.

    >>> edit_thought(12, "    return a * b", "area", "*", "+")
    'This is wrong:\\n12-    return a * b\\n* should be +.'
    """
    mark = ":" if f"def {function}(" in text else "-"
    return f"This is wrong:\n{line}{mark}{text}\n{old} should be {new}."


def changed_text(buggy: str, fixed: str) -> tuple[str, str]:
    """The differing tokens of two lines, with as much before them as makes them the first of their kind in the buggy line.

    >>> changed_text("    return width + height", "    return width * height")
    ('+', '*')
    >>> changed_text("    return a + b + c", "    return a + b - c")
    ('b +', 'b -')
    """
    spans_old, spans_new = _token_spans(buggy), _token_spans(fixed)
    texts_old = [buggy[start:end] for start, end in spans_old]
    texts_new = [fixed[start:end] for start, end in spans_new]
    head = 0
    while head < min(len(texts_old), len(texts_new)) and texts_old[head] == texts_new[head]:
        head += 1
    tail = 0
    while tail < min(len(texts_old), len(texts_new)) - head and texts_old[-1 - tail] == texts_new[-1 - tail]:
        tail += 1
    if head + tail >= min(len(texts_old), len(texts_new)):
        # Something is only added or only removed: name its neighbour.
        head, tail = (head, tail - 1) if tail else (head - 1, tail)
    first = head
    while True:
        start = spans_old[first][0]
        old = buggy[start : spans_old[len(spans_old) - tail - 1][1]]
        if buggy.find(old) == start or first == 0:
            return old, fixed[spans_new[first][0] : spans_new[len(spans_new) - tail - 1][1]]
        first -= 1


def _token_spans(line: str) -> list[tuple[int, int]]:
    """Column spans of the Python tokens of one line, which need not be a complete statement."""
    spans: list[tuple[int, int]] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(line.lstrip() + "\n").readline):
            if token.start[0] == 1 and token.string.strip():
                spans.append((token.start[1], token.end[1]))
    except (tokenize.TokenError, IndentationError):
        pass  # an open bracket or string: the tokens seen so far are enough
    indent = len(line) - len(line.lstrip())
    return [(start + indent, end + indent) for start, end in spans]
