"""What a sandbox is made of: isolation, limits, files, snapshots, and that nothing is left of it."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import platform
import re
import select
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from docker.models.containers import Container

from swe_srl import sandboxes
from swe_srl.errors import (
    ConfigError,
    FileTooLargeError,
    PathOutsideWorkspaceError,
    SandboxError,
    SandboxUnavailableError,
)
from swe_srl.sandboxes import capabilities, cgroups, files, local_limits, local_transport, make_sandbox, sweep
from swe_srl.sandboxes.base import SessionSandbox
from swe_srl.sandboxes.cgroups import hierarchies
from swe_srl.sandboxes.container_transport import engine
from swe_srl.sandboxes.docker_sandbox import DockerSandbox, owner_labels
from swe_srl.sandboxes.launch import helper, owner_name, runtime_folder
from swe_srl.sandboxes.local import LocalSandbox
from swe_srl.sandboxes.local_transport import LocalTransport
from swe_srl.sandboxes.session import ShellSession
from swe_srl.types import Limits, SandboxSpec
from tests.sandbox_support import (
    KINDS,
    NAP,
    assert_well,
    folders_of,
    is_root,
    libraries_of,
    napping,
    new_sandbox,
    once_heard,
    opened,
    output,
    processes,
    repository,
    sandbox_of,
    wait_until,
)

pytestmark = pytest.mark.timeout(120)
PROBE = "python3 -c 'import socket; socket.create_connection((\"1.1.1.1\", 53), 2)'"


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository(tmp_path_factory.mktemp("places"))


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def shared(kind: str, repo: Path) -> Iterator[SessionSandbox]:
    with new_sandbox(kind, repo) as sandbox:
        yield sandbox


def test_repository_is_at_the_workdir_and_writable(shared: SessionSandbox, repo: Path) -> None:
    assert output(shared, "pwd; cat README.md; git status --short; git log --oneline | wc -l") == "/testbed\nhello\n1\n"
    output(shared, "echo more >> README.md && rm -r src/gone && mkdir src/gone && touch src/gone/new && git add -A")
    assert (repo / "README.md").read_text() == "hello\n" and (repo / "src/gone/old.txt").exists()
    assert output(shared, "ls src/gone; git stash -q; git stash drop -q; cat README.md") == "new\nhello\n"


def programs_signals(mask: str) -> int:
    """A hexadecimal mask of /proc/PID/status without signals 32 and 33, which the C library keeps for itself: no program can
    set them with sigaction, so an ignored one (some starters of CI jobs ignore 32) stays so, and harms nothing."""
    return int(mask, 16) & ~(0b11 << 31)


def test_unprivileged(shared: SessionSandbox) -> None:
    status = dict(
        line.split(":\t", 1) for line in output(shared, "cat /proc/self/status").splitlines() if ":\t" in line
    )
    assert status["NoNewPrivs"] == "1" and status["Uid"].split()[0] != "0"
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")} == {0}
    assert programs_signals(status["SigIgn"]) == 0
    for command in (
        "date -s 2001-01-01",
        "mount -t tmpfs none /mnt",
        "echo x > /proc/sys/kernel/core_pattern",
        "mknod d b 8 0",
    ):
        assert shared.run(command).exit_code != 0, command
    assert shared.run("python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)'").exit_code != 0


@pytest.mark.sandbox
def test_signals_that_the_caller_ignores_work_inside(repo: Path) -> None:
    """A shell that starts a program in the background makes it ignore SIGINT and SIGQUIT."""
    program = f"""if True:
        import signal
        from swe_srl.sandboxes import make_sandbox
        from swe_srl.types import SandboxSpec
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
        with make_sandbox("local", SandboxSpec(repository={str(repo)!r})) as sandbox:
            print(sandbox.run("grep -E '^Sig(Ign|Blk)' /proc/self/status; sh -c 'kill -QUIT $$; echo $((6*7))'").output)
    """
    command = ["sh", "-c", "trap '' INT QUIT USR1 PIPE; exec \"$@\"", "sh", sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert [programs_signals(line.split(":\t")[1]) for line in result.stdout.splitlines()[:2]] == [0, 0], result.stdout
    assert "42" not in result.stdout


def test_no_network(shared: SessionSandbox) -> None:
    assert shared.run(PROBE).exit_code != 0
    assert "inet_dns_none" in output(shared, "getent hosts example.org || echo inet_dns_none")
    assert output(shared, "cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' '").split() == ["lo"]


def test_nothing_of_the_host(kind: str, repo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SWE_SRL_SECRET", "hunter2")
    (tmp_path / "private").write_text("hunter2")
    with opened(kind, repo) as sandbox:
        assert "hunter2" not in output(sandbox, "env; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'")
        assert sandbox.run(f"cat {tmp_path}/private").exit_code != 0
        for path in (Path.home() / ".ssh", Path.home() / ".cache", "/var/run/docker.sock", "/run/docker.sock"):
            assert sandbox.run(f"ls -d {path}").exit_code != 0, path
        pids = output(sandbox, "ls /proc | grep -c '^[0-9]'")
        assert int(pids) < 15


KEYS = """
import ctypes
import platform
import re

