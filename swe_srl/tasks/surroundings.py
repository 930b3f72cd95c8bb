"""What a task's sandbox has beside its repository: packages that are installed ahead, and variables.

A row's column `packages` is a folder of installed Python packages, which the sandbox shows read-only at PACKAGES; its column
`variables` is an object of environment variables. Rows of other data sets have neither: their images hold what they need.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swe_srl.errors import TaskError
from swe_srl.types import Task

PACKAGES = "/opt/packages"
_PLACES = ("archive:", "dir:", "git:")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """As fields of `SandboxSpec`: folders shown read-only, each with its place inside, and variables."""

    shown: tuple[tuple[str, str], ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


def surroundings(task: Task) -> Surroundings:
    """What a task's sandbox shows and sets.

    Raises:
        TaskError: its packages are not where the row says, or its variables are no object of texts.
    """
    row = json.loads(task.extra)
    packages, variables = row.get("packages") or "", row.get("variables") or {}
    if not isinstance(packages, str):
        raise TaskError(f"{task.instance_id}: column packages is no folder's name but {packages!r}")
    if packages and not Path(packages).is_dir():
        raise TaskError(
            f"{task.instance_id}: its packages are not at {packages}: the same `swe-srl tasks synthesise` installs them again"
        )
    if not isinstance(variables, dict) or not all(isinstance(value, str) for value in variables.values()):
        raise TaskError(f"{task.instance_id}: column variables is no object of texts")
    if any("\0" in name + value for name, value in variables.items()):
        raise TaskError(f"{task.instance_id}: column variables has a NUL, which no program can be given")
    shown = ((str(packages), PACKAGES),) if packages else ()
    return Surroundings(shown, tuple(variables.items()))


def located(row: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A row of a file in `folder`: places that begin with `./` are below that folder.

    >>> located({"source": "archive:./x.tar", "packages": "./p"}, Path("/data"))
    {'source': 'archive:/data/x.tar', 'packages': '/data/p'}
    """
    found = dict(row)
    source, packages = row.get("source"), row.get("packages")
    for kind in _PLACES:
        if isinstance(source, str) and source.startswith(f"{kind}./"):
            found["source"] = f"{kind}{folder.resolve() / source.removeprefix(kind)[2:]}"
    if isinstance(packages, str) and packages.startswith("./"):
        found["packages"] = str(folder.resolve() / packages[2:])
    return found


def portable(row: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The opposite of `located`: places below `folder` are given relative to it, so that the folder can be moved.

    >>> portable({"source": "archive:/data/x.tar", "packages": "/else/p"}, Path("/data"))
    {'source': 'archive:./x.tar', 'packages': '/else/p'}
    """
    found = dict(row)
    kind, colon, place = str(row.get("source", "")).partition(":")
    for name, head, path in (("source", kind + colon, place), ("packages", "", str(row.get("packages", "")))):
        if Path(path).is_absolute() and Path(path).is_relative_to(folder.resolve()):
            found[name] = f"{head}./{Path(path).relative_to(folder.resolve())}"
    return found
