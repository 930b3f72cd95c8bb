"""`swe-srl fork`: recorded turns run again in a real sandbox, another command from there, and nothing left behind."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from grading_support import tiny_task
from viewer_support import episode, make_run

from swe_srl.cli import main
from swe_srl.cli.fork import read_command, unfinished
from swe_srl.errors import ConfigError
from swe_srl.evaluation.forking import find_fork_point
from swe_srl.files import write_jsonl
from swe_srl.sandboxes import launch
from swe_srl.trajectories import write_trajectories
from swe_srl.types import Action, FormatError, Task, Trajectory, Turn
from tests.sandbox_support import NAP, wait_until

SLEEP = f"sleep {NAP}"
_ARGUMENTS = SLEEP.replace(" ", "\0").encode() + b"\0"
Fork = Callable[..., tuple[int, str, str]]


def recorded(task: Task) -> Trajectory:
    """An episode whose third observation is not what the commands bring."""
    turns = (
        Turn(Action("export GREETING=hello; cd /tmp && cd - >/dev/null; echo one > one.txt"), "", 0),
        Turn(FormatError("two commands"), ""),
        Turn(Action("cat one.txt; false"), "another text\n", 0),
        Turn(Action("echo $GREETING"), "hello\n", 0),
        Turn(Action("echo after > after.txt"), "", 0),
        Turn(Action("submit"), "", 0),
    )
    return replace(episode(task.instance_id), turns=turns, trajectory_id=f"{task.instance_id}#1", repo=task.repo)


@pytest.fixture
def task(run_root: Path) -> Task:
    made = tiny_task(run_root / "calc")
    write_jsonl(run_root / "rows.jsonl", [made.row()])
    return made


@pytest.fixture
def run(run_root: Path, task: Task) -> str:
    """A run whose second sample is `recorded`."""
    episodes = [(episode(task.instance_id), 0), (recorded(task), 1)]
    make_run(run_root / "run", episodes, tasks="rows.jsonl", split="mine", sandbox="local")
    return f"run:{task.instance_id}"


@pytest.fixture
def fork(capsys: pytest.CaptureFixture[str]) -> Fork:
    """Run the command: exit code, standard output, standard error."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(("fork", *arguments))
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return call


@pytest.mark.sandbox
def test_another_command_from_a_recorded_turn(fork: Fork, run: str) -> None:
    code, out, _ = fork(f"{run}#1@4", "-c", "echo $GREETING; cat one.txt; ls after.txt")
    assert "turn 2: different: cat one.txt; false" in out and "-another text" in out and "+one" in out
    assert "exit code 1, recorded 0" in out
    assert "3 commands run again, 1 of them show something else than recorded" in out
    assert "hello\none\n" in out and "No such file" in out, "turn 4 was not run"
    assert code == 1 and "[exit code" in out
    code, out, _ = fork(f"{run}#1@1", "--command", "cat one.txt", "--full")
    assert code == 0 and "turn 0: equal" in out and "1 commands run again, all as recorded\none" in out


@pytest.mark.sandbox
def test_the_prompt(fork: Fork, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = (
        "cat > two.txt <<'END'\n$HOME\nEND\necho \"a\nb\"; test -e after.txt && echo here\nfalse\nsubmit\nnever read\n"
    )
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    code, out, _ = fork(f"{run}#1")
    assert code == 0 and "the episode ended here" in out
    assert "a\nb\nhere\n[exit code 1]\ndiff --git a/after.txt" in out
    assert "+++ b/two.txt" in out and "+$HOME" in out and "+++ b/one.txt" in out


@pytest.mark.sandbox
def test_the_end_of_the_input_ends(fork: Fork, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    code, out, _ = fork(f"{run}#1@0")
    assert code == 0 and "turn 0 was: export GREETING" in out and "0 commands run again\n" in out


@pytest.mark.sandbox
def test_nothing_is_left_behind(fork: Fork, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    during: list[set[str]] = []

    def look(*arguments: object) -> bool:
        during.append(left_behind())
        raise KeyboardInterrupt

    before = left_behind()
    code, out, _ = fork(f"{run}#1@4", "-c", f"{SLEEP} & echo there")
    assert code == 0 and out.endswith("there\n")
    wait_until(lambda: left_behind() == before)  # a process that was killed may be dying
    monkeypatch.setattr("swe_srl.cli.fork.run_command", look)
    assert fork(f"{run}#1@4", "-c", "true")[0] == 130
    assert during[0] - before, "a running sandbox is seen"
    wait_until(lambda: left_behind() == before)


def left_behind() -> set[str]:
    """Folders of this process's sandboxes, and living processes that a sandbox started."""
    sleeping = {entry.parent.name for entry in Path("/proc").glob("[0-9]*/cmdline") if _content(entry) == _ARGUMENTS}
    return sleeping | {entry.name for entry in launch.runtime_folder().iterdir() if launch.owner_name() in entry.name}


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def test_what_a_name_means(run: str, task: Task, run_root: Path) -> None:
    point = find_fork_point(f"{run}#1@3")
    assert (point.task, point.turn, len(point.beginning.turns), point.sandbox) == (task, 3, 3, "local")
    assert point.trajectory.trajectory_id == f"{task.instance_id}#1"
    point = find_fork_point(run)
    assert (point.trajectory.trajectory_id, point.turn) == (f"{task.instance_id}#0", 5)
    write_trajectories(run_root / "expert.jsonl", [replace(recorded(task), trajectory_id="one:two")])
    assert find_fork_point(f"expert.jsonl:{task.instance_id}@2", "rows.jsonl").turn == 2
    assert find_fork_point("quickstart:quickstart__lexer-1@0").definition == "quickstart"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("run", "expected SOURCE:TASK#SAMPLE@TURN"),
        ("run:tiny__calk-1", "did you mean 'tiny__calc-1'"),
        ("run:tiny__calc-1#7", "has no sample 7; there is: 0, 1"),
        ("run:tiny__calc-1#1@9", "has 6 turns, 0 to 5"),
        ("nowhere:tiny__calc-1", "nowhere: no such file or folder"),
        ("quickstart:quickstart__lexer-1000", "did you mean 'quickstart__lexer-1"),
    ],
)
def test_wrong_names(fork: Fork, run: str, name: str, message: str) -> None:
    assert run == "run:tiny__calc-1"
    code, _, err = fork(name, "-c", "true")
    assert code == 2 and message in err


def test_a_task_that_is_not_there_any_more(run: str, run_root: Path, task: Task) -> None:
    write_jsonl(run_root / "rows.jsonl", [replace(task, instance_id="tiny__other-1").row()])
    with pytest.raises(ConfigError, match=r"tiny__calc-1 is not among the run's tasks: .*--split"):
        find_fork_point(run)


def test_commands_of_several_lines() -> None:
    lines = iter(["cat <<E", "it's", "E", "echo 'a", "b'", "for i in 1 2; do", "echo $i; done", "ls \\", "-l", "fi"])
    asked: list[str] = []

    def ask(sign: str) -> str:
        asked.append(sign)
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    read = [read_command("$ ", ask) for _ in range(6)]
    assert read == ["cat <<E\nit's\nE", "echo 'a\nb'", "for i in 1 2; do\necho $i; done", "ls \\\n-l", "fi", None]
    assert asked[:4] == ["$ ", "> ", "> ", "$ "]
    assert not unfinished("echo done") and not unfinished(")")