ADD, REQUEST, CONTROL = {"x86_64": (248, 249, 250), "aarch64": (217, 218, 219)}[platform.machine()]
JOIN, READ, SESSION = 1, 11, -3
call = ctypes.CDLL(None).syscall

def leave(name, value):
    return call(ADD, b"user", name, value, len(value), SESSION)

def found(name):
    key, value = call(REQUEST, b"user", name, None, 0), ctypes.create_string_buffer(100)
    return value.value.decode() if key > 0 and call(CONTROL, READ, key, value, 100) > 0 else "nothing"
"""
OWNER_OF_KEYS = """
import sys
import tarfile
from tests.sandbox_support import new_sandbox

if call(CONTROL, JOIN, None) < 0 or leave(b"owners", b"hunter2") < 0 or found(b"owners") != "hunter2":
    sys.exit("no kernel keys here")
look = "\\nprint(found(b'owners'), found(b'note'), leave(b'note', b'a note'))"
for _ in range(2):
    with new_sandbox(sys.argv[1], sys.argv[2]) as sandbox:
        sandbox.write_file("/tmp/look.py", (sys.argv[3] + look).encode())
        print(sandbox.run("python3 /tmp/look.py").output.rpartition(" ")[0])
"""


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64"), reason="the numbers of the system calls are not known"
)
def test_the_owners_keys(kind: str, repo: Path) -> None:
    """No namespace keeps the keyring of a session apart: what the owner has in it, and what an earlier episode leaves."""
    root = str(Path(__file__).resolve().parent.parent)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path])}
    command = [sys.executable, "-c", KEYS + OWNER_OF_KEYS, kind, str(repo), KEYS]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if "no kernel keys here" in done.stderr:
        pytest.skip("no kernel keys here")
    assert done.stdout == "nothing nothing\n" * 2, done.stderr


@pytest.mark.sandbox
def test_host_files_are_read_only(repo: Path) -> None:
    with opened("local", repo) as sandbox:
        for path in ("/usr/x", "/etc/x", "/x", "/dev/x", "/run/x", "/usr/bin/bash", "/etc/passwd"):
            assert sandbox.run(f"echo x > {path}").exit_code != 0, path
        assert output(sandbox, "ls /").split() == sorted(output(sandbox, "ls /").split())
        assert not {"root", "work", "opt", "srv", "var", "boot", "sys"} & set(output(sandbox, "ls /").split())
        assert output(sandbox, "ls /home") == "agent\n"
        assert sandbox.run("unshare --user --map-root-user true").exit_code != 0
        assert output(sandbox, "python3 -c 'print(6 * 7)'; git --version | cut -d' ' -f1") == "42\ngit\n"


@pytest.mark.sandbox
@pytest.mark.skipif(not is_root(), reason="only root has more rights on the host than an ordinary user")
def test_roots_sandbox_is_nobody_on_the_host(repo: Path) -> None:
    with opened("local", repo) as sandbox:
        sandbox.run(f"sleep {NAP} & true")
        wait_until(lambda: napping() == 1)
        found = [pid for pid in Path("/proc").iterdir() if pid.name.isdigit() and NAP.encode() in _cmdline(pid)]
        owners = {(pid / "status").read_text().split("Uid:\t")[1].split()[0] for pid in found}
    assert found and all(int(owner) >= 1_000_000_000 for owner in owners)


def _cmdline(pid: Path) -> bytes:
    try:
        return (pid / "cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.sandbox
@pytest.mark.skipif(not is_root(), reason="an ordinary user's files need no other owner")
def test_root_without_id_mapped_mounts(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that has none is copied; a machine that cannot map ids at all is refused."""
    request = LocalTransport._request
    monkeypatch.setattr(LocalTransport, "_request", lambda self: request(self) | {"idmap": False})
    with opened("local", repo) as sandbox:
        assert output(
            sandbox, "stat -c %U README.md src/gone; echo x >> README.md; rm -r src; git status --short | wc -l"
        ) == ("agent\nagent\n3\n")
    assert (repo / "src/gone/old.txt").stat().st_uid == 0
    monkeypatch.setattr(helper(), "shifted", False)
    with pytest.raises(SandboxUnavailableError, match="must run as another user"):
        new_sandbox("local", repo)


