"""Completions of an OpenAI-compatible endpoint: for evaluation and for teachers, not for training."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from threading import Event
from typing import Any

from swe_srl.errors import GenerationError
from swe_srl.generation.asking import Asker, ask_all, ask_each
from swe_srl.seeds import derive_seed
from swe_srl.trajectories.fields import clean
from swe_srl.types import Completion, Message, Refusal, Sampling, StopReason

CUT = frozenset({"length", "content_filter"})
# By the server, as vLLM names it: what it had written is no answer of the model's.
GIVEN_UP = frozenset({"abort", "error"})


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
        self._asker = Asker(base_url.rstrip("/") + "/chat/completions", api_key_env, timeout, retries, backoff)
        self.model, self.concurrency = model, concurrency
        self.token_ids = token_ids

    def generate(
        self, contexts: Sequence[tuple[Message, ...]], n: int, sampling: Sampling, seeds: Sequence[int]
    ) -> list[list[Completion]]:
        """`n` completions for each context; see `swe_srl.protocols.Generator`.

        A context that the endpoint refuses (status 400, 413 or 422), and a completion that it gave up (`finish_reason` abort or
        error), has empty completions with the refusal.

        Raises:
            GenerationError: the endpoint refused everyone (the key, the model's name), kept failing, or answered something
                that is no chat completion.
        """
        requests = [
            self._request(messages, sampling, derive_seed(seed, j) % 2**31)
            for messages, seed in zip(contexts, seeds, strict=True)
            for j in range(n)
        ]
        completions = ask_all(requests, self._complete, self.concurrency)
        return [completions[start : start + n] for start in range(0, len(completions), n)]

    def stream(
        self, contexts: Sequence[tuple[Message, ...]], sampling: Sampling, seeds: Sequence[int]
    ) -> Generator[tuple[int, Completion], None, None]:
        """One completion for each context, with the context's number, in the order in which they come: `generate` with n = 1
        for callers that keep every answer at once.

        Raises:
            GenerationError: as `generate` does; what came before has been yielded.
        """
        requests = [
            self._request(messages, sampling, derive_seed(seed, 0) % 2**31)
            for messages, seed in zip(contexts, seeds, strict=True)
        ]
        yield from ask_each(requests, self._complete, self.concurrency)

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
        answer = self._asker.ask(request, stop)
        if isinstance(answer, Refusal):
            return Completion("", (), (), False, refusal=answer)
        try:
            return _completion(answer)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            shown = json.dumps(answer)[:200]
            raise GenerationError(
                f"{self._asker.url} answered something that is no chat completion: {shown}"
            ) from error


def _completion(answer: Any) -> Completion:
    choice = answer["choices"][0]
    reason = choice.get("finish_reason")
    if reason in GIVEN_UP:
        refusal = Refusal(f"the endpoint gave the completion up (finish_reason {reason})", StopReason.INFRASTRUCTURE)
        return Completion("", (), (), False, refusal=refusal)
    text = choice["message"]["content"] or ""
    if not isinstance(text, str):
        raise TypeError("the content is no text")
    ids = tuple(int(token) for token in choice.get("token_ids") or ())
    entries = (choice.get("logprobs") or {}).get("content") or ()
    logprobs = tuple(float(entry["logprob"]) for entry in entries)
    usage = answer.get("usage") or {}
    prompt, written = (int(usage.get(f"{part}_tokens") or 0) for part in ("prompt", "completion"))
    text = clean(text)  # JSON can say half a character, which no file takes
    return Completion(text, ids, logprobs, reason not in CUT, prompt, written)
