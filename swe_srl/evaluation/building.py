"""Building one image from a Dockerfile."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swe_srl.errors import SandboxError
from swe_srl.evaluation.streams import StreamStoppedError, events
from swe_srl.sandboxes.container_transport import engine_errors
from swe_srl.tasks.dockerfiles import built_name, sent_files

LOG_PARTS, LOG_TAIL = 400, 3000  # pieces of a build's log that are kept, and its characters in an error
BUILD_SECONDS = 4 * 3600.0
MOST_LAYERS = 1000  # an image has 127 at most; whatever a build prints could name one
_LAYER = re.compile(r" ---> ([0-9a-f]{12})\n")


class BuildError(SandboxError):
    """An image could not be built; the message ends with the end of the log."""


class BuildStoppedError(SandboxError):
    """The build was given up because nobody waits for it any more."""


def build(
    client: Any, image: str, dockerfile: str, stopped: threading.Event, platform: str = "", tidy: bool = False
) -> None:
    """Build an image.

    Args:
        client: of the engine, used by nobody else meanwhile.
        image: its name, which tells what it is built from (see `swe_srl.tasks.dockerfiles.built_name`).
        dockerfile: its path; the engine is sent the folder.
        stopped: set when nobody waits for the image any more: the build ends soon after.
        platform: as `linux/amd64`; "" for the engine's own.
        tidy: whether layers that are not part of the image (of earlier stages, of a failed build) are removed; else they speed
            up the next build, and take room.

    Raises:
        BuildError: the build failed, or did not end within `BUILD_SECONDS`.
        BuildStoppedError: `stopped` was set.
    """
    with engine_errors("asking the engine for its time"):
        begun = str(client.info()["SystemTime"])
    layers: dict[str, None] = {}  # in their order
    try:
        _build(client, image, Path(dockerfile), stopped, platform, layers)
    finally:
        if tidy:
            _remove_unnamed(client, layers, begun)


@dataclass(frozen=True)
class _Waiting:
    """Whether nobody waits any more, or has waited long enough."""

    stopped: threading.Event
    until: float

    def is_set(self) -> bool:
        return self.stopped.is_set() or time.monotonic() >= self.until


def _build(
    client: Any, image: str, file: Path, stopped: threading.Event, platform: str, layers: dict[str, None]
) -> None:
    import requests
    import urllib3
    from docker.errors import DockerException
    from docker.utils.build import create_archive

    log = deque[str](maxlen=LOG_PARTS)
    failed = ""
    waiting = _Waiting(stopped, time.monotonic() + BUILD_SECONDS)
    try:
        with create_archive(root=str(file.parent), files=sent_files(file)) as context:
            if built_name(file) != image:
                raise BuildError(f"{file}: the files beside it have changed since the tasks were read: start again")
            request = {"fileobj": context, "custom_context": True, "dockerfile": file.name, "tag": image}
            ways = {"rm": True, "forcerm": True, "decode": True, "platform": platform or None}
            for event in events(client, lambda: client.api.build(**request, **ways), waiting):
                text = str(event.get("stream") or event.get("error") or "")
                log.append(text)
                if len(layers) < MOST_LAYERS:
                    layers |= dict.fromkeys(_LAYER.findall(text)[:MOST_LAYERS])
                failed = failed or str(event.get("error") or "")
    except StreamStoppedError:
        if stopped.is_set():
            raise BuildStoppedError(f"building the image of {file} was interrupted") from None
        failed = f"it did not end within {BUILD_SECONDS / 3600:g} hours"
        log.append(failed)
    except (DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        failed = " ".join(str(getattr(error, "explanation", None) or error).split())
        log.append(failed)
    if failed:
        raise BuildError(f"{file}: the image could not be built; its log ends:\n{''.join(log).strip()[-LOG_TAIL:]}")


def _remove_unnamed(client: Any, layers: Iterable[str], begun: str) -> None:
    """Remove layers that were made since then, the last one first, but for those that have a name or are part of one."""
    import requests
    from docker.errors import DockerException

    for layer in reversed(list(layers)):
        try:
            found = client.images.get(layer).attrs
            if not found.get("RepoTags") and not found.get("RepoDigests") and str(found["Created"]) >= begun:
                client.images.remove(layer)
        except (DockerException, requests.RequestException):
            continue
