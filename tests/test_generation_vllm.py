"""Sampling with a vLLM server: against the real one where SWE_SRL_VLLM names its environment; and what is told without one.

The stand-in of the other tests answers as vLLM 0.32 was seen to; that vLLM computes the model is shown by the real one alone.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import make_model, make_tokenizer
from training_data import SRL, train_settings
from vllm_support import needs_vllm, served

from swe_srl.errors import ConfigError, GenerationError, TrainingError
from swe_srl.files import read_jsonl
from swe_srl.generation import TransformersGenerator
from swe_srl.generation.loading import encode_chat, end_tokens, load_model
from swe_srl.generation.vllm import VllmGenerator, VllmServer
from swe_srl.training import train
from swe_srl.training.checkpoints import save_model
from swe_srl.training.data import quickstart_file
from swe_srl.training.forward import TokenGroup, score
from swe_srl.training.processes import ALONE
from swe_srl.training.served import Served, weights_version
from swe_srl.types import Message, Sampling, StopReason

CHATS = [(Message("user", "Fix the tests."),), (Message("user", "`add` returns the wrong result."),)]
REAL = [pytest.mark.slow, pytest.mark.timeout(3000), needs_vllm]


def real(test: Any) -> Any:
    for mark in REAL:
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def real_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the bundled model. The environment may name one that runs already."""
    if given := os.environ.get("SWE_SRL_VLLM_URL"):
        yield given
        return
    with served(quickstart_file("model"), tmp_path_factory.mktemp("vllm")) as url:
        yield url


@pytest.fixture(scope="module")
def bundled() -> Any:
    return load_bundled()


def load_bundled() -> Any:
    """The bundled model; its embeddings are tied, so they must not be trained with a server on a CPU."""
    torch.set_num_threads(1)
    model, tokenizer = load_model(quickstart_file("model"), torch.device("cpu"), torch.float32)
    model.get_input_embeddings().requires_grad_(False)  # type: ignore[no-untyped-call]
    return model, tokenizer


def follow(url: str, loaded: Any, folder: Path) -> Served:
    """The server with this model's weights."""
    settings = train_settings(folder, vllm={"url": url}, model="quickstart", max_context_tokens=2000)
    followed = Served(settings, *loaded, folder / "weights", ALONE)
    followed.follow(lambda: loaded[0], False)
    return followed


def gap(followed: Served, loaded: Any, groups: Any) -> dict[str, float]:
    """Of completions that the server gave for `CHATS`."""
    tokens = [
        TokenGroup(tuple(encode_chat(loaded[1], chat)), tuple(one.token_ids for one in group))
        for chat, group in zip(CHATS, groups, strict=True)
    ]

    def own(chosen: Any) -> Any:
        with torch.no_grad():
            found = [score(loaded[0], one.sequences, plain=True).logprob_NT.tolist() for one in chosen]
        return [
            tuple(tuple(row[: len(ids)]) for row, ids in zip(rows, one.completions, strict=True))
            for rows, one in zip(found, chosen, strict=True)
        ]

    return followed.gap(tokens, [tuple(one.logprobs for one in group) for group in groups], own)


@real
def test_vllm_computes_the_model_and_follows_its_weights(real_url: str, bundled: Any, tmp_path: Path) -> None:
    model, tokenizer = bundled
    followed = follow(real_url, bundled, tmp_path)
    local = TransformersGenerator(bundled)
    greedy, free = Sampling(0.0, max_new_tokens=24), Sampling(1.3, top_p=0.9, max_new_tokens=24)
    theirs, ours = (one.generate(CHATS, 1, greedy, [3, 4]) for one in (followed.generator, local))
    assert [[one.token_ids for one in group] for group in theirs] == [
        [one.token_ids for one in group] for group in ours
    ]
    for [asked], [direct] in zip(theirs, ours, strict=True):
        assert (asked.text, asked.finished, asked.prompt_tokens) == (direct.text, direct.finished, direct.prompt_tokens)
    groups = followed.generator.generate(CHATS, 4, free, [3, 4])
    assert (
        gap(followed, bundled, groups)["server_gap_max"] < 1e-3
    )  # at temperature 1, without filters, whatever is drawn
    assert all(one.finished == (one.token_ids[-1] in end_tokens(model, tokenizer)) for group in groups for one in group)
    again = followed.generator.generate(CHATS, 4, free, [3, 4])
    assert [[one.token_ids for one in group] for group in again] == [
        [one.token_ids for one in group] for group in groups
    ]
    assert len({one.token_ids for one in groups[0]}) > 1

    changed, _ = load_bundled()
    moved = follow(real_url, (changed, tokenizer), tmp_path)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in filter(lambda one: one.requires_grad, changed.parameters()):
            parameter.mul_(1 + 0.1 * torch.randn_like(parameter))
    moved.follow(lambda: changed, False)
    with pytest.raises(GenerationError, match="has other weights than it was given"):
        followed.generator.generate(CHATS, 1, greedy, [3, 4])
    groups = moved.generator.generate(CHATS, 4, Sampling(1.0, max_new_tokens=24), [3, 4])
    assert gap(moved, (changed, tokenizer), groups)["server_gap_max"] < 1e-3
    assert gap(moved, bundled, groups)["server_gap"] > 1e-2  # other weights are seen
    assert not list((tmp_path / "weights").iterdir())