def test_files_go_in_and_out(shared: SessionSandbox) -> None:
    data = bytes(range(256)) * 4_200  # more than one chunk
    for path in ("deep/er/data.bin", "/tmp/data.bin", "odd 'name\" $(x)\n.bin"):
        shared.write_file(path, data)
        assert shared.read_file(path) == data
    shared.write_file("deep/er/data.bin", b"")
    assert shared.read_file("/testbed/deep/er/data.bin") == b""


def test_files_that_cannot_be_read(shared: SessionSandbox) -> None:
    shared.run(
        "mkdir -p folder; ln -sf /proc/self/environ link; ln -sf loop loop; mkfifo -m 600 pipe; touch shut; chmod 0 shut"
    )
    with pytest.raises(FileNotFoundError, match="no such file"):
        shared.read_file("missing")
    with pytest.raises(IsADirectoryError):
        shared.read_file("folder")
    with pytest.raises(IsADirectoryError):
        shared.read_file("pipe")
    with pytest.raises(PermissionError):
        shared.read_file("shut")
    for path in ("link", "/proc/1/environ", "/dev/zero", "../proc/version"):
        with pytest.raises(PathOutsideWorkspaceError):
            shared.read_file(path)
    with pytest.raises(PathOutsideWorkspaceError):
        shared.write_file("link", b"x")
    with pytest.raises(SandboxError):
        shared.write_file("/usr/bin/nothing", b"x")


# It ends by itself between two rounds: a `mkfifo` that outlives a killed loop would leave a pipe that holds up the next one.
SWAP = """mine=1
(while ! [[ -e ended ]]; do
  rm -f new; echo x >new; mv -f new swapped; mkfifo new; mv -f new swapped
done) >/dev/null 2>&1 &"""


FUNCTIONS = [f"BASH_FUNC_{name}%%=() {{ builtin exit 3; }}" for name in ("eval", "exec", "mapfile", "unset")]


@pytest.mark.parametrize("variable", ["FUNCNEST=1", "LD_PRELOAD=/nowhere.so", *FUNCTIONS])
def test_variables_spoil_neither_the_supervisor_nor_what_is_read(kind: str, repo: Path, variable: str) -> None:
    """Those of an image. With some no shell started, or ran no command; with another a file's content began with a complaint."""
    name, _, value = variable.partition("=")
    spec = SandboxSpec(repository=str(repo), env=((name, value),))
    with make_sandbox(sandbox_of(kind), spec) as sandbox:
        assert sandbox.run("echo works").output == "works\n"
        sandbox.write_file("/tmp/file", b"data")
        assert sandbox.read_file("/tmp/file") == b"data"


@pytest.mark.timeout(100)
def test_a_pipe_that_takes_a_files_place_does_not_hold_a_read(shared: SessionSandbox) -> None:
    shared.run(SWAP)
    begin, found = time.monotonic(), set()
    while (seconds := time.monotonic() - begin) < 8 or (b"x\n" not in found and seconds < 60):
        try:
            found.add(shared.read_file("/testbed/swapped"))
        except (IsADirectoryError, FileNotFoundError):
            continue
    assert b"x\n" in found and found <= {b"x\n", b""}
    done = shared.run("touch ended; wait; rm -f ended new swapped; echo $mine")
    assert done.output.endswith("1\n") and not done.rebuilt


@pytest.mark.timeout(100)
def test_a_pipe_that_takes_a_files_place_does_not_hold_a_write(shared: SessionSandbox) -> None:
    shared.run(SWAP)
    begin, ways = time.monotonic(), set()
    while (seconds := time.monotonic() - begin) < 8 or (not {"written", "IsADirectoryError"} <= ways and seconds < 60):
        try:
            shared.write_file("/testbed/swapped", b"y" * 100)
            ways.add("written")
        except (IsADirectoryError, SandboxError) as error:
            ways.add(type(error).__name__)
            assert "took more than" not in str(error)
    assert {"written", "IsADirectoryError"} <= ways
    done = shared.run("touch ended; wait; rm -f ended new swapped; echo $mine")
    assert done.output.endswith("1\n") and not done.rebuilt


def test_file_access_is_not_fooled_by_the_session(shared: SessionSandbox) -> None:
    shared.run("cat() { echo fooled; }; base64() { echo fooled; }; export PATH=/nowhere BASH_ENV=/tmp/evil; cd /tmp")
    shared.write_file("plain", b"truth")
    assert shared.read_file("/testbed/plain") == b"truth"
    shared.run("exit")
    shared.run("export PATH=/usr/local/bin:/usr/bin:/bin; unset BASH_ENV; cd /testbed")


