"""Reads the finished runs of a study: from run folders to rows of tables."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from swe_srl.evaluation.comparison import outcomes
from swe_srl.evaluation.recorded import RecordedRun
from swe_srl.evaluation.statistics import Estimate
from swe_srl.files import read_jsonl
from swe_srl.provenance import environment
from swe_srl.runs import RunFolder
from swe_srl.settings import as_mapping
from swe_srl.studies.definition import Arm
from swe_srl.studies.records import Record, Records
from swe_srl.studies.results import ArmResult, Results
from swe_srl.studies.statistics import difference, mean_of
from swe_srl.studies.units import Runs
from swe_srl.tasks.difficulty import difficulty_of
from swe_srl.training.settings import TrainSettings
from swe_srl.types import FormatError, Task, Trajectory


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
    lengths = [tokens for one in (base, row) for tasks in one.turn_tokens.values() for tokens in tasks.values()]
    longest = max(lengths, default=0.0)
    common = base.episodes.keys() & row.episodes.keys()
    if common and all(
        base.episodes[seed] == row.episodes[seed] and base.resolved[seed] == row.resolved[seed] for seed in common
    ):
        nothing = Estimate(0.0, 0.0, 0.0)  # other tasks and seeds would give the same episodes too
        return dataclasses.replace(row, change=nothing, longer=nothing, as_base=True)
    return dataclasses.replace(
        row,
        change=difference(base.resolved, row.resolved),
        longer=difference(base.turn_tokens, row.turn_tokens, (-longest, longest)),
    )


@dataclass(frozen=True)
class _Read:
    """One evaluation."""

    resolved: Mapping[str, float]
    hardened: Mapping[str, float]
    turn_tokens: Mapping[str, float]
    trajectories: Sequence[Trajectory]
    resolved_trajectories: Sequence[Trajectory]
    digest: str  # of what was written in every turn of every episode
    similarity: float | None
    lost: int
    by_difficulty: Mapping[str, tuple[int, int]]
    by_kind: Mapping[str, tuple[int, int]]


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
        episodes={seed: one.digest for seed, one in found.items()},
        by_difficulty=_added([one.by_difficulty for one in found.values()]),
        by_kind=_added([one.by_kind for one in found.values()]),
        trajectories=_trajectories(runs, places[0]) if arm.recipe else None,
        skipped=_skipped(runs, places),
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
        _digest(graded),
        report["similarity"],
        len(recorded.failures),
        _by(recorded, difficulty_of),
        _by(recorded, lambda task: str(json.loads(task.extra).get("kind") or "")),
    )


def _digest(episodes: Mapping[tuple[str, int], Trajectory]) -> str:
    """The same for the same tasks, samples and completions, each as the policy wrote it."""
    written = [
        (*key, [turn.raw or str(turn.action) for turn in episodes[key].turns], episodes[key].patch)
        for key in sorted(episodes)
    ]
    return hashlib.sha256(json.dumps(written).encode()).hexdigest()


def _by(recorded: RecordedRun, group: Callable[[Task], str]) -> dict[str, tuple[int, int]]:
    """Resolved and graded samples by the group of their task; those of none ("") are left out."""
    kinds = {name: group(task) for name, task in recorded.tasks().items()}
    rows = [{kinds[task]: (int(verdict.official), 1)} for (task, _), verdict in recorded.verdicts.items()]
    return {name: count for name, count in _added(rows).items() if name}


def _added(counts: Iterable[Mapping[str, tuple[int, int]]]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for one in counts:
        for name, (resolved, graded) in one.items():
            before = found.get(name, (0, 0))
            found[name] = before[0] + resolved, before[1] + graded
    return found


def _skipped(runs: Runs, places: Iterable[str]) -> float | None:
    """Of all updates that sampled."""
    rows = [
        row
        for place in places
        for row in read_jsonl(runs.settings.folder / "runs" / place / "train" / "metrics.jsonl")
        if "skipped_share" in row
    ]
    return fmean(row["skipped_share"] for row in rows) if rows else None


def _trajectories(runs: Runs, place: str) -> int | None:
    """How many trajectories a training had."""
    file = runs.settings.folder / "runs" / place / "train" / "steps.json"
    if not file.exists():  # of rlvr alone
        return None
    found: int | None = json.loads(file.read_text(encoding="utf-8")).get("trajectories_trained_on")
    return found


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
