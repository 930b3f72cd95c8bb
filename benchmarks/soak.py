"""Many episodes in a row, and what they leave behind: processes, containers, mounts, file descriptors, folders, memory.

    python benchmarks/soak.py --episodes 1000
    python benchmarks/soak.py --episodes 200 --sandbox docker

An episode edits files, starts a background job, loses its shell, prints much, and takes its patch; every tenth one also runs
into its time limit. Prints the counts at regular points, and fails (exit code 1) when they grow. The first tenth of the
episodes is the warm-up: what is counted after it is what the rest is held against.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from swe_srl.envs.environment import SweEnv
from swe_srl.sandboxes.cgroups import hierarchies
from swe_srl.sandboxes.launch import owner_name, runtime_folder
from swe_srl.types import Task

COMMANDS = (
    "ls -la && cat README.md",
    "echo more >> README.md; mkdir -p made/deep; touch made/deep/file; export SEEN=1",
    "(setsid sleep 600 &); sleep 600 & true",
    "head -c 2000000 /dev/zero | tr '\\0' x",
    "kill -9 $$",
    "git status --short; echo $SEEN",
)
TIME_OUT = "sleep 600"
MEMORY_MB = 24  # that this process and its helper may grow by: caches and fragments, not episodes


@dataclass(frozen=True)
class Counts:
    """What belongs to this process and its descendants. `mounts` counts mounts below the folders of sandboxes, and
    namespaces that are kept open."""

    processes: int
    containers: int
    mounts: int
    descriptors: int
    folders: int
    groups: int
    memory_mb: int


def descendants(pid: int) -> list[int]:
    """Every process below `pid`, itself included."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            parents.setdefault(parent, []).append(int(path.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def count(kind: str) -> Counts:
    """The present counts. Containers are asked for unless `kind` is "local"."""
    pids = descendants(os.getpid())
    links = [link for pid in pids for link in _descriptors(pid)]
    folders = list(runtime_folder().glob(f"*-{owner_name()}-*"))
    groups = [group for parent in set(hierarchies().values()) for group in parent.glob(f"*-{owner_name()}-*")]
    return Counts(
        processes=len(pids),
        containers=0 if kind == "local" else _containers(),
        mounts=Path("/proc/self/mountinfo").read_text().count(str(runtime_folder()))
        + sum(link.startswith(("mnt:", "user:")) for link in links),
        descriptors=len(links),
        folders=len(folders),
        groups=len(groups),
        memory_mb=sum(map(_memory_mb, pids)),
    )


def lasting(kind: str) -> Counts:
    """The counts once they, but for memory, have stayed the same for half a second (at most half a minute is waited): the child
    that waits for the next sandbox is made after a start, and holds what its parent does for a moment."""
    now, same, until = count(kind), 0, time.monotonic() + 30
    while same < 5 and time.monotonic() < until:
        time.sleep(0.1)
        before, now = now, count(kind)
        same = same + 1 if replace(before, memory_mb=now.memory_mb) == now else 0
    return now


def _descriptors(pid: int) -> list[str]:
    found = []
    try:
        for path in Path(f"/proc/{pid}/fd").iterdir():
            try:
                found.append(path.readlink().name)
            except OSError:  # the descriptor of this very listing
                continue
    except OSError:
        return []
    return found


def _memory_mb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) >> 10


def _containers() -> int:
    from swe_srl.sandboxes.container_transport import engine

    client = engine()
    try:
        label = f"swe-srl.owner={owner_name()}"
        return len(client.api.containers(all=True, filters={"label": label}, quiet=True))
    finally:
        client.close()


def episode(env: SweEnv, number: int) -> None:
    """One episode. An unexpected observation ends the run: a soak of broken episodes shows nothing."""
    env.reset(seed=number)
    for command in COMMANDS:
        observation = env.step(command)[0]
    if observation.splitlines()[-1] != "1":
        raise RuntimeError(f"episode {number}: the exported variable is gone: {observation!r}")
    if number % 10 == 0 and env.sandbox is not None and not env.sandbox.run(TIME_OUT, 0.2).timed_out:
        raise RuntimeError(f"episode {number}: a command outlived its time limit")
    if "made/deep/file" not in env.patch():
        raise RuntimeError(f"episode {number}: its patch lacks the new file")
    env.step("submit")
    env.close()


def soak(
    folder: Path, kind: str, episodes: int, every: int, show: Callable[[int, Counts, float], None]
) -> tuple[Counts, Counts]:
    """Run the episodes; the counts after the warm-up, and at the end.

    Args:
        folder: an empty one, for the repository of the task.
        every: episodes between two calls of `show` (episodes so far, counts, seconds so far).
    """
    (folder / "README.md").write_text("hello\n")
    task = Task("soak-1", "me/soak", "0" * 40, "Nothing to fix", source=f"dir:{folder}")
    env = SweEnv([task], sandbox=kind)
    begin = time.monotonic()
    warm: Counts | None = None
    for number in range(1, episodes + 1):
        episode(env, number)
        if number == max(1, episodes // 10):
            warm = lasting(kind)
            show(number, warm, time.monotonic() - begin)
        elif number % every == 0 or number == episodes:
            show(number, count(kind), time.monotonic() - begin)
    assert warm is not None
    return warm, lasting(kind)


def grown(warm: Counts, last: Counts) -> list[str]:
    """What grew, in words. Memory may vary by `MEMORY_MB`; nothing else may grow at all."""
    before, after = asdict(warm), asdict(last)
    return [
        f"{name}: {before[name]} after the warm-up, {after[name]} at the end"
        for name in before
        if after[name] > before[name] + (MEMORY_MB if name == "memory_mb" else 0)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--sandbox", choices=("local", "docker"), default="local")
    parser.add_argument("--every", type=int, default=100, help="episodes between two lines")
    arguments = parser.parse_args()
    if arguments.episodes < 2:
        parser.error("--episodes: at least 2, one of them to warm up")
    print("episodes " + " ".join(f"{name:>11s}" for name in Counts.__annotations__) + "     seconds", flush=True)

    def show(number: int, counts: Counts, seconds: float) -> None:
        print(f"{number:8d} " + " ".join(f"{value:11d}" for value in asdict(counts).values()) + f" {seconds:11.1f}")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory() as folder:
        problems = grown(*soak(Path(folder), arguments.sandbox, arguments.episodes, arguments.every, show))
    print("\n".join(problems) or "flat: nothing grew")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
