"""Run folders for the viewer's tests, written by the program's own writers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from swe_srl.evaluation import EvalSettings
from swe_srl.files import write_jsonl
from swe_srl.grading.cache import verdict_row
from swe_srl.runs import RunFolder
from swe_srl.settings import as_mapping
from swe_srl.tasks import load_tasks
from swe_srl.trajectories import trajectory_to_row
from swe_srl.types import Action, FormatError, StopReason, Trajectory, Turn, Verdict, VerdictStatus

PATCH = """diff --git a/cart.py b/cart.py
index 1..2 100644
--- a/cart.py
+++ b/cart.py
@@ -1,2 +1,2 @@ def total():
 def total(a, b):
-    return a - b
+    return a + b
"""
COMMANDS = ("ls -la", "cat cart.py", "sed -i 's/-/+/' cart.py", "python3 -m unittest", "submit")


def episode(task_id: str, commands: Sequence[str] = COMMANDS, output: str = "an output\n", **more: Any) -> Trajectory:
    """One finished episode."""
    turns = [
        Turn(Action(command, f"Thought of {command}"), output, 0, seconds=0.2, completion_tokens=9)
        for command in commands
    ]
    base: dict[str, Any] = {
        "problem_statement": f"The sum of {task_id} is wrong.",
        "repo": "shop/cart",
        "patch": PATCH,
        "stop_reason": StopReason.SUBMITTED,
    }
    return Trajectory(f"{task_id}#0", task_id, tuple(turns), **{**base, **more})


def verdict(task_id: str, official: bool = True, hardened: bool | None = None, **more: Any) -> Verdict:
    """The verdict on such an episode."""
    status = VerdictStatus.RESOLVED if official else VerdictStatus.UNRESOLVED
    failed = () if official else ("test_sum",)
    known: dict[str, Any] = {"fail_to_pass_passed": ("test_sum",) if official else (), "fail_to_pass_failed": failed}
    known |= {"pass_to_pass_passed": ("test_a", "test_b")}
    return Verdict(task_id, status, official, official if hardened is None else hardened, **{**known, **more})


def make_run(
    folder: Path,
    episodes: Iterable[tuple[Trajectory, int]] = (),
    verdicts: Iterable[tuple[Verdict, int]] = (),
    **settings: Any,
) -> Path:
    """An evaluation run of these episodes and verdicts, each with the number of its sample."""
    with RunFolder.start(folder, "eval", as_mapping(EvalSettings(output=folder, **settings))):
        pass
    rows = [{**trajectory_to_row(one), "sample": sample, "seconds": 1.5} for one, sample in episodes]
    write_jsonl(folder / "episodes.jsonl", rows)
    write_jsonl(folder / "verdicts.jsonl", [{**verdict_row(one), "sample": sample} for one, sample in verdicts])
    return folder


def quickstart_run(folder: Path, tasks: int = 3) -> Path:
    """A run on bundled tasks, whose expert is known: malformed, failing and resolved episodes, of two samples each."""
    chosen = load_tasks("quickstart")[:tasks]
    episodes, verdicts = [], []
    for number, task in enumerate(chosen):
        for sample in range(2):
            made = episode(task.instance_id, repo=task.repo, problem_statement=task.problem_statement)
            turns = list(made.turns)
            turns[1] = replace(turns[1], action=FormatError("two commands", "ls\npwd"), observation="")
            turns[3] = replace(turns[3], exit_code=1)
            stop = StopReason.TURN_LIMIT if sample else StopReason.SUBMITTED
            episodes.append((replace(made, turns=tuple(turns), stop_reason=stop), sample))
            passed = (number + sample) % 2 == 0
            hardened = passed and number != 0
            verdicts.append(
                (verdict(task.instance_id, passed, hardened, reason="" if passed == hardened else "odd"), sample)
            )
    return make_run(folder, episodes, verdicts, samples=2)


def training_run(folder: Path, updates: int = 3) -> Path:
    """A training run of two stages, its second one under way."""
    settings = {"model": "quickstart", "stages": [{"method": "sft"}, {"method": "srl"}]}
    with RunFolder.start(folder, "train", settings):
        pass
    metrics: list[dict[str, Any]] = [
        {"stage": 0, "method": "sft", "update": update, "loss": 2.0 - update, "seconds": {"total": 0.5}}
        for update in range(1, updates + 1)
    ]
    metrics += [
        {"stage": 1, "method": "srl", "update": update, "reward_mean": 0.5 + update / 10, "entropy": 0.2, "loss": 0.1}
        for update in range(1, updates + 1)
    ]
    write_jsonl(folder / "metrics.jsonl", metrics)
    good = {
        "text": "<think>Look.</think>\n```bash\nls\n```",
        "reward": 1.0,
        "advantage": 0.7,
        "malformed": "",
        "tokens": 9,
    }
    bad = {
        "text": "<img src=x onerror=hacked=1>",
        "reward": -1.0,
        "advantage": -1.4,
        "malformed": "no block",
        "tokens": 3,
    }
    sample = {
        "stage": 1,
        "update": 2,
        "step_id": "shop__cart-1#expert:0",
        "target": "ls",
        "completions": [good, bad, good],
    }
    write_jsonl(folder / "samples.jsonl", [sample])
    (folder / "stages").mkdir()
    (folder / "stages" / "0.json").write_text(json.dumps({"stage": 0, "updates": updates, "chosen_update": 2}))
    return folder
