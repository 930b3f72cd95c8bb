"""Steps per second and peak memory of reading trajectories and making steps.

python benchmarks/readers.py [--trajectories 5000] [--turns 27] [--path FILE_OR_FOLDER]

Without --path, a file of made-up trajectories in the `messages` form is written to a temporary folder and read.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import tempfile
import time
from pathlib import Path

from swe_srl.trajectories import ReadReport, make_steps, read_trajectories
from swe_srl.trajectories.prompting import Prompting

WORDS = ["def", "return", "self", "import", "class", "if", "not", "test", "assert", "path", "file", "error", "None"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trajectories", type=int, default=5000)
    parser.add_argument("--turns", type=int, default=27)
    parser.add_argument("--context", choices=("full", "last_k"), default="full")
    parser.add_argument("--path", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.path or write(Path(folder) / "trajectories.jsonl", arguments.trajectories, arguments.turns)
        measure(path, arguments.context)


def write(path: Path, trajectories: int, turns: int) -> Path:
    """A file of made-up trajectories whose commands and observations have the lengths of real ones."""
    source = random.Random(0)
    with path.open("w") as file:
        for number in range(trajectories):
            messages = [{"role": "user", "content": f"<issue>\n{text(source, 1500)}\n</issue>"}]
            for _ in range(turns):
                command = text(source, max(10, int(source.lognormvariate(4, 1.2))))
                said = f"{text(source, 300)}\n<function=bash>\n<parameter=command>{command}</parameter>\n</function>"
                messages.append({"role": "assistant", "content": said})
                output = text(source, min(10_000, int(source.lognormvariate(6.5, 1.5))))
                messages.append({"role": "user", "content": f"OBSERVATION:\n{output}"})
            file.write(json.dumps({"instance_id": f"owner__name-{number}", "messages": messages}) + "\n")
    return path


def text(source: random.Random, characters: int) -> str:
    return " ".join(source.choices(WORDS, k=characters // 5 + 1))


def measure(path: Path, context: str) -> None:
    report = ReadReport()
    start = time.perf_counter()
    characters = 0
    for step in make_steps(read_trajectories(path, report), Prompting(context=context), report):
        characters += len(step.target)
    seconds = time.perf_counter() - start
    report.check()
    size = sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{report.trajectories} trajectories, {report.turns_read} turns, {report.steps} steps, {size / 2**20:.0f} MiB"
    )
    print(f"{seconds:.1f} s: {report.steps / seconds:.0f} steps per second; peak memory {peak:.0f} MiB")


if __name__ == "__main__":
    main()
