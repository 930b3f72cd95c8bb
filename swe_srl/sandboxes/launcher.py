"""Helper process of `LocalSandbox`: makes mount namespaces and overlays, and starts bubblewrap in them.

Run as a script by `swe_srl.sandboxes.launch`; standard library only. It has one thread and lives as long as the process that
started it: bubblewrap's `--die-with-parent` follows the thread that spawned it, so no sandbox outlives its owner. Requests and
answers are JSON over a socket that is its standard input; a launch also carries three descriptors (the sandbox's standard
input, its control pipe, and a pipe for bubblewrap's report of the process id inside).

As root, the repository is shown through an id-mapped mount, and the sandbox runs as an unprivileged host user (SHIFT + owner
of the repository): a host's root, even without capabilities in its namespace, could write files of /proc/sys.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000
SYS_OPEN_TREE, SYS_MOVE_MOUNT, SYS_MOUNT_SETATTR = 428, 429, 442  # the same on every architecture
OPEN_TREE_CLONE, AT_EMPTY_PATH, AT_RECURSIVE, MOVE_MOUNT_F_EMPTY_PATH = 0x1, 0x1000, 0x8000, 0x4
MOUNT_ATTR_IDMAP = 0x00100000
AT_FDCWD = -100
SHIFT = 1_000_000_000  # host ids SHIFT .. SHIFT + 65535 belong to sandboxes that root starts
SHIFT_COUNT = 65536

IGNORED = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ)

libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int, what: str) -> int:
    """A system call's result, or its error with what was being done."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """Leave the present namespaces of these kinds for new ones."""
    checked(libc.unshare(flags), "unshare (new namespaces)")


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """mount(2)."""
    arguments = [text.encode() if text is not None else None for text in (source, target, kind)]
    result = libc.mount(*arguments, ctypes.c_ulong(flags), options.encode())
    checked(result, f"mount {kind or 'bind'} at {target} ({options})")


def shifted_namespace() -> int:
    """Descriptor of a user namespace that maps ids 0 .. SHIFT_COUNT-1 to SHIFT and above: the map of id-mapped mounts."""
    ready, child_ready = os.pipe()
    child = os.fork()
    if child == 0:
        unshare(CLONE_NEWUSER)
        os.write(child_ready, b"x")
        signal.pause()
    os.close(child_ready)
    try:
        if os.read(ready, 1) != b"x":
            raise OSError("no user namespace for id-mapped mounts")
        for name in ("uid_map", "gid_map"):
            write(f"/proc/{child}/{name}", f"0 {SHIFT} {SHIFT_COUNT}")
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(ready)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def write(path: str, text: str) -> None:
    """Write a kernel file in one call."""
    handle = os.open(path, os.O_WRONLY)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


def mount_shifted(source: str, target: str, namespace: int) -> None:
    """Show `source` at `target` with its owners moved up by SHIFT."""
    flags = OPEN_TREE_CLONE | os.O_CLOEXEC
    tree = checked(libc.syscall(SYS_OPEN_TREE, AT_FDCWD, source.encode(), flags), f"open_tree {source}")
    attributes = struct.pack("QQQQ", MOUNT_ATTR_IDMAP, 0, 0, namespace)
    result = libc.syscall(SYS_MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH, attributes, len(attributes))
    checked(result, f"id-mapped mount of {source}")
    result = libc.syscall(SYS_MOVE_MOUNT, tree, b"", AT_FDCWD, target.encode(), MOVE_MOUNT_F_EMPTY_PATH)
    checked(result, f"move_mount to {target}")
    os.close(tree)


def make_layer(request: dict[str, Any], owner: int, namespace: int) -> None:
    """The writable layer of one sandbox: a bounded tmpfs (or a folder) with an overlay for each lower folder."""
    layer = request["layer"]
    if request["tmpfs"]:
        mount("tmpfs", layer, "tmpfs", MS_NOSUID | MS_NODEV, f"{request['tmpfs']},mode=755,uid={owner},gid={owner}")
    if request["snapshot"]:
        subprocess.run(["cp", "-a", "--", request["snapshot"] + "/.", layer], check=True, stdout=2)
    for name in request["parts"]:
        make_folder(f"{layer}/{name}", owner, 0o1777 if name in ("tmp", "shm") else 0o755)
    for name, lower in request["lowers"].items():
        folders = {part: f"{layer}/{name}.{part}" for part in ("lower", "upper", "work", "merged")}
        for folder in folders.values():
            make_folder(folder, owner, 0o755)
        if namespace >= 0:
            mount_shifted(lower, folders["lower"], namespace)
        else:
            mount(lower, folders["lower"], None, MS_BIND | MS_REC)
        xattr = "" if namespace >= 0 else "userxattr,"
        options = f"{xattr}lowerdir={folders['lower']},upperdir={folders['upper']},workdir={folders['work']}"
        mount("overlay", folders["merged"], "overlay", MS_NOSUID | MS_NODEV, options)


def make_folder(path: str, owner: int, mode: int) -> None:
    """Make a folder unless the snapshot brought it."""
    folder = Path(path)
    if not folder.is_dir():
        folder.mkdir()
        folder.chmod(mode)
        os.chown(folder, owner, owner)


class Place:
    """The namespaces that hold one sandbox's files, kept open so that its shells can be started again."""

    def __init__(self, child: int, shifted: bool) -> None:
        self.mounts = os.open(f"/proc/{child}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        self.user = -1 if shifted else os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)

    def enter(self) -> None:
        """Join the namespaces (in a child process)."""
        if self.user >= 0:
            checked(libc.setns(self.user, CLONE_NEWUSER), "setns (user namespace)")
        checked(libc.setns(self.mounts, CLONE_NEWNS), "setns (mount namespace)")

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
            write(f"{group}/cgroup.procs", str(os.getpid()))
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
            mount("none", "/", None, MS_REC | MS_PRIVATE)
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
    for number in IGNORED:
        signal.signal(number, signal.SIG_DFL)
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
