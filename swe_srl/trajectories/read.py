"""Reading trajectories of any known format from a file, a folder or the hub."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import Any

from swe_srl.errors import TrajectoryError, suggest
from swe_srl.hub import quiet_hub
from swe_srl.trajectories.metadata import restored
from swe_srl.trajectories.readers import (
    adp,
    atif,
    messages,
    mini_swe_agent,
    numbered,
    openhands,
    own,
    r2e_gym,
    swe_agent,
)
from swe_srl.trajectories.records import Record, is_record_file, read_records
from swe_srl.trajectories.report import ReadReport
from swe_srl.types import Trajectory

BUNDLED = {"quickstart": "train", "quickstart-train": "train", "quickstart-validation": "validation"}
OWN_FILE = "trajectories.jsonl"  # in the folders of runs that make trajectories
HUB_ID = re.compile(r"\A(?P<id>[\w.-]+/[\w.-]+)(?:@(?P<split>[\w.-]*)(?:@(?P<revision>[\w./-]+))?)?\Z")


@dataclass(frozen=True, slots=True)
class Reader:
    """One public format. Implements `protocols.TrajectoryReader`.

    Args:
        name: the format's name, kept in `Trajectory.source_format`.
        recognises: whether a record is of this format.
        convert: a record and a label for it to a trajectory; raises TrajectoryError for one it cannot use.
        is_part: whether a record is one piece of a trajectory that fills its whole file, and
        whole: the record made of all the pieces.
    """

    name: str
    recognises: Callable[[object], bool]
    convert: Callable[[Mapping[str, Any], str], Trajectory]
    is_part: Callable[[object], bool] | None = None
    whole: str = ""

    def accepts(self, path: Path) -> bool:
        """Whether the file's first readable record is of this format."""
        first = next((record for record in read_records(path) if not record.problem), None)
        if first is None:
            return False
        return self.recognises(first.value) or (self.is_part is not None and self.is_part(first.value))

    def read(self, path: Path) -> Iterator[Trajectory]:
        """Stream the file's trajectories.

        Raises:
            TrajectoryError: a record cannot be used; `read_trajectories` with a report goes on instead.
        """
        yield from _Pass(ReadReport(), (self,), strict=True).file(path)


READERS = (
    Reader(own.NAME, own.recognises, own.convert),
    Reader(mini_swe_agent.NAME, mini_swe_agent.recognises, mini_swe_agent.convert),
    Reader(atif.NAME, atif.recognises, atif.convert),
    Reader(adp.NAME, adp.recognises, adp.convert),
    Reader(r2e_gym.NAME, r2e_gym.recognises, r2e_gym.convert),
    Reader(swe_agent.NAME, swe_agent.recognises, swe_agent.convert),
    Reader(openhands.NAME, openhands.recognises, openhands.convert, openhands.is_event, "history"),
    Reader(numbered.NAME, numbered.recognises, numbered.convert),
    Reader(messages.NAME, messages.recognises, messages.convert, messages.is_message, "messages"),
)


def format_names() -> list[str]:
    """Names of the formats that can be read."""
    return [reader.name for reader in READERS]


def read_trajectories(
    path: str | Path, report: ReadReport | None = None, format: str = "", more: Sequence[str | Path] = ()
) -> Iterator[Trajectory]:
    """Stream the trajectories of a file, of a folder (its files in sorted order), or of a data set on the hub.

    Args:
        path: a .json, .jsonl, .traj or .parquet file (the text ones also .gz), a folder (of a run that made trajectories, its
            `trajectories.jsonl`), `owner/name[@split[@revision]]`, or a bundled set: "quickstart" (of the training tasks) or
            "quickstart-validation".
        report: receives what cannot be used and why. Without one, the first such record raises.
        format: only this format (see `format_names`); "" detects it record by record.
        more: further such places, read after the first; ids stay unique among all of them.

    Raises:
        TrajectoryError: no such file, format or data set; or, without a report, a record that cannot be used.
    """
    readers: tuple[Reader, ...] = READERS
    if format:
        readers = tuple(reader for reader in READERS if reader.name == format)
        if not readers:
            raise TrajectoryError(suggest(format, format_names(), "trajectory format"))
    reading = _Pass(report or ReadReport(), readers, strict=report is None)
    if not more:
        return _at(path, reading)
    return chain.from_iterable([_at(one, reading) for one in (path, *more)])


def _at(path: str | Path, reading: _Pass) -> Iterator[Trajectory]:
    """The trajectories of one place."""
    place = _bundled(str(path)) or Path(path)
    if (place / "run.json").is_file() and (place / OWN_FILE).is_file():
        return reading.file(place / OWN_FILE)
    if place.is_dir():
        return reading.folder(place)
    if place.is_file():
        return reading.file(place)
    if HUB_ID.match(str(path)) and not is_record_file(place):
        return reading.records(hub_records(str(path)), str(path))
    raise TrajectoryError(f"{path}: no such file or folder{_near(str(path))}")


def record_label(file: str, number: int) -> str:
    """What a record that has no name of its own is called.

    >>> record_label("data/s1k.jsonl", 1), record_label("data/s1k.jsonl", 2)
    ('s1k', 's1k:2')
    """
    stem = re.sub(r"(\.traj)?(\.(json|jsonl|ndjson|traj|parquet))?(\.gz)?\Z", "", Path(file).name)
    return stem if number == 1 else f"{stem}:{number}"


