"""What makes the local sandbox start fast: one /etc for all, a child that waits, copies without `cp`, a state sent ahead."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from swe_srl.errors import SandboxError
from swe_srl.sandboxes import etc, launch, local_limits
from swe_srl.sandboxes.copying import MOST_BYTES, MOST_ENTRIES, copy_files, plain_entries
from swe_srl.sandboxes.launch import Helper, helper, runtime_folder
from swe_srl.sandboxes.local import LocalSandbox
from swe_srl.sandboxes.losses import STATE_LOST
from swe_srl.types import SandboxSpec
from tests.sandbox_support import assert_well, folders_of, is_root, opened, output, repository

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository(tmp_path_factory.mktemp("start"))


@pytest.mark.sandbox
def test_sandboxes_share_an_etc_that_none_can_change() -> None:
    with LocalSandbox(SandboxSpec()) as first, LocalSandbox(SandboxSpec()) as second:
        seen = [output(sandbox, "stat -c '%d %i' /etc; cat /etc/passwd /etc/ld.so.conf") for sandbox in (first, second)]
        assert seen[0] == seen[1]
        for command in (
            "touch /etc/x",
            "echo x >>/etc/passwd",
            "rm /etc/hosts",
            "chmod 777 /etc",
            "mount -o remount,rw /etc",
        ):
            assert first.run(command).exit_code != 0, command
        assert output(second, "ls /etc").split() == sorted(path.name for path in helper().etc(False).iterdir())
        assert output(second, "ldconfig -p | wc -l").strip() != "0"
        assert output(second, "git --version && awk 'BEGIN { print 6 * 7 }'").endswith("42\n")


@pytest.mark.sandbox
def test_a_changed_host_gets_a_new_etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what finds libraries and programs, and what sandboxes with network share."""
    (tmp_path / "ld.so.conf.d").mkdir()
    (tmp_path / "ld.so.conf.d" / "one.conf").write_text("/one\n")
    (tmp_path / "alternatives").mkdir()
    (tmp_path / "alternatives" / "awk").symlink_to("/usr/bin/mawk")
    (tmp_path / "cache").write_bytes(b"cache")
    (tmp_path / "ld.so.cache").symlink_to("cache")
    monkeypatch.setattr(etc, "_HOST", tmp_path)
    first = helper().etc(False)
    assert helper().etc(False) == first != helper().etc(True)
    assert (first / "alternatives/awk").readlink() == Path("/usr/bin/mawk")
    assert (first / "ld.so.cache").read_bytes() == b"cache" and not (first / "ld.so.cache").is_symlink()

    (tmp_path / "ld.so.conf.d" / "one.conf").write_text("/two\n")
    second = helper().etc(False)
    assert (second / "ld.so.conf.d/one.conf").read_text() == "/two\n"
    assert (first / "ld.so.conf.d/one.conf").read_text() == "/one\n", "running sandboxes see it still"

    without = helper().etc(True)
    (tmp_path / "ssl").mkdir()
    assert helper().etc(False) == second
    assert helper().etc(True) != without and (helper().etc(True) / "ssl").is_dir()
    (second / "hosts").unlink()
    third = helper().etc(False)
    assert third != second, "somebody clears /tmp"
    (third / "alternatives" / "awk").unlink()
    assert helper().etc(False) != third


@pytest.mark.sandbox
def test_threads_make_one_etc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper(), "_etc", {})
    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(lambda _: helper().etc(False), range(16)))) == 1


ENDS = """
import os, sys
from swe_srl.sandboxes.launch import helper
from swe_srl.sandboxes.local import LocalSandbox
from swe_srl.types import SandboxSpec
sandbox = LocalSandbox(SandboxSpec())
mine = helper().etc(False)
child = os.fork()
if child == 0:
    with LocalSandbox(SandboxSpec()) as other:
        code = other.run("cat /etc/hostname").exit_code
    os._exit(code or helper().etc(False) == mine)
assert os.waitpid(child, 0)[1] == 0
assert sandbox.run("cat /etc/hostname").output == "sandbox\\n"
print(os.getpid(), child, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.sandbox
def test_an_etc_goes_with_its_owner_however_that_ends() -> None:
    """A forked process has its own. One that ends without its `atexit`, or is killed, leaves none, and needs no sweep."""
    root = str(Path(__file__).resolve().parent.parent)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path])}
    done = subprocess.run([sys.executable, "-c", ENDS], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    owners = done.stdout.split()
    assert len(owners) == 2
    deadline = time.monotonic() + 60
    while left := [path for pid in owners for path in runtime_folder().glob(f"etc-{pid}-*")]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


ODD = """
import os, signal, sys
said = os.dup2(1, 60)
for number in map(int, sys.argv[1].split(",")):
    os.close(number)
