"""The launcher's children: each waits for a request, makes the sandbox's layer, and becomes its bubblewrap."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import signal
import socket
from typing import Any

from swe_srl.sandboxes.kernel import (
    CLONE_NEWNS,
    CLONE_NEWUSER,
    SHIFT,
    leave_keyring,
    make_layer,
    make_mounts_private,
    refuse_links,
    set_namespace,
    unshare,
    write,
)

END = 1 << 20  # above every descriptor
TAKEN = b"t"  # says that a request has been read
TAKE_SECONDS = 5.0  # for that: a waiting child that somebody has stopped is replaced
FRESH_SECONDS = 60.0  # for that, of the child that replaces it: a machine may be that busy


class Child:
    """A process that waits to be told which sandbox to become: forked ahead, so that a start need not wait for that."""

    def __init__(self, namespace: int) -> None:
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.pid = os.fork()
            if self.pid == 0:
                try:
                    await_request(theirs, namespace)
                except BaseException as error:
                    os.write(2, f"swe-srl launcher: {error}\n".encode())
                finally:
                    os._exit(111)

    def tell(self, message: bytes, descriptors: list[int], seconds: float) -> None:
        """Send it the request, which it takes at once. Raises OSError when it does not: it is ended then."""
        try:
            socket.send_fds(self.socket, [message], descriptors)
            self.socket.settimeout(seconds)
            if not self.socket.recv(1):
                raise OSError("a child of the launcher is gone")
            self.socket.settimeout(None)
        except OSError:
            self.close()
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            raise

    def close(self) -> None:
        """Let go of it: it ends unless it has become a sandbox."""
        self.socket.close()


def await_request(connection: socket.socket, namespace: int) -> None:
    """In a child: hold nothing open, wait for a launch, and become that sandbox. Ends with the helper."""
    held = sorted({2, connection.fileno(), namespace, END} - {-1})
    for low, high in itertools.pairwise(held):
        os.closerange(low + 1, high)
    reset_signals()
    message, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 5)
    if not message:
        os._exit(0)
    connection.send(TAKEN)
    request = json.loads(message)
    stdin, control, info, *place = descriptors
    os.dup2(stdin, 0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(control, 2)
    become_inmate(request, connection, place, namespace)
    execute(request, info)


def reset_signals() -> None:
    """Forget whatever this process's own caller ignored or blocked."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) is not signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def become_inmate(request: dict[str, Any], connection: socket.socket, place: list[int], namespace: int) -> None:
    """In a child: leave the host's keyring and namespaces, make the layer, and be the first user of a new user namespace.

    Args:
        request: of the launch.
        connection: to the helper, which maps the user.
        place: descriptors of the sandbox's namespaces when it was started before.
        namespace: descriptor of the map of id-mapped mounts, or -1.
    """
    for group in request["cgroups"]:
        enter_group(group)
    leave_keyring()
    shifted = namespace >= 0
    if place:
        enter_namespaces(place)
    elif shifted:
        unshare(CLONE_NEWNS)
    else:
        user, group_id = os.geteuid(), os.getegid()
        unshare(CLONE_NEWUSER | CLONE_NEWNS)
        write("/proc/self/uid_map", f"0 {user} 1")
        write("/proc/self/setgroups", "deny")
        write("/proc/self/gid_map", f"0 {group_id} 1")
    if not place:
        make_mounts_private()
        make_layer(request, SHIFT + request["owner"] if shifted else 0, namespace)
    refuse_links(f"{request['layer']}/root.merged", request["mounted"])
    if shifted:
        unshare(CLONE_NEWUSER)
    connection.send(b"x")
    if not connection.recv(1):
        raise OSError("the launcher is gone")
    if shifted:
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)


def enter_namespaces(descriptors: list[int]) -> None:
    """Join the namespaces of a `Place` (in a child process)."""
    for descriptor in descriptors:
        set_namespace(descriptor, 0)


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
    # Without the owner's variables: those of the first process inside can be read there.
    os.execve(request["program"], ["bwrap", "--args", "4", "--", *request["command"]], {})
