"""The packages that a project's tests need, installed ahead into a folder that the sandbox shows read-only.

The project itself is not among them: its code is the repository's alone, so that no copy without the bug is at hand. Its name
and version are there as metadata, for those that ask `importlib.metadata`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swe_srl.errors import TaskError
from swe_srl.files import write_atomic
from swe_srl.sandboxes.archives import extract_archive
from swe_srl.sandboxes.making import made_beside, sweep_half_made
from swe_srl.tasks.packages.origin import Origin, run_pip

RUNNER = "pytest"
_BUILDS = ("pyproject.toml", "setup.py", "setup.cfg")


def install_needs(
    origin: Origin, folder: Path, python: str, extras: Sequence[str] = (), requirements: Sequence[str] = ()
) -> Path:
    """A folder with everything that a project's tests need, made once.

    Only wheels are installed: nothing of a dependency is run here.

    Args:
        origin: the project.
        folder: where such folders are kept, each with the list of what is in it and that of the project's extras.
        python: version of the sandbox's Python, such as "3.11".
        extras: of the project.
        requirements: beside what it asks for, as pip takes them.

    Raises:
        TaskError: pip cannot find or install something.
    """
    wanted = json.dumps([origin.archive.name, python, sorted(extras), sorted(requirements)])
    place = folder / f"{origin.label}-{hashlib.sha256(wanted.encode()).hexdigest()[:10]}"
    if place.is_dir():
        return place.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    sweep_half_made(folder)
    with made_beside(folder) as making:
        own, pins = _resolve(origin, making, python, extras, requirements)
        target = making / "packages"
        target.mkdir()
        foreign = ("--only-binary=:all:", "--python-version", python)
        run_pip("install", "--no-deps", *foreign, "--target", str(target), *pins)
        if own:
            _write_metadata(own, target)
        for unneeded in ("bin", "__pycache__"):
            shutil.rmtree(target / unneeded, ignore_errors=True)
        for path in [target, *target.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        write_atomic(folder / f"{place.name}.txt", "".join(f"{pin}\n" for pin in pins))
        offers = [str(extra) for extra in own.get("provides_extra", ())]
        write_atomic(folder / f"{place.name}.extras", "".join(f"{extra}\n" for extra in offers))
        target.rename(place)
    return place.resolve()


def offered_extras(packages: Path) -> tuple[str, ...]:
    """The extras that the project of a folder made by `install_needs` offers, as it names them."""
    beside = packages.with_name(f"{packages.name}.extras")
    return tuple(beside.read_text().split()) if beside.is_file() else ()


def _resolve(
    origin: Origin, making: Path, python: str, extras: Sequence[str], requirements: Sequence[str]
) -> tuple[dict[str, Any], list[str]]:
    """The project's own metadata (empty when it is no package), and what it needs, each with its version."""
    tree = extract_archive(origin.archive, making / "tree")
    builds = any((tree / name).is_file() for name in _BUILDS)
    if extras and not builds:
        raise TaskError(
            f"--extras {','.join(extras)}: {origin.name} is no package: none of {', '.join(_BUILDS)} is there"
        )
    extra = f"[{','.join(extras)}]" if extras else ""
    given = [f"{tree}{extra}"] if builds else []
    report = making / "report.json"
    resolving = ("install", "--dry-run", "--ignore-installed", "--only-binary=:all:", "--python-version", python)
    asked = (*given, RUNNER, *requirements)
    place = str(making / "nowhere")
    run_pip(*resolving, "--target", place, "--report", str(report), *asked, unversioned=not origin.package)
    own: dict[str, Any] = {}
    pins = []
    for item in json.loads(report.read_text())["install"]:
        metadata = item["metadata"]
        if "dir_info" in item["download_info"]:
            own = metadata
        else:
            pins.append(f"{metadata['name']}=={metadata['version']}")
    name = str(own.get("name") or origin.package).lower()
    return own, sorted(pin for pin in pins if pin.partition("==")[0].lower() != name)


def _write_metadata(own: dict[str, Any], target: Path) -> None:
    folder = target / f"{str(own['name']).replace('-', '_')}-{own['version']}.dist-info"
    folder.mkdir(exist_ok=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {own['name']}\nVersion: {own['version']}\n")
