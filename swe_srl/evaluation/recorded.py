"""A run folder as it is on disk, finished or not: read without a lock, and without writing anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from swe_srl.errors import ConfigError, suggest
from swe_srl.evaluation.logs import GRADED
from swe_srl.evaluation.pipeline import Failure, Key
from swe_srl.evaluation.selection import select_tasks
from swe_srl.evaluation.settings import EvalSettings
from swe_srl.files import row_errors
from swe_srl.grading.cache import verdict_from_row
from swe_srl.runs import RunFolder
from swe_srl.settings import from_mapping, settings_of
from swe_srl.trajectories.rows import trajectory_from_row
from swe_srl.types import Task, Trajectory, Verdict


@dataclass(frozen=True)
class RecordedRun:
    """What an evaluation run has so far, by task and sample.

    Args:
        run: the folder.
        episodes: trajectories and their wall time in seconds.
        verdicts: of graded episodes.
        failures: what the infrastructure broke and no later start made good.
    """

    run: RunFolder
    episodes: Mapping[Key, tuple[Trajectory, float]]
    verdicts: Mapping[Key, Verdict]
    failures: Mapping[Key, Failure]

    @classmethod
    def read(cls, folder: str | Path) -> RecordedRun:
        """Read the journals of a run; a torn last line is ignored.

        Raises:
            ConfigError: the folder holds no evaluation run.
            SweSrlError: a journal is damaged; the message names the file and what is wrong.
        """
        run = RunFolder.read(folder, GRADED)
        episodes: dict[Key, tuple[Trajectory, float]] = {}
        verdicts: dict[Key, Verdict] = {}
        failures: dict[Key, Failure] = {}
        with row_errors(run.journal("episodes")):
            for row in run.rows("episodes"):
                episodes[_key(row)] = trajectory_from_row(row), float(row.get("seconds", 0.0))
        with row_errors(run.journal("verdicts")):
            for row in run.rows("verdicts"):
                verdicts[_key(row)] = verdict_from_row(row)
        with row_errors(run.journal("failures")):
            for row in run.rows("failures"):
                failures[_key(row)] = Failure(*_key(row), str(row["stage"]), str(row["reason"]))
        lost = {key: failure for key, failure in failures.items() if key not in verdicts}
        return cls(run, episodes, verdicts, lost)

    @property
    def settings(self) -> EvalSettings:
        """The run's settings; those that this program does not know are left out.

        Raises:
            ConfigError: the folder of a `grade` run that does not record where its tasks were read; or a recorded value that
                does not fit any more.
        """
        if self.run.kind != "eval" and "split" not in self.run.settings:
            raise ConfigError(
                f"{self.run.path}: this run of kind {self.run.kind!r} does not record which tasks it is about"
            )
        known = settings_of(EvalSettings)
        recorded = {name: value for name, value in self.run.settings.items() if name in known}
        return from_mapping(EvalSettings, recorded, str(self.run.file("settings.yaml")))

    def tasks(self) -> dict[str, Task]:
        """The run's tasks by id, read from where the run had them.

        Raises:
            SweSrlError: they cannot be read any more, or the run does not record them.
        """
        return {task.instance_id: task for task in select_tasks(self.settings)}

    def find(self, task_id: str, sample: int) -> Trajectory:
        """One episode.

        Raises:
            ConfigError: there is none of that task and sample; the nearest task is suggested.
        """
        if (task_id, sample) in self.episodes:
            return self.episodes[task_id, sample][0]
        samples = sorted(number for task, number in self.episodes if task == task_id)
        if samples:
            there = ", ".join(map(str, samples))
            raise ConfigError(f"{self.run.path}: {task_id} has no sample {sample}; there is: {there}")
        raise ConfigError(f"{self.run.path}: {suggest(task_id, {task for task, _ in self.episodes}, 'task')[:2000]}")


def verdict_tests(verdict: Verdict) -> dict[str, tuple[str, ...]]:
    """The verdict's four lists of tests by name."""
    return {field.name: getattr(verdict, field.name) for field in fields(verdict) if "_to_pass_" in field.name}


def _key(row: Mapping[str, Any]) -> Key:
    return str(row["task_id"]), int(row["sample"])
