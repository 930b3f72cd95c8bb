"""Completions of an OpenAI-compatible endpoint: for evaluation and for teachers, not for training."""

from __future__ import annotations

import http.client
import json
import os
import re
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from threading import Event, Thread
from typing import Any

from swe_srl.errors import ConfigError, GenerationError
from swe_srl.seeds import derive_seed
from swe_srl.types import Completion, Message, Refusal, Sampling, StopReason

RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
REFUSED = frozenset({400, 413, 422})  # of one request: the endpoint is there, and takes others
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


class EndpointGenerator:
    """Asks `POST {base_url}/chat/completions`, one request per completion, several at a time.

    Log-probabilities and token ids are in the completions when the endpoint gives them, else empty: a trainer refuses
    those. The seed of a completion is sent along; whether it is honoured is the endpoint's affair.

    Args:
        base_url: up to and with the version: `http://localhost:8000/v1`.
        model: the model's name at the endpoint.
        api_key_env: environment variable that holds the key; "" for none.
        timeout: seconds that one request may take.
        retries: further tries of a request after a time-out, a lost connection, or a status that says "later".
        backoff: seconds before the second try; doubled after each (a longer `Retry-After` is honoured).
        concurrency: requests at a time.
        token_ids: ask for token ids and log-probabilities (`return_token_ids` as vLLM knows it, `logprobs`).

    Raises:
        ConfigError: not a URL, or the environment variable is not set.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key_env: str = "",
        timeout: float = 300.0,
        retries: int = 5,
        backoff: float = 1.0,
        concurrency: int = 8,
        token_ids: bool = False,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise ConfigError(f"endpoint {base_url!r}: expected a URL such as http://localhost:8000/v1")
        if api_key_env and not os.environ.get(api_key_env):
            raise ConfigError(f"the environment variable {api_key_env} is not set: it must hold the endpoint's key")
        self.url = base_url.rstrip("/") + "/chat/completions"
        self.model = model
        self.api_key_env = api_key_env
        self.timeout, self.retries, self.backoff, self.concurrency = timeout, retries, backoff, concurrency
        self.token_ids = token_ids

    def generate(
        self, contexts: Sequence[tuple[Message, ...]], n: int, sampling: Sampling, seeds: Sequence[int]
    ) -> list[list[Completion]]:
        """`n` completions for each context; see `swe_srl.protocols.Generator`.

        A context that the endpoint refuses (status 400, 413 or 422) has empty completions with the refusal.

        Raises:
            GenerationError: the endpoint refused everyone (the key, the model's name), kept failing, or answered something
                that is no chat completion.
        """
        requests = [
            self._request(messages, sampling, derive_seed(seed, j) % 2**31)
            for messages, seed in zip(contexts, seeds, strict=True)
            for j in range(n)
        ]
        completions = self._all(requests)
        return [completions[start : start + n] for start in range(0, len(completions), n)]

    def _all(self, requests: list[dict[str, Any]]) -> list[Completion]:
        """Every request's completion. The first failure, or Ctrl-C, ends the wait: nothing more is sent, and what is under
        way is left to its daemon thread, which holds up neither the caller nor the end of the process."""
        tries = [(request, Future[Completion]()) for request in requests]
        waiting, stop = deque(tries), Event()

        def work() -> None:
            while not stop.is_set():
                try:
                    request, future = waiting.popleft()
                except IndexError:
                    return
                try:
                    future.set_result(self._complete(request, stop))
                except BaseException as error:
                    future.set_exception(error)
                    return  # the caller ends the wait: this thread asks for nothing more

        futures = [future for _, future in tries]
        try:
            for number in range(min(self.concurrency, len(requests))):
                Thread(target=work, name=f"endpoint_{number}", daemon=True).start()
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            failed = [error for future in done if (error := future.exception())]
            if failed:
                raise failed[0]
            return [future.result() for future in futures]
        finally:
            stop.set()

    def _request(self, messages: Sequence[Message], sampling: Sampling, seed: int) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self.model,
            "messages": [message.as_dict() for message in messages],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_new_tokens,
            "seed": seed,
        }
        if sampling.top_k:
            request["top_k"] = sampling.top_k
        if self.token_ids:
            request |= {"logprobs": True, "return_token_ids": True}
        return request

    def _complete(self, request: dict[str, Any], stop: Event) -> Completion:
        answer = self._post(request, stop)
        if isinstance(answer, Refusal):
            return Completion("", (), (), False, refusal=answer)
        try:
            return _completion(answer)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            shown = json.dumps(answer)[:200]
            raise GenerationError(f"{self.url} answered something that is no chat completion: {shown}") from error

    def _post(self, request: dict[str, Any], stop: Event) -> Any:
        """The endpoint's JSON answer, or its refusal of this request, after as many tries as are allowed."""
        pause, problem = self.backoff, ""
        for attempt in range(self.retries + 1):
            if attempt:
                if stop.wait(min(pause, LONGEST_WAIT)):
                    raise GenerationError(f"{self.url} was not asked again: the other requests have ended")
                pause *= 2
            try:
                return self._once(request)
            except urllib.error.HTTPError as error:
                detail = _detail(error)
                problem = f"status {error.code}: {detail[:500]}"
                if error.code in REFUSED:
                    too_long = error.code == 413 or TOO_LONG.search(detail)
                    return Refusal(problem, StopReason.TOKEN_LIMIT if too_long else StopReason.INFRASTRUCTURE)
                if error.code not in RETRIED:
                    raise GenerationError(f"{self.url} refused the request: {problem}") from error
                pause = max(pause, _retry_after(error))
            except (OSError, http.client.HTTPException, ValueError) as error:  # OSError: time-outs, lost connections
                problem = str(error) or type(error).__name__
        raise GenerationError(f"{self.url} failed {self.retries + 1} times, the last time with: {problem}")

    def _once(self, request: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        if self.api_key_env:
            headers["Authorization"] = f"Bearer {os.environ[self.api_key_env]}"
        call = urllib.request.Request(self.url, json.dumps(request).encode(), headers, method="POST")
        with urllib.request.urlopen(call, timeout=self.timeout) as response:
            return json.loads(response.read())


def _completion(answer: Any) -> Completion:
    choice = answer["choices"][0]
    text = choice["message"]["content"] or ""
    ids = tuple(int(token) for token in choice.get("token_ids") or ())
    entries = (choice.get("logprobs") or {}).get("content") or ()
    logprobs = tuple(float(entry["logprob"]) for entry in entries)
    usage = answer.get("usage") or {}
    finished = choice.get("finish_reason") != "length"
    prompt, written = (int(usage.get(f"{part}_tokens") or 0) for part in ("prompt", "completion"))
    return Completion(text, ids, logprobs, finished, prompt, written)


def _detail(error: urllib.error.HTTPError) -> str:
    return error.read(5000).decode(errors="replace").strip() or str(error.reason)


def _retry_after(error: urllib.error.HTTPError) -> float:
    value = error.headers.get("Retry-After") or ""
    return float(value) if value.isdigit() else 0.0
