"""The Docker sandbox: one container, without network, capabilities or new privileges, and bounded in life."""

from __future__ import annotations

import os
import platform
import secrets
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from swe_srl.errors import ConfigError, SandboxError, SandboxUnavailableError
from swe_srl.protocols import Snapshot
from swe_srl.sandboxes.base import SessionSandbox
from swe_srl.sandboxes.container_tmp import mend_tmp
from swe_srl.sandboxes.container_transport import GREETING_SECONDS, ContainerTransport, engine, engine_errors
from swe_srl.sandboxes.descriptors import check_descriptors
from swe_srl.sandboxes.docker_snapshot import DockerSnapshot
from swe_srl.sandboxes.launch import is_gone, owner_name
from swe_srl.sandboxes.session import ShellSession
from swe_srl.types import Limits, SandboxSpec

BASE_IMAGE = "swe-srl-base:bookworm"  # made by docker/make-base-image.sh
LIFE_SECONDS = 6 * 3600  # a container ends by itself after this long
REMOVAL_PAUSES = (0.1, 0.3, 1.0, 3.0)  # seconds after failed tries
AGAIN_SECONDS = 10  # for the engine to answer when a `close` that failed is repeated
AGENT = 1000  # user and group in containers that get a repository copied in
LABEL = "swe-srl"
# The first process waits with builtins alone, so that killing every other process does not end the container. bash takes in
# the dead processes that it inherits whenever its `read` returns. Every second it looks for a process that was stopped (by one
# that stops all others) while the engine was making it: the engine would wait for that for ever, and neither show nor remove the
# container meanwhile. Then it ends, and with it the container, which is started again.
WAIT = f"""trap "exit 0" TERM; exec 3<> <(:); wait $!
while ((SECONDS < {LIFE_SECONDS})); do
  read -r -t 0.5 -u 3
  ((SECONDS != seen)) || continue
  seen=$SECONDS
  for process in /proc/[0-9]*/stat; do
    {{ read -r stat <"$process"; }} 2>/dev/null || continue
    [[ $stat != *"(runc:["*") T "* ]] || exit 0
  done
done"""


class DockerSandbox(SessionSandbox):
    """A container of `spec.image` (or of the project's base image) with `spec.repository` copied to the workdir when set.

    It runs as `spec.user`; by default as user 1000 when a repository is copied in, else as the image's own user. There is no
    network unless `spec.network`; all capabilities are dropped. It does not protect against flaws of the kernel or the engine.

    Raises:
        SandboxUnavailableError: no engine answers, the image is missing, or a limit cannot be enforced.
        SandboxError: the container did not start.
    """

    def __init__(self, spec: SandboxSpec, *, snapshot: DockerSnapshot | None = None) -> None:
        check_spec(spec)
        check_descriptors()
        self._client = engine()
        user = spec.user or (f"{AGENT}:{AGENT}" if spec.repository else "")
        image = snapshot.image if snapshot else spec.image or BASE_IMAGE
        options = container_options(spec, user)
        self._name, self._snapshot = str(options["name"]), snapshot
        made = None
        try:
            if snapshot:
                snapshot.hold(self._name)
            with engine_errors(f"making a container of {image}"):
                made = self._container = whole(
                    lambda: self._client.containers.create(image, **options), remove_container
                )
            variables = {"HOME": "/tmp", "USER": "agent"} if spec.repository and not spec.user else {}
            self._transport = ContainerTransport(self._container, spec, user, variables)
            super().__init__(spec, ShellSession(self._transport, spec.limits))
        except BaseException:  # an interrupt can come when it is made, too
            if made is not None:
                with engine_errors("removing a container"):
                    remove_container(made)
            self._client.close()
            if snapshot:
                snapshot.let_go(self._name)
            raise
        try:
            if spec.repository and not snapshot:
                self._copy_repository(spec, user)
            with engine_errors(f"starting a container of {image}"):
                self._container.start()
            if not snapshot:
                mend_tmp(self._container)
            self._session.start(snapshot.shell_state if snapshot else "")
        except BaseException:
            self.close()
            raise

    def _copy_repository(self, spec: SandboxSpec, user: str) -> None:
        owner = [int(part) for part in user.split(":") if part.isdigit()] or [0]

        def own(member: tarfile.TarInfo) -> tarfile.TarInfo:
            member.uid, member.gid, member.uname, member.gname = owner[0], owner[-1], "", ""
            return member

        with tempfile.TemporaryFile() as file, engine_errors("copying the repository in"):
            with tarfile.open(fileobj=file, mode="w") as archive:
                archive.add(spec.repository, arcname=spec.workdir.lstrip("/"), filter=own)
            file.truncate(archive.offset)  # Podman may take the padding after an archive's end for a broken pipe
            file.seek(0)
            self._container.put_archive("/", file)

    def snapshot(self) -> DockerSnapshot:
        """Commit the container's files to an image, with the shell's directory, variables and functions.

        Raises:
            SandboxError: it failed, or the image declares volumes, whose files no commit holds.
        """
        self._open_session()
        with engine_errors("making a snapshot"):
            self._container.reload()
        if volumes := sorted(mount["Destination"] for mount in self._container.attrs.get("Mounts") or ()):
            raise SandboxError(
                f"image {self.spec.image} declares volumes ({', '.join(volumes)}): a snapshot would lack their files; make the "
                f"image without them (docker export and docker import), or use the local sandbox"
            )
        shell_state = self._open_session().shell_state()
        tag = secrets.token_hex(8)
        with engine_errors("making a snapshot"):
            commit = partial(self._container.commit, repository=f"{LABEL}-snapshot", tag=tag)
            whole(commit, lambda image: self._client.images.remove(image.id, force=True))
        return DockerSnapshot(f"{LABEL}-snapshot:{tag}", shell_state)

    def fork(self, snapshot: Snapshot) -> DockerSandbox:
        """A new sandbox that starts from `snapshot`.

        Raises:
            SandboxError: the snapshot is of another kind, or discarded.
        """
        if not isinstance(snapshot, DockerSnapshot):
            raise SandboxError("a Docker sandbox starts from a Docker snapshot")
        return DockerSandbox(self.spec, snapshot=snapshot)

    def _release(self) -> None:
        try:
            with engine_errors("removing a container"):
                remove_container(self._container)
            if self._snapshot:
                self._snapshot.let_go(self._name)
        except SandboxError:
            self._client.api.timeout = AGAIN_SECONDS
            raise
        finally:
            self._client.close()


