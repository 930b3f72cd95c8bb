"""Where a package comes from: a source archive that pip fetches, or one commit of a git repository. Kept as an archive."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from swe_srl.errors import ConfigError, TaskError
from swe_srl.sandboxes.repository import checked_out, commit_of, place_inside

_SPEC = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*)\Z")
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet")
PIP_SECONDS = 600
SHOWN = 10  # versions named in a message
_UNREACHED = re.compile(
    r"\b(?:NewConnectionError|ConnectTimeoutError|ReadTimeoutError|ProxyError|SSLError|NameResolutionError)\b"
)


class PipError(TaskError):
    """pip failed. `said` has the lines of its standard error."""

    def __init__(self, command: str, said: Sequence[str]) -> None:
        super().__init__(f"pip {command} failed: {' '.join(said[-6:])[-1500:]}")
        self.said = tuple(said)


@dataclass(frozen=True, slots=True)
class Origin:
    """A repository's files as an archive.

    Args:
        name: `owner/name` for the rows.
        version: of the package, or the commit.
        label: names its folders: `NAME-VERSION`.
        archive: the file.
        package: the distribution's name, when it is known.
    """

    name: str
    version: str
    label: str
    archive: Path
    package: str = ""


def parse_package(spec: str) -> tuple[str, str]:
    """Name and version of `NAME==VERSION`.

    Raises:
        ConfigError: it is something else.
    """
    match = _SPEC.match(spec)
    if match is None:
        raise ConfigError(
            f"--package {spec}: say which version, as in --package toolz==1.0.0: the same version gives the same tasks"
        )
    return match["name"], match["version"]


def fetch_package(spec: str, folder: Path) -> Origin:
    """Download the source archive of a package to `folder`, unless it is there.

    pip runs the package's own build script to read its metadata, as every installation from source does.

    Args:
        spec: `NAME==VERSION`.
        folder: where archives are kept.

    Raises:
        ConfigError: the specification names no version.
        TaskError: pip finds no source archive of it, or cannot fetch it; the message says which versions there are.
    """
    name, version = parse_package(spec)
    label = f"{name}-{version}"
    known = sorted(folder.glob(f"{label}.sdist.*"))
    if not known:
        with tempfile.TemporaryDirectory() as place:
            try:
                run_pip("download", "--no-deps", "--no-binary", name, "--dest", place, spec)
            except PipError as error:
                raise TaskError(f"--package {spec}: {_not_fetched(name, version, error)}") from error
            found = sorted(Path(place).iterdir())
            if len(found) != 1:
                raise TaskError(f"--package {spec}: pip downloaded {len(found)} files, one source archive was expected")
            suffix = ".zip" if found[0].suffix == ".zip" else ".tar.gz"
            known = [_keep(found[0], folder / f"{label}.sdist{suffix}")]
    return Origin(f"pypi/{name}", version, label, known[0].resolve(), name)


def export_commit(repository: str, commit: str, name: str, folder: Path) -> Origin:
    """Keep the files of one commit of a git repository as an archive in `folder`.

    Args:
        repository: its folder.
        commit: or a branch or tag.
        name: `owner/name` for the rows; "" for `local/<folder>`.
        folder: where archives are kept.

    Raises:
        ConfigError: no git repository, or no such commit.
    """
    place, sha = repository_commit(repository, commit)
    archive = folder / f"{place.name}-{sha[:12]}.tar"
    if not archive.exists():
        with tempfile.TemporaryDirectory() as made:
            tree = checked_out(f"{place}@{sha}", Path(made) / "tree")
            output = Path(made) / "made.tar"
            with tarfile.open(output, "w") as tar:
                tar.add(tree, archive.stem, filter=_plain)
            _keep(output, archive)
    return commit_origin(archive, name, place)


def commit_origin(archive: Path, name: str, place: Path) -> Origin:
    """What `export_commit` kept in `archive` of the repository at `place`."""
    label = archive.stem
    return Origin(name or f"local/{place.name}", label.rpartition("-")[2], label, archive.resolve())


def repository_commit(repository: str, commit: str) -> tuple[Path, str]:
    """A repository's folder, resolved, and the hash of one of its commits.

    Raises:
        ConfigError: no git repository, a folder inside of one, or no such commit.
    """
    place = Path(repository).expanduser()
    if not place.is_dir():
        raise ConfigError(f"--repo {repository}: no such folder")
    try:
        inside = place_inside(place)
        if inside:
            top = str(place.resolve()).removesuffix(f"/{inside}")
            raise ConfigError(
                f"--repo {repository}: it is the folder {inside} of the git repository {top}: give that one"
            )
        return place.resolve(), commit_of(place, commit)
    except TaskError as error:
        raise ConfigError(f"--repo {repository}: {error}") from error


def run_pip(*arguments: str, unversioned: bool = False) -> None:
    """Run the pip of this interpreter.

    Args:
        arguments: its command and what belongs to it.
        unversioned: the project has no history to count its version from: it is 0.

    Raises:
        OSError: the disk is full.
        PipError: it failed, or is not installed.
        TaskError: it took too long.
    """
    version = {"SETUPTOOLS_SCM_PRETEND_VERSION": "0"} if unversioned else {}
    try:
        done = subprocess.run(
            [*_PIP, *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, **version},
            timeout=PIP_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TaskError(f"pip {arguments[0]} took more than {PIP_SECONDS} seconds") from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        if os.strerror(errno.ENOSPC) in done.stderr:
            places = f"that of --output or that of TMPDIR ({tempfile.gettempdir()})"
            raise OSError(
                errno.ENOSPC, f"the disk is full, {places}: free some, or choose others", f"pip {arguments[0]}"
            )
        raise PipError(arguments[0], said)


def _not_fetched(name: str, version: str, error: PipError) -> str:
    """Why pip has no source archive of this version, in words, and what to do."""
    text = "\n".join(error.said)
    if _UNREACHED.search(text):
        reached = next(line for line in error.said if _UNREACHED.search(line))
        return f"pip cannot reach a package index (`pip config list` tells which it asks): {reached.strip()[:300]}"
    if needs := re.search(rf"(?<![\w.]){re.escape(version)} Requires-Python ([^;\s]+)", text):
        own = ".".join(map(str, sys.version_info[:3]))
        return f"this version needs Python {needs[1]}, and this is {own}: take another version"
    found = re.search(r"\(from versions: ([^)]*)\)", text)
    if found is None:
        return str(error)
    known = [one.strip() for one in found[1].split(",") if one.strip() not in ("", "none")]
    if not known:
        return (
            f"pip finds no source archive of any version of {name}. Is it spelt as on its index, does it have source archives "
            "and not wheels alone, and is there an index (`pip config list`)? A clone of its repository is taken with --repo"
        )
    return f"there is no source archive of version {version}. pip finds {_some(known)}: as in --package {name}=={known[-1]}"


def _some(versions: Sequence[str]) -> str:
    """The newest versions; pip lists them last."""
    more = f" and {len(versions) - SHOWN} older ones" if len(versions) > SHOWN else ""
    return f"{', '.join(versions[-SHOWN:])}{more}"


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same archive whoever makes it, and whenever."""
    member.mtime, member.uid, member.gid, member.uname, member.gname = 0, 0, 0, "", ""
    return member


def _keep(found: Path, target: Path) -> Path:
    """Move a file to its place, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}")
    shutil.copyfile(found, temporary)
    return temporary.replace(target)