if sys.argv[2] == "ignored":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
from swe_srl.sandboxes import make_sandbox
from swe_srl.types import SandboxSpec
with make_sandbox("local", SandboxSpec()) as sandbox:
    job = "sleep 9 & until grep -qx sleep /proc/$!/comm; do :; done" # a signal that comes before `sleep` does may be lost
    os.write(said, sandbox.run(f"{job}; kill $!; wait $!; echo $?").output.encode())
"""


@pytest.mark.sandbox
@pytest.mark.parametrize(("closed", "children"), [("0", "ignored"), ("0,1", "waited for"), ("0,1,2", "ignored")])
def test_an_owner_without_standard_streams_or_with_its_childrens_ends_ignored(closed: str, children: str) -> None:
    root = str(Path(__file__).resolve().parent.parent)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", ODD, closed, children], env=env, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("143\n", 0), done.stderr


NARROW = """
import resource, sys
hard = int(sys.argv[2])
number = getattr(resource, sys.argv[1])
resource.setrlimit(number, (min(64, hard), hard))
from swe_srl.errors import SandboxUnavailableError
from swe_srl.sandboxes import make_sandbox
from swe_srl.types import Limits, SandboxSpec
try:
    with make_sandbox("local", SandboxSpec(limits=Limits(open_files=300, processes=96))) as sandbox:
        print(sandbox.run("ulimit -n; exit").output)
except SandboxUnavailableError as error:
    print(error)
"""


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("limit", "hard", "said"),
    [
        ("RLIMIT_NOFILE", 2000, "300\n[the shell ended"),
        (
            "RLIMIT_NOFILE",
            280,
            "this process may allow 280 (ulimit -Hn): raise that, or set limits.open_files to at most 280",
        ),
        ("RLIMIT_NOFILE", 64, "needs a limit of 300, and this process may allow 64 (ulimit -Hn): raise that"),
        (
            "RLIMIT_NPROC",
            50,
            "this process may allow 50 (ulimit -Hu): raise that, or set limits.processes to at most 50",
        ),
    ],
)
def test_the_limits_of_the_owner_itself(limit: str, hard: int, said: str) -> None:
    if limit == "RLIMIT_NPROC" and not local_limits.rlimits_processes():
        pytest.skip("this kernel counts processes of all sandboxes together")
    root = str(Path(__file__).resolve().parent.parent)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", NARROW, limit, str(hard)], env=env, capture_output=True, text=True, check=False
    )
    assert said in done.stdout and done.returncode == 0, done.stderr
    assert hard != 64 or not done.stdout.rstrip().endswith("at most 64")


@pytest.mark.sandbox
def test_a_launcher_that_cannot_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_LAUNCHER", ["/bin/false"])
    with pytest.raises(SandboxError, match="ended at once: does this command work"):
        launch.Helper()


def _name(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:  # it has ended meanwhile
        return ""


def _held(pid: int) -> list[str]:
    """What the descriptors of a process lead to."""
    held = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it has been closed meanwhile
            held.append(str(path.readlink()))
    return held


@pytest.mark.sandbox
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_the_child_that_waits_holds_nothing_and_may_be_killed(repo: Path, number: signal.Signals) -> None:
    launcher = helper()._process.pid
    children = Path(f"/proc/{launcher}/task/{launcher}/children")
    with opened("local", repo) as sandbox:
        deadline = time.monotonic() + 60
        while len(waiting := {pid for pid in children.read_text().split() if _name(pid) not in ("bwrap", "")}) != 1:
            assert time.monotonic() < deadline, waiting
            time.sleep(0.01)
        pid = int(*waiting)
        while len(held := _held(pid)) > 4 + is_root():
            assert time.monotonic() < deadline, held  # it has just been forked
            time.sleep(0.01)
        assert not [name for name in held if name.startswith(("pipe:", "mnt:"))]
        os.kill(pid, number)
        while f"\nState:\t{'Z' if number == signal.SIGKILL else 'T'}" not in Path(f"/proc/{pid}/status").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with opened("local", repo) as other:
            assert_well(other)
        sandbox.run("exec sleep 600", timeout=0.1)
        assert_well(sandbox)


class _Interrupted:
    """A socket whose next answer is not read: an interrupt comes first."""

    def __init__(self, whole: socket.socket, asked: Helper) -> None:
        self._whole, self._asked = whole, asked

    def __getattr__(self, name: str) -> object:
        return getattr(self._whole, name)

    def recv(self, size: int) -> bytes:
        self._asked._socket = self._whole
        raise KeyboardInterrupt


@pytest.mark.sandbox
def test_an_interrupt_keeps_no_later_sandbox_from_starting(repo: Path) -> None:
    """The answer that was not read is nobody else's, and what it told of is ended."""
    asked = helper()

    def below() -> set[str]:
        listed = ["ps", "-o", "pid=,comm=", "--ppid", str(asked._process.pid)]
        shown = subprocess.run(listed, capture_output=True, text=True).stdout.splitlines()
        return {line.split()[0] for line in shown if "bwrap" in line}

    before = below()  # those of sandboxes that other tests have left open
    with opened("local", repo) as sandbox:
        asked._socket = _Interrupted(asked._socket, asked)  # type: ignore[assignment]
        with pytest.raises(KeyboardInterrupt):
            LocalSandbox(SandboxSpec())
        with opened("local", repo) as later:
            assert_well(later)
            later.restart()
            assert_well(later)
        assert_well(sandbox)
    assert below() == before


