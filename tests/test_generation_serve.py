"""The endpoint generator and an evaluation by endpoint against a real server: `transformers serve`, on the loopback address."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from ports import free_port

from swe_srl.agents import ModelPolicy
from swe_srl.errors import GenerationError
from swe_srl.evaluation import EvalSettings, evaluate
from swe_srl.generation import EndpointGenerator, TransformersGenerator
from swe_srl.generation.loading import encode_chat, load_model
from swe_srl.training.data import quickstart_file
from swe_srl.trajectories import read_trajectories
from swe_srl.types import Context, Message, Sampling, StopReason

NEEDED = ("fastapi", "uvicorn", "openai")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
STARTING = 300.0  # seconds that the server may take until it answers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(MISSING), reason=f"transformers serve needs {', '.join(MISSING)}: pip install -e '.[dev]'"),
]

CHATS = [
    (Message("user", "Fix the tests."),),
    (
        Message("user", "The list is empty."),
        Message("assistant", "<think>Look.</think>\n```bash\nls\n```"),
        Message("user", "x"),
    ),
]


@dataclass(frozen=True)
class Served:
    """A model folder and where it is served."""

    folder: Path
    url: str

    def client(self, model: str = "", **settings: bool | int) -> EndpointGenerator:
        return EndpointGenerator(self.url, model or str(self.folder), retries=0, **settings)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served") / "model"
    shutil.copytree(quickstart_file("model"), folder)
    settings = folder / "generation_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "do_sample": True}))
    port = free_port()
    log = folder.parent / "serve.log"
    words = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(folder)]
    words += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float64"]
    offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1", "OMP_NUM_THREADS": "1"}
    with log.open("wb") as file:
        server = subprocess.Popen(words, stdout=file, stderr=file, env={**os.environ, **offline})
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server, log)
        yield Served(folder, f"http://127.0.0.1:{port}/v1")
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTING
    while time.monotonic() < deadline:
        assert server.poll() is None, f"the server ended: {log.read_text()[-2000:]}"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.25)
    pytest.fail(f"the server did not answer: {log.read_text()[-2000:]}")


def test_greedy_completions_are_the_models(served: Served) -> None:
    local = TransformersGenerator(load_model(served.folder, torch.device("cpu"), torch.float64))
    sampling = Sampling(0.0, max_new_tokens=12)
    theirs, ours = (one.generate(CHATS, 1, sampling, [3, 4]) for one in (served.client(), local))
    for messages, [asked], [direct] in zip(CHATS, theirs, ours, strict=True):
        # the server leaves special tokens out of the text
        assert asked.text == local.tokenizer.decode(direct.token_ids, skip_special_tokens=True) != ""
        assert asked.prompt_tokens == len(encode_chat(local.tokenizer, messages))
        assert asked.completion_tokens == len(direct.token_ids)
        assert asked.finished == direct.finished
        assert asked.refusal is None and asked.token_ids == asked.logprobs == ()


def test_the_seed_is_honoured_by_requests_one_at_a_time(served: Served) -> None:
    sampling = Sampling(1.0, max_new_tokens=12)
    client = served.client(concurrency=1)
    [first] = client.generate(CHATS[:1], 4, sampling, [3])
    [again] = client.generate(CHATS[:1], 4, sampling, [3])
    assert [one.text for one in first] == [one.text for one in again]
    assert len({one.text for one in first}) > 1


def test_requests_side_by_side_all_come_back(served: Served) -> None:
    groups = served.client(concurrency=8).generate(CHATS * 4, 2, Sampling(max_new_tokens=4), list(range(8)))
    lengths = [{one.prompt_tokens for one in group} for group in groups]
    assert lengths == [lengths[0], lengths[1]] * 4 and lengths[0] != lengths[1]
    assert all(0 < one.completion_tokens <= 4 and one.refusal is None for group in groups for one in group)


def test_the_policy_acts_through_it(served: Served) -> None:
    policy = ModelPolicy(served.client(), Sampling(0.0, max_new_tokens=8))
    [output] = policy.act([Context("t", 0, CHATS[0], seed=3)])
    assert output.action is not None and output.raw and output.prompt_tokens > 0 and output.completion_tokens > 0


@pytest.mark.parametrize(
    ("settings", "sampling", "said"),
    [
        ({"model": "another"}, Sampling(), "pinned"),
        ({"token_ids": True}, Sampling(), "return_token_ids"),
        ({}, Sampling(top_k=5), "top_k"),
    ],
)
def test_what_the_server_does_not_take_is_told(
    served: Served, settings: dict[str, str | bool], sampling: Sampling, said: str
) -> None:
    [[one]] = served.client(**settings).generate(CHATS[:1], 1, sampling, [3])
    assert one.refusal is not None and one.refusal.stop is StopReason.INFRASTRUCTURE
    assert said in one.refusal.reason and not one.text and not one.finished


def test_a_wrong_path_is_told(served: Served) -> None:
    client = EndpointGenerator(served.url + "/elsewhere", str(served.folder), retries=0)
    with pytest.raises(GenerationError, match="status 404"):
        client.generate(CHATS[:1], 1, Sampling(), [3])


@pytest.mark.sandbox
def test_an_evaluation_by_endpoint_is_that_of_the_model(served: Served, tmp_path: Path) -> None:
    shared = {"split": "quickstart", "limit": 2, "max_turns": 3, "temperature": 0.0, "hardened": False}
    asked = EvalSettings(policy=served.url, endpoint_model=str(served.folder), output=tmp_path / "asked", **shared)
    direct = EvalSettings(policy=str(served.folder), output=tmp_path / "direct", **shared)
    done = []
    for settings in (asked, direct):
        report = evaluate(settings)
        assert report.samples == 2 and settings.output is not None
        episodes = read_trajectories(settings.output / "episodes.jsonl")
        done.append({one.task_id: [turn.action for turn in one.turns] for one in episodes})
    assert done[0] == done[1] and all(done[0].values())
