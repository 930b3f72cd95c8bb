"""What this machine can do for sandboxes, and how to get what is missing."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from swe_srl.errors import SandboxError
from swe_srl.sandboxes.local_limits import enforced
from swe_srl.types import Limits, SandboxSpec

LIMIT_REMEDIES = {
    "memory_mb": "a whole-sandbox limit needs writable control groups (root, or a delegated systemd scope)",
    "processes": "needs Linux 5.14, or writable control groups",
    "disk_mb": "needs Linux 6.6, or root",
    "open_files": "",
}


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing a machine may be able to do. `remedy` says how to get it when `available` is False."""

    name: str
    available: bool
    detail: str
    remedy: str = ""


def capabilities(docker: bool = True) -> list[Capability]:
    """Everything the two sandboxes can use here. Starts one local sandbox and asks the Docker engine, where that answers in
    under a second; without `docker` the engine is not asked, and not told of."""
    return [_bubblewrap(), _namespaces(), _local_sandbox(), *_limits(), *(_docker() if docker else ())]


def _bubblewrap() -> Capability:
    from swe_srl.sandboxes.host_view import INSTALL

    path = shutil.which("bwrap")
    return Capability("bubblewrap", path is not None, path or "bwrap is not on the PATH", "" if path else INSTALL)


def _namespaces() -> Capability:
    path = Path("/proc/sys/user/max_user_namespaces")
    count = int(path.read_text()) if path.exists() else 0
    remedy = "" if count else "sysctl -w user.max_user_namespaces=15000"
    return Capability("user namespaces", count > 0, f"at most {count}", remedy)


def _local_sandbox() -> Capability:
    from swe_srl.sandboxes.local import LocalSandbox

    try:
        with LocalSandbox(SandboxSpec(repository="/usr/share", workdir="/testbed")) as sandbox:
            result = sandbox.run("touch probe && echo works")
    except SandboxError as error:
        return Capability("local sandbox", False, "does not start", str(error))
    if result.output != "works\n":
        return Capability("local sandbox", False, f"its overlay cannot be written: {result.output.strip()}", "")
    return Capability(
        "local sandbox", True, f"bubblewrap over an overlay, as {'root' if os.geteuid() == 0 else 'user'}"
    )


def _limits() -> list[Capability]:
    found = []
    for name, means in enforced().items():
        detail = (
            means or f"not enforced (the default, {getattr(Limits(), name)}, is accepted; another value is refused)"
        )
        remedy = LIMIT_REMEDIES[name] if not means or "RLIMIT_DATA" in means else ""
        found.append(Capability(f"limit {name} (local)", bool(means), detail, remedy))
    return found


def _docker() -> list[Capability]:
    """The engine, and the base image that it has."""
    from swe_srl.sandboxes.container_transport import engine, engine_errors
    from swe_srl.sandboxes.docker_sandbox import BASE_IMAGE

    image = Capability("docker base image", False, f"no image {BASE_IMAGE}", "make it: docker/make-base-image.sh")
    try:
        client = engine()
    except SandboxError as error:
        detail, _, remedy = str(error).removeprefix("Docker ").partition(": ")
        return [Capability("docker engine", False, detail, remedy), image]
    with contextlib.closing(client):
        try:
            with engine_errors("asking the engine for its version"):
                version = client.version()
        except SandboxError as error:
            return [Capability("docker engine", False, "does not say its version", str(error)), image]
        with contextlib.suppress(SandboxError), engine_errors("looking for the base image"):
            client.images.get(BASE_IMAGE)
            image = Capability("docker base image", True, BASE_IMAGE)
    return [Capability("docker engine", True, f"{version['Version']}, API {version['ApiVersion']}"), image]
