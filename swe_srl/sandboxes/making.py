"""Entries of caches that processes share: made beside the others, then whole or not at all; what is half-made goes."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import hashlib
import os
import secrets
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from swe_srl.sandboxes.launch import is_gone, owner_name
from swe_srl.sandboxes.removal import remove_folder

MAKING = ".making"


def default_cache() -> Path:
    """The folder of prepared repositories of this user; other caches are beside it."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "swe-srl" / "repositories"


@contextlib.contextmanager
def made_beside(cache: Path) -> Iterator[Path]:
    """A new folder in a cache, gone when the block ends, or swept after a process that was killed."""
    folder = _beside(cache)
    try:
        folder.mkdir(parents=True)
        yield folder
    finally:
        remove_folder(folder)


def put(made: Path, place: Path, is_whole: Callable[[], bool]) -> None:
    """Make a folder the entry at `place`, unless another process was faster. One that is not whole, as a full disk or a machine
    that went down leaves it, makes way."""
    with made_beside(place.parent) as gone, alone(place.parent):
        if is_whole():
            return
        with contextlib.suppress(FileNotFoundError):
            place.rename(gone / "spoilt")
        made.rename(place)


def discard(place: Path) -> None:
    """Remove an entry: it is not there any more from one moment to the next."""
    with made_beside(place.parent) as gone:
        place.rename(gone / "discarded")


def use(place: Path) -> None:
    """Until it ends, this process uses an entry, so that `discard_unused` leaves it. Nothing is done where the cache cannot be
    written, or its file system has no such locks."""
    with contextlib.suppress(OSError):
        _lock(place, fcntl.F_RDLCK)


def discard_unused(place: Path) -> bool:
    """`discard`, unless another process uses the entry; whether it was done."""
    try:
        _lock(place, fcntl.F_WRLCK)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
    try:
        discard(place)
    finally:
        with contextlib.suppress(OSError):
            _lock(place, fcntl.F_UNLCK)
    return True


def _lock(place: Path, kind: int) -> None:
    """Lock an entry in place of this process's earlier lock: a byte of one file, so that many entries take one descriptor."""
    start = int.from_bytes(hashlib.sha256(place.name.encode()).digest()[:7], "big")
    wanted = struct.pack("@hhqqi4x", kind, os.SEEK_SET, start, 1, 0)
    fcntl.fcntl(_locks(place.parent / ".in-use"), fcntl.F_OFD_SETLK, wanted)


@functools.cache
def _locks(file: Path) -> int:
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def sweep_half_made(within: Path) -> None:
    """Remove what killed processes left half-made in a folder."""
    for folder in within.glob(f"{MAKING}-*"):
        if is_gone(folder.name.removeprefix(f"{MAKING}-").rpartition("-")[0]):
            remove_folder(folder)


def _beside(cache: Path) -> Path:
    return cache / f"{MAKING}-{owner_name()}-{secrets.token_hex(4)}"


@contextlib.contextmanager
def alone(place: Path) -> Iterator[None]:
    """Hold a lock on a folder, or on a file of its own, which goes with this process; others wait for it."""
    kind = os.O_DIRECTORY if place.is_dir() else os.O_CREAT
    handle = os.open(place, os.O_RDONLY | kind | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)  # a process that was forked meanwhile has it, too
        os.close(handle)
