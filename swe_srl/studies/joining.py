"""Runs of a study that were made elsewhere: other seeds or arms, on another machine or beside this one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from swe_srl.errors import ConfigError
from swe_srl.runs import RunFolder
from swe_srl.settings.comparing import differences
from swe_srl.studies.records import Record, kept_share, read_records
from swe_srl.studies.settings import ReproduceSettings


def check_joined(
    settings: ReproduceSettings,
    plain: Mapping[str, Any],
    data: Mapping[str, str],
    free: Sequence[str],
    defaults: Mapping[str, Any],
) -> None:
    """Refuse folders whose runs cannot stand beside those of this start.

    Args:
        settings: of this start.
        plain: the same as plain values.
        data: fingerprints of what it reads.
        free: settings that do not alter a run's results.
        defaults: of the settings.

    Raises:
        ConfigError: one holds no study, or another one, or other settings.
    """
    now = json.loads(json.dumps(dict(plain), default=str))
    for folder in settings.join:
        if not (folder / "run.json").is_file():
            raise ConfigError(f"join: {folder} holds no results of swe-srl reproduce")
        other = RunFolder.read(folder, ("reproduce",))
        changed = differences({**defaults, **other.settings}, now)
        changed = [line for line in changed if line.split(":")[0].split(".")[0] not in (*free, "seed")]
        changed += differences(other.data, dict(data), "data")
        shares = [kept_share(one) or 1.0 for one in (folder, settings.folder)]
        if shares[0] != shares[1]:  # a budget shortened them
            changed.append(f"share of the recipes' updates: was {shares[0]:g}, is {shares[1]:g}")
        if changed:
            raise ConfigError(
                f"join: {folder} was made with other settings, so its runs cannot stand in one table with these. "
                f"Differing: {'; '.join(changed)}"
            )


def joined(settings: ReproduceSettings, folder: Path, there: Iterable[str]) -> list[Record]:
    """Copy the finished runs of another folder that are not there yet; returns their records, to be written down.

    A copy that was interrupted is made again.

    Args:
        settings: of this study.
        folder: of the other start.
        there: names of the runs that are finished here.

    Raises:
        ConfigError: a run that is said to be finished is not there.
    """
    known, taken = set(there), []
    for record in {record.name: record for record in read_records(folder)}.values():
        if record.status != "done" or record.name in known:
            continue
        if not record.same_as:
            source, target = folder / "runs" / record.name, settings.folder / "runs" / record.name
            if not source.is_dir():
                raise ConfigError(f"join: {folder} says that {record.name} is finished, but {source} is not there")
            copy = target.with_name(f".{target.name}.joined")
            for left in (copy, target):  # what an interrupted copy or run left
                shutil.rmtree(left, ignore_errors=True)
            shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns(".lock", "checkpoints"))
            copy.rename(target)
        taken.append(record)
    return taken
