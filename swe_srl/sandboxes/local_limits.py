"""Which limits a local sandbox can enforce on this machine, and by what means."""

from __future__ import annotations

import os
import platform
import resource
from functools import cache

from swe_srl.errors import SandboxUnavailableError
from swe_srl.sandboxes.cgroups import hierarchies
from swe_srl.types import Limits

INODES_PER_MB = 128
SHELL_FILES = 256  # that a sandbox's shells may have open: their own descriptors are numbered from 190
FILES_OF_MEMORY = 70  # percent of a sandbox's memory that its files may take


@cache
def kernel() -> tuple[int, int]:
    """Major and minor version of the running kernel."""
    major, minor = platform.release().split(".")[:2]
    return int(major), int("".join(character for character in minor if character.isdigit()) or 0)


def rlimits_processes() -> bool:
    """Whether `ulimit -u` counts one sandbox's processes alone (per user namespace since Linux 5.14)."""
    return kernel() >= (5, 14)


def disk_is_bounded() -> bool:
    """Whether the writable layer can be a bounded tmpfs: its overlay needs `user.*` attributes there (Linux 6.6), or root."""
    return os.geteuid() == 0 or kernel() >= (6, 6)


def tmpfs_options(limits: Limits, in_group: bool) -> str:
    """Size and inode bounds of the writable layer; 0 MB means unbounded.

    In a control group that bounds memory, files count as memory: a part of it is left for processes, or a full disk could end
    every shell for good.
    """
    size = limits.disk_mb
    if in_group and limits.memory_mb:
        size = min(size or limits.memory_mb, limits.memory_mb * FILES_OF_MEMORY // 100)
    return f"size={size}m,nr_inodes={size * INODES_PER_MB}"


def enforced() -> dict[str, str]:
    """How each limit is enforced here; "" when it cannot be. Keys are fields of `Limits`."""
    groups = hierarchies()
    return {
        "memory_mb": "control group" if "memory" in groups else "per process (RLIMIT_DATA)",
        "processes": "control group" if "pids" in groups else "RLIMIT_NPROC" if rlimits_processes() else "",
        "disk_mb": "size of a tmpfs" if disk_is_bounded() else "",
        "open_files": "per process (RLIMIT_NOFILE)",
    }


def check_enforceable(limits: Limits) -> None:
    """Refuse a limit that was asked for (it differs from the default) and cannot be enforced here, or exceeds the owner's own.

    Raises:
        SandboxUnavailableError: names the limit, what to change, and what the machine lacks.
    """
    needs = {"processes": "Linux 5.14 or writable control groups", "disk_mb": "Linux 6.6 or root"}
    for name, means in enforced().items():
        asked = getattr(limits, name)
        if not means and asked and asked != getattr(Limits(), name):
            raise SandboxUnavailableError(
                f"limits.{name}={asked} cannot be enforced on this machine, which lacks {needs[name]}: "
                f"leave it at its default (then it is not enforced) or use the Docker sandbox"
            )
    own = [("open_files", resource.RLIMIT_NOFILE, "-Hn", SHELL_FILES)]
    if rlimits_processes():
        own.append(("processes", resource.RLIMIT_NPROC, "-Hu", 0))
    for name, number, option, least in own:
        hard, wanted = resource.getrlimit(number)[1], max(getattr(limits, name), least)
        if hard != resource.RLIM_INFINITY and wanted > hard:
            lower = "" if hard < least else f", or set limits.{name} to at most {hard}"
            raise SandboxUnavailableError(
                f"a local sandbox with limits.{name}={getattr(limits, name)} needs a limit of {wanted}, and this process may "
                f"allow {hard} (ulimit {option}): raise that{lower}"
            )
