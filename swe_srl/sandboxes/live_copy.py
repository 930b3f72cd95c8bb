"""Copying a sandbox's files while its processes change them: nothing that they do leads the copy to other files.

The process that copies (a child of the launcher) has the part of the layer that it copies as its root: where a folder is
replaced by a link in the midst of it, that leads, at the worst, to another file of that part, which the sandbox wrote. Beside
the parts lie an image's own files, with the history that later layers hide.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from swe_srl.sandboxes.copying import Entry, copy_state, read_attributes

LONGEST = 4095  # bytes of a path
CHUNK_BYTES = 16 << 20
_TRIES = 20  # for what is another kind of thing each time that it is looked at
_ANOTHER_KIND = (errno.ELOOP, errno.EINVAL, errno.ENOTDIR, errno.ENXIO)
_LEASE_SECONDS = 0.1  # between two looks at a file that somebody holds a lease of
_OVERLAYS = ("trusted.overlay.", "user.overlay.")
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def copy_live(layer: str, parts: Sequence[str], target: str) -> None:
    """Copy parts of a layer, each a folder, to an empty folder as `cp -a` does. This process has the last one as its root then.

    What goes away meanwhile is left out, what is replaced is what it was or what it becomes, and of a file that grows as much
    is copied as it had.

    Raises:
        OSError: something could not be copied, or more was written meanwhile than the layer can hold twice.
    """
    with _opened(layer, _OPEN | os.O_DIRECTORY) as source, _opened(target, _OPEN | os.O_DIRECTORY) as copied:
        size = os.fstatvfs(source)
        left = 2 * size.f_blocks * size.f_frsize or sys.maxsize  # a tmpfs without a limit says 0
        for part in parts:
            os.fchdir(source)
            os.chroot(part)
            os.fchdir(copied)
            Path(part).mkdir(0o700)
            os.chdir(part)
            room = LONGEST - max(len(os.fsencode(f"{above}/{part}")) for above in (layer, target))
            left = _Copy(room, left).run()


@dataclass
class _Copy:
    """From `/name`, which is the part's, to the relative `name`, which is the target's.

    Args:
        room: for a name, so that it can be opened below the target, too.
        left: bytes that may still be copied: jobs may fill each file when it is looked at, and empty it then.
    """

    room: int
    left: int
    linked: dict[tuple[int, int], str] = field(default_factory=dict)

    def run(self) -> int:
        """Copy all there is; how many more bytes may be copied."""
        folders = [(".", os.lstat("/"), read_attributes("/"))]
        left = _inside(".")
        while left:
            name = left.pop()
            entry = self._tried(name)
            if entry is not None and stat.S_ISDIR(entry[1].st_mode):
                folders.append(entry)
                left += _inside(name)
            elif entry is not None:
                _copy_state(entry)
        for entry in reversed(folders):  # what is in a folder comes before it, and changes its times no more
            _copy_state(entry)
        return self.left

    def _tried(self, name: str) -> Entry | None:
        """Copy one thing, of a folder not what is in it; None when it is not there, or there is nothing left to do."""
        if len(os.fsencode(name)) >= self.room:
            raise OSError(errno.ENAMETOOLONG, f"{os.strerror(errno.ENAMETOOLONG)}: {name[:60]}…{name[-60:]}")
        tries = 0
        while True:
            try:
                return self._copy(name)
            except FileNotFoundError:
                return None
            except BlockingIOError:
                time.sleep(_LEASE_SECONDS)  # the kernel ends the lease
            except FileExistsError:  # a folder that is changed while it is listed may name a thing twice
                return None
            except OSError as error:
                tries += 1
                if error.errno not in _ANOTHER_KIND or tries == _TRIES:
                    raise

    def _copy(self, name: str) -> Entry | None:
        path = f"/{name}"
        state, attributes = os.lstat(path), read_attributes(path)
        if stat.S_ISDIR(state.st_mode):
            Path(name).mkdir(0o700)
        elif earlier := self.linked.get((state.st_dev, state.st_ino)):
            os.link(earlier, name, follow_symlinks=False)
            return None
        elif stat.S_ISREG(state.st_mode):
            state, size = _copy_file(name, self.left)
            self.left -= size
        elif stat.S_ISLNK(state.st_mode):
            Path(name).symlink_to(Path(path).readlink())
        else:
            os.mknod(name, state.st_mode, state.st_rdev)
        if state.st_nlink > 1 and not stat.S_ISDIR(state.st_mode):
            self.linked[state.st_dev, state.st_ino] = name
        return name, state, attributes


@contextlib.contextmanager
def _opened(name: str, flags: int) -> Iterator[int]:
    found = os.open(name, flags, 0o600)
    try:
        yield found
    finally:
        os.close(found)


def _inside(folder: str) -> list[str]:
    try:
        with _opened(f"/{folder}", _OPEN | os.O_DIRECTORY) as opened, os.scandir(opened) as listing:
            return [f"{folder}/{entry.name}".removeprefix("./") for entry in listing]
    except OSError as error:  # it is gone, or no folder any more
        if error.errno not in (errno.ENOENT, *_ANOTHER_KIND):
            raise
        return []


def _copy_file(name: str, left: int) -> tuple[os.stat_result, int]:
    """Copy a file's content, `left` bytes at most, its holes as holes; the state of what was copied, and how many bytes were."""
    with _opened(f"/{name}", _OPEN) as source:
        state = os.fstat(source)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(errno.EINVAL, f"{name} is no file any more")
        with _opened(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC) as target:
            at = copied = 0
            while at < state.st_size:
                try:
                    at = os.lseek(source, at, os.SEEK_DATA)
                except OSError as error:
                    if error.errno != errno.ENXIO:
                        raise
                    break  # nothing but a hole is left, or it was cut
                end = min(state.st_size, os.lseek(source, at, os.SEEK_HOLE))
                os.lseek(target, at, os.SEEK_SET)
                while at < end and (sent := os.sendfile(target, source, at, min(end - at, CHUNK_BYTES))):
                    at, copied = at + sent, copied + sent
                    if copied > left:
                        raise OSError(errno.EFBIG, "what runs in the sandbox writes more meanwhile than it can hold")
            os.ftruncate(target, min(state.st_size, os.fstat(source).st_size))
        return state, copied


def _copy_state(entry: Entry) -> None:
    """Owner, mode, attributes and times; of the attributes that are not the overlay's those that can be set."""
    name, state, attributes = entry
    for attribute in [one for one in attributes if not one.startswith(_OVERLAYS)]:
        value = attributes.pop(attribute)
        with contextlib.suppress(OSError):
            os.setxattr(name, attribute, value, follow_symlinks=False)
    copy_state((name, state, attributes), ".")
