"""Rows of local task files: JSON Lines, JSON and parquet, and bare lists of instance ids."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from swe_srl.errors import TaskError

DATA_SUFFIXES = (".json", ".jsonl", ".parquet")
_INSTANCE_ID = re.compile(r"(?P<owner>[\w.-]+?)__(?P<name>[\w.-]+?)-(?P<number>\d+)\Z")


def read_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows of one file, each with its place for messages.

    A JSON file holds a list of rows, an object of rows by instance id, or bare instance ids (a list, an object with the
    key `instance_ids`, or an object whose keys they are); a bare id gives a row of `instance_id` and `repo` alone.

    Raises:
        TaskError: not such a file; the message names file and line.
    """
    if path.suffix == ".parquet":
        rows = _parquet_rows(path)
    elif path.suffix == ".jsonl":
        rows = _json_lines(path)
    else:
        rows = _json_rows(path)
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            raise TaskError(f"{path}, row {number}: an object was expected, this is {type(row).__name__}")
        yield f"{path}, row {number}", row


def _parquet_rows(path: Path) -> Iterator[Any]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise TaskError(f"{path}: not a parquet file: {error}") from error
    yield from table.to_pylist()


def _json_lines(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _parse(line, f"{path}, line {number}")


def _json_rows(path: Path) -> Iterator[Any]:
    where = str(path)
    if path.suffix not in DATA_SUFFIXES:
        where += f": a file of tasks ends in {', '.join(DATA_SUFFIXES)}; read as JSON, as others are"
    content = _parse(path.read_bytes(), where)
    if isinstance(content, Mapping) and isinstance(content.get("instance_ids"), list):
        content = content["instance_ids"]
    if isinstance(content, Mapping) and "instance_id" in content:
        content = [content]
    if isinstance(content, Mapping):
        if all(isinstance(value, Mapping) for value in content.values()):
            content = [{"instance_id": key, **value} for key, value in content.items()]
        else:
            content = list(content)
    if not isinstance(content, Sequence) or isinstance(content, str):
        raise TaskError(f"{path}: a list of rows was expected, this is {type(content).__name__}")
    for entry in content:
        yield _bare_row(entry, path) if isinstance(entry, str) else entry


def _bare_row(instance_id: str, path: Path) -> dict[str, str]:
    match = _INSTANCE_ID.match(instance_id)
    if match is None:
        raise TaskError(f"{path}: {instance_id!r} is not an instance id such as astropy__astropy-12907")
    return {"instance_id": instance_id, "repo": f"{match['owner']}/{match['name']}"}


def _parse(text: bytes, where: str) -> Any:
    try:
        return json.loads(text.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise TaskError(f"{where}: not UTF-8 text: {error}") from error
    except ValueError as error:
        raise TaskError(f"{where}: not JSON: {error}") from error
