"""Progress of long work, drawn for a person: bars and a table of episodes on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

from swe_srl.cli.live import EpisodeTable
from swe_srl.plain import one_line, plain
from swe_srl.progress import Doing, Tally

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

LINE_SECONDS = 30.0
LINE_SHARE = 0.1
MARGIN = 2  # columns and lines of the terminal that stay free, for signs that it draws wider than they should be


class RichProgress:
    """A bar per track, and above them a line for each episode on its way, on standard error.

    Implements `swe_srl.progress.Progress` and `swe_srl.progress.Watch`.
    """

    def __init__(self) -> None:
        self._live: Live | None = None
        self._bars: Bars = _new_bars()
        self._tracks: dict[str, TaskID] = {}
        self._episodes = EpisodeTable()

    def track(self, name: str, total: int | None = None, done: int = 0) -> None:
        """Start (or restart) a bar."""
        self._started()
        if name in self._tracks:
            self._bars.remove_task(self._tracks[name])
        self._tracks[name] = self._bars.add_task(name, total=total, completed=done, info="")

    def advance(self, name: str, amount: int = 1, info: str = "") -> None:
        """Move a bar on; `info` stands behind it."""
        self._started()
        if name not in self._tracks:
            self.track(name)
        self._bars.advance(self._tracks[name], amount)
        if info:
            self._bars.update(self._tracks[name], info=one_line(info))

    def note(self, text: str) -> None:
        """A line above the bars."""
        self._started().console.print(plain(text), highlight=False, markup=False)

    def doing(self, episode: str, what: Doing, turn: int = 0, command: str = "") -> None:
        """Put an episode's line."""
        self._episodes.doing(episode, what, turn, command)

    def ended(self, episode: str) -> None:
        """Take it away."""
        self._episodes.ended(episode)

    def counted(self, tally: Tally) -> None:
        """Renew the line of what there is so far."""
        self._episodes.counted(tally)

    def stop(self) -> None:
        """Leave the bars as they stand, without the episodes. Idempotent; a later report starts new ones."""
        live, self._live = self._live, None
        self._episodes.clear()
        if live is not None:
            live.stop()
        self._bars = _new_bars()
        self._tracks = {}

    def _started(self) -> Live:
        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            # Where standard output is no terminal, what is written there must not be drawn on this one.
            self._live = Live(
                get_renderable=self._screen,
                console=Console(stderr=True),
                redirect_stdout=sys.stdout.isatty(),
                vertical_overflow="crop",
            )
            self._live.start()
        return self._live

    def _screen(self) -> RenderableType:
        from rich.console import Console, Group

        console = self._live.console if self._live is not None else Console(stderr=True)
        height = console.height - len(self._tracks) - MARGIN
        return Group(*self._episodes.parts(console.width - MARGIN, height), self._bars.get_renderable())


def _new_bars() -> Bars:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[info]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
        console=Console(stderr=True),
    )


class PlainProgress:
    """A line at the beginning of a track, at every tenth of it or every half minute, and at its end.

    Args:
        stream: where the lines go.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._totals: dict[str, int | None] = {}
        self._done: dict[str, int] = {}
        self._told: dict[str, tuple[int, float]] = {}

    def track(self, name: str, total: int | None = None, done: int = 0) -> None:
        """Start (or restart) a track."""
        self._totals[name], self._done[name] = total, done
        self._tell(name, "")

    def advance(self, name: str, amount: int = 1, info: str = "") -> None:
        """Count; tell when a tenth of the track or half a minute has passed, and at the end."""
        total = self._totals.setdefault(name, None)
        done = self._done[name] = self._done.get(name, 0) + amount
        told, at = self._told.get(name, (0, 0.0))
        share = total is not None and done - told >= max(1.0, LINE_SHARE * total)
        if share or done == total or time.monotonic() - at >= LINE_SECONDS:
            self._tell(name, info)

    def note(self, text: str) -> None:
        """One line."""
        print(plain(text), file=self._stream, flush=True)

    def stop(self) -> None:
        """Nothing is kept open."""

    def _tell(self, name: str, info: str) -> None:
        done, total = self._done[name], self._totals[name]
        self._told[name] = (done, time.monotonic())
        count = f"{done}/{total}" if total is not None else str(done)
        print(f"{name}: {count}{f'  {one_line(info)}' if info else ''}", file=self._stream, flush=True)
