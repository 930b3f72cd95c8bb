"""Training that diverged or ran out of memory: no ruined model is kept, and what the message advises works."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import make_model
from training_data import SFT, train_settings

from swe_srl.errors import ConfigError, TrainingError
from swe_srl.files import read_jsonl
from swe_srl.settings import from_mapping
from swe_srl.training import TrainSettings, train
from swe_srl.training.divergence import DivergedError
from swe_srl.training.optimiser import Optimiser
from swe_srl.training.settings import StageSettings
from swe_srl.training.update import Updater
from swe_srl.training.watch import PATIENCE, Watch

pytestmark = pytest.mark.timeout(900)
STAGE = {**SFT, "updates": 4, "batch_steps": 2, "eval_every": 0, "save_every": 2}


def finite(folder: Path) -> bool:
    return all(bool(torch.isfinite(one).all()) for one in load_file(folder / "model.safetensors").values())


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", math.inf, math.nan])
def test_numbers_are_finite(value: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"learning_rate: expected a number, .* must be finite"):
        from_mapping(TrainSettings, {"learning_rate": value}, "file.yaml: learning_rate")
    with pytest.raises(ConfigError, match="learning_rate must be a finite number"):
        StageSettings(learning_rate=float(value))
    with pytest.raises(ConfigError, match="grading_timeout must be a finite number"):
        TrainSettings(grading_timeout=float(value))


def test_after_divergence_the_message_says_what_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Optimiser.step

    def poisoned(self: Optimiser, *place: Any) -> tuple[float, float]:
        if self.steps == 3:
            self.parameters[0].grad[0, 0] = float("nan")
        return step(self, *place)

    with monkeypatch.context() as patch:
        patch.setattr(Optimiser, "step", poisoned)
        with pytest.raises(TrainingError, match="norm is nan: training diverged") as caught:
            train(train_settings(tmp_path, STAGE))
    found = re.search(r"a lower learning_rate \(it is 0.003\).* of update 2: --model (\S+) --output", str(caught.value))
    assert found and Path(found[1]).name == "s0-u000002"
    again = {**STAGE, "learning_rate": 1e-4}
    run = train(train_settings(tmp_path, again, model=found[1], output=str(tmp_path / "again")))
    assert finite(run / "model") and len(list(read_jsonl(run / "metrics.jsonl"))) == 5


def test_a_model_that_is_not_finite_is_never_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Optimiser.step

    def ruining(self: Optimiser, *place: Any) -> tuple[float, float]:
        done = step(self, *place)
        with torch.no_grad():
            self.parameters[0][0, 0] = float("inf")
        return done

    monkeypatch.setattr(Optimiser, "step", ruining)
    settings = train_settings(tmp_path, {**STAGE, "save_every": 1})
    with pytest.raises(TrainingError, match="parameters are not finite after update 1: training diverged; start a new"):
        train(settings)
    assert [folder.name for folder in (settings.output / "checkpoints").glob("s*")] == ["s0-u000000"]
    assert finite(settings.output / "checkpoints/s0-u000000") and not (settings.output / "model").exists()


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_one_number_is_enough(value: float) -> None:
    model = make_model()
    optimiser = Optimiser(model, StageSettings(), 1)
    assert optimiser.finite()
    with torch.no_grad():
        optimiser.parameters[-1].view(-1)[-1] = value
    assert not optimiser.finite()


def groups(reasons: tuple[str, ...], rewards: tuple[float, ...]) -> list[Any]:
    return [SimpleNamespace(reasons=reasons, rewards=rewards, spread=float(len(set(rewards)) > 1))]


def test_a_policy_that_training_broke_is_told_from_one_that_cannot_write() -> None:
    good, bad = groups(("", "", "", "no command"), (0.0, 1.0, 0.5, -1.0)), groups(("no command",) * 4, (-1.0,) * 4)
    watch = Watch()
    watch.see(good, good)
    for _ in range(PATIENCE - 1):
        watch.see([], bad)
    with pytest.raises(DivergedError, match=r"12 × no command.*25% earlier in the stage") as caught:
        watch.see([], bad)
    assert caught.value.unlearnt
    watch = Watch()
    for _ in range(PATIENCE - 1):
        watch.see([], bad)
    with pytest.raises(TrainingError, match="an sft stage before this one teaches it"):
        watch.see([], bad)


def test_out_of_memory_goes_on_with_what_the_message_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    likelihood = Updater.likelihood

    def tight(self: Updater, *arguments: Any) -> Any:
        if self.budget > 50 and self.optimiser.steps == 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return likelihood(self, *arguments)

    monkeypatch.setattr(Updater, "likelihood", tight)
    with pytest.raises(TrainingError, match=r"lower update_tokens \(4096\) .*give the same command again"):
        train(train_settings(tmp_path, STAGE))
    run = train(train_settings(tmp_path, STAGE, update_tokens=40, gradient_checkpointing=True))
    assert [row["update"] for row in read_jsonl(run / "metrics.jsonl")] == [0, 1, 2, 3, 4] and finite(run / "model")
    starts = [row["settings"] for row in read_jsonl(run / "sessions.jsonl")]
    assert [(row["update_tokens"], row["gradient_checkpointing"]) for row in starts] == [(4096, False), (40, True)]


def test_another_memory_is_measured_anew_when_a_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Updater, "likelihood", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(train_settings(tmp_path, STAGE, memory="40GB"))
    before = json.loads((tmp_path / "run/budgets.json").read_text())
    run = train(train_settings(tmp_path, STAGE, memory="2GB"))
    after = json.loads((run / "budgets.json").read_text())
    assert (before["memory"], after["memory"]) == ("40GB", "2GB") and after["generate_tokens"] < before[
        "generate_tokens"
    ]


def stopped(*arguments: Any) -> Any:
    raise KeyboardInterrupt
