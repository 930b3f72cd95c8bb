"""A command finds the shell that it would find at the top of a script, and leaves it to the next one, on both sandboxes."""

from __future__ import annotations

import gc
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from swe_srl.errors import SandboxError
from swe_srl.sandboxes import session
from swe_srl.sandboxes.base import SessionSandbox
from swe_srl.sandboxes.shell_state import dump_command
from tests.sandbox_support import KINDS, assert_well, folders_of, new_sandbox, output, repository

pytestmark = pytest.mark.timeout(120)
TEXT = "\u00e9\u20ac\U0001f600"  # 2, 3 and 4 bytes


@pytest.fixture(scope="module", params=KINDS[:2])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository(tmp_path_factory.mktemp("shell"))


@pytest.fixture(scope="module")
def shared(kind: str, repo: Path) -> Iterator[SessionSandbox]:
    with new_sandbox(kind, repo) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared: SessionSandbox) -> Iterator[SessionSandbox]:
    """The module's sandbox with a fresh shell, which is still the same one after the test."""
    shared.restart()
    shared.run("cd /testbed; mine=1")
    yield shared
    assert_well(shared)


def assert_bytes_arrive(sandbox: SessionSandbox) -> None:
    for text in (TEXT, f"{TEXT}\\n\\0101\\c%b\\\\{TEXT}" * 500, "\udcff\udce9"):
        written = sandbox.run(f"printf %s '{text}' > text; echo $mine")
        assert (written.output, written.rebuilt) == ("1\n", False)
        assert sandbox.read_file("text") == text.encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("how", ["export", "unset -v LC_ALL; declare"])
def test_a_command_has_the_same_length_in_every_locale(sandbox: SessionSandbox, how: str) -> None:
    for locale in ("C", "C.UTF-8", "", "en_US.ISO-8859-1"):
        sandbox.run(f"{how} LANG={locale} LC_ALL={locale}")
        assert_bytes_arrive(sandbox)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_locked_variables(kind: str, repo: Path, locale: str) -> None:
    """Those that bash's builtins heed. A lock of an exported variable is kept with it when the shell is lost."""
    names = "IFS TMOUT=1 REPLY HISTFILE BASH_ENV PATH LANG LC_CTYPE PS4 PWD OLDPWD HOME"
    with new_sandbox(kind, repo) as sandbox:
        assert output(sandbox, f"export mine=1; readonly LC_ALL={locale} {names}") == ""
        for _ in range(2):
            assert_bytes_arrive(sandbox)
            assert sandbox.run("LC_ALL=").output == "bash: line 1: LC_ALL: readonly variable\n"
            assert sandbox.run("exit 3").rebuilt


@pytest.mark.parametrize("number", [3, 4, 5, 9, 10, 11, 12, 13, 14, 63, 99, 189, 192, 255])
def test_descriptors_last(sandbox: SessionSandbox, number: int) -> None:
    assert output(sandbox, f"exec {number}>kept; echo one >&{number}; bash -c 'echo two' >&{number}") == ""
    assert output(sandbox, f"echo three >&{number}; exec {number}<kept") == ""
    assert output(sandbox, f"cat <&{number}; exec {number}<&-; echo $mine") == "one\ntwo\nthree\n1\n"


def test_descriptors_that_bash_allots_last(sandbox: SessionSandbox) -> None:
    assert output(sandbox, "exec {first}>kept {second}>>kept; echo one >&$first; echo $first $second") == "10 11\n"
    assert output(sandbox, "echo two >&$second; exec {second}>&-; cat kept") == "one\ntwo\n"
    assert output(sandbox, "coproc { while read -r word; do echo got $word; done; }; echo x >&${COPROC[1]}") == ""
    assert output(sandbox, "read -r -u ${COPROC[0]} answer; echo $answer; kill $COPROC_PID") == "got x\n"


def test_programs_get_the_three_standard_descriptors(sandbox: SessionSandbox) -> None:
    listing = output(sandbox, "bash -c 'echo /proc/$$/fd/*'").split()
    assert [int(Path(path).name) for path in listing] == [0, 1, 2, 3]  # 3 is the listed folder


@pytest.mark.parametrize("number", [190, 191])
def test_the_shells_own_descriptors(sandbox: SessionSandbox, number: int) -> None:
    """They cannot be taken; closing one ends the shell at once, and that is said."""
    assert output(sandbox, f"exec {number}>kept; echo $mine") == "1\n"
    assert_well(sandbox)
    lost = sandbox.run(f"exec {number}>&-; exec {number}</dev/null; echo before")
    assert lost.output.startswith("before\n[the shell ended with exit code 122; it was restarted")
    assert lost.rebuilt and not lost.timed_out


