"""The table of the episodes on their way, for a terminal: one line each, and what there is so far."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from swe_srl.plain import cut, one_line, width
from swe_srl.progress import Doing, Tally

if TYPE_CHECKING:
    from rich.console import RenderableType

STYLES = {Doing.STARTING: "dim", Doing.THINKING: "cyan", Doing.RUNNING: "yellow", Doing.GRADING: "magenta"}


@dataclass(frozen=True, slots=True)
class Row:
    """One episode.

    Args:
        what: it is at, since the moment `since`.
        begun: when it began, or its grading.
        turn: it is at, from 1; 0 before the first and in grading.
        command: the last one.
    """

    what: Doing
    begun: float
    since: float
    turn: int = 0
    command: str = ""


class EpisodeTable:
    """Keeps what the episodes are at, and draws it; implements `swe_srl.progress.Watch`. Safe for threads.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rows: dict[str, Row] = {}
        self._tally = Tally()
        self._first: tuple[int, float] | None = None  # samples that were done when counting began, and when that was

    def doing(self, episode: str, what: Doing, turn: int = 0, command: str = "") -> None:
        """Put an episode's line, below those that are there."""
        now = self._clock()
        with self._lock:
            known = self._rows.get(episode) or Row(what, now, now)
            shown = one_line(command) or known.command
            self._rows[episode] = replace(known, what=what, since=now, turn=turn, command=shown)

    def ended(self, episode: str) -> None:
        """Take an episode's line away."""
        with self._lock:
            self._rows.pop(episode, None)

    def counted(self, tally: Tally) -> None:
        """Keep what there is so far. The first one tells what an earlier start left: it is not counted for the speed."""
        with self._lock:
            if self._first is None or tally.asked != self._tally.asked:
                self._first = tally.graded + tally.failures, self._clock()
            self._tally = tally

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._rows, self._tally, self._first = {}, Tally(), None

    def parts(self, columns: int, height: int) -> list[RenderableType]:
        """What is drawn: at most `height` lines, each of at most so many columns."""
        with self._lock:
            rows, tally, first = dict(self._rows), self._tally, self._first
        now = self._clock()
        parts: list[RenderableType] = []
        room = height - bool(tally.asked)
        if rows and room > 0:
            shown = len(rows) if len(rows) < room else max(0, room - 2)  # the heading, and the line about the others
            if shown:
                parts += _table({name: rows[name] for name in list(rows)[:shown]}, columns, now)
            if len(rows) > shown:
                text = f"{'… and ' if shown else ''}{_others(list(rows.values())[shown:])}"
                parts.append(_line(cut(text, columns), "dim"))
        if tally.asked and height > 0:
            parts.append(_line(cut(totals(tally, first, now), columns), "bold"))
        return parts


def totals(tally: Tally, first: tuple[int, float] | None, now: float) -> str:
    """One line about what there is so far.

    Args:
        tally: the counts.
        first: samples that were done at a moment, and that moment; from then on the speed is told.
        now: this moment.
    """
    done = tally.graded + tally.failures
    left = tally.asked - done
    words = ["nothing graded yet"]
    if tally.graded:
        rate = f"{tally.resolved / tally.graded:.1%} ({tally.low:.1%} to {tally.high:.1%})"
        words = [f"resolved {tally.resolved} of {tally.graded}: {rate}"]
    words.append(f"{left} of {tally.asked} left")
    if first is not None and done > first[0] and left:
        words[-1] += f", about {_clock_time((now - first[1]) / (done - first[0]) * left)}"
    words.append(f"infrastructure failures {tally.failures}")
    return "; ".join(words)


def _table(rows: dict[str, Row], columns: int, now: float) -> list[RenderableType]:
    """A heading and a line for each row. Commands come last, with nothing behind them: where a terminal draws signs wider or
    narrower than another one does, nothing else moves."""
    names = {name: one_line(name.removesuffix("#0")) for name in rows}
    task = min(max(len("task"), *map(width, names.values())), max(12, columns // 3))
    lines = [_cells(task, "task", "turn", "time", "state", "last command")]
    for name, row in rows.items():
        state = f"{row.what.value:<8} {_clock_time(now - row.since)}"
        lines.append(
            _cells(
                task, names[name], str(row.turn) if row.turn else "", _clock_time(now - row.begun), state, row.command
            )
        )
    styles = ["dim", *(STYLES[row.what] for row in rows.values())]
    return [_line(cut(line, columns), style) for line, style in zip(lines, styles, strict=True)]


def _cells(task_columns: int, task: str, turn: str, time: str, state: str, command: str) -> str:
    name = cut(task, task_columns)
    name += " " * (task_columns - width(name))
    return f"{name}  {turn:>4}  {time:>7}  {state:<14}  {command}".rstrip()


def _line(text: str, style: str) -> RenderableType:
    from rich.text import Text

    return Text(text, style, no_wrap=True, overflow="crop")


def _others(rows: list[Row]) -> str:
    counted = Counter(row.what for row in rows)
    return f"{len(rows)} more: " + ", ".join(f"{counted[what]} {what.value}" for what in Doing if counted[what])


def _clock_time(seconds: float) -> str:
    """Hours, minutes and seconds.

    >>> _clock_time(62.4), _clock_time(7262)
    ('1:02', '2:01:02')
    """
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