def test_a_fork_outlives_its_snapshot_and_leaves_no_image_behind(shared: SessionSandbox) -> None:
    def images() -> list[Any]:
        with contextlib.closing(engine()) as client:
            return [image["Id"] for image in client.api.images(filters={"label": f"swe-srl.owner={owner_name()}"})]

    before = images() if isinstance(shared, DockerSandbox) else []
    snapshot = shared.snapshot()
    with shared.fork(snapshot) as first, shared.fork(snapshot) as second:
        snapshot.discard()
        with pytest.raises(SandboxError, match="snapshot that is not discarded"):
            shared.fork(snapshot)
        again = first.snapshot()
        with first.fork(again) as third:
            first.close()
            again.discard()
            assert output(third, "cat README.md") == output(second, "cat README.md") == "hello\n"
    assert (images() if isinstance(shared, DockerSandbox) else []) == before


def test_snapshot_and_fork(shared: SessionSandbox) -> None:
    shared.run(
        "mkdir -p /tmp/s; cd src; echo one > state; echo 1 > /tmp/s/f; rm -rf gone; mkdir gone; touch gone/fresh"
    )
    shared.run("export OUT='a b'; plain=(1 'two 2'); declare -A map=([k]=v); double() { echo \"$1$1\"; }; set -f")
    snapshot = shared.snapshot()
    shared.run("set +f; echo two > state; double() { echo other; }; cd /")
    with shared.fork(snapshot) as first, shared.fork(snapshot) as second:
        show = 'pwd; cat state /tmp/s/f; ls gone; echo $OUT "${plain[1]}" ${map[k]}; double x; echo *'
        assert output(first, show) == "/testbed/src\none\n1\nfresh\na b two 2 v\nxx\n*\n"
        first.run("echo three > state")
        assert output(second, "cat state; git status --short | wc -l").startswith("one\n")
        again = first.snapshot()
        with first.fork(again) as third:
            assert output(third, "cat state") == "three\n"
        again.discard()
    snapshot.discard()
    snapshot.discard()
    assert output(shared, "cat /testbed/src/state; double x") == "two\nother\n"
    with pytest.raises(SandboxError):
        shared.fork(snapshot)


def test_closed_sandbox_refuses(kind: str, repo: Path) -> None:
    sandbox = new_sandbox(kind, repo)
    sandbox.close()
    sandbox.close()
    for use in (lambda: sandbox.run("true"), lambda: sandbox.read_file("x"), sandbox.snapshot):
        with pytest.raises(SandboxError, match="closed"):
            use()


def test_thread_that_made_it_may_end(kind: str, repo: Path) -> None:
    made: list[SessionSandbox] = []
    thread = threading.Thread(target=lambda: made.append(new_sandbox(kind, repo)))
    thread.start()
    thread.join()
    time.sleep(0.2)
    with made[0] as sandbox:
        assert_well(sandbox)


@pytest.mark.sandbox
def test_nothing_is_left_of_local_sandboxes(repo: Path) -> None:
    """But for the /etc that they share, and the launcher's child that waits for the next one."""
    new_sandbox("local", repo).close()
    launcher = helper()._process.pid
    children = Path(f"/proc/{launcher}/task/{launcher}/children")
    many = _settled(lambda: len(children.read_text().split()))  # those of sandboxes that are open, too
    before = _folders(), _namespaces(launcher)
    for _ in range(5):
        sandbox = new_sandbox("local", repo)
        sandbox.run("(setsid sleep 600 &); sleep 600 & chmod 0 .; mkdir -m 0 locked")
        sandbox.snapshot().discard()
        sandbox.run("sleep 600", timeout=0.1)
        sandbox.close()
    wait_until(lambda: len(children.read_text().split()) == many)
    assert (_folders(), _namespaces(launcher)) == before
    assert str(runtime_folder()) not in Path("/proc/self/mountinfo").read_text()
    assert not [
        group
        for parent in set(hierarchies().values())
        for group in parent.glob(f"*-{owner_name()}-*")
        if group.name not in {folder.name for folder in before[0]}
    ]


def _settled(count: Callable[[], int]) -> int:
    """A number once it has been the same for half a second."""
    now, same = count(), 0
    while same < 10:
        time.sleep(0.05)
        before, now = now, count()
        same = same + 1 if now == before else 0
    return now


def _namespaces(pid: int) -> int:
    """How many namespaces a process holds open."""
    return sum(str(path.readlink()).startswith(("mnt:", "user:")) for path in Path(f"/proc/{pid}/fd").iterdir())


