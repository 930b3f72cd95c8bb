"""Where commands run: the local sandbox (bubblewrap), the Docker sandbox, and what this machine can do for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swe_srl.errors import ConfigError, SandboxError, suggest
from swe_srl.protocols import Sandbox
from swe_srl.types import SandboxSpec

if TYPE_CHECKING:
    from swe_srl.sandboxes.docker_sandbox import DockerSandbox
    from swe_srl.sandboxes.local import LocalSandbox
    from swe_srl.sandboxes.probes import Capability, capabilities

__all__ = ["Capability", "DockerSandbox", "LocalSandbox", "capabilities", "make_sandbox", "sweep"]

KINDS = ("auto", "docker", "local")


def make_sandbox(kind: str, spec: SandboxSpec) -> Sandbox:
    """A running sandbox.

    Args:
        kind: "local", "docker", or "auto": Docker when `spec.image` is set, else local. A local sandbox runs an image's root
            file system, unpacked on first use (see `swe_srl.sandboxes.image_roots`).
        spec: what it is made of.

    Raises:
        ConfigError: no such kind, or the spec does not fit it.
        SandboxUnavailableError: this machine lacks what the sandbox needs.
        SandboxError: it did not start.
    """
    if kind not in KINDS:
        raise ConfigError(suggest(kind, KINDS, "sandbox"))
    if kind == "docker" or (kind == "auto" and spec.image):
        from swe_srl.sandboxes.docker_sandbox import DockerSandbox

        return DockerSandbox(spec)
    from swe_srl.sandboxes.local import LocalSandbox

    if spec.image:
        from swe_srl.sandboxes.image_roots import image_root

        spec = image_root(spec.image).spec(spec)
    return LocalSandbox(spec)


def sweep() -> int:
    """Remove the folders, control groups, containers and snapshots of processes that are gone; returns how many.

    Where no Docker engine answers, there are no containers to remove.
    """
    from swe_srl.sandboxes.cgroups import sweep_groups
    from swe_srl.sandboxes.launch import sweep_folders

    count = sweep_folders()
    sweep_groups()
    try:
        from swe_srl.sandboxes.container_transport import GLANCE_SECONDS
        from swe_srl.sandboxes.docker_sandbox import sweep_containers

        count += sweep_containers(GLANCE_SECONDS)  # one who needs no engine is not to wait for it
    except SandboxError:
        return count
    return count


def __getattr__(name: str) -> object:
    if name == "LocalSandbox":
        from swe_srl.sandboxes.local import LocalSandbox

        return LocalSandbox
    if name == "DockerSandbox":
        from swe_srl.sandboxes.docker_sandbox import DockerSandbox

        return DockerSandbox
    if name in ("Capability", "capabilities"):
        from swe_srl.sandboxes import probes

        return getattr(probes, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
