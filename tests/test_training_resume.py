"""Going on with a run: what is noticed, what is not written twice, on which machine. Few, small models: all of it is quick."""

from __future__ import annotations

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny_models import make_model, make_tokenizer, save_model
from training_data import SFT, SRL, make_trajectory, train_settings, write_trajectory_file

from swe_srl.errors import ConfigError, TrainingError
from swe_srl.files import read_jsonl
from swe_srl.progress import SilentProgress
from swe_srl.runs import RunFolder
from swe_srl.training import train
from swe_srl.training.checkpoints import Checkpoints, Place
from swe_srl.training.settings import StageSettings
from swe_srl.training.stage import StageTrainer
from swe_srl.training.step_methods import SrlMethod
from swe_srl.training.trackers import Trackers
from swe_srl.trajectories import write_trajectories
from swe_srl.types import Step

pytestmark = pytest.mark.timeout(900)
TINY = {**SFT, "updates": 2, "batch_steps": 1, "eval_every": 0, "save_every": 0}


class Notes(SilentProgress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def stop_at_the_first_update(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(self: StageTrainer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(StageTrainer, "_one_update", stopped)


def test_a_resume_before_the_first_update_writes_its_row_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = train_settings(tmp_path, TINY)
    with monkeypatch.context() as patch:
        stop_at_the_first_update(patch)
        with pytest.raises(KeyboardInterrupt):
            train(settings)
    run = train(settings)
    assert [row["update"] for row in read_jsonl(run / "metrics.jsonl")] == [0, 1, 2]


def test_a_full_disk_is_said_of_journals_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, append = train_settings(tmp_path, TINY), RunFolder.append

    def full(self: RunFolder, journal: str, row: dict[str, Any]) -> None:
        if journal == "metrics" and row["update"] == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, journal, row)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append", full)
        with pytest.raises(
            TrainingError, match=r"run could not be written \(.*No space .* GiB are free there\): make room"
        ):
            train(settings)
    assert [row["update"] for row in read_jsonl(train(settings) / "metrics.jsonl")] == [0, 1, 2]


def test_another_arithmetic_than_before_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """dtype auto is another one on another device."""
    settings, notes = train_settings(tmp_path, TINY), Notes()
    with monkeypatch.context() as patch:
        stop_at_the_first_update(patch)
        with pytest.raises(KeyboardInterrupt):
            train(settings)
    (state,) = settings.output.glob("checkpoints/*/state.json")
    record = json.loads(state.read_text())
    assert record["arithmetic"] == "float32"
    state.write_text(json.dumps({**record, "arithmetic": "bfloat16"}))
    train(settings, notes)
    (said,) = [text for text in notes.said if "goes on in" in text]
    assert "goes on in float32, and ran in bfloat16 until update 0" in said


def test_another_start_model_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = save_model(tmp_path / "model")
    settings = train_settings(tmp_path, TINY, model=str(model))
    with monkeypatch.context() as patch:
        stop_at_the_first_update(patch)
        with pytest.raises(KeyboardInterrupt):
            train(settings)
        record = json.loads((settings.output / "run.json").read_text())
        assert record["data"]["model"].startswith("sha256:")
        save_model(model, seed=1)
        with pytest.raises(ConfigError, match=r"data\.model: was 'sha256:"):
            train(settings)
        del record["data"]["model"]  # begun before start models had fingerprints
        (settings.output / "run.json").write_text(json.dumps(record))
        with pytest.raises(KeyboardInterrupt):
            train(settings)


def test_an_interruption_while_a_row_is_tracked_writes_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trackers get a row when it is in the journal, and take their time: the checkpoint holds it, to be written again."""
    settings = train_settings(tmp_path, {**TINY, "updates": 3})

    def interrupted(self: Trackers, values: dict[str, float], position: int) -> None:
        if position == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trackers, "log", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(settings)
    assert [row["update"] for row in read_jsonl(settings.output / "metrics.jsonl")] == [0, 1, 2]
    run = train(settings)
    assert [row["update"] for row in read_jsonl(run / "metrics.jsonl")] == [0, 1, 2, 3]


@pytest.mark.parametrize("stage", [SFT, {**SRL, "dynamic_sampling": False}], ids=["sft", "srl"])
def test_every_start_checks_its_first_batch(
    stage: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run may go on with other versions, or on another machine; then what was sampled before is not compared."""
    seen: list[bool] = []

    def check(model: Any, groups: Any, dtype: Any, sampled: Any, score: Any) -> float:
        seen.append(sampled is not None)
        return 0.0

    monkeypatch.setattr("swe_srl.training.method.self_check", check)
    short = {**stage, "updates": 2, "batch_steps": 1, "eval_every": 0, "save_every": 0}
    settings = train_settings(tmp_path, short, model=str(save_model(tmp_path / "model", max_position_embeddings=4096)))
    update = StageTrainer._one_update

    def stopped(self: StageTrainer) -> None:
        if self.update:
            raise KeyboardInterrupt
        update(self)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(StageTrainer, "_one_update", stopped)
        train(settings)
    assert seen == [stage["method"] == "srl"]
    train(settings)
    assert seen == [stage["method"] == "srl", False]


def test_a_checkpoint_of_a_gpu_is_read_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints, model = Checkpoints(tmp_path / "checkpoints", 2), make_model()
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        checkpoints.write(Place(0, 1), model, make_tokenizer(), {"optimiser": torch.ones(3)}, {"best": {}})
    restored = checkpoints.restore(Place(0, 1))["optimiser"]
    assert restored.device.type == "cpu" and restored.tolist() == [1, 1, 1]


def test_a_run_that_cannot_learn_is_stopped(tmp_path: Path) -> None:
    stage = {**SRL, "updates": 5, "batch_steps": 1, "group_size": 2, "eval_every": 0, "save_every": 0}
    with pytest.raises(
        TrainingError, match=r"no usable group: .* completions malformed: .*did not end within 4 tokens"
    ):
        train(train_settings(tmp_path, {**stage, "max_new_tokens": 4, "max_resampling": 1}))
    notes = Notes()
    short = {**stage, "updates": 1, "max_new_tokens": 4, "max_resampling": 1}
    train(train_settings(tmp_path, short, output=str(tmp_path / "short")), notes)
    assert any("ended without one usable group" in text for text in notes.said)


def test_a_damaged_checkpoint_is_named_and_the_one_before_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "whole").mkdir()
    stage = {**SFT, "updates": 3, "batch_steps": 2, "eval_every": 0, "save_every": 1}
    whole = train(train_settings(tmp_path / "whole", stage))
    settings, step = train_settings(tmp_path, stage), StageTrainer._one_update

    def stopped(self: StageTrainer) -> None:
        if self.update == 2:
            raise KeyboardInterrupt
        step(self)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(StageTrainer, "_one_update", stopped)
        train(settings)
    newest = settings.output / "checkpoints/s0-u000002"
    for name in ("state.json", "trainer.pt", "model.safetensors"):
        content = (newest / name).read_bytes()
        for left in (content[: len(content) // 2], b"", None):
            (newest / name).unlink()
            if left is not None:
                (newest / name).write_bytes(left)
            with pytest.raises(TrainingError, match=r"s0-u000002 is damaged or incomplete \(.+\): remove this folder"):
                train(settings)
            (newest / name).write_bytes(content)
    shutil.rmtree(newest)
    resumed = train(settings)
    assert (resumed / "model/model.safetensors").read_bytes() == (whole / "model/model.safetensors").read_bytes()


def test_validation_trajectories_are_reported(tmp_path: Path) -> None:
    (tmp_path / "held").mkdir()
    held = write_trajectory_file(tmp_path / "held", 1)
    held.write_text(held.read_text() + '{"unknown": 1}\n')
    notes = Notes()
    run = train(train_settings(tmp_path, {**TINY, "updates": 1}, validation=str(held)), notes)
    report = json.loads((run / "steps.json").read_text())["validation_report"]
    assert report["tasks_trained_on"] == ["task0"] and len(report["records"]) == 1 and report["steps"] == 4
    assert any("of the validation trajectories, 0 turns gave no step and 1 records" in text for text in notes.said)
    assert any("trained on too" in text for text in notes.said)


def test_records_that_are_not_trained_on_are_told(tmp_path: Path) -> None:
    settings, notes = train_settings(tmp_path, {**TINY, "updates": 1}), Notes()
    file = Path(settings.trajectories)
    file.write_text(file.read_text() + '{"cut": ')
    train(settings, notes)
    assert any("held out; 0 turns gave no step and 1 records could not be read" in text for text in notes.said)


def test_named_validation_steps_that_are_all_too_long_are_an_error(tmp_path: Path) -> None:
    write_trajectory_file(tmp_path)
    held = tmp_path / "held.jsonl"
    long = {"problem_statement": "The function is wrong. " * 200}
    write_trajectories(held, [replace(make_trajectory(number), **long) for number in range(12)])
    extra: dict[str, Any] = {"validation": str(held), "max_context_tokens": 400}
    with pytest.raises(TrainingError, match="48 of 48 validation steps are too long"):
        train(train_settings(tmp_path, {**TINY, "eval_every": 1}, **extra))


def test_a_target_longer_than_a_completion_must_fit_too() -> None:
    trainer = object.__new__(SrlMethod)
    trainer.stage = StageSettings(max_new_tokens=2)
    work: Any = SimpleNamespace(
        action_format="bash",
        encode=lambda context: (0,) * 500,
        settings=SimpleNamespace(max_context_tokens=0),
        model=make_model(),  # 512 positions
        tokenizer=make_tokenizer(),
        end=None,
    )
    trainer.work = work
    short, long = (Step("s", "t", "", 0, (), target) for target in ("", "grep -rn 'wrong value' . " * 20))
    assert trainer.fits(long) and not trainer.fits(long, target=True)
    work.encode = lambda context: (0,) * 511
    assert not trainer.fits(short)


def test_a_run_that_goes_on_is_stopped_where_it_would_have_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = {**SRL, "updates": 6, "batch_steps": 1, "group_size": 2, "max_new_tokens": 4, "max_resampling": 1}
    settings = train_settings(tmp_path, {**stage, "eval_every": 0, "save_every": 0})
    update = StageTrainer._one_update

    def interrupted(self: StageTrainer) -> None:
        if self.update == 2:
            raise KeyboardInterrupt
        update(self)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(StageTrainer, "_one_update", interrupted)
        train(settings)
    with pytest.raises(
        TrainingError, match="3 consecutive updates had no usable group: the rewards of each of 3 groups"
    ):
        train(settings)
    assert [row["update"] for row in read_jsonl(settings.output / "metrics.jsonl")] == [0, 1, 2]
