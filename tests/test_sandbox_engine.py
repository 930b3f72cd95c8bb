"""An engine that stalls, restarts, or loses the container in mid-command: a second one of our own, which may be hurt."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from registry_support import Engine, own_engine

from swe_srl.errors import SandboxError
from swe_srl.sandboxes import session as session_module
from swe_srl.sandboxes.docker_sandbox import DockerSandbox, sweep_containers
from swe_srl.types import SandboxSpec
from tests.sandbox_support import is_root, libraries_of, once_heard, output

pytestmark = [
    pytest.mark.docker,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not is_root(), reason="only root can start an engine"),
]
PROGRAMS = ("bash", "cat", "sleep", "base64", "readlink", "dirname", "mkdir")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """A Docker engine of our own, with an image of a few programs."""
    with own_engine() as engine:
        root = engine.place / "root"
        (root / "testbed").mkdir(parents=True)
        (root / "tmp").mkdir()
        (root / "bin").symlink_to("usr/bin")
        subprocess.run(["cp", "-rL", "--parents", *libraries_of(*PROGRAMS), str(root)], check=True)
        archive = subprocess.run(["tar", "-C", str(root), "-c", "."], capture_output=True, check=True).stdout
        subprocess.run(["docker", "--host", engine.socket, "import", "-", "tiny:1"], input=archive, check=True)
        yield engine


@pytest.fixture
def sandbox(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerSandbox]:
    monkeypatch.setenv("DOCKER_HOST", engine.socket)
    sandbox = DockerSandbox(SandboxSpec(image="tiny:1"))
    sandbox.run("cd /tmp; export KEPT=yes; echo data > file")
    yield sandbox
    sandbox.close()
    for _ in range(300):  # a removal that was going on already may take a moment more
        names = subprocess.run(["docker", "--host", engine.socket, "ps", "-aq"], capture_output=True, check=True).stdout
        if not names:
            break
        time.sleep(0.2)
    assert names == b""


STATE = "pwd; echo $KEPT; cat file"
SAME = "/tmp\nyes\ndata\n"


def stall(engine: Engine) -> None:
    """Stop the engine: a thread of it that has not noticed yet could still carry a command."""
    engine.process.send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + 60
    while not all(" T" in path.read_text().rpartition(")")[2][:2] for path in _threads(engine)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _threads(engine: Engine) -> list[Path]:
    return list(Path(f"/proc/{engine.process.pid}/task").glob("*/stat"))


def test_stalled_engine(engine: Engine, sandbox: DockerSandbox) -> None:
    """A command that a stalled engine holds back is run when it goes on, and so does the session."""
    stall(engine)
    threading.Timer(11.0, engine.process.send_signal, [signal.SIGCONT]).start()
    result = sandbox.run("echo held back", timeout=4)
    assert not result.timed_out and result.rebuilt and "directory and exported variables are kept]" in result.output
    assert result.output.endswith("\nheld back\n")
    assert output(sandbox, STATE) == SAME


def test_engine_that_stalls_for_good(engine: Engine, sandbox: DockerSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in bounded time, not a wait for ever; the sandbox works again once the engine does."""
    stall(engine)
    try:
        with monkeypatch.context() as hurried:
            hurried.setattr("swe_srl.sandboxes.container_transport.ANSWER_SECONDS", 2)
            hurried.setattr(session_module, "RESTART_SECONDS", 3.0)
            hurried.setattr(session_module, "KILL_SECONDS", 1.0)
            with pytest.raises(SandboxError, match=r"starting the sandbox's shell: .*timed out"):
                sandbox.run("true", timeout=1)
    finally:
        engine.process.send_signal(signal.SIGCONT)
    result = sandbox.run(STATE)
    assert (
        result.rebuilt and result.output.startswith("[the shell was lost;") and result.output.endswith(f"kept]\n{SAME}")
    )


def test_restarted_engine(engine: Engine, sandbox: DockerSandbox) -> None:
    """Its containers are killed; the files are there when it is back, and the session is rebuilt over them."""

    def restart() -> None:
        engine.stop()
        engine.start()

    with once_heard(restart):
        lost = sandbox.run("echo before; sleep 600", timeout=120)
    assert lost.rebuilt and not lost.timed_out and lost.output.startswith("before\n[the shell was lost; every process")
    assert output(sandbox, STATE) == SAME


def test_container_removed_in_mid_command(sandbox: DockerSandbox) -> None:
    """Its files are gone, so no session can go on: an error that says so."""
    removed = once_heard(lambda: sandbox._container.remove(force=True))
    with removed, pytest.raises(SandboxError, match="the container was removed from outside"):
        sandbox.run("echo before; sleep 600", timeout=60)
    with pytest.raises(SandboxError, match="the container was removed from outside"):
        sandbox.run("true")


def test_swept_after_a_restart(engine: Engine, sandbox: DockerSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers of an owner that is gone are removed by the next start, whatever state they are in."""
    client = sandbox._client
    labels = {**sandbox._container.labels}
    labels["swe-srl.owner"] = labels["swe-srl.owner"].replace(f"{os.getpid()}-", "4000000-", 1)
    left = client.containers.create("tiny:1", ["sleep", "600"], labels=labels, network_mode="none")
    left.start()
    assert sweep_containers() == 1
    found = [container.id for container in client.containers.list(all=True, ignore_removed=True)]
    assert sandbox._container.id in found and left.id not in found