@pytest.mark.docker
def test_nothing_is_left_of_containers(repo: Path) -> None:
    sandbox = new_sandbox("docker", repo)
    assert isinstance(sandbox, DockerSandbox)
    client = sandbox._client
    label = f"swe-srl.owner={owner_labels()['swe-srl.owner']}"
    before = len(client.containers.list(all=True, filters={"label": label}))
    sandbox.run("(setsid sleep 600 &); sleep 600 &")
    begin, name = int(time.time()), sandbox._container.id
    # Asked for before, so that they come as they happen: the engine keeps the last 256 events alone, of all containers.
    events = client.events(since=begin, filters={"container": name, "event": ["kill", "destroy"]}, decode=True)
    sandbox.close()
    ends: list[dict[str, Any]] = []
    for event in events:
        ends.append(event)
        if event["Action"] == "destroy":
            break
    events.close()
    assert ends.pop()["Action"] == "destroy"
    # One that has ended already, which its supervisor tells it to when its connection is closed, is not killed.
    signals = {end["Actor"]["Attributes"]["signal"] for end in ends}
    assert signals <= {"9"}, "not asked to end, which takes ten seconds"
    assert len(client.containers.list(all=True, filters={"label": label})) == before - 1


OWNER = """
import sys, time
from swe_srl.sandboxes import make_sandbox
from swe_srl.types import SandboxSpec
sandbox = make_sandbox(sys.argv[1], SandboxSpec(repository=sys.argv[2]))
sandbox.run(f"(setsid sleep {sys.argv[3]} &) ; sleep {sys.argv[3]} &")
print("ready", flush=True)
time.sleep(600)
"""


def test_owner_killed(kind: str, repo: Path) -> None:
    """`kill -9` of the owner ends the sandbox's processes; `sweep` removes what is left."""
    root = str(Path(__file__).resolve().parent.parent)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path])}
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, sandbox_of(kind), str(repo), NAP], stdout=subprocess.PIPE, env=env
    )
    try:
        assert owner.stdout is not None and owner.stdout.readline() == b"ready\n"
        wait_until(lambda: napping() == 2)
    finally:
        owner.kill()
        owner.communicate()
    wait_until(lambda: napping() == 0)
    sweep()
    assert not folders_of(owner.pid)

    def swept() -> bool:
        """What another process sweeps meanwhile is listed still; an engine that is slow to answer is not swept."""
        sweep()
        return _containers_of(kind, owner.pid) == b""

    if kind != "local":
        wait_until(swept)


