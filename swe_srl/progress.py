"""How long work tells what it is doing. Only `cli` prints: everything else reports to a `Progress`."""

from __future__ import annotations

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
