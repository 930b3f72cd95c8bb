"""Archives of sources, extracted without letting anything out of their folder."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from pathlib import Path

from swe_srl.errors import TaskError


def extract_archive(archive: Path, tree: Path) -> Path:
    """Extract a tar or zip file into the new folder `tree`; the folder of its content.

    That is the single folder that most archives wrap theirs in, else `tree`.

    Raises:
        TaskError: it cannot be read, or something in it leads out of it.
        OSError: there is no such file.
    """
    tree.mkdir()
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                zipped.extractall(tree)
        else:
            with tarfile.open(archive) as tarred:
                _extract_tar(tarred, tree)
    except (tarfile.TarError, zipfile.BadZipFile) as error:
        raise TaskError(f"source archive:{archive}: not a readable archive: {error}") from error
    inside = list(tree.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else tree


def _extract_tar(archive: tarfile.TarFile, tree: Path) -> None:
    """Folders, files and links that stay inside `tree` (`extractall` has a safe filter only since Python 3.11.4)."""
    for member in archive:
        target = tree / member.name
        link = target.parent / member.linkname if member.issym() else tree
        if not _is_inside(target, tree) or not _is_inside(link, tree):
            raise tarfile.TarError(f"{member.name} leads out of the archive")
        target.parent.mkdir(parents=True, exist_ok=True)
        if member.isdir():
            target.mkdir(exist_ok=True)
        elif member.issym():
            target.symlink_to(member.linkname)
        elif (content := archive.extractfile(member)) is not None:
            with content, target.open("wb") as file:
                shutil.copyfileobj(content, file)
            target.chmod(0o755 if member.mode & 0o100 else 0o644)
        else:
            raise tarfile.TarError(f"{member.name} is neither a file, a folder nor a link")


def _is_inside(path: Path, tree: Path) -> bool:
    return path.resolve().is_relative_to(tree.resolve())
