"""A study for real, made small: both tables, an interrupted one goes on, finished runs are not run again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from swe_srl.files import read_jsonl

pytestmark = [pytest.mark.sandbox, pytest.mark.slow, pytest.mark.timeout(900)]

PROGRAM = "import sys; from swe_srl.cli import main; sys.exit(main(sys.argv[1:]))"
RECIPE = """
evaluation_split: quickstart
agent: quickstart
stages:
  - {method: %s, updates: 2, batch_steps: 2, max_new_tokens: 48, validation_steps: 2%s}
"""
STUDY = """
samples: 1
core: 3
arms:
  - {name: base, title: the base}
  - {name: srl, title: SRL, recipe: srl.yaml, seconds: 1, tokens: 4000}
  - {name: sft, title: SFT, recipe: sft.yaml, seconds: 1, tokens: 1500}
  - {name: late, title: too long for any budget, recipe: srl.yaml, seconds: 100000, tokens: 4000}
"""
STUDY_ARGUMENTS = ["reproduce", "mine.yaml", "--limit", "1", "--seeds", "1", "--output", "out", "--budget", "24h"]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-c", PROGRAM, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent), "OMP_NUM_THREADS": "1"},
    )


def kill_once_there(program: subprocess.Popen[str], file: Path) -> None:
    """End the program as a lack of power does when it has written a file."""
    for _ in range(12000):
        if file.exists():
            break
        assert program.poll() is None, program.communicate()
        time.sleep(0.05)
    program.send_signal(signal.SIGKILL)
    program.communicate()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "srl.yaml").write_text(RECIPE % ("srl", ", group_size: 2, epsilon: 0.0"))
    (tmp_path / "sft.yaml").write_text(RECIPE % ("sft", ""))
    (tmp_path / "mine.yaml").write_text(STUDY)
    return tmp_path


def test_a_killed_study_goes_on_and_ends_with_both_tables(folder: Path) -> None:
    out = folder / "out"
    first = start(folder, *STUDY_ARGUMENTS)
    kill_once_there(first, out / "runs" / "data" / "srl-0" / "train" / "metrics.jsonl")
    sessions = out / "runs" / "data" / "base-0" / "eval" / "sessions.jsonl"
    finished = sessions.read_bytes()
    assert [row["name"] for row in read_jsonl(out / "units.jsonl")] == ["data/base-0"]

    second = start(folder, *STUDY_ARGUMENTS)
    shown, err = second.communicate(timeout=800)
    assert second.returncode == 0, err
    assert "run 2, 14" in err and "minutes of the budget left: " in err and "run 2 of" not in err
    assert sessions.read_bytes() == finished  # the base was not looked at again
    assert "Matched data" in shown and "Matched compute" in shown
    assert "left out: `data/late`, seed 0: it would take about" in shown

    results: dict[str, Any] = json.loads((out / "results.json").read_text())
    data = {row["arm"]["name"]: row for row in results["tables"]["data"]}
    compute = {row["arm"]["name"]: row for row in results["tables"]["compute"]}
    assert data.keys() == compute.keys() == {"base", "srl", "sft"}
    wanted = data["srl"]["compute"]
    assert wanted == data["srl"]["forward"] + 2 * data["srl"]["backward"] > 0
    assert data["sft"]["compute"] < wanted <= compute["sft"]["compute"]
    assert compute["sft"]["records"][0]["updates"][0] > data["sft"]["records"][0]["updates"][0] == 2
    assert compute["srl"]["resolved"] == data["srl"]["resolved"]
    page = (out / "results.md").read_text()
    assert "## Left out" in page and "the interval" in page and "swe-srl reproduce mine.yaml" in page

    before = (out / "units.jsonl").read_bytes()
    third = start(folder, *STUDY_ARGUMENTS)
    _, err = third.communicate(timeout=800)
    assert third.returncode == 0, err
    assert (out / "units.jsonl").read_bytes() == before  # nothing is left to do


def test_the_packaged_study_made_small(tmp_path: Path) -> None:
    small = [
        "--updates",
        "1",
        "--limit",
        "2",
        "--seeds",
        "1",
        "--samples",
        "1",
        "--arms",
        "base,sft",
        "--tables",
        "data",
    ]
    program = start(tmp_path, "reproduce", "quickstart", *small)
    shown, err = program.communicate(timeout=800)
    assert program.returncode == 0, err
    rows = json.loads((tmp_path / "runs/reproduce/quickstart/results.json").read_text())["tables"]["data"]
    assert [row["arm"]["name"] for row in rows] == ["base", "sft"] and rows[1]["records"][0]["updates"] == [1]
    assert "results: runs/reproduce/quickstart/results.md" in shown
