"""What a local sandbox sees of the host: bubblewrap's arguments."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from swe_srl.errors import ConfigError, SandboxUnavailableError
from swe_srl.sandboxes.etc import HOME, network_files
from swe_srl.types import SandboxSpec

IO = "/dev/swe-srl"  # inside: sinks and files handed in, read-only; where no command can put a link
RESOLV = "/etc/resolv.conf"
INSTALL = "install it with your package manager (Debian, Ubuntu: apt-get install bubblewrap)"
_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


def bubblewrap() -> str:
    """Path of `bwrap`.

    Raises:
        SandboxUnavailableError: it is not installed.
    """
    path = shutil.which("bwrap")
    if path is None:
        path = os.environ.get("PATH", "")
        raise SandboxUnavailableError(
            f"the local sandbox needs bubblewrap: bwrap is not on the PATH ({path!r}): {INSTALL}"
        )
    return path


@functools.cache
def _options() -> str:
    return subprocess.run([bubblewrap(), "--help"], capture_output=True, text=True, check=False).stdout


def user_ids(user: str) -> tuple[int, int]:
    """User and group id inside a local sandbox: `uid`, `uid:gid`, `root`, or "" for the unprivileged default.

    Raises:
        ConfigError: a name that a local sandbox does not know.
    """
    if not user:
        return 1000, 1000
    if user == "root":
        return 0, 0
    uid, _, gid = user.partition(":")
    if not (is_id(uid) and is_id(gid or uid)):
        raise ConfigError(f"user {user!r}: a local sandbox knows `root`, `uid` and `uid:gid`")
    return int(uid), int(gid or uid)


def is_id(text: str) -> bool:
    """Whether a text is the number of a user or a group.

    >>> [is_id(text) for text in ("1000", "\u00b2", "-1", "", "4294967296")]
    [True, False, False, False, False]
    """
    return text.isascii() and text.isdigit() and len(text) < 11 and int(text) < 1 << 32


def extra_python() -> str:
    """Prefix of the running interpreter when the host has no /usr/bin/python3 to show, else ""."""
    return "" if Path("/usr/bin/python3").exists() else sys.base_prefix


def bwrap_options(spec: SandboxSpec, folder: Path, etc: Path, variables: Mapping[str, str]) -> list[str]:
    """The options that make the sandbox whose layer and pipes are under `folder`; it shows `etc` unless it has a root."""
    uid, gid = user_ids(spec.user)
    layer = folder / "layer"
    arguments = ["--unshare-user", "--uid", str(uid), "--gid", str(gid)]
    arguments += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "sandbox"]
    arguments += [] if spec.network else ["--unshare-net"]
    arguments += ["--new-session", "--die-with-parent", "--cap-drop", "ALL", "--info-fd", "3", "--clearenv"]
    arguments += ["--disable-userns"] if "--disable-userns" in _options() else []
    for name, value in variables.items():
        arguments += ["--setenv", name, value]
    arguments += _image_files(spec, layer) if spec.root else _host_files(spec, layer, etc)
    arguments += ["--proc", "/proc", "--dev", "/dev", "--bind", f"{layer}/shm", "/dev/shm"]
    arguments += ["--ro-bind", f"{folder}/io", IO, "--remount-ro", "/dev"]
    if spec.repository:
        arguments += ["--bind", f"{layer}/repository.merged", spec.workdir]
    elif not spec.root:
        arguments += ["--bind", f"{layer}/workspace", spec.workdir]
    for number, (_, inside) in enumerate(spec.shown):
        arguments += ["--ro-bind", f"{layer}/shown.{number}", inside]
    arguments += [] if spec.root else ["--remount-ro", "/"]
    return [*arguments, "--chdir", "/"]


def mounted_in_root(spec: SandboxSpec) -> list[str]:
    """Where something is mounted in a root file system of the sandbox's own."""
    if not spec.root:
        return []
    own = [spec.workdir] if spec.repository else []
    return ["/dev", "/proc", *([RESOLV] if spec.network else []), *own, *(inside for _, inside in spec.shown)]


def _image_files(spec: SandboxSpec, layer: Path) -> list[str]:
    shared = ["--ro-bind", RESOLV, RESOLV] if spec.network and Path(RESOLV).exists() else []
    return ["--bind", f"{layer}/root.merged", "/", *shared]


def system_files() -> list[str]:
    """The options that show the host's programs and libraries read-only."""
    arguments = ["--ro-bind", "/usr", "/usr"]
    for name in _SYSTEM:
        path = Path("/", name)
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()).lstrip("/"), str(path)]
        elif path.is_dir():
            arguments += ["--ro-bind", str(path), str(path)]
    return arguments


def _host_files(spec: SandboxSpec, layer: Path, etc: Path) -> list[str]:
    arguments = [*system_files(), "--ro-bind", str(etc), "/etc"]
    for name in network_files(spec.network):
        arguments += ["--ro-bind", f"/etc/{name}", f"/etc/{name}"]
    if prefix := extra_python():
        arguments += ["--ro-bind", prefix, prefix]
    arguments += _hidden(["/usr", *(f"/{name}" for name in _SYSTEM if not Path("/", name).is_symlink()), prefix])
    return [*arguments, "--bind", f"{layer}/tmp", "/tmp", "--bind", f"{layer}/home", HOME]


def _hidden(shown: Sequence[str]) -> list[str]:
    """The options that hide the bundled tasks, with their solutions, where this package is installed among what is shown."""
    data = Path(str(resources.files("swe_srl") / "data")).resolve()
    arguments: list[str] = []
    for place in map(Path, filter(None, shown)):
        if data.is_relative_to(place.resolve()):
            inside = str(place / data.relative_to(place.resolve()))
            arguments += ["--tmpfs", inside, "--remount-ro", inside]
    return arguments
