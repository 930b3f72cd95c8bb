"""Problems with worked solutions, as records: what the `numbered` reader takes, and what a teacher could rewrite for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swe_srl.errors import TrajectoryError
from swe_srl.trajectories.fields import clean, string
from swe_srl.trajectories.prompting import Prompting, split_title
from swe_srl.trajectories.read import HUB_ID, OWN_FILE, hub_records, record_label
from swe_srl.trajectories.readers import numbered
from swe_srl.trajectories.records import Record, is_record_file, read_records
from swe_srl.trajectories.report import ReadReport

_TITLED = Prompting(context="inline", titles=True)


@dataclass(frozen=True, slots=True)
class Solution:
    """A record with a problem and its solution.

    Args:
        file: where it was read from.
        number: of the record in its file, from 1.
        name: its `id`, or what it is called without one.
        problem: the problem's text.
        text: the solution as it is written.
        row: the whole record.
    """

    file: str
    number: int
    name: str
    problem: str
    text: str
    row: Mapping[str, Any]

    @property
    def has_steps(self) -> bool:
        """Whether the `numbered` reader takes the solution as it is."""
        return len(numbered.split_steps(self.text)) >= numbered.FEWEST


def read_solutions(path: str | Path, report: ReadReport) -> Iterator[Solution]:
    """Stream the problems with solutions of a file, of a folder (its files in sorted order), or of a data set on the hub.

    Args:
        path: as for `read_trajectories`.
        report: receives the records that hold no problem with a solution, and why.

    Raises:
        TrajectoryError: no such file, folder or data set.
    """
    for file, record in _records(path):
        if record.problem:
            report.refuse(record.problem, file, record.number, record.text)
        elif not numbered.recognises(record.value):
            report.refuse("no problem with a solution", file, record.number, str(record.value))
        elif not (problem := string(record.value, *numbered.PROBLEM).strip()):
            report.refuse("the problem is empty", file, record.number, str(record.value))
        else:
            name = record.value.get("id")
            label = record_label(file, record.number) if name is None else str(name)
            yield Solution(file, record.number, label, problem, clean(record.value["solution"]).strip(), record.value)


def complete_steps(text: str) -> list[str]:
    """The numbered steps of a text, each with a title and something under it.

    Raises:
        TrajectoryError: a step lacks one of them.

    >>> complete_steps("1. **Count.** 2 and 2.\\n2. **Add.** So 4.")
    ['**Count.** 2 and 2.', '**Add.** So 4.']
    """
    steps = numbered.split_steps(text)
    for number, step in enumerate(steps, 1):
        title, rest = split_title(_TITLED, step)
        if not title or not rest.strip():
            raise TrajectoryError(f"step {number} has {'nothing under its title' if title else 'no title'}")
    return steps


def _records(path: str | Path) -> Iterator[tuple[str, Record]]:
    place = Path(path)
    if (place / "run.json").is_file() and (place / OWN_FILE).is_file():
        place /= OWN_FILE
    if place.is_dir():
        try:
            next(place.iterdir(), None)
        except OSError as error:
            raise TrajectoryError(f"{place} cannot be read: {error.strerror}") from error
        files = sorted(entry for entry in place.rglob("*") if entry.is_file() and is_record_file(entry))
        yield from ((str(file), record) for file in files for record in read_records(file))
    elif place.is_file():
        yield from ((str(place), record) for record in read_records(place))
    elif HUB_ID.match(str(path)) and not is_record_file(place):
        yield from ((str(path), record) for record in hub_records(str(path)))
    else:
        raise TrajectoryError(f"{path}: no such file or folder")
