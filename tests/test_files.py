import tempfile
from pathlib import Path

import pytest

from swe_srl.errors import SweSrlError
from swe_srl.files import append_jsonl, read_jsonl, write_atomic, write_jsonl


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "a.txt"
    write_atomic(file, "old")
    with pytest.raises(TypeError):
        write_atomic(file, None)  # type: ignore[arg-type]
    assert file.read_text() == "old"
    assert [entry.name for entry in file.parent.iterdir()] == ["a.txt"]


def test_a_file_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not its temporary sibling, whose name nobody gave."""

    def refuse(dir: Path, prefix: str) -> tuple[int, str]:
        raise PermissionError(13, "Permission denied", str(dir / f"{prefix}abc"))

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(PermissionError) as caught:
        write_atomic(tmp_path / "steps.jsonl", "text")
    assert caught.value.filename == str(tmp_path / "steps.jsonl")


def test_rows_survive_exotic_line_separators(tmp_path: Path) -> None:
    rows = [{"text": "a\u2028b\x85c\n"}, {"text": "ü"}]
    write_jsonl(tmp_path / "a.jsonl", rows)
    assert list(read_jsonl(tmp_path / "a.jsonl")) == rows
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 2


def test_a_torn_last_line_is_ignored_and_replaced(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    append_jsonl(file, {"n": 1})
    with file.open("a") as out:
        out.write('{"n": 2, "te')
    assert list(read_jsonl(file)) == [{"n": 1}]
    append_jsonl(file, {"n": 3})
    assert list(read_jsonl(file)) == [{"n": 1}, {"n": 3}]


@pytest.mark.parametrize(
    ("line", "message"), [("{]", "line 2: not JSON"), ("[1]", "line 2: a JSON object was expected")]
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"n": 1}\n' + line + "\n")
    with pytest.raises(SweSrlError, match=message):
        list(read_jsonl(file))


def test_a_missing_journal_is_empty(tmp_path: Path) -> None:
    assert list(read_jsonl(tmp_path / "none.jsonl")) == []
