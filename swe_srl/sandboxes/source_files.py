"""The files of a task's source: what counts as one, and plain copies of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path


def files_of(tree: Path) -> Iterator[Path]:
    """Every file and link below, in order, without any `.git` and without byte code. As for git, pipes and sockets are none."""
    for folder, folders, files in os.walk(tree):
        folders[:] = sorted(name for name in folders if name not in (".git", "__pycache__"))
        links = [name for name in folders if Path(folder, name).is_symlink()]
        folders[:] = [name for name in folders if name not in links]
        for name in sorted([*links, *files]):
            path = Path(folder, name)
            if name != ".git" and (path.is_symlink() or path.is_file()):
                yield path


def mode_of(path: Path, plain_modes: bool) -> int:
    """What is kept of a file's mode: whether it can be executed, unless modes are plain."""
    return 0o755 if path.stat().st_mode & 0o100 and not plain_modes else 0o644


def copy_files(tree: Path, target: Path, plain_modes: bool) -> None:
    """Copy them to a new folder, one after the other in their order."""
    target.mkdir(parents=True)
    for path in files_of(tree):
        copy = target / path.relative_to(tree)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            copy.symlink_to(path.readlink())
        else:
            shutil.copyfile(path, copy)
            copy.chmod(mode_of(path, plain_modes))
