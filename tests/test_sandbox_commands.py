"""What an agent can do to its shell, on both sandboxes: what it sees, and that the next command works."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from swe_srl.sandboxes import session as session_module
from swe_srl.sandboxes.base import SessionSandbox
from swe_srl.sandboxes.losses import EARLIER, KEPT
from swe_srl.sandboxes.session import ShellSession
from tests.sandbox_support import (
    KINDS,
    LIMITS,
    UNTIL_SLEEPING,
    assert_well,
    between_commands,
    may_go_on,
    new_sandbox,
    output,
    processes,
    repository,
    wait_until,
)

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module", params=KINDS)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SessionSandbox]:
    with new_sandbox(request.param, repository(tmp_path_factory.mktemp("commands"))) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared: SessionSandbox) -> Iterator[SessionSandbox]:
    """The module's sandbox, at its workdir, and well before and after every test."""
    shared.run("cd /testbed")
    yield shared
    assert_well(shared)


def test_output_and_exit_code(sandbox: SessionSandbox) -> None:
    result = sandbox.run("echo out; echo err >&2; (exit 3)")
    assert (result.output, result.exit_code) == ("out\nerr\n", 3)
    assert not (result.timed_out or result.truncated or result.rebuilt)
    assert result.duration > 0


def test_state_lasts(sandbox: SessionSandbox) -> None:
    sandbox.run("cd src; plain=1; export LOUD='a b'; twice() { echo $1 $1; }; alias hey='echo hey'; shopt -s nullglob")
    assert output(sandbox, "pwd; echo $plain $LOUD; twice x; hey; echo *.none") == "/testbed/src\n1 a b\nx x\nhey\n\n"
    sandbox.run("shopt -u nullglob; unset plain LOUD; unset -f twice; unalias hey")


def test_last_exit_code_lasts(sandbox: SessionSandbox) -> None:
    sandbox.run("(exit 5)")
    assert output(sandbox, "echo $?") == "5\n"


def test_background_job_can_be_ended_later(sandbox: SessionSandbox) -> None:
    sandbox.run(f"sleep 300 & worker=$!; {UNTIL_SLEEPING}")
    assert "sleep" in output(sandbox, "jobs")
    assert output(sandbox, "kill $worker; wait $worker; echo ended $?").endswith("ended 143\n")
    assert processes(sandbox) == []


def test_error_messages_name_the_line(sandbox: SessionSandbox) -> None:
    assert sandbox.run("nosuch").output == "bash: line 1: nosuch: command not found\n"
    assert sandbox.run("\n\nnosuch").output == "bash: line 3: nosuch: command not found\n"


@pytest.mark.parametrize(
    "command",
    [
        "echo before; sleep 600",
        "echo before; while :; do :; done",
        "echo before; trap '' TERM INT HUP; while :; do sleep 1; done",
        "echo before; (trap '' TERM; setsid sleep 600 & ) ; sleep 600",
        "echo before; kill -STOP $$",
        "echo before; exec sleep 600",
        "echo before; yes | cat >/dev/null",
    ],
)
def test_time_out_kills_everything(sandbox: SessionSandbox, command: str) -> None:
    sandbox.run("cd src; export KEPT=yes")
    result = sandbox.run(command, timeout=2.5)
    assert result.duration < 60
    assert result.timed_out and result.rebuilt and result.exit_code is None
    assert result.output.startswith("before\n[the command was killed after 2.5 seconds; every process was ended")
    assert result.output.endswith("directory and exported variables are kept]")
    assert processes(sandbox) == []
    assert output(sandbox, "pwd; echo $KEPT") == "/testbed/src\nyes\n"


