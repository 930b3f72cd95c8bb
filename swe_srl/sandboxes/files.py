"""Reading and writing a sandbox's files from inside it, where no link can lead out."""

from __future__ import annotations

import base64
import shlex
from typing import Protocol

from swe_srl.errors import FileTooLargeError, PathOutsideWorkspaceError, SandboxError
from swe_srl.sandboxes.output import decode

SECONDS = 120.0
CHUNK_BYTES = 1 << 20
READ_BYTES = 256 << 20  # of the largest file that is read, which the owner holds in memory
_RESOLVE = """
target=$(readlink -f -- "$path") || exit 44
case $target/ in /proc/*|/sys/*|/dev/*) exit 46 ;; esac
"""
_READ = """
[[ -f $target ]] || { [[ -e $target ]] && exit 45; exit 44; }
[[ -r $target ]] || exit 47
size=$(stat -c %%s -- "$target" 2>/dev/null) || size=0 # an image may lack it
((size <= %d)) || { printf %%s "$size"; exit 49; }
options=iflag=nonblock,fullblock,count_bytes # opening a pipe that takes the file's place in this moment would wait
if dd if=/dev/null "$options" count=0 2>/dev/null; then
  exec dd if="$target" "$options" bs=1M count=%d status=none
fi
type -P head >/dev/null || exec cat -- "$target"
exec head -c %d -- "$target"
"""
_WRITE = """
[[ -e $target && ! -f $target ]] && exit 45
put() { cat %s"$target"; }
options=oflag=nonblock # as when reading: a pipe that nobody reads is refused instead
if dd if=/dev/null of=/dev/null "$options" count=0 2>/dev/null; then
  put() { dd of="$target" "$options"%s bs=1M iflag=fullblock status=none; }
fi
set -o pipefail
base64 -d <<'END' | put && exit
%s
END
[[ -e $target && ! -f $target ]] && exit 45
exit 48
"""


class CleanShell(Protocol):
    """Runs scripts beside the session (`ShellSession.run_clean`)."""

    def run_clean(self, script: str, timeout: float, limit: int = 0) -> tuple[int | None, bytes]: ...


def read_file(shell: CleanShell, path: str) -> bytes:
    """Content of a regular file; see `swe_srl.protocols.Sandbox.read_file`."""
    read = _READ % (READ_BYTES, READ_BYTES + 1, READ_BYTES + 1)  # it may grow meanwhile
    script = (
        f"exec 2>/dev/null\npath={shlex.quote(path)}{_RESOLVE}{read}"  # what programs complain of is not in the file
    )
    code, data = shell.run_clean(script, SECONDS, READ_BYTES + 1)
    if code == 49 or (code == 0 and len(data) > READ_BYTES):
        size = decode(data[:20]) if code else f"more than {READ_BYTES}"
        raise FileTooLargeError(
            f"{path}: it has {size} bytes, and at most {READ_BYTES} can be read: read parts with commands (head, tail)"
        )
    _check(code, path, data)
    return data


def write_file(shell: CleanShell, path: str, data: bytes) -> None:
    """Write a file, making its parent folders; see `swe_srl.protocols.Sandbox.write_file`."""
    make = f'path={shlex.quote(path)}\nmkdir -p -- "$(dirname -- "$path")" || exit 48'
    for start in range(0, max(1, len(data)), CHUNK_BYTES):
        text = base64.b64encode(data[start : start + CHUNK_BYTES]).decode()
        write = _WRITE % ((">>", ",append conv=notrunc", text) if start else (">", "", text))
        code, said = shell.run_clean(make + _RESOLVE + write, SECONDS)
        _check(code, path, said)


def _check(code: int | None, path: str, said: bytes) -> None:
    if code == 0:
        return
    if code == 44:
        raise FileNotFoundError(f"{path}: no such file in the sandbox")
    if code == 45:
        raise IsADirectoryError(f"{path}: not a regular file")
    if code == 46:
        raise PathOutsideWorkspaceError(f"{path}: leads to the sandbox's system files")
    if code == 47:
        raise PermissionError(f"{path}: the sandbox's user cannot read it")
    why = decode(said)[-500:].strip() or (f"exit code {code}" if code else f"it took more than {SECONDS:g} seconds")
    raise SandboxError(f"{path}: cannot be read or written in the sandbox: {why}")
