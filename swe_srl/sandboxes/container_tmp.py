"""The /tmp of a container: everybody's, whatever its image has."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from typing import Any

from swe_srl.errors import SandboxError
from swe_srl.sandboxes.container_transport import engine_errors

ROOT, NOBODY = "0:0", "65534:65534"
# By builtins alone, as somebody who owns nothing: none of the image's programs is waited for where nothing is missing.
OWN = "[[ -d /tmp && -w /tmp && -x /tmp ]]"
LOOK = "[[ -d /tmp && -k /tmp && -r /tmp && -w /tmp && -x /tmp ]]"
# Root has no capabilities there: what belongs to somebody else can be changed by that user alone, who is printed.
MEND = """
PATH=/usr/bin:/bin
{ [[ -d /tmp ]] || mkdir -p -- "$(readlink -f /tmp)"; } && { [[ $(stat -L -c %a /tmp) == 1777 ]] || chmod 1777 /tmp; } && exit
place=$(readlink -m /tmp)
until [[ -e $place ]]; do place=${place%/*} place=${place:-/}; done
stat -c %u:%g -- "$place"
exit 1
"""
SECONDS = 60.0  # for a script, and the engine
SAID_BYTES = 10_000
_images_with_tmp: set[str] = set()


def mend_tmp(container: Any) -> None:
    """Give a running container whose image has no /tmp that everybody may write to one. Images that have are looked at once.

    One that cannot be mended, since the image has no `chmod`, stays as it is when the container's own user may write to it.

    Raises:
        SandboxError: it could not be given one.
    """
    image = container.attrs["Image"]
    if image in _images_with_tmp:
        return
    with engine_errors("looking at /tmp of the container"):
        if _run(container, LOOK, NOBODY)[0] == 0:
            _images_with_tmp.add(image)
            return
        code, owner, said = _run(container, MEND, ROOT)
        if code != 0 and owner:
            code, _, said = _run(container, MEND, owner)
        if code != 0 and _run(container, OWN, "")[0] == 0:
            _images_with_tmp.add(image)
            return
    if code != 0:
        raise SandboxError(
            f"image {image} has no /tmp that everybody may write to (mode 1777), and gets none: {said[-300:]}"
        )


def _run(container: Any, script: str, user: str) -> tuple[int, str, str]:
    """Run a script as a user: its exit code, what it printed and what it complained of.

    Raises:
        SandboxError: it did not end in time: the image's bash may be anything.
    """
    api = container.client.api
    made = api.exec_create(container.id, ["/bin/bash", "-p", "-c", script], user=user)
    output = api.exec_start(made["Id"], stream=True, demux=True)
    said = [b"", b""]
    reader = threading.Thread(target=_read, args=(output, said), daemon=True)
    reader.start()
    reader.join(SECONDS)
    if reader.is_alive():
        raise SandboxError(f"image {container.attrs['Image']}: its /bin/bash did not end within {SECONDS:g} seconds")
    printed, complaints = (part.decode(errors="replace").strip() for part in said)
    return api.exec_inspect(made["Id"])["ExitCode"], printed, complaints


def _read(output: Iterable[tuple[bytes | None, bytes | None]], said: list[bytes]) -> None:
    """Take what comes until it ends; a connection that is closed under it ends it, too."""
    with contextlib.suppress(OSError, ValueError):
        for parts in output:
            for number, part in enumerate(parts):
                said[number] += (part or b"")[: SAID_BYTES - len(said[number])]
