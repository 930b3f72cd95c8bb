"""Which similarity tells commands of equal effect from others: pairs labelled by execution, and each similarity's figures.

python benchmarks/similarity.py make --trajectories FOLDER --output pairs.jsonl   # run the commands, label the pairs
python benchmarks/similarity.py score pairs.jsonl                                # the table
python benchmarks/similarity.py time pairs.jsonl                                 # microseconds per pair
python benchmarks/similarity.py effect pairs.jsonl                               # `effect`: runs the pairs again

`make` takes the commands of real mini-swe-agent trajectories, rewrites and corrupts them (`similarity_pairs.py`), and runs each
command and each variant in a fork of the same local sandbox on the released source of the repository (downloaded from PyPI as
a source archive, or found in --archives). A pair is *equivalent* when output, exit code and the tree of files are all equal.
Trajectories of requests and Flask make the tuning part; those of pylint, xarray and seaborn are held out.
"""

from __future__ import annotations

import argparse
import bisect
import difflib
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from similarity_pairs import variants

from swe_srl.envs import SandboxProbe
from swe_srl.files import append_jsonl, read_jsonl
from swe_srl.protocols import Sandbox, Similarity, Snapshot
from swe_srl.rewards import get_similarity, no_operation, similarity_names
from swe_srl.sandboxes import make_sandbox
from swe_srl.trajectories import ReadReport, read_trajectories
from swe_srl.trajectories.action_format import SUBMIT
from swe_srl.types import Action, Limits, SandboxSpec

ARCHIVES = {
    "psf__requests": ("requests==2.27.0", "tuning"),
    "pallets__flask": ("flask==2.2.3", "tuning"),
    "pylint-dev__pylint": ("pylint==2.14.5", "held out"),
    "pydata__xarray": ("xarray==2023.7.0", "held out"),
    "mwaskom__seaborn": ("seaborn==0.12.0", "held out"),
}
SECONDS = 10.0
PURE = [name for name in similarity_names() if name != "effect"]  # need no sandbox
TREE = "git add -A >/dev/null 2>&1; git write-tree"


