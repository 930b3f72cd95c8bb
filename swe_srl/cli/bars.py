"""Progress of long work, drawn for a person: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

LINE_SECONDS = 30.0
LINE_SHARE = 0.1


class RichProgress:
    """A bar per track, on standard error; implements `swe_srl.progress.Progress`."""

    def __init__(self) -> None:
        self._bars: Bars | None = None
        self._tracks: dict[str, TaskID] = {}

    def track(self, name: str, total: int | None = None, done: int = 0) -> None:
        """Start (or restart) a bar."""
        bars = self._started()
        if name in self._tracks:
            bars.remove_task(self._tracks[name])
        self._tracks[name] = bars.add_task(name, total=total, completed=done, info="")

    def advance(self, name: str, amount: int = 1, info: str = "") -> None:
        """Move a bar on; `info` stands behind it."""
        bars = self._started()
        if name not in self._tracks:
            self.track(name)
        bars.advance(self._tracks[name], amount)
        if info:
            bars.update(self._tracks[name], info=info)

    def note(self, text: str) -> None:
        """A line above the bars."""
        self._started().console.print(text, highlight=False, markup=False)

    def stop(self) -> None:
        """Leave the bars as they stand. Idempotent; a later report starts new ones."""
        if self._bars is not None:
            self._bars.stop()
        self._bars = None
        self._tracks = {}

    def _started(self) -> Bars:
        if self._bars is None:
            self._bars = _new_bars()
            self._bars.start()
        return self._bars


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

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[info]}", markup=False),
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
        print(text, file=self._stream, flush=True)

    def stop(self) -> None:
        """Nothing is kept open."""

    def _tell(self, name: str, info: str) -> None:
        done, total = self._done[name], self._totals[name]
        self._told[name] = (done, time.monotonic())
        count = f"{done}/{total}" if total is not None else str(done)
        print(f"{name}: {count}{f'  {info}' if info else ''}", file=self._stream, flush=True)
