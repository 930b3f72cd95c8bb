"""Files that survive a `kill -9`: whole-or-nothing writes and append-only journals."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from swe_srl.errors import SweSrlError


def write_atomic(path: Path, data: str | bytes) -> None:
    """Write a file whole or not at all: a temporary sibling, synced, then renamed over `path`. Makes parent folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    payload = data.encode() if isinstance(data, str) else data
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        error.filename = str(path)  # nobody knows the sibling's name
        raise
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows atomically, one ASCII-escaped JSON object a line (so that no exotic line separator can split a row)."""
    write_atomic(path, "".join(json.dumps(row) + "\n" for row in rows))


def append_jsonl(path: Path, row: Mapping[str, Any]) -> None:
    """Append one row and sync it. A torn last line left by an earlier kill is cut off first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        end = file.seek(0, os.SEEK_END)
        if end and not _ends_with_newline(file, end):
            _cut_torn_line(file, end)
        file.write(json.dumps(row).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a journal; a torn last line (no newline: the writer was killed) is ignored.

    Raises:
        SweSrlError: a complete line is not a JSON object; the message names the file and line.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise SweSrlError(f"{path}, line {number}: not JSON: {error}") from error
            if not isinstance(row, dict):
                raise SweSrlError(f"{path}, line {number}: a JSON object was expected, this is {type(row).__name__}")
            yield row


def _ends_with_newline(file: Any, end: int) -> bool:
    file.seek(end - 1)
    return bool(file.read(1) == b"\n")


def _cut_torn_line(file: Any, end: int) -> None:
    file.seek(0)
    content: bytes = file.read(end)
    file.truncate(content.rfind(b"\n") + 1)
    file.seek(0, os.SEEK_END)


@contextmanager
def row_errors(path: Path) -> Iterator[None]:
    """Rows of a file that do not hold what they should, as an error that names the file.

    Raises:
        SweSrlError: a column is missing or of another kind.
    """
    try:
        yield
    except SweSrlError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise SweSrlError(f"{path} is damaged: {type(error).__name__}: {error}") from error
