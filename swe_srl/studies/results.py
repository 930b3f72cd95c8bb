"""What a study found: the figures of every arm."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from swe_srl.evaluation.statistics import Estimate
from swe_srl.settings import as_mapping
from swe_srl.studies.definition import Arm
from swe_srl.studies.records import Record
from swe_srl.studies.statistics import Values
from swe_srl.studies.units import Runs


@dataclass(frozen=True)
class ArmResult:
    """One row of a table.

    Args:
        seeds: those with a finished run.
        resolved: by seed and task, the share of its samples that the official rules call resolved.
        hardened: the same by the hardened rules.
        rate, hardened_rate: their means, with intervals over seeds and tasks.
        change: of the rate to the base's, paired by seed and task; None for the base itself.
        similarity: mean similarity to the expert's commands; None when no expert is known.
        format_errors: share of the turns.
        tokens: completion tokens per turn; `thought_tokens` are those of the thoughts.
        longer: difference of the tokens per turn to the base's, paired.
        turns: of an episode; `turns_resolved` of those that were resolved, None without any.
        lost: samples that the infrastructure broke: they count for nothing.
        by_difficulty: resolved and graded samples by the tasks' difficulty; empty where nothing tells it.
        by_kind: the same by the kind of the bug.
        trajectories: that a training had; None where it had no steps.
        skipped: share of the sampled groups whose rewards were too much alike to learn from; None when nothing was sampled.
        records: of the runs.
        settings: of the first run's training, as far as they are not the defaults; its stages likewise.
        episodes: by seed, a digest of what was written in all episodes.
        as_base: whether these are the base's own, word for word: then the differences to it are 0, without a spread.
    """

    arm: Arm
    seeds: tuple[int, ...]
    resolved: Values
    hardened: Values
    rate: Estimate
    hardened_rate: Estimate
    change: Estimate | None
    similarity: float | None
    format_errors: float
    tokens: float
    thought_tokens: float
    turn_tokens: Values
    longer: Estimate | None
    turns: float
    turns_resolved: float | None
    samples: int
    lost: int
    by_difficulty: Mapping[str, tuple[int, int]]
    by_kind: Mapping[str, tuple[int, int]]
    trajectories: int | None
    skipped: float | None
    records: tuple[Record, ...]
    settings: Mapping[str, Any]
    episodes: Mapping[int, str] = field(default_factory=dict)
    as_base: bool = False

    @property
    def forward(self) -> float:
        """Forward tokens of a training, mean over seeds."""
        return fmean(record.forward_tokens for record in self.records)

    @property
    def backward(self) -> float:
        """Backward tokens of a training, mean over seeds."""
        return fmean(record.backward_tokens for record in self.records)

    @property
    def compute(self) -> float:
        """Forward and twice the backward tokens, mean over seeds."""
        return fmean(record.compute for record in self.records)

    @property
    def minutes(self) -> float:
        """Of a training's own stages, mean over seeds."""
        return fmean(record.train_seconds for record in self.records) / 60

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        row = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        row |= {name: getattr(self, name) for name in ("forward", "backward", "compute", "minutes")}
        return {key: _plain(value) for key, value in row.items()}


@dataclass(frozen=True)
class Results:
    """The tables of a study.

    Args:
        runs: what was asked for.
        tables: rows by table, in the study's order.
        left: runs that are missing, with the reason.
        command: as the user typed it.
        spent: seconds of all starts.
        machine: what the last start ran on.
        records: of all runs that were begun.
    """

    runs: Runs
    tables: Mapping[str, Sequence[ArmResult]]
    left: Mapping[str, str]
    command: str
    spent: float
    machine: Mapping[str, Any]
    records: Sequence[Record] = ()

    @property
    def failed(self) -> list[str]:
        """Runs that failed: the next start tries them again."""
        return [record.name for record in self.records if record.status == "failed"]

    def left_lines(self) -> list[str]:
        """What is missing, a line for every arm of a table: its seeds, and the reason of the first."""
        seeds: dict[str, list[str]] = {}
        for name in self.left:
            arm, _, seed = name.rpartition("-")
            seeds.setdefault(arm, []).append(seed)
        return [
            f"`{arm}`, seed{'s' if len(found) > 1 else ''} {', '.join(found)}: "
            + " ".join(self.left[f"{arm}-{found[0]}"].split())
            for arm, found in seeds.items()
        ]

    @property
    def tasks(self) -> int:
        """Held-out tasks that were graded."""
        rows = [row for rows in self.tables.values() for row in rows]
        return max((len(tasks) for row in rows for tasks in row.resolved.values()), default=0)

    def row(self, table: str, name: str) -> ArmResult | None:
        """An arm's row, when there is one."""
        return next((row for row in self.tables.get(table, ()) if row.arm.name == name), None)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "command": self.command,
            "study": self.runs.settings.study,
            "settings": as_mapping(self.runs.settings),
            "share_of_updates": self.runs.share,
            "seeds": self.runs.seeds,
            "samples": self.runs.samples,
            "tasks": self.tasks,
            "seconds": round(self.spent, 1),
            "machine": _plain(self.machine),
            "left_out": dict(self.left),
            "tables": {table: [row.as_dict() for row in rows] for table, rows in self.tables.items()},
        }


def lines_of(rows: Sequence[ArmResult]) -> dict[str, list[tuple[int, ArmResult]]]:
    """The arms of every line with the number of trajectories that they trained on, the fewest first."""
    found: dict[str, list[tuple[int, ArmResult]]] = {}
    for row in rows:
        if row.arm.line and row.trajectories:
            found.setdefault(row.arm.line, []).append((row.trajectories, row))
    return {name: sorted(points, key=lambda point: point[0]) for name, points in found.items()}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain({one.name: getattr(value, one.name) for one in dataclasses.fields(value)})
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
