"""Trackers: what they get, and what is said when they cannot be used. W&B is the real one, offline."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest
from training_data import SFT, train_settings

from swe_srl.errors import ConfigError
from swe_srl.files import read_jsonl
from swe_srl.training import TrainSettings, trackers, train

pytestmark = pytest.mark.timeout(600)
STAGE = {**SFT, "updates": 2, "batch_steps": 1, "eval_every": 0, "save_every": 0}


def test_unknown_and_missing_trackers_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"track: .*did you mean 'wandb'"):
        TrainSettings(track=("wandbb",))
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"trackio is not installed: pip install 'swe-srl\[tracking\]'"):
        train(train_settings(tmp_path, STAGE, track=["trackio"]))


def test_every_row_reaches_a_tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Kept:
        def __init__(self) -> None:
            self.rows: list[tuple[int, dict[str, float]]] = []
            self.ended = 0

        def start(self) -> None:
            self.rows.clear()

        def store_init_configuration(self, values: dict[str, Any]) -> None:
            assert values["stages"][0]["method"] == "sft"

        def log(self, values: dict[str, float], step: int) -> None:
            self.rows.append((step, values))

        def finish(self) -> None:
            self.ended += 1

    kept = Kept()
    monkeypatch.setattr(trackers, "find_spec", lambda name: name)
    monkeypatch.setitem(trackers._MAKERS, "trackio", lambda run: kept)
    run = train(train_settings(tmp_path, STAGE, STAGE, track=["trackio"]))
    written = list(read_jsonl(run / "metrics.jsonl"))
    assert [step for step, _ in kept.rows] == [0, 1, 2, 2, 3, 4] and kept.ended == 1
    for (_, values), row in zip(kept.rows, written, strict=True):
        assert values.get("loss") == row.get("loss") and values["memory_mb"] == row["memory_mb"]
        assert values["seconds/total"] == row["seconds"]["total"] and "update" not in values


def test_a_tracker_that_does_not_start_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(run: Any) -> Any:
        run.file("wandb").mkdir()
        raise ValueError("api_key not configured (no-tty)")

    monkeypatch.setattr(trackers, "find_spec", lambda name: name)
    monkeypatch.setitem(trackers._MAKERS, "wandb", broken)
    with pytest.raises(ConfigError, match="wandb does not start: api_key not configured"):
        train(train_settings(tmp_path, STAGE, track=["wandb"]))
    assert not (tmp_path / "run/wandb").exists() and not (tmp_path / "run/run.json").exists()


def test_wandb_keeps_the_record_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = train(train_settings(tmp_path, STAGE, track=["wandb"]))
    (record,) = run.glob("wandb/offline-run-*/run-*.wandb")
    deadline = time.monotonic() + 60
    while not all(word in record.read_bytes() for word in (b"grad_norm", b"seconds/total", b"batch_steps")):
        assert time.monotonic() < deadline  # its own process writes the last of it
        time.sleep(0.1)
    assert "wandb" not in capfd.readouterr().out and "wandb" in sys.modules


def test_trackio_keeps_the_record_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))  # read when trackio is imported
    pytest.importorskip("trackio")
    train(train_settings(tmp_path, STAGE, track=["trackio"]))
    assert any(b"grad_norm" in file.read_bytes() for file in (tmp_path / "trackio").rglob("*.db*"))
