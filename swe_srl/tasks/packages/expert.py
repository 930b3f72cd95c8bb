"""The scripted expert on tasks made from packages: find, read, reproduce, edit, run the visible tests, submit."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

from unidiff.patch import PatchSet

from swe_srl.errors import TaskError
from swe_srl.types import Action, Task

MARK = "package"  # a row's column `synthesis`
VIEWED = 60  # lines at most
SUBMIT = "submit"
# What pytest says at the end, without how long it took.
_TESTS = "python3 -m pytest -q -o addopts= -p no:cacheprovider {files} 2>&1 | tail -n 1 | sed 's/ in [0-9].*//'"


@dataclass(frozen=True, slots=True)
class Edit:
    """Lines `first` to `last` of a file (none when `last` is less than `first`) become `text`."""

    path: str
    first: int
    last: int
    text: tuple[str, ...]


def package_actions(task: Task) -> list[Action]:
    """Thoughts and commands that resolve a task made from a package.

    Raises:
        TaskError: the gold patch is more than one change of one file.
    """
    extra = json.loads(task.extra)
    edit = edit_of(task)
    function, subject, script = (str(extra[name]) for name in ("function", "subject", "script"))
    name = function.rpartition(".")[2]
    files = shlex.join(extra["test_files"])
    actions = [Action(f'grep -rn "def {name}(" --include="*.py" . | sort', _why_looked_for(name, subject))]
    first, last = _window(extra, edit)
    actions.append(Action(f"nl -ba {shlex.quote(edit.path)} | sed -n '{first},{last}p'", f"Read {name}."))
    if script:
        actions.append(Action(example_command(script), "Reproduce what the issue shows."))
    actions.append(Action(edit_command(edit), _why_edited(edit)))
    if script:
        actions.append(Action(example_command(script), "Run the example again."))
    actions.append(Action(_TESTS.format(files=files), "Nothing else must break: run the tests around it."))
    return [*actions, Action(SUBMIT, "The issue is resolved.")]


def edit_of(task: Task) -> Edit:
    """The gold patch as one edit.

    Raises:
        TaskError: it is more than one change of one file.
    """
    patch = PatchSet(task.patch)
    hunks = [(file.path, hunk) for file in patch for hunk in file]
    if len(hunks) != 1:
        raise TaskError(f"{task.instance_id}: the scripted expert makes one change, this patch has {len(hunks)}")
    path, hunk = hunks[0]
    lines = list(hunk)
    changed = [index for index, line in enumerate(lines) if line.is_added or line.is_removed]
    inside = lines[changed[0] : changed[-1] + 1]
    before = sum(not line.is_added for line in lines[: changed[0]])
    first = hunk.source_start + before
    gone = sum(not line.is_added for line in inside)
    text = tuple(line.value.rstrip("\n") for line in inside if not line.is_removed)
    return Edit(path, first, first + gone - 1, text)


def edit_command(edit: Edit) -> str:
    """An edit as one command.

    >>> edit_command(Edit("a.py", 3, 3, ("    return 1",)))
    "sed -i '3c\\\\    return 1' a.py"
    >>> edit_command(Edit("a.py", 4, 3, ("    if x:", "        return 2")))
    "sed -i '4i\\\\    if x:\\\\\\n        return 2' a.py"
    """
    text = "\\\n".join(line.replace("\\", "\\\\") for line in edit.text)
    if not edit.text:
        script = f"{edit.first},{edit.last}d"
    elif edit.last < edit.first:
        script = f"{edit.first}i\\{text}"
    else:
        lines = str(edit.first) if edit.first == edit.last else f"{edit.first},{edit.last}"
        script = f"{lines}c\\{text}"
    return f"sed -i {shlex.quote(script)} {shlex.quote(edit.path)}"


def example_command(script: str) -> str:
    """Run a script of several lines."""
    return f"python3 - <<'PYTHON'\n{script}\nPYTHON"


def _why_looked_for(name: str, subject: str) -> str:
    if name == subject:
        return f"The issue is about {subject}. Find it."
    return f"The issue is about {subject}, which comes to {name}. Find it."


def _window(extra: dict[str, Any], edit: Edit) -> tuple[int, int]:
    """The function's lines, or those around the bug when there are too many."""
    first, last = int(extra["function_first"]), int(extra["function_last"])
    if last - first < VIEWED:
        return first, last
    begin = max(first, edit.first - VIEWED // 2)
    return begin, min(last, begin + VIEWED - 1)


def _why_edited(edit: Edit) -> str:
    if edit.last < edit.first:
        return f"A case is missing before line {edit.first}. Put it in."
    return f"Line {edit.first} is wrong. Put it right."