@real
def test_tokens_of_vllm_follow_the_models_distribution(real_url: str, bundled: Any, tmp_path: Path) -> None:
    """The second token, since the first is nearly certain."""
    followed = follow(real_url, bundled, tmp_path)
    [group] = followed.generator.generate(CHATS[:1], 600, Sampling(2.0, max_new_tokens=2), [11])
    first = Counter(one.token_ids[0] for one in group).most_common(1)[0][0]
    drawn = Counter(one.token_ids[1] for one in group if one.token_ids[0] == first and len(one.token_ids) == 2)
    with torch.no_grad():
        logits = bundled[0](torch.tensor([[*encode_chat(bundled[1], CHATS[0]), first]])).logits[0, -1]
    assert chi_square(drawn, (logits / 2.0).softmax(-1)) < 4
    assert chi_square(drawn, (logits / 1.7).softmax(-1)) > 4  # a wrong temperature is noticed


def chi_square(drawn: Counter[int], expected_V: torch.Tensor) -> float:
    """How many standard deviations the statistic is above its mean; rare tokens count together."""
    total = sum(drawn.values())
    cells = [(drawn[token], total * float(p)) for token, p in enumerate(expected_V) if total * float(p) >= 5]
    seen, mean = (sum(column) for column in zip(*cells, strict=True))
    if total - mean > 1:
        cells.append((total - seen, total - mean))
    statistic = sum((count - wanted) ** 2 / wanted for count, wanted in cells)
    freedom = len(cells) - 1
    return (statistic - freedom) / (2 * freedom) ** 0.5


@real
def test_a_run_with_vllm(real_url: str, tmp_path: Path) -> None:
    stage = {**SRL, "updates": 2, "batch_steps": 2, "max_new_tokens": 48, "eval_every": 2, "save_every": 1}
    stage |= {"dynamic_sampling": False, "learning_rate": 3e-4, "temperature": 1.2, "validation_steps": 2}
    pytest.importorskip("peft")
    extra = {"model": "quickstart", "final_model": "last", "lora": {"rank": 4}}
    settings = train_settings(tmp_path, stage, vllm={"url": real_url}, **extra)
    train(settings)
    rows = list(read_jsonl(settings.output / "metrics.jsonl"))
    assert [row["update"] for row in rows] == [0, 1, 2]
    for row in rows[1:]:
        assert 0 < row["server_gap"] <= row["server_gap_max"] < 1e-3  # the server had the weights of every update
        assert row["grad_norm"] > 0 and row["sampled_tokens"] > 0
    assert not list((settings.output / "served").iterdir())
    with pytest.raises(ConfigError, match="generator"):
        train(train_settings(tmp_path, stage, **extra))


@real
@pytest.mark.parametrize("shard", [False, True])
def test_a_run_of_two_processes_with_vllm(real_url: str, tmp_path: Path, shard: bool) -> None:
    pytest.importorskip("peft")
    flags = (
        "--config quickstart --updates 2 --batch-steps 2 --max-new-tokens 48 --eval-every 2 --save-every 1 --threads 1"
    )
    flags += " --no-dynamic-sampling --learning-rate 3e-4 --processes 2 lora.rank=4 stages.0.validation_steps=2"
    command = [sys.executable, "-m", "swe_srl", "train", *flags.split(), "--vllm-url", real_url]
    command += ["--output", str(tmp_path / "run"), *(["--shard"] if shard else [])]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert "2 processes share the work" in done.stderr
    rows = list(read_jsonl(tmp_path / "run" / "metrics.jsonl"))
    assert [row["update"] for row in rows] == [0, 1, 2]
    for row in rows[1:]:
        assert 0 < row["server_gap"] <= row["server_gap_max"] < 1e-3  # both sampled from the weights of every update
        assert row["grad_norm"] > 0 and row["sampled_tokens"] > 0
    assert not list((tmp_path / "run" / "served").iterdir())


@real
def test_tied_embeddings_that_are_trained_are_refused_on_a_cpu(real_url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"output embeddings that are tied .* train adapters .lora.rank."):
        train(train_settings(tmp_path, SRL, model="quickstart", vllm={"url": real_url}))