def _bundled(name: str) -> Path | None:
    """The file of a bundled set."""
    if name not in BUNDLED:
        return None
    return Path(str(resources.files("swe_srl") / "data" / "quickstart" / f"trajectories-{BUNDLED[name]}.jsonl"))


def _near(name: str) -> str:
    near = difflib.get_close_matches(name, BUNDLED, n=1)
    return f"; did you mean {near[0]!r}, a bundled set?" if near else ""


class _Pass:
    """One pass over files with one report."""

    def __init__(self, report: ReadReport, readers: tuple[Reader, ...], strict: bool) -> None:
        self.report = report
        self.readers = readers
        self.strict = strict
        self._ids: dict[str, int] = {}

    def folder(self, folder: Path) -> Iterator[Trajectory]:
        try:
            next(folder.iterdir(), None)
        except OSError as error:  # rglob would find nothing in it, and say nothing
            raise TrajectoryError(f"{folder} cannot be read: {error.strerror}") from error
        for path in sorted(folder.rglob("*")):
            if path.is_file() and is_record_file(path):
                yield from self.file(path)
            elif path.is_file():
                self.report.refuse("not a trajectory file", str(path), 0, path.suffix)

    def file(self, path: Path) -> Iterator[Trajectory]:
        yield from self.records(read_records(path), str(path))

    def records(self, records: Iterable[Record], file: str) -> Iterator[Trajectory]:
        self.report.files += 1
        stream = iter(records)
        count = 0
        for record in stream:
            part = self._part_reader(record)
            if part is not None:
                record = self._gather(part, record, stream, file)
            count += 1
            trajectory = self._convert(record, file, record_label(file, record.number))
            if trajectory is not None:
                yield trajectory
        if not count:
            self._refuse("empty file", file, 0, "")

    def _part_reader(self, record: Record) -> Reader | None:
        if record.problem:
            return None
        return next((one for one in self.readers if one.is_part is not None and one.is_part(record.value)), None)

    def _gather(self, reader: Reader, first: Record, rest: Iterator[Record], file: str) -> Record:
        pieces = [first.value]
        for record in rest:
            if record.problem:
                self._refuse(record.problem, file, record.number, record.text)
            else:
                pieces.append(record.value)
        return Record(first.number, {reader.whole: pieces})

    def _convert(self, record: Record, file: str, label: str) -> Trajectory | None:
        if record.problem:
            self._refuse(record.problem, file, record.number, record.text)
            return None
        reader = next((one for one in self.readers if one.recognises(record.value)), None)
        if reader is None:
            self._refuse(_unknown(record.value), file, record.number, _keys(record.value))
            return None
        try:
            trajectory = restored(reader.convert(record.value, label), record.value)
        except TrajectoryError as error:
            self._refuse(str(error), file, record.number, reader.name)
            return None
        except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
            problem = f"malformed {reader.name} record"
            self._refuse(problem, file, record.number, f"{type(error).__name__}: {error}")
            return None
        if not trajectory.turns:
            self._refuse("no turn", file, record.number, trajectory.trajectory_id)
            return None
        trajectory = self._unique(trajectory)
        self.report.read(trajectory, file, record.number)
        return trajectory

    def _unique(self, trajectory: Trajectory) -> Trajectory:
        name = given = trajectory.trajectory_id
        while name in self._ids:
            self._ids[given] += 1
            name = f"{given}#{self._ids[given]}"
        self._ids[name] = 1
        return trajectory if name == given else replace(trajectory, trajectory_id=name)

    def _refuse(self, reason: str, file: str, record: int, text: str) -> None:
        if self.strict:
            raise TrajectoryError(f"{file}, record {record}: {reason} ({text[:200]}). Pass a ReadReport to go on.")
        self.report.refuse(reason, file, record, text)


def _unknown(value: object) -> str:
    if isinstance(value, Mapping):
        first = next(iter(value.values()), None)
        if "model_patch" in value or (isinstance(first, Mapping) and "model_patch" in first):
            return "a prediction, not a trajectory"
        if "context" in value and "target" in value:
            return "a step, not a trajectory (train reads files of them)"
    return "no known trajectory format"


def _keys(value: object) -> str:
    return ", ".join(map(str, list(value)[:12])) if isinstance(value, Mapping) else type(value).__name__


def hub_records(name: str) -> Iterator[Record]:
    """Rows of `owner/name[@split[@revision]]` on the hub, streamed; of all its splits when none is named."""
    from datasets import IterableDataset, load_dataset

    parsed = HUB_ID.match(name)
    assert parsed is not None
    hub_id, split, revision = parsed.group("id", "split", "revision")
    try:
        with quiet_hub(f"the data set {hub_id}"):
            loaded = load_dataset(hub_id, split=split or None, revision=revision, streaming=True)
    except Exception as error:  # the hub's client has no common error class
        raise TrajectoryError(
            f"{name}: neither a file here nor a data set that can be loaded from the hub ({type(error).__name__}: {error})."
            " Download it on a machine with a network (hf download --repo-type dataset) and pass the folder."
        ) from error
    parts = [loaded] if isinstance(loaded, IterableDataset) else [loaded[key] for key in sorted(loaded)]
    number = 0
    for part in parts:
        try:
            for row in part:
                number += 1
                yield Record(number, row)
        except Exception as error:  # as above; what the caller raises does not come here
            raise TrajectoryError(
                f"{name}: the hub failed after {number} records ({type(error).__name__}: {error})"
            ) from error