def test_nothing_after_the_killed_part_runs(sandbox: SessionSandbox) -> None:
    sandbox.run("rm -f marker")
    sandbox.run("sleep 600; touch marker", timeout=0.3)
    assert sandbox.run("test -e marker").exit_code == 1


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("exit 3", 3),
        ("set -e; false; echo not reached", 1),
        ("set -u; echo $undefined_variable", 127),
        ("exec true", 0),
        ("kill -9 $$", 137),
        ("exec /bin/bash", 0),
        ("exec 3>&1 $(eval echo {4..250}'>&-')", None),
        ("eval exec {3..250}'>&-'; true", None),
        ("trap 'exit 9' DEBUG; true", 9),
    ],
)
def test_lost_shell_is_rebuilt(sandbox: SessionSandbox, command: str, code: int | None) -> None:
    sandbox.run("cd src; export KEPT='a\nb'; other=gone")
    result = sandbox.run(f"echo before; {command}", timeout=60)
    assert result.output.startswith("before\n")
    if code is not None:
        assert result.exit_code == code and result.rebuilt and not result.timed_out
        assert "directory and exported variables are kept]" in result.output
        assert output(sandbox, 'pwd; echo "$KEPT"; echo ${other-unset}') == "/testbed/src\na\nb\nunset\n"


def test_state_of_the_lost_command_is_kept_when_it_exits(sandbox: SessionSandbox) -> None:
    sandbox.run("cd /testbed/src; export FRESH=1; exit 0")
    assert output(sandbox, "pwd; echo $FRESH") == "/testbed/src\n1\n"


def test_every_process_killed(sandbox: SessionSandbox) -> None:
    sandbox.run("cd src; export KEPT=yes; echo data > file")
    first = sandbox.run("kill -9 -1")
    second = sandbox.run("pwd; echo $KEPT; cat file")
    assert first.rebuilt or second.rebuilt
    assert second.output.endswith("/testbed/src\nyes\ndata\n")


def test_background_job_killing_the_shell_later(sandbox: SessionSandbox) -> None:
    sandbox.run(f"cd src; {between_commands('kill -9 $$')}")
    may_go_on(sandbox)
    result = sandbox.run("pwd")
    assert result.rebuilt and result.output.endswith("kept]\n/testbed/src\n")
    sandbox.restart()


def test_background_output_stays_out_of_later_commands(sandbox: SessionSandbox) -> None:
    result = sandbox.run("(while :; do echo noise; sleep 0.01; done) & noisy=$!; echo started")
    assert result.output.replace("noise\n", "") == "started\n" and not result.timed_out
    for _ in range(3):
        assert output(sandbox, "sleep 0.1; echo quiet") == "quiet\n"
    assert output(sandbox, "kill -0 $noisy && echo alive; kill $noisy") == "alive\n"


def test_job_that_outlives_its_command_is_not_hurt_by_its_output(sandbox: SessionSandbox) -> None:
    sandbox.run("rm -f ticks; (for i in 1 2 3 4; do sleep 0.1; echo tick; echo tick >> ticks; done) &")
    for _ in range(6):
        sandbox.run("sleep 0.1")
    wait_until(lambda: sandbox.run("wc -l < ticks").output.strip() == "4")


def test_flooding_background_job(sandbox: SessionSandbox) -> None:
    assert not sandbox.run("yes & flood=$!").timed_out
    for _ in range(3):
        assert output(sandbox, "sleep 0.2; echo quiet") == "quiet\n"
    assert output(sandbox, "kill -0 $flood && echo alive; kill -9 $flood; wait $flood 2>/dev/null; true") == "alive\n"


def test_wait_does_not_hang(sandbox: SessionSandbox) -> None:
    assert output(sandbox, "sleep 0.05 & wait; echo waited") == "waited\n"


@pytest.mark.parametrize(
    "command",
    [
        "cat",
        "read -r line; echo got:$line",
        "python3 -c 'print(repr(__import__(\"sys\").stdin.read()))'",
        "python3",
        "git log",
        "cd /testbed && git -c user.name=a -c user.email=a@b commit --allow-empty --quiet -m x && git commit --amend --quiet",
        "sort",
    ],
)
def test_nothing_waits_for_input(sandbox: SessionSandbox, command: str) -> None:
    assert not sandbox.run(command).timed_out


def test_much_output_is_bounded(sandbox: SessionSandbox) -> None:
    result = sandbox.run("head -c 50000000 /dev/zero | tr '\\0' x; echo; echo last")
    assert result.truncated and result.exit_code == 0
    assert len(result.output) < LIMITS.output_bytes + 100
    assert result.output.startswith("xxx") and result.output.endswith("x\nlast\n")
    cut = re.search(r"\n\[(\d+) bytes of output cut here\]\n", result.output)
    assert cut is not None and int(cut[1]) == 50_000_000 + 6 - LIMITS.output_bytes


