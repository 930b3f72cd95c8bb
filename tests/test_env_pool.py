"""Pools of warm sandboxes: what they hold, what a reset gets, and that nothing is left of them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from swe_srl.envs import SweEnv, make_vec
from swe_srl.envs import pool as pool_module
from swe_srl.envs.image_places import Place
from swe_srl.envs.places import PlaceMaker
from swe_srl.envs.pool import PlaceKey, WarmPool, let_go_of_image, pools_kept
from swe_srl.errors import SandboxError
from swe_srl.sandboxes import sweep
from swe_srl.sandboxes.base import SessionSandbox
from swe_srl.testing import FakeSandbox
from swe_srl.types import Task
from tests.sandbox_support import KINDS, wait_until, write_tree

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


class Maker:
    """Makes fake places and keeps them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.made: list[FakeSandbox] = []

    def __call__(self) -> Place:
        self.made.append(FakeSandbox({":": ""}))
        return Place(self.made[-1], self.name)

    @property
    def open(self) -> int:
        return sum(not sandbox.closed for sandbox in self.made)


@contextmanager
def opened(size: int, rate: float = 0.0) -> Iterator[WarmPool]:
    pool = WarmPool(size, rate)
    try:
        yield pool
    finally:
        pool.close()


def definition(folder: Path, size: int) -> str:
    path = folder / "pooled.yaml"
    path.write_text(f"pool_size: {size}\npool_rate: 0\n")
    return str(path)


def task(folder: Path, name: str = "tiny-1") -> Task:
    return Task(name, "me/tiny", "0" * 40, f"Fix {name}", source=f"dir:{write_tree(folder / 'tree')}")


def test_it_holds_what_was_taken_last() -> None:
    one, two = Maker("one"), Maker("two")
    with opened(4) as pool:
        taken = [pool.take("one", one)]
        assert pool.wait(60) == 4 and one.open == 5
        taken += [pool.take("two", two) for _ in range(2)]
        assert pool.wait(60) == 4
        assert (one.open, two.open) == (1 + 2, 2 + 2), "one, two, two: of four, two and two"
        taken += [pool.take("two", two) for _ in range(4)]
        assert pool.wait(60) == 4
        assert (one.open, two.open) == (1, 6 + 4), "nobody asks for the first any more"
    assert (one.open, two.open) == (1, 6)
    assert {place.base_commit for place in taken} == {"one", "two"}
    assert len({id(place.sandbox) for place in taken}) == len(taken), "no place is handed out twice"


def test_it_lets_go_of_what_is_unwanted() -> None:
    one, two = Maker("one"), Maker("two")
    with opened(4) as pool:
        for key, make in (("one", one), ("two", two)):
            pool.take(key, make)
        assert pool.wait(60) == 4 and one.open == two.open == 3
        pool.let_go(lambda key: key == "one")
        assert one.open == 1, "only what was taken is left, at once"
        assert pool.wait(60) == 4 and (one.open, two.open) == (1, 5), "the room is the other's"
        pool.take("one", one)
        assert pool.wait(60) == 4 and one.open > 2, "it is wanted again"


def test_letting_go_waits_for_the_place_that_is_being_made() -> None:
    made, go_on, began = Maker("slow"), threading.Event(), threading.Event()

    def slow() -> Place:
        if made.made:
            began.set()
            go_on.wait(60)
        return made()

    with opened(1) as pool:
        pool.take("slow", slow)
        assert began.wait(60)
        threading.Timer(0.2, go_on.set).start()
        pool.let_go(lambda key: key == "slow")
        assert (len(made.made), made.open) == (2, 1)


