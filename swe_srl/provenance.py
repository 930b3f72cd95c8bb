"""Where results come from: fingerprints of data, versions, the state of the repository, the machine."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

VERSIONED = ("swe-srl", "torch", "transformers", "tokenizers", "numpy", "gymnasium", "swebench", "cydifflib", "docker")
PACKAGE = Path(__file__).resolve().parent
_CHUNK = 1 << 20


def fingerprint(path: str | Path) -> str:
    """`sha256:` of a file's bytes, or of a folder's file names and bytes, sorted by name.

    Raises:
        FileNotFoundError: no such file or folder.
    """
    root = Path(path)
    digest = hashlib.sha256()
    if not root.is_dir():
        _digest_file(digest, root)
        return f"sha256:{digest.hexdigest()}"
    for file in sorted(entry for entry in root.rglob("*") if entry.is_file()):
        digest.update(f"{file.relative_to(root).as_posix()}\0{file.stat().st_size}\0".encode())
        _digest_file(digest, file)
    return f"sha256:{digest.hexdigest()}"


def environment() -> dict[str, Any]:
    """What the program runs on: versions, git states of the working directory and of the package's own checkout, machine."""
    return {
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "versions": {name: version for name in VERSIONED if (version := _version(name))},
        "git": git_state(Path.cwd()),
        "package_git": package_state(),
    }


def git_state(folder: Path) -> dict[str, Any]:
    """Commit of the repository around `folder` and whether it has uncommitted changes; empty outside a repository."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return {}
    return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}


def package_state(package: Path = PACKAGE) -> dict[str, Any]:
    """The git state of the checkout that the package is run from; empty when it is installed, in whosever repository."""
    tracked = _git(package, "ls-files", "--error-unmatch", "__init__.py")
    return {} if tracked is None else git_state(package)


def _git(folder: Path, *arguments: str) -> str | None:
    if shutil.which("git") is None:
        return None
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _digest_file(digest: Any, file: Path) -> None:
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