@dataclass(frozen=True)
class Outcome:
    """What a command did: what it showed, how it ended, and the files after it."""

    output: str
    exit_code: int | None
    tree: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make")
    make.add_argument("--trajectories", type=Path, required=True)
    make.add_argument("--output", type=Path, required=True)
    make.add_argument("--archives", type=Path, help="folder of source archives; missing ones are downloaded from PyPI")
    make.add_argument("--targets", type=int, default=60, help="commands per repository")
    effect = commands.add_parser("effect")
    effect.add_argument("pairs", type=Path)
    effect.add_argument("--archives", type=Path, help="as for make")
    for name in ("score", "time"):
        commands.add_parser(name).add_argument("pairs", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "make":
        make_pairs(arguments.trajectories, arguments.output, arguments.archives, arguments.targets)
    elif arguments.command == "effect":
        measure_effect(list(read_jsonl(arguments.pairs)), arguments.archives)
    elif arguments.command == "score":
        score(list(read_jsonl(arguments.pairs)))
    else:
        measure(list(read_jsonl(arguments.pairs)))


def make_pairs(trajectories: Path, output: Path, archives: Path | None, targets: int) -> None:
    commands = commands_of(trajectories)
    with tempfile.TemporaryDirectory() as folder:
        for prefix, (requirement, part) in ARCHIVES.items():
            source = repository(requirement, archives or Path(folder), Path(folder) / prefix)
            files = [line for line in _git(source, "ls-files").splitlines() if line.endswith(".py")]
            spec = SandboxSpec(repository=str(source), limits=Limits(command_seconds=SECONDS))
            with make_sandbox("local", spec) as sandbox:
                label(sandbox, commands[prefix], files, targets, output, prefix, part)


def commands_of(trajectories: Path) -> dict[str, list[str]]:
    """Distinct commands by repository, in a fixed random order."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for trajectory in read_trajectories(trajectories, ReadReport(), "mini-swe-agent"):
        for turn in trajectory.turns:
            if (
                isinstance(turn.action, Action)
                and turn.action.command != SUBMIT
                and not no_operation(turn.action.command)
            ):
                found[trajectory.task_id.rpartition("-")[0]].setdefault(turn.action.command)
    shuffled = {prefix: list(commands) for prefix, commands in found.items()}
    for commands in shuffled.values():
        random.Random(0).shuffle(commands)
    return shuffled


def repository(requirement: str, archives: Path, place: Path) -> Path:
    """The source archive of a release as a git repository of one commit."""
    name = f"{requirement.replace('==', '-')}.tar.gz"
    if name not in {path.name.lower() for path in archives.iterdir()}:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", requirement]
        subprocess.run([*command, "-d", str(archives)], check=True, stdout=subprocess.DEVNULL)
    found = next(path for path in archives.iterdir() if path.name.lower() == name)
    with tarfile.open(found) as archive:
        archive.extractall(place, filter="data")
    (source,) = place.iterdir()
    _git(source, "init", "-q")
    _git(source, "add", "-A")
    _git(source, "-c", "user.name=base", "-c", "user.email=base@localhost", "commit", "-q", "-m", "base")
    return source


def _git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True).stdout


def label(
    sandbox: Sandbox, commands: list[str], files: list[str], targets: int, output: Path, prefix: str, part: str
) -> None:
    """Run targets and their variants, each in a fork of the same state, and write the labelled pairs."""
    snapshot = sandbox.snapshot()
    base = sandbox.run(TREE).output.strip()
    source = random.Random(1)
    made = 0
    for number, target in enumerate(commands):
        if made >= targets:
            break
        wanted = run(sandbox, snapshot, target)
        if not wanted or wanted.exit_code != 0 or (not wanted.output and wanted.tree == base):
            continue
        if run(sandbox, snapshot, target) != wanted:
            continue  # not deterministic
        made += 1
        others = [("another command", commands[(number + step) % len(commands)]) for step in (1, 2)]
        for rewrite, predicted in [*variants(target, source, files), *others]:
            done = run(sandbox, snapshot, predicted)
            if done is None or predicted == target:
                continue
            row = {"repository": prefix, "part": part, "rewrite": rewrite, "equivalent": done == wanted}
            append_jsonl(output, {**row, "predicted": predicted, "target": target})
        print(f"{prefix}: {made} of {targets} commands", file=sys.stderr)
    snapshot.discard()


def run(sandbox: Sandbox, snapshot: Snapshot, command: str) -> Outcome | None:
    """None when the command ran out of time."""
    with sandbox.fork(snapshot) as fork:
        result = fork.run(command)
        if result.timed_out or result.rebuilt:
            return None
        settled = re.sub(r"\b\d+\.\d+ ?s(?:econds)?\b|0x[0-9a-f]{6,}|\b\w{3} +\d+ \d\d:\d\d\b", "~", result.output)
        return Outcome(settled, result.exit_code, fork.run(f"cd /testbed && {TREE}").output.strip())


def score(rows: list[dict[str, object]]) -> None:
    for part in ("tuning", "held out"):
        chosen = [row for row in rows if row["part"] == part]
        equal = sum(bool(row["equivalent"]) for row in chosen)
        targets = len({row["target"] for row in chosen})
        print(f"\n{part}: {len(chosen)} pairs of {targets} commands, {equal} equivalent\n")
        print(
            "| similarity | ROC AUC | rank inversions | mean equivalent | mean different |\n| --- | --- | --- | --- | --- |"
        )
        for name in PURE:
            similarity = get_similarity(name)
            report(name, chosen, [similarity(str(row["predicted"]), str(row["target"])).value for row in chosen])


def report(name: str, chosen: list[dict[str, object]], values: list[float]) -> None:
    """One similarity's row of the table."""
    labels = [bool(row["equivalent"]) for row in chosen]
    same = [value for value, label in zip(values, labels, strict=True) if label]
    other = [value for value, label in zip(values, labels, strict=True) if not label]
    inverted = inversions(chosen, values)
    means = f"{sum(same) / len(same):.3f} | {sum(other) / len(other):.3f}"
    print(f"| `{name}` | {auc(same, other):.3f} | {100 * inverted:.1f}% | {means} |")


def measure_effect(rows: list[dict[str, object]], archives: Path | None) -> None:
    """`effect` on the pairs, which are run once more, a target once for all its pairs."""
    values: dict[str, list[float]] = defaultdict(list)
    chosen: dict[str, list[dict[str, object]]] = defaultdict(list)
    fallbacks = ran = 0
    seconds = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for prefix, (requirement, part) in ARCHIVES.items():
            source = repository(requirement, archives or Path(folder), Path(folder) / prefix)
            spec = SandboxSpec(repository=str(source), limits=Limits(command_seconds=SECONDS))
            with make_sandbox("local", spec) as sandbox, SandboxProbe(sandbox) as probe:
                similarity = get_similarity("effect", probe)
                mine = [row for row in rows if row["repository"] == prefix]
                started = time.perf_counter()
                for row in mine:
                    score = similarity(str(row["predicted"]), str(row["target"]))
                    fallbacks += str(score.parts.get("method", "")).startswith("shell")
                    values[part].append(score.value)
                    chosen[part].append(row)
                seconds += time.perf_counter() - started
                ran += len(mine)
            print(f"{prefix}: {len(mine)} pairs", file=sys.stderr)
    for part, part_values in values.items():
        print(f"\n{part}: {len(part_values)} pairs\n")
        report("effect", chosen[part], part_values)
    print(f"\n{1000 * seconds / ran:.0f} milliseconds per pair; {fallbacks} of {ran} compared by shell")


def auc(same: list[float], other: list[float]) -> float:
    """Chance that an equivalent pair scores above a different one (ties count half)."""
    ordered = sorted(other)
    below = sum(bisect.bisect_left(ordered, value) + bisect.bisect_right(ordered, value) for value in same)
    return below / 2 / len(same) / len(other)


def inversions(rows: list[dict[str, object]], values: list[float]) -> float:
    """Of all pairs of an equivalent and a different prediction for one target: the share where the wrong one is not below."""
    groups: dict[object, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for row, value in zip(rows, values, strict=True):
        groups[row["target"]][not row["equivalent"]].append(value)
    wrong = total = 0
    for same, other in groups.values():
        total += len(same) * len(other)
        wrong += sum(different >= equivalent for equivalent in same for different in other)
    return wrong / total


def timings() -> Iterator[tuple[str, Similarity | None]]:
    for name in PURE:
        yield name, get_similarity(name)
    yield "difflib's ratio()", None


def measure(rows: list[dict[str, object]]) -> None:
    pairs = [(str(row["predicted"]), str(row["target"])) for row in rows]
    print("| similarity | microseconds per pair |\n| --- | --- |")
    for name, similarity in timings():
        start = time.process_time()
        for predicted, target in pairs:
            if similarity is None:
                difflib.SequenceMatcher(None, predicted, target, autojunk=False).ratio()
            else:
                similarity(predicted, target)
        print(f"| {name} | {1e6 * (time.process_time() - start) / len(pairs):.0f} |")


if __name__ == "__main__":
    main()
