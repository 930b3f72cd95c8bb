"""Problems with a final answer: tasks that need no repository. The published mathematics sets, or a file of rows.

A row has `problem` (or `question`) and `answer`, or a `solution` whose last `\\boxed{}` holds the answer.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swe_srl.errors import TaskError
from swe_srl.tasks.files import read_rows
from swe_srl.tasks.sources import HubSet, hub_rows, no_revision
from swe_srl.types import Task

log = logging.getLogger(__name__)

PROBLEM_SETS: Mapping[str, HubSet] = {
    "aime24": HubSet("HuggingFaceH4/aime_2024", "", split="train"),
    "aime25": HubSet("math-ai/aime25", ""),
    "amc23": HubSet("math-ai/amc23", ""),
    "minerva": HubSet("math-ai/minervamath", ""),
    "math500": HubSet("HuggingFaceH4/MATH-500", ""),
}
_SIZES = {"aime24": 30, "aime25": 30, "amc23": 40, "minerva": 272, "math500": 500}
_BOX = re.compile(r"\\(?:boxed|fbox)(?![a-zA-Z])[ \t]*")
# what stands behind a box without braces
_BARE = re.compile(r"(?:[-+]?\.?[0-9]|\\(?:[dt]?frac|sqrt|text|pi)(?![a-zA-Z]))[^\n$]{0,200}")
_NAMES = ("unique_id", "id", "idx", "problem_idx")
_STATEMENTS, _ANSWERS = ("problem", "question"), ("answer", "solution")


def load_problems(name: str, path: str = "", revision: str = "") -> list[Task]:
    """The problems of a named set, in order; the answer is in `extra`, as text.

    Args:
        name: one of `PROBLEM_SETS`; the problems are named after it.
        path: a file of rows that stands in for the hub (.json, .jsonl, .parquet).
        revision: commit, branch or tag of the hub's data set; "" for the newest.

    Raises:
        TaskError: the rows cannot be had, a row has no problem or answer, or two have the same name; a revision of a file.
    """
    known = PROBLEM_SETS[name]
    if path and revision:
        raise TaskError(no_revision(path, revision))
    if path and not Path(path).is_file():
        folder = Path(path).is_dir()
        raise TaskError(
            f"{path}: {f'this is a folder: name the file with the rows of {name}' if folder else 'no such file'}"
        )
    rows = read_rows(Path(path)) if path else hub_rows(known.hub_id, revision or known.revision, known.split)
    problems: dict[str, Task] = {}
    for number, (where, row) in enumerate(rows, 1):
        problem = problem_from_row(name, number, row, where)
        if problem.instance_id in problems:
            raise TaskError(f"{where}: {problem.instance_id} occurs twice")
        problems[problem.instance_id] = problem
    if not problems:
        raise TaskError(f"{path or name}: no problem in it")
    if path and (doubt := _doubt(name, Path(path).name, len(problems))):
        log.warning("%s stands in for %s, but %s: do not call its figures those of %s", path, name, doubt, name)
    return list(problems.values())


def _doubt(name: str, file: str, count: int) -> str:
    """Why a file can hardly be the set of that name, or ""."""
    other = next((one for one in PROBLEM_SETS if one != name and one in file.lower()), "")
    if other:
        return f"its own name says {other}"
    return f"it has {count} problems, and {name} has {_SIZES[name]}" if count != _SIZES[name] else ""


def is_problem_row(row: Mapping[str, Any]) -> bool:
    """Whether a row is a problem with an answer, and no task of a repository."""
    return (
        not row.get("repo")
        and any(row.get(key) for key in _STATEMENTS)
        and any(row.get(key) is not None for key in _ANSWERS)
    )


def is_problem(task: Task) -> bool:
    """Whether a task is a problem with an answer, and has no repository."""
    return not task.base_commit and bool(task.extra) and "answer" in json.loads(task.extra)


def answer_of(task: Task) -> str:
    """The answer of a problem; "" where its row tells none."""
    return str(json.loads(task.extra)["answer"])


def known_answer(row: Mapping[str, Any]) -> str:
    """The final answer that a row tells: its `answer`, or the one in the last `\\boxed{}` of its `solution`; "" for none.

    >>> known_answer({"answer": 27.0}), known_answer({"solution": r"So \\boxed{4}."}), known_answer({"solution": "Four."})
    ('27', '4', '')
    """
    answer = "" if row.get("answer") is None else _text(row["answer"])
    return answer or last_boxed(str(row.get("solution", "")))


def last_boxed(text: str) -> str:
    """What the last `\\boxed{…}` or `\\fbox{…}` of a text holds that is not empty, braces matched; "" when there is none.

    A box may lack its braces (`\\boxed 204`). When the last box is not closed, the text was cut short, and has no answer.

    >>> last_boxed(r"First \\boxed{1}, so \\boxed{\\frac{1}{2}}.")
    '\\\\frac{1}{2}'
    >>> last_boxed(r"So it is $\\boxed 204$, in a box: \\boxed{ }")
    '204'
    """
    closing = _closing_braces(text)
    for box in reversed(list(_BOX.finditer(text))):
        begin = box.end()
        if text[begin : begin + 1] != "{":
            inside = _bare(text, begin)
        elif begin in closing:
            inside = text[begin + 1 : closing[begin]].strip()
        else:
            return ""
        if inside:
            return inside
    return ""


def _closing_braces(text: str) -> dict[int, int]:
    """Where each brace that is closed closes."""
    open, found = [], {}
    for brace in re.finditer(r"[{}]", text):
        if brace[0] == "{":
            open.append(brace.start())
        elif open:
            found[open.pop()] = brace.start()
    return found


def _bare(text: str, begin: int) -> str:
    """The answer behind a box without braces: to the formula's end, else the first word; "" when it is no answer."""
    found = _BARE.match(text, begin)
    if found is None:
        return ""
    formula, *rest = re.split(r"\\[)\]]", found[0], maxsplit=1)
    ends = bool(rest) or text[found.end() : found.end() + 1] == "$"
    said = (formula if ends else formula.split()[0]).strip().rstrip(".,;:")
    return said if said.count("{") == said.count("}") == len(_closing_braces(said)) else ""


def problem_from_row(name: str, number: int, row: Mapping[str, Any], where: str, answered: bool = True) -> Task:
    """The problem of a row.

    Args:
        name: of the set: the problems are named after it.
        number: of the row; its name where it has none of its own.
        row: of one of the published sets, or with the same columns.
        where: the row's place, for messages.
        answered: whether it must tell an answer. Among training problems some do not, such as proofs: their answer is "".

    Raises:
        TaskError: it has no problem or answer.
    """
    statement = next((row[key] for key in _STATEMENTS if isinstance(row.get(key), str)), "")
    answer = known_answer(row)
    if not statement.strip() or (answered and not answer):
        raise TaskError(
            f"{where}: a problem needs `problem` and `answer` (or a `solution` with the answer in \\boxed{{}})"
        )
    label = str(next((row[key] for key in _NAMES if row.get(key) is not None), number))
    field = next((str(row[key]) for key in ("subject", "type") if row.get(key)), "")
    return Task(
        instance_id=f"{name}-{re.sub(r'[^A-Za-z0-9_.-]+', '-', label)}",
        repo=f"{name}/{field}" if field else name,
        base_commit="",
        problem_statement=statement.strip(),
        extra=json.dumps({"answer": answer}),
    )


def _text(answer: object) -> str:
    """27.0 is written 27, as people write answers."""
    if isinstance(answer, float) and answer.is_integer():
        return str(int(answer))
    return str(answer).strip()
