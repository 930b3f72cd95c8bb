"""The table of running episodes: it fits, whatever the commands hold; and it leaves the terminal as it was."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path

import pytest
from grading_support import named, tiny_task
from rich.console import Console, Group

from swe_srl.cli.console import Console as CommandConsole
from swe_srl.cli.live import EpisodeTable, totals
from swe_srl.files import read_jsonl, write_jsonl
from swe_srl.plain import one_line, plain
from swe_srl.progress import Doing, Tally

HOSTILE = (
    "\x1b[2J\x1b[H\x1b]0;title\x07\x1b[?1049h",
    "\x9b31m\x90q\x9c\x00\x08\x08\x7f",
    "echo a\r\nrm b\n\n\nls\x0b\x0c\x1c\x85\u2028\u2029end",
    "漢字" * 200,
    "👩\u200d👩\u200d👧\ufe0f🇩🇪" * 50,
    "\u202e\u2066gnp.exe\u2069",
    "e" + "\u0301" * 400,
    "\ud800 \ue000 \ufffe",
    "[bold red]not markup[/] :smile:",
    "",
    "x" * 100_000,
)


def most(line: str) -> int:
    """Columns that a line takes on the terminal that draws it widest."""
    marks = {"Mn", "Me"}
    signs = [sign for sign in line if unicodedata.category(sign) not in marks]
    return sum(2 if ord(sign) > 0xFFFF or unicodedata.east_asian_width(sign) in "WF" else 1 for sign in signs)


def drawn(table: EpisodeTable, width: int, height: int) -> list[str]:
    """The table's lines on a terminal of that size."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system=None, width=500, height=200, legacy_windows=False)
    console.print(Group(*table.parts(width, height)))
    return out.getvalue().split("\n")[:-1]


def filled(count: int, commands: Sequence[str] = ("ls",)) -> EpisodeTable:
    clock = iter(range(10_000))
    table = EpisodeTable(lambda: float(next(clock)))
    for number in range(count):
        name = f"django__django-{10_000 + number}#0"
        table.doing(name, Doing.STARTING)
        table.doing(name, Doing.RUNNING, number + 1, commands[number % len(commands)])
    return table


