"""What a node tells about itself before it is trusted with work."""

from __future__ import annotations

import hashlib
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from swe_srl import __version__
from swe_srl.definitions import KINDS, PACKAGED, definition_root
from swe_srl.evaluation.settings import machine_size


def describe() -> dict[str, Any]:
    """This machine: version and digest of the package on it, cores, memory in MiB."""
    cores, memory = machine_size()
    return {"version": __version__, "code": code_digest(), "cores": cores, "memory": memory}


def code_digest() -> str:
    """A digest of the package's files, its definitions and bundled data too: two machines with the same one do the same."""
    digest = hashlib.sha256()
    for root in (resources.files("swe_srl"), *(definition_root(kind) for kind in KINDS)):
        _add(digest, root, "")
    return digest.hexdigest()[:16]


def _add(digest: Any, folder: Traversable, name: str) -> None:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        path = f"{name}/{entry.name}"
        if entry.is_dir():
            if entry.name != "__pycache__" and path != f"/{PACKAGED}":
                _add(digest, entry, path)
        elif entry.is_file():
            digest.update(f"{path}\0".encode() + entry.read_bytes() + b"\0")
