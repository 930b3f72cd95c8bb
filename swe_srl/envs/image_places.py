"""Places over an image's root file system: its repository is stripped once, and what that changed is kept beside the image."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from swe_srl.errors import SandboxError
from swe_srl.files import write_atomic
from swe_srl.protocols import Sandbox
from swe_srl.sandboxes import make_sandbox
from swe_srl.sandboxes.image_roots import image_root
from swe_srl.sandboxes.local import LocalSandbox
from swe_srl.sandboxes.making import made_beside, put, sweep_half_made
from swe_srl.types import SandboxSpec

_KEPT = 2  # changes when something else is kept of a place


@dataclass
class Place:
    """Where one episode happens: a sandbox, and what its patch is taken against.

    Args:
        base_commit: the repository's commit at the start.
        untracked: files that the repository did not track at the start, each ended by NUL.
        start: how its files differed from that commit already, as a patch; "" when they did not.
    """

    sandbox: Sandbox
    base_commit: str
    untracked: bytes = b""
    start: str = ""


def unpacked_place(spec: SandboxSpec, strip: str, prepare: Callable[[Sandbox], Place]) -> Place:
    """A place in a local sandbox over the root file system of `spec.image`.

    Args:
        strip: the script that strips the repository's history; "" when `prepare` does not.
        prepare: makes a sandbox of the image a place. Its changes are kept, and later places start with them, as long as
            the script is the same: what an earlier one left behind is not handed out.

    Raises:
        SandboxError: the image could not be unpacked, or the sandbox did not start.
    """
    root = image_root(spec.image)
    key = hashlib.sha256(json.dumps([spec.workdir, strip, root.spec(spec).user, _KEPT]).encode()).hexdigest()[:16]
    kept = root.folder / "places" / key
    own = root.spec(spec)
    said = _kept(kept)
    if said is None:
        sandbox = make_sandbox("local", own)
        try:
            place = prepare(sandbox)
            assert isinstance(sandbox, LocalSandbox)
            _keep(place, sandbox, kept)
        except BaseException:
            sandbox.close()
            raise
        return place
    sandbox = make_sandbox("local", replace(own, layers=(str(kept / "root.upper"),)))
    return Place(sandbox, said["base_commit"], base64.b64decode(said["untracked"]), said["start"])


def _kept(kept: Path) -> dict[str, str] | None:
    """What was said of a place; None where none is kept, or it was cut short."""
    try:
        said: dict[str, str] = json.loads((kept / "place.json").read_text(encoding="utf-8"))
        return {name: said[name] for name in ("base_commit", "untracked", "start")}
    except (OSError, ValueError, KeyError):
        return None


def _keep(place: Place, sandbox: LocalSandbox, kept: Path) -> None:
    """Keep a prepared place whole or not at all; another process may be faster.

    Raises:
        SandboxError: there is no room for it.
    """
    try:
        sweep_half_made(kept.parent)
        with made_beside(kept.parent) as making:
            sandbox.keep_layer(making)
            untracked = base64.b64encode(place.untracked).decode()
            said = {"base_commit": place.base_commit, "untracked": untracked, "start": place.start}
            write_atomic(making / "place.json", json.dumps(said))
            put(making, kept, lambda: _kept(kept) is not None)
    except OSError as error:
        raise SandboxError(f"the image's stripped repository cannot be kept in {kept.parent}: {error}") from error