def whole(make: Callable[[], Any], unmake: Callable[[Any], object]) -> Any:
    """What the engine was asked to make. When waiting for it is interrupted the engine makes it all the same: it is unmade."""
    making: Future[Any] = Future()

    def work() -> None:
        if making.set_running_or_notify_cancel():
            try:
                making.set_result(make())
            except BaseException as error:
                making.set_exception(error)

    try:
        threading.Thread(target=work, name="engine", daemon=True).start()
        return making.result()
    except BaseException:
        if not making.cancel() and making.exception() is None:  # it has begun, and is waited for
            unmake(making.result())
        raise


def remove_container(container: Any) -> None:
    """Remove a container, unless it is gone or going already."""
    _remove(lambda: container.remove(force=True, v=True))


def _remove(remove: Callable[[], object]) -> bool:
    """Whether a request removed something: it may be gone, or going already. A server's error is tried again: Podman gives one
    for a container that is ending by itself, Docker for an image that another request is removing."""
    from docker.errors import APIError

    pauses = iter(REMOVAL_PAUSES)
    while True:
        try:
            remove()
            return True
        except APIError as error:
            if error.status_code in (404, 409):
                return False
            pause = next(pauses, None)
            if error.status_code < 500 or pause is None:
                raise
            time.sleep(pause)


def check_spec(spec: SandboxSpec) -> None:
    """Refuse what a Docker sandbox cannot do.

    Raises:
        ConfigError: the spec is for a local sandbox, or not usable.
        SandboxUnavailableError: a limit was asked for (it differs from the default) that cannot be enforced.
    """
    if spec.root:
        raise ConfigError("a Docker sandbox has no `root`: give it an image")
    if spec.shown:
        raise ConfigError("a Docker sandbox shows no folder of the host: use the local sandbox")
    if not spec.workdir.startswith("/") or spec.workdir == "/":
        raise ConfigError(f"workdir must be an absolute path below /, not {spec.workdir!r}")
    if spec.limits.disk_mb not in (0, Limits().disk_mb):
        raise SandboxUnavailableError(
            f"limits.disk_mb={spec.limits.disk_mb} cannot be enforced by Docker's overlay storage: leave it at its default "
            f"(then it is not enforced) or use the local sandbox"
        )


def container_options(spec: SandboxSpec, user: str) -> dict[str, Any]:
    """Keyword arguments of the engine's container creation."""
    limits = spec.limits
    memory = f"{limits.memory_mb}m" if limits.memory_mb else None
    return {
        "entrypoint": ["/bin/bash", "--noprofile", "--norc", "-p", "-c", WAIT],
        "command": [],
        "name": f"{LABEL}-{os.getpid()}-{secrets.token_hex(6)}",
        "user": user or None,
        "working_dir": spec.workdir,
        "hostname": "sandbox",
        "labels": owner_labels(),
        "network_mode": "bridge" if spec.network else "none",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "mem_limit": memory,
        "memswap_limit": memory,
        "pids_limit": limits.processes or -1,
        "shm_size": "64m",
        "healthcheck": {
            "test": ["NONE"]
        },  # an image's own would run beside the commands, and what it writes be in the patch
    }


def owner_labels() -> dict[str, str]:
    """Labels that say whose container it is: `sweep_containers` removes those whose owner process is gone."""
    return {LABEL: "sandbox", f"{LABEL}.owner": owner_name(), f"{LABEL}.host": platform.node()}


def sweep_containers(seconds: float = GREETING_SECONDS) -> int:
    """Remove containers and snapshots of this host whose owner process is gone; returns how many.

    Raises:
        SandboxUnavailableError: no engine answers within `seconds`.
    """
    client = engine(seconds)
    count = 0
    with engine_errors("sweeping containers"):
        filters = {"label": [f"{LABEL}=sandbox", f"{LABEL}.host={platform.node()}"]}
        for container in client.containers.list(all=True, filters=filters, sparse=True):  # one may not answer
            if is_gone((container.attrs.get("Labels") or {}).get(f"{LABEL}.owner", "")):
                remove_container(container)
                count += 1
        for image in client.api.images(
            filters={"label": f"{LABEL}=sandbox"}
        ):  # Podman finds none by two labels or a name
            if is_gone((image.get("Labels") or {}).get(f"{LABEL}.owner", "")):
                # Another process may sweep at the same time: it, or a container of it, is going then.
                count += _remove(partial(client.api.remove_image, image["Id"], force=True))
    client.close()
    return count
