"""Interrupts (Ctrl-C) at any moment, and closes that fail: nothing stays, and what was interrupted can be repeated."""

from __future__ import annotations

import contextlib
import gc
import inspect
import itertools
import linecache
import os
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, Self

import pytest
import requests

from benchmarks.soak import count, lasting
from swe_srl.envs import SweEnv
from swe_srl.envs.definition import EnvironmentDefinition
from swe_srl.envs.image_places import Place
from swe_srl.envs.places import PlaceMaker
from swe_srl.envs.pool import WarmPool, join_pool, leave_pool
from swe_srl.errors import SandboxError
from swe_srl.protocols import Sandbox, Snapshot
from swe_srl.sandboxes import copies
from swe_srl.sandboxes.base import SessionSandbox
from swe_srl.sandboxes.container_transport import ContainerTransport
from swe_srl.sandboxes.descriptors import check_descriptors
from swe_srl.sandboxes.docker_sandbox import DockerSandbox, whole
from swe_srl.sandboxes.image_unpack import unpack_from_engine
from swe_srl.sandboxes.launch import make_folder
from swe_srl.sandboxes.local import LocalSandbox, LocalSnapshot
from swe_srl.sandboxes.local_transport import LocalTransport
from swe_srl.sandboxes.pipes import Sink
from swe_srl.sandboxes.transport import supervisor_variables, ulimit_arguments
from swe_srl.testing import FakeSandbox
from swe_srl.types import SandboxSpec, Task
from tests.sandbox_support import KINDS, new_sandbox, opened, repository, sandbox_of, wait_until, write_tree

pytestmark = pytest.mark.timeout(120)
ROUNDS = {"local": 100, "docker": 15, "podman": 5}  # interrupts; a start of a container takes long


def interrupted(seconds: float, action: Callable[[], object]) -> bool:
    """Do something, with a KeyboardInterrupt in this (the main) thread after some time: whether it came before the end."""
    return _interrupted_by(
        threading.Timer(seconds, signal.pthread_kill, (threading.get_ident(), signal.SIGUSR1)), action
    )


def interrupted_in(moment: threading.Event, action: Callable[[], object], sent: threading.Event) -> bool:
    """The same, with the interrupt as soon as a moment has come; it is told when it is sent."""
    main = threading.get_ident()

    def send() -> None:
        moment.wait()
        time.sleep(0.2)  # the main thread waits by then
        signal.pthread_kill(main, signal.SIGUSR1)
        sent.set()

    try:
        return _interrupted_by(threading.Thread(target=send), action, moment.set)
    finally:
        sent.set()


def _interrupted_by(
    sender: threading.Thread, action: Callable[[], object], end: Callable[[], None] = lambda: None
) -> bool:
    armed = True

    def interrupt(number: int, frame: FrameType | None) -> None:
        if armed:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        sender.start()
        action()
        armed = False
    except KeyboardInterrupt:
        return True
    finally:
        armed = False
        if isinstance(sender, threading.Timer):
            sender.cancel()
        end()
        sender.join()
        signal.signal(signal.SIGUSR1, before)
    return False


def left(kind: str) -> dict[str, int]:
    """What belongs to this process, but for memory, and descriptors (one may be lost where it is made)."""
    return {name: number for name, number in asdict(count(kind)).items() if name not in ("memory_mb", "descriptors")}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", KINDS)
def test_interrupts_leave_nothing(kind: str, tmp_path: Path) -> None:
    """Neither processes (a bubblewrap's child that waits for ever), containers, snapshots, mounts, folders nor control groups."""
    rng = random.Random(1)
    task = Task("tiny-1", "me/tiny", "0" * 40, "Fix it", source=f"dir:{write_tree(tmp_path / 'tree')}")
    env = SweEnv([task], sandbox=sandbox_of(kind))
    snapshots: list[Snapshot] = []
    forks: list[Sandbox] = []

    def snapshot() -> None:
        assert env.sandbox is not None
        snapshots.append(env.sandbox.snapshot())

    def fork() -> None:
        assert env.sandbox is not None
        snapshot()
        forks.append(env.sandbox.fork(snapshots[-1]))

    def reset() -> None:
        env.reset()

    actions: list[Callable[[], None]] = [reset, lambda: env.step("echo x; cd /tmp") and None, snapshot, fork, env.close]
    seconds = []
    for action in actions:
        begin = time.monotonic()
        action()
        seconds.append(time.monotonic() - begin)
    _free(snapshots, forks)
    gc.collect()  # what other tests have left open closes now, or not before the end
    before = left(sandbox_of(kind))
    for number in range(ROUNDS[kind]):
        if env.sandbox is None:
            env.reset()
        which = number % len(actions)
        interrupted(rng.uniform(0, 1.2 * seconds[which]), actions[which])
        if env.sandbox is not None:
            assert env.sandbox.run("echo well").output.endswith("well\n")
        env.close()
        _free(snapshots, forks)
        deadline = time.monotonic() + 60
        while (now := left(sandbox_of(kind))) != before:  # the child that waits for the next start is just being made
            assert time.monotonic() < deadline, (number, which, before, now)
            time.sleep(0.05)


