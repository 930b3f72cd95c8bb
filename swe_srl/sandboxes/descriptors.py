"""The owner's own limit of file descriptors: every open sandbox holds some of this process's."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import select
from collections.abc import Iterator

from swe_srl.errors import SandboxError

MARGIN = 16  # descriptors that starting a sandbox takes for a moment, or that it keeps


class NoDescriptorsError(SandboxError):
    """This process, or the machine, has no file descriptor left."""

    def __init__(self, said: object) -> None:
        super().__init__(
            f"no file descriptor is left ({said}; this process may open {resource.getrlimit(resource.RLIMIT_NOFILE)[0]}): "
            "run fewer sandboxes at a time (--workers), close those that are not used, or raise the limit (ulimit -n)"
        )


@contextlib.contextmanager
def descriptor_errors() -> Iterator[None]:
    """The system's errors for want of file descriptors as `NoDescriptorsError`, for want of space as `SandboxError`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SandboxError(
                f"no space is left for a sandbox's folder ({error}): free some, or set TMPDIR to another folder"
            ) from error
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        raise NoDescriptorsError(error.strerror) from error


def check_descriptors() -> None:
    """Refuse to start what could not be finished, nor cleared away again.

    Raises:
        NoDescriptorsError: fewer than `MARGIN` are left.
    """
    held: list[select.epoll] = []  # which close their descriptors when they go: an interrupt leaves none
    try:
        with descriptor_errors():
            while len(held) < MARGIN:
                held.append(select.epoll())
    finally:
        held.clear()


def wants_descriptors(error: BaseException) -> bool:
    """Whether an error of a library, which may tell another one only in its text, is for want of file descriptors."""
    return any(os.strerror(number) in str(error) for number in (errno.EMFILE, errno.ENFILE))
