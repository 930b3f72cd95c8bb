"""The measure of a planted bug's difficulty: among how many edits somebody who has read the issue must find the fix.

A fix is nearly always one replaced piece of one line. Counted are all such edits, by the grammar that plants bugs, of the places
that the issue leaves open: every function of the name that it gives (the obvious search shows them all, and one is meant),
or, where it does not name the faulty function, every function of the faulty file. So long functions, several operators
a line, distractors of the same name and issues that point elsewhere all count, and nothing is run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from swe_srl.tasks.difficulty import LEVELS
from swe_srl.tasks.synthesis.mutations import Mutation, mutations
from swe_srl.tasks.synthesis.rewrites import KINDS
from swe_srl.types import Task

ONE_PIECE = (*KINDS, "attribute")  # kinds whose reverse is an edit of the same sort
COLUMNS = ("difficulty", "candidates")
MOST = (5, 9)  # edits of an easy and of a medium task: thirds of the bundled ones


def measured(texts: Mapping[str, str], path: str, mutation: Mutation, issue: str) -> dict[str, Any]:
    """The columns `difficulty` (one of `LEVELS`) and `candidates` (the number of edits) of a task's row.

    Args:
        texts: the modules of the repository without the bug, by path.
        path, mutation: the bug.
        issue: the problem statement.
    """
    count = open_edits({**texts, path: mutation.source}, path, mutation.function, issue)
    return {"difficulty": level(count, mutation.kind), "candidates": count}


def level(edits: int, kind: str) -> str:
    """The difficulty; a removed branch has to be written anew, which no single edit does.

    >>> level(4, "direction"), level(6, "direction"), level(4, "branch")
    ('easy', 'medium', 'hard')
    """
    if kind not in ONE_PIECE:
        return LEVELS[-1]
    return next((name for name, most in zip(LEVELS, MOST, strict=False) if edits <= most), LEVELS[-1])


def open_edits(texts: Mapping[str, str], path: str, function: str, issue: str) -> int:
    """The one-piece edits of all places that an issue leaves open.

    Args:
        texts: the modules of the repository with the bug in, by path.
        path: the faulty one.
        function: qualified name of the faulty function.
        issue: the problem statement.

    >>> text = "def f(a, b):\\n    return a < b\\n\\ndef g(a):\\n    return a + 1\\n"
    >>> open_edits({"m.py": text}, "m.py", "f", "`f(1, 2)` is wrong"), open_edits({"m.py": text}, "m.py", "f", "It fails.")
    (4, 7)
    """
    name = function.rpartition(".")[2]
    if not names(issue, name):
        return len(mutations(texts[path], ONE_PIECE, special=True))
    searched = [text for text in texts.values() if f"def {name}(" in text]
    return sum(len(mutations(text, ONE_PIECE, special=True, only=name)) for text in searched)


def names(issue: str, name: str) -> bool:
    """Whether an issue names a function: as a word of its own.

    >>> names("`Box.width` is wrong", "width"), names("the widths are wrong", "width")
    (True, False)
    """
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", issue) is not None


def apart(task: Task) -> tuple[Task, dict[str, Any]]:
    """A task without the columns of `measured`, and these."""
    extra: dict[str, Any] = json.loads(task.extra)
    said = {column: extra.pop(column) for column in COLUMNS if column in extra}
    return replace(task, extra=json.dumps(extra)), said
