"""The demo for real, made small: it ends with the table, an interrupted one goes on, nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

PROGRAM = "import sys; from swe_srl.cli import main; sys.exit(main(sys.argv[1:]))"
SMALL = ["demo", "--limit", "2", "--samples", "1", "--recipe", "small.yaml", "--output", "run"]
RECIPE = """
evaluation_split: quickstart
stages:
  - {updates: 1, batch_steps: 2, group_size: 2, max_new_tokens: 48, validation_steps: 2, learning_rate: 1e-4}
"""


def start(folder: Path) -> subprocess.Popen[str]:
    """A demo that an interrupt reaches, though whoever runs the tests may ignore it (as what a shell has in the background)."""
    return subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-c", PROGRAM, *SMALL],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
    )


@contextmanager
def ended(program: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """The program, which is killed when the test fails before it has ended."""
    try:
        yield program
    finally:
        program.kill()
        program.wait()


def processes() -> dict[tuple[int, str], int]:
    """Parents of all living processes, by pid and start time (which tells a process from a later one of the same pid)."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if fields[0] != "Z":
            found[int(stat.parent.name), fields[19]] = int(fields[1])
    return found


def descendants(pid: int) -> set[tuple[int, str]]:
    """All living processes below `pid`."""
    parents, below, family = processes(), set(), {pid}
    while new := {key for key, parent in parents.items() if parent in family and key not in below}:
        below |= new
        family |= {key[0] for key in new}
    return below


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it ended meanwhile
        return b""


def wait_for_a_sandbox(program: subprocess.Popen[str]) -> set[tuple[int, str]]:
    """The processes below the program once it has started the launcher of its sandboxes."""
    for _ in range(3600):
        started = descendants(program.pid)
        if any(b"swe_srl.sandboxes.launcher" in cmdline(pid) for pid, _ in started):  # what an import runs is none
            return started
        assert program.poll() is None, program.communicate()
        time.sleep(0.05)
    raise AssertionError("no sandbox was started")


def left_of(started: set[tuple[int, str]]) -> set[tuple[int, str]]:
    """What still lives of them when they had the time to see that the program has ended."""
    for _ in range(1200):
        if not (left := started & processes().keys()):
            break
        time.sleep(0.05)
    return left


@pytest.mark.timeout(600)
def test_an_interrupted_demo_goes_on_and_ends_with_the_table(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(RECIPE)
    with ended(start(tmp_path)) as first:
        started = wait_for_a_sandbox(first)
        first.send_signal(signal.SIGINT)
        _, err = first.communicate(timeout=120)
    assert first.returncode == 130, err
    assert "interrupted. What is finished is kept in run; go on with: swe-srl demo" in err
    assert "Traceback" not in err
    assert not left_of(started)
    episodes = tmp_path / "run" / "before" / "episodes.jsonl"
    kept = episodes.read_text() if episodes.exists() else ""

    with ended(start(tmp_path)) as second:
        out, err = second.communicate(timeout=500)
    assert second.returncode == 0, err
    for words in (
        "resolve rate",
        "mean similarity",
        "format errors",
        "completion tokens per turn",
        "paired over 2 tasks",
    ):
        assert words in out
    assert "run folder: run" in out
    assert episodes.read_text().startswith(kept)