@pytest.mark.sandbox
def test_what_was_removed_or_replaced_stays_so_in_forks(repo: Path) -> None:
    show = "cat README.md; ls src; ls src/gone; git status --short; find /tmp -mindepth 1 | sort"
    with opened("local", repo) as sandbox:
        output(sandbox, "rm -r src/gone; mkdir src/gone; touch src/gone/new")  # an opaque folder
        first = sandbox.snapshot()
        with sandbox.fork(first) as plain:
            assert output(plain, show) == output(sandbox, show)
            output(plain, "rm README.md src/tool.py")  # whiteouts
            third = plain.snapshot()
            with plain.fork(third) as other:
                assert other.run("cat README.md").exit_code == 1
                assert output(other, "ls -a; ls src; git status --short") == output(
                    plain, "ls -a; ls src; git status --short"
                )
            third.discard()
            output(plain, "ln src/gone/new src/second; mkfifo /tmp/pipe")
            second = plain.snapshot()
            with plain.fork(second) as other:
                gone = other.run("cat README.md")
                assert gone.exit_code == 1 and "No such file" in gone.output
                assert output(other, "ls src src/gone; stat -c '%h %F' src/second /tmp/pipe") == (
                    "src:\ngone\nsecond\n\nsrc/gone:\nnew\n2 regular empty file\n1 fifo\n"
                )
            second.discard()
        first.discard()


@pytest.mark.sandbox
def test_a_large_state_is_sent_ahead_of_its_shell(repo: Path) -> None:
    with opened("local", repo) as sandbox:
        sandbox.run("cd /tmp; big=$(head -c 300000 /dev/zero | tr '\\0' x); word='Zürich\\n'; greet() { echo hello; }")
        snapshot = sandbox.snapshot()
        with sandbox.fork(snapshot) as fork:
            assert output(fork, 'pwd; echo ${#big} "$word"; greet') == "/tmp\n300000 Zürich\\n\nhello\n"
            fork.run("export kept=1")
            fork.run("exec true")
            assert output(fork, "pwd; echo $kept") == "/tmp\n1\n"
        snapshot.discard()


