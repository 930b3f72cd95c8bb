"""Helper process of `LocalSandbox`: keeps the namespaces of sandboxes, and starts bubblewrap in them.

`swe_srl.sandboxes.launch` runs it. It has one thread and lives as long as the process that started it: bubblewrap's
`--die-with-parent` follows the thread that spawned it, so no sandbox outlives its owner. Requests and answers are JSON over a
socket whose descriptor is its argument; a launch also carries three descriptors (the sandbox's standard input, its control
pipe, and a pipe for bubblewrap's report of the process id inside).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
from typing import Any

from swe_srl.sandboxes.kernel import (
    CLONE_NEWNS,
    CLONE_NEWUSER,
    SHIFT,
    make_layer,
    make_mounts_private,
    set_namespace,
    shifted_namespace,
    unshare,
    write,
)

IGNORED = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ)


class Place:
    """The namespaces that hold one sandbox's files, kept open so that its shells can be started again."""

    def __init__(self, child: int, shifted: bool) -> None:
        self.mounts = os.open(f"/proc/{child}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        self.user = -1 if shifted else os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)

    def enter(self) -> None:
        """Join the namespaces (in a child process)."""
        if self.user >= 0:
            set_namespace(self.user, CLONE_NEWUSER)
        set_namespace(self.mounts, CLONE_NEWNS)

    def close(self) -> None:
        for descriptor in (self.mounts, self.user):
            if descriptor >= 0:
                os.close(descriptor)


class Launcher:
    """Answers the owner's requests."""

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}
        self.namespace = -1
        self.problem = ""
        if os.geteuid() == 0:
            try:
                self.namespace = shifted_namespace()
            except OSError as error:
                self.problem = str(error)

    def launch(self, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        """Start bubblewrap in the sandbox's namespaces, made on first use; its complaints go to the control pipe."""
        asked, ask = os.pipe()
        told, tell = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.dup2(descriptors[0], 0)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                os.dup2(descriptors[1], 2)
                self.become_inmate(request, ask, told)
                execute(request, descriptors[2])
            except BaseException as error:
                os.write(2, f"swe-srl launcher: {error}\n".encode())
            finally:
                os._exit(111)
        os.close(ask)
        os.close(told)
        if os.read(asked, 1):
            if request["id"] not in self.places:
                self.places[request["id"]] = Place(child, self.namespace >= 0)
            if self.namespace >= 0:
                for name in ("uid_map", "gid_map"):
                    write(f"/proc/{child}/{name}", f"0 {SHIFT + request['owner']} 1")
            os.write(tell, b"x")
        os.close(asked)
        os.close(tell)
        return {"pid": child}

    def become_inmate(self, request: dict[str, Any], ask: int, told: int) -> None:
        """In the child: leave the host's namespaces, make the layer, and be the first user of a new user namespace."""
        for group in request["cgroups"]:
            enter_group(group)
        place = self.places.get(request["id"])
        shifted = self.namespace >= 0
        if place is not None:
            place.enter()
        elif shifted:
            unshare(CLONE_NEWNS)
        else:
            user, group_id = os.geteuid(), os.getegid()
            unshare(CLONE_NEWUSER | CLONE_NEWNS)
            write("/proc/self/uid_map", f"0 {user} 1")
            write("/proc/self/setgroups", "deny")
            write("/proc/self/gid_map", f"0 {group_id} 1")
        if place is None:
            make_mounts_private()
            make_layer(request, SHIFT + request["owner"] if shifted else 0, self.namespace)
        if shifted:
            unshare(CLONE_NEWUSER)
        os.write(ask, b"x")
        os.read(told, 1)
        if shifted:
            os.setgroups([])
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)

    def copy(self, request: dict[str, Any]) -> dict[str, Any]:
        """Copy the files of a sandbox's layer to a folder (a snapshot)."""
        output, child_output = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(child_output, 2)
            try:
                self.places[request["id"]].enter()
                parts = [f"{request['layer']}/{name}" for name in request["parts"]]
                os.execv("/bin/cp", ["cp", "-a", "--", *parts, request["to"]])
            except BaseException as error:
                os.write(2, str(error).encode())
            finally:
                os._exit(1)
        os.close(child_output)
        with os.fdopen(output, "rb") as said:
            complaint = said.read().decode(errors="replace").strip()
        _, status = os.waitpid(child, 0)
        return {"error": f"copying the sandbox's files: {complaint}"} if status else {}

    def release(self, request: dict[str, Any]) -> dict[str, Any]:
        """Let go of a sandbox's namespaces: its files are freed."""
        place = self.places.pop(request["id"], None)
        if place is not None:
            place.close()
        return {}

    def reap(self, request: dict[str, Any]) -> dict[str, Any]:
        """Wait for a bubblewrap that has been killed."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(request["pid"], 0)
        return {}

    def answer(self, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        try:
            if request["do"] == "launch":
                return self.launch(request, descriptors)
            return {"copy": self.copy, "release": self.release, "reap": self.reap}[request["do"]](request)
        except OSError as error:
            return {"error": str(error)}


def enter_group(group: str) -> None:
    """Move this process to a control group. Where a thread may move itself (version 1), the kernel need not keep every process
    from starting and ending meanwhile, for which it waits some milliseconds."""
    try:
        write(f"{group}/tasks", "0")
    except FileNotFoundError:
        write(f"{group}/cgroup.procs", str(os.getpid()))


def execute(request: dict[str, Any], info: int) -> None:
    """Become bubblewrap. Its options come through descriptor 4, so that `ps` inside does not show them."""
    options = os.memfd_create("options")
    os.write(options, b"".join(option.encode() + b"\0" for option in request["options"]))
    os.lseek(options, 0, os.SEEK_SET)
    info, options = fcntl.fcntl(info, fcntl.F_DUPFD, 5), fcntl.fcntl(options, fcntl.F_DUPFD, 5)
    os.dup2(info, 3)
    os.dup2(options, 4)
    os.closerange(5, 1024)
    os.umask(0o022)
    for number in signal.valid_signals() - {
        signal.SIGKILL,
        signal.SIGSTOP,
    }:  # whatever our own caller ignored or blocked
        if signal.getsignal(number) is not signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.execv(request["program"], ["bwrap", "--args", "4", "--", *request["command"]])


def serve(connection: socket.socket) -> None:
    """Answer requests until the owner closes its end."""
    launcher = Launcher()
    connection.send(json.dumps({"shifted": launcher.namespace >= 0, "problem": launcher.problem}).encode())
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 3)
        if not message:
            return
        result = launcher.answer(json.loads(message), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        connection.send(json.dumps(result).encode())


if __name__ == "__main__":
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)  # the owner's end is what ends it
    serve(socket.socket(fileno=int(sys.argv[1])))
