"""Task ids as users give them: lists in files, and what to say of an id that is not in its set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from swe_srl.errors import ConfigError, suggest
from swe_srl.tasks.sources import BUNDLED, load_tasks


def listed_ids(path: str) -> tuple[str, ...] | None:
    """The instance ids of a .txt file, one a line (`#` begins a comment line); None for any other name.

    Raises:
        ConfigError: the file cannot be read.
    """
    if not path.endswith(".txt"):
        return None
    try:
        lines = map(str.strip, Path(path).read_text(encoding="utf-8-sig").splitlines())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: a list of instance ids, one a line, was expected: not UTF-8 text: {error}"
        ) from error
    return tuple(line for line in lines if line and not line.startswith("#"))


def expanded(names: Iterable[str]) -> tuple[str, ...]:
    """Ids, with those that are listed in .txt files in the files' places."""
    found: list[str] = []
    for entry in names:
        listed = listed_ids(entry)
        found += (entry,) if listed is None else listed
    return tuple(dict.fromkeys(found))


def chosen_ids(instances: Sequence[str]) -> tuple[str, ...]:
    """Those of the setting `instances`, `expanded`; empty when nothing is chosen.

    Raises:
        ConfigError: no id stands in the lists that it names.
    """
    names = expanded(instances)
    if instances and not names:
        raise ConfigError(f"instances: no id stands in {', '.join(instances)}")
    return names


def unknown_task(name: str, known: Iterable[str], source: str = "") -> str:
    """A sentence for an id that is none of `known`: the bundled set that it is in, or else the nearest.

    Args:
        source: the name of the set or file that was searched, if it has one.

    >>> unknown_task("quickstart__coins-3", ["quickstart__loans-1"], "quickstart")
    "quickstart: unknown task 'quickstart__coins-3': it is in the task set 'quickstart-train'"
    """
    ids = set(known)
    begin = f"{source}: " if source else ""
    for bundled in BUNDLED:
        if bundled != source and any(name == task.instance_id for task in load_tasks(bundled)):
            return f"{begin}unknown task {name!r}: it is in the task set {bundled!r}"
    listed = f"; `swe-srl tasks list {source}` shows all {len(ids)}" if source and len(ids) > 1 else ""
    return f"{begin}{suggest(name, ids, 'task')}{listed}"