@pytest.mark.sandbox
def test_functions_named_like_commands_do_not_hold_a_fork(repo: Path) -> None:
    names = ("shopt", "alias", "umask", "set")
    with opened("local", repo) as sandbox:
        sandbox.run("cd /tmp; x=1; alias up='echo UP'; shopt -s nullglob; builtin umask 027; builtin set -u")
        sandbox.run("; ".join(f"{name}() {{ sleep 1000; }}" for name in names))
        with sandbox.fork(sandbox.snapshot()) as fork:
            shown = "pwd; echo $x; builtin alias up; builtin umask; echo $-; builtin shopt nullglob; declare -F"
            told = fork.run(shown).output
            assert told == sandbox.run(shown).output
            assert told.startswith("/tmp\n1\nalias up='echo UP'\n0027\n") and "nullglob" in told
            assert all(f"declare -f {name}\n" in told for name in names)


@pytest.mark.sandbox
def test_a_function_named_declare_is_restored_after_all_others(repo: Path) -> None:
    with opened("local", repo) as sandbox:
        sandbox.run("declare() { echo mine; }; zero() { echo zero; }; export -f declare zero")
        sandbox.run("text() { cat <<'X'\n}\ndeclare -fx other\nX\n}")
        with sandbox.fork(sandbox.snapshot()) as fork:
            assert (
                output(fork, "bash -c zero; bash -c declare; declare; text")
                == "zero\nmine\nmine\n}\ndeclare -fx other\n"
            )
            fork.run("unset -f declare")
            with fork.fork(fork.snapshot()) as second:
                assert (
                    output(second, "bash -c zero; builtin declare -F declare; text") == "zero\n}\ndeclare -fx other\n"
                )


@pytest.mark.sandbox
@pytest.mark.parametrize("name", ["if", "builtin", "declare", "{", "then", "shopt"])
@pytest.mark.parametrize("expands", [True, False])
def test_aliases_named_like_what_takes_the_state_cost_a_fork_nothing(repo: Path, name: str, expands: bool) -> None:
    """Whether they are expanded is kept, too, in the fork and in the sandbox that was forked."""
    with opened("local", repo) as sandbox:
        off = "" if expands else "; shopt -u expand_aliases"
        sandbox.run(f"cd /tmp; x=1; hey() {{ echo hey; }}; alias {name}=nonsense hi='echo HI'{off}")
        with sandbox.fork(sandbox.snapshot()) as fork:
            for one in (fork, sandbox):
                told = one.run(f"pwd; echo $x; hey; alias {name}\nhi")
                assert not told.rebuilt and told.output.startswith(f"/tmp\n1\nhey\nalias {name}='nonsense'\n"), told
                assert told.output.endswith("\nHI\n") == expands, told


