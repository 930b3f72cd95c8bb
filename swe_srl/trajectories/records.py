"""Raw records of a trajectory file, streamed: JSON, JSON lines, one JSON array, parquet; plain or gzipped."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from swe_srl.errors import TrajectoryError

SUFFIXES = (".json", ".jsonl", ".ndjson", ".traj", ".parquet")
LINE_LIMIT = 64 * 2**20  # bytes of one JSON line or one element of a JSON array
DOCUMENT_LIMIT = 512 * 2**20  # bytes of a file that is one JSON document
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Record:
    """One value of a file, or why it cannot be read. `number` counts from 1; for JSON lines it is the line."""

    number: int
    value: Any = None
    problem: str = ""
    text: str = ""


def is_record_file(path: Path) -> bool:
    """Whether the name is one of a file that can hold records."""
    name = path.name.removesuffix(".gz").lower()
    return name.endswith(SUFFIXES)


def read_records(path: Path) -> Iterator[Record]:
    """Stream the records of one file. What cannot be parsed comes as a record with a problem, never as an exception.

    Raises:
        TrajectoryError: the file is missing or cannot be opened.
    """
    if not path.is_file():
        raise TrajectoryError(f"{path}: no such file")
    if path.name.lower().endswith(".parquet"):
        yield from _parquet(path)
        return
    try:
        with _open(path) as file:
            head = _head(file)
        if head.startswith(b"["):
            yield from _array(path)
        elif _is_lines(path, head):
            yield from _lines(path)
        else:
            yield from _document(path)
    except (OSError, EOFError, zlib.error) as error:
        yield Record(1, problem="unreadable file", text=str(error))


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb")) if path.name.endswith(".gz") else path.open("rb")


def _head(file: IO[bytes]) -> bytes:
    head = file.read(_CHUNK).removeprefix(b"\xef\xbb\xbf").lstrip()
    while not head:
        more = file.read(_CHUNK)
        if not more:
            return b""
        head = more.lstrip()
    return head


def _is_lines(path: Path, head: bytes) -> bool:
    if path.name.removesuffix(".gz").lower().endswith((".jsonl", ".ndjson")):
        return True
    first, newline, _ = head.partition(b"\n")
    return bool(newline) and not _parse(1, first).problem


def _parse(number: int, text: bytes) -> Record:
    sample = text[:200].decode("utf-8", errors="replace")
    try:
        return Record(number, json.loads(text.removeprefix(b"\xef\xbb\xbf")))
    except UnicodeDecodeError as error:
        return Record(number, problem="invalid UTF-8", text=f"{error.reason} at byte {error.start}: {sample}")
    except ValueError as error:
        return Record(number, problem="not JSON", text=f"{error}: {sample}")
    except RecursionError:
        return Record(number, problem="nested too deeply", text=sample)


def _lines(path: Path) -> Iterator[Record]:
    with _open(path) as file:
        number = 0
        while line := file.readline(LINE_LIMIT + 1):
            number += 1
            if len(line) > LINE_LIMIT:
                yield Record(number, problem="line too long", text=f"more than {LINE_LIMIT} bytes")
                while line and not line.endswith(b"\n"):
                    line = file.readline(_CHUNK)
            elif line.strip():
                yield _parse(number, line)


def _document(path: Path) -> Iterator[Record]:
    with _open(path) as file:
        content = file.read(DOCUMENT_LIMIT + 1)
    if len(content) > DOCUMENT_LIMIT:
        yield Record(1, problem="document too long", text=f"more than {DOCUMENT_LIMIT} bytes")
    elif not content.strip():
        yield Record(1, problem="empty file")
    else:
        yield _parse(1, content)


def _array(path: Path) -> Iterator[Record]:
    """Elements of one JSON array, each parsed when its text is complete. After a malformed element the rest is lost."""
    number = 1
    try:
        with io.TextIOWrapper(_open(path), encoding="utf-8-sig") as file:
            for value in _elements(file):
                yield Record(number, value)
                number += 1
    except UnicodeDecodeError as error:
        yield Record(number, problem="invalid UTF-8", text=f"{error.reason} at byte {error.start}")
    except ValueError as error:
        yield Record(number, problem="malformed or truncated JSON array", text=str(error)[:200])
    except RecursionError:
        yield Record(number, problem="nested too deeply")


def _elements(file: IO[str]) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    buffer = file.read(_CHUNK).lstrip()
    start = 1  # after the bracket
    while True:
        while start < len(buffer) and buffer[start] in " \t\r\n,":
            start += 1
        if start < len(buffer) and buffer[start] == "]":
            return
        try:
            value, end = decoder.raw_decode(buffer, start)
        except ValueError as error:
            more = file.read(max(_CHUNK, len(buffer) - start))
            if not more or len(buffer) - start > LINE_LIMIT:
                raise ValueError(f"{error}: {buffer[start : start + 100]}") from error
            buffer, start = buffer[start:] + more, 0
            continue
        start = end
        yield value


def _parquet(path: Path) -> Iterator[Record]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=16):
                for row in batch.to_pylist():
                    number += 1
                    yield Record(number, row)
    except (pyarrow.ArrowException, OSError) as error:
        yield Record(1, problem="unreadable parquet", text=str(error)[:200])
