"""An evaluation that is killed (`kill -9`) at random moments and started again: does it end with the same result?

    python benchmarks/survive_kills.py                       50 quickstart tasks, 10 kills, the scripted expert
    python benchmarks/survive_kills.py --policy quickstart   the same with the bundled model

One run is left alone; another is killed with its whole process group at random moments, and started again by the same command.
The moments are drawn by how much is finished, so that they are spread over the run on a busy machine too.
Their verdicts and patches must be the same, every journal must hold each sample once, and no sandbox may be left.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from swe_srl.files import read_jsonl
from swe_srl.sandboxes import sweep

JOURNALS = {"episodes": "task_id", "verdicts": "task_id", "predictions": "instance_id"}


def command(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """The evaluation that is killed."""
    flags = {"policy": arguments.policy, "limit": arguments.tasks, "output": folder, "workers": arguments.workers}
    given = [text for name, value in flags.items() for text in (f"--{name}", str(value))]
    return [sys.executable, "-c", "import sys; from swe_srl.cli import main; sys.exit(main())", "eval", *given]


def start(words: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as file:
        return subprocess.Popen(words, stdout=file, stderr=file, start_new_session=True)


def results(folder: Path) -> dict[tuple[str, int], tuple[Any, ...]]:
    """What decides a run: status, verdicts and patch of every sample."""
    patches = {(row["task_id"], row["sample"]): row.get("patch", "") for row in read_jsonl(folder / "episodes.jsonl")}
    return {
        (row["task_id"], row["sample"]): (
            row["status"],
            row["official"],
            row["hardened"],
            patches[row["task_id"], row["sample"]],
        )
        for row in read_jsonl(folder / "verdicts.jsonl")
    }


def once(folder: Path, tasks: int) -> list[str]:
    """Journals of a run that do not hold every sample once."""
    wrong = []
    for journal, key in JOURNALS.items():
        counted = Counter(row[key] for row in read_jsonl(folder / f"{journal}.jsonl"))
        if len(counted) != tasks or set(counted.values()) != {1}:
            wrong.append(f"{journal}: {len(counted)} of {tasks} tasks, {sum(counted.values())} rows")
    return wrong


def finished(folder: Path) -> int:
    """How many verdicts a run has."""
    return len(list(read_jsonl(folder / "verdicts.jsonl")))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=50)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--policy", default="expert")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    stream = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="survive-kills-") as place:
        whole, killed, log = Path(place) / "whole", Path(place) / "killed", Path(place) / "log"
        begun = time.monotonic()
        if start(command(arguments, whole), log).wait() != 0:
            print(log.read_text()[-2000:])
            return 1
        seconds = time.monotonic() - begun
        print(f"left alone: {seconds:.0f} s, {Counter(value[0] for value in results(whole).values())}", flush=True)
        done = 0
        for moment in sorted(stream.choices(range(arguments.tasks * 9 // 10), k=arguments.kills)):
            program = start(command(arguments, killed), log)
            before = finished(killed)
            while program.poll() is None and finished(killed) < moment:
                time.sleep(0.05)
            # where so much was finished before it was started, it is killed while it starts, or soon after
            time.sleep(stream.uniform(0.0, 3.0 if before >= moment else 0.5))
            if program.poll() is not None:
                print(f"it ended before kill {done + 1}", flush=True)
                break
            os.killpg(program.pid, signal.SIGKILL)
            done += 1
            program.wait()
            print(f"kill {done}: {finished(killed)} verdicts so far", flush=True)
        status = start(command(arguments, killed), log).wait()
        same = results(whole) == results(killed)
        wrong = once(killed, arguments.tasks)
        left = sweep()
        report = {"kills": done, "exit": status, "same": same, "wrong journals": wrong, "left behind": left}
        print(json.dumps(report))
        return 0 if same and status == 0 and not wrong and not left and done == arguments.kills else 1


if __name__ == "__main__":
    sys.exit(main())