def test_output_of_exactly_the_limit_is_whole(sandbox: SessionSandbox) -> None:
    result = sandbox.run(f"printf '%0{LIMITS.output_bytes}d' 7")
    assert not result.truncated and len(result.output) == LIMITS.output_bytes


def test_foreign_bytes_become_text(sandbox: SessionSandbox) -> None:
    text = output(sandbox, r"printf 'a\0b\xff\xc3\xa9 \xed\xa0\x80 \x1b[31m\n'")
    assert text == "a\ufffdb\ufffd\u00e9 \ufffd\ufffd\ufffd \x1b[31m\n"
    text.encode()


def test_cut_does_not_split_characters(sandbox: SessionSandbox) -> None:
    result = sandbox.run("python3 -c 'print(\"\u00e9\u20ac\" * 4000)'")
    assert result.truncated and "\ufffd" not in result.output


def test_long_command(sandbox: SessionSandbox) -> None:
    text = "y" * 1_000_000
    assert output(sandbox, f"x='{text}'; echo ${{#x}}; unset x") == "1000000\n"


def test_every_byte_that_bash_accepts(sandbox: SessionSandbox) -> None:
    every = bytes(range(1, 256)).replace(b"'", b"").decode("utf-8", "surrogateescape")
    assert output(sandbox, f"printf %s '{every}' | wc -c").strip() == "254"


def test_lone_surrogate_in_a_command(sandbox: SessionSandbox) -> None:
    assert output(sandbox, "echo a\ud800b") == "a\ufffdb\n"


def test_too_long_a_command_is_refused(sandbox: SessionSandbox) -> None:
    result = sandbox.run(":" * (session_module.COMMAND_CHARACTERS + 1))
    assert result.exit_code == 126 and result.output.startswith("[the command was not run")


def test_nul_in_a_command_is_dropped(sandbox: SessionSandbox) -> None:
    assert output(sandbox, "echo a\0b") == "ab\n"


@pytest.mark.parametrize(
    "command", ["echo 'open", 'echo "open', "echo $(open", "if true; then", "echo ${a", "}", ")", ";;"]
)
def test_broken_syntax_is_an_error_message(sandbox: SessionSandbox, command: str) -> None:
    result = sandbox.run(command)
    assert result.exit_code not in (0, None) and result.output.startswith("bash: ")


def test_open_here_document(sandbox: SessionSandbox) -> None:
    assert "inside\n" in output(sandbox, "cat <<EOF\ninside")


@pytest.mark.parametrize(
    "command",
    [
        "exec >/dev/null 2>&1",
        "exec 2>&1 1>/tmp/redirected",
        "PS1='>>> '; PS4='trace '; PROMPT_COMMAND='echo prompt'",
        "trap 'echo bye' EXIT",
        "trap 'echo debug' DEBUG; trap 'echo err' ERR; trap - DEBUG ERR",
        "printf() { echo no; }; echo() { builtin echo no; }; cd() { :; }; exit() { :; }; unset -f printf echo cd exit",
        "builtin() { echo hijacked; }; command() { echo hijacked; }; unset -f command",
        "eval() { echo hijacked; }; exec() { echo hijacked; }; unset -f eval exec",
        "set -o noglob; set +o noglob",
        "set -x; set +x",
        "set -v; set +v",
        "break; continue",
        "ulimit -n 20",
        "ulimit -f 0",
    ],
)
def test_shell_tricks(sandbox: SessionSandbox, command: str) -> None:
    sandbox.run(command)
    assert_well(sandbox)
    sandbox.run("exit")  # the next test gets a fresh shell


@pytest.mark.parametrize(
    "command", ["readonly IFS OPTIND REPLY", "declare -rf f 2>/dev/null; f() { :; }; readonly -f f", "PATH="]
)
def test_tricks_that_last(sandbox: SessionSandbox, command: str) -> None:
    sandbox.run(command)
    assert_well(sandbox)
    sandbox.run("PATH=/usr/local/bin:/usr/bin:/bin; exit")


