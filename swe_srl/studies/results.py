"""What a study found: the figures of every arm, from its run folders."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from swe_srl.evaluation.comparison import outcomes
from swe_srl.evaluation.recorded import RecordedRun
from swe_srl.evaluation.statistics import Estimate
from swe_srl.provenance import environment
from swe_srl.runs import RunFolder
from swe_srl.settings import as_mapping
from swe_srl.studies.definition import Arm
from swe_srl.studies.records import Record, Records
from swe_srl.studies.statistics import Values, difference, mean_of
from swe_srl.studies.units import Runs
from swe_srl.training.settings import TrainSettings
from swe_srl.types import FormatError, Trajectory

UNBOUNDED = 10_000.0  # tokens a turn may have, for the interval of tokens that never vary


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
        records: of the runs.
        settings: of the first run's training, as far as they are not the defaults; its stages likewise.
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
    records: tuple[Record, ...]
    settings: Mapping[str, Any]

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


def read_results(runs: Runs, records: Records, left: Mapping[str, str], command: str, spent: float) -> Results:
    """Read the finished runs of a study.

    Args:
        runs: of the study.
        records: which of them are finished.
        left: why others are missing.
        command: as the user typed it.
        spent: seconds of all starts.
    """
    tables: dict[str, list[ArmResult]] = {}
    read: dict[str, _Read] = {}
    for table in runs.tables():
        rows: list[ArmResult] = []
        for arm in runs.arms:
            row = _arm(runs, records, table, arm, read)
            if row is not None:
                rows.append(row)
        base = next((row for row in rows if row.arm.name == runs.study.base), None)
        tables[table] = [_against(base, row) if base is not None and row is not base else row for row in rows]
    return Results(runs, tables, left, command, spent, environment(), list(records))


def _against(base: ArmResult, row: ArmResult) -> ArmResult:
    return dataclasses.replace(
        row,
        change=difference(base.resolved, row.resolved),
        longer=difference(base.turn_tokens, row.turn_tokens, (-UNBOUNDED, UNBOUNDED)),
    )


@dataclass(frozen=True)
class _Read:
    """One evaluation."""

    resolved: Mapping[str, float]
    hardened: Mapping[str, float]
    turn_tokens: Mapping[str, float]
    trajectories: Sequence[Trajectory]
    resolved_trajectories: Sequence[Trajectory]
    similarity: float | None
    lost: int


def _arm(runs: Runs, records: Records, table: str, arm: Arm, read: dict[str, _Read]) -> ArmResult | None:
    """The row of an arm, None when no run of it is finished."""
    found: dict[int, _Read] = {}
    kept: list[Record] = []
    places: list[str] = []
    for seed in runs.seeds:
        unit = runs.of(table, arm, seed)
        record = records.done(unit.name)
        if record is None:
            continue
        place = record.same_as or unit.name
        if place not in read:
            read[place] = _evaluation(runs, place)
        found[seed] = read[place]
        kept.append(record)
        places.append(place)
    if not found:
        return None
    all_turns = [turn for one in found.values() for trajectory in one.trajectories for turn in trajectory.turns]
    similarities = [one.similarity for one in found.values() if one.similarity is not None]
    resolved = {seed: one.resolved for seed, one in found.items()}
    hardened = {seed: one.hardened for seed, one in found.items()}
    ended = [trajectory for one in found.values() for trajectory in one.resolved_trajectories]
    count = sum(len(one.trajectories) for one in found.values())
    return ArmResult(
        arm=arm,
        seeds=tuple(found),
        resolved=resolved,
        hardened=hardened,
        rate=mean_of(resolved),
        hardened_rate=mean_of(hardened),
        change=None,
        similarity=fmean(similarities) if similarities else None,
        format_errors=_mean(float(isinstance(turn.action, FormatError)) for turn in all_turns),
        tokens=_mean(turn.completion_tokens for turn in all_turns),
        thought_tokens=_mean(turn.thought_tokens for turn in all_turns),
        turn_tokens={seed: one.turn_tokens for seed, one in found.items()},
        longer=None,
        turns=len(all_turns) / max(1, count),
        turns_resolved=_mean(len(one.turns) for one in ended) if ended else None,
        samples=count,
        lost=sum(one.lost for one in found.values()),
        records=tuple(kept),
        settings=_settings(runs, places[0]) if arm.recipe else {},
    )


def _evaluation(runs: Runs, name: str) -> _Read:
    folder = runs.settings.folder / "runs" / name / "eval"
    recorded = RecordedRun.read(folder)
    graded = {key: recorded.episodes[key][0] for key in recorded.verdicts if key in recorded.episodes}
    tokens: dict[str, list[float]] = {}
    for (task, _), trajectory in graded.items():
        if trajectory.turns:
            tokens.setdefault(task, []).append(fmean(turn.completion_tokens for turn in trajectory.turns))
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return _Read(
        {task: fmean(values) for task, values in outcomes(folder).items()},
        {task: fmean(values) for task, values in outcomes(folder, hardened=True).items()},
        {task: fmean(values) for task, values in tokens.items()},
        list(graded.values()),
        [graded[key] for key, verdict in recorded.verdicts.items() if verdict.official and key in graded],
        report["similarity"],
        len(recorded.failures),
    )


def _settings(runs: Runs, place: str) -> dict[str, Any]:
    """What a training was told, as its folder has it, without what is the default."""
    folder = RunFolder.read(runs.settings.folder / "runs" / place / "train", ("train",))
    usual = as_mapping(TrainSettings())
    found = {key: value for key, value in folder.settings.items() if value != usual.get(key)}
    stages = folder.settings["stages"]
    first = usual["stages"][0]
    found["stages"] = [
        {key: value for key, value in stage.items() if key == "method" or value != first.get(key)} for stage in stages
    ]
    return found


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return fmean(listed) if listed else 0.0


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain({one.name: getattr(value, one.name) for one in dataclasses.fields(value)})
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value

