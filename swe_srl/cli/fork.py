"""`swe-srl fork`: a recorded turn as a live sandbox, to try another command from there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swe_srl.cli.console import Console
from swe_srl.cli.replay import describe
from swe_srl.cli.tasks import SPLIT
from swe_srl.settings import check_at_least, setting
from swe_srl.trajectories.action_format import SUBMIT

if TYPE_CHECKING:
    from swe_srl.envs import SweEnv
    from swe_srl.evaluation.forking import ForkPoint
    from swe_srl.protocols import Sandbox

UNFINISHED = ("unexpected end of file", "unexpected EOF", "delimited by end-of-file")


@dataclass(frozen=True)
class ForkSettings:
    """Settings of `swe-srl fork`."""

    episode: str = setting(
        "",
        "SOURCE:TASK#SAMPLE@TURN. The source is an evaluation's run folder, or trajectories (a file, a folder, quickstart). "
        "Turns before TURN are run again, so that its own command can be replaced; without @TURN all are.",
    )
    command: str = setting("", "Run this command from there, and stop; without it there is a prompt.")
    split: str = setting("", f"Where the episode's task is, when the run does not say. {SPLIT}")
    sandbox: str | None = setting(
        None, "Where the commands run; none: as in the run, or auto.", choices=("auto", "local", "docker")
    )
    timeout: float = setting(0.0, "Seconds a command may take; 0 for the sandbox's own limit.")
    full: bool = setting(False, "Show the turns that were run again, and whole differences.")

    def __post_init__(self) -> None:
        check_at_least(self, timeout=0)


def run(settings: ForkSettings, console: Console) -> int:
    """Run the turns again, then the command or a prompt; exit code 1 when a command that was given fails."""
    from swe_srl.evaluation.forking import find_fork_point, opened

    point = find_fork_point(settings.episode, settings.split)
    console.sweep()
    with opened(point, settings.sandbox or point.sandbox) as (env, sandbox):
        replay_beginning(point, sandbox, settings, console)
        if settings.command:
            return 0 if run_command(settings.command, sandbox, settings, console) else 1
        tell_recorded(point, console)
        prompt(point.turn, env, sandbox, settings, console)
    return 0


def replay_beginning(point: ForkPoint, sandbox: Sandbox, settings: ForkSettings, console: Console) -> None:
    """Run the commands before the point again, and say where what they show differs from the record."""
    from swe_srl.trajectories.replay import replay

    differing = turns = 0
    for turn in replay(point.beginning, sandbox, settings.timeout or None):
        turns += turn.result is not None
        differing += turn.observation == "different" or turn.exit_code_differs
        for line in describe(turn, settings.full):
            console.say(line)
    told = f"{differing} of them show something else than recorded" if differing else "all as recorded"
    console.say(f"{point.trajectory.trajectory_id}: {turns} commands run again{f', {told}' if turns else ''}")


def run_command(command: str, sandbox: Sandbox, settings: ForkSettings, console: Console) -> bool:
    """Run one command and show what it shows; whether its exit code is 0."""
    result = sandbox.run(command, settings.timeout or None)
    if result.output:
        console.say(result.output.removesuffix("\n"))
    if result.exit_code != 0:
        console.say("[killed]" if result.exit_code is None else f"[exit code {result.exit_code}]")
    return result.exit_code == 0


def tell_recorded(point: ForkPoint, console: Console) -> None:
    """What the episode did from there."""
    from swe_srl.types import Action

    if point.turn == len(point.trajectory.turns):
        console.say(f"the episode ended here; {SUBMIT} shows the patch and ends, exit ends")
        return
    action = point.trajectory.turns[point.turn].action
    recorded = action.command if isinstance(action, Action) else f"no command: {action.reason}"
    console.say(f"turn {point.turn} was: {recorded}\n{SUBMIT} shows the patch and ends, exit ends")


def prompt(turn: int, env: SweEnv, sandbox: Sandbox, settings: ForkSettings, console: Console) -> None:
    """Read commands and run them until `exit`, `submit` or the end of the input."""
    while True:
        command = read_command(f"{turn} $ ", _ask)
        if command is None or command.strip() == "exit":
            return
        if command.strip() == SUBMIT:
            console.say(env.patch().rstrip("\n") or "the patch is empty")
            return
        if command.strip():
            run_command(command, sandbox, settings, console)
            turn += 1


def read_command(sign: str, ask: Callable[[str], str]) -> str | None:
    """One command, over as many lines as it takes to close its quotes and here-documents; None at the end of the input."""
    lines: list[str] = []
    while True:
        try:
            lines.append(ask("> " if lines else sign))
        except EOFError:
            return "\n".join(lines) if lines else None
        text = "\n".join(lines)
        if not unfinished(text):
            return text


def unfinished(command: str) -> bool:
    """Whether bash would wait for more lines. It reads the command, and runs nothing."""
    if command.endswith("\\"):
        return True
    bash = shutil.which("bash")
    if bash is None:
        return False
    checked = subprocess.run([bash, "-n"], input=f"{command}\n", capture_output=True, text=True, check=False)
    return any(sign in checked.stderr for sign in UNFINISHED)


def _ask(sign: str) -> str:
    """A line of the user's; without a sign where nobody looks."""
    return input(sign if sys.stdin.isatty() else "")