def test_set_eux_lasts_and_does_not_break_framing(sandbox: SessionSandbox) -> None:
    sandbox.run("set -eux")
    assert sandbox.run("echo traced").output.endswith("+ echo traced\ntraced\n")
    assert sandbox.run("false; echo not reached").exit_code == 1
    assert_well(sandbox)


def test_readonly_builtin_is_a_lost_shell_not_a_lie(sandbox: SessionSandbox) -> None:
    result = sandbox.run("builtin() { echo hijacked; }; readonly -f builtin")
    assert result.rebuilt and not result.timed_out
    assert_well(sandbox)


def test_deleted_directory(sandbox: SessionSandbox) -> None:
    sandbox.run("mkdir -p /tmp/doomed && cd /tmp/doomed && rmdir /tmp/doomed")
    assert_well(sandbox)
    assert sandbox.run("ls").output == ""
    assert output(sandbox, "cd /testbed && pwd") == "/testbed\n"


def test_deleted_directory_of_a_lost_shell(sandbox: SessionSandbox) -> None:
    result = sandbox.run("mkdir -p /tmp/doomed && cd /tmp/doomed && rmdir /tmp/doomed; exit 4")
    assert result.exit_code == 4
    assert output(sandbox, "cd /testbed && pwd") == "/testbed\n"


