"""The bundled task sets: which repository is in which split, and how their tasks are made.

`scripts/make_quickstart.py` writes the files from this. Held-out repositories share nothing with the training ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from swe_srl.progress import Progress
from swe_srl.tasks.synthesis.pipeline import synthesise
from swe_srl.tasks.synthesis.settings import SynthesiseSettings
from swe_srl.tasks.validation import LogStatuses, RunTests
from swe_srl.types import Task

SEED = 0


@dataclass(frozen=True, slots=True)
class QuickstartSplit:
    """The repositories of one split, and how many tasks each gives."""

    repositories: tuple[str, ...]
    tasks_each: int


SPLITS: Mapping[str, QuickstartSplit] = {
    "train": QuickstartSplit(
        repositories=(
            "coins",
            "colors",
            "days",
            "geom",
            "grades",
            "heat",
            "lexer",
            "matrix",
            "roman",
            "scores",
            "songs",
            "spans",
            "stock",
            "words",
        ),
        tasks_each=20,
    ),
    "validation": QuickstartSplit(repositories=("meals", "routes"), tasks_each=12),
    "test": QuickstartSplit(repositories=("access", "loans", "stats", "trips"), tasks_each=15),
}


def quickstart_tasks(
    split: str, run_tests: RunTests, statuses: LogStatuses, workers: int = 2, progress: Progress | None = None
) -> list[Task]:
    """The validated tasks of one split, one function each: always the same ones.

    Args:
        split: a key of `SPLITS`.
        run_tests, statuses: as for `synthesise`.
        workers: sandboxes side by side.
        progress: told of every task.
    """
    chosen = SPLITS[split]
    tasks: list[Task] = []
    for name in chosen.repositories:
        settings = quickstart_settings(name, chosen.tasks_each, workers)
        tasks += synthesise(settings, run_tests, statuses, progress)
    return tasks


def quickstart_settings(name: str, count: int, workers: int) -> SynthesiseSettings:
    """How the tasks of one bundled repository are made: at most one of each function."""
    return SynthesiseSettings(
        source=f"packaged:quickstart/repos/{name}",
        name=f"quickstart/{name}",
        count=count,
        per_function=1,
        seed=SEED,
        workers=workers,
    )
