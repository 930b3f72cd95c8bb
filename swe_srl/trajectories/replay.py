"""Running a trajectory's commands again, and saying where what they show differs from the record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from swe_srl.errors import SandboxError
from swe_srl.protocols import Sandbox
from swe_srl.trajectories.action_format import SUBMIT
from swe_srl.types import Action, CommandResult, Trajectory

FRESH_SHELLS = frozenset({"mini-swe-agent"})  # formats whose harness ran every command in a shell of its own

_DIFF = ".git/swe-srl-replay.diff"
_VARYING = (
    (re.compile(r"\b0x[0-9a-fA-F]{4,}\b"), "0x"),
    (re.compile(r"\b\d+(?:\.\d+)?\s?(?:s|ms|us|seconds?|secs?)\b"), "TIME"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?"), "DATE"),
    (re.compile(r"\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\s+\d+\s+[\d:]+"), "DATE"),
    (re.compile(r"/tmp/[\w-]+"), "/tmp/"),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
)
_DIFF_INDEX = re.compile(r"^index [0-9a-f]+\.\.[0-9a-f]+.*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Replayed:
    """One turn run again.

    Args:
        index: the turn.
        command: what was run; "" when the turn holds no command.
        result: what it brought; None when nothing was run.
        recorded: the trajectory's observation.
        recorded_exit_code: None when the trajectory does not tell it.
        observation: "equal", "similar" (apart from times, dates, addresses and temporary paths), "different", or "not run".
        note: why nothing was run, or that the command timed out.
    """

    index: int
    command: str
    result: CommandResult | None
    recorded: str
    recorded_exit_code: int | None
    observation: str
    note: str = ""

    @property
    def exit_code_differs(self) -> bool:
        """Whether both exit codes are known and differ."""
        if self.result is None or self.recorded_exit_code is None:
            return False
        return self.result.exit_code != self.recorded_exit_code


def replay(
    trajectory: Trajectory, sandbox: Sandbox, timeout: float | None = None, fresh_shell: bool | None = None
) -> Iterator[Replayed]:
    """Run the commands in order, up to the submit command, and compare what each shows.

    Args:
        trajectory: what to run.
        sandbox: the trajectory's start state.
        timeout: seconds for a command; None for the sandbox's own limit.
        fresh_shell: run every command in a subshell, so that directory and variables do not last; None asks the format.

    Raises:
        SandboxError: the sandbox failed.
    """
    fresh = trajectory.source_format in FRESH_SHELLS if fresh_shell is None else fresh_shell
    for index, turn in enumerate(trajectory.turns):
        if not isinstance(turn.action, Action):
            yield Replayed(index, "", None, turn.observation, turn.exit_code, "not run", turn.action.reason)
            continue
        command = turn.action.command
        if command.strip() == SUBMIT:
            yield Replayed(index, command, None, turn.observation, turn.exit_code, "not run", "submit")
            return
        result = sandbox.run(f"(\n{command}\n)" if fresh else command, timeout)
        verdict = compare(result.output, turn.observation)
        note = "timed out" if result.timed_out else ""
        yield Replayed(index, command, result, turn.observation, turn.exit_code, verdict, note)


def compare(output: str, recorded: str) -> str:
    """ "equal", "similar" or "different".

    >>> compare("3 passed in 0.12s", "3 passed in 0.48s")
    'similar'
    """
    if output.strip() == recorded.strip():
        return "equal"
    return "similar" if settled(output) == settled(recorded) else "different"


def settled(text: str) -> str:
    """The text without what varies from run to run: times, dates, addresses, temporary paths.

    >>> settled("3 passed in 0.12s")
    '3 passed in TIME'
    """
    for pattern, sign in _VARYING:
        text = pattern.sub(sign, text)
    return text.strip()


def end_diff(sandbox: Sandbox) -> str:
    """The sandbox's changes against its last commit as a patch, new files included. The index is left staged.

    Raises:
        SandboxError: the workdir is no git repository.
    """
    done = sandbox.run(f"git add -A && git -c core.pager=cat diff --cached --no-color --no-ext-diff --binary > {_DIFF}")
    if done.exit_code != 0:
        raise SandboxError(f"no end state: the workdir is not a git repository ({done.output.strip()[:200]})")
    return sandbox.read_file(_DIFF).decode("utf-8", errors="replace")


def same_patch(first: str, second: str) -> bool:
    """Whether two patches make the same change: blob ids and line ends aside.

    >>> same_patch("diff --git a/x b/x\\nindex 1..2\\n+a\\n", "diff --git a/x b/x\\nindex 1..3 100644\\n+a")
    True
    """

    def bare(patch: str) -> str:
        return _DIFF_INDEX.sub("", patch.replace("\r\n", "\n").strip() + "\n")

    return bare(first) == bare(second)
