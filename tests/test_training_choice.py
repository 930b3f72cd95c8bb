"""Which update a stage ends with, how it is told and marked, and schedules whose batches are not full."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tiny_models import make_model
from training_data import SFT, train_settings

from swe_srl.files import read_jsonl
from swe_srl.progress import SilentProgress
from swe_srl.settings import as_mapping
from swe_srl.training import train
from swe_srl.training.checkpoints import Checkpoints
from swe_srl.training.forward import TokenGroup
from swe_srl.training.method import BaseMethod
from swe_srl.training.minibatches import minibatches
from swe_srl.training.optimiser import learning_rate
from swe_srl.training.rlvr import RlvrMethod
from swe_srl.training.settings import StageSettings
from swe_srl.training.stage import StageTrainer
from swe_srl.training.step_methods import SftMethod, SrlMethod
from swe_srl.training.update import PolicyGroup, Updater

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


KILLED = """
import json, os, signal, sys
from swe_srl.settings import from_mapping
from swe_srl.training import TrainSettings, train
from swe_srl.training.checkpoints import Checkpoints

marked = Checkpoints.mark_best

def killed(self, stage, best):
    if best["update"]:  # the checkpoint is there, and is not marked
        os.kill(os.getpid(), signal.SIGKILL)
    marked(self, stage, best)

Checkpoints.mark_best = killed
train(from_mapping(TrainSettings, json.loads(sys.argv[1]), "test"))
"""


@pytest.mark.slow
def test_the_mark_is_right_again_after_a_kill(tmp_path: Path) -> None:
    """Killed by kill -9 when a better checkpoint was written, before it was marked."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    stage = {**STAGE, "updates": 3}
    whole = train(train_settings(tmp_path / "whole", stage, keep=9))
    settings = train_settings(tmp_path / "killed", stage, keep=9)
    command = [sys.executable, "-c", KILLED, json.dumps(as_mapping(settings))]
    assert subprocess.run(command, capture_output=True, timeout=280).returncode == -signal.SIGKILL
    folder = settings.output / "checkpoints"
    newest = max(folder.glob("s0-u*")).name
    assert newest > "s0-u000000" and json.loads((folder / "best.json").read_text())["checkpoint"] == "s0-u000000"
    trainer, seen = StageTrainer._one_update, []

    def noted(self: StageTrainer) -> None:
        seen.append(json.loads((folder / "best.json").read_text())["checkpoint"])
        trainer(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StageTrainer, "_one_update", noted)
        train(settings)
    assert not seen or seen[0] == newest
    assert (folder / "best.json").read_text() == (whole / "checkpoints/best.json").read_text()


def test_unfilled_groups_are_counted_and_told_once() -> None:
    notes, method = Notes(), object.__new__(SrlMethod)
    method.stage, method.index, method.bounded = StageSettings(batch_steps=4, max_resampling=2.0), 0, False
    method.work = cast(Any, SimpleNamespace(progress=notes, settings=SimpleNamespace(stages=(method.stage,))))
    assert method.unfilled(4, 1) == {"unfilled_groups": 0} and not notes.said
    assert [method.unfilled(kept, number) for number, kept in ((2, 3), (3, 0))] == [
        {"unfilled_groups": 1},
        {"unfilled_groups": 4},
    ]
    (said,) = notes.said
    assert "update 2 has 3 of 4 groups" in said and "max_resampling (2 times batch_steps)" in said
    method.stage, method.bounded = StageSettings(batch_steps=4, dynamic_sampling=False), False
    assert method.unfilled(1, 4) == {"unfilled_groups": 3} and len(notes.said) == 1


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_schedule_reaches_its_end_with_batches_that_are_not_full(schedule: str) -> None:
    """Updates of 4, 2, 0, and 1 units: the learning rate is that of the update's number, not of the steps that were made."""
    stage = StageSettings(updates=4, minibatches=4, batch_steps=4, warmup=0.25, schedule=schedule, learning_rate=1e-3)
    updater = Updater(make_model("qwen2"), stage, 16, 4096)
    group = TokenGroup((5, 6, 7), ((8, 2), (9, 2)))
    unit = [PolicyGroup(group, ((-1.0, -1.0), (-1.0, -1.0)), (1.0, -1.0))]
    rates = [updater.policy([unit] * count, 0, number).rate for number, count in ((1, 4), (2, 2), (4, 1))]
    assert rates == [learning_rate(stage, place, 16) for place in (3, 6, 12)]
    assert updater.optimiser.steps == 4 + 2 + 1 and rates[0] == 1e-3 > rates[1] > rates[2]


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
