"""The endpoint generator against a real HTTP server on the loopback address, backed by a tiny model."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tiny_models import make_model, make_tokenizer

from swe_srl.agents import ModelPolicy
from swe_srl.errors import ConfigError, GenerationError
from swe_srl.generation import EndpointGenerator, TransformersGenerator, asking
from swe_srl.protocols import Generator
from swe_srl.seeds import derive_seed
from swe_srl.types import Context, Message, Sampling, StopReason
from tests.sandbox_support import wait_until


class Handler(BaseHTTPRequestHandler):
    """`POST /v1/chat/completions`, after the failures that a test asked for."""

    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.turn:
            self.server.requests.append((self.path, dict(self.headers), body))
            failure = self.server.failures.pop(0) if self.server.failures else None
        if failure == "stall":
            self.server.stalled.set()
            self.server.resume.wait()
        elif failure == "drop":
            self.connection.close()
        elif isinstance(failure, int):
            self._answer(failure, {"error": "told to fail"})
        elif isinstance(failure, tuple):
            self._answer(failure[0], {"error": {"message": failure[1]}})
        elif failure is not None:
            self._answer(200, failure)
        else:
            self._answer(200, self._completion(body))

    def _completion(self, body: dict[str, Any]) -> dict[str, Any]:
        messages = tuple(Message(m["role"], m["content"]) for m in body["messages"])
        sampling = Sampling(body["temperature"], body["top_p"], body.get("top_k", 0), body["max_tokens"])
        with self.server.turn:
            [[one]] = self.server.generator.generate([messages], 1, sampling, [body["seed"]])
        choice: dict[str, Any] = {
            "message": {"role": "assistant", "content": one.text},
            "finish_reason": "stop" if one.finished else "length",
        }
        if body.get("return_token_ids"):
            choice["token_ids"] = list(one.token_ids)
            choice["logprobs"] = {"content": [{"token": "", "logprob": value} for value in one.logprobs]}
        usage = {"prompt_tokens": one.prompt_tokens, "completion_tokens": len(one.token_ids)}
        return {"choices": [choice], "usage": usage}

    def _answer(self, status: int, content: Any) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: Any) -> None:
        """Quiet."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        tokenizer = make_tokenizer()
        self.generator = TransformersGenerator((make_model(vocab=len(tokenizer)), tokenizer))
        self.turn = threading.Lock()
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.failures: list[Any] = []
        self.stalled, self.resume = threading.Event(), threading.Event()

    def client(self, **settings: Any) -> EndpointGenerator:
        return EndpointGenerator(f"http://127.0.0.1:{self.server_port}/v1", "tiny", backoff=0.01, **settings)


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server(running: Server) -> Iterator[Server]:
    running.requests.clear()
    running.failures.clear()
    running.stalled.clear()
    running.resume.clear()
    yield running
    running.resume.set()


CHATS = [(Message("user", "Fix the tests."),), (Message("system", "calc"), Message("user", "The list is empty."))]
SAMPLING = Sampling(max_new_tokens=6)


def test_the_endpoints_completions_are_the_models(server: Server) -> None:
    client = server.client(token_ids=True)
    assert isinstance(client, Generator)
    groups = client.generate(CHATS, 2, SAMPLING, [3, 4])
    for messages, seed, group in zip(CHATS, [3, 4], groups, strict=True):
        for j, one in enumerate(group):
            direct = server.generator.generate([messages], 1, SAMPLING, [derive_seed(seed, j) % 2**31])[0][0]
            assert one == replace(direct, completion_tokens=len(direct.token_ids))
    assert {path for path, _, _ in server.requests} == {"/v1/chat/completions"}
    assert len({body["seed"] for _, _, body in server.requests}) == 4


def test_without_token_ids_they_are_empty(server: Server) -> None:
    [[one]] = server.client().generate(CHATS[:1], 1, SAMPLING, [3])
    assert one.token_ids == () and one.logprobs == () and one.text and one.prompt_tokens > 0
    assert 0 < one.completion_tokens <= SAMPLING.max_new_tokens


def test_an_endpoints_tokens_count_for_the_policy(server: Server) -> None:
    policy = ModelPolicy(server.client(), SAMPLING)
    [output] = policy.act([Context("t", 0, CHATS[0], seed=3)])
    assert output.prompt_tokens > 0 and 0 < output.completion_tokens <= SAMPLING.max_new_tokens


