"""Verdicts remembered by what decides them: the patch, the row, the image or host, the limits and the rules' versions."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import shutil
import subprocess
from dataclasses import asdict, fields, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from swe_srl.errors import SandboxError
from swe_srl.files import write_atomic
from swe_srl.grading.runner import GradingSettings, sandbox_spec
from swe_srl.sandboxes.container_transport import engine
from swe_srl.sandboxes.docker_sandbox import BASE_IMAGE
from swe_srl.sandboxes.host_view import extra_python
from swe_srl.sandboxes.image_roots import find_root
from swe_srl.sandboxes.transport import SHELL_VARIABLES
from swe_srl.types import Limits, Task, Verdict, VerdictStatus

log = logging.getLogger(__name__)
RULES = 5  # raise when the hardened rules change

_PACKAGES = """
import sys
from importlib.metadata import distributions
print(sys.executable, sys.version, sorted((str(d.metadata["Name"]), str(d.version)) for d in distributions()))
"""


class VerdictCache:
    """A folder of verdicts.

    Args:
        folder: made when missing. Several processes may share it.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def get(self, task: Task, patch: str, settings: GradingSettings) -> Verdict | None:
        """The verdict of this very patch on this very task and image, or None. An unreadable entry counts as none."""
        path = self._path(task, patch, settings)
        if path is None:
            return None
        try:
            return verdict_from_row(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def put(self, task: Task, patch: str, settings: GradingSettings, verdict: Verdict) -> None:
        """Remember a verdict. Where there is no room for it, it is a verdict all the same, and a warning tells."""
        path = self._path(task, patch, settings)
        if path is None:
            return
        try:
            write_atomic(path, json.dumps(verdict_row(verdict)) + "\n")
        except OSError as error:
            log.warning("%s: its verdict is not remembered: %s", task.instance_id, error)

    def _path(self, task: Task, patch: str, settings: GradingSettings) -> Path | None:
        environment = environment_id(task, settings)
        if not environment:
            return None
        key: dict[str, Any] = {
            "patch": patch,
            "row": replace(task, image_source="").row(),  # the image's own name tells what it was built from
            "environment": environment,
            "settings": [settings.sandbox, settings.timeout, asdict(settings.limits or Limits()), settings.hardened],
            "rules": [RULES, metadata.version("swebench")],
        }
        if settings.times > 1:
            key["times"] = settings.times
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        return self.folder / digest[:2] / f"{digest}.json"


def verdict_row(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain JSON values."""
    return {**asdict(verdict), "status": verdict.status.value}


def verdict_from_row(row: dict[str, Any]) -> Verdict:
    """The verdict in a row of `verdict_row`; unknown keys are ignored."""
    known = {field.name: row[field.name] for field in fields(Verdict) if field.name in row}
    known = {key: tuple(value) if isinstance(value, list) else value for key, value in known.items()}
    return Verdict(**{**known, "status": VerdictStatus(row["status"])})


def environment_id(task: Task, settings: GradingSettings) -> str:
    """What the tests run in: the id of the image, or of the host's interpreter with its packages; and the prepared source.

    "" when it is not there, or cannot be told.
    """
    spec = sandbox_spec(task, settings)
    if spec.image and settings.sandbox == "local":
        root = find_root(spec.image)
        return f"unpacked:{root.id}" if root else ""
    if spec.image:
        return image_id(spec.image)
    place = image_id(BASE_IMAGE) if settings.sandbox == "docker" else host_id()
    return f"{place}:{spec.repository}" if place else ""


@functools.cache
def host_id() -> str:
    """What a local sandbox shows of the host's Python: a digest of the interpreter's version and of its packages'; "" without.

    It is taken once a process.
    """
    prefix, search = extra_python(), SHELL_VARIABLES["PATH"]
    python = shutil.which("python3", path=f"{prefix}/bin:{search}" if prefix else search)
    if python is None:
        return ""
    asked = subprocess.run([python, "-I", "-c", _PACKAGES], capture_output=True, check=False, env={"PATH": search})
    return hashlib.sha256(asked.stdout).hexdigest() if asked.returncode == 0 else ""


def image_id(name: str) -> str:
    """The id of a local container image; "" when there is none of that name, or no engine answers."""
    return find_image(name)[0]


def find_image(name: str) -> tuple[str, str]:
    """The id of a local container image, or ""; and why no engine could be asked for it, or ""."""
    from docker.errors import DockerException, ImageNotFound

    try:
        client = engine()
    except SandboxError as error:
        return "", str(error)
    try:
        return str(client.images.get(name).id), ""
    except ImageNotFound:
        return "", ""
    except (DockerException, OSError) as error:  # also one that stops answering
        return "", f"the Docker engine: {error}"
    finally:
        client.close()
