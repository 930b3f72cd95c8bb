"""The local sandbox: bubblewrap over an overlay, without a daemon and without root."""

from __future__ import annotations

from pathlib import Path

from swe_srl.errors import ConfigError, SandboxError, SandboxUnavailableError
from swe_srl.protocols import Snapshot
from swe_srl.sandboxes.base import SessionSandbox
from swe_srl.sandboxes.descriptors import check_descriptors, descriptor_errors
from swe_srl.sandboxes.launch import make_folder, new_path
from swe_srl.sandboxes.local_transport import LocalTransport
from swe_srl.sandboxes.removal import remove_folder
from swe_srl.sandboxes.session import ShellSession
from swe_srl.types import SandboxSpec

REMEDY = (
    "The local sandbox needs unprivileged user namespaces and overlays in them: check "
    "/proc/sys/user/max_user_namespaces, kernel.unprivileged_userns_clone=1 (Debian) and "
    "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu); in a container, run it with "
    "--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined (a /proc "
    "of which nothing is hidden) --cap-add SYS_ADMIN; or use the Docker sandbox"
)


class LocalSnapshot:
    """A copy of a local sandbox's writable files, and its shell state. Its folder goes with `discard` or `sweep`."""

    def __init__(self, folder: Path, shell_state: str) -> None:
        self.folder = folder
        self.shell_state = shell_state

    def discard(self) -> None:
        """Remove the copy. Idempotent."""
        remove_folder(self.folder)


class LocalSandbox(SessionSandbox):
    """A sandbox of this machine's own kernel: namespaces, an overlay over `spec.repository` (and `spec.root`), no network.

    Without `spec.root` it shows the host's tools (/usr, /bin, /lib*, a small /etc of its own) read-only, and nothing else of
    the host. Everything it writes is in one bounded tmpfs. It does not protect against flaws of the kernel.

    Raises:
        SandboxUnavailableError: bubblewrap, user namespaces or overlays are missing, or a limit cannot be enforced.
        SandboxError: it did not start; the message holds what was said.
    """

    def __init__(self, spec: SandboxSpec, *, snapshot: LocalSnapshot | None = None) -> None:
        check_spec(spec)
        self._transport = LocalTransport(spec, snapshot.folder if snapshot else None)
        super().__init__(spec, ShellSession(self._transport, spec.limits))
        try:
            self._session.start(snapshot.shell_state if snapshot else "")
        except BaseException as error:
            self.close()
            if isinstance(error, SandboxError):
                raise explain_failure(error) from error
            raise

    def snapshot(self) -> LocalSnapshot:
        """Copy the writable files, and the shell's directory, variables and functions; the sandbox goes on unchanged."""
        session = self._open_session()
        state = session.shell_state()
        check_descriptors()
        with descriptor_errors():
            snapshot = LocalSnapshot(new_path("snapshot"), state)
        try:
            with descriptor_errors():
                make_folder(snapshot.folder)
            self._transport.copy_layer(snapshot.folder)
            return snapshot
        except BaseException:
            snapshot.discard()
            raise

    def keep_layer(self, folder: Path) -> None:
        """Copy what was changed below `spec.root` to `folder`, for the `layers` of other sandboxes over the same root."""
        self._open_session()
        self._transport.copy_layer(folder, ["root.upper"])

    def fork(self, snapshot: Snapshot) -> LocalSandbox:
        """A new sandbox that starts from `snapshot`.

        Raises:
            SandboxError: the snapshot is of another kind, or discarded.
        """
        if not isinstance(snapshot, LocalSnapshot) or not snapshot.folder.is_dir():
            raise SandboxError("a local sandbox starts from a local snapshot that is not discarded")
        return LocalSandbox(self.spec, snapshot=snapshot)


def check_spec(spec: SandboxSpec) -> None:
    """Raises ConfigError for a spec that a local sandbox cannot serve."""
    if spec.image:
        raise ConfigError(
            f"a local sandbox runs no container image ({spec.image}): unpack it (image_root) and set `root`"
        )
    if not spec.workdir.startswith("/") or spec.workdir == "/":
        raise ConfigError(f"workdir must be an absolute path below /, not {spec.workdir!r}")
    for name in ("root", "repository"):
        path = getattr(spec, name)
        if path and not Path(path).is_dir():
            raise ConfigError(f"{name} must be a folder: {path} is none")
    for place, inside in spec.shown:
        if not Path(place).is_dir() or not inside.startswith("/"):
            raise ConfigError(f"shown must be folders, each with an absolute path inside, not {place} at {inside!r}")
    for text in (spec.workdir, *(part for pair in (*spec.env, *spec.shown) for part in pair)):
        if "\0" in text:  # what follows it would be an option of bubblewrap's: any folder of the host could be shown
            raise ConfigError(f"a local sandbox's paths and variables have no NUL: {text!r}")
    if spec.layers and not spec.root:
        raise ConfigError("layers change a root file system: there is no `root`")


def explain_failure(error: SandboxError) -> SandboxError:
    """The same failure, with the remedy when this machine lacks what the sandbox needs."""
    text = str(error)
    if any(word in text for word in ("unshare", "setns", "uid_map", "namespace", "mount", "Permission", "permitted")):
        return SandboxUnavailableError(f"{text}. {REMEDY}")
    return error
