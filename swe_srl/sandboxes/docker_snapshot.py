"""A frozen state of a container, and when its image can go."""

from __future__ import annotations

from swe_srl.errors import SandboxError
from swe_srl.sandboxes.container_transport import engine, engine_errors


class DockerSnapshot:
    """An image made of a container's files, and the shell state. The image goes with `discard` or `sweep`."""

    def __init__(self, image: str, shell_state: str) -> None:
        self.image = image
        self.shell_state = shell_state
        self._forks: set[str] = set()  # names of containers
        self._discarded = False

    def discard(self) -> None:
        """Remove the image, or have the last of its open forks do so: Docker would keep the files of one that is in use, without
        a name, and Podman remove its containers. Idempotent."""
        self._discarded = True
        self._remove_unused()

    def hold(self, fork: str) -> None:
        """Keep the image for a container that is made of it.

        Raises:
            SandboxError: it is discarded.
        """
        self._forks.add(fork)
        if self._discarded:
            self.let_go(fork)
            raise SandboxError("a Docker sandbox starts from a snapshot that is not discarded")

    def let_go(self, fork: str) -> None:
        """The container is gone. Idempotent."""
        self._forks.discard(fork)
        self._remove_unused()

    def _remove_unused(self) -> None:
        from docker.errors import APIError

        if not self._discarded or self._forks:
            return
        client = engine()
        try:
            with engine_errors("removing a snapshot"):
                try:
                    client.images.remove(self.image)
                except APIError as error:
                    # It is gone; or a process that was forked has a fork open: a later start sweeps it.
                    if error.status_code not in (404, 409):
                        raise
        finally:
            client.close()