def test_32_episodes_are_shown_where_they_fit_and_counted_where_not() -> None:
    table = filled(32)
    table.counted(Tally(300, 100, 40, 2, 0.31, 0.50))
    tall = drawn(table, 120, 60)
    assert len(tall) == 1 + 32 + 1 and all(f"django__django-{10_000 + n} " in tall[1 + n] for n in range(32))
    assert "last command" in tall[0] and re.search(r" 32 .* running +[\d:]+ +ls", tall[32])
    assert tall[-1].startswith("resolved 40 of 100: 40.0% (31.0% to 50.0%); 198 of 300 left")
    low = drawn(table, 100, 20)
    assert len(low) == 20 and low[-2].startswith("… and 15 more: 15 running")
    assert len(drawn(table, 100, 2)) == 2 and drawn(table, 100, 0) == []


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_hostile_commands_take_one_line_each_and_do_nothing(width: int) -> None:
    table = filled(len(HOSTILE), HOSTILE)
    table.doing("\x1b[31mtask\n#0", Doing.THINKING, 3)
    lines = drawn(table, width, 60)
    assert len(lines) == 1 + len(HOSTILE) + 1
    assert all(most(line) <= width and line == line.rstrip() for line in lines)
    assert not [sign for line in lines for sign in line if not sign.isprintable()]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_said_does_nothing_to_a_terminal(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    """Elsewhere it is as it is: a patch may be saved."""
    shown = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setenv("TERM", "dumb")
    console = CommandConsole()
    console.say("a\x1b[6nb\tc\n")
    assert shown.getvalue() == ("a?[6nb  c\n\n" if terminal else "a\x1b[6nb\tc\n\n")
    console.markdown("it said \x1b]52;c;ZXZpbA==\x07")
    assert ("\x1b" in shown.getvalue()) != terminal
    console.table(["name"], [["\x1b[6n"]])
    assert "\x1b[6n" not in shown.getvalue().rpartition("name")[2]


def test_text_of_others_is_made_plain() -> None:
    assert one_line("[bold red]not markup[/] :smile:") == "[bold red]not markup[/] :smile:"
    assert one_line("a\u202eb\tc\n d") == "ab c↵ d"
    assert plain("first\x1b[1mx\r\nsecond\n") == "first?[1mx\nsecond\n"
    for text in HOSTILE:
        assert one_line(text).isprintable() and plain(text).replace("\n", "").isprintable()


def test_an_episode_keeps_its_last_command_until_it_ends() -> None:
    table = EpisodeTable()
    table.doing("a__b-1#1", Doing.RUNNING, 1, "pytest -q")
    table.doing("a__b-1#1", Doing.THINKING, 2)
    (_, line) = drawn(table, 100, 10)
    assert "a__b-1#1" in line and "thinking" in line and "pytest -q" in line
    table.ended("a__b-1#1")
    table.ended("a__b-1#1")
    assert drawn(table, 100, 10) == []


def test_the_time_left_is_told_from_this_starts_own_speed() -> None:
    assert totals(Tally(10), (0, 0.0), 5.0) == "nothing graded yet; 10 of 10 left; infrastructure failures 0"
    said = totals(Tally(10, 6, 3, 1, 0.2, 0.8), (5, 0.0), 60.0)
    assert "3 of 10 left, about 1:30;" in said and said.endswith("infrastructure failures 1")


TERMINAL = (24, 80)


def on_terminal(words: list[str], see: Callable[[str], bool], then: Callable[[int], None]) -> tuple[int, str, bool]:
    """Run a command on a terminal of its own until `see` says so of what it wrote, do something, and wait for its end.

    Returns its exit code, all that it wrote, and whether the terminal's settings are as before.
    """
    own, its = pty.openpty()
    ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", *TERMINAL, 0, 0))
    before = termios.tcgetattr(its)
    code = "import sys; from swe_srl.cli import main; sys.exit(main())"
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    program = subprocess.Popen(
        [sys.executable, "-c", code, *words], stdin=its, stdout=its, stderr=its, env=environment, start_new_session=True
    )
    text, done, deadline = "", False, time.monotonic() + 200  # seconds: it hangs
    try:
        os.set_blocking(own, False)
        while program.poll() is None:
            assert time.monotonic() < deadline, text[-3000:]
            try:
                text += os.read(own, 1 << 16).decode(errors="replace")
            except BlockingIOError:
                time.sleep(0.02)
            if not done and see(text):
                done = True
                then(program.pid)
        with suppress(OSError):
            text += os.read(own, 1 << 20).decode(errors="replace")
        return program.returncode, text, termios.tcgetattr(its) == before
    finally:
        if program.poll() is None:
            os.killpg(program.pid, signal.SIGKILL)
        program.wait()
        os.close(own)
        os.close(its)


@pytest.mark.timeout(450)
@pytest.mark.sandbox
def test_ctrl_c_leaves_a_clean_terminal(tmp_path: Path) -> None:
    names = [f"tiny__calc-{number}" for number in range(6)]
    task = tiny_task(tmp_path / "calc")
    write_jsonl(tmp_path / "rows.jsonl", [named(task, name).row() for name in names])
    run = tmp_path / "run"
    words = ["eval", "--tasks", str(tmp_path / "rows.jsonl"), "--policy", "gold", "--output", str(run)]
    words += ["--workers", "6", "--grading-workers", "1"]
    code, text, same = on_terminal(
        words, lambda text: "resolved 1 of 1" in text, lambda pid: os.killpg(pid, signal.SIGINT)
    )
    assert code == 130 and same and "go on with: swe-srl eval" in text, text[-2000:]
    assert "last command" in text and "grading  0:" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is shown again"
    assert "\x1b[?1049h" not in text
    assert "last command" not in text[text.rindex("\x1b[?25h") :]
    code, text, same = on_terminal(words, lambda text: False, lambda pid: None)
    assert code == 0 and same and json.loads((run / "report.json").read_text())["resolved"] == 6
    assert len(list(read_jsonl(run / "verdicts.jsonl"))) == 6
