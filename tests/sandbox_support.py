"""Both sandboxes for tests: how to make one, and what must hold after every command."""

from __future__ import annotations

import os
import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from swe_srl.sandboxes import make_sandbox
from swe_srl.sandboxes.base import SessionSandbox
from swe_srl.sandboxes.framing import OutputReader
from swe_srl.sandboxes.launch import runtime_folder
from swe_srl.sandboxes.repository import prepare_repository
from swe_srl.types import Limits, SandboxSpec

KINDS = [
    pytest.param("local", marks=pytest.mark.sandbox),
    pytest.param("docker", marks=pytest.mark.docker),
    pytest.param("podman", marks=pytest.mark.podman),  # the Docker sandbox over Podman's socket
]
LIMITS = Limits(processes=96, memory_mb=256, command_seconds=30, output_bytes=4000)
NAP = f"60000.{secrets.randbelow(10**9):09}"  # seconds: no other process, of whatever tests, sleeps so long
FILES = {"README.md": "hello\n", "src/tool.py": "VALUE = 1\n", "src/gone/old.txt": "old\n"}


def write_tree(folder: Path) -> Path:
    """A small repository's files."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def repository(folder: Path) -> Path:
    """The small repository, prepared."""
    return prepare_repository(f"dir:{write_tree(folder / 'tree')}", cache=folder / "cache").path


def sandbox_of(kind: str) -> str:
    """The product's name for the sandbox of a kind of `KINDS`."""
    return "local" if kind == "local" else "docker"


def new_sandbox(kind: str, repository: Path, limits: Limits = LIMITS) -> SessionSandbox:
    made = make_sandbox(sandbox_of(kind), SandboxSpec(repository=str(repository), limits=limits))
    assert isinstance(made, SessionSandbox)
    return made


@contextmanager
def opened(kind: str, repository: Path, limits: Limits = LIMITS) -> Iterator[SessionSandbox]:
    with new_sandbox(kind, repository, limits) as sandbox:
        yield sandbox


def output(sandbox: SessionSandbox, command: str, timeout: float | None = None) -> str:
    """What a command that must succeed shows."""
    result = sandbox.run(command, timeout)
    assert result.exit_code == 0, result
    return result.output


def assert_well(sandbox: SessionSandbox) -> None:
    """The next command works, sees only its own output, and its exit code is its own."""
    result = sandbox.run("echo well; (exit 7)")
    assert (result.output, result.exit_code, result.timed_out) == ("well\n", 7, False)


def processes(sandbox: SessionSandbox) -> list[str]:
    """Command names of the sandbox's processes, but for its shells and the listing itself."""
    lines = output(sandbox, "ps -e -o stat=,comm=").split("\n")
    names = [line.split(maxsplit=1)[1] for line in lines if line.strip() and not line.lstrip().startswith("Z")]
    return sorted(name for name in names if name not in ("bash", "bwrap", "ps", "cat"))


def wait_until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Until it holds.

    Raises:
        AssertionError: it did not in all that time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not come to pass in {seconds:g} seconds"
        time.sleep(0.02)


def napping() -> int:
    """How many processes of this machine sleep for `NAP` seconds."""
    count = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            count += f"sleep\0{NAP}".encode() in path.read_bytes()
        except OSError:  # it has ended meanwhile
            continue
    return count


def between_commands(action: str) -> str:
    """A background job that does something to its shell once it `may_go_on`, and sleeps for `NAP` seconds then. A pause instead
    could be over before the command that starts the job is."""
    return f"(until [[ -e /tmp/may-go-on ]]; do sleep 0.1; done; sleep 0.2; rm /tmp/may-go-on; {action}; exec sleep {NAP}) & true"


def may_go_on(sandbox: SessionSandbox) -> None:
    """Let a job of `between_commands` go on, and wait until it has done what it is there for."""
    sandbox.write_file("/tmp/may-go-on", b"")
    wait_until(lambda: napping() == 1)


# Until the last background job is the program that it is to become: a signal that comes right after its fork may be lost.
UNTIL_SLEEPING = "until grep -qx sleep /proc/$!/comm; do :; done"


@contextmanager
def once_heard(action: Callable[[], object]) -> Iterator[None]:
    """Do something, in a thread, as soon as the output of a command in this context begins to arrive."""
    heard, feed = threading.Event(), OutputReader.feed

    def listening(reader: OutputReader, data: bytes) -> bool:
        said = feed(reader, data)
        if said:
            heard.set()
        return said

    def act() -> None:
        heard.wait()
        action()

    thread = threading.Thread(target=act)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(OutputReader, "feed", listening)
        thread.start()
        try:
            yield
        finally:
            heard.set()
            thread.join()


def folders_of(pid: int) -> list[Path]:
    """The folders that a process's sandboxes have: its id comes second in their names, and others' start times may be alike."""
    return sorted(folder for folder in runtime_folder().iterdir() if folder.name.split("-")[1:2] == [str(pid)])


def is_running(pid: int) -> bool:
    """Whether a process lives: a dead one may stay for as long as nobody takes notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_root() -> bool:
    return os.geteuid() == 0


def libraries_of(*programs: str) -> list[str]:
    """The programs, and the libraries they load."""
    files = set()
    for program in programs:
        path = f"/usr/bin/{program}"
        listing = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        files |= {path, *(word for word in listing.split() if word.startswith("/"))}
    return sorted(files)


DEPTH = 1_200  # beyond the interpreter's recursion, the longest path and the open files of a process


def make_deep(folder: Path, depth: int = DEPTH) -> None:
    """Folders within folders, a file in each."""
    place = os.open(folder, os.O_RDONLY)
    for number in range(depth):
        name = f"folder-{number % 7}"
        os.mkdir(name, dir_fd=place)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=place))
        inner = os.open(name, os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(place)
