"""From a container image to a folder with its root file system: out of the engine, or of a `docker save` or `export` archive.

Everything that touches the folder runs in a bubblewrap of its own that sees nothing else to write to: a link in one layer
cannot lead a later layer's files out of it.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import lzma
import os
import subprocess
import tarfile
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from swe_srl.errors import SandboxError
from swe_srl.sandboxes.archives import BoundedTar
from swe_srl.sandboxes.docker_sandbox import remove_container, whole
from swe_srl.sandboxes.host_view import bubblewrap, system_files
from swe_srl.sandboxes.live_copy import LONGEST
from swe_srl.sandboxes.output import OutputBuffer

CHUNK_BYTES = 1 << 20
WORDS_BYTES = 16 << 20  # of what an image says of itself
USERS_BYTES = 1 << 20
MEMORY_KB = 4 << 20  # for each program that touches the folder
END_SECONDS = 30.0  # for a program whose input has ended
COMPLAINT_BYTES = 100_000  # `tar` complains of every file
_DAMAGED = (zlib.error, lzma.LZMAError, EOFError)  # where it is uncompressed
_BROKEN = (tarfile.TarError, KeyError, TypeError, AttributeError, ValueError, RecursionError, *_DAMAGED)
_OPAQUE = ".wh..wh..opq"
_WHITEOUT = ".wh."
_EXTRACT = (
    "tar --extract --file=- --numeric-owner --preserve-permissions "
    "--anchored --exclude='dev/*' --exclude='./dev/*' --no-anchored --exclude='.wh.*'"
)
# What of the layers below goes before a layer's files come, each path after a letter: h is hidden, o is a folder of which nothing
# shows through, d a folder (in the place of a link), f anything else (in the place of a folder).
_REMOVE = r"""
leads_out() {
  local folder=$1
  while [[ $folder != . && ! -L $folder ]]; do folder=${folder%/*}; done
  [[ $folder != . && $(realpath -m -- "$1")/ != "$PWD"/* ]]
}
while IFS= read -r -d '' path; do
  kind=${path:0:1} path=./${path:1}
  if [[ $kind == [ho] ]] && leads_out "${path%/*}"; then
    echo "what it hides is behind a link that leads out: $path" >&2
    exit 1
  fi
  case $kind in
    h) rm -rf -- "$path" ;;
    o) [[ ! -d $path || -L $path ]] || find "$path" -mindepth 1 -delete ;;
    d) [[ ! -L $path ]] || rm -f -- "$path" ;;
    f) [[ ! -d $path || -L $path ]] || rm -rf -- "$path" ;;
  esac
done
"""
# What a running container gets from its engine; then the users, for the name that the image runs as.
_FINISH = r"""
mkdir -p dev proc sys etc
tmp=tmp
for ((links = 0; links < 9; links++)); do # where one leads to in the image
  [[ -L $tmp ]] || break
  link=$(readlink -- "$tmp")
  [[ $link == /* ]] || link=/$(dirname -- "$tmp")/$link
  tmp=.$(realpath -s -m -- "$link")
done
[[ ! -L $tmp ]] || { rm -f tmp; tmp=tmp; }
mkdir -p -- "$tmp"
chmod 1777 -- "$tmp"
rm -f etc/hosts etc/hostname .dockerenv
printf '127.0.0.1 localhost sandbox\n::1 localhost\n' >etc/hosts
printf 'sandbox\n' >etc/hostname
[[ -e etc/resolv.conf && ! -L etc/resolv.conf ]] || { rm -f etc/resolv.conf; : >etc/resolv.conf; }
[[ ! -f etc/passwd ]] || head -c USERS_BYTES etc/passwd
"""
_RIGHTS = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_SETFCAP")


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What an image says beside its files.

    Args:
        id: of the image; of an exported archive, its digest.
        user: who it runs as, as the image says it.
        env: its environment variables.
        passwd: its users, as in /etc/passwd.
    """

    id: str
    user: str
    env: tuple[tuple[str, str], ...]
    passwd: str


def unpack_from_engine(client: Any, image: Any, tree: Path, labels: dict[str, str]) -> Unpacked:
    """Fill `tree` with the files of an image of the engine, through a container that is never started.

    Raises:
        SandboxError: it could not be unpacked.
        docker.errors.DockerException: the engine failed.
    """
    options = {"command": ["true"], "labels": labels, "network_mode": "none"}
    made = whole(lambda: client.containers.create(image.id, **options), remove_container)
    try:
        _extract(made.export(chunk_size=CHUNK_BYTES), tree, f"image {image.id}")
    finally:
        remove_container(made)
    return _facts(str(image.id), image.attrs.get("Config") or {}, tree)


def unpack_archive(archive: Path, tree: Path) -> Unpacked:
    """Fill `tree` with the files of an image in a tar file (compressed by gzip or not).

    Args:
        archive: what `docker save IMAGE` or `docker export CONTAINER` wrote. An export says nothing of the image's variables.
        tree: an empty folder.

    Raises:
        SandboxError: it is neither, or could not be unpacked.
        OSError: it cannot be read.
    """
    try:
        if _is_export(archive):
            return _unpack_export(archive, tree)
        with BoundedTar.open(archive) as tar:
            (entry,) = json.loads(_member(tar, "manifest.json") or b"[]")
            config = _member(tar, entry["Config"]) or b"{}"
            said = json.loads(config).get("config") or {}
            for layer in entry["Layers"]:
                _unpack_layer(tar, layer, tree)
        return _facts(f"sha256:{hashlib.sha256(config).hexdigest()}", said, tree)
    except (*_BROKEN, gzip.BadGzipFile) as error:
        reason = str(error).partition(":\n")[0]  # tarfile lists what it tried
        raise SandboxError(
            f"{archive}: not an archive of one image, as `docker save IMAGE` or `docker export CONTAINER` writes it: {reason}"
        ) from error


def _is_export(archive: Path) -> bool:
    """Whether an archive holds a container's files, and not an image's layers.

    Raises:
        tarfile.ReadError: neither, as far as it goes.
    """
    with BoundedTar.open(archive) as tar:
        names = {member.name for member in tar.each() if member.name in ("manifest.json", "oci-layout")}
        if not names and not tar.is_whole():
            raise tarfile.ReadError("its end is missing")
    if names == {"oci-layout"}:
        raise tarfile.ReadError(
            "an OCI archive without a manifest.json (podman save writes one as --format docker-archive)"
        )
    return not names


def _unpack_export(archive: Path, tree: Path) -> Unpacked:
    digest = hashlib.sha256()
    with archive.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
        file.seek(0)
        _extract(_chunks(_plain(file)), tree, str(archive))
    return _facts(f"sha256:{digest.hexdigest()}", {}, tree)


def _unpack_layer(tar: tarfile.TarFile, name: str, tree: Path) -> None:
    """Remove what a layer hides (by its `.wh.` entries) or replaces by something of another kind, then add what it brings."""
    with _layer(tar, name) as stream, BoundedTar.open(fileobj=stream, mode="r|") as layer:
        _contained(_REMOVE, tree, _replaced(layer, name), f"layer {name}")
    with _layer(tar, name) as stream:
        _extract(_chunks(stream), tree, f"layer {name}")


def _replaced(layer: BoundedTar, name: str) -> Iterator[bytes]:
    """What `_REMOVE` reads of a layer's members."""
    for member in layer.each():
        if len(member.name) > LONGEST:
            continue  # what can have been made has a shorter one
        path = PurePosixPath(member.name)
        if ".." in path.parts:
            raise tarfile.TarError(f"layer {name} leads out of the archive")
        if path.name == _OPAQUE:
            kind, path = "o", path.parent
        elif path.name.startswith(_WHITEOUT):
            kind, path = "h", path.with_name(path.name.removeprefix(_WHITEOUT))
        else:
            kind = "d" if member.isdir() else "f"
        yield os.fsencode(f"{kind}{path}") + b"\0"


@contextmanager
def _layer(tar: tarfile.TarFile, name: str) -> Iterator[IO[bytes]]:
    file = tar.extractfile(name)
    if file is None:
        raise KeyError(name)
    with file:
        yield _plain(file)


def _plain(file: IO[bytes]) -> IO[bytes]:
    """The file from its beginning, uncompressed."""
    magic = file.read(4)
    if magic == b"\x28\xb5\x2f\xfd":
        raise tarfile.ReadError("it is compressed by zstd: save the image with gzip, or uncompressed")
    file.seek(0)
    return gzip.open(file) if magic[:2] == b"\x1f\x8b" else file  # type: ignore[return-value]


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def _member(tar: tarfile.TarFile, name: str) -> bytes | None:
    file = None
    with suppress(KeyError):
        file = tar.extractfile(name)
    if file is None:
        return None
    found = file.read(WORDS_BYTES + 1)
    if len(found) > WORDS_BYTES:
        raise tarfile.ReadError(f"{name} has more than {WORDS_BYTES} bytes")
    return found


def _extract(chunks: Iterable[bytes], tree: Path, what: str) -> None:
    owner = "--same-owner" if os.geteuid() == 0 else "--no-same-owner"
    _contained(f"{_EXTRACT} {owner}", tree, chunks, what)


def _facts(image_id: str, config: dict[str, Any], tree: Path) -> Unpacked:
    script = _FINISH.replace("USERS_BYTES", str(USERS_BYTES))
    passwd = _contained(script, tree, (), f"image {image_id}").decode(errors="replace")
    env = tuple((name, value) for name, _, value in (entry.partition("=") for entry in config.get("Env") or ()))
    return Unpacked(image_id, str(config.get("User") or ""), env, passwd)


def _contained(script: str, tree: Path, chunks: Iterable[bytes], what: str) -> bytes:
    """Run a script in `tree`, with nothing else to write to, feeding it `chunks`; what it printed."""
    command = [bubblewrap(), "--unshare-all", "--die-with-parent", "--clearenv", "--setenv", "PATH", "/usr/bin:/bin"]
    if os.geteuid() == 0:  # as the host's root, who alone can give files their owners
        command = [part if part != "--unshare-all" else "--unshare-pid" for part in command]
        command += ["--unshare-net", "--unshare-ipc", *(part for right in _RIGHTS for part in ("--cap-add", right))]
    command += [*system_files(), "--bind", str(tree), "/tree", "--chdir", "/tree", "--"]
    command += ["bash", "-c", f"set -e\nulimit -v {MEMORY_KB}\n{script}"]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    said = OutputBuffer(COMPLAINT_BYTES)
    complaints = process.stderr

    def listen() -> None:
        for chunk in _chunks(complaints):
            said.add(chunk)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        with suppress(BrokenPipeError), process.stdin as stdin:  # its complaint says why
            for chunk in chunks:
                stdin.write(chunk)
        shown = process.stdout.read()
    except BaseException:
        _give_up(process)
        raise
    listener.join()
    if process.wait() != 0:
        raise SandboxError(f"{what} could not be unpacked: {_complaint(said.text())}")
    return shown


def _give_up(process: subprocess.Popen[bytes]) -> None:
    """Have it end by itself, now that its input has: a bubblewrap that is killed as it starts leaves a child for ever."""
    assert process.stdout is not None
    process.stdout.close()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _complaint(said: str) -> str:
    """One line of what was said: `tar` complains of every file that a full disk has no room for."""
    for number in (errno.ENOSPC, errno.EDQUOT):
        if (reason := os.strerror(number)) in said:
            return f"{reason}: free some, or set XDG_CACHE_HOME to a folder that has more"
    return "; ".join(line for line in said.splitlines() if line.strip())[-500:]
