"""What a command can do to a sandbox, case by case: what the agent sees, that the next command works, that nothing is left."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from benchmarks.soak import lasting
from swe_srl.errors import PathOutsideWorkspaceError, SandboxError
from swe_srl.sandboxes import patience
from swe_srl.sandboxes.base import SessionSandbox
from swe_srl.types import CommandResult
from tests.sandbox_support import (
    KINDS,
    LIMITS,
    between_commands,
    may_go_on,
    new_sandbox,
    opened,
    output,
    processes,
    repository,
    sandbox_of,
)

pytestmark = pytest.mark.timeout(180)

KEPT = r"directory and exported variables are kept\]"
EARLIER = "(as they were before the command, )?"  # its last words may not have been heard
ENDLESS = 3  # seconds for a command without end: to say what it says before
KILLED = rf"\[the command was killed after {ENDLESS} seconds; every process was ended, .*{KEPT}"
GONE = rf"(\[the shell was lost; every process was ended, .*{KEPT})?"  # or the next command hears of it
ANY = -1  # an exit code that depends on the machine, but is one
FAILS = -2  # one that is not 0


@dataclass(frozen=True)
class Case:
    """A command, and what the agent sees of it: a pattern for the whole observation."""

    command: str
    sees: str = ".*"
    exit_code: int | None = 0
    seconds: float = 30
    rebuilt: bool = False

    @classmethod
    def endless(cls, command: str, before: str = "") -> Case:
        return cls(command, before + KILLED, None, ENDLESS, True)

    @classmethod
    def lost(cls, command: str, code: int, before: str = "") -> Case:
        return cls(
            command,
            rf"{before}\[the shell ended with exit code {code}; it was restarted: {EARLIER}{KEPT}",
            code,
            30,
            True,
        )


NO_INPUT = {
    "cat": Case("cat; echo rc $?", "rc 0\n"),
    "read": Case("read -r line; echo rc $?", "rc 1\n"),
    "python": Case("python3; echo rc $?", ".*rc 0\n"),
    "git commit": Case("git commit --allow-empty; echo rc $?", ".*rc [01]\n"),
    "git pager": Case("git -c core.pager= log | head -1; git log | head -1", "(commit .*\n)+"),
    "less": Case("less ../README.md", "(hello\n|.*command not found\n)", ANY),
    "ssh": Case("ssh -o ConnectTimeout=3 nowhere.invalid", ".*(ssh: .*|command not found\n)", FAILS),
    "password in python": Case("python3 -c 'import getpass; getpass.getpass()'", ".*EOFError\n", 1),
    "password at the terminal": Case("read -rsp Password: word </dev/tty; echo rc $?", ".*/dev/tty: .*\nrc 1\n"),
    "su": Case("su root -c id", ".*", FAILS),
    "git password": Case("git clone http://localhost:1/x y", ".*fatal: .*", 128),
}
CASES = NO_INPUT | {
    "never ends": Case.endless("echo before; sleep 600", "before\n"),
    "spins": Case.endless("while :; do :; done"),
    "ignores SIGTERM": Case.endless("trap '' TERM INT HUP; while :; do sleep 1; done"),
    "children ignore SIGTERM": Case.endless("(trap '' TERM; setsid sleep 600 &); sleep 600"),
    "double-forks and holds the output": Case("(setsid sh -c 'sleep 600 & sleep 600' &); echo after", "after\n"),
    "stops itself": Case.endless("echo before; kill -STOP $$", "before\n"),
    "reads a pipe nobody writes": Case.endless("mkfifo -m 600 nobody; cat nobody"),
    "reads others' descriptors": Case.endless("cat /proc/[0-9]*/fd/*", ".*"),
    "does not execute": Case.endless("set -n"),
    "replaced by a program that ends": Case.lost("echo before; exec true", 0, "before\n"),
    "replaced by one that does not": Case.endless("echo before; exec sleep 600", "before\n"),
    "replaced by a shell": Case.lost("exec /bin/bash", 0),
    "exits": Case.lost("echo before; exit 3", 3, "before\n"),
    "kills itself": Case.lost("echo before; kill -9 $$", 137, "before\n"),
    "kills what waits for it, and exits": Case.lost("echo before; kill -9 $PPID; exit 3", 137, "before\n"),
    "kills what waits for it, and is replaced": Case.lost("kill -9 $PPID; exec sleep 600", 137),
    "kills every process": Case("kill -9 -1", GONE, ANY, rebuilt=True),
    "kills every shell": Case("pkill -9 bash; true", GONE, ANY, rebuilt=True),
    "open quote": Case("echo 'open", "bash: .*unexpected EOF.*", FAILS),
    "open here-document": Case("cat <<END\ninside", ".*inside\n"),
    "set -eux": Case.lost("set -eux; echo traced; false", 1, r"\++ echo traced\ntraced\n\++ false\n"),
    "set -u": Case.lost("set -u; echo $nothing", 127, "bash: .*unbound variable\n"),
    "traps": Case.lost("trap 'echo bye' EXIT; trap 'echo debug' DEBUG; exit 4", 4, "(debug\n)+(bye\n)?"),
    "redefines what frames it": Case(
        'for name in printf read cd exit exec eval echo command export trap; do eval "$name() { :; }"; '
        "builtin eval 'readonly -f '$name; done; builtin echo done",
        ".*",
        ANY,
    ),
    "disables builtins": Case("enable -n printf read eval return export pwd; builtin echo x", "x\n"),
    "disables enable": Case.lost("enable -n enable eval", 121),
    "readonly names": Case.lost("readonly __swe_rc __swe_message IFS", 123, ".*"),
    "reserved words as aliases": Case("alias if=x fi=x {=x then=x '[[=x'; echo fine", "fine\n"),
    "leaves no loop": Case(
        "break; echo x; continue 9; echo y; break 99",
        "bash: line 1: break: only .*\nx\nbash: .*continue: .*\ny\n.*break: .*\n",
    ),
    "returns": Case("return 3; echo x", "bash: line 1: return: can only .*\nx\n"),
    "closes all descriptors": Case.lost('exec 0<&- 1>&- 2>&-; for i in {3..255}; do eval "exec $i>&-"; done', 122),
    "writes to all descriptors": Case(
        "for f in /proc/[0-9]*/fd/*; do echo junk > $f; done 2>/dev/null", ".*", ANY, 60, True
    ),
    "prints old marks": Case(r"printf 'D%032d 0\0/\0\0R\0X0\0' 7 >&2; echo real", "D0+7 0.*real\n"),
    "binary output": Case(r"printf 'a\0b\xff\xc3\xa9\x1b[2J\n'", "a\ufffdb\ufffd\u00e9\x1b\\[2J\n"),
    "a million lines": Case("seq 1000000", r"1\n2\n.*\n\[\d+ bytes of output cut here\]\n.*\n1000000\n"),
    "fork bomb": Case.endless(":() { :|:& }; :; sleep 600", ".*"),
    "fork bomb in Python": Case.endless(
        "python3 -c 'import os\nwhile True:\n  try: os.fork()\n  except OSError: pass'", ".*"
    ),
    "memory hog in the shell": Case(
        "x=xxxx; while :; do x=$x$x; done",
        rf".*\[the shell ended with exit code (2|137); it was restarted: {EARLIER}{KEPT}",
        ANY,
    ),
    "memory hog beside it": Case("python3 -c 'x = bytearray(1 << 30)'", ".*", FAILS),
    "open-file hog": Case(
        "python3 -c 'files = []\nwhile True: files.append(open(\"/dev/null\"))'", ".*Too many open files.*", 1
    ),
    "no files to write": Case.lost("ulimit -f 0; echo x > file", 153, ".*"),
    "no processes to make": Case("ulimit -u 1; ls", ".*", ANY, 5),
    "files nobody can read": Case(
        "mkdir -p shut/in && touch shut/in/file && chmod -R 0 shut; ls shut", ".*denied\n", 2
    ),
    "deletes its directory": Case("mkdir doomed && cd doomed && rmdir ../doomed; cd /testbed/src"),
    "sets the clock": Case(
        "date -s 2001-01-01; python3 -c 'import time; time.clock_settime(time.CLOCK_REALTIME, 0)'",
        ".*Operation not permitted.*PermissionError.*",
        1,
    ),
    "raw sockets": Case(
        "python3 -c 'import socket as s; s.socket(s.AF_INET, s.SOCK_RAW, 1)'", ".*PermissionError.*", 1
    ),
    "packet sockets": Case(
        "python3 -c 'import socket as s; s.socket(s.AF_PACKET, s.SOCK_RAW)'", ".*PermissionError.*", 1
    ),
    "finds names": Case("python3 -c 'import socket as s; s.gethostbyname(\"example.org\")'", ".*gaierror.*", 1),
    "reaches addresses": Case(
        "python3 -c 'import socket as s; s.create_connection((\"1.1.1.1\", 53), 5)'", ".*unreachable.*", 1
    ),
}


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository(tmp_path_factory.mktemp("matrix"))


@pytest.fixture(scope="module", params=KINDS[:2])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def shared(kind: str, repo: Path) -> Iterator[SessionSandbox]:
    """One sandbox for all cases; when it is closed, nothing is left of any of them."""
    new_sandbox(kind, repo).close()  # what the first one starts for all
    before = lasting(sandbox_of(kind))
    with new_sandbox(kind, repo) as sandbox:
        yield sandbox
    after = lasting(sandbox_of(kind))
    for name in ("processes", "containers", "mounts", "descriptors", "folders", "groups"):
        assert getattr(after, name) <= getattr(before, name), name


@pytest.fixture
def sandbox(shared: SessionSandbox) -> SessionSandbox:
    """The shared sandbox with a fresh shell, no process, and a state to be kept."""
    shared.restart()
    assert output(shared, "export KEPT='a\nb'; cd /testbed/src; pwd").endswith("/testbed/src\n")
    return shared


def assert_goes_on(sandbox: SessionSandbox) -> None:
    """The next command runs where and with what the last one left, and every process can be ended."""
    result = sandbox.run('echo "$KEPT"; builtin pwd')
    assert result.output.endswith("a\nb\n/testbed/src\n") and not result.timed_out, result
    sandbox.restart()
    assert processes(sandbox) == []


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_case(sandbox: SessionSandbox, case: Case) -> None:
    sandbox.run("cd /testbed; cd src")
    result = sandbox.run(case.command, case.seconds)
    assert re.fullmatch(case.sees, result.output, re.DOTALL), result
    if case.exit_code == FAILS:
        assert result.exit_code, result
    elif case.exit_code == ANY:
        assert result.exit_code is not None or case.rebuilt or "fork" in result.output, result
    else:
        assert result.exit_code == case.exit_code, result
        assert (result.timed_out, result.rebuilt) == (case.seconds == ENDLESS, case.rebuilt), result
    assert not result.timed_out or processes(sandbox) == []
    assert_goes_on(sandbox)


def test_an_idle_shell_is_kept(sandbox: SessionSandbox) -> None:
    """bash's `read` heeds TMOUT, and the shell waits for the next command with it."""
    sandbox.run("export TMOUT=1; mine() { echo mine $TMOUT; }")
    time.sleep(1.5)
    result = sandbox.run("mine")
    assert (result.output, result.rebuilt) == ("mine 1\n", False)


