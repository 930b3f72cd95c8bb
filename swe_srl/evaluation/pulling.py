"""Pulling one image: what can pass is tried again after a pause, what cannot fails at once."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from swe_srl.errors import SandboxError

_LIMITED = re.compile(r"toomanyrequests|too many requests|rate limit|\b429\b", re.IGNORECASE)
_PASSING = re.compile(
    r"timeout|timed out|connection reset|connection refused|unexpected eof|\beof\b|broken pipe|temporary failure|"
    r"tls handshake|no such host|server misbehaving|\b50[0234]\b|internal server error|bad gateway|service unavailable",
    re.IGNORECASE,
)
_GONE = re.compile(
    r"manifest unknown|not found|does not exist|access denied|unauthorized|no matching manifest", re.IGNORECASE
)


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
    """

    first: float = 5.0
    longest: float = 300.0
    tries: int = 8
    note: Callable[[str], None] = lambda text: None
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
        client: of the engine.
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
        reason = _try(client, image, stopped, platform)
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


def _try(client: Any, image: str, stopped: threading.Event, platform: str) -> str:
    """Pull once; "" when it worked, else why not."""
    import requests
    import urllib3
    from docker.errors import DockerException
    from docker.utils import parse_repository_tag

    name, tag = parse_repository_tag(image)
    try:
        stream = client.api.pull(name, tag=tag or "latest", stream=True, decode=True, platform=platform or None)
        for event in stream:
            if stopped.is_set():
                raise PullStoppedError(f"pulling {image} was interrupted")
            if event.get("error"):
                return " ".join(str(event["error"]).split())
    except (DockerException, requests.RequestException) as error:
        return " ".join(str(getattr(error, "explanation", None) or error).split())
    except (urllib3.exceptions.HTTPError, OSError) as error:  # in the middle of the stream
        return f"connection reset: {' '.join(str(error).split())}"
    return ""