def _free(snapshots: list[Snapshot], forks: list[Sandbox]) -> None:
    while forks:
        forks.pop().close()
    while snapshots:
        snapshots.pop().discard()


@pytest.mark.parametrize("kind", KINDS)
def test_a_snapshot_that_is_interrupted_leaves_no_copy(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, sent = threading.Event(), threading.Event()
    with opened(kind, repository(tmp_path)) as sandbox:
        before = left(sandbox_of(kind))
        if isinstance(sandbox, DockerSandbox):
            commit, made = sandbox._container.commit, []

            def slow_commit(**of: str) -> object:
                begun.set()
                sent.wait()
                made.append(commit(**of))
                return made[-1]

            monkeypatch.setattr(sandbox._container, "commit", slow_commit)
            assert interrupted_in(begun, sandbox.snapshot, sent)
            assert len(made) == 1 and made[0].id not in {image["Id"] for image in sandbox._client.api.images()}
        else:
            assert isinstance(sandbox, LocalSandbox)
            sandbox.run("head -c 100000000 /dev/zero >/tmp/large")
            copy = sandbox._transport.copy_layer

            def slow_copy(folder: Path) -> None:
                begun.set()
                copy(folder)
                sent.wait()

            monkeypatch.setattr(sandbox._transport, "copy_layer", slow_copy)
            assert interrupted_in(begun, sandbox.snapshot, sent)
            wait_until(lambda: left("local") == before)


def test_what_the_engine_makes_in_spite_of_an_interrupt_is_unmade() -> None:
    made: list[str] = []
    begun, sent = threading.Event(), threading.Event()

    def make() -> str:
        begun.set()
        sent.wait()
        made.append("container")
        return made[-1]

    assert interrupted_in(begun, lambda: whole(make, made.remove), sent)
    assert made == []
    assert whole(make, made.remove) == "container" and made == ["container"]
    with pytest.raises(ValueError, match="refused"):
        whole(lambda: int("refused"), made.remove)


def test_an_interrupt_while_the_engine_makes_a_container_to_unpack_leaves_none(tmp_path: Path) -> None:
    begun, sent, removed = threading.Event(), threading.Event(), threading.Event()

    def create(*of: object, **options: object) -> object:
        begun.set()
        sent.wait()
        return SimpleNamespace(remove=lambda **options: removed.set())

    client = SimpleNamespace(containers=SimpleNamespace(create=create))
    assert interrupted_in(begun, lambda: unpack_from_engine(client, SimpleNamespace(id="x"), tmp_path, {}), sent)
    assert removed.is_set()


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_close_that_failed_can_be_repeated(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine was away: once it is back, the container goes."""
    before = left("docker")["containers"]
    sandbox = new_sandbox(kind, repository(tmp_path))
    assert isinstance(sandbox, DockerSandbox)

    def away(**options: object) -> None:
        raise requests.ConnectionError("away")

    with monkeypatch.context() as patched, pytest.raises(SandboxError, match="away"):
        patched.setattr(sandbox._container, "remove", away)
        sandbox.close()
    assert left("docker")["containers"] == before + 1
    sandbox.close()
    assert left("docker")["containers"] == before


def pooled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool_size: int) -> tuple[SweEnv, list[FakeSandbox]]:
    """An environment over scripted sandboxes, and those that it has made."""
    task = Task("tiny-1", "me/tiny", "0" * 40, "Fix it", source=f"dir:{write_tree(tmp_path / 'tree')}")
    (tmp_path / "own.yaml").write_text(f"pool_size: {pool_size}\n")
    made: list[FakeSandbox] = []
    monkeypatch.setattr(
        "swe_srl.envs.places.make_sandbox", lambda kind, spec: made.append(FakeSandbox({":": ""})) or made[-1]
    )
    return SweEnv([task], str(tmp_path / "own.yaml")), made


@pytest.mark.parametrize(("pool_size", "error"), [(0, KeyboardInterrupt), (0, SandboxError), (1, KeyboardInterrupt)])
def test_an_environments_close_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool_size: int, error: type[BaseException]
) -> None:
    env, made = pooled(tmp_path, monkeypatch, pool_size)
    env.reset()

    def fail(sandbox: FakeSandbox) -> None:
        raise error

    with monkeypatch.context() as patched, pytest.raises(error):
        patched.setattr(FakeSandbox, "close", fail)
        env.close()
    env.close()
    assert all(sandbox.closed for sandbox in made)


def test_a_pools_close_that_was_interrupted_can_be_repeated() -> None:
    """It waits for the place that is being made, which an interrupted `Thread.join` would not."""
    made: list[FakeSandbox] = []
    making, sent = threading.Event(), threading.Event()

    def make() -> Place:
        if made:
            making.set()
            sent.wait()
        made.append(FakeSandbox({":": ""}))
        return Place(made[-1], "")

    pool = WarmPool(1, 0)
    pool.take("key", make).sandbox.close()
    assert making.wait(60)
    assert interrupted_in(making, pool.close, sent)
    pool.close()
    assert [sandbox.closed for sandbox in made] == [True, True]


def test_one_user_cannot_leave_a_pool_for_another() -> None:
    """Two threads that close one environment at once would."""
    definition = EnvironmentDefinition(pool_size=1)
    mine, others = object(), object()
    pool = join_pool(definition, "local", mine)
    assert join_pool(definition, "local", others) is pool
    leave_pool(definition, "local", mine)
    leave_pool(definition, "local", mine)
    assert not pool._closed
    leave_pool(definition, "local", others)
    assert pool._closed


def interrupted_at(line: int, functions: Iterable[Callable[..., Any]], action: Callable[[], object]) -> bool:
    """Do something, with a KeyboardInterrupt at one of the lines of some functions. False: it has fewer lines.

    Not at a line that closes a descriptor: it is forgotten in the line before, in which nothing is called, and Python takes
    interrupts where something was.
    """
    codes = {function.__code__ for function in functions}  # type: ignore[attr-defined]
    lines = 0

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
        nonlocal lines
        if frame.f_code not in codes:
            return None
        if event == "line" and not linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip().startswith(
            "os.close("
        ):
            lines += 1
            if lines == line:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.parametrize("pool_size", [0, 1])
def test_no_sandbox_of_an_environment_is_lost_whichever_line_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool_size: int
) -> None:
    functions = [SweEnv.reset, SweEnv.close, SweEnv._let_go]
    functions += [getattr(PlaceMaker, name) for name in ("leave", "replace", "dispose", "close", "_let_go")]
    env, made = pooled(tmp_path, monkeypatch, pool_size)
    for action in (env.reset, env.close):
        for line in itertools.count(1):
            env.reset()
            interrupted = interrupted_at(line, functions, action)
            env.close()
            assert all(sandbox.closed for sandbox in made), (action, line)
            made.clear()
            if not interrupted:
                break
        assert line > 3


def test_no_waiting_sandbox_of_a_pool_is_lost_whichever_line_is_interrupted() -> None:
    made: list[FakeSandbox] = []

    def make() -> Place:
        made.append(FakeSandbox({":": ""}))
        return Place(made[-1], "")

    functions = [function for function in vars(WarmPool).values() if inspect.isfunction(function)]
    for line in itertools.count(1):
        pool = WarmPool(1, 0)
        pool.take("key", make).sandbox.close()
        assert pool.wait(60) == 1
        taken: list[Place] = []
        interrupted = interrupted_at(line, functions, lambda of=pool, to=taken: to.append(of.take("key", make)))  # type: ignore[misc]
        for place in taken:
            place.sandbox.close()
        pool.close()
        assert all(sandbox.closed for sandbox in made), line
        if not interrupted:
            break
    assert line > 10


def descriptors() -> dict[int, str]:
    """Those of this process and what they are of: other tests' processes may come and go."""
    found = {}
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the descriptor of this very listing
            found[int(path.name)] = str(path.readlink())
    return found


def lost_pipes(transport: LocalTransport) -> dict[int, str]:
    """Open ends of its commands' pipes that it does not know of."""
    sinks = filter(None, (transport._sink, transport._free_sink, *transport._old_sinks))
    known = {descriptor for sink in sinks for descriptor in (sink.reading, sink.hold)}
    return {one: of for one, of in descriptors().items() if f"{transport.folder}/io/" in of and one not in known}


def polls() -> int:
    return sum("[eventpoll]" in of or of == os.devnull for of in descriptors().values())


def test_no_descriptor_is_lost_whichever_line_is_interrupted(tmp_path: Path) -> None:
    """Of a command's pipes, while it waits for its end or for its time, and of what is opened to see that there are enough."""
    names = ("open_sink", "close_sink", "stop")
    functions = [check_descriptors, Sink.close, *(getattr(LocalTransport, name) for name in names)]
    with opened("local", repository(tmp_path)) as sandbox:
        transport = sandbox._session.transport
        assert isinstance(transport, LocalTransport)
        sandbox.run("sleep 1000 &")
        sandbox.restart()
        before = polls()
        for action in (lambda: sandbox.run("sleep 1000 & true"), check_descriptors):
            for line in itertools.count(1):
                interrupted = interrupted_at(line, functions, action)
                assert sandbox.run("echo well").output.endswith("well\n"), line
                sandbox.restart()
                assert not lost_pipes(transport), line
                if not interrupted:
                    break
            assert line > 3
        gc.collect()
        wait_until(lambda: polls() <= before)


class ContainerThatDoesNotStart:
    """An engine's client, and the one container that it makes."""

    def __init__(self) -> None:
        self.containers, self.removed, self.started = self, False, False
        self.api = SimpleNamespace()

    def create(self, image: str, **options: object) -> Self:
        return self

    def start(self) -> None:
        self.started = True
        raise KeyboardInterrupt

    def remove(self, **options: object) -> None:
        self.removed = True

    def close(self) -> None: ...


def test_no_copy_of_a_snapshot_is_lost_whichever_line_is_interrupted(tmp_path: Path) -> None:
    functions = [LocalSandbox.snapshot, LocalSnapshot.__init__, copies.copy_layer, copies._begin, make_folder]
    with opened("local", repository(tmp_path)) as sandbox:
        sandbox.snapshot().discard()
        before = lasting("local")
        taken: list[Snapshot] = []
        for line in itertools.count(1):
            interrupted = interrupted_at(line, functions, lambda: taken.append(sandbox.snapshot()))
            _free(taken, [])
            if not interrupted:
                break
        assert line > 10
        after = lasting("local")
        assert after.processes <= before.processes and after.folders <= before.folders


def test_no_container_is_lost_whichever_line_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its making and its start."""
    functions = (ContainerTransport.__init__, ulimit_arguments, supervisor_variables, SessionSandbox.__init__)
    for line in itertools.count(1):
        engine = ContainerThatDoesNotStart()
        monkeypatch.setattr("swe_srl.sandboxes.docker_sandbox.engine", lambda made=engine: made)
        assert interrupted_at(line, functions, lambda: DockerSandbox(SandboxSpec()))
        assert engine.removed, line
        if engine.started:
            break
    assert line > 10


def test_connections_close_whichever_line_is_interrupted() -> None:
    """What the engine's client gives is a file over a socket, and forgets the socket as it closes."""
    functions = (ContainerTransport.kill, ContainerTransport.close)
    for at in itertools.count(1):
        ours, theirs = socket.socketpair()
        transport = ContainerTransport(None, SandboxSpec(), "root", {})
        transport._sockets = [socket.SocketIO(ours, "rwb")]
        interrupted = interrupted_at(at, functions, lambda close=transport: (close.kill(), close.close()))  # type: ignore[misc]
        transport.kill()
        transport.close()
        transport.after_fork()
        assert ours.fileno() == -1, at
        assert theirs.recv(1) == b"", at
        theirs.close()
        if not interrupted:
            break
    assert at > 10
