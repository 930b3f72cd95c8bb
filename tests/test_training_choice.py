"""Which update a stage ends with, how it is told and marked, and schedules whose batches are not full."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from training_data import SFT, train_settings

from swe_srl.files import read_jsonl
from swe_srl.progress import SilentProgress
from swe_srl.training import train
from swe_srl.training.checkpoints import Checkpoints
from swe_srl.training.method import BaseMethod
from swe_srl.training.minibatches import minibatches
from swe_srl.training.rlvr import RlvrMethod
from swe_srl.training.settings import StageSettings
from swe_srl.training.stage import StageTrainer
from swe_srl.training.step_methods import SftMethod, SrlMethod

pytestmark = pytest.mark.timeout(900)
STAGE = {**SFT, "updates": 2, "batch_steps": 2, "eval_every": 1, "save_every": 0}


class Notes(SilentProgress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def test_the_best_checkpoint_is_marked_and_the_chosen_update_told(tmp_path: Path) -> None:
    notes = Notes()
    run = train(train_settings(tmp_path, STAGE, keep=1), notes)
    (end,) = json.loads((run / "result.json").read_text())["stages"]
    best = json.loads((run / "checkpoints/best.json").read_text())
    rows = {row["update"]: row for row in read_jsonl(run / "metrics.jsonl")}
    chosen = end["chosen_update"]
    assert best["checkpoint"] == f"s0-u{chosen:06d}" and (run / "checkpoints" / best["checkpoint"]).is_dir()
    figures = {name: value for name, value in rows[chosen].items() if name.startswith("validation_")}
    assert best["figures"] == figures and best["value"] == figures[best["criterion"]]
    alike = [row for row in rows.values() if row["validation_similarity"] == best["value"]]
    assert figures["validation_loss"] == min(row["validation_loss"] for row in alike)
    assert any(f"ends with update {chosen} of 2, the best by validation" in text for text in notes.said)
    Checkpoints(run / "checkpoints", 1).mark_best(0, {})
    assert not (run / "checkpoints/best.json").exists()


def test_a_stage_that_ends_with_its_start_model_says_so(tmp_path: Path) -> None:
    notes = Notes()
    settings = train_settings(tmp_path, {**STAGE, "updates": 1, "learning_rate": 0.0})
    train(settings, notes)
    (said,) = [text for text in notes.said if "ends with update" in text]
    assert said.startswith("warning: ") and "update 0 of 1" in said and "the model that the stage started with" in said
    shutil.rmtree(settings.output)
    train(train_settings(tmp_path, {**STAGE, "updates": 1}, final_model="last"), notes)
    assert "ends with update 1 of 1, the last one" in notes.said[-1]


@pytest.mark.parametrize(
    ("method", "loss", "better"),
    [(SftMethod, 0.9, True), (SftMethod, 1.0, False), (SrlMethod, 0.9, False), (RlvrMethod, 2.0, True)],
)
def test_equal_validations(method: type[BaseMethod], loss: float, better: bool) -> None:
    trainer: Any = object.__new__(StageTrainer)
    trainer.method, trainer.update, trainer.best = method, 1, {}
    first = {method.criterion: 0.5, "validation_loss": 1.0, "loss": 3.0}
    assert trainer._choose(first) and trainer.best["figures"] == {k: v for k, v in first.items() if k != "loss"}
    trainer.update = 2
    assert trainer._choose({**first, "validation_loss": loss}) is better
    assert trainer._choose({**first, method.criterion: 0.6, "validation_loss": 9.0})
    assert not trainer._choose({**first, "validation_loss": 0.1})
    trainer.best = {"update": 0, "value": 0.5}  # of a checkpoint that tells no figures
    assert trainer._choose(first) is (method is RlvrMethod)


def test_places_follow_the_update_whatever_the_batches_hold() -> None:
    stage = StageSettings(batch_steps=4, inner_epochs=2, minibatches=4)
    full = [place for number in (1, 2, 3) for place, _ in minibatches(stage, 4, 0, number)]
    assert full == list(range(24))
    assert [place for place, _ in minibatches(stage, 2, 0, 3)] == [16, 18, 20, 22]
    assert [place for place, _ in minibatches(stage, 3, 0, 1)] == [0, 1, 2, 4, 5, 6]
    assert list(minibatches(stage, 0, 0, 2)) == []
    parts = [part for _, part in minibatches(stage, 3, 0, 1)]
    assert sorted(parts[:3]) == sorted(parts[3:]) == [[0], [1], [2]]
