"""A run folder tells everything about a run: settings, versions, git state, data fingerprints, journals.

Layout of every run folder (training and evaluation add their own files):

    run.json          kind of run, when it began, fingerprints of its data
    settings.yaml     the resolved settings
    sessions.jsonl    one row per start of the program: time, versions, git state, machine, settings that may change
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

_STARTED = ("run.json", "settings.yaml", "sessions.jsonl", "steps.json", "tasks.json", "budgets.json", ".lock")
_MADE = ("random-model", "tensorboard", "wandb")  # folders that a start makes
_LATER = ("rows",)  # fingerprints that folders of older versions do not have, and cannot be checked by
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

        Raises:
            ConfigError: the folder holds something else, or the same kind of run with other settings or other data.
            SweSrlError: another process is writing this run.
        """
        folder = cls(Path(path), kind, _plain(settings), dict(data or {}))
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
                folder._check_same(free, _plain(defaults or {}))
            else:
                write_atomic(folder.path / "settings.yaml", yaml.safe_dump(folder.settings, sort_keys=False))
                record = {"kind": kind, "created": _now(), "data": folder.data}
                write_atomic(folder.path / "run.json", json.dumps(record, indent=2) + "\n")
            folder.append("sessions", {"started": _now(), **environment(), "settings": folder._of(free)})
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
    ) -> bool:
        """Whether `start` would resume a run; the arguments are the same. Nothing is written.

        Raises:
            ConfigError: `start` would refuse the folder, or cannot make it.
        """
        folder = cls(Path(path), kind, _plain(settings), dict(data or {}))
        if folder._claimed():
            folder._check_same(free, _plain(defaults or {}))
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
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise ConfigError(f"{self.path} is not a folder: choose another output folder")
        foreign = sorted(entry.name for entry in self.path.iterdir() if not entry.name.startswith(_OWN))
        if foreign:
            raise ConfigError(
                f"{self.path} is not empty and is no run of swe-srl (it holds {foreign[0]!r}): "
                "choose another output folder"
            )

    def _check_same(self, free: Sequence[str], defaults: Mapping[str, Any]) -> None:
        record = self._record()
        if record["kind"] != self.kind:
            raise ConfigError(
                f"{self.path} holds a run of kind {record['kind']!r}, not {self.kind!r}: choose another output folder"
            )
        changed = differences(_filled(self._recorded_settings(), defaults), _filled(self.settings, defaults))
        changed = [line for line in changed if line.split(":")[0].split(".")[0] not in free]
        data = {name: of for name, of in self.data.items() if name in record["data"] or name not in _LATER}
        changed += differences(record["data"], data, "data")
        if changed:
            raise ConfigError(
                f"{self.path} holds a run with other settings; resume it with the same ones, or choose another output "
                f"folder. Differing: {'; '.join(changed)}"
            )

    def _acquire(self) -> None:
        handle = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise SweSrlError(f"{self.path} is being written by another process: wait for it, or end it") from error
        self._lock = handle


def differences(old: Any, new: Any, name: str = "") -> list[str]:
    """One line per leaf that differs between two plain values.

    >>> differences({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}})
    ['b.c: was 2, is 3']
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = list(dict.fromkeys([*old, *new]))
        return [
            line
            for key in keys
            for line in differences(old.get(key), new.get(key), f"{name}.{key}" if name else str(key))
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            line for i, pair in enumerate(zip(old, new, strict=True)) for line in differences(*pair, name=f"{name}.{i}")
        ]
    return [] if old == new else [f"{name}: was {old!r}, is {new!r}"]


def _filled(settings: Any, defaults: Any) -> Any:
    """Settings with the defaults of those that are missing, nested ones too; a list's items have its default's first one.

    >>> _filled({"stages": [{"a": 2}]}, {"seed": 0, "stages": [{"a": 1, "b": 3}]})
    {'seed': 0, 'stages': [{'a': 2, 'b': 3}]}
    """
    if isinstance(settings, Mapping) and isinstance(defaults, Mapping):
        return {**defaults, **{key: _filled(value, defaults.get(key)) for key, value in settings.items()}}
    if isinstance(settings, list) and isinstance(defaults, list) and defaults:
        return [_filled(item, defaults[0]) for item in settings]
    return settings


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(yaml.safe_dump(json.loads(json.dumps(settings, default=str))))
    return content


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
