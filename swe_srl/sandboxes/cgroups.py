"""Control groups for the local sandbox, version 1 and 2, where this user may make them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from swe_srl.sandboxes.launch import is_left_over, owner_name
from swe_srl.types import Limits

ROOT = Path("/sys/fs/cgroup")
NAME = "swe-srl"
_FILES = {  # controller -> (version 1, version 2) file and unit
    "memory": ("memory.limit_in_bytes", "memory.max", 1 << 20),
    "pids": ("pids.max", "pids.max", 1),
}
_V1_SWAP = "memory.memsw.limit_in_bytes"  # memory and swap together; there only where swap is accounted for
_V2_SWAP = "memory.swap.max"


@dataclass
class ControlGroup:
    """The groups of one sandbox: one folder for each hierarchy, none where none can be made; whether one bounds memory."""

    folders: list[Path] = field(default_factory=list)
    memory: bool = False

    def remove(self) -> None:
        """Remove the (empty) groups; a group whose last process is still going is waited for, one second at most."""
        for folder in self.folders:
            for _ in range(100):
                try:
                    folder.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.01)
        self.folders = []


@cache
def hierarchies() -> dict[str, Path]:
    """Where a group with a limit on memory or processes can be made: controller name to parent folder."""
    found: dict[str, Path] = {}
    for controller in _FILES:
        for parent in (ROOT / controller / NAME, ROOT / NAME):
            if _usable(parent, controller):
                found[controller] = parent
                break
    return found


def make_group(group: ControlGroup, name: str, limits: Limits) -> None:
    """Make an empty `group` one sandbox's, with its limits set, and no swap beyond its memory; nothing where `hierarchies` is
    empty. What is made is in `group` at once, for an interrupt may come."""
    wanted = {"memory": limits.memory_mb, "pids": limits.processes}
    for controller, parent in hierarchies().items():
        folder = parent / name
        if folder not in group.folders:
            group.folders.append(folder)
            folder.mkdir()
        group.memory = group.memory or controller == "memory"
        old, new, unit = _FILES[controller]
        if wanted[controller]:
            file = folder / new if (folder / new).exists() else folder / old
            file.write_text(str(wanted[controller] * unit))
        if controller == "memory" and limits.memory_mb:
            for swap, most in ((_V1_SWAP, limits.memory_mb << 20), (_V2_SWAP, 0)):
                if (folder / swap).exists():
                    (folder / swap).write_text(str(most))


def sweep_groups() -> None:
    """End what is left in the groups of sandboxes whose owner process is gone, and remove the groups.

    A sandbox ends with its owner; one whose owner was killed in the middle of its start may not (bubblewrap's first process then
    waits for its parent for ever).
    """
    for parent in set(hierarchies().values()):
        for folder in parent.iterdir():
            if folder.is_dir() and is_left_over(folder.name):
                with contextlib.suppress(OSError):
                    for pid in map(int, (folder / "cgroup.procs").read_text().split()):
                        if pid > 0:  # 0 stands for a process of a namespace that is not seen from here
                            os.kill(pid, signal.SIGKILL)
                ControlGroup([folder]).remove()


def _usable(parent: Path, controller: str) -> bool:
    if not (parent.parent / "cgroup.procs").exists():
        return False
    try:
        parent.mkdir(exist_ok=True)
        if parent.parent == ROOT:
            (ROOT / "cgroup.subtree_control").write_text(f"+{controller}")
            (parent / "cgroup.subtree_control").write_text(f"+{controller}")
        probe = parent / f"probe-{owner_name()}-{controller}"
        probe.mkdir()
        try:
            files = _FILES[controller][:2]
            return any(os.access(probe / file, os.W_OK) for file in files)
        finally:
            probe.rmdir()
    except OSError:
        return False
