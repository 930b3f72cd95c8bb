"""A real evaluation in real sandboxes, killed and started again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from grading_support import named, tiny_task

from swe_srl.evaluation import EvalSettings, evaluate
from swe_srl.files import read_jsonl, write_jsonl

pytestmark = pytest.mark.sandbox

TASKS = 4
PROGRAM = """
import sys
from pathlib import Path
from swe_srl.evaluation import EvalSettings, evaluate
evaluate(EvalSettings(tasks=sys.argv[1], policy="gold", output=Path(sys.argv[2]), workers=2, grading_workers=1))
"""


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    task = tiny_task(tmp_path / "calc")
    write_jsonl(tmp_path / "rows.jsonl", [named(task, f"tiny__calc-{number}").row() for number in range(TASKS)])
    return tmp_path / "rows.jsonl"


def settings_for(rows: Path, policy: str) -> EvalSettings:
    return EvalSettings(tasks=str(rows), policy=policy, output=rows.parent / policy, workers=2, grading_workers=2)


def verdicts_when(run: Path, count: int, program: subprocess.Popen[bytes], seconds: float = 120.0) -> None:
    """Wait until the run has so many verdicts."""
    deadline = time.monotonic() + seconds
    while len(list(read_jsonl(run / "verdicts.jsonl"))) < count:
        assert program.poll() is None, "the program ended before it could be killed"
        assert time.monotonic() < deadline, "no verdict in time"
        time.sleep(0.01)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_result(rows: Path) -> None:
    run = rows.parent / "killed"
    command = [sys.executable, "-c", PROGRAM, str(rows), str(run)]
    stream = random.Random(1)
    for finished in (1, 2):
        program = subprocess.Popen(command, start_new_session=True)
        verdicts_when(run, finished, program)
        time.sleep(stream.random() * 0.3)
        os.killpg(program.pid, signal.SIGKILL)
        program.wait()
        if (run / "report.json").exists():  # the machine was too fast for this kill
            break
    subprocess.run(command, check=True)
    whole = evaluate(settings_for(rows, "gold"))
    report = json.loads((run / "report.json").read_text())
    assert (report["resolved"], report["hardened"], report["samples"]) == (TASKS, TASKS, TASKS)
    assert report["statuses"] == dict(whole.statuses)
    for journal, key in (("episodes", "task_id"), ("verdicts", "task_id"), ("predictions", "instance_id")):
        counted = Counter(row[key] for row in read_jsonl(run / f"{journal}.jsonl"))
        assert counted == {f"tiny__calc-{number}": 1 for number in range(TASKS)}, journal


def test_the_empty_policy_resolves_nothing(rows: Path) -> None:
    report = evaluate(settings_for(rows, "empty"))
    assert (report.resolved, report.samples) == (0, TASKS)
    assert report.statuses == {"empty_patch": TASKS}
    assert report.resolve_rate.high < 0.6
