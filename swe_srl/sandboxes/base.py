"""What both sandboxes share: everything that goes through the shell session."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import threading
from types import TracebackType
from typing import Self

from swe_srl.errors import SandboxError
from swe_srl.sandboxes import files
from swe_srl.sandboxes.session import ShellSession
from swe_srl.types import CommandResult, SandboxSpec


class SessionSandbox:
    """A sandbox with a persistent shell; subclasses make and unmake the place it runs in."""

    def __init__(self, spec: SandboxSpec, session: ShellSession) -> None:
        self.spec = spec
        self._session = session
        self._closed = False
        self._closing = threading.RLock()
        self._owner = os.getpid()
        _open_sandboxes(os.getpid()).add(self)

    def run(self, command: str, timeout: float | None = None) -> CommandResult:
        """Run a command in the persistent shell; see `swe_srl.protocols.Sandbox.run`."""
        return self._open_session().run(command, timeout)

    def run_clean(self, script: str, timeout: float = 60.0) -> tuple[int | None, bytes]:
        """Run a bash script beside the persistent shell; see `swe_srl.protocols.Sandbox.run_clean`."""
        code, printed = self._open_session().run_clean(script, timeout, files.READ_BYTES + 1)
        if len(printed) > files.READ_BYTES:
            raise SandboxError(
                f"a script printed more than {files.READ_BYTES} bytes in the sandbox, or somebody did in its stead"
            )
        return code, printed

    def restart(self) -> None:
        """Kill every process and start a fresh shell; files, directory and exported variables are kept."""
        self._open_session().restart()

    def read_file(self, path: str) -> bytes:
        """Content of a regular file; see `swe_srl.protocols.Sandbox.read_file`."""
        return files.read_file(self._open_session(), path)

    def write_file(self, path: str, data: bytes) -> None:
        """Write a file whole, making its parent folders."""
        files.write_file(self._open_session(), path, data)

    def close(self) -> None:
        """Kill every process and free every file, mount and container. Idempotent; one that failed or was interrupted may be
        repeated, and is at the end of the process. In a forked process nothing is done."""
        self._closed = True
        if self._owner != os.getpid():
            return
        with self._closing:
            opened = _open_sandboxes(os.getpid())
            if self not in opened:
                return
            self._session.close()
            self._release()
            opened.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open_session(self) -> ShellSession:
        if self._closed:
            raise SandboxError("this sandbox is closed: make a new one")
        if self._owner != os.getpid():
            raise SandboxError(
                f"this sandbox belongs to process {self._owner}, which forked this one (process {os.getpid()}): make one here"
            )
        return self._session

    def _release(self) -> None:
        """Free what is left when the session is closed."""


@functools.cache
def _open_sandboxes(pid: int) -> set[SessionSandbox]:
    """The sandboxes that this process has open: they are closed when it ends."""
    found: set[SessionSandbox] = set()
    atexit.register(_close_all, pid)
    return found


def _close_all(pid: int) -> None:
    if pid == os.getpid():  # a forked child must not close its parent's
        for sandbox in list(_open_sandboxes(pid)):
            with contextlib.suppress(SandboxError):
                sandbox.close()