def test_tracing_shows_commands_alone(sandbox: SessionSandbox) -> None:
    plus = r"++++"
    assert output(sandbox, "set -x") == ""
    traced = sandbox.run("echo a; (exit 3)")
    assert (traced.output, traced.exit_code) == (f"{plus} echo a\na\n{plus} exit 3\n", 3)
    assert sandbox.run("echo $?").output == f"{plus} echo 3\n3\n"
    assert "unexpected EOF" in sandbox.run("echo 'open").output
    assert sandbox.run("exit 4").output.startswith(f"{plus} exit 4\n[the shell ended with exit code 4;")


@pytest.mark.parametrize(
    "command",
    [
        "IFS=0",
        "IFS=0123456789; (exit 1); IFS=$IFS",
        "kill $PPID",
        "kill -9 $PPID",
        "declare -p > state; sleep 30 & . ./state 2> /dev/null; kill $!; unset IFS",
        "for name in $(compgen -v | grep -v mine); do unset $name; done 2> /dev/null; builtin true",
        'for name in $(compgen -v | grep -v mine); do eval "$name="; done 2> /dev/null; builtin true',
        "FUNCNEST=1",
        "return() { echo returned; }",
        "set -a",
    ],
)
def test_the_shell_outlives(kind: str, repo: Path, command: str) -> None:
    with new_sandbox(kind, repo) as sandbox:
        sandbox.run("mine=1")
        for given, expected in ((command, ""), ('builtin echo "$mine"', "1\n"), (f": {TEXT * 30000}", "")):
            result = sandbox.run(given, 30)
            assert (result.output, result.exit_code, result.rebuilt) == (expected, 0, False)


def test_a_job_that_is_killed_at_once_says_nothing_for_the_shell(sandbox: SessionSandbox) -> None:
    """Before it has put aside the worker's EXIT trap, its death would run it."""
    sandbox.run("mine=1")
    for _ in range(100):
        assert output(sandbox, "sleep 30 & kill $!; echo $mine", 20) == "1\n"
    assert (
        "exit code 4; it was restarted: directory and"
        in sandbox.run("cd src; export mine; unset BASHPID; exit 4").output
    )
    assert output(sandbox, "echo $mine; pwd") == "1\n/testbed/src\n"


def test_all_variables_are_exported(sandbox: SessionSandbox) -> None:
    assert output(sandbox, f"set -a; : {'x' * 200_000}; env | grep __swe; /bin/echo $mine") == "1\n"
    assert output(sandbox, "env | grep __swe; set +a; echo $?") == "0\n"


def test_what_the_last_command_left(sandbox: SessionSandbox) -> None:
    sandbox.run("trap 'echo failed' ERR")
    assert sandbox.run("(exit 3)").output == "failed\n" * 2  # by the command, and by the `eval` around it
    assert output(sandbox, "echo $?") == "3\n"
    assert output(sandbox, "trap - ERR; unset PWD; cd src; builtin pwd; declare list=(a b)") == "/testbed/src\n"
    assert output(sandbox, "echo ${list[1]}; echo ${FUNCNAME-none} $#") == "b\nnone 0\n"
    assert output(sandbox, "alias hi='echo hi'; shopt -u expand_aliases") == ""
    assert sandbox.run("hi").exit_code == 127
    assert output(sandbox, "shopt -s expand_aliases; set -o posix") == ""
    assert output(sandbox, "hi; set -o | grep posix") == "hi\nposix          \ton\n"


def test_all_variables_and_functions_are_unset(kind: str, repo: Path) -> None:
    with new_sandbox(kind, repo) as sandbox:
        every = "for name in $(compgen -v); do unset -v $name; done; for name in $(compgen -A function); do unset -f $name; done"
        assert output(sandbox, f"cd src; {{ {every}; }} 2>/dev/null; builtin echo fine") == "fine\n"
        assert sandbox.run("ls").output == "bash: line 1: ls: No such file or directory\n"
        sandbox.run("PATH=/usr/sbin:/usr/bin:/sbin:/bin; export PATH")
        assert output(sandbox, "pwd; ls") == "/testbed/src\ngone\ntool.py\n"
        assert_well(sandbox)


