"""What became of every turn that was read: a step, or a reason with its first example."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from swe_srl.errors import TrajectoryError
from swe_srl.types import Trajectory

EXAMPLE_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Example:
    """Where a reason was met first. `record` counts from 1 in its file, `turn` from 0 in its trajectory (None: no turn)."""

    file: str
    record: int
    turn: int | None
    text: str


@dataclass(slots=True)
class Reported:
    """How often a reason was met, and where first."""

    count: int
    example: Example


@dataclass(slots=True)
class ReadReport:
    """Counts of one pass over trajectories. Pass the same report to `read_trajectories` and `make_steps`.

    `turns_read == steps + sum of turns` holds after every trajectory that `make_steps` has finished.

    Args:
        files: files read.
        trajectories: records that became a trajectory.
        turns_read: turns that `make_steps` was given.
        steps: turns that became a step.
        turns: turns that did not, by reason.
        records: files and records that did not become a trajectory, by reason.
    """

    files: int = 0
    trajectories: int = 0
    turns_read: int = 0
    steps: int = 0
    turns: dict[str, Reported] = field(default_factory=dict)
    records: dict[str, Reported] = field(default_factory=dict)
    formats: dict[str, int] = field(default_factory=dict)
    _places: dict[str, tuple[str, int]] = field(default_factory=dict, repr=False)

    def read(self, trajectory: Trajectory, file: str, record: int) -> None:
        """Note a trajectory and where it came from."""
        self.trajectories += 1
        self.formats[trajectory.source_format] = self.formats.get(trajectory.source_format, 0) + 1
        self.place(trajectory.trajectory_id, file, record)

    def refuse(self, reason: str, file: str, record: int, text: str = "") -> None:
        """Note a file or record that cannot be used."""
        _count(self.records, reason, Example(file, record, None, text[:EXAMPLE_CHARACTERS]))

    def place(self, trajectory_id: str, file: str, record: int) -> None:
        """Note where a trajectory, or a step that was made before, came from."""
        self._places[trajectory_id] = (file, record)

    def report(self, reason: str, trajectory_id: str, turn: int, text: str = "") -> None:
        """Note a turn that becomes no step."""
        file, record = self._places.get(trajectory_id, ("", 0))
        _count(self.turns, reason, Example(file, record, turn, text[:EXAMPLE_CHARACTERS]))

    @property
    def reported(self) -> int:
        """Turns that became no step."""
        return sum(entry.count for entry in self.turns.values())

    def check(self) -> None:
        """Raise when a turn was lost.

        Raises:
            TrajectoryError: `turns_read` is not `steps` plus `reported`.
        """
        if self.turns_read != self.steps + self.reported:
            raise TrajectoryError(
                f"turns were lost: {self.turns_read} read, {self.steps} steps and {self.reported} reported"
            )

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON data: counts, and each reason with its count and first example."""
        return {
            "files": self.files,
            "trajectories": self.trajectories,
            "formats": dict(sorted(self.formats.items())),
            "turns_read": self.turns_read,
            "steps": self.steps,
            "reported": self.reported,
            "turns": _rows(self.turns),
            "records": _rows(self.records),
        }


def _count(table: dict[str, Reported], reason: str, example: Example) -> None:
    entry = table.get(reason)
    if entry is None:
        table[reason] = Reported(1, example)
    else:
        entry.count += 1


def _rows(table: dict[str, Reported]) -> list[dict[str, Any]]:
    ordered = sorted(table.items(), key=lambda item: (-item[1].count, item[0]))
    return [
        {
            "reason": reason,
            "count": entry.count,
            "file": entry.example.file,
            "record": entry.example.record,
            "turn": entry.example.turn,
            "text": entry.example.text,
        }
        for reason, entry in ordered
    ]
