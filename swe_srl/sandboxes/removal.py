"""Removing folder trees that an agent made: as deep as it likes, unreadable, with names of any bytes."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

_TRIES = 100
_OWN = 0o700  # what takes a folder's owner to look into it and change it


def remove_folder(folder: Path) -> None:
    """Remove a folder tree, unreadable parts too. It may be going away meanwhile; nothing above it is touched.

    Folders within folders are moved to the top before they are emptied, so that neither the depth of calls nor the length of a
    path nor the number of open files grows with the tree's depth, and all is named relative to an open folder, so that
    a folder that is replaced by a link meanwhile leads nowhere.
    """
    with contextlib.suppress(FileNotFoundError):
        for left in reversed(range(_TRIES)):
            _empty(folder)
            try:
                folder.rmdir()
            except OSError as error:  # others that remove it have moved something into it
                if error.errno != errno.ENOTEMPTY or not left:
                    raise


def _empty(folder: Path) -> None:
    prefix = f".removing-{secrets.token_hex(8)}-"
    names = (f"{prefix}{number}" for number in itertools.count())
    with _opened(str(folder), None) as top:
        waiting = _emptied(top, top, lambda name: name)
        while waiting:
            name = waiting.pop()
            with contextlib.suppress(FileNotFoundError):
                with _opened(name, top) as inner:
                    waiting += _emptied(inner, top, lambda _: next(names))
                os.rmdir(name, dir_fd=top)


@contextlib.contextmanager
def _opened(name: str, above: int | None) -> Iterator[int]:
    """A descriptor of a folder that its owner can change."""
    path = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        itself = Path(f"/proc/self/fd/{path}")
        mode = stat.S_IMODE(os.fstat(path).st_mode)
        if mode & _OWN != _OWN:
            itself.chmod(mode | _OWN)
        found = os.open(itself, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(path)
    try:
        yield found
    finally:
        os.close(found)


def _emptied(place: int, top: int, new_name: Callable[[str], str]) -> list[str]:
    """Remove the files of a folder; the names that its folders have now, in the topmost one."""
    found = []
    with os.scandir(place) as listing:
        entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in listing]
    for name, is_folder in entries:
        with contextlib.suppress(FileNotFoundError):
            if not is_folder:
                os.unlink(name, dir_fd=place)
                continue
            moved = new_name(name)
            if place != top:
                with _opened(name, place):  # one that its owner cannot write to cannot be moved either
                    pass
                os.rename(name, moved, src_dir_fd=place, dst_dir_fd=top)
            found.append(moved)
    return found
