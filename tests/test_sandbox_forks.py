"""Processes that the owner of sandboxes forks: they neither keep those sandboxes alive nor reach into them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from swe_srl.envs import SweEnv
from swe_srl.sandboxes.base import SessionSandbox
from swe_srl.sandboxes.container_transport import engine
from swe_srl.sandboxes.docker_sandbox import DockerSandbox
from swe_srl.sandboxes.forks import making_connections
from swe_srl.sandboxes.launch import owner_name
from swe_srl.types import Task
from tests.sandbox_support import (
    KINDS,
    NAP,
    assert_well,
    napping,
    new_sandbox,
    repository,
    sandbox_of,
    wait_until,
    write_tree,
)

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository(tmp_path_factory.mktemp("forks"))


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def in_child(work: Callable[[], object], *without: int) -> str:
    """What `work()` returns in a forked process, or how it failed there. That closes these descriptors first."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        for descriptor in without:
            os.close(descriptor)
        try:
            said = str(work())
        except BaseException as error:
            said = repr(error)
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as report:
        text = report.read()
    os.waitpid(pid, 0)
    return text


OWNER = """
import os, sys, time
from swe_srl.sandboxes import make_sandbox
from swe_srl.types import SandboxSpec
sandbox = make_sandbox(sys.argv[1], SandboxSpec(repository=sys.argv[2]))
sandbox.run(f"(setsid sleep {sys.argv[3]} &) ; sleep {sys.argv[3]} &")
child = os.fork()
if child:
    print(child, flush=True)
time.sleep(100)
"""


def test_the_owner_is_killed_and_its_forked_child_is_not(kind: str, repo: Path) -> None:
    root = str(Path(__file__).resolve().parent.parent)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path])}
    command = [sys.executable, "-c", OWNER, sandbox_of(kind), str(repo), NAP]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, env=env)
    assert owner.stdout is not None
    child = int(owner.stdout.readline())
    try:
        wait_until(lambda: napping() == 2)  # a process in the background becomes `sleep` a little later
        owner.kill()
        owner.wait()
        wait_until(lambda: napping() == 0)
        os.kill(child, 0)
    finally:
        os.kill(child, 9)
        owner.kill()
        owner.wait()
        owner.stdout.close()


def test_a_forked_child_cannot_use_its_parents_sandbox(kind: str, repo: Path) -> None:
    with new_sandbox(kind, repo) as sandbox:
        assert "belongs to process" in in_child(lambda: sandbox.run("true"))
        assert "belongs to process" in in_child(lambda: sandbox.snapshot())
        assert in_child(sandbox.close) == "None"
        assert_well(sandbox)


def test_a_forked_child_makes_its_own_sandboxes(kind: str, repo: Path) -> None:
    def own() -> str:
        with new_sandbox(kind, repo) as other, sandbox.fork(snapshot) as fork:
            return other.run("cat README.md").output + fork.run("echo $name; cat new").output

    with new_sandbox(kind, repo) as sandbox:
        sandbox.run("name=kept; echo data >new")
        snapshot = sandbox.snapshot()
        assert in_child(own) == "hello\nkept\ndata\n"
        snapshot.discard()
        assert_well(sandbox)


def test_a_forked_childs_fork_outlives_the_snapshot_that_its_parent_discards(kind: str, repo: Path) -> None:
    """Podman removed it; Docker kept the image without a name, which nobody could discard any more."""
    begun, discarded = os.pipe(), os.pipe()

    def own() -> str:
        with sandbox.fork(snapshot) as fork:
            os.write(begun[1], b"x")
            os.read(discarded[0], 1)
            return fork.run("cat new").output

    def discard() -> None:
        os.read(begun[0], 1)  # also when the child has failed: then all writing ends are closed
        try:
            snapshot.discard()
        finally:
            os.close(discarded[1])

    def images() -> list[str]:
        with contextlib.closing(engine()) as client:
            found = client.api.images(filters={"label": f"swe-srl.owner={owner_name()}"})
            return [image["Id"] for image in found]

    with new_sandbox(kind, repo) as sandbox:
        before = images() if isinstance(sandbox, DockerSandbox) else []
        sandbox.run("echo data >new")
        snapshot = sandbox.snapshot()
        discarding = threading.Thread(target=discard)
        discarding.start()
        said = in_child(own, discarded[1])
        os.close(begun[1])
        discarding.join()
        snapshot.discard()
        assert said == "data\n"
        if isinstance(sandbox, DockerSandbox):
            assert images() == before, "what a fork had kept goes when it is discarded again"
    for descriptor in (begun[0], discarded[0]):
        os.close(descriptor)


def test_an_environment_goes_on_in_a_forked_child(kind: str, tmp_path: Path) -> None:
    """With a new episode; its pool is one of that process's own."""

    def episode() -> str:
        env.reset()
        assert isinstance(env.sandbox, SessionSandbox) and env.sandbox._owner == os.getpid()
        said = env.step("cat README.md")[0]
        env.close()
        return said

    tree = write_tree(tmp_path / "tree")
    (tmp_path / "pooled.yaml").write_text("pool_size: 1\npool_rate: 0\n")
    tasks = [Task("tiny-1", "me/tiny", "0" * 40, "Fix it", source=f"dir:{tree}")]
    env = SweEnv(tasks, definition=str(tmp_path / "pooled.yaml"), sandbox=sandbox_of(kind))
    try:
        env.reset()
        assert env.fill_pool() == 1
        assert in_child(episode) == "hello\n"
        assert env.step("cat README.md")[0] == "hello\n" and env.fill_pool() == 1
    finally:
        env.close()


def test_a_fork_waits_for_connections_that_are_being_made() -> None:
    class Owner:
        def after_fork(self) -> None:
            told.append("told")

    def make() -> None:
        with making_connections(owner):
            begun.set()
            time.sleep(0.3)
            order.append("made")

    order: list[str] = []
    told: list[str] = []
    owner, begun = Owner(), threading.Event()
    thread = threading.Thread(target=make)
    thread.start()
    begun.wait()
    assert in_child(lambda: order + told) == "['made', 'told']"
    assert told == []
    thread.join()
