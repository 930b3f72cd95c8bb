"""Completions of a vLLM server whose weights follow the model that is being trained."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import Any

from transformers import PreTrainedTokenizerBase

from swe_srl.errors import ConfigError, GenerationError
from swe_srl.generation.asking import Asker, ask_all
from swe_srl.generation.loading import decode, encode_chat
from swe_srl.generation.local import no_room
from swe_srl.types import Completion, Message, Refusal, Sampling

TESTED = "0.32"  # the oldest vLLM that this was run with
SEEDS = 2**62
PLAIN = {"repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "min_p": 0.0}  # draw as asked
REFUSED_PART = 500  # characters of a refusal that are shown
NEVER = Event()  # nothing ends these requests before their time


class VllmServer:
    """One server of `vllm serve`, as far as a trainer needs it.

    Args:
        url: without a path: `http://127.0.0.1:8000`.
        update_seconds: that taking over weights may last.

    Raises:
        ConfigError: nobody answers there, it is no vLLM, or one that takes no weights.
    """

    def __init__(self, url: str, update_seconds: float = 1800.0) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self.update_seconds = update_seconds
        self.version = str(self._found("/version").get("version", ""))
        models = self._found("/v1/models").get("data")
        if not self.version or not models or "max_model_len" not in models[0]:
            raise ConfigError(f"vllm.url: what answers at {self.url} is no vLLM server with a model")
        self.model, self.positions = str(models[0]["id"]), int(models[0]["max_model_len"])
        try:
            self.weights()
        except GenerationError as error:
            raise ConfigError(
                f"vllm.url: vLLM {self.version} at {self.url} takes no weights: start it with VLLM_SERVER_DEV_MODE=1 in its "
                f"environment, and with vLLM {TESTED} or newer ({error})"
            ) from error

    def complete(self, request: dict[str, Any], stop: Event) -> Any:
        """What /v1/completions answers, or its refusal of this request."""
        return Asker(self.url + "/v1/completions", timeout=self.update_seconds).ask(request, stop)

    def weights(self) -> str:
        """The name of the weights that it has: that of the last `take`, or one of its own."""
        return str(self._ask("/weight_info")["weight_version"])

    @cached_property
    def on_cpu(self) -> bool:
        """Whether it computes on a CPU."""
        return "device_config=cpu" in str(self._ask("/server_info?config_format=text")["vllm_config"])

    def take(self, folder: Path, name: str) -> None:
        """Take over the weights of a model folder of the same architecture, which the server must see under this path.

        Args:
            folder: in safetensors.
            name: what these weights are called from now on.

        Raises:
            GenerationError: the server does not take them; it may have a part of them, and has to be started again.
        """
        call = {"method": "reload_weights", "kwargs": {"weights_path": str(folder.resolve())}}
        self._ask("/update_weight_version", {"new_version": f"half of {name}"})  # until all of them are there
        try:
            self._ask("/collective_rpc", call)
            dropped = self._ask("/reset_prefix_cache", {}).get("success")
            self._ask("/update_weight_version", {"new_version": name})
        except GenerationError as error:
            raise GenerationError(
                f"vLLM does not take the weights of {folder}: {error}. It has to see that folder under the same path and to "
                "serve a model of the same architecture; start it again, what it has now may be half of them"
            ) from error
        if not dropped:
            raise GenerationError(f"vLLM at {self.url} kept keys and values of its old weights: others are asking it")

    def _ask(self, path: str, request: dict[str, Any] | None = None) -> Any:
        answer = Asker(self.url + path, timeout=self.update_seconds, retries=0).ask(request, NEVER)
        if isinstance(answer, Refusal):
            raise GenerationError(f"{self.url}{path}: {answer.reason[:REFUSED_PART]}")
        return answer

    def _found(self, path: str) -> dict[str, Any]:
        try:
            answer = self._ask(path)
        except GenerationError as error:
            raise ConfigError(f"vllm.url: no vLLM server answers at {self.url}: {error}") from error
        if not isinstance(answer, dict):
            raise ConfigError(f"vllm.url: what answers at {self.url} is no vLLM server")
        return answer


class VllmGenerator:
    """Completions of a vLLM server with the exact tokens and their log-probabilities at temperature 1.

    The server gets token ids, so contexts are exactly those that the trainer sees. A context and its n completions are one
    request. vLLM draws with kernels of its own: the same seed gives other completions than `TransformersGenerator`, of the
    same distribution up to the rounding of its dtype, and they need not repeat.

    Args:
        server: started with `--logprobs-mode raw_logprobs`, which is its default.
        tokenizer: of the model.
        ends: ids that end a completion.
        concurrency: requests at a time.
    """

    def __init__(
        self, server: VllmServer, tokenizer: PreTrainedTokenizerBase, ends: Sequence[int], concurrency: int = 64
    ) -> None:
        self.server, self.tokenizer, self.ends, self.concurrency = server, tokenizer, tuple(ends), concurrency
        self.expected = ""  # name of the weights that it must have; "": any

    def generate(
        self, contexts: Sequence[tuple[Message, ...]], n: int, sampling: Sampling, seeds: Sequence[int]
    ) -> list[list[Completion]]:
        """`n` completions for each context; see `swe_srl.protocols.Generator`.

        A context that leaves no room for a token within the server's positions is refused.

        Raises:
            GenerationError: the server failed, gave no log-probabilities or a part of a completion, or has other weights than it
                was given.
        """
        if len(seeds) != len(contexts):
            raise ConfigError(f"{len(contexts)} contexts but {len(seeds)} seeds")
        encoded = [encode_chat(self.tokenizer, messages) for messages in contexts]
        results = [[no_room(len(ids))] * n for ids in encoded]
        asked = [index for index, ids in enumerate(encoded) if len(ids) < self.server.positions]
        requests = [self._request(encoded[index], n, sampling, seeds[index]) for index in asked]
        for index, group in zip(asked, ask_all(requests, self._complete, self.concurrency), strict=True):
            results[index] = group
        if asked and self.expected and (found := self.server.weights()) != self.expected:
            raise GenerationError(
                f"vLLM at {self.server.url} has other weights than it was given ({found!r}, not {self.expected!r}): it was "
                "started again, or another run uses it. The same command goes on from the last checkpoint"
            )
        return results

    def _request(self, prompt: list[int], n: int, sampling: Sampling, seed: int) -> dict[str, Any]:
        return {
            "model": self.server.model,
            "prompt": prompt,
            "n": n,
            "seed": seed % SEEDS,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "max_tokens": min(sampling.max_new_tokens, self.server.positions - len(prompt)),
            "stop_token_ids": list(self.ends),
            "logprobs": 0,  # of the sampled token alone
            "return_token_ids": True,
            **PLAIN,
        }

    def _complete(self, request: dict[str, Any], stop: Event) -> list[Completion]:
        answer = self.server.complete(request, stop)
        if isinstance(answer, Refusal):
            raise GenerationError(f"vLLM at {self.server.url} refused a request: {answer.reason[:REFUSED_PART]}")
        try:
            choices = sorted(answer["choices"], key=lambda choice: int(choice["index"]))
            group = [self._completion(choice, request) for choice in choices]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            shown = json.dumps(answer)[:200]
            raise GenerationError(
                f"vLLM {self.server.version} at {self.server.url} answered without token ids and their log-probabilities (it "
                f"has to be {TESTED} or newer): {shown}"
            ) from error
        if len(group) != request["n"]:
            raise GenerationError(f"vLLM at {self.server.url} gave {len(group)} completions, not {request['n']}")
        return group

    def _completion(self, choice: dict[str, Any], request: dict[str, Any]) -> Completion:
        ids = tuple(int(token) for token in choice["token_ids"])
        logprobs = tuple(float(value) for value in choice["logprobs"]["token_logprobs"])
        if not ids or len(logprobs) != len(ids) or not all(map(math.isfinite, logprobs)):
            raise ValueError("no tokens, or not one log-probability for each")
        finished = ids[-1] in self.ends
        if not finished and len(ids) != request["max_tokens"]:
            asked, reason = request["max_tokens"], choice.get("finish_reason")
            raise GenerationError(
                f"vLLM at {self.server.url} gave a completion of {len(ids)} tokens without an end, where {asked} were asked for "
                f"(finish_reason {reason}): a request was aborted there, or the server bounds completions itself (start it with "
                "--generation-config vllm). The same command goes on from the last checkpoint"
            )
        text = decode(self.tokenizer, ids, self.ends)
        return Completion(text, ids, logprobs, finished, len(request["prompt"]))
