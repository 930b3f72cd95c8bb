"""The demo for real, made small: it ends with the table, an interrupted one goes on, nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from swe_srl.sandboxes import sweep

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

PROGRAM = "import sys; from swe_srl.cli import main; sys.exit(main(sys.argv[1:]))"
SMALL = ["demo", "--limit", "3", "--samples", "2", "--updates", "1", "--output", "run"]


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *SMALL],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
        start_new_session=True,
    )


def wait_for(file: Path, program: subprocess.Popen[str]) -> None:
    for _ in range(1800):
        if file.exists() and file.read_text().strip():
            return
        assert program.poll() is None, program.communicate()
        time.sleep(0.1)
    raise AssertionError(f"{file} was not written")


def processes_of_group(group: int) -> list[str]:
    listed = subprocess.run(["ps", "-o", "args=", "-g", str(group)], capture_output=True, text=True)
    return listed.stdout.splitlines()


@pytest.mark.timeout(600)
def test_an_interrupted_demo_goes_on_and_ends_with_the_table(tmp_path: Path) -> None:
    first = start(tmp_path)
    wait_for(tmp_path / "run" / "before" / "episodes.jsonl", first)
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=120)
    assert first.returncode == 130, err
    assert "interrupted. What is finished is kept in run; go on with: swe-srl demo" in err
    assert "Traceback" not in err
    assert processes_of_group(first.pid) == []
    kept = (tmp_path / "run" / "before" / "episodes.jsonl").read_text()

    second = start(tmp_path)
    out, err = second.communicate(timeout=500)
    assert second.returncode == 0, err
    for words in (
        "resolve rate",
        "mean similarity",
        "format errors",
        "completion tokens per turn",
        "paired over 3 tasks",
    ):
        assert words in out
    assert "run folder: run" in out
    assert (tmp_path / "run" / "before" / "episodes.jsonl").read_text().startswith(kept)
    assert sweep() == 0