@pytest.mark.sandbox
@pytest.mark.parametrize("name", ["colon:", "comma,", "back\\slash", "blank ", "new\nline"])
def test_a_folder_for_temporary_files_of_any_name(repo: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as above:
        place = Path(above, name)
        place.mkdir()
        for folder in (place.parent, place):
            folder.chmod(0o711)
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        with opened("local", repo) as sandbox:
            assert list(place.glob("*/sandbox-*"))
            assert_well(sandbox)
            sandbox.run("echo mine >/testbed/mine")
            with sandbox.fork(sandbox.snapshot()) as fork:
                assert output(fork, "cat /testbed/mine") == "mine\n"


@pytest.mark.sandbox
@pytest.mark.slow
def test_a_fork_tells_when_its_shell_was_lost_over_the_state(repo: Path) -> None:
    with opened("local", repo) as sandbox:
        sandbox.run("cd /tmp; x=1; declare() { sleep 1000; }; later() { :; }; export -f later; readonly -f declare")
        with sandbox.fork(sandbox.snapshot()) as fork:
            first = fork.run("pwd; echo x=${x-}")
            assert first.rebuilt and first.output == f"{STATE_LOST}\n{sandbox.spec.workdir}\nx=\n"
            assert_well(fork)


@pytest.mark.sandbox
def test_a_fork_that_cannot_start_says_why(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened("local", repo) as sandbox:
        snapshot = sandbox.snapshot()
        before = folders_of(os.getpid())
        monkeypatch.setattr("swe_srl.sandboxes.local_transport.tmpfs_options", lambda limits, in_group: "size=nonsense")
        with pytest.raises(SandboxError, match=r"did not start: swe-srl launcher: .*mount tmpfs"):
            sandbox.fork(snapshot)
        assert folders_of(os.getpid()) == before
        snapshot.discard()


def tree(folder: Path) -> Path:
    """Files that are copied without `cp`."""
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "text").write_text("text")
    (folder / "a" / "program").write_bytes(bytes(range(256)))
    (folder / "a" / "program").chmod(0o4751)
    (folder / "a" / "shut").touch()
    (folder / "a" / "shut").chmod(0)
    (folder / "a" / "link").symlink_to("nowhere\n")
    (folder / "open").mkdir()
    (folder / "open").chmod(0o1777)
    os.mknod(folder / "open" / "gone", stat.S_IFCHR, os.makedev(0, 0))  # a whiteout
    if is_root():
        os.chown(folder / "a" / "text", 1234, 4321)
        os.chown(folder / "a" / "link", 1234, 4321, follow_symlinks=False)
        os.setxattr(folder / "open", "trusted.overlay.opaque", b"y")
    for number, path in enumerate([*folder.rglob("*"), folder / "a"]):
        os.utime(path, ns=(10**18 + number, 10**17 + 7 * number), follow_symlinks=False)
    return folder


def states(folder: Path) -> dict[str, object]:
    """Everything about the files below a folder but where they are, and when they were read."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        kept = {
            name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)
        }
        content: object = None
        if stat.S_ISLNK(state.st_mode):
            content = path.readlink()
        elif stat.S_ISREG(state.st_mode) and (is_root() or state.st_mode & 0o400):
            content = path.read_bytes()
        same = (state.st_mode, state.st_uid, state.st_gid, state.st_nlink, state.st_rdev, state.st_mtime_ns)
        holes = stat.S_ISREG(state.st_mode) and state.st_blocks * 512 < state.st_size
        found[str(path.relative_to(folder))] = (same, holes, kept, content)
    return found


def make_large(folder: Path) -> None:
    (folder / "large").write_bytes(b"x" * (MOST_BYTES + 1))


def make_many(folder: Path) -> None:
    for number in range(MOST_ENTRIES):
        (folder / str(number)).touch()


def make_hole(folder: Path) -> None:
    with (folder / "hole").open("wb") as file:
        file.truncate(1 << 16)


OTHERS = {
    "a hard link": lambda folder: (folder / "second").hardlink_to(folder / "a" / "text"),
    "a pipe": lambda folder: os.mkfifo(folder / "pipe"),
    "a socket": lambda folder: os.mknod(folder / "socket", stat.S_IFSOCK | 0o600),
    "a hole": make_hole,
    "much": make_large,
    "many": make_many,
}


@pytest.mark.parametrize("kind", ["plain", *OTHERS])
def test_copies_are_those_of_cp(tmp_path: Path, kind: str) -> None:
    """Run as root where files that nobody may read are copied; as an ordinary user without them."""
    source = tree(tmp_path / "source")
    if not is_root():
        (source / "a" / "shut").unlink()
    if kind in OTHERS:
        OTHERS[kind](source)
    assert (plain_entries(str(source)) is not None) == (kind == "plain")
    for name in ("ours", "cps"):
        (tmp_path / name).mkdir()
    copy_files(str(source), str(tmp_path / "ours"))
    subprocess.run(["cp", "-a", f"{source}/.", str(tmp_path / "cps")], check=True)
    assert states(tmp_path / "ours") == states(tmp_path / "cps") == states(source)
    (tmp_path / "live").mkdir()
    live = (
        "import sys; from swe_srl.sandboxes.live_copy import copy_live; copy_live(sys.argv[1], ['source'], sys.argv[2])"
    )
    own = [] if is_root() else ["unshare", "--user", "--map-root-user"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([*own, sys.executable, "-c", live, str(tmp_path), str(tmp_path / "live")], check=True, env=env)
    assert states(tmp_path / "live" / "source") == states(source)


def test_a_copy_that_fails_says_so(tmp_path: Path) -> None:
    source = tree(tmp_path / "source")
    (tmp_path / "there" / "a").mkdir(parents=True)
    with pytest.raises(FileExistsError):
        copy_files(str(source), str(tmp_path / "there"))