def test_it_tries_again_what_may_pass(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.failures[:] = [503, "drop", 429]
    client = server.client()
    [[one]] = client.generate(CHATS[:1], 1, SAMPLING, [3])
    assert one.text and len(server.requests) == 4
    (told,) = caplog.messages
    assert "status 503" in told and "asking again, up to 5 times" in told
    server.failures[:] = [429]
    client.generate(CHATS[:1], 1, SAMPLING, [3])
    assert len(caplog.messages) == 2, "told again where it had answered in between"


def test_it_gives_up_after_its_tries(server: Server) -> None:
    server.failures[:] = [500] * 5
    with pytest.raises(GenerationError, match=r"failed 3 times, the last time with: status 500: .*told to fail"):
        server.client(retries=2).generate(CHATS[:1], 1, SAMPLING, [3])
    assert len(server.requests) == 3


def test_a_refusal_is_not_tried_again(server: Server) -> None:
    server.failures[:] = [401]
    with pytest.raises(
        GenerationError, match=r"refused the request: status 401.*\(no key was sent: --api-key-env NAME"
    ):
        server.client().generate(CHATS[:1], 1, SAMPLING, [3])
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (413, "Payload Too Large"),
        (
            400,
            "This model's maximum context length is 4096 tokens. However, you requested 5000. Please reduce the length.",
        ),
        (400, "the request exceeds the available context size, try increasing it"),
        (400, "prompt is too long: 208310 tokens > 200000 maximum"),
        (400, "The input token count (1100000) exceeds the maximum number of tokens allowed (1048575)."),
        (
            422,
            "`inputs` tokens + `max_new_tokens` must be <= 4096. Input validation error: input length is more than 4096",
        ),
    ],
)
def test_a_context_that_is_too_long_is_refused_alone(server: Server, status: int, said: str) -> None:
    server.failures[:] = [(status, said)]
    [[long], [short]] = server.client(concurrency=1).generate(CHATS, 1, SAMPLING, [3, 4])
    assert long.refusal is not None and long.refusal.stop is StopReason.TOKEN_LIMIT
    assert said[:20] in long.refusal.reason and not long.text and not long.finished
    assert short.text and short.refusal is None and len(server.requests) == 2


@pytest.mark.parametrize("said", ["max_tokens is too large: 99999", "unknown field: seed", "content was filtered"])
def test_a_refusal_for_another_reason_counts_for_nothing(server: Server, said: str) -> None:
    server.failures[:] = [(400, said)]
    [[refused], [other]] = server.client(concurrency=1).generate(CHATS, 1, SAMPLING, [3, 4])
    assert refused.refusal is not None and refused.refusal.stop is StopReason.INFRASTRUCTURE
    assert other.text and other.refusal is None


@pytest.mark.parametrize(
    ("reason", "finished", "counts"),
    [("stop", True, True), ("length", False, True), ("content_filter", False, True), ("abort", False, False)],
)
def test_how_a_completion_ended(server: Server, reason: str, finished: bool, counts: bool) -> None:
    choice = {"message": {"role": "assistant", "content": "half a comm"}, "finish_reason": reason}
    server.failures[:] = [{"choices": [choice]}]
    [[one]] = server.client().generate(CHATS[:1], 1, SAMPLING, [3])
    assert one.finished is finished
    if counts:
        assert one.text == "half a comm" and one.refusal is None
    else:
        assert not one.text and one.refusal is not None and one.refusal.stop is StopReason.INFRASTRUCTURE
        assert reason in one.refusal.reason


def test_half_a_character_in_a_completion_is_replaced(server: Server) -> None:
    server.failures[:] = [{"choices": [{"message": {"content": "a\ud800b"}, "finish_reason": "stop"}]}]
    [[one]] = server.client().generate(CHATS[:1], 1, SAMPLING, [3])
    assert one.text == "a?b"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_of_everyone_ends_everything(server: Server, status: int) -> None:
    server.failures[:] = [status]
    with pytest.raises(GenerationError, match=f"refused the request: status {status}"):
        server.client(concurrency=1).generate(CHATS, 1, SAMPLING, [3, 4])


@pytest.mark.timeout(60)
def test_a_failure_does_not_wait_for_the_others(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LONGEST_WAIT", 3600.0)
    server.failures[:] = ["stall", 503, 401]
    client = EndpointGenerator(f"http://127.0.0.1:{server.server_port}/v1", "tiny", backoff=3600.0)
    with pytest.raises(GenerationError, match="status 401"):
        client.generate(CHATS[:1], 3, SAMPLING, [3])
    assert len(server.requests) == 3


PROGRAM = """
import sys
from swe_srl.generation import EndpointGenerator
from swe_srl.types import Message, Sampling
EndpointGenerator(sys.argv[1], "tiny").generate([(Message("user", "Fix."),)], 2, Sampling(), [3])
"""


@pytest.mark.timeout(120)
def test_an_interruption_does_not_wait_for_stalled_requests(server: Server) -> None:
    server.failures[:] = ["stall", "stall"]
    url = f"http://127.0.0.1:{server.server_port}/v1"
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, url], stderr=subprocess.PIPE, text=True)
    try:
        server.stalled.wait()
        wait_until(lambda: len(server.requests) == 2)
        time.sleep(0.5)  # until the program waits for its answers
        program.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in program.communicate(timeout=60)[1]
    finally:
        program.kill()


def test_an_answer_of_another_kind(server: Server) -> None:
    server.failures[:] = [{"completion": "ls"}]
    with pytest.raises(GenerationError, match="no chat completion"):
        server.client().generate(CHATS[:1], 1, SAMPLING, [3])


def test_nobody_answers() -> None:
    client = EndpointGenerator("http://127.0.0.1:9/v1", "m", retries=1, backoff=0.01)
    with pytest.raises(GenerationError, match="failed 2 times"):
        client.generate(CHATS[:1], 1, SAMPLING, [3])


def test_the_key_comes_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="TINY_KEY is not set"):
        server.client(api_key_env="TINY_KEY")
    monkeypatch.setenv("TINY_KEY", "secret")
    server.client(api_key_env="TINY_KEY").generate(CHATS[:1], 1, SAMPLING, [3])
    assert server.requests[0][1]["Authorization"] == "Bearer secret"
    with pytest.raises(ConfigError, match="expected a URL"):
        EndpointGenerator("localhost:8000", "m")
