"""How the host reaches the shells of one sandbox: what `ShellSession` needs of bubblewrap or of a container engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, Protocol

from swe_srl.errors import SandboxError
from swe_srl.types import Limits

Stream = Literal["output", "control"]


class TransportClosedError(SandboxError, EOFError):
    """The supervisor is gone: its process, its container or the connection to it ended."""


class SandboxGoneError(SandboxError):
    """The place itself is gone: no supervisor can be started in it again."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes that arrived: of the running command's sink, or of the control channel."""

    stream: Stream
    data: bytes


class Transport(Protocol):
    """Starts a supervisor (`supervisor.bash`) and carries bytes to and from it. Used by one thread at a time."""

    def start(self) -> None:
        """Start a supervisor over the sandbox's present files; an earlier one and all its processes are killed first.

        Raises:
            SandboxGoneError: it never can be started again.
            SandboxError: it could not be started now.
        """

    def open_sink(self) -> tuple[str, bytes]:
        """Make ready for the output of one command.

        Returns:
            The header of the command's message, and the mark that precedes the output (b"" when it starts at once).
        """

    def close_sink(self) -> None:
        """The command has ended: what its background jobs still write is dropped, without blocking or killing them."""

    def send(self, data: bytes, seconds: float) -> None:
        """Send all of `data`.

        Raises:
            TimeoutError: the supervisor did not take it in time.
            TransportClosedError: the supervisor is gone.
        """

    def kill(self) -> None:
        """End everything at once, from any thread: what waits sees the supervisor gone, and `start` refuses from now on."""

    def close(self) -> None:
        """Free everything, after `kill`."""

    def receive(self, seconds: float) -> Iterator[Chunk]:
        """What arrives within `seconds`: returns after the first arrival, or with nothing when time is up.

        Raises:
            TransportClosedError: the supervisor is gone and everything it sent was handed over.
        """


@cache
def script(name: str) -> str:
    """A bash script of this package. `worker` comes as a single line, so that error messages name line 1 of a command."""
    text = Path(__file__).with_name(f"{name}.bash").read_text(encoding="utf-8")
    code = [line for line in text.splitlines() if not line.startswith("#")]
    return (" " if name == "worker" else "\n").join(code)


SHELL_VARIABLES: dict[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "MANPAGER": "cat",
    "SYSTEMD_PAGER": "",
    "EDITOR": "true",
    "VISUAL": "true",
    "GIT_EDITOR": "true",
    "GIT_SEQUENCE_EDITOR": "true",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "agent",
    "GIT_AUTHOR_EMAIL": "agent@localhost",
    "GIT_COMMITTER_NAME": "agent",
    "GIT_COMMITTER_EMAIL": "agent@localhost",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PIP_NO_INPUT": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "DEBIAN_FRONTEND": "noninteractive",
}


# Privileged: an image's BASH_ENV, functions and shell options are not the supervisor's.
SUPERVISOR = ("/bin/bash", "--noprofile", "--norc", "-p", "-c", 'eval "$__swe_supervisor"', "bash")


def supervisor_variables(workdir: str, relay: bool, ulimit: str) -> dict[str, str]:
    """The variables that `supervisor.bash` reads and hides from the worker."""
    scripts = {name: script(name) for name in ("supervisor", "worker")}
    values = scripts | {"relay": str(int(relay)), "limits": ulimit, "workdir": workdir}
    return {f"__swe_{name}": value for name, value in values.items()}


def ulimit_arguments(limits: Limits, processes: bool, memory: bool, file_size: bool) -> str:
    """Arguments of bash's `ulimit` for the limits that resource limits enforce.

    Where nothing bounds the disk, `file_size` bounds each file to the size of the disk.
    """
    parts = ["-c 0"]
    if file_size and limits.disk_mb:
        parts.append(f"-f {limits.disk_mb * 1024}")
    if limits.open_files:
        parts.append(f"-n {limits.open_files}")
    if processes and limits.processes:
        parts.append(f"-u {limits.processes}")
    if memory and limits.memory_mb:
        parts.append(f"-d {limits.memory_mb * 1024}")
    return " ".join(parts)
