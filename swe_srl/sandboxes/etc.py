"""The small /etc of local sandboxes that show the host's tools: read-only, so one folder serves every sandbox of a process."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

HOME = "/home/agent"
_HOST = Path("/etc")
_COPIED = ("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d")
_WATCHED = ("ld.so.conf.d",)  # folders with regular files, which may change in place; alternatives has links
_NETWORK = ("ssl", "ca-certificates", "pki", "resolv.conf")


class Etc:
    """A filled folder, and what it was made of."""

    def __init__(self, folder: Path, network: bool) -> None:
        self.folder = folder
        self._network = network
        self._made_of = _state_of_host(network)  # before it is read: what changes meanwhile is seen later
        fill(folder, network)
        self._made = _changes(folder)

    def is_current(self) -> bool:
        """Whether the host's files are the same still, and nobody has cleared the folder away."""
        try:
            untouched = _changes(self.folder) == self._made
        except FileNotFoundError:
            return False
        return untouched and _state_of_host(self._network) == self._made_of


def network_files(network: bool) -> list[str]:
    """The names in /etc that a sandbox with network shares with the host."""
    return [name for name in _NETWORK if network and (_HOST / name).exists()]


def fill(folder: Path, network: bool) -> None:
    """Make users, hosts, copies of what finds the host's libraries and programs, and mount points for `network_files`."""
    folder.chmod(0o755)
    files = {
        "passwd": f"root:x:0:0:root:/root:/bin/bash\nagent:x:1000:1000:agent:{HOME}:/bin/bash\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
        "group": "root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n",
        "hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
        "nsswitch.conf": f"passwd: files\ngroup: files\nhosts: files{' dns' if network else ''}\n",
        "hostname": "sandbox\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o644)
    for name in _COPIED:
        _copy((_HOST / name).resolve(), folder / name)
    for name in network_files(network):
        if (_HOST / name).is_dir():
            (folder / name).mkdir()
        else:
            (folder / name).touch()


def _copy(source: Path, target: Path) -> None:
    """Copy a file or a folder, links as links. What goes meanwhile, or is not for this user to read, is left out."""
    with contextlib.suppress(FileNotFoundError, PermissionError):
        if source.is_symlink():
            target.symlink_to(source.readlink())
        elif source.is_dir():
            parts = list(source.iterdir())
            target.mkdir()
            target.chmod(0o755)
            for part in parts:
                _copy(part, target / part.name)
        elif source.is_file():
            shutil.copy2(source, target)


def _changes(folder: Path) -> list[int]:
    """When entries came or went in a folder and those in it."""
    with os.scandir(folder) as entries:
        folders = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    return [one.stat().st_ctime_ns for one in (folder, *sorted(folders))]


def _state_of_host(network: bool) -> list[tuple[str, int, int, int]]:
    """What tells changed files from those before: names, inodes, times of change. Of what is shared only the names matter."""
    paths = [_HOST / name for name in _COPIED]
    for name in _WATCHED:
        with contextlib.suppress(FileNotFoundError, PermissionError):
            paths += sorted((_HOST / name).iterdir())
    states = [(name, 0, 0, 0) for name in network_files(network)]
    for path in paths:
        with contextlib.suppress(FileNotFoundError, PermissionError):
            found = path.stat()
            states.append((str(path), found.st_dev, found.st_ino, found.st_ctime_ns))
    return states
