"""The readable example and the trainer are the same method: the same gradients, and the example runs."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tiny_models import make_model, save_model
from training_data import write_trajectory_file

from swe_srl.generation.attention import use_grouped
from swe_srl.training.forward import TokenGroup
from swe_srl.training.objective import group_advantages
from swe_srl.training.optimiser import Optimiser
from swe_srl.training.settings import StageSettings
from swe_srl.training.update import PolicyGroup, Updater

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "minimal_srl.py"


@pytest.fixture(scope="module")
def minimal() -> ModuleType:
    spec = importlib.util.spec_from_file_location("minimal_srl", EXAMPLE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["minimal_srl"] = module
    spec.loader.exec_module(module)
    return module


def test_the_example_can_be_read_in_one_sitting() -> None:
    assert len(EXAMPLE.read_text().splitlines()) <= 250


def test_the_example_and_the_trainer_give_the_same_gradients(
    minimal: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model("qwen2", seed=2)
    rng = torch.Generator().manual_seed(1)
    tokens = lambda length: torch.randint(3, 400, (length,), generator=rng).tolist()  # noqa: E731
    groups = []
    for context_length, rewards in ((7, [0.2, -1.0, 0.9]), (12, [1.0, 0.4, 0.3])):
        context = tokens(context_length)
        answers = [tokens(length) for length in (3, 6, 1)]
        with torch.no_grad():  # as if the policy had moved a little since they were sampled
            old = [minimal.logprobs_of(model, context, answer) + 0.15 * (i - 1) for i, answer in enumerate(answers)]
        groups.append(minimal.Group(context, answers, old, rewards))
    for group in groups:
        (minimal.group_loss(model, group) / len(groups)).backward()
    expected = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad(set_to_none=True)

    found: list[torch.Tensor] = []
    monkeypatch.setattr(
        Optimiser, "step", lambda self, place: (found.extend(p.grad.clone() for p in self.parameters) or 0.0, 0.0)
    )
    use_grouped(model)
    trainer = Updater(model, StageSettings(group_size=3), total=1, budget=10_000)
    trainer.policy(
        [
            [
                PolicyGroup(
                    TokenGroup(tuple(group.context), tuple(tuple(answer) for answer in group.answers)),
                    tuple(tuple(old.tolist()) for old in group.old_logprobs),
                    tuple(group_advantages(torch.tensor([group.rewards]))[0].tolist()),
                )
            ]
            for group in groups
        ],
        seed=0,
    )
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        scale = max(1.0, float(theirs.abs().max()))
        torch.testing.assert_close(ours / scale, theirs / scale, atol=1e-5, rtol=1e-5)


def test_the_example_runs(minimal: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", str(save_model(tmp_path / "model")), "--trajectories", str(write_trajectory_file(tmp_path))]
    arguments += ["--output", str(tmp_path / "out"), "--updates", "1", "--batch-steps", "1", "--group-size", "2"]
    minimal.train(minimal.parse([*arguments, "--max-new-tokens", "4"]))
    first, second = capsys.readouterr().out.splitlines()[:2]
    assert first.startswith("1 updates:")  # the first of them takes a while on two cores, without a word
    assert "mean reward -1.000   0 of 4 groups kept" in second
    assert (tmp_path / "out/model.safetensors").exists()
