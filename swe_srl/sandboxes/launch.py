"""The owner's side of launcher.py: one helper per process, and the folders that sandboxes of this machine use."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swe_srl.errors import SandboxError, SandboxUnavailableError
from swe_srl.sandboxes.etc import Etc
from swe_srl.sandboxes.forks import making_connections
from swe_srl.sandboxes.removal import remove_folder

_LAUNCHER = [sys.executable, "-S", "-m", "swe_srl.sandboxes.launcher"]
_lock = threading.Lock()
_helpers: dict[int, Helper] = {}  # at most one: of the process with this id


class Helper:
    """A running launcher.py. Safe to share between threads."""

    def __init__(self) -> None:
        with making_connections(self):
            self._socket, self._process = self._started()
        self._lock = threading.Lock()
        self._asked = 0
        self._etc: dict[bool, Etc] = {}
        self._making_etc = threading.Lock()
        said = self._socket.recv(1 << 16)
        if not said:
            self.close()
            raise SandboxError("the sandbox launcher ended at once: does this command work? " + " ".join(_LAUNCHER))
        greeting = json.loads(said)
        self.shifted = bool(greeting.get("shifted"))
        self.problem = str(greeting.get("problem", ""))

    @staticmethod
    def _started() -> tuple[socket.socket, subprocess.Popen[bytes]]:
        """Our end of the socket, and the process at the other one."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, contextlib.ExitStack() as failed:
            failed.callback(ours.close)
            end = fcntl.fcntl(
                theirs, fcntl.F_DUPFD_CLOEXEC, 3
            )  # below, it could become a standard stream of the helper's
            failed.callback(os.close, end)
            paths = [str(Path(path).absolute()) for path in sys.path]
            process = subprocess.Popen(
                [*_LAUNCHER, str(end)],
                pass_fds=[end],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env={"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"},
                cwd="/",
            )
            failed.pop_all()
            os.close(end)
        return ours, process

    def after_fork(self) -> None:
        """In a forked process: close its copy of the socket."""
        self._socket.close()

    def ask(self, request: dict[str, Any], descriptors: Sequence[int] = ()) -> dict[str, Any]:
        """Send one request and wait for its answer.

        Raises:
            SandboxError: the helper is gone, or could not do it.
        """
        try:
            with self._lock:
                self._asked += 1
                socket.send_fds(
                    self._socket, [json.dumps({**request, "number": self._asked}).encode()], list(descriptors)
                )
                result = self._answer(self._asked)
        except OSError as error:
            raise SandboxError(f"the sandbox launcher is gone: {error}") from error
        if "error" in result:
            raise SandboxError(f"the sandbox could not be started: {result['error']}")
        return result

    def _answer(self, number: int) -> dict[str, Any]:
        """The answer to a request, after those that an interrupt kept from being read."""
        while answer := self._socket.recv(1 << 16):
            result: dict[str, Any] = json.loads(answer)
            if result["number"] == number:
                return result
        raise SandboxError("the sandbox launcher is gone: it was killed")

    def etc(self, network: bool) -> Path:
        """The /etc that the sandboxes of this process show, with or without network. The helper removes it when it ends.

        One that is in use is never changed: when the host's files have, those that start from now on get a new one.
        """
        with self._making_etc:
            made = self._etc.get(network)
            if made is None or not made.is_current():
                folder = new_folder("etc")
                self.ask({"do": "adopt", "folder": str(folder)})
                made = self._etc[network] = Etc(folder, network)
            return made.folder

    def close(self) -> None:
        """End the helper, and every sandbox that it started."""
        self._socket.close()
        self._process.wait()


def helper() -> Helper:
    """This process's helper, started on first use."""
    with _lock:
        if os.getpid() not in _helpers:
            os.register_at_fork(after_in_child=_forget_parent)
            _helpers[os.getpid()] = Helper()
            atexit.register(_close_helper, os.getpid())
        return _helpers[os.getpid()]


