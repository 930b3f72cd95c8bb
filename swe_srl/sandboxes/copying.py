"""Copying a snapshot's files as `cp -a` does, without a process where they are few and plain."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

MOST_ENTRIES, MOST_BYTES = 200, 1 << 20
WHITEOUT = 0  # the device number by which an overlay marks what is deleted
PLAIN_ATTRIBUTES = ("trusted.overlay.", "user.")  # what overlays and anybody write; others (lists of access) are for cp

Entry = tuple[str, os.stat_result, dict[str, bytes]]  # path below the source, state, extended attributes


def copy_files(source: str, target: str) -> None:
    """Copy what is in a folder that nobody changes meanwhile into another one, which is empty.

    Raises:
        OSError, subprocess.CalledProcessError: something could not be copied.
    """
    entries = plain_entries(source)
    if entries is None:
        subprocess.run(["cp", "-a", "--", *map(str, Path(source).iterdir()), target], check=True, stdout=2)
        return
    for name, state, _ in entries:
        made = Path(target, name)
        if stat.S_ISDIR(state.st_mode):
            made.mkdir(0o700)
        elif stat.S_ISLNK(state.st_mode):
            made.symlink_to(Path(source, name).readlink())
        elif stat.S_ISCHR(state.st_mode):
            os.mknod(made, state.st_mode, WHITEOUT)
        else:
            made.write_bytes(Path(source, name).read_bytes())
    for entry in reversed(entries):  # what is in a folder comes before it, and changes its times no more
        copy_state(entry, target)


def plain_entries(source: str) -> list[Entry] | None:
    """All there is below a folder, folders before what is in them; None when anything in it is for `cp`: devices, pipes, hard
    links, holes, other attributes, or too much."""
    found: list[Entry] = []
    left, size = [""], 0
    while left:
        above = left.pop()
        with os.scandir(f"{source}/{above}") as listing:
            for entry in listing:
                name, state = f"{above}{entry.name}", entry.stat(follow_symlinks=False)
                attributes = read_attributes(entry.path)
                size += state.st_size
                if not _is_plain(state, attributes) or size > MOST_BYTES or len(found) >= MOST_ENTRIES:
                    return None
                found.append((name, state, attributes))
                if stat.S_ISDIR(state.st_mode):
                    left.append(f"{name}/")
    return found


def read_attributes(path: str) -> dict[str, bytes]:
    """The extended attributes of what a path names; of a link, its own."""
    names = os.listxattr(path, follow_symlinks=False)
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}


def _is_plain(state: os.stat_result, attributes: dict[str, bytes]) -> bool:
    if not all(name.startswith(PLAIN_ATTRIBUTES) for name in attributes):
        return False
    if stat.S_ISREG(state.st_mode):
        return state.st_nlink == 1 and state.st_blocks * 512 >= state.st_size
    if stat.S_ISCHR(state.st_mode):
        return state.st_rdev == WHITEOUT  # overlays link them to save inodes, which nobody sees
    return stat.S_ISDIR(state.st_mode) or (stat.S_ISLNK(state.st_mode) and state.st_nlink == 1)


def copy_state(entry: Entry, target: str) -> None:
    """Owner, mode, attributes and times, in this order: a new owner takes bits of the mode away."""
    name, state, attributes = entry
    path = Path(target, name)
    os.chown(path, state.st_uid, state.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(state.st_mode):
        path.chmod(stat.S_IMODE(state.st_mode))
    for attribute, value in attributes.items():
        os.setxattr(path, attribute, value, follow_symlinks=False)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns), follow_symlinks=False)
