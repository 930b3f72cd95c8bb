"""How a container's output comes out: one relay serves many commands, until a process is left behind that could write to it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from swe_srl.sandboxes import make_sandbox
from swe_srl.sandboxes.base import SessionSandbox
from swe_srl.sandboxes.container_transport import ContainerTransport
from swe_srl.sandboxes.transport import SUPERVISOR
from swe_srl.types import SandboxSpec
from tests.sandbox_support import LIMITS, assert_well, output

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]
RELAY = "readlink /proc/$$/fd/1"  # the pipe that a command writes to


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SessionSandbox]:
    with make_sandbox("docker", SandboxSpec(limits=LIMITS)) as made:
        assert isinstance(made, SessionSandbox)
        yield made


def test_a_relay_serves_many_commands(sandbox: SessionSandbox) -> None:
    pipes = {output(sandbox, RELAY) for _ in range(5)}
    assert len(pipes) == 1 and "pipe:" in pipes.pop()
    output(sandbox, "ls / | sort | wc -l; (exit 0); cat /etc/hostname")
    assert len({output(sandbox, RELAY) for _ in range(3)}) == 1


@pytest.mark.parametrize("job", ["sleep 1; echo late", "sleep 0.2; while echo late; do sleep 0.1; done"])
def test_a_background_job_gets_no_later_commands_pipe(sandbox: SessionSandbox, job: str) -> None:
    output(sandbox, f"({job}) & true")
    begun = time.monotonic()
    while time.monotonic() - begun < 2:
        assert sandbox.run("echo mine").output == "mine\n"
    assert output(sandbox, "pkill -f 'sleep' ; kill %1 2>/dev/null; echo mine").endswith("mine\n")
    sandbox.restart()
    assert sandbox.run("echo well").output == "well\n"


def test_a_killed_relay_is_replaced(sandbox: SessionSandbox) -> None:
    sandbox.run("kill -9 $(pgrep -x cat); echo lost", 5)
    assert sandbox.run("echo well").output.endswith("well\n")
    assert sandbox.run("echo again; pwd").output == "again\n/testbed\n"


def test_what_a_lost_shell_wrote_stays_with_its_command(sandbox: SessionSandbox) -> None:
    for _ in range(3):
        assert "before" in sandbox.run("echo before; exec true").output
        assert sandbox.run("echo after").output == "after\n"


def test_a_supervisor_says_nothing_before_it_is_heard(sandbox: SessionSandbox) -> None:
    """What comes with the head of the engine's answer could be lost in the client's buffer: the shell would never be ready."""
    transport = sandbox._session.transport
    assert isinstance(transport, ContainerTransport)
    connection = transport._execute(list(SUPERVISOR))
    raw = getattr(connection, "_sock", connection)
    raw.settimeout(1)
    with pytest.raises(TimeoutError):
        raw.recv(1)
    raw.shutdown(socket.SHUT_RDWR)  # nor does it harm the one in use when it is not wanted
    connection.close()
    assert_well(sandbox)
