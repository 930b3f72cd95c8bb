"""Progress for people: lines in a file, bars on a terminal."""

from __future__ import annotations

import io
import sys

import pytest

from swe_srl.cli.bars import PlainProgress, RichProgress
from swe_srl.cli.console import Console
from swe_srl.progress import Progress


def work(progress: Progress) -> None:
    progress.track("grade", 40, done=10)
    for number in range(30):
        progress.advance("grade", info=f"task {number}")
    progress.note("graded")
    progress.track("train")
    progress.advance("train", 3)


def test_plain_lines_come_at_tenths_and_at_the_end() -> None:
    stream = io.StringIO()
    work(PlainProgress(stream))
    lines = stream.getvalue().splitlines()
    assert [line.split()[1] for line in lines[:9]] == [f"{done}/40" for done in (10, 14, 18, 22, 26, 30, 34, 38, 40)]
    assert lines[8:] == ["grade: 40/40  task 29", "graded", "train: 0"]


def test_plain_lines_come_after_half_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("swe_srl.cli.bars.time.monotonic", lambda: now[0])
    stream = io.StringIO()
    progress = PlainProgress(stream)
    progress.track("run", 1000)
    for second in (1.0, 29.0, 31.0, 32.0):
        now[0] = second
        progress.advance("run")
    assert stream.getvalue().splitlines() == ["run: 0/1000", "run: 3/1000"]


def test_bars_take_the_same_calls_and_can_be_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    progress = RichProgress()
    work(progress)
    progress.stop()
    progress.stop()
    progress.advance("another")
    progress.stop()
    shown = capsys.readouterr().err
    assert "graded" in shown and "40/40" in shown


def test_tables_and_json_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.progress().track("grade", 1)
    console.table(("name", ">share"), [("[bold]a", 0.5), ("b" * 100, None)])
    console.json({"a": 1})
    console.close()
    captured = capsys.readouterr()
    assert "[bold]a" in captured.out and "b" * 100 in captured.out and '"a": 1' in captured.out
    assert "grade: 0/1" in captured.err


def test_a_narrow_terminal_shows_what_a_row_is_of(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    columns = ("task", "repository", "difficulty", ">to fix", ">to keep", "image or source")
    Console().table(columns, [("shop__long-prices-115", "quickstart/shop", "medium", 3, 88, "packaged:" + "x" * 60)])
    row = next(line for line in capsys.readouterr().out.splitlines() if "shop" in line)
    assert "shop__long-prices-115" in row and len(row) <= 60


def test_a_narrow_terminal_shows_whole_numbers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has no room is broken by the terminal: `0.0…` tells nothing of a reward."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    columns = (
        "#",
        ">reward",
        ">target_pipelines",
        ">unasked_changes",
        ">similarity",
        ">log p before",
        ">after",
        "command",
    )
    numbers = ("0.125", "1.000", "2.000", "-1.250", "-12.583", "-20.461")
    Console().table(columns, [(1, *numbers, "grep -n def lexer/scan.py")])
    out = capsys.readouterr().out
    assert "\u2026" not in out and all(f" {one} " in out for one in numbers) and "grep -n def lexer/scan.py" in out
    Console().table(("arm", ">seconds"), [("base", 12), ("srl", 25)])
    assert all(len(line) <= 80 for line in capsys.readouterr().out.splitlines())
