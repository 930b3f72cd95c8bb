"""Archives of sources, extracted without letting anything out of their folder."""

from __future__ import annotations

import contextlib
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from swe_srl.errors import TaskError

LARGEST_BYTES = 4 << 30  # of all that an archive holds: a small one may hold any number of zeros, and of files
MEMBER_BYTES = 1 << 12  # that each member counts for beside its content: what a file takes on a disk
CHUNK_BYTES = 1 << 20
MOST_COMMON = 100  # attributes that an archive gives all its members
KEPT_BYTES = 32 << 20  # of all that tells of an archive's members, where they are kept
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


class _Metered:
    """A tar's bytes. What is read to find a member is bounded: names, attributes, maps of holes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.left: int | None = None

    def read(self, size: int = -1) -> bytes:
        if self.left is not None:
            if size > self.left or size < 0:
                raise tarfile.ReadError(f"names, attributes or holes of a member in more than {CHUNK_BYTES} bytes")
            self.left -= size
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class BoundedTar(tarfile.TarFile):
    """A tar that is read and whose members take `CHUNK_BYTES` each at most, beside their content; together, unless they come from
    `each`, `KEPT_BYTES`."""

    members: list[tarfile.TarInfo]
    _kept = 0  # bytes

    def __init__(self, name: Any = None, mode: Any = "r", fileobj: Any = None, **named: Any) -> None:
        with contextlib.ExitStack() as opened:
            file = fileobj if fileobj is not None else opened.enter_context(Path(name).open("rb"))
            super().__init__(name, mode, _Metered(file), **named)
            if fileobj is None:
                self._extfileobj = False  # it is closed with this tar
            opened.pop_all()

    def next(self) -> tarfile.TarInfo | None:
        assert isinstance(self.fileobj, _Metered)
        self.fileobj.left = CHUNK_BYTES
        try:
            member = super().next()
            self._kept += CHUNK_BYTES - self.fileobj.left
        finally:
            self.fileobj.left = None
        if self._kept > KEPT_BYTES:
            raise tarfile.ReadError(f"names, attributes and holes of all members in more than {KEPT_BYTES} bytes")
        return member

    def is_whole(self) -> bool:
        """Whether an end follows the last member, which was read: a file that was cut behind one has none. Not of a stream."""
        assert self.fileobj is not None
        self.fileobj.seek(self.offset)
        return len(self.fileobj.read(tarfile.BLOCKSIZE)) == tarfile.BLOCKSIZE

    def each(self) -> Iterator[tarfile.TarInfo]:
        """The members one after the other, none of which is kept."""
        while (member := self.next()) is not None:
            self.members.clear()
            self._kept = 0
            if len(self.pax_headers) > MOST_COMMON:
                raise tarfile.ReadError(f"more than {MOST_COMMON} attributes of all members")
            yield member


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
            with BoundedTar.open(archive) as tarred:
                _extract_tar(tarred, tree)
    except _BROKEN as error:
        raise TaskError(f"source archive:{archive}: not a readable archive: {error}") from error
    inside = list(tree.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else tree


def _extract_tar(archive: BoundedTar, tree: Path) -> None:
    """Folders, files and links that stay inside `tree` (`extractall` has a safe filter only since Python 3.11.4)."""
    left = LARGEST_BYTES
    for member in archive.each():
        left = _left(left, MEMBER_BYTES + member.offset_data - member.offset)
        target = tree / member.name
        link = target.parent / member.linkname if member.issym() else tree
        if not _is_inside(target, tree) or not _is_inside(link, tree):
            raise tarfile.TarError(f"{member.name} leads out of the archive")
        target.parent.mkdir(parents=True, exist_ok=True)
        if member.isdir():
            target.mkdir(exist_ok=True)
        elif member.issym():
            target.symlink_to(member.linkname)
        elif member.islnk():
            left = _copy_linked(tree / member.linkname, target, tree, left)
        elif (content := archive.extractfile(member)) is not None:
            with content, target.open("wb") as file:
                left = _copy(content, file, left)
            target.chmod(0o755 if member.mode & 0o100 else 0o644)
        else:
            raise tarfile.TarError(f"{member.name} is neither a file, a folder nor a link")
    if not archive.is_whole():
        raise tarfile.TarError("its end is missing")
    assert archive.fileobj is not None
    while rest := archive.fileobj.read(CHUNK_BYTES):  # to the end, where the sum of a compressed one is
        left = _left(left, len(rest))


def _copy_linked(source: Path, target: Path, tree: Path, left: int) -> int:
    """Copy what a hard link leads to, which has been extracted: not out of the archive, where it would be sought each time."""
    if not _is_inside(source, tree) or not source.is_file():
        raise tarfile.TarError(f"{target.relative_to(tree)} is a link to nothing in the archive")
    if target.exists() and target.samefile(source):
        return left
    with source.open("rb") as content, target.open("wb") as file:
        left = _copy(content, file, left)
    target.chmod(source.stat().st_mode)
    return left


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
