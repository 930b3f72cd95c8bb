"""Helper process of `LocalSandbox`: keeps the namespaces of sandboxes, and starts bubblewrap in them.

`swe_srl.sandboxes.launch` runs it. It has one thread and lives as long as the process that started it: bubblewrap's
`--die-with-parent` follows the thread that spawned it, so no sandbox outlives its owner. Requests and answers are JSON over a
socket whose descriptor is its argument; a launch also carries three descriptors (the sandbox's standard input, its control
pipe, and a pipe for bubblewrap's report of the process id inside), a copy one (a pipe for its complaints, open until it ends).
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from typing import Any

from swe_srl.sandboxes.inmate import END, FRESH_SECONDS, TAKE_SECONDS, Child, enter_namespaces
from swe_srl.sandboxes.kernel import (
    SHIFT,
    adopt_orphans,
    children,
    end_with_parent,
    shifted_namespace,
    write,
)
from swe_srl.sandboxes.live_copy import copy_live

OPEN_FILES = 1024  # at least, where the owner's own limit can be raised: shells have descriptors from 190 on
IGNORED = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ)


class Place:
    """The namespaces that hold one sandbox's files, kept open so that its shells can be started again."""

    def __init__(self, child: int, shifted: bool) -> None:
        self.mounts = os.open(f"/proc/{child}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        self.user = -1 if shifted else os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)

    def descriptors(self) -> list[int]:
        """Those of the namespaces, in the order in which they are joined."""
        return [descriptor for descriptor in (self.user, self.mounts) if descriptor >= 0]

    def close(self) -> None:
        for descriptor in self.descriptors():
            os.close(descriptor)


class Launcher:
    """Answers the owner's requests."""

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}
        self.launched: dict[int, str] = {}  # processes, not waited for yet, and the sandboxes that they are of
        self.copies: dict[str, int] = {}  # processes that copy, by where to
        self.adopted: list[str] = []
        self.spare: Child | None = None
        self.namespace = -1
        self.problem = ""
        if os.geteuid() == 0:
            try:
                self.namespace = shifted_namespace()
            except OSError as error:
                self.problem = str(error)

    def prepare(self) -> None:
        """Have a child ready for the next launch."""
        if self.spare is None:
            with contextlib.suppress(OSError):  # a launch tries again, and tells
                self.spare = Child(self.namespace)

    def launch(self, request: dict[str, Any], message: bytes, descriptors: list[int]) -> dict[str, Any]:
        """Start bubblewrap in the sandbox's namespaces, made on first use; its complaints go to the control pipe."""
        place = self.places.get(request["id"])
        child = self.tell_child(message, descriptors + (place.descriptors() if place else []))
        self.launched[child.pid] = request["id"]
        with contextlib.closing(child):
            if child.socket.recv(1):
                if place is None:
                    self.places[request["id"]] = Place(child.pid, self.namespace >= 0)
                if self.namespace >= 0:
                    for name in ("uid_map", "gid_map"):
                        write(f"/proc/{child.pid}/{name}", f"0 {SHIFT + request['owner']} 1")
                child.socket.send(b"x")
        return {}

    def tell_child(self, message: bytes, descriptors: list[int]) -> Child:
        """Give the request to the child that waits, or to a new one."""
        child, self.spare = self.spare, None
        if child is not None:
            try:
                child.tell(message, descriptors, TAKE_SECONDS)
                return child
            except OSError:  # somebody has killed or stopped it
                pass
        child = Child(self.namespace)
        child.tell(message, descriptors, FRESH_SECONDS)
        return child

    def copy(self, request: dict[str, Any], complaints: int) -> dict[str, Any]:
        """Begin to copy the files of a sandbox's layer to a folder (a snapshot). Nobody waits here: what runs in the sandbox
        may hold it up."""
        child = os.fork()
        if child == 0:
            os.dup2(complaints, 2)
            try:
                enter_namespaces(self.places[request["id"]].descriptors())
                end_with_parent()
                os.closerange(3, END)
                copy_live(request["layer"], request["parts"], request["to"])
                os._exit(0)
            except BaseException as error:
                os.write(2, str(error).encode())
            finally:
                os._exit(1)
        self.copies[request["to"]] = child
        return {}

    def end_copy(self, request: dict[str, Any]) -> dict[str, Any]:
        """Let go of a copy, which is killed unless it is `ending` by itself; whether it went well."""
        child = self.copies.pop(request["to"], None)
        return {"copied": child is not None and end(child, kill=not request["ending"]) == 0}

    def release(self, request: dict[str, Any]) -> dict[str, Any]:
        """Let go of a sandbox's namespaces: its files are freed."""
        place = self.places.pop(request["id"], None)
        if place is not None:
            place.close()
        return {}

    def adopt(self, request: dict[str, Any]) -> dict[str, Any]:
        """Remove a folder of the owner's at the end, however the owner ends."""
        self.adopted.append(request["folder"])
        return {}

    def reap(self, request: dict[str, Any]) -> dict[str, Any]:
        """End what was launched for a sandbox, however far its start is. A bubblewrap that ends in the middle of it leaves a
        child behind, which would wait for it for ever."""
        for pid in [pid for pid, name in self.launched.items() if name == request["id"]]:
            del self.launched[pid]
            end(pid)
        own = {*self.launched, *self.copies.values(), *([self.spare.pid] if self.spare else [])}
        for pid in children() - own:
            end(pid)
        return {}

    def answer(self, message: bytes, descriptors: list[int]) -> dict[str, Any]:
        request = json.loads(message)
        numbered = {"number": request["number"]}
        try:
            if request["do"] == "launch":
                return numbered | self.launch(request, message, descriptors)
            if request["do"] == "copy":
                return numbered | self.copy(request, *descriptors)
            others = {
                "end_copy": self.end_copy,
                "release": self.release,
                "reap": self.reap,
                "adopt": self.adopt,
            }
            return numbered | others[request["do"]](request)
        except OSError as error:
            return numbered | {"error": str(error)}


def end(pid: int, kill: bool = True) -> int:
    """Kill a child and wait for it; its status (0: it ended well, before that)."""
    if kill:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(pid, 0)[1]
    return -1


def serve(launcher: Launcher, connection: socket.socket) -> None:
    """Answer requests until the owner closes its end."""
    connection.send(json.dumps({"shifted": launcher.namespace >= 0, "problem": launcher.problem}).encode())
    while True:
        launcher.prepare()
        message, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 3)
        if not message:
            return
        result = launcher.answer(message, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        connection.send(json.dumps(result).encode())


if __name__ == "__main__":
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)  # the owner's end is what ends it
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where the owner's is ignored, there would be no child to wait for
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, OPEN_FILES)), hard))
    adopt_orphans()
    launcher = Launcher()
    serve(launcher, socket.socket(fileno=int(sys.argv[1])))
    if launcher.adopted:
        subprocess.run(["rm", "-rf", "--", *launcher.adopted], check=False)
