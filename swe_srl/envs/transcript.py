"""An episode as text."""

from __future__ import annotations

import sys

from swe_srl.plain import plain
from swe_srl.types import Action, Turn


def transcript(turn: Turn) -> str:
    """A command and what it showed, as a terminal has it."""
    command = turn.action.command if isinstance(turn.action, Action) else turn.action.text
    output = turn.observation if not turn.observation or turn.observation.endswith("\n") else f"{turn.observation}\n"
    code = "killed" if turn.exit_code is None else f"exit code {turn.exit_code}"
    return f"$ {command}\n{output}" + ("" if turn.exit_code == 0 else f"[{code}]\n")


def show(text: str) -> None:
    """Write to the terminal at once: nothing that would do something to it, and only what it can show."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(plain(text).encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()
