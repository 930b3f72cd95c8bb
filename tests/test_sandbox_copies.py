"""A copy of a sandbox's files (a snapshot) that change meanwhile; one that does not get on holds nobody up."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from swe_srl.errors import SandboxError
from swe_srl.sandboxes import copies, sweep
from swe_srl.sandboxes.base import SessionSandbox
from swe_srl.sandboxes.launch import helper
from swe_srl.types import Limits
from tests.sandbox_support import assert_well, folders_of, is_running, opened, output, repository, wait_until

pytestmark = pytest.mark.sandbox
ROOT = str(Path(__file__).resolve().parent.parent)
MANY = "cd /tmp && mkdir many && touch many/{1..8000}"  # a copy of them takes long enough to be stopped
OWNER = """
import sys, threading
from swe_srl.sandboxes import make_sandbox
from swe_srl.types import SandboxSpec
from tests.test_sandbox_copies import MANY, held_up
sandbox = make_sandbox("local", SandboxSpec(repository=sys.argv[1]))
sandbox.run(MANY)
with held_up(sandbox, []) as copying:
    print(copying, flush=True)
    threading.Event().wait()
"""


def copying(parent: int) -> list[int]:
    """The processes by which a helper copies."""
    found = []
    for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        with contextlib.suppress(OSError):
            if "/snapshot-" in str(Path(f"/proc/{pid}/cwd").readlink()):
                found.append(int(pid))
    return found


@contextlib.contextmanager
def held_up(sandbox: SessionSandbox, said: list[str]) -> Iterator[int]:
    """A copy that has been stopped in the midst of a snapshot, and what the snapshot then says."""
    stopped: list[int] = []

    def snapshot() -> None:
        try:
            sandbox.snapshot().discard()
        except SandboxError as error:
            said.append(str(error))

    while not stopped:
        thread = threading.Thread(target=snapshot, daemon=True)
        thread.start()
        while thread.is_alive() and not stopped:
            for pid in copying(helper()._process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
                    stopped.append(pid)
    try:
        yield stopped[0]
    finally:
        thread.join()


def test_a_copy_that_is_held_up_ends_and_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a named pipe that takes a file's place when it is opened: that waits for a writer."""
    said: list[str] = []
    monkeypatch.setattr(copies, "COPY_SECONDS", 3)
    with opened("local", repository(tmp_path)) as sandbox:
        output(sandbox, MANY)
        before = folders_of(os.getpid())
        with held_up(sandbox, said) as pid:
            with opened("local", repository(tmp_path)) as other:
                assert_well(other)
            assert_well(sandbox)
        assert "could not be copied within 3 seconds" in said[-1]
        assert not Path(f"/proc/{pid}").exists()
        assert folders_of(os.getpid()) == before
        monkeypatch.undo()
        snapshot = sandbox.snapshot()
        snapshot.discard()
        assert_well(sandbox)


def test_a_copy_that_is_held_up_ends_with_its_owner(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([ROOT, *sys.path])}
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(repository(tmp_path))], stdout=subprocess.PIPE, env=env, text=True
    )
    try:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
    finally:
        owner.kill()
        owner.communicate()
    wait_until(lambda: not is_running(pid))
    sweep()
    assert not folders_of(owner.pid)


SWAPPING = """
import os, sys
from swe_srl.sandboxes import live_copy
copied = live_copy._copy_file
here = os.open(sys.argv[1] + "/tmp", os.O_RDONLY)
def copy_and_swap(name, left):
    state = copied(name, left)
    if "earlier" not in os.listdir(here):
        os.rename("folder", "earlier", src_dir_fd=here, dst_dir_fd=here)
        os.symlink(LINK, "folder", dir_fd=here)
    return state
live_copy._copy_file = copy_and_swap
live_copy.copy_live(sys.argv[1], ["tmp"], sys.argv[2])
"""


@pytest.mark.parametrize("link", ["{host}", "../../host", "/root.lower", "../root.lower"])
def test_a_folder_that_becomes_a_link_in_the_midst_of_a_copy_leads_to_nothing_of_the_host_or_the_image(
    tmp_path: Path, link: str
) -> None:
    for folder in ("layer/tmp/folder", "layer/root.lower", "host"):
        (tmp_path / folder).mkdir(parents=True)
        for name in "ab":
            (tmp_path / folder / name).write_text(folder)
    (tmp_path / "target").mkdir()
    script = SWAPPING.replace("LINK", repr(link.format(host=tmp_path / "host")))
    places = [str(tmp_path / name) for name in ("layer", "target")]
    command = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", script, *places]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join([ROOT, *sys.path])})
    found = [path.read_text() for path in (tmp_path / "target").rglob("*") if path.is_file()]
    assert found == ["layer/tmp/folder"]


FILLING = """
import os, subprocess, sys
from swe_srl.sandboxes import live_copy
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", sys.argv[1]], check=True)
os.mkdir(sys.argv[1] + "/tmp")
os.chdir(sys.argv[1] + "/tmp")
for number in range(20):
    open(f"file{number}", "w").close()
here = os.open(".", os.O_RDONLY)
copied = live_copy._copy_file
def fill_and_copy(name, *left):
    file = os.open(name, os.O_WRONLY, dir_fd=here)
    os.write(file, bytes(1 << 19))
    try:
        return copied(name, *left)
    finally:
        os.ftruncate(file, 0)
live_copy._copy_file = fill_and_copy
live_copy.copy_live(sys.argv[1], ["tmp"], sys.argv[2])
"""


def test_a_layer_without_a_limit_is_copied(tmp_path: Path) -> None:
    with opened("local", repository(tmp_path), Limits(disk_mb=0, memory_mb=0)) as sandbox:
        output(sandbox, "echo here >/tmp/file")
        snapshot = sandbox.snapshot()
        assert (snapshot.folder / "tmp/file").read_text() == "here\n"
        snapshot.discard()


def test_files_that_are_full_when_they_are_copied_fill_no_disk_of_the_host(tmp_path: Path) -> None:
    places = [tmp_path / "layer", tmp_path / "target"]
    for place in places:
        place.mkdir()
    command = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", FILLING, *map(str, places)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([ROOT, *sys.path])}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert "writes more meanwhile than it can hold" in done.stderr, done.stderr
    assert sum(path.stat().st_size for path in places[1].rglob("*") if path.is_file()) <= 3 << 20


def test_files_that_come_and_go_stop_no_snapshot(tmp_path: Path) -> None:
    with opened("local", repository(tmp_path)) as sandbox:
        output(
            sandbox,
            "cd /tmp && echo here >stays && { while :; do touch f; rm f; mkfifo f; rm f; mkdir f; rmdir f; done & }",
        )
        for _ in range(20):
            snapshot = sandbox.snapshot()
            assert (snapshot.folder / "tmp/stays").read_text() == "here\n"
            snapshot.discard()
        assert_well(sandbox)
