"""What a study has done so far, on disk: finished runs, time spent, how long the stages are."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from swe_srl.files import read_jsonl, write_atomic
from swe_srl.progress import Progress
from swe_srl.runs import RunFolder
from swe_srl.training.compute import BACKWARD

PLAN = "plan.json"
SAVED_EVERY = 10.0  # seconds between writing down the time spent: what a kill -9 may lose


@dataclass(frozen=True)
class Record:
    """One run of a study.

    Args:
        name: of the unit.
        status: "done", or "failed" with the reason: that is tried again by the next start.
        train_seconds: of its updates and validations.
        eval_seconds: wall time of the episodes that were run in one go, and how many these are.
        forward_tokens, backward_tokens: of the training, those of the arm that it goes on from included.
        own_forward, own_backward: without these.
        updates: of every stage, and the one that was chosen.
        same_as: unit that stands in for this one, since its compute is the one that is asked for; "" for none.
    """

    name: str
    status: str
    reason: str = ""
    train_seconds: float = 0.0
    eval_seconds: float = 0.0
    episodes: int = 0
    forward_tokens: int = 0
    backward_tokens: int = 0
    own_forward: int = 0
    own_backward: int = 0
    updates: tuple[int, ...] = ()
    chosen: tuple[int, ...] = ()
    same_as: str = ""

    @property
    def compute(self) -> int:
        """Forward tokens and twice the backward ones."""
        return self.forward_tokens + BACKWARD * self.backward_tokens

    @property
    def own_compute(self) -> int:
        """The same of its own stages."""
        return self.own_forward + BACKWARD * self.own_backward


class Records:
    """The journal of a study: the last row of a unit counts."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self._found: dict[str, Record] = {}
        for row in run.rows("units"):
            self._found[row["name"]] = _record(row)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._found.values())

    def get(self, name: str) -> Record | None:
        """What is known of a unit."""
        return self._found.get(name)

    def done(self, name: str) -> Record | None:
        """The record of a unit that is finished; that of the one that stands in for it has its figures."""
        found = self._found.get(name)
        if found is None or found.status != "done":
            return None
        stand_in = self.done(found.same_as) if found.same_as else None
        return replace(stand_in, name=name, same_as=found.same_as) if stand_in is not None else found

    def keep(self, record: Record) -> None:
        """Write a record down."""
        self._found[record.name] = record
        self.run.append("units", asdict(record))


def read_records(folder: Path) -> list[Record]:
    """The records of a study's folder, which need not be there."""
    return [_record(row) for row in read_jsonl(folder / "units.jsonl")]


def _record(row: dict[str, Any]) -> Record:
    return Record(**{**row, "updates": tuple(row["updates"]), "chosen": tuple(row["chosen"])})


class Stopwatch:
    """A progress that also keeps how long the study has worked, over all its starts."""

    def __init__(self, file: Path, progress: Progress) -> None:
        self.file, self.progress = file, progress
        self.before = spent_before(file)
        self._begun = self._saved = time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds, of earlier starts too."""
        return self.before + time.monotonic() - self._begun

    def save(self) -> None:
        """Write the time down."""
        self._saved = time.monotonic()
        write_atomic(self.file, json.dumps({"seconds": round(self.spent, 1)}) + "\n")

    def track(self, name: str, total: int | None = None, done: int = 0) -> None:
        """See `Progress`."""
        self.progress.track(name, total, done)

    def advance(self, name: str, amount: int = 1, info: str = "") -> None:
        """See `Progress`."""
        self.progress.advance(name, amount, info)
        if time.monotonic() - self._saved > SAVED_EVERY:
            self.save()

    def note(self, text: str) -> None:
        """See `Progress`."""
        self.progress.note(text)


def spent_before(file: Path) -> float:
    """Seconds that earlier starts took."""
    try:
        return float(json.loads(file.read_text(encoding="utf-8"))["seconds"])
    except FileNotFoundError:
        return 0.0


def kept_share(folder: Path) -> float | None:
    """The share of the recipes' updates that an earlier start chose: the runs that are there have it."""
    try:
        return float(json.loads((folder / PLAN).read_text(encoding="utf-8"))["share"])
    except FileNotFoundError:
        return None