def test_large_files_are_not_read(shared: SessionSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    output(
        shared,
        "truncate -s 1T /tmp/sparse 2>/dev/null || truncate -s 900M /tmp/sparse; head -c 1000 /dev/zero >/tmp/fits",
    )
    size = output(shared, "stat -c %s /tmp/sparse").strip()
    with pytest.raises(
        FileTooLargeError, match=f"/tmp/sparse: it has {size} bytes, and at most {files.READ_BYTES} can be read"
    ):
        shared.read_file("/tmp/sparse")
    monkeypatch.setattr(files, "READ_BYTES", 1000)
    assert len(shared.read_file("/tmp/fits")) == 1000
    output(shared, "echo >>/tmp/fits")
    with pytest.raises(SandboxError, match="it has 1001 bytes, and at most 1000"):
        shared.read_file("/tmp/fits")
    with pytest.raises(SandboxError, match="printed more than 1000 bytes"):
        shared.run_clean("head -c 2000 /dev/zero")
    output(shared, "rm /tmp/sparse /tmp/fits")
    assert_well(shared)


@pytest.mark.sandbox
def test_what_background_jobs_hold_is_bounded(repo: Path) -> None:
    """The latest ones' output goes nowhere; what the oldest ones write fails."""
    job = "trap '' PIPE; while echo tick; do sleep 0.1; done; touch /tmp/ended."
    with opened("local", repo, Limits(processes=1000)) as sandbox:
        before = _descriptors()
        for number in range(local_transport.OLD_SINKS + 2):
            sandbox.run(f"{{ {job if number in (1, 9) else 'sleep 600; : '}{number}; }} &")
        assert _descriptors() <= before + local_transport.OLD_SINKS
        assert output(sandbox, "until [ -e /tmp/ended.1 ]; do sleep 0.1; done; sleep 0.5; ls /tmp") == "ended.1\n"
        assert_well(sandbox)


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.sandbox
def test_pipes_removed_from_outside(repo: Path) -> None:
    with opened("local", repo) as sandbox:
        assert isinstance(sandbox, LocalSandbox)
        shutil.rmtree(sandbox._transport.folder / "io")
        for _ in range(2):
            with pytest.raises(SandboxError, match="was removed from outside: make a new sandbox"):
                sandbox.run("true")


@pytest.mark.sandbox
def test_pipes_removed_while_a_command_runs(repo: Path) -> None:
    with opened("local", repo) as sandbox:
        assert isinstance(sandbox, LocalSandbox)
        remover = threading.Timer(0.3, shutil.rmtree, [sandbox._transport.folder / "io"])
        remover.start()
        with pytest.raises(SandboxError, match="was removed from outside: make a new sandbox"):
            sandbox.run("sleep 5 & sleep 5")


@pytest.mark.sandbox
def test_supervisor_killed_from_outside(repo: Path) -> None:
    with opened("local", repo) as sandbox:
        sandbox.run("cd src; export KEPT=1; echo data > file")
        assert isinstance(sandbox, LocalSandbox)
        signal.pidfd_send_signal(sandbox._transport._inside, signal.SIGKILL)
        select.select([sandbox._transport._inside], [], [], 60)
        result = sandbox.run("pwd; echo $KEPT; cat file")
        assert result.rebuilt and result.output.endswith("/testbed/src\n1\ndata\n")


@pytest.mark.docker
def test_container_killed_stopped_and_removed_from_outside(repo: Path) -> None:
    with opened("docker", repo) as sandbox:
        assert isinstance(sandbox, DockerSandbox)
        sandbox.run("cd src; export KEPT=1; echo data > file")
        with once_heard(sandbox._container.kill):
            lost = sandbox.run("echo before; sleep 600", timeout=60)
        assert lost.rebuilt and not lost.timed_out and lost.output.startswith("before\n[the shell was lost; ")
        assert output(sandbox, "pwd; echo $KEPT; cat file") == "/testbed/src\n1\ndata\n"
        sandbox._container.pause()
        paused = sandbox.run("echo paused", timeout=0.5)
        assert paused.timed_out and paused.rebuilt
        assert_well(sandbox)
        sandbox._container.remove(force=True)
        with pytest.raises(SandboxError):
            sandbox.run("true")


@pytest.mark.sandbox
@pytest.mark.skipif(not local_limits.disk_is_bounded(), reason="this kernel's overlays cannot have a tmpfs on top")
def test_disk_is_limited(repo: Path) -> None:
    with opened("local", repo, Limits(disk_mb=24)) as sandbox:
        for place in (".", "/tmp", "/dev/shm", "~"):
            result = sandbox.run(f"head -c 100000000 /dev/zero > {place}/big; rm -f {place}/big")
            assert "No space left" in result.output, place
        assert "No space left" in sandbox.run("mkdir many; for i in {1..5000}; do : > many/$i; done").output
        assert_well(sandbox)


@pytest.mark.sandbox
@pytest.mark.parametrize("groups", [True, False], ids=["control groups", "resource limits"])
def test_limits_hold_by_either_means(repo: Path, monkeypatch: pytest.MonkeyPatch, groups: bool) -> None:
    if not groups:
        monkeypatch.setattr("swe_srl.sandboxes.cgroups.hierarchies", lambda: {})
    with opened("local", repo, Limits(processes=40, memory_mb=200)) as sandbox:
        many = sandbox.run("for i in {1..60}; do sleep 600 & done; jobs | wc -l", timeout=3)
        assert many.timed_out or "fork" in many.output
        sandbox.run("sleep 600", timeout=0.2)
        assert processes(sandbox) == []
        assert sandbox.run("python3 -c 'bytearray(1 << 29)'").exit_code != 0
        assert_well(sandbox)


@pytest.mark.sandbox
@pytest.mark.skipif(is_root(), reason="root always has a tmpfs")
def test_upper_layer_on_disk(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On kernels whose tmpfs cannot carry an overlay's attributes."""
    monkeypatch.setattr("swe_srl.sandboxes.local_transport.disk_is_bounded", lambda: False)
    before = _folders()
    with opened("local", repo) as sandbox:
        assert output(sandbox, "rm -r src && mkdir src && touch src/new && ls src && cat README.md") == "new\nhello\n"
        sandbox.run("kill -9 -1")
        assert sandbox.run("ls src").output.endswith("new\n")
    assert _folders() == before


def test_unenforceable_limit_is_refused(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_limits, "hierarchies", lambda: {})
    monkeypatch.setattr(local_limits, "kernel", lambda: (5, 10))
    monkeypatch.setattr(local_limits.os, "geteuid", lambda: 1000)
    local_limits.check_enforceable(Limits())
    for limits in (Limits(processes=10), Limits(disk_mb=10)):
        with pytest.raises(SandboxUnavailableError, match="cannot be enforced on this machine"):
            local_limits.check_enforceable(limits)
    with pytest.raises(SandboxUnavailableError, match="disk_mb=10 cannot be enforced by Docker"):
        make_sandbox("docker", SandboxSpec(limits=Limits(disk_mb=10)))


def test_missing_bubblewrap_says_how_to_get_it(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(
        SandboxUnavailableError, match=r"bwrap is not on the PATH .*/nowhere.*apt-get install bubblewrap"
    ):
        make_sandbox("local", SandboxSpec(repository=str(repo)))
    found = {one.name: one for one in capabilities()}
    assert not found["bubblewrap"].available and "bubblewrap" in found["bubblewrap"].remedy
    assert not found["local sandbox"].available


def test_missing_docker_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(SandboxUnavailableError, match=r"apt-get install docker\.io"):
        make_sandbox("docker", SandboxSpec())
    assert not {one.name: one for one in capabilities()}["docker engine"].available


@pytest.mark.docker
def test_missing_image_is_named() -> None:
    with pytest.raises(SandboxUnavailableError, match="swe-srl-nowhere"):
        make_sandbox("docker", SandboxSpec(image="swe-srl-nowhere:1"))


@pytest.mark.parametrize(
    ("kind", "spec", "message"),
    [
        ("locl", SandboxSpec(), "did you mean 'local'"),
        ("local", SandboxSpec(layers=("/x",)), "there is no `root`"),
        ("local", SandboxSpec(repository="/nowhere/at/all"), "repository must be a folder"),
        ("local", SandboxSpec(workdir="relative"), "absolute path"),
        ("docker", SandboxSpec(root="/x"), "give it an image"),
        ("docker", SandboxSpec(workdir="/"), "absolute path"),
    ],
)
def test_specs_that_cannot_be(kind: str, spec: SandboxSpec, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_sandbox(kind, spec)


@pytest.mark.sandbox
def test_user_and_variables(repo: Path) -> None:
    spec = SandboxSpec(repository=str(repo), workdir="/srv/code", user="0:0", env=(("COLOUR", "a b"),))
    with make_sandbox("local", spec) as sandbox:
        assert sandbox.run("id -u; pwd; echo $COLOUR; cat README.md").output == "0\n/srv/code\na b\nhello\n"
        assert sandbox.run("chown 5 README.md; echo x > /proc/sys/kernel/core_pattern").exit_code != 0
    with pytest.raises(ConfigError, match="knows `root`"):
        make_sandbox("local", SandboxSpec(user="alice"))


def test_variables_may_have_any_name(kind: str, repo: Path) -> None:
    """The scripts that run the session have names of their own."""
    text = "".join(Path(sandboxes.__file__).with_name(f"{name}.bash").read_text() for name in ("supervisor", "worker"))
    names = sorted({name.removeprefix("__swe_") for name in re.findall(r"[a-z][a-z_]*|__swe_[a-z_]+", text)} - {""})
    assert {"worker", "relay", "limits", "pipe", "sink", "locale", "first", "status"} <= set(names)
    spec = SandboxSpec(repository=str(repo), env=tuple((name, f"kept {name}") for name in names))
    with make_sandbox(sandbox_of(kind), spec) as sandbox:
        for before in ("true", "exit 3", "kill -9 $$"):
            sandbox.run(before)
            result = sandbox.run("env | grep '=kept ' | sort; pwd")
            assert result.output == "".join(sorted(f"{name}=kept {name}\n" for name in names)) + "/testbed\n"
        assert sandbox.read_file("README.md") == b"hello\n"


@pytest.mark.sandbox
def test_unpacked_image_as_root_file_system(repo: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for folder in ("usr/bin", "etc", "tmp", "proc", "dev", "run", "testbed", "opt"):
        (root / folder).mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    needed = subprocess.run(
        ["cp", "-rL", "--parents", *libraries_of("bash", "cat", "ls"), str(root)],
        check=False,
        capture_output=True,
    )
    assert needed.returncode == 0, needed.stderr
    (root / "opt/made").write_text("in the image\n")
    spec = SandboxSpec(root=str(root), repository=str(repo))
    with make_sandbox("local", spec) as sandbox:
        assert sandbox.run("cat /opt/made README.md; echo x > /opt/made; ls /usr/bin | wc -l").output.startswith(
            "in the image\nhello\n"
        )
        assert sandbox.run("cat /opt/made").output == "x\n"
        assert sandbox.run("ls /usr/bin/git").exit_code != 0
    assert (root / "opt/made").read_text() == "in the image\n"


def test_the_mode_of_the_runtime_folder_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as above:  # the sandboxes of others are in this user's own
        Path(above).chmod(0o711)
        monkeypatch.setattr(tempfile, "tempdir", above)
        folder = runtime_folder()
        assert folder.parent == Path(above)
        mode = folder.stat().st_mode
        folder.chmod(0o700 if is_root() else 0o711)
        assert runtime_folder().stat().st_mode == mode


@pytest.mark.parametrize(("swap", "bound"), [("memory.memsw.limit_in_bytes", "67108864"), ("memory.swap.max", "0")])
def test_swap_is_bounded_with_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swap: str, bound: str) -> None:
    mkdir = Path.mkdir

    def make(folder: Path) -> None:
        mkdir(folder)
        (folder / swap).write_text("max")

    monkeypatch.setattr(cgroups, "hierarchies", lambda: {"memory": tmp_path})
    monkeypatch.setattr(Path, "mkdir", make)
    cgroups.make_group(cgroups.ControlGroup(), "group", Limits(memory_mb=64))
    assert (tmp_path / "group" / swap).read_text() == bound


@pytest.mark.sandbox
def test_memory_is_bounded_by_process_where_a_group_cannot(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A control group for the number of processes alone does not bound memory."""
    (tmp_path / "cgroup.procs").touch()
    monkeypatch.setattr(local_transport, "make_group", lambda group, name, limits: group.folders.append(tmp_path))
    with opened("local", repo) as sandbox:
        assert output(sandbox, "ulimit -d") == f"{sandbox.spec.limits.memory_mb * 1024}\n"


@pytest.mark.sandbox
def test_failed_start_leaves_nothing(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swe_srl.sandboxes.local_transport.tmpfs_options", lambda limits, in_group: "size=nonsense")
    before = _folders()
    with pytest.raises(SandboxUnavailableError, match="mount tmpfs"):
        new_sandbox("local", repo)
    assert _folders() == before


def _folders() -> list[Path]:
    """The folders of this process's sandboxes and snapshots."""
    return folders_of(os.getpid())


def test_closed_while_a_command_runs(kind: str, repo: Path) -> None:
    sandbox = new_sandbox(kind, repo)
    seen: list[object] = []

    def work() -> None:
        try:
            seen.append(sandbox.run(f"sleep {NAP}"))
        except SandboxError as error:
            seen.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(napping)
    sandbox.close()
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert seen == ["the sandbox was closed"]


def test_an_interrupted_close_can_be_repeated(kind: str, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(session: ShellSession) -> None:
        raise KeyboardInterrupt

    sandbox = new_sandbox(kind, repo)
    sandbox.run(f"sleep {NAP} & true")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(ShellSession, "close", interrupted)
        sandbox.close()
    with pytest.raises(SandboxError, match="closed"):
        sandbox.run("true")
    sandbox.close()
    wait_until(lambda: napping() == 0)
    if isinstance(sandbox, LocalSandbox):
        assert not sandbox._transport.folder.exists()
    if isinstance(sandbox, DockerSandbox):
        assert sandbox._container.short_id not in _containers_of(kind, os.getpid()).decode()


@pytest.mark.sandbox
@pytest.mark.parametrize("call", ["pathlib.Path.mkdir", "os.mkfifo"])
def test_no_space_for_the_folders_of_sandboxes(repo: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """It is broken infrastructure, said in words, and nothing is left half-made."""

    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before, place = _folders(), runtime_folder()
    with monkeypatch.context() as patched, pytest.raises(SandboxError, match="no space is left for a sandbox's folder"):
        patched.setattr("swe_srl.sandboxes.launch.runtime_folder", lambda: place)
        patched.setattr(call, full)
        with new_sandbox("local", repo) as sandbox:
            sandbox.run("true")
    assert _folders() == before


def test_open_sandboxes_are_closed_at_exit(kind: str, repo: Path) -> None:
    code = OWNER.replace("time.sleep(600)", "sys.exit(3)")
    root = str(Path(__file__).resolve().parent.parent)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path])}
    done = subprocess.Popen(
        [sys.executable, "-c", code, sandbox_of(kind), str(repo), NAP], stdout=subprocess.PIPE, env=env
    )
    done.communicate()
    assert done.returncode == 3
    wait_until(lambda: napping() == 0)
    assert not folders_of(done.pid)
    if kind != "local":
        assert _containers_of(kind, done.pid) == b""


def test_no_time_limit(shared: SessionSandbox) -> None:
    session = shared._session
    limits, session.limits = session.limits, Limits(command_seconds=0)
    try:
        assert shared.run("sleep 0.2; echo done").output == "done\n"
    finally:
        session.limits = limits


def _containers_of(kind: str, pid: int) -> bytes:
    name = f"name=swe-srl-{pid}-"
    return subprocess.run([kind, "ps", "-aq", "--filter", name], capture_output=True, check=True).stdout


@pytest.mark.docker
def test_a_repository_is_copied_in_without_padding(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Podman stops reading at an archive's end: what comes after it may meet a broken pipe, and the start failed."""
    sent: list[bytes] = []
    put = Container.put_archive

    def keep(container: Container, path: str, data: BinaryIO) -> bool:
        sent.append(data.read())
        return put(container, path, sent[-1])

    monkeypatch.setattr(Container, "put_archive", keep)
    with opened("docker", repo) as sandbox:
        assert_well(sandbox)
        assert output(sandbox, "git status --porcelain") == ""
    (archive,) = sent
    assert archive.endswith(bytes(2 * tarfile.BLOCKSIZE))
    with tarfile.open(fileobj=io.BytesIO(archive)) as listing:
        last = listing.getmembers()[-1]
    blocks = -(-last.size // tarfile.BLOCKSIZE) + 2
    assert len(archive) == last.offset_data + blocks * tarfile.BLOCKSIZE
