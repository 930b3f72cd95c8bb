"""What processes that are gone have left is swept; what living ones own is not.

Other test processes sweep, too, whenever they start: what is left here belongs to a process that lives until all of it is made.
"""

from __future__ import annotations

import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest
from docker.errors import APIError

from swe_srl.sandboxes import sweep
from swe_srl.sandboxes.cgroups import hierarchies
from swe_srl.sandboxes.docker_sandbox import sweep_containers
from swe_srl.sandboxes.docker_snapshot import DockerSnapshot
from swe_srl.sandboxes.launch import is_gone, new_folder, owner_name, runtime_folder, start_time, sweep_folders
from tests.sandbox_support import KINDS, make_deep, opened, repository

pytestmark = pytest.mark.timeout(120)
DEAD = "-".join(["4000000", "123", *owner_name().split("-")[2:]])
ELSEWHERE = DEAD.replace(owner_name().split("-")[2], "1")  # in another PID namespace of this machine


@contextmanager
def owner() -> Iterator[tuple[str, Callable[[], None]]]:
    """The owner name of a process, and what ends it."""
    process = subprocess.Popen(["sleep", "600"])

    def end() -> None:
        process.kill()
        process.wait()

    try:
        yield "-".join([str(process.pid), start_time(process.pid), *owner_name().split("-")[2:]]), end
    finally:
        end()


def wait_for(condition: Callable[[], bool]) -> None:
    """Another process may have begun to sweep the same thing: wait for its end."""
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    assert condition()


def test_sweep_leaves_the_living_alone() -> None:
    mine = new_folder("sandbox")
    name = secrets.token_hex(4)  # what a broken-off run of this test has left does not count
    dead = runtime_folder() / f"sandbox-{DEAD}-{name}"
    elsewhere = [runtime_folder() / f"sandbox-{owner}-{name}" for owner in (ELSEWHERE, "4000000-123")]
    for folder in (dead, *elsewhere):
        folder.mkdir()
    sweep()
    assert mine.is_dir() and not dead.exists() and all(folder.is_dir() for folder in elsewhere)
    for folder in (mine, *elsewhere):
        folder.rmdir()


def test_whose_end_can_be_told() -> None:
    pid, started, namespace, boot, machine = owner_name().split("-")
    assert not is_gone(owner_name())
    assert is_gone(DEAD) and is_gone(f"{pid}-1{started}-{namespace}-{boot}-{machine}")
    assert is_gone(f"{pid}-{started}-{namespace}-00000000-{machine}")
    assert not any(map(is_gone, (ELSEWHERE, f"{pid}-1-{namespace}-00000000-other", "", "0-", f"{pid}-1{started}")))
    with owner() as (name, end):
        assert not is_gone(name)
        end()
        assert is_gone(name)


def test_a_process_of_which_nothing_is_told_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user's, where `/proc` is mounted with `hidepid`: its sandboxes are not swept."""
    alive = owner_name()
    monkeypatch.setattr("swe_srl.sandboxes.launch.start_time", lambda pid: "")
    assert not is_gone(alive)
    assert is_gone(DEAD)


def test_processes_of_a_gone_owner_are_ended() -> None:
    if not hierarchies():
        pytest.skip("control groups cannot be made here")
    parents, number = sorted(set(hierarchies().values())), secrets.token_hex(4)  # others may run this test, too
    with owner() as (name, end):
        left = [parent / f"sandbox-{name}-{number}" for parent in parents]
        kept = [parent / f"sandbox-{ELSEWHERE}-{number}" for parent in parents]
        sleepers = {group: subprocess.Popen(["sleep", "600"]) for group in (*left, *kept)}
        try:
            for group, sleeper in sleepers.items():
                group.mkdir()
                (group / "cgroup.procs").write_text(str(sleeper.pid))
            sweep()
            assert all(sleeper.poll() is None and group.is_dir() for group, sleeper in sleepers.items())
            end()
            sweep()
            assert [sleepers[group].wait(60) for group in left] == [-signal.SIGKILL] * len(left)
            assert all(sleepers[group].poll() is None and group.is_dir() for group in kept)
            sweep()  # a dead child that its parent has not asked after may hold its group
            wait_for(lambda: not any(group.exists() for group in left))
        finally:
            for group, sleeper in sleepers.items():
                sleeper.kill()
                sleeper.wait()
                if group.exists():
                    group.rmdir()


def test_sweeps_at_once_do_not_meet() -> None:
    with owner() as (name, end):
        for number in range(40):
            deep = runtime_folder() / f"sandbox-{name}-{number}" / "deep"
            deep.mkdir(parents=True)
            deep.chmod(0)
        end()
        with ThreadPoolExecutor(4) as pool:
            counts = [pool.submit(sweep_folders) for _ in range(4)]
        for count in counts:
            count.result()  # how many is not said: other processes' starts sweep, too
        assert not list(runtime_folder().glob(f"sandbox-{name}-*"))
    assert not list(runtime_folder().glob(f"swept-{owner_name()}-*"))


@pytest.mark.sandbox
def test_a_deep_tree_of_an_owner_that_is_gone_is_swept() -> None:
    with owner() as (name, end):
        left = runtime_folder() / f"sandbox-{name}-deep"
        left.mkdir()
        make_deep(left)
        sweep_folders()
        assert left.exists()
        end()
        sweep_folders()
        assert not left.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_snapshots_of_the_gone_are_swept(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with owner() as (name, end):
        if kind == "local":
            left = runtime_folder() / f"snapshot-{name}-abc"
            left.mkdir()
            end()
            sweep()
            assert not left.exists()
            return
        monkeypatch.setattr("swe_srl.sandboxes.docker_sandbox.owner_name", lambda: name)
        with opened(kind, repository(tmp_path)) as sandbox:
            snapshot = sandbox.snapshot()
            assert isinstance(snapshot, DockerSnapshot)
            found = [["container", "inspect", sandbox._container.id], ["image", "inspect", snapshot.image]]

            def there() -> list[bool]:
                return [subprocess.run([kind, *command], capture_output=True).returncode == 0 for command in found]

            sweep_containers()
            assert there() == [True, True]
            end()
            sweep_containers()
            wait_for(lambda: there() == [False, False])


@pytest.mark.parametrize("statuses", [[404], [409], [500, 404]])
def test_a_snapshot_that_another_process_sweeps_keeps_no_other_from_being_swept(
    statuses: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """409: a container of it is being removed still. 500: it is being removed itself ("unrecognized image ID")."""
    removed: list[str] = []

    def remove(image: str, force: bool) -> None:
        if image == "first":
            raise APIError("going", response=Mock(status_code=statuses.pop(0)))
        removed.append(image)

    client = Mock()
    client.containers.list.return_value = []
    labels = {"swe-srl": "sandbox", "swe-srl.owner": DEAD}
    client.api.images.return_value = [{"Id": name, "Labels": labels} for name in ("first", "second")]
    client.api.remove_image = remove
    monkeypatch.setattr("swe_srl.sandboxes.docker_sandbox.engine", lambda seconds: client)
    assert sweep_containers() == 1 and removed == ["second"] and client.close.called and not statuses
