"""How long work tells what it is doing. Only `cli` prints: everything else reports to a `Progress`."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Progress(Protocol):
    """Receives the progress of named tracks; called from one thread at a time."""

    def track(self, name: str, total: int | None = None, done: int = 0) -> None:
        """Start (or restart) a track with `total` units of work, `done` of them finished."""

    def advance(self, name: str, amount: int = 1, info: str = "") -> None:
        """`amount` more units of a track are finished; `info` is a short text shown beside it."""

    def note(self, text: str) -> None:
        """Tell one line to the user (a warning, a milestone)."""


class SilentProgress:
    """Ignores everything: the default of library calls."""

    def track(self, name: str, total: int | None = None, done: int = 0) -> None:
        """Ignore."""

    def advance(self, name: str, amount: int = 1, info: str = "") -> None:
        """Ignore."""

    def note(self, text: str) -> None:
        """Ignore."""


class Doing(str, Enum):
    """What an episode on its way is at."""

    STARTING = "starting"  # its image and its sandbox are made ready
    THINKING = "thinking"  # the policy is asked
    RUNNING = "running"  # its command runs
    GRADING = "grading"  # its patch is graded


@dataclass(frozen=True, slots=True)
class Tally:
    """What an evaluation has so far.

    Args:
        asked: samples in all.
        graded: samples with a verdict.
        resolved: of the graded ones, by the official rules.
        failures: samples that the infrastructure broke in this start.
        low, high: 95% interval of the resolve rate; 0 and 1 as long as nothing is graded.
    """

    asked: int = 0
    graded: int = 0
    resolved: int = 0
    failures: int = 0
    low: float = 0.0
    high: float = 1.0


class Watch(Protocol):
    """Sees the episodes on their way. Called from many threads at once; must return at once."""

    def doing(self, episode: str, what: Doing, turn: int = 0, command: str = "") -> None:
        """An episode (named `TASK#SAMPLE`) is at something now: at `turn` (from 1) with `command`, where there is one."""

    def ended(self, episode: str) -> None:
        """An episode is at nothing any more."""

    def counted(self, tally: Tally) -> None:
        """What there is so far has changed."""


class NoWatch:
    """Sees nothing: the default of library calls."""

    def doing(self, episode: str, what: Doing, turn: int = 0, command: str = "") -> None:
        """Ignore."""

    def ended(self, episode: str) -> None:
        """Ignore."""

    def counted(self, tally: Tally) -> None:
        """Ignore."""


class SharedProgress:
    """Passes everything on, from one thread at a time.

    Args:
        progress: receives it.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()

    def track(self, name: str, total: int | None = None, done: int = 0) -> None:
        """Pass it on."""
        with self._lock:
            self._progress.track(name, total, done)

    def advance(self, name: str, amount: int = 1, info: str = "") -> None:
        """Pass it on."""
        with self._lock:
            self._progress.advance(name, amount, info)

    def note(self, text: str) -> None:
        """Pass it on."""
        with self._lock:
            self._progress.note(text)
