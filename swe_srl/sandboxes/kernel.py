"""System calls that a sandbox is made of: namespaces, id-mapped mounts, overlays.

As root, the repository is shown through an id-mapped mount, and the sandbox runs as an unprivileged host user (SHIFT + owner
of the repository): a host's root, even without capabilities in its namespace, could write files of /proc/sys.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import struct
import subprocess
from pathlib import Path
from typing import Any

from swe_srl.sandboxes.copying import copy_files

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000
SYS_OPEN_TREE, SYS_MOVE_MOUNT, SYS_MOUNT_SETATTR = 428, 429, 442  # the same on every architecture
SYS_KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219, "ppc64le": 271, "s390x": 280, "i686": 288, "armv7l": 311}
KEYCTL_JOIN_SESSION_KEYRING = 1
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
OPEN_TREE_CLONE, AT_EMPTY_PATH, AT_RECURSIVE, MOVE_MOUNT_F_EMPTY_PATH = 0x1, 0x1000, 0x8000, 0x4
MOUNT_ATTR_IDMAP = 0x00100000
AT_FDCWD = -100
SHIFT = 1_000_000_000  # host ids SHIFT .. SHIFT + 65535 belong to sandboxes that root starts
SHIFT_COUNT = 65536

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


def leave_keyring() -> None:
    """Leave the session's keyring, which no namespace keeps apart, for an empty one: its keys are the owner's.

    Where keyrings do not exist, or may not be used (a filter of system calls, which holds for all that is started), there is
    nothing to leave.
    """
    machine = platform.machine()
    if machine not in SYS_KEYCTL:
        raise OSError(errno.ENOSYS, f"the session's keyring cannot be left: keyctl is not known on {machine}")
    result = libc.syscall(SYS_KEYCTL[machine], KEYCTL_JOIN_SESSION_KEYRING, None)
    if result < 0 and ctypes.get_errno() not in (errno.ENOSYS, errno.EPERM):
        checked(result, "keyctl (a new session keyring)")


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends."""
    checked(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl (a parent of orphans)")


def end_with_parent() -> None:
    """Be killed when the parent ends, which has one thread."""
    checked(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl (the signal of a parent's end)")


def children() -> set[int]:
    """Ids of this process's children; it has one thread."""
    own = os.getpid()
    try:
        return set(map(int, Path(f"/proc/{own}/task/{own}/children").read_text().split()))
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        return {int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and _parent(path) == own}


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


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


def show_shifted(source: str, target: str, namespace: int, owner: int) -> None:
    """Show `source` at `target` with its owners moved up; a copy of `owner`'s where the file system cannot be id-mapped."""
    try:
        mount_shifted(source, target, namespace)
    except OSError:
        mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, "size=0,mode=755")
        subprocess.run(["cp", "-a", "--", f"{source}/.", target], check=True, stdout=2)
        subprocess.run(["chown", "-hR", f"{owner}:{owner}", target], check=True, stdout=2)


def make_layer(request: dict[str, Any], owner: int, namespace: int) -> None:
    """The writable layer of one sandbox: a bounded tmpfs (or a folder) with an overlay for each lower folder."""
    layer = request["layer"]
    if request["tmpfs"]:
        mount("tmpfs", layer, "tmpfs", MS_NOSUID | MS_NODEV, f"{request['tmpfs']},mode=755,uid={owner},gid={owner}")
    if request["snapshot"]:
        copy_files(request["snapshot"], layer)
    for name in request["parts"]:
        make_folder(f"{layer}/{name}", owner, 0o1777 if name in ("tmp", "shm") else 0o755)
    for number, path in enumerate(
        request["shown"]
    ):  # here, where folders above it that only root may enter do not matter
        make_folder(f"{layer}/shown.{number}", owner, 0o755)
        mount(path, f"{layer}/shown.{number}", None, MS_BIND)
    for name, lower in request["lowers"].items():
        folders = {part: f"{layer}/{name}.{part}" for part in ("lower", "upper", "work", "merged")}
        for folder in folders.values():
            make_folder(folder, owner, 0o755)
        if namespace >= 0:
            show_shifted(lower, folders["lower"], namespace if request["idmap"] else 0, owner)
        else:
            mount(lower, folders["lower"], None, MS_BIND | MS_REC)
        below = [*(_kept_layers(layer, request["layers"], owner) if name == "root" else []), f"{name}.lower"]
        xattr = "" if namespace >= 0 else "userxattr,"
        options = f"{xattr}lowerdir={':'.join(below)},upperdir={name}.upper,workdir={name}.work"
        os.chdir(
            layer
        )  # the options have signs of their own for colons, commas and backslashes: none may be in their paths
        mount("overlay", folders["merged"], "overlay", MS_NOSUID | MS_NODEV, options)
        os.chdir("/")


def _kept_layers(layer: str, kept: list[str], owner: int) -> list[str]:
    """Show layers that another sandbox wrote (their owners are moved up already) in `layer`; their names there."""
    shown = []
    for number, path in enumerate(kept):
        shown.append(f"root.layer{number}")
        make_folder(f"{layer}/{shown[-1]}", owner, 0o755)
        mount(path, f"{layer}/{shown[-1]}", None, MS_BIND)
    return shown


def make_folder(path: str, owner: int, mode: int) -> None:
    """Make a folder unless the snapshot brought it."""
    folder = Path(path)
    if not folder.is_dir():
        folder.mkdir()
        folder.chmod(mode)
        os.chown(folder, owner, owner)


def refuse_links(root: str, places: list[str]) -> None:
    """Refuse to mount where a link of the sandbox's own files is on the way: bubblewrap would make folders where it leads as seen
    from outside, on the host, too."""
    for place in places:
        for path in (Path(place), *Path(place).parents):
            if Path(f"{root}{path}").is_symlink():
                raise OSError(
                    errno.ELOOP, f"{path} of the sandbox's files is a link, behind which there can be no {place}"
                )


def set_namespace(descriptor: int, kind: int) -> None:
    """setns(2)."""
    checked(libc.setns(descriptor, kind), "setns")


def make_mounts_private() -> None:
    """Keep what is mounted here from the host."""
    mount("none", "/", None, MS_REC | MS_PRIVATE)
