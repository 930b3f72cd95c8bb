"""Archives of sources, extracted without letting anything out of their folder."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import IO

from swe_srl.errors import TaskError

LARGEST_BYTES = 4 << 30  # of all that an archive holds: a small one may hold any number of zeros, and of files
MEMBER_BYTES = 1 << 12  # that each member counts for beside its content: what a file takes on a disk
CHUNK_BYTES = 1 << 20
_NAMES = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
# The modules tell a broken archive by these, too: links that lead to nothing or in a circle, encryption, wrong lengths.
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    KeyError,
    RuntimeError,
    ValueError,
)


class _Member(tarfile.TarInfo):
    """Its names and attributes are read into memory: they are no longer than `CHUNK_BYTES`."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Member:
        found = super().frombuf(buf, encoding, errors)
        if found.type in _NAMES and found.size > CHUNK_BYTES:
            raise tarfile.ReadError(f"names or attributes of {found.size} bytes")
        return found


def extract_archive(archive: Path, tree: Path) -> Path:
    """Extract a tar or zip file into the new folder `tree`; the folder of its content.

    That is the single folder that most archives wrap theirs in, else `tree`.

    Raises:
        TaskError: it cannot be read, something in it leads out of it, or it holds more than `LARGEST_BYTES`.
        OSError: there is no such file.
    """
    tree.mkdir()
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                _left(LARGEST_BYTES, sum(member.file_size + MEMBER_BYTES for member in zipped.infolist()))
                zipped.extractall(tree)
        else:
            with tarfile.open(archive, tarinfo=_Member) as tarred:
                _extract_tar(tarred, tree)
    except _BROKEN as error:
        raise TaskError(f"source archive:{archive}: not a readable archive: {error}") from error
    inside = list(tree.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else tree


def _extract_tar(archive: tarfile.TarFile, tree: Path) -> None:
    """Folders, files and links that stay inside `tree` (`extractall` has a safe filter only since Python 3.11.4)."""
    left = LARGEST_BYTES
    for member in archive:
        left = _left(left, MEMBER_BYTES)
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
                left = _copy(content, file, left)
            target.chmod(0o755 if member.mode & 0o100 else 0o644)
        else:
            raise tarfile.TarError(f"{member.name} is neither a file, a folder nor a link")
    assert archive.fileobj is not None
    while rest := archive.fileobj.read(CHUNK_BYTES):  # to the end, where the sum of a compressed one is
        left = _left(left, len(rest))


def _copy(content: IO[bytes], file: IO[bytes], left: int) -> int:
    """Copy a member's content; how many more bytes may come."""
    while data := content.read(CHUNK_BYTES):
        left = _left(left, len(data))
        file.write(data)
    return left


def _left(left: int, size: int) -> int:
    if size > left:
        raise tarfile.TarError(
            f"it holds more than {LARGEST_BYTES >> 20} MB (4 kB of each file beside its content): unpack it, and give the "
            "folder as dir:<folder>"
        )
    return left - size


def _is_inside(path: Path, tree: Path) -> bool:
    return path.resolve().is_relative_to(tree.resolve())