def _forget_parent() -> None:
    global _lock
    _lock = threading.Lock()
    _helpers.clear()


def _close_helper(pid: int) -> None:
    if pid == os.getpid() and pid in _helpers:
        _helpers.pop(pid).close()


def start_time(pid: int) -> str:
    """The kernel's start time of a process (ticks since boot), or "" when there is none: tells reused ids apart."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError, PermissionError, IndexError):
        return ""


def owner_name() -> str:
    """This process as `is_gone` knows it: id, start time, and where they count: PID namespace, boot, machine."""
    pid = os.getpid()
    return f"{pid}-{start_time(pid)}-{'-'.join(_place())}"


def is_gone(owner: str) -> bool:
    """Whether the process of an `owner_name` has ended. False where that cannot be told from here: in another PID namespace or
    on another machine (two containers may share a folder or an engine)."""
    parts = owner.split("-")
    if len(parts) != 5 or not parts[0].isdigit():
        return False
    pid, started, namespace, boot, machine = parts
    own_namespace, own_boot, own_machine = _place()
    if (machine, boot) != (own_machine, own_boot):
        return machine == own_machine  # it was before the machine started
    return namespace == own_namespace and start_time(int(pid)) != started and not _is_hidden(int(pid))


def _is_hidden(pid: int) -> bool:
    """Whether there is a process of that id of which `/proc` tells nothing: another user's, where it is mounted so."""
    if start_time(pid):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _place() -> tuple[str, str, str]:
    namespace = Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    return namespace, boot, hashlib.sha256(os.uname().nodename.encode()).hexdigest()[:8]


def runtime_folder() -> Path:
    """The folder of this user's running sandboxes and their snapshots; root's can be entered by the sandboxes' own users.

    Raises:
        SandboxUnavailableError: the folder belongs to somebody else.
    """
    user = os.geteuid()
    folder = _reachable(Path(tempfile.gettempdir())) / f"swe-srl-{user}"
    mode = 0o711 if user == 0 else 0o700
    folder.mkdir(mode=mode, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user or found.st_mode & 0o022:
        raise SandboxUnavailableError(f"{folder} is not a private folder of this user: remove it, or set TMPDIR")
    if stat.S_IMODE(found.st_mode) != mode:
        folder.chmod(mode)
    return folder


def _reachable(folder: Path) -> Path:
    """The folder for temporary files, or /tmp when root's sandboxes (which are not root) could not enter it."""
    closed = any(not part.stat().st_mode & 0o001 for part in (folder, *folder.parents))
    return Path("/tmp") if os.geteuid() == 0 and closed else folder


def new_path(kind: str) -> Path:
    """Where a folder may be made, named after its owner process, so that `sweep_folders` can tell whether it is left over."""
    return runtime_folder() / f"{kind}-{owner_name()}-{secrets.token_hex(8)}"


def new_folder(kind: str) -> Path:
    """A new folder at a `new_path`."""
    folder = new_path(kind)
    make_folder(folder)
    return folder


def make_folder(folder: Path) -> None:
    """Make a folder that this user alone can look into."""
    try:
        folder.mkdir(0o700)
        folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    except BaseException:
        remove_folder(folder)
        raise


def is_left_over(name: str) -> bool:
    """Whether a folder (or a control group, which has its name) was made by a process that is gone."""
    return is_gone("-".join(name.split("-")[1:-1]))


def sweep_folders() -> int:
    """Remove folders whose owner process is gone; returns how many. Two sweeps at once do not get in each other's way."""
    count = 0
    for folder in runtime_folder().iterdir():
        if not is_left_over(folder.name):
            continue
        taken = folder.with_name(f"swept-{owner_name()}-{secrets.token_hex(4)}")
        try:
            folder.rename(taken)
        except FileNotFoundError:  # another sweep has it
            continue
        remove_folder(taken)
        count += 1
    return count
