"""What is in a file, folder or data set of trajectories: every turn a step, or counted under its reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swe_srl.trajectories.contamination import ContaminationIndex
from swe_srl.trajectories.prompting import Prompting
from swe_srl.trajectories.read import read_trajectories
from swe_srl.trajectories.report import ReadReport
from swe_srl.trajectories.steps import StepSettings, make_steps
from swe_srl.types import Task, Trajectory


@dataclass(frozen=True, slots=True)
class Inspection:
    """The report of a pass, and the size of what it found.

    Args:
        report: turns and records by reason.
        target_characters: of all steps' targets: median, 90th percentile, maximum.
        turns: per trajectory: median, 90th percentile, maximum.
    """

    report: ReadReport
    target_characters: tuple[int, int, int]
    turns: tuple[int, int, int]

    def as_dict(self) -> dict[str, Any]:
        """The inspection as JSON data."""
        names = ("median", "p90", "max")
        return {
            **self.report.as_dict(),
            "target_characters": dict(zip(names, self.target_characters, strict=True)),
            "turns_per_trajectory": dict(zip(names, self.turns, strict=True)),
        }


def inspect_trajectories(
    path: str | Path,
    prompting: Prompting | None = None,
    settings: StepSettings | None = None,
    evaluation: Iterable[Task] = (),
    format: str = "",
) -> Inspection:
    """Read everything once and account for every turn.

    Args:
        path: as for `read_trajectories`.
        prompting: as for `make_steps`; by default the issue and two rounds, which is quick.
        settings: filters, as for `make_steps`.
        evaluation: tasks that no step may come from.
        format: read only this format.

    Raises:
        TrajectoryError: no such file, format or data set; or a turn was lost (a fault of this program).
    """
    report = ReadReport()
    tasks = list(evaluation)
    turns: list[int] = []

    def counted() -> Iterator[Trajectory]:
        for trajectory in read_trajectories(path, report, format):
            turns.append(len(trajectory.turns))
            yield trajectory

    steps = make_steps(
        counted(),
        prompting or Prompting(context="last_k"),
        report,
        settings,
        ContaminationIndex(tasks) if tasks else None,
    )
    lengths = [len(step.target) for step in steps]
    report.check()
    return Inspection(report, _summary(lengths), _summary(turns))


def _summary(values: list[int]) -> tuple[int, int, int]:
    ordered = sorted(values)
    if not ordered:
        return 0, 0, 0
    last = len(ordered) - 1
    return ordered[last // 2], ordered[round(last * 0.9)], ordered[last]
