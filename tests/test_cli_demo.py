"""The demo for real, made small: it ends with the table, an interrupted one goes on, nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
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


def start(folder: Path, mark: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *SMALL],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent), "MARK": mark},
    )


def wait_for_a_sandbox(mark: str, program: subprocess.Popen[str]) -> None:
    for _ in range(1800):
        if len(left_over(mark)) > 1:
            return
        assert program.poll() is None, program.communicate()
        time.sleep(0.1)
    raise AssertionError("no sandbox was started")


def left_over(mark: str) -> list[str]:
    """Command lines of living processes whose environment holds the mark: the program's and all that it started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:  # it ended meanwhile, or is somebody else's
            continue
    return found


@pytest.mark.timeout(600)
def test_an_interrupted_demo_goes_on_and_ends_with_the_table(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(RECIPE)
    mark = uuid.uuid4().hex
    first = start(tmp_path, mark)
    wait_for_a_sandbox(mark, first)
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=120)
    assert first.returncode == 130, err
    assert "interrupted. What is finished is kept in run; go on with: swe-srl demo" in err
    assert "Traceback" not in err
    assert left_over(mark) == []
    episodes = tmp_path / "run" / "before" / "episodes.jsonl"
    kept = episodes.read_text() if episodes.exists() else ""

    second = start(tmp_path, mark)
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
    assert left_over(mark) == []