@real
def test_a_folder_without_weights_is_not_taken(tmp_path: Path) -> None:
    """vLLM 0.32 takes weights of other shapes without a word: `server_gap` is what stops a run with another model's."""
    own, empty = tmp_path / "own", tmp_path / "empty"
    tokenizer = make_tokenizer()
    save_model(own, make_model("llama", len(tokenizer), hidden_size=128), tokenizer)
    empty.mkdir()
    with served(own, tmp_path) as url:
        server = VllmServer(url)
        server.take(own, "first")
        assert server.weights() == "first"
        with pytest.raises(GenerationError, match=r"does not take the weights of .*same architecture"):
            server.take(empty, "second")
        assert server.weights() == "half of second"


@real
def test_a_server_that_takes_no_weights_is_told(tmp_path: Path) -> None:
    with (
        served(quickstart_file("model"), tmp_path, dev=False) as url,
        pytest.raises(ConfigError, match="takes no weights: start it with VLLM_SERVER_DEV_MODE=1"),
    ):
        VllmServer(url)


class Handler(BaseHTTPRequestHandler):
    """Answers of the shapes of vLLM 0.32."""

    server: Shaped

    def do_GET(self) -> None:
        self._answer(self.server.gets.get(self.path))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.posts.append((self.path, body))
        self._answer(self.server.answers.get(self.path))

    def _answer(self, content: Any) -> None:
        data = json.dumps({"detail": "Not Found"} if content is None else content).encode()
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: Any) -> None:
        """Quiet."""


class Shaped(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.posts: list[tuple[str, dict[str, Any]]] = []
        self.gets: dict[str, Any] = {
            "/version": {"version": "0.32.0"},
            "/v1/models": {"object": "list", "data": [{"id": "served", "max_model_len": 512}]},
            "/weight_info": {"weight_version": "default"},
        }
        self.answers: dict[str, Any] = {}


@pytest.fixture
def shaped() -> Iterator[Shaped]:
    with Shaped() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def choice(index: int, ids: list[int], **other: Any) -> dict[str, Any]:
    logprobs = {"token_logprobs": [-0.5] * len(ids), "tokens": [str(token) for token in ids]}
    return {"index": index, "token_ids": ids, "logprobs": logprobs, "text": "", "finish_reason": "stop", **other}


def test_what_is_asked_for_and_what_becomes_of_the_answers(shaped: Shaped) -> None:
    tokenizer = make_tokenizer()
    end, prompt = int(tokenizer.eos_token_id), encode_chat(tokenizer, CHATS[0])
    shaped.gets["/v1/models"]["data"][0]["max_model_len"] = len(prompt) + 2
    shaped.answers["/v1/completions"] = {"choices": [choice(1, [7, end]), choice(0, [9, 8])]}
    generator = VllmGenerator(VllmServer(f"{shaped.url}/v1/"), tokenizer, (end,))
    [[first, second]] = generator.generate(CHATS[:1], 2, Sampling(0.7, 0.9, 5, 600), [-3])
    [(path, body)] = shaped.posts
    assert path == "/v1/completions" and body["prompt"] == prompt and body["stop_token_ids"] == [end]
    assert (body["n"], body["temperature"], body["top_p"], body["top_k"]) == (2, 0.7, 0.9, 5)
    assert body["max_tokens"] == 2 and 0 <= body["seed"] < 2**63
    assert body["repetition_penalty"] == 1 and body["logprobs"] == 0 and body["return_token_ids"] is True
    assert (first.token_ids, first.finished, second.token_ids, second.finished) == ((9, 8), False, (7, end), True)
    assert first.logprobs == (-0.5, -0.5) and first.prompt_tokens == len(prompt)


def test_a_context_without_room_is_not_sent(shaped: Shaped) -> None:
    shaped.gets["/v1/models"]["data"][0]["max_model_len"] = 4
    tokenizer = make_tokenizer()
    [[one]] = VllmGenerator(VllmServer(shaped.url), tokenizer, (2,)).generate(CHATS[:1], 1, Sampling(), [1])
    assert one.refusal is not None and one.refusal.stop is StopReason.TOKEN_LIMIT and not shaped.posts


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"choices": [choice(0, [7], token_ids=None)]}, "answered without token ids .* has to be 0.32 or newer"),
        ({"choices": [choice(0, [7], logprobs=None)]}, "answered without token ids"),
        ({"choices": [choice(0, [])]}, "answered without token ids"),
        ({"choices": [choice(0, [7], logprobs={"token_logprobs": [math.nan]})]}, "answered without token ids"),
        (
            {"choices": [choice(0, [7, 8])]},
            r"of 2 tokens without an end, where 4 were asked for \(finish_reason stop\)",
        ),
        ({"choices": [choice(0, [7], finish_reason="abort")]}, r"1 tokens without an end, .* \(finish_reason abort\)"),
        ({"choices": [choice(0, [7] * 5, finish_reason="length")]}, "of 5 tokens without an end, where 4 were asked"),
        ({"choices": [choice(0, [7, 2]), choice(1, [7, 2])]}, "gave 2 completions, not 1"),
        (None, "refused the request: status 404"),
    ],
)
def test_answers_that_cannot_be_trained_on_are_errors(shaped: Shaped, answer: Any, said: str) -> None:
    shaped.answers["/v1/completions"] = answer
    generator = VllmGenerator(VllmServer(shaped.url), make_tokenizer(), (2,))
    with pytest.raises(GenerationError, match=said):
        generator.generate(CHATS[:1], 1, Sampling(max_new_tokens=4), [1])