@contextmanager
def few_descriptors(count: int) -> Iterator[None]:
    """This process can open that many more files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + count + 1, before[1]))
    held: list[int] = []
    try:
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(count):
            os.close(held.pop())
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def left(kind: str) -> tuple[int, list[str], list[str]]:
    """This process's descriptors, folders and containers."""
    gc.collect()  # an earlier test's connection may be nobody's, and open still
    containers = ["docker", "ps", "-aq", "--filter", f"name=swe-srl-{os.getpid()}-"]
    listed = (
        subprocess.run(containers, capture_output=True, text=True, check=True).stdout.split()
        if kind == "docker"
        else []
    )
    folders = [folder.name for folder in folders_of(os.getpid())]
    return len(list(Path("/proc/self/fd").iterdir())), folders, listed


@pytest.mark.parametrize("count", [0, 3, 12, 45])
def test_no_descriptor_is_left_for_a_sandbox(kind: str, repo: Path, shared: SessionSandbox, count: int) -> None:
    before = left(kind)
    refused = pytest.raises(SandboxError, match=r"no file descriptor is left .*--workers.*ulimit -n")
    with ExitStack() as stack, few_descriptors(count), refused:
        for _ in range(count + 1):
            stack.enter_context(new_sandbox(kind, repo))
    assert left(kind) == before
    with new_sandbox(kind, repo) as sandbox:
        assert_well(sandbox)


def test_no_descriptor_is_left_for_a_command(kind: str, sandbox: SessionSandbox) -> None:
    """A command needs one in the local sandbox; a new shell needs some in both."""
    lost = "kill -9 -1; sleep 1"
    with few_descriptors(0):
        with pytest.raises(SandboxError, match="no file descriptor is left"):
            for command in ("exec 5>&1", "echo once >> ran", lost, "echo once >> ran"):
                sandbox.run(command)
        with pytest.raises(SandboxError, match="no file descriptor is left"):
            sandbox.snapshot() if kind == "local" else sandbox.fork(sandbox.snapshot())
    assert output(sandbox, "cat ran; rm -f ran").endswith("once\n" if kind == "docker" else "")


def test_a_fork_tells_that_its_directory_cannot_be_entered(kind: str, repo: Path) -> None:
    with new_sandbox(kind, repo) as sandbox:
        sandbox.run("mkdir gone; cd gone; rmdir ../gone; mine=1")
        snapshot = sandbox.snapshot()
        with sandbox.fork(snapshot) as fork:
            told = fork.run("echo $mine; pwd")
            assert told.output.startswith(
                "[the snapshot's directory cannot be entered, and the shell is in the working directory: "
            )
            assert told.output.endswith("No such file or directory]\n1\n/testbed\n")
            assert told.rebuilt
            assert_well(fork)
        snapshot.discard()


@pytest.mark.parametrize("how", ["set -o posix", "export POSIXLY_CORRECT=yes"])
def test_a_fork_in_posix_mode_has_functions_of_any_name(kind: str, repo: Path, how: str) -> None:
    with new_sandbox(kind, repo) as sandbox:
        output(sandbox, f"cd src; a-b() {{ echo called; }}; v=1; {how}")
        look = "a-b; echo $v $PWD; declare -p POSIXLY_CORRECT; set +o | grep posix"
        wanted, snapshot = output(sandbox, look), sandbox.snapshot()
        with sandbox.fork(snapshot) as fork:
            assert output(fork, look) == wanted and wanted.startswith("called\n1 /testbed/src\n")
        snapshot.discard()


def test_a_fork_is_as_compatible_as_its_parent(kind: str, repo: Path) -> None:
    with new_sandbox(kind, repo) as sandbox:
        sandbox.run("BASH_COMPAT=4.0")
        snapshot = sandbox.snapshot()
        with sandbox.fork(snapshot) as fork:
            assert output(fork, "echo $BASH_COMPAT; shopt -q compat40 && echo set") == "4.0\nset\n"
        snapshot.discard()


def test_a_state_that_cannot_be_taken_in_time_is_told(kind: str, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of very many functions, for which bash takes a time that grows with the square of their number."""
    with new_sandbox(kind, repo) as sandbox:
        sandbox.run("export mine=1; slow() { sleep 600; }")
        with monkeypatch.context() as hurried:
            hurried.setattr(session, "KILL_SECONDS", 2.0)
            hurried.setattr(session, "dump_command", lambda mark: f"slow; {dump_command(mark)}")
            with pytest.raises(SandboxError, match=r"too many functions\?\): .*killed after 8 seconds"):
                sandbox.snapshot()
        assert "killed after 8 seconds" in sandbox.run("true").output
        assert output(sandbox, "echo $mine") == "1\n"
        sandbox.snapshot().discard()
