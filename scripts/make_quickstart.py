"""Makes the bundled quickstart files: tasks of every split, and the expert's trajectories on training and validation tasks.

    python scripts/make_quickstart.py                  # everything, into swe_srl/data/quickstart
    python scripts/make_quickstart.py --what trajectories

Tasks come from bugs that the tests of the small repositories notice; every task is validated by running its tests without
and with the gold patch. Trajectories are the scripted expert's commands run in the quickstart environment; one that does
not resolve its task is an error. The same files come out every time.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from swe_srl.agents.demonstration import demonstrations
from swe_srl.files import write_atomic, write_jsonl
from swe_srl.grading import GradingSettings, log_parser_statuses, run_tests
from swe_srl.tasks import load_tasks
from swe_srl.tasks.difficulty import BUNDLED_FILE
from swe_srl.tasks.synthesis.difficulty import apart
from swe_srl.tasks.synthesis.quickstart import SPLITS, quickstart_tasks
from swe_srl.trajectories import write_trajectories
from swe_srl.types import Task, TestRun, Trajectory

DEMONSTRATED = ("train", "validation")


class Notes:
    """Progress on standard error, one line a task that was left out."""

    def track(self, name: str, total: int | None = None, done: int = 0) -> None:
        """Ignore."""

    def advance(self, name: str, amount: int = 1, info: str = "") -> None:
        sys.stderr.write(".")
        sys.stderr.flush()

    def note(self, text: str) -> None:
        sys.stderr.write(f"\n{text}\n")


def demonstrate(tasks: Sequence[Task], workers: int) -> list[Trajectory]:
    """The expert's resolved trajectories, in the order of the tasks.

    Raises:
        SystemExit: the expert does not resolve a task.
    """
    found = list(demonstrations(tasks, "quickstart", "quickstart", workers=workers))
    failed = [f"{task.instance_id}: the expert fails: {shown}" for task, shown in found if isinstance(shown, str)]
    if failed:
        raise SystemExit("\n".join(failed))
    return [shown for _, shown in found if isinstance(shown, Trajectory)]


def run_locally(task: Task, patch: str) -> TestRun:
    """A task's tests in the local sandbox, once: validation reads the log alone."""
    return run_tests(task, patch, GradingSettings(sandbox="local", hardened=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("swe_srl/data/quickstart"))
    parser.add_argument("--what", choices=("all", "tasks", "trajectories"), default="all")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    difficulties: dict[str, object] = {}
    for split in SPLITS:
        file = options.out / f"tasks-{split}.jsonl"
        if options.what != "trajectories":
            tasks = quickstart_tasks(split, run_locally, log_parser_statuses, options.workers, Notes())
            found = [apart(task) for task in tasks]
            write_jsonl(file, (task.row() for task, _ in found))
            difficulties |= {task.instance_id: said for task, said in found}
        if options.what != "tasks" and split in DEMONSTRATED:
            trajectories = demonstrate(load_tasks(str(file)), options.workers)
            write_trajectories(options.out / f"trajectories-{split}.jsonl", trajectories)
    if difficulties:  # beside the rows, which are part of what a run is told apart by
        lines = (f"{json.dumps(name)}: {json.dumps(said)}" for name, said in difficulties.items())
        write_atomic(options.out / BUNDLED_FILE, "{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
