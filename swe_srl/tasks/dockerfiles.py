"""Tasks whose image is a Dockerfile beside their rows: which image that is, and what it is built from."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from swe_srl.errors import TaskError
from swe_srl.types import Task

BUILT = "swe-srl-built"  # repository of the images; the tag is a digest of what they are built from
DOCKERFILE = "Dockerfile"
_IGNORED = ".dockerignore"


def is_dockerfile(image: str) -> bool:
    """Whether a row's `image` is a path of a Dockerfile, or of a folder with one, and not a name: names never look so.

    >>> [is_dockerfile(image) for image in ("./flask", "flask/", "flask/Dockerfile", "Dockerfile.py39", "org/flask:1")]
    [True, True, True, True, False]
    """
    last = image.rsplit("/", 1)[-1]
    return image.startswith((".", "/")) or (bool(image) and not last) or DOCKERFILE in last


class Dockerfiles:
    """Gives tasks of one file the names of their built images. What several rows name is read once.

    Args:
        folder: that paths are relative to: the one of the tasks' file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[str, str]] = {}

    def with_image(self, task: Task) -> Task:
        """The task with the image that its Dockerfile makes, and where that is; the same task when it names none.

        Raises:
            TaskError: there is no such Dockerfile, or what it is built from cannot be read.
        """
        if not is_dockerfile(task.image):
            return task
        try:
            image, source = self.image(task.image)
        except TaskError as error:
            raise TaskError(f"{task.instance_id}: image: {error}") from error
        return replace(task, image=image, image_source=source)

    def image(self, path: str) -> tuple[str, str]:
        """The image of a row's path, and the Dockerfile.

        Raises:
            TaskError: as for `with_image`.
        """
        if path not in self._known:
            named = (self._folder / path).resolve()
            source = named / DOCKERFILE if named.is_dir() else named
            if not source.is_file():
                raise TaskError(f"there is no Dockerfile at {source}")
            self._known[path] = built_name(source), str(source)
        return self._known[path]


def built_name(dockerfile: Path) -> str:
    """The image that a Dockerfile makes, named by a digest of everything that the engine is sent to build it: the files of its
    folder that `.dockerignore` leaves, with their paths and whether they can be run.

    Raises:
        TaskError: a file cannot be read.
    """
    digest = hashlib.sha256(f"{dockerfile.name}\0".encode())
    try:
        for name in sent_files(dockerfile):
            digest.update(_described(dockerfile.parent / name, name))
    except OSError as error:
        raise TaskError(
            f"{dockerfile}: what the image is built from cannot be read: {error.filename}: {error.strerror}"
        ) from error
    return f"{BUILT}:{digest.hexdigest()[:24]}"


def ignored(folder: Path) -> list[str]:
    """The patterns of a folder's `.dockerignore`."""
    try:
        lines = (folder / _IGNORED).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def sent_files(dockerfile: Path) -> list[str]:
    """Paths below a Dockerfile's folder that are sent to the engine, sorted."""
    from docker.utils.build import exclude_paths

    folder = dockerfile.parent
    found: Iterable[Any] = exclude_paths(str(folder), ignored(folder), dockerfile=dockerfile.name)
    return sorted(map(str, found))


def _described(path: Path, name: str) -> bytes:
    """What counts of one file."""
    found = path.lstat()
    kind, content = "other", b""
    if stat.S_ISLNK(found.st_mode):
        kind, content = "link", bytes(path.readlink())
    elif stat.S_ISREG(found.st_mode):
        kind, content = "run" if found.st_mode & 0o111 else "file", _file_digest(path)
    elif stat.S_ISDIR(found.st_mode):
        kind = "folder"
    return f"{kind}\0{name}\0".encode(errors="surrogateescape") + hashlib.sha256(content).digest()


def _file_digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
