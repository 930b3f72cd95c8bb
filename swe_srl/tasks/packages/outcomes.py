"""What became of every mutation that was tried: a journal that a killed run goes on with, and the counts of a report."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from swe_srl.files import append_jsonl, read_jsonl
from swe_srl.tasks.packages.trial import Candidate
from swe_srl.tasks.rows import task_from_row
from swe_srl.tasks.surroundings import located, portable
from swe_srl.trajectories.rows import trajectory_from_row, trajectory_to_row
from swe_srl.types import Task, Trajectory

KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mutation.

    Args:
        key: of the candidate.
        kind: of the mutation.
        reason: KEPT, or why it is not, in a few words.
        detail: more about that.
        task, trajectory: of a kept one.
    """

    key: str
    kind: str
    reason: str
    detail: str = ""
    task: Task | None = None
    trajectory: Trajectory | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """Mutations tried of one repository, by kind and reason."""

    name: str
    tried: Mapping[tuple[str, str], int]

    def by_reason(self) -> dict[str, int]:
        """Mutations by what became of them, KEPT first."""
        counts: Counter[str] = Counter()
        for (_, reason), count in self.tried.items():
            counts[reason] += count
        return {KEPT: counts[KEPT], **{reason: counts[reason] for reason in sorted(counts) if reason != KEPT}}

    def by_kind(self) -> dict[str, tuple[int, int]]:
        """Mutations tried and kept, by kind."""
        kinds = sorted({kind for kind, _ in self.tried})
        return {
            kind: (
                sum(count for (found, _), count in self.tried.items() if found == kind),
                self.tried.get((kind, KEPT), 0),
            )
            for kind in kinds
        }

    def as_row(self) -> dict[str, Any]:
        kinds = {kind: {"tried": tried, "kept": kept} for kind, (tried, kept) in self.by_kind().items()}
        return {"name": self.name, "reasons": self.by_reason(), "kinds": kinds}


@dataclass
class Journal:
    """The outcomes of one repository on disk: one row each, written as soon as it is known. Thread-safe.

    Args:
        file: the journal.
        folder: that the rows' places are relative to, so that it can be moved.
    """

    file: Path
    folder: Path
    _known: dict[str, Outcome] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        for row in read_jsonl(self.file):
            outcome = self._outcome(row)
            self._known[outcome.key] = outcome

    def get(self, candidate: Candidate) -> Outcome | None:
        """What is known of a candidate."""
        with self._lock:
            return self._known.get(candidate.key)

    def add(self, outcome: Outcome) -> None:
        """Write an outcome down."""
        row: dict[str, Any] = {"key": outcome.key, "kind": outcome.kind, "reason": outcome.reason}
        if outcome.detail:
            row["detail"] = outcome.detail
        if outcome.task is not None and outcome.trajectory is not None:
            row["task"] = portable(outcome.task.row(), self.folder)
            row["trajectory"] = trajectory_to_row(outcome.trajectory)
        with self._lock:
            append_jsonl(self.file, row)
            self._known[outcome.key] = outcome

    def _outcome(self, row: Mapping[str, Any]) -> Outcome:
        outcome = Outcome(row["key"], row["kind"], row["reason"], row.get("detail", ""))
        if "task" not in row:
            return outcome
        task = task_from_row(located(row["task"], self.folder))
        return replace(outcome, task=task, trajectory=trajectory_from_row(row["trajectory"]))


def count(name: str, outcomes: Iterable[Outcome]) -> Count:
    """The counts of the outcomes of one repository."""
    return Count(name, dict(Counter((outcome.kind, outcome.reason) for outcome in outcomes)))
