"""The scripted expert: how somebody who knows the fix would work on a synthesised task, one shell command a turn.

Look around, read, reproduce, edit, run the tests, submit: the mini-swe-agent style. It reads the gold patch and what the
synthesis recorded about the bug (`Task.extra`), so it is a teacher and never a baseline.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from unidiff.patch import PatchSet

from swe_srl.errors import TaskError
from swe_srl.tasks.packages.expert import MARK, package_actions
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
    if json.loads(task.extra).get("synthesis") == MARK:
        return package_actions(task)
    bug = known_bug(task)
    return [
        Action(find_command(bug.function), f"The issue is about {bug.function}. Find it."),
        Action(view_command(bug.function, bug.path), f"Read {bug.function} in {bug.path}."),
        Action(example_command(bug.importing, bug.example), "Reproduce the example of the issue."),
        Action(edit_command(bug.path, bug.line, bug.fixed), edit_thought(bug.line, bug.buggy, bug.function)),
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


def edit_command(path: str, line: int, text: str) -> str:
    """Put `text` in the place of one line.

    >>> edit_command("geom/area.py", 12, "    return a + b")
    "sed -i '12c\\\\    return a + b' geom/area.py"
    """
    script = f"{line}c\\" + text.replace("\\", "\\\\")  # after c\\ the blanks before the text are kept
    return f"sed -i {shlex.quote(script)} {path}"


def edit_thought(line: int, text: str, function: str) -> str:
    """Why an edit is made: the line that is wrong, as `view_command` shows it.

    >>> edit_thought(12, "    return a * b", "area")
    'This is wrong:\\n12-    return a * b'
    """
    mark = ":" if f"def {function}(" in text else "-"
    return f"This is wrong:\n{line}{mark}{text}"
