"""Reaching a container's shell: one exec in it, with its standard streams over one socket."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

from swe_srl.errors import SandboxError, SandboxUnavailableError
from swe_srl.sandboxes.descriptors import NoDescriptorsError, check_descriptors, wants_descriptors
from swe_srl.sandboxes.forks import making_connections
from swe_srl.sandboxes.transport import (
    SHELL_VARIABLES,
    SUPERVISOR,
    Chunk,
    SandboxGoneError,
    TransportClosedError,
    supervisor_variables,
    ulimit_arguments,
)
from swe_srl.types import SandboxSpec

READ_BYTES = 1 << 18
ENGINE_SECONDS = 120  # for the engine to answer a request
GREETING_SECONDS = 15  # for it to say its version, before anything is asked of it
GLANCE_SECONDS = 5  # the same, for what can be done without an engine
STDOUT = 1
ANSWER_SECONDS = 60  # for the engine to answer while a shell is started: it may be stalled
RESTARTS = 10  # tries to reach the shell of a container whose state is changing
REMEDY = (
    "install it (Debian: apt-get install docker.io), start its daemon (systemctl start docker, or dockerd), and let this user "
    "reach its socket (group docker, or DOCKER_HOST)"
)


def engine(seconds: float = GREETING_SECONDS) -> Any:
    """A client of the Docker engine, which has to say its version within `seconds`.

    Raises:
        SandboxUnavailableError: no engine answers; the message names its address and says what to do.
    """
    from docker.client import DockerClient
    from docker.constants import DEFAULT_UNIX_SOCKET
    from docker.errors import DockerException

    try:
        client = DockerClient.from_env(timeout=seconds, version="auto")
    except DockerException as error:
        if wants_descriptors(error):
            raise NoDescriptorsError(error) from error
        address = os.environ.get("DOCKER_HOST") or DEFAULT_UNIX_SOCKET.replace("http+unix", "unix")
        raise SandboxUnavailableError(f"Docker does not answer at {address}: {REMEDY}. It said: {error}") from error
    client.api.timeout = ENGINE_SECONDS
    return client


@contextlib.contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Errors of the engine as SandboxError."""
    import requests
    from docker.errors import DockerException, ImageNotFound

    try:
        yield
    except ImageNotFound as error:
        raise SandboxUnavailableError(
            f"{doing}: the image is not here: pull or build it ({error.explanation})"
        ) from error
    except (DockerException, requests.RequestException, OSError) as error:
        if wants_descriptors(error):
            raise NoDescriptorsError(error) from error
        raise SandboxError(f"{doing}: {error}") from error


def under(connection: Any) -> Any:
    """The socket below what the engine's client gives. None: closed (an interrupt between two closes can come back to it)."""
    return getattr(connection, "_sock", connection)


class ContainerTransport:
    """A supervisor in a container. A new one first kills every other process but the container's first."""

    def __init__(self, container: Any, spec: SandboxSpec, user: str, variables: dict[str, str]) -> None:
        self._container = container
        self._user = user
        ulimit = ulimit_arguments(spec.limits, processes=False, memory=False, file_size=True)
        self._variables = {name: value for name, value in SHELL_VARIABLES.items() if name != "PATH"}
        self._variables |= variables | dict(spec.env) | supervisor_variables(spec.workdir, True, ulimit)
        self._sockets: list[Any] = []  # the last one is in use; closing an earlier one could end the container
        self._buffer = b""
        self._killed = False

    def start(self) -> None:
        if self._killed:
            raise SandboxGoneError("the sandbox was closed")
        check_descriptors()
        api = self._container.client.api
        api.timeout = ANSWER_SECONDS
        try:
            with engine_errors("starting the sandbox's shell"), making_connections(self):
                self._sockets.append(self._execute(list(SUPERVISOR)))
        finally:
            api.timeout = ENGINE_SECONDS
        self._raw = under(self._sockets[-1])
        self._buffer = b""
        self.send(b"\n", ANSWER_SECONDS)  # from now on what the supervisor says is read

    def _execute(self, command: list[str]) -> Any:
        """The socket of a new exec. A container that has just been killed may not be known as stopped yet: try again."""
        from docker.errors import APIError, NotFound

        api = self._container.client.api
        for attempt in range(RESTARTS):
            try:
                self._container.reload()
                if self._container.status == "paused":
                    self._container.unpause()
                elif self._container.status != "running":
                    self._container.start()
                made = api.exec_create(
                    self._container.id, command, stdin=True, environment=self._variables, user=self._user
                )
                return api.exec_start(made["Id"], socket=True)
            except NotFound as error:
                raise SandboxGoneError(f"the container was removed from outside: {error}") from error
            except APIError:
                if attempt + 1 == RESTARTS:
                    raise
                time.sleep(0.2)
        raise AssertionError("unreachable")

    def open_sink(self) -> tuple[str, bytes]:
        mark = secrets.token_hex(16)
        return mark, mark.encode()

    def close_sink(self) -> None:
        """Nothing: what a background job still writes lies before the next command's mark."""

    def send(self, data: bytes, seconds: float) -> None:
        try:
            self._raw.settimeout(seconds)
            self._raw.sendall(data)
        except TimeoutError:
            raise
        except OSError as error:
            raise TransportClosedError(f"the container's shell is gone: {error}") from error

    def receive(self, seconds: float) -> Iterator[Chunk]:
        deadline = time.monotonic() + seconds
        while True:
            chunks = list(self._frames())
            if chunks:
                yield from chunks
                return
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return
            try:
                self._raw.settimeout(remaining)
                data = self._raw.recv(READ_BYTES)
            except TimeoutError:
                return
            except OSError as error:
                raise TransportClosedError(f"the container's shell is gone: {error}") from error
            if not data:
                raise TransportClosedError("the container's shell ended")
            self._buffer += data

    def _frames(self) -> Iterator[Chunk]:
        """Complete frames of the engine's stream: one byte of stream, three of nothing, four of length, then data."""
        at = 0
        while len(self._buffer) - at >= 8:
            stream, size = struct.unpack_from(">B3xI", self._buffer, at)
            if len(self._buffer) - at < 8 + size:
                break
            if size:
                yield Chunk("output" if stream == STDOUT else "control", self._buffer[at + 8 : at + 8 + size])
            at += 8 + size
        self._buffer = self._buffer[at:]

    def kill(self) -> None:
        self._killed = True
        for raw in filter(None, map(under, list(self._sockets))):
            with contextlib.suppress(OSError):
                raw.shutdown(socket.SHUT_RDWR)

    def after_fork(self) -> None:
        """In a forked process: close its copies of the connections, which go on as the owner's."""
        for raw in filter(None, map(under, self._sockets)):
            with contextlib.suppress(OSError):
                os.close(raw.detach())
        self._sockets = []

    def close(self) -> None:
        """Drop the connections."""
        for connection in self._sockets:
            with contextlib.suppress(OSError):
                if (raw := under(connection)) is not None:
                    raw.close()
                connection.close()  # a file over the socket, which the engine's client keeps open
        self._sockets = []