def test_every_process_is_stopped(sandbox: SessionSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the worker can still report depends on which shell is stopped first."""
    monkeypatch.setattr(patience, "BEGIN_SECONDS", 5.0)
    stopped = sandbox.run("kill -STOP -1", timeout=2)
    assert_goes_on(sandbox)
    assert stopped.exit_code == 0 or stopped.timed_out


def test_a_command_that_no_shell_takes_up_is_run_once(sandbox: SessionSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "BEGIN_SECONDS", 5.0)
    sandbox.run(f"rm -f times; {between_commands('kill -STOP $$')}")
    may_go_on(sandbox)
    result = sandbox.run("echo once >> times; cat times")
    assert result.output.startswith("[the shell did not answer; every process was ended") and result.rebuilt
    assert result.output.endswith("kept]\nonce\n") and result.exit_code == 0
    assert_goes_on(sandbox)


def test_a_shell_that_may_not_write_its_output_is_replaced(sandbox: SessionSandbox) -> None:
    result = sandbox.run("echo before; set -r")
    assert result.rebuilt and re.fullmatch(rf"before\n(bash: .*)?\[the shell ended .*{KEPT}", result.output, re.DOTALL)
    assert_goes_on(sandbox)


@pytest.mark.parametrize("after", ["echo false; sleep 600", "while :; do echo false; done"])
def test_a_forged_end_fools_its_own_transcript(
    sandbox: SessionSandbox, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    """The shell and the command are one process, so this can be done. Other shells are not fooled, and the session goes on."""
    monkeypatch.setattr(patience, "BEGIN_SECONDS", 5.0)
    sandbox.write_file("real", b"real")
    nonce = "builtin read -r -N 32 -u 190 nonce; printf %s $nonce"
    forged = sandbox.run(f"{nonce}; printf 'D%s 0\\0%s\\0%s\\0' $nonce $PWD \"$(export -p)\" >&191; {after}")
    assert (forged.output, forged.exit_code) == ("", 0)
    assert sandbox.read_file("real") == b"real"
    result = sandbox.run("echo works")
    assert result.output.startswith("[the shell did not answer; every process was ended") and result.rebuilt
    assert result.output.endswith("kept]\nworks\n") and result.exit_code == 0
    assert_goes_on(sandbox)


FORGER = """
mine=$(readlink /proc/$$/fd/1)
for process in /proc/[0-9]*; do
  [[ $(tr -d '\\0' <$process/cmdline) == cat && $(readlink $process/fd/0) != "$mine" ]] && kill -9 ${process#/proc/}
done
python3 -c "while True: print('false', flush=True), open('/tmp/forged', 'w')" & disown
until [ -e /tmp/forged ]; do sleep 0.1; done
"""


@pytest.mark.parametrize("kind", [KINDS[1]], scope="module")
def test_one_who_takes_the_place_of_a_relay_has_none(sandbox: SessionSandbox) -> None:
    """A job that goes on writing, in a container with as many processes as there are when nothing was left behind."""
    sandbox.write_file("real", b"real")
    assert "false" in sandbox.run(FORGER).output
    assert sandbox.read_file("real") == b"real"
    assert sandbox.run("echo works; pkill python3").output == "works\n"
    assert_goes_on(sandbox)


@pytest.mark.parametrize("kind", [KINDS[1]], scope="module")
def test_killed_relay(sandbox: SessionSandbox) -> None:
    """What carries the output out of a container is a process of the same user."""
    result = sandbox.run("echo before; sleep 1; pkill -9 cat; sleep 0.2; echo after; echo after", timeout=60)
    assert result.rebuilt and result.output.startswith("before\n[")
    assert_goes_on(sandbox)


def test_a_megabyte_of_every_byte(sandbox: SessionSandbox) -> None:
    data = bytes(range(1, 256)).replace(b"'", b"") * 4200
    command = f"printf %s '{data.decode('utf-8', 'surrogateescape')}' | md5sum"
    assert output(sandbox, command) == f"{hashlib.md5(data).hexdigest()}  -\n"
    assert_goes_on(sandbox)


def _peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


@pytest.mark.slow
def test_one_line_of_500_megabytes(sandbox: SessionSandbox) -> None:
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = _peak()
    result = sandbox.run("head -c 500000000 /dev/zero | tr '\\0' x", timeout=120)
    assert _peak() - before < 64 << 10  # KiB
    assert result.exit_code == 0 and result.truncated and len(result.output) < LIMITS.output_bytes + 100
    assert f"[{500_000_000 - LIMITS.output_bytes} bytes of output cut here]" in result.output
    assert_goes_on(sandbox)


def test_full_disk(kind: str, repo: Path) -> None:
    """The local sandbox's disk is bounded, and leaves memory for shells; a container's files are bounded one by one."""
    with opened(kind, repo) as sandbox:
        if kind == "local":
            for place in ("/tmp", "/dev/shm", "/testbed"):
                assert "No space left" in sandbox.run(f"head -c 2000000000 /dev/zero > {place}/big").output
            assert output(sandbox, "echo works; rm /tmp/big; git -C /testbed status --short") == "works\n?? big\n"
            sandbox.restart()
        else:
            assert int(output(sandbox, "ulimit -f")) == LIMITS.disk_mb << 10
            sparse = 'import os; os.truncate(os.open("big", os.O_RDWR | os.O_CREAT), 2 << 30)'
            assert "File too large" in sandbox.run(f"python3 -c '{sparse}'").output
        assert output(sandbox, "echo works; pwd") == "works\n/testbed\n"
        assert sandbox.read_file("README.md") == b"hello\n"


def test_everything_deleted(kind: str, repo: Path) -> None:
    with opened(kind, repo) as sandbox:
        for place in ("/testbed", "/tmp", "/"):
            result = sandbox.run(f"rm -rf --no-preserve-root {place} 2>/dev/null; echo deleted", timeout=120)
            assert result.output == "deleted\n", result
            assert output(sandbox, "ls -A /testbed /tmp; pwd") == "/testbed:\n\n/tmp:\n/testbed\n"
        lost = sandbox.run("exit 5")
        assert lost.rebuilt and lost.exit_code == 5
        assert output(sandbox, "pwd; bash -c 'echo works'") == "/testbed\nworks\n"
        with pytest.raises(FileNotFoundError):
            sandbox.read_file("README.md")
        sandbox.write_file("new/file", b"x")
        assert sandbox.read_file("new/file") == b"x"
    assert (repo / "README.md").read_text() == "hello\n" and Path("/tmp").is_dir()


def test_ways_out_of_the_workspace(sandbox: SessionSandbox) -> None:
    """`..` and links lead to the sandbox's own files, never to the host's."""
    name = f"swe-srl-escape-{uuid4().hex}"
    mine = Path("/tmp", name)
    mine.write_text("host")
    try:
        sandbox.run(f"cd /testbed; ln -s /tmp/{name} link; ln -s ../../../../../../tmp up; ln -s /proc/1/root root")
        for path in ("link", f"up/{name}", f"../../../../tmp/{name}", f"/tmp/{name}"):
            with pytest.raises(FileNotFoundError):
                sandbox.read_file(path)
        for path in (f"root/tmp/{name}", "../proc/self/environ", "/sys/kernel/notes", "/dev/zero"):
            with pytest.raises((PathOutsideWorkspaceError, FileNotFoundError)):
                sandbox.read_file(path)
        for path in ("link", f"up/{name}", f"../../../../tmp/{name}"):
            sandbox.write_file(path, b"inside")
            assert sandbox.read_file(f"/tmp/{name}") == b"inside"
        for path in ("/etc/passwd", "../usr/bin/bash", "/proc/sysrq-trigger"):
            with pytest.raises(SandboxError):
                sandbox.write_file(path, b"x")
        assert mine.read_text() == "host"
    finally:
        mine.unlink()
        sandbox.run(f"cd /testbed; rm -f link up root /tmp/{name}")


def test_time_outs_of_both_kinds(sandbox: SessionSandbox) -> None:
    session = sandbox._session
    limits, session.limits = session.limits, type(session.limits)(silent_seconds=3, command_seconds=60)
    try:
        silent: CommandResult = sandbox.run("echo once; sleep 600")
        total = sandbox.run("while :; do echo more; sleep 0.1; done", timeout=4.5)
    finally:
        session.limits = limits
    assert silent.timed_out and silent.output.startswith(
        "once\n[the command was killed after 3 seconds without output;"
    )
    assert total.timed_out and "more\n[the command was killed after 4.5 seconds;" in total.output
    assert_goes_on(sandbox)