def test_a_server_that_was_started_again_is_noticed(shaped: Shaped) -> None:
    shaped.answers["/v1/completions"] = {"choices": [choice(0, [7, 2])]}
    generator = VllmGenerator(VllmServer(shaped.url), make_tokenizer(), (2,))
    generator.expected = "mine-1"
    with pytest.raises(GenerationError, match=r"other weights than it was given .'default', not 'mine-1'"):
        generator.generate(CHATS[:1], 1, Sampling(), [1])


def test_a_run_says_what_is_wrong_with_its_server(shaped: Shaped, tmp_path: Path) -> None:
    del shaped.gets["/weight_info"]
    with pytest.raises(ConfigError, match=r"vLLM 0.32.0 at .* takes no weights: start it with VLLM_SERVER_DEV_MODE=1"):
        train(train_settings(tmp_path, vllm={"url": shaped.url}))
    del shaped.gets["/v1/models"]
    with pytest.raises(ConfigError, match=r"vllm.url: no vLLM server answers at .*404"):
        train(train_settings(tmp_path, vllm={"url": shaped.url}))
    with pytest.raises(ConfigError, match=r"vllm.url: no vLLM server answers at http://127.0.0.1:9"):
        train(train_settings(tmp_path, vllm={"url": "http://127.0.0.1:9"}))
    assert not (tmp_path / "run").exists()


def test_a_server_with_too_few_positions_is_told(shaped: Shaped, tmp_path: Path) -> None:
    settings = train_settings(tmp_path, vllm={"url": shaped.url}, max_context_tokens=600)
    tokenizer = make_tokenizer()
    model = make_model(vocab=len(tokenizer), max_position_embeddings=4096)
    with pytest.raises(ConfigError, match=r"takes 512 tokens .* start it with --max-model-len 616"):
        Served(settings, model, tokenizer, tmp_path, ALONE)


def test_changes_that_torch_does_not_count_are_noticed() -> None:
    """Those of a fused optimiser, whose kernel leaves the version counters alone, and those through `.data`."""
    model = make_model()
    found = [weights_version(model)]
    assert weights_version(model) == found[0]
    fused = torch.optim.AdamW(model.parameters(), lr=1e-6, fused=True)
    model(torch.arange(5)[None]).logits.logsumexp(-1).sum().backward()
    fused.step()
    found.append(weights_version(model))
    next(model.parameters()).data[0, 0] += 1e-3
    found.append(weights_version(model))
    assert len(set(found)) == 3


def test_a_server_with_another_model_stops_the_run(shaped: Shaped, tmp_path: Path) -> None:
    tokenizer = make_tokenizer()
    settings = train_settings(tmp_path, vllm={"url": shaped.url}, max_context_tokens=100)
    followed = Served(
        settings, make_model(vocab=len(tokenizer), max_position_embeddings=4096), tokenizer, tmp_path, ALONE
    )
    tokens, sampled = [TokenGroup((1,), ((2, 3),))] * 20, [((-0.5, -1.0),)] * 20
    seen: list[int] = []

    def off(by: float) -> Any:
        return lambda chosen: [seen.append(len(chosen)) or ((-0.5, -1.0 - by),) for _ in chosen]

    assert followed.gap(tokens, sampled, off(0.2)) == {
        "server_gap": pytest.approx(0.1),
        "server_gap_max": pytest.approx(0.2),
    }
    assert seen[0] == 8 and followed.gap([], [], off(9.0)) == {}
    for by in (0.8, float("nan")):
        with pytest.raises(TrainingError, match="serves another model"):
            followed.gap(tokens, sampled, off(by))


@pytest.mark.parametrize("vllm", [{"url": "localhost:8000"}, {"folder": "/tmp"}])
def test_wrong_settings_are_refused(vllm: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"vllm\.(url|folder)"):
        train_settings(tmp_path, vllm=vllm)