def test_a_pool_in_containers_makes_way_for_its_image(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Maker("a")
    with opened(2) as pool:
        monkeypatch.setattr(pool_module, "_shared", {("definition", "docker"): pool_module._Shared(pool)})
        pool.take(PlaceKey("org/a:1", "", ""), made)
        assert pool.wait(60) == 2
        let_go_of_image("org/b:1")
        assert made.open == 3
        let_go_of_image("org/a:1")
        assert made.open == 1


def test_the_rate_bounds_the_refill(monkeypatch: pytest.MonkeyPatch) -> None:
    make = Maker("slow")
    with opened(3, rate=0.001) as pool:
        pool.take("slow", make)
        wait_until(lambda: pool.wait(0) == 1)
        assert pool.wait(0.3) == 1, "the next one is due in a thousand seconds"
    assert make.open == 1


def test_lost_and_old_places_are_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    make = Maker("one")
    with opened(2) as pool:
        pool.take("one", make)
        assert pool.wait(60) == 2
        make.made[1].close()  # ended from outside
        assert pool.take("one", make).sandbox is make.made[2]
        pool.wait(60)
        monkeypatch.setattr(pool_module, "AGE_SECONDS", -1.0)
        waiting = list(make.made)
        fresh = pool.take("one", make).sandbox
        assert all(fresh is not sandbox for sandbox in waiting)


@pytest.mark.parametrize("kind", [SandboxError, RuntimeError])
def test_a_failure_ahead_is_told_by_the_next_reset(kind: type[Exception], caplog: pytest.LogCaptureFixture) -> None:
    make, other = Maker("one"), Maker("two")

    def fail() -> Place:
        if make.made:
            raise kind("no more of them")
        return make()

    with opened(2) as pool:
        pool.take("one", fail)
        assert pool.wait(60) == 0
        assert "no more of them" in caplog.text
        with pytest.raises(kind, match="no more of them"):
            pool.take("one", fail)
        pool.take("two", other)
        assert pool.wait(60) >= 1, "the pool goes on"


def test_environments_share_a_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[FakeSandbox] = []
    lock = threading.Lock()

    def make(kind: str, spec: object) -> FakeSandbox:
        with lock:
            made.append(FakeSandbox({":": "", "ls": "x"}))
            return made[-1]

    monkeypatch.setattr("swe_srl.envs.places.make_sandbox", make)
    arguments = {"tasks": [task(tmp_path)], "definition": definition(tmp_path, 2)}
    vec = make_vec(3, **arguments)
    vec.reset(seed=1)
    alone = SweEnv(**arguments)
    alone.reset()
    assert alone.fill_pool(60) == 2
    assert sum(not sandbox.closed for sandbox in made) == 3 + 1 + 2
    vec.close()
    assert alone.fill_pool(60) == 2, "somebody still uses it"
    with pools_kept():
        alone.close()
        assert sum(not sandbox.closed for sandbox in made) == 2
        again = SweEnv(**arguments)
        count = len(made)
        again.reset()
        assert again._place is not None and len(made) <= count + 1  # the pool may make one for the one that was taken
        taken = [sandbox for sandbox in made[:count] if sandbox is again._place.sandbox]
        assert len(taken) == 1 and not taken[0].closed
        again.close()
    assert all(sandbox.closed for sandbox in made)


def test_a_task_gets_no_sandbox_that_withholds_another_ones_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def place(maker: PlaceMaker, of: Task) -> Place:
        return Place(FakeSandbox({":": ""}), of.instance_id)

    monkeypatch.setattr(PlaceMaker, "_from_image", place)
    both = [
        Task(name, "swesmith/tiny", "", "", image="tiny:1", setup_patch="the bug", fail_to_pass=(f"{name}.py::test",))
        for name in ("one", "two")
    ]
    env = SweEnv(both, definition(tmp_path, 2))
    for name in ("one", "two"):
        env.reset(options={"task": name})
        assert env._place is not None and env._place.base_commit == name
        assert env.fill_pool(60) == 2
    env.close()


@pytest.mark.parametrize("kind", KINDS[:2])
def test_a_reset_takes_a_fresh_waiting_sandbox(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _left(os.getpid(), kind)  # other tests may have left sandboxes open
    env = SweEnv([task(tmp_path)], definition(tmp_path, 2), kind)
    env.reset()
    env.step("echo dirty > README.md; cd /; x=1; sleep 600 &")
    assert env.fill_pool(60) == 2

    started: list[str] = []
    start = SessionSandbox.__init__

    def record(*arguments: Any) -> None:
        started.append(threading.current_thread().name)
        start(*arguments)

    monkeypatch.setattr(SessionSandbox, "__init__", record)
    env.reset()
    assert threading.current_thread().name not in started, "the reset started none itself"
    shown, *_ = env.step("cat README.md; pwd; echo x=$x; git status --short")
    assert shown == "hello\n/testbed\nx=\n"
    env.step("echo mine > mine.txt")
    assert "+mine" in env.patch()
    env.close()
    assert set(_left(os.getpid(), kind)) <= set(before)


@pytest.mark.parametrize("kind", KINDS[:2])
def test_nothing_is_left_of_a_killed_owners_pool(kind: str, tmp_path: Path) -> None:
    code = (
        "import sys, time; from swe_srl.envs import SweEnv; from swe_srl.types import Task\n"
        "env = SweEnv([Task('t', 'r', '0' * 40, 'p', source=sys.argv[1])], sys.argv[2], sys.argv[3])\n"
        "env.reset(); print(env.fill_pool(60), flush=True); time.sleep(600)"
    )
    root = str(Path(__file__).resolve().parent.parent)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path])}
    arguments = [task(tmp_path).source, definition(tmp_path, 2), kind]
    owner = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, env=env)
    try:
        assert owner.stdout is not None and owner.stdout.readline() == b"2\n"
        assert len(_left(owner.pid, kind)) == 3
    finally:
        owner.kill()
        owner.communicate()
    wait_until(lambda: kind == "local" or not _left(owner.pid, kind, "--filter=status=running"))

    def swept() -> bool:
        """What another process sweeps meanwhile is listed still; an engine that is slow to answer is not swept."""
        sweep()
        return not _left(owner.pid, kind)

    wait_until(swept)


def _left(pid: int, kind: str, *options: str) -> list[str]:
    """Containers, or folders of local sandboxes, that a process has."""
    if kind == "local":
        from swe_srl.sandboxes.launch import runtime_folder

        return [str(path) for path in runtime_folder().glob(f"sandbox-{pid}-*")]
    listing = ["docker", "ps", "--all", "--quiet", f"--filter=name=swe-srl-{pid}-", *options]
    return subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
