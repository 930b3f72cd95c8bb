"""Asking a server over HTTP: JSON requests, several at a time, tried again when it says "later"."""

from __future__ import annotations

import http.client
import json
import logging
import os
import re
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, TypeVar

from swe_srl.errors import ConfigError, GenerationError
from swe_srl.types import Refusal, StopReason

log = logging.getLogger(__name__)
I = TypeVar("I")  # noqa: E741
R = TypeVar("R")

RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
REFUSED = frozenset({400, 413, 422})  # of one request: the server is there, and takes others
TOO_LONG = (
    re.compile(  # how servers say that a context is too long; one that a request's other fields break is not meant
        r"context[ _-]?(length|window|size)|context_length_exceeded"
        r"|(prompt|input|request|context)\b.{0,40}\b(is|are) (too (long|large)|longer than)"
        r"|(input|prompt)[ _](length|tokens?|token count)\b.{0,60}\b(exceed|more than|greater than|must have less)"
        r"|maximum (input|prompt|sequence|model) length|reduce the length",
        re.IGNORECASE | re.DOTALL,
    )
)
LONGEST_WAIT = 60.0  # seconds between two tries


class Asker:
    """Asks one address of a server.

    Args:
        url: the whole address.
        api_key_env: environment variable that holds the key; "" for none; None where none can be given.
        timeout: seconds that one request may take.
        retries: further tries of a request after a time-out, a lost connection, or a status that says "later".
        backoff: seconds before the second try; doubled after each (a longer `Retry-After` is honoured).

    Raises:
        ConfigError: not a URL, or the environment variable is not set.
    """

    def __init__(
        self, url: str, api_key_env: str | None = None, timeout: float = 300.0, retries: int = 5, backoff: float = 1.0
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"endpoint {url!r}: expected a URL such as http://localhost:8000/v1")
        if api_key_env and not os.environ.get(api_key_env):
            raise ConfigError(f"the environment variable {api_key_env} is not set: it must hold the endpoint's key")
        self.url, self.api_key_env = url, api_key_env
        self.timeout, self.retries, self.backoff = timeout, retries, backoff
        self._told = False  # that the server fails, since it last answered: once for all requests that wait

    def ask(self, request: dict[str, Any] | None, stop: Event) -> Any:
        """The JSON answer (to a POST, or without a request to a GET), or the refusal of this request, after as many tries as
        are allowed.

        Args:
            stop: set when nothing more is to be sent.

        Raises:
            GenerationError: the server refused everyone, or kept failing.
        """
        pause, problem = self.backoff, ""
        for attempt in range(self.retries + 1):
            if attempt:
                self._tell(problem)
                if stop.wait(min(pause, LONGEST_WAIT)):
                    raise GenerationError(f"{self.url} was not asked again: the other requests have ended")
                pause *= 2
            try:
                answer = self._once(request)
                self._told = False
                return answer
            except urllib.error.HTTPError as error:
                detail = _detail(error)
                problem = f"status {error.code}: {detail[:500]}"
                if error.code in REFUSED:
                    too_long = error.code == 413 or TOO_LONG.search(detail)
                    return Refusal(problem, StopReason.TOKEN_LIMIT if too_long else StopReason.INFRASTRUCTURE)
                if error.code not in RETRIED:
                    raise GenerationError(
                        f"{self.url} refused the request: {problem}{self._hint(error.code)}"
                    ) from error
                pause = max(pause, _retry_after(error))
            except (OSError, http.client.HTTPException, ValueError) as error:  # OSError: time-outs, lost connections
                problem = str(error) or type(error).__name__
        raise GenerationError(f"{self.url} failed {self.retries + 1} times, the last time with: {problem}")

    def _tell(self, problem: str) -> None:
        if not self._told:
            self._told = True
            log.warning("%s failed: %s; asking again, up to %d times", self.url, problem[:200], self.retries)

    def _hint(self, code: int) -> str:
        if code not in (401, 403) or self.api_key_env is None:
            return ""
        if self.api_key_env:
            return f" (the key was that of the environment variable {self.api_key_env})"
        return " (no key was sent: --api-key-env NAME sends that of an environment variable)"

    def _once(self, request: dict[str, Any] | None) -> Any:
        headers = {"Content-Type": "application/json"}
        if self.api_key_env:
            headers["Authorization"] = f"Bearer {os.environ[self.api_key_env]}"
        data = None if request is None else json.dumps(request).encode()
        call = urllib.request.Request(self.url, data, headers, method="GET" if request is None else "POST")
        with urllib.request.urlopen(call, timeout=self.timeout) as response:
            return json.loads(response.read())


def ask_all(items: Sequence[I], work: Callable[[I, Event], R], concurrency: int) -> list[R]:
    """What `work` gives for every item, so many at a time; as `ask_each` otherwise."""
    results = dict(ask_each(items, work, concurrency))
    return [results[number] for number in range(len(items))]


def ask_each(
    items: Sequence[I], work: Callable[[I, Event], R], concurrency: int
) -> Generator[tuple[int, R], None, None]:
    """What `work` gives for every item, so many at a time, with the item's number: in the order in which it is there.

    The first failure, or Ctrl-C, ends the wait: nothing more is sent, and what is under way is left to its daemon thread,
    which holds up neither the caller nor the end of the process.
    """
    waiting, stop = deque(enumerate(items)), Event()
    done: SimpleQueue[tuple[int, Future[R]]] = SimpleQueue()

    def run() -> None:
        while not stop.is_set():
            try:
                number, item = waiting.popleft()
            except IndexError:
                return
            future = Future[R]()
            try:
                future.set_result(work(item, stop))
            except BaseException as error:
                future.set_exception(error)
                return  # the caller ends the wait: this thread asks for nothing more
            finally:
                done.put((number, future))

    try:
        for number in range(min(concurrency, len(items))):
            Thread(target=run, name=f"endpoint_{number}", daemon=True).start()
        for _ in items:
            number, future = done.get()
            yield number, future.result()
    finally:
        stop.set()


def _detail(error: urllib.error.HTTPError) -> str:
    return error.read(5000).decode(errors="replace").strip() or str(error.reason)


def _retry_after(error: urllib.error.HTTPError) -> float:
    value = error.headers.get("Retry-After") or ""
    return float(value) if value.isdigit() else 0.0
