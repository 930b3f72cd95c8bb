"""From a SWE-bench row, of whatever age and origin, to a `Task`."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any

from swe_srl.errors import TaskError
from swe_srl.tasks.reversal import reverse_patch
from swe_srl.types import Task

_TEXT_FIELDS = {
    "instance_id": "instance_id",
    "repo": "repo",
    "base_commit": "base_commit",
    "problem_statement": "problem_statement",
    "patch": "patch",
    "test_patch": "test_patch",
    "version": "version",
    "image": "image",
    "eval_script": "eval_script",
    "log_parser": "log_parser",
    "source": "source",
    "setup_patch": "setup_patch",
    "image_source": "image_source",
}
_LIST_FIELDS = {"FAIL_TO_PASS": "fail_to_pass", "PASS_TO_PASS": "pass_to_pass"}
_REQUIRED = ("instance_id", "repo")


def task_from_row(row: Mapping[str, Any]) -> Task:
    """The task in one row of a SWE-bench-like data set.

    `FAIL_TO_PASS` and `PASS_TO_PASS` may be lists or JSON texts of lists. In SWE-smith's rows (repo `swesmith/…`)
    `patch` plants the bug: it becomes `setup_patch`, and the task's `patch` is its reverse. Columns that a `Task` does
    not know go to `Task.extra` as they are.

    Raises:
        TaskError: a required column is missing, or a value is of the wrong type; the message names row and column.
    """
    where = str(row.get("instance_id") or "a row without instance_id")
    missing = [name for name in _REQUIRED if not row.get(name)]
    if missing:
        raise TaskError(
            f"{where}: no {' and no '.join(missing)}: a task is a row of the SWE-bench schema, or a problem with its answer "
            f"(columns problem and answer); this row has {', '.join(map(str, list(row)[:12])) or 'nothing'}"
        )
    if "/" in where or "\0" in where or where in (".", ".."):  # files are named after tasks
        raise TaskError(f"{where!r}: an instance_id cannot be a path")
    fields: dict[str, Any] = {name: _text(row, column, where) for column, name in _TEXT_FIELDS.items()}
    fields |= {name: _names(row, column, where) for column, name in _LIST_FIELDS.items()}
    fields["image"] = fields["image"] or _text(row, "image_name", where)
    if fields["repo"].startswith("swesmith/") and not fields["setup_patch"]:
        fields["setup_patch"], fields["patch"] = fields["patch"], reverse_patch(fields["patch"])
    extra = {key: value for key, value in row.items() if key not in _TEXT_FIELDS and key not in _LIST_FIELDS}
    try:
        return Task(**fields, extra=json.dumps(extra, default=_plain))
    except TypeError as error:
        raise TaskError(f"{where}: a column cannot be kept as JSON: {error}") from error


def _text(row: Mapping[str, Any], column: str, where: str) -> str:
    value = row.get(column)
    if value is None:
        return ""
    if not isinstance(value, str):
        if column == "version" and isinstance(value, int | float):
            return str(value)
        raise TaskError(f"{where}: column {column} is {type(value).__name__}, text was expected")
    return value


def _names(row: Mapping[str, Any], column: str, where: str) -> tuple[str, ...]:
    value = row.get(column)
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise TaskError(f"{where}: column {column} is neither a list nor a JSON list: {error}") from error
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(name, str) for name in value):
        raise TaskError(f"{where}: column {column} is not a list of test names")
    return tuple(value)


def _plain(value: Any) -> str:
    """Dates, as parquet files hold them, as text."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__}: {value!r}")
