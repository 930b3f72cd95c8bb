"""How long a session waits for a command: to be taken up, to say something, to end, and to have its output's end arrive."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

BEGIN_SECONDS = 10.0  # for a shell to take a command up
BYTES_PER_SECOND = 200_000  # of a command, that a slow shell reads
MARK_SECONDS = 5.0  # without output, between a command's report and the end mark of its output
ASK_SECONDS = (0.1, 0.5)  # until it is asked whether the shell is still there: for the first time, and from then on
LONGEST_WAIT = 3600.0

Kind = Literal["done", "exit", "timeout", "silence", "stuck", "unmarked", "closed"]


@dataclass
class Ending:
    """How a command ended, and whether the worker had taken it up.

    "done"; "exit" (the worker is gone); "timeout"; "silence"; "stuck" (no shell took it up); "unmarked" (it is done, but the
    end of its output is lost); "closed" (everything is gone).
    """

    kind: Kind
    exit_code: int | None = None
    begun: bool = True


class Patience:
    """The deadlines of one command.

    Args:
        seconds: for the whole command.
        silent_seconds: without output; 0 for any time.
        begin: for a shell to take it up.
        starting: the shell may take these seconds more to take it up; `seconds` count from then on.
    """

    def __init__(self, seconds: float, silent_seconds: float, begin: float, starting: float = 0) -> None:
        now = time.monotonic() + starting
        self._seconds = seconds if starting else 0
        self._silent_seconds = 0 if starting else silent_seconds
        self._ask = now - starting + ASK_SECONDS[0]
        self._ends: dict[Kind, float] = {"timeout": now + seconds, "stuck": now + begin}
        self.said()

    def begun(self) -> None:
        """A shell has taken the command up."""
        self._ends.pop("stuck", None)
        if self._seconds:
            self._ends["timeout"] = time.monotonic() + self._seconds
            self._seconds = 0

    def said(self) -> None:
        """The command has said something."""
        if "unmarked" in self._ends:
            self.done()
        elif self._silent_seconds:
            self._ends["silence"] = time.monotonic() + self._silent_seconds

    def done(self) -> None:
        """The command is over: only the end of its output is waited for."""
        self._ends.pop("silence", None)
        self._ends["unmarked"] = time.monotonic() + MARK_SECONDS

    def pause(self) -> float:
        """The seconds until it is to be asked whether the shell is still there; 0 or less once when it is time to."""
        now = time.monotonic()
        pause = self._ask - now
        if pause <= 0:
            self._ask = now + ASK_SECONDS[1]
        return pause

    def left(self) -> tuple[Kind, float]:
        """The nearest deadline, and the seconds until then (0 or less when it has passed)."""
        kind = min(self._ends, key=lambda name: self._ends[name])
        return kind, min(self._ends[kind] - time.monotonic(), LONGEST_WAIT)


def begin_seconds(size: int) -> float:
    """Seconds for a shell to take up a command of `size` bytes."""
    return BEGIN_SECONDS + size / BYTES_PER_SECOND