def test_end_mark_is_not_to_be_had(sandbox: SessionSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything a command can easily read holds no nonce of its own end mark."""
    given: list[str] = []
    real = session_module.secrets.token_hex

    def recorded(size: int) -> str:
        given.append(real(size))
        return given[-1]

    monkeypatch.setattr(session_module.secrets, "token_hex", recorded)
    dump = "set; declare -p; env; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ; ls -l /proc/[0-9]*/fd; history; fc -l"
    result = sandbox.run(f"{{ {dump}; }} 2>&1 > /tmp/dump")
    content = sandbox.read_file("/tmp/dump").decode(errors="replace")
    nonces = [token for token in given if len(token) == 32]
    assert result.exit_code is not None and len(content) > 1000 and nonces
    assert not [token for token in nonces if token in content]


def test_old_mark_does_not_end_a_later_command(sandbox: SessionSandbox) -> None:
    assert output(sandbox, "printf 'D%032d 0\\0/\\0\\0' 0; printf 'R\\0X0\\0'; echo real").endswith("real\n")


def test_fork_bomb(sandbox: SessionSandbox) -> None:
    result = sandbox.run("bomb() { bomb | bomb & }; bomb; sleep 2", timeout=1.5)
    assert result.timed_out or "fork" in result.output
    deadline = time.monotonic() + 60
    while (left := processes_or_none(sandbox)) and time.monotonic() < deadline:
        sandbox.run("sleep 600", timeout=0.2)  # another time-out kills what is left
    assert left == []


def processes_or_none(sandbox: SessionSandbox) -> list[str]:
    result = sandbox.run("ps -e -o comm= | grep -vxE 'bash|bwrap|ps|cat|grep' ; ps -e | wc -l")
    return [] if result.exit_code == 0 and int(result.output.split()[-1]) < 20 else ["many"]


def test_memory_hog(sandbox: SessionSandbox) -> None:
    result = sandbox.run("python3 -c 'x = bytearray(1 << 30); print(len(x))'")
    assert result.exit_code != 0 and "1073741824" not in result.output


def test_open_files_are_limited(sandbox: SessionSandbox) -> None:
    assert int(output(sandbox, "ulimit -n")) == LIMITS.open_files


def test_silence_is_not_waited_for(request: pytest.FixtureRequest, shared: SessionSandbox) -> None:
    session = shared._session
    limits = session.limits
    session.limits = type(limits)(silent_seconds=4, command_seconds=60)
    try:
        talking = shared.run("for i in 1 2 3 4 5; do echo $i; sleep 1; done")
        silent = shared.run("echo once; sleep 600")
    finally:
        session.limits = limits
    assert talking.exit_code == 0
    assert silent.timed_out
    assert silent.output.startswith("once\n[the command was killed after 4 seconds without output")


@pytest.mark.parametrize(
    ("command", "kept", "after", "shown"),
    [
        (
            "mkdir -p /tmp/gone; cd /tmp/gone; rmdir /tmp/gone; exit 3",
            "the directory cannot be entered any more",
            "echo $MINE",
            "1\n",
        ),
        ("unset PWD; export LATER=5; exit 3", KEPT, "echo $MINE $LATER", "1 5\n"),
        ("cd /usr; PWD=/tmp; exit 3", KEPT, "pwd", "/usr\n"),
        ("trap : EXIT; export LAST=5; exit 3", EARLIER, "echo $MINE${LAST-}", "1\n"),
    ],
)
def test_what_a_lost_shell_leaves_is_said_exactly(
    sandbox: SessionSandbox, command: str, kept: str, after: str, shown: str
) -> None:
    sandbox.run("export MINE=1")
    lost = sandbox.run(command)
    assert lost.rebuilt and lost.output.endswith(f"{kept}]"), lost
    assert sandbox.run(after).output == shown


@pytest.mark.parametrize("flood", ["head -c 2000000 /dev/zero >&191", "while :; do printf 'B\\0R\\0' >&191; done"])
def test_a_flooded_control_channel_ends_the_shell_at_once(sandbox: SessionSandbox, flood: str) -> None:
    sandbox.run("export MINE=1")
    result = sandbox.run(f"{flood}; sleep 600", timeout=60)
    assert result.rebuilt and not result.timed_out and "the shell was lost" in result.output
    assert sandbox.run("echo $MINE").output == "1\n"


def test_a_command_that_no_shell_took_up_is_given_to_another(sandbox: SessionSandbox) -> None:
    sandbox.run(f"rm -f /tmp/ran; {between_commands('kill -STOP $$')}")
    may_go_on(sandbox)
    result = sandbox.run("echo x >>/tmp/ran; echo once", timeout=5)
    assert not result.timed_out and "the shell did not answer" in result.output and result.output.endswith("once\n")
    assert sandbox.run("cat /tmp/ran").output == "x\n"


def test_an_interrupt_is_not_followed_by_another_commands_output(sandbox: SessionSandbox) -> None:
    sandbox.run("export MINE=1")
    control = sandbox._session._control
    whole, calls = control.feed, []

    def interrupted(data: bytes) -> list[bytes]:
        calls.append(data)
        raise KeyboardInterrupt

    control.feed = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        sandbox.run("echo first; sleep 0.5; echo second")
    control.feed = whole  # type: ignore[method-assign]
    result = sandbox.run("echo third; (exit 7)")
    assert calls and result.rebuilt and result.exit_code == 7
    assert result.output.endswith("kept]\nthird\n") and "first" not in result.output and "second" not in result.output
    assert sandbox.run("echo $MINE").output == "1\n"


@pytest.mark.parametrize("command", ["sleep 60", "exit 3"])
def test_an_interrupt_while_the_shell_comes_back_loses_no_state_unsaid(
    sandbox: SessionSandbox, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    sandbox.run("cd /tmp; export MINE=1")

    def interrupted(session: ShellSession, seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(ShellSession, "_await_worker", interrupted)
        sandbox.run(command, timeout=1)
    result = sandbox.run("pwd; echo $MINE")
    assert result.rebuilt and result.output.endswith("directory and exported variables are kept]\n/tmp\n1\n")
    assert_well(sandbox)


def test_a_snapshot_of_a_shell_that_stops_at_errors(sandbox: SessionSandbox) -> None:
    sandbox.run("set -eu -o pipefail; X=1")
    sandbox.snapshot().discard()
    assert sandbox.run("echo ${X-lost}; set +eu +o pipefail").output == "1\n"


def test_nothing_of_the_owner_is_in_the_first_process(sandbox: SessionSandbox) -> None:
    shown = sandbox.run("tr '\\0' '\\n' </proc/1/environ; tr '\\0' '\\n' </proc/1/cmdline").output
    assert "PYTHON" not in shown and "site-packages" not in shown and str(Path(__file__).parent.parent) not in shown
