"""Pulling one image: what can pass is tried again after a pause, what cannot fails at once."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from swe_srl.errors import SandboxError
from swe_srl.evaluation.streams import StreamStoppedError, events
from swe_srl.sandboxes.container_transport import ENGINE_SECONDS

_LIMITED = re.compile(r"toomanyrequests|too many requests|rate limit|\b429\b", re.IGNORECASE)
_PASSING = re.compile(
    r"timeout|timed out|connection reset|connection refused|unexpected eof|\beof\b|broken pipe|temporary failure|"
    r"tls handshake|no such host|server misbehaving|\b50[0234]\b|internal server error|bad gateway|service unavailable",
    re.IGNORECASE,
)
_GONE = re.compile(
    r"manifest unknown|not found|does not exist|access denied|unauthorized|no matching manifest", re.IGNORECASE
)

SILENCE = 300.0  # seconds: the engine tells of a layer that it loads or unpacks many times a second


class PullError(SandboxError):
    """An image could not be pulled; the message says why."""


class PullStoppedError(PullError):
    """The pull was given up because nobody waits for it any more."""


@dataclass
class BackOff:
    """Pauses between tries, shared by all pulls of a process: a registry that limits one pull limits them all.

    Args:
        first: seconds of the first pause; each further one of the same pull is twice as long, up to `longest`, and a random
            share of half of it is added.
        longest: seconds.
        tries: of a pull, at least 1.
        note: is told of every pause.
        silence: seconds without a byte after which a try is broken off; 0 is never.
    """

    first: float = 5.0
    longest: float = 300.0
    tries: int = 8
    note: Callable[[str], None] = lambda text: None
    silence: float = SILENCE
    _until: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def pause(self, image: str, number: int, reason: str) -> None:
        """Keep every pull waiting after the failed try `number` (from 0) of one."""
        seconds = min(self.longest, self.first * 2**number)
        seconds += random.random() * seconds / 2
        with self._lock:
            self._until = max(self._until, time.monotonic() + seconds)
        self.note(f"pulling {image}: {reason}; trying again in {seconds:.0f} s")

    def wait(self, stopped: threading.Event) -> None:
        """Wait until the pause is over, or nobody waits any more."""
        while (left := self._until - time.monotonic()) > 0 and not stopped.wait(min(left, 1.0)):
            pass


def pull(client: Any, image: str, back_off: BackOff, stopped: threading.Event, platform: str = "") -> None:
    """Pull an image. Layers that are there already are not loaded again.

    Args:
        client: of the engine, used by nobody else meanwhile.
        image: name with tag or digest; without either `:latest`.
        back_off: of the process.
        stopped: set when nobody waits for the image any more: the pull ends soon after.
        platform: as `linux/amd64`; "" for the engine's own.

    Raises:
        PullError: the registry does not have it or does not give it, or the tries are used up.
        PullStoppedError: `stopped` was set.
    """
    for number in range(back_off.tries):
        back_off.wait(stopped)
        if stopped.is_set():
            raise PullStoppedError(f"pulling {image} was interrupted")
        reason = _try(client, image, stopped, platform, back_off.silence)
        if not reason:
            return
        if not is_passing(reason):
            raise PullError(f"the image {image} cannot be pulled: {reason}")
        if number + 1 < back_off.tries:
            back_off.pause(image, number, reason)
    raise PullError(f"the image {image} could not be pulled in {back_off.tries} tries: {reason}")


def is_passing(reason: str) -> bool:
    """Whether a pull that failed so is worth another try.

    >>> is_passing("toomanyrequests: You have reached your pull rate limit"), is_passing("manifest unknown")
    (True, False)
    """
    if _LIMITED.search(reason):
        return True
    return not _GONE.search(reason) and _PASSING.search(reason) is not None


def _try(client: Any, image: str, stopped: threading.Event, platform: str, silence: float) -> str:
    """Pull once; "" when it worked, else why not."""
    import requests
    import urllib3
    from docker.errors import DockerException

    try:
        for line in events(client, lambda: _lines(client, image, platform, silence), stopped):
            said = json.loads(line)
            if said.get("error") or "message" in said:
                return " ".join(str(said.get("error") or said["message"]).split())
    except StreamStoppedError:
        raise PullStoppedError(f"pulling {image} was interrupted") from None
    except (DockerException, requests.RequestException, ValueError) as error:
        if "read timed out" in str(error).lower():
            return f"timed out: no byte in {silence:g} seconds"
        return " ".join(str(getattr(error, "explanation", None) or error).split())
    except (urllib3.exceptions.HTTPError, OSError) as error:  # in the middle of the stream
        return f"connection reset: {' '.join(str(error).split())}"
    return ""


def _lines(client: Any, image: str, platform: str, silence: float) -> Iterator[str]:
    """What the engine tells of a pull, a JSON object a line. Asked for here and not by the client's own `pull`, which waits for
    ever when a registry falls silent."""
    from docker.auth import get_config_header, resolve_repository_name
    from docker.utils import parse_repository_tag

    name, tag = parse_repository_tag(image)
    registry, _ = resolve_repository_name(name)
    header = get_config_header(client.api, registry)
    with client.api.post(
        f"{client.api.base_url}/v{client.api.api_version}/images/create",
        params={"fromImage": name, "tag": tag or "latest", **({"platform": platform} if platform else {})},
        headers={"X-Registry-Auth": header} if header else {},
        stream=True,
        timeout=(ENGINE_SECONDS, silence or None),
    ) as answer:
        yield from (line.decode(errors="replace") for line in answer.iter_lines() if line.strip())
