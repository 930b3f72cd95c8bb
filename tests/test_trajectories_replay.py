from contextlib import AbstractContextManager

import pytest

from swe_srl.errors import SandboxError
from swe_srl.trajectories.replay import compare, end_diff, replay, same_patch
from swe_srl.types import Action, CommandResult, FormatError, Trajectory, Turn


class Scripted(AbstractContextManager):
    """A sandbox that answers from a table."""

    def __init__(self, answers, files=None):
        self.answers, self.files, self.ran = answers, files or {}, []

    def run(self, command, timeout=None):
        self.ran.append(command)
        output, code = self.answers.get(command, ("", 0))
        return CommandResult(output, code, 0.0, timed_out=code is None)

    def read_file(self, path):
        return self.files[path]

    def __exit__(self, *error):
        return None


TRAJECTORY = Trajectory(
    "t",
    "task",
    (
        Turn(Action("ls"), "a.py\n", 0),
        Turn(FormatError("no command", "Hm."), "Give one."),
        Turn(Action("pytest"), "1 passed in 0.31s\n", 0),
        Turn(Action("cat a.py"), "x = 1\n", 0),
        Turn(Action("sleep 99"), "", None),
        Turn(Action("submit"), ""),
        Turn(Action("ls"), "never"),
    ),
)


def test_every_turn_up_to_the_submission_is_compared():
    sandbox = Scripted(
        {"ls": ("a.py", 0), "pytest": ("1 passed in 0.02s", 0), "cat a.py": ("x = 2", 1), "sleep 99": ("", None)}
    )
    replayed = list(replay(TRAJECTORY, sandbox))
    assert [turn.observation for turn in replayed] == ["equal", "not run", "similar", "different", "equal", "not run"]
    assert [turn.note for turn in replayed] == ["", "no command", "", "", "timed out", "submit"]
    assert [turn.exit_code_differs for turn in replayed] == [False, False, False, True, False, False]
    assert sandbox.ran == ["ls", "pytest", "cat a.py", "sleep 99"]


def test_harnesses_with_a_shell_per_command_get_subshells():
    from dataclasses import replace

    sandbox = Scripted({})
    list(replay(replace(TRAJECTORY, source_format="mini-swe-agent"), sandbox))
    assert sandbox.ran[0] == "(\nls\n)"


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ("a\n", "a", "equal"),
        ("<f at 0x7f3a10>", "<f at 0x55aa33>", "similar"),
        ("x  \ny", "x\ny", "similar"),
        ("/tmp/abc/x.py:3", "/tmp/def/y:3", "different"),
        ("a", "b", "different"),
    ],
)
def test_comparison(first, second, verdict):
    assert compare(first, second) == verdict


def test_the_end_state_is_a_patch():
    sandbox = Scripted({}, {".git/swe-srl-replay.diff": b"diff --git a/x b/x\nindex 1..2 100644\n+a\n"})
    assert same_patch(end_diff(sandbox), "diff --git a/x b/x\nindex 7..9 100644\n+a\n")
    assert not same_patch(end_diff(sandbox), "diff --git a/x b/x\nindex 7..9 100644\n+b\n")


def test_no_end_state_without_a_repository():
    class Bare(Scripted):
        def run(self, command, timeout=None):
            return CommandResult("fatal: not a git repository", 128, 0.0)

    with pytest.raises(SandboxError, match="not a git repository"):
        end_diff(Bare({}))
