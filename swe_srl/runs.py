"""A run folder tells everything about a run: settings, versions, git state, data fingerprints, journals.

Layout of every run folder (training and evaluation add their own files):

    run.json          kind of run, when it began, fingerprints of its data
    settings.yaml     the resolved settings
    sessions.jsonl    one row per start of the program: time, versions, git state, machine, settings that may change
    lengthening.json  only while a run is made longer: the length that its results are of until it ends again
    <name>.jsonl      journals (metrics, samples, episodes, …)
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from swe_srl.errors import ConfigError, SweSrlError
from swe_srl.files import append_jsonl, read_jsonl, write_atomic, write_jsonl
from swe_srl.provenance import environment
from swe_srl.settings.comparing import differences, filled, plain
from swe_srl.settings.lengths import Lengths, LengthsOf

_STARTED = ("run.json", "settings.yaml", "sessions.jsonl", "steps.json", "tasks.json", "budgets.json", ".lock")
_MADE = ("random-model", "tensorboard", "wandb")  # folders that a start makes
_LATER = ("rows", "agent", "environment")  # fingerprints that folders of older versions lack
LENGTHENING = "lengthening.json"
_OWN = (".lock", "settings.yaml", ".settings.yaml", ".run.json")  # left by a start that was killed at once


@dataclass
class RunFolder:
    """One run's folder, locked while this object is open. A context manager.

    Make one with `RunFolder.start`; read a finished one with `RunFolder.read`.
    """

    path: Path
    kind: str
    settings: dict[str, Any]
    data: dict[str, str] = field(default_factory=dict)
    resumed: bool = False
    _lock: int | None = None

    @classmethod
    def start(
        cls,
        path: str | Path,
        kind: str,
        settings: Mapping[str, Any],
        data: Mapping[str, str] | None = None,
        free: Sequence[str] = (),
        defaults: Mapping[str, Any] | None = None,
        lengths_of: LengthsOf | None = None,
    ) -> RunFolder:
        """Begin a run in a new or empty folder, or resume the same run.

        Args:
            path: the folder; made when missing.
            kind: "train", "eval", …: a folder of another kind is refused.
            settings: the resolved settings as plain YAML values.
            data: fingerprints of what the run reads, by name (see `swe_srl.provenance.fingerprint`).
            free: top-level settings that may change when the run is resumed (they do not alter its results).
            defaults: of the settings: those that a folder does not know, because it was begun before there were such
                settings, count as these.
            lengths_of: whether a longer run may go on in a shorter one's folder, which then is `lengthening`; None: no.

        Raises:
            ConfigError: the folder holds something else, or the same kind of run with other settings or other data.
            SweSrlError: another process is writing this run.
        """
        folder = cls(Path(path), kind, plain(settings), dict(data or {}))
        if not folder._claimed():
            folder._refuse_foreign()
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            folder._acquire()
        except OSError as error:
            raise ConfigError(f"{path} cannot be made or written: {error.strerror}") from error
        try:
            folder.resumed = folder._claimed()
            if folder.resumed:
                lengths = folder._check_same(free, plain(defaults or {}), lengths_of)
                folder._lengthen(lengths)
            else:
                lengths = lengths_of(folder.settings, folder.settings) if lengths_of else Lengths()
                write_atomic(folder.path / "settings.yaml", yaml.safe_dump(folder.settings, sort_keys=False))
                record = {"kind": kind, "created": _now(), "data": folder.data}
                write_atomic(folder.path / "run.json", json.dumps(record, indent=2) + "\n")
            settled = {**folder._of(free), **lengths.now}
            folder.append("sessions", {"started": _now(), **environment(), "settings": settled})
        except BaseException:
            folder.close()
            raise
        return folder

    @classmethod
    def check(
        cls,
        path: str | Path,
        kind: str,
        settings: Mapping[str, Any],
        data: Mapping[str, str] | None = None,
        free: Sequence[str] = (),
        defaults: Mapping[str, Any] | None = None,
        lengths_of: LengthsOf | None = None,
    ) -> bool:
        """Whether `start` would resume a run; the arguments are the same. Nothing is written.

        Raises:
            ConfigError: `start` would refuse the folder, or cannot make it.
        """
        folder = cls(Path(path), kind, plain(settings), dict(data or {}))
        if folder._claimed():
            folder._check_same(free, plain(defaults or {}), lengths_of)
            return True
        folder._refuse_foreign()
        there = next(place for place in (folder.path, *folder.path.absolute().parents) if place.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            raise ConfigError(f"{path} cannot be made: {there} is no folder that can be written")
        return False

    def abandon(self) -> None:
        """Give up a start that came to nothing: the folder is free again. Does nothing to a run that was resumed."""
        if self.resumed:
            return
        for name in _STARTED:
            (self.path / name).unlink(missing_ok=True)
        for name in _MADE:
            shutil.rmtree(self.path / name, ignore_errors=True)
        self.close()
        with suppress(OSError):  # something else is in it
            self.path.rmdir()

    @classmethod
    def read(cls, path: str | Path, kinds: Sequence[str] = ()) -> RunFolder:
        """Open an existing run folder for reading, without a lock.

        Args:
            path: the folder.
            kinds: the kinds of run that the caller can use; none takes all.

        Raises:
            ConfigError: the folder is not a run folder, or of a run of another kind.
        """
        folder = cls(Path(path), "", {})
        if not folder._claimed():
            raise ConfigError(f"{path}: not a run folder (no run.json in it)")
        record = folder._record()
        folder.kind, folder.data = str(record["kind"]), dict(record["data"])
        if kinds and folder.kind not in kinds:
            raise ConfigError(
                f"{path} holds a run of kind {folder.kind!r}; what is needed is one of: {', '.join(kinds)}"
            )
        folder.settings = folder._recorded_settings()
        return folder

    def file(self, name: str) -> Path:
        """Path of a file or sub-folder of the run."""
        return self.path / name

    def append(self, journal: str, row: Mapping[str, Any]) -> None:
        """Append one row to `<journal>.jsonl`, synced to disk."""
        append_jsonl(self.path / f"{journal}.jsonl", row)

    def rows(self, journal: str) -> Iterator[dict[str, Any]]:
        """The rows of `<journal>.jsonl`; a torn last line is ignored."""
        return read_jsonl(self.journal(journal))

    def journal(self, name: str) -> Path:
        """The file of a journal."""
        return self.path / f"{name}.jsonl"

    def rewind(self, journal: str, keep: int) -> None:
        """Keep the first `keep` rows of a journal: what a resumed run does with rows newer than its checkpoint.

        Raises:
            SweSrlError: the journal holds fewer rows.
        """
        rows = list(self.rows(journal))
        if len(rows) < keep:
            raise SweSrlError(f"{self.path}/{journal}.jsonl has {len(rows)} rows, the checkpoint knows of {keep}")
        if len(rows) > keep:
            write_jsonl(self.path / f"{journal}.jsonl", rows[:keep])

    @property
    def lengthening(self) -> bool:
        """Whether the folder's results are those of a shorter run than its settings say: the longer one has not ended."""
        return (self.path / LENGTHENING).is_file()

    def lengthened(self) -> None:
        """The longer run has ended: the results are of the folder's settings. Nothing, where no run was made longer."""
        (self.path / LENGTHENING).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the lock. Idempotent."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _of(self, names: Sequence[str]) -> dict[str, Any]:
        """The settings of these names: what may change between starts is recorded with each."""
        return {name: self.settings[name] for name in names if name in self.settings}

    def _claimed(self) -> bool:
        return (self.path / "run.json").is_file()

    def _record(self) -> dict[str, Any]:
        record = self._parsed("run.json", json.loads)
        if "kind" not in record or not isinstance(record.get("data"), dict):
            raise ConfigError(f"{self.path}/run.json is damaged (no kind or data in it): choose another output folder")
        return record

    def _recorded_settings(self) -> dict[str, Any]:
        return self._parsed("settings.yaml", yaml.safe_load)

    def _parsed(self, name: str, parse: Callable[[str], Any]) -> dict[str, Any]:
        file = self.path / name
        try:
            content = parse(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise ConfigError(f"{file} is damaged ({error}): choose another output folder") from error
        if not isinstance(content, dict):
            raise ConfigError(f"{file} is damaged (it holds no mapping): choose another output folder")
        return content

    def _refuse_foreign(self) -> None:
        if not os.path.lexists(self.path):
            return
        if not self.path.is_dir():
            raise ConfigError(f"{self.path} is not a folder, nor a link to one: choose another output folder")
        foreign = sorted(entry.name for entry in self.path.iterdir() if not entry.name.startswith(_OWN))
        if foreign:
            raise ConfigError(
                f"{self.path} is not empty and is no run of swe-srl (it holds {foreign[0]!r}): "
                "choose another output folder"
            )

    def _lengthen(self, lengths: Lengths) -> None:
        """Record the longer run's settings. Killed in between, the folder holds the shorter run still, to be ended once more."""
        if not lengths.grown:
            return
        if not self.lengthening:
            mark = {"results_of": dict(lengths.was), "begun": _now()}
            write_atomic(self.path / LENGTHENING, json.dumps(mark, indent=2) + "\n")
        record = self._record()
        data = record["data"] | {name: of for name, of in self.data.items() if name in record["data"]}
        if data != record["data"]:
            write_atomic(self.path / "run.json", json.dumps({**record, "data": data}, indent=2) + "\n")
        write_atomic(self.path / "settings.yaml", yaml.safe_dump(self.settings, sort_keys=False))

    def _check_same(self, free: Sequence[str], defaults: Mapping[str, Any], lengths_of: LengthsOf | None) -> Lengths:
        record = self._record()
        if record["kind"] != self.kind:
            raise ConfigError(
                f"{self.path} holds a run of kind {record['kind']!r}, not {self.kind!r}: choose another output folder"
            )
        was, now = filled(self._recorded_settings(), defaults), filled(self.settings, defaults)
        lengths = lengths_of(was, now) if lengths_of else Lengths()
        changed = [line for line in differences(was, now) if line.split(":")[0] not in lengths.grown]
        changed = [line for line in changed if line.split(":")[0].split(".")[0] not in free]
        data = {name: of for name, of in self.data.items() if name in record["data"] or name not in _LATER}
        as_shorter = differences(record["data"], {**data, **lengths.data}, "data")
        changed += as_shorter and differences(record["data"], data, "data")  # these are recorded before the settings
        if changed:
            raise ConfigError(
                f"{self.path} holds a run with other settings; resume it with the same ones, or choose another output "
                f"folder. Differing: {'; '.join(changed)}{f'. {lengths.refused}' if lengths.refused else ''}"
            )
        return lengths

    def _acquire(self) -> None:
        handle = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise SweSrlError(f"{self.path} is being written by another process: wait for it, or end it") from error
        self._lock = handle


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
