"""The estimate of a run: real updates in a folder of their own, scaled to the whole run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from training_data import SFT, SRL, train_settings

from swe_srl.cli import main
from swe_srl.progress import SilentProgress
from swe_srl.settings import as_yaml
from swe_srl.training import estimate as module
from swe_srl.training.estimate import Estimate, estimate
from swe_srl.training.settings import StageSettings

pytestmark = pytest.mark.timeout(900)


def row(update: int, total: float, **extra: Any) -> dict[str, Any]:
    return {"stage": 0, "update": update, "seconds": {"total": total, "update": total / 2, **extra}}


def test_seconds_grow_with_the_batch_and_the_updates(tmp_path: Path) -> None:
    stage = StageSettings(epochs=2, batch_steps=32, eval_every=10)
    probed = module._probed(stage)
    assert (probed.batch_steps, probed.updates, probed.save_every) == (16, 2, 0)
    rows = [row(0, 5.0, validate=4.0), row(1, 99.0), row(2, 9.0, validate=4.0)]
    found = module._stage(stage, probed, rows, 400, tmp_path / "none", 10)
    assert found.updates == 25 and found.update_seconds == pytest.approx(2 * 5.0)
    assert found.seconds == pytest.approx(25 * 10.0 + 4 * 4.0) and found.phases["update"] == pytest.approx(9.0)


def test_what_is_written_down_now_and_then_is_not_counted_for_every_update(tmp_path: Path) -> None:
    """A row of samples.jsonl has one step, however large the batch; the probe's last update always writes one."""
    stage = StageSettings(method="sft", updates=40, batch_steps=64, eval_every=0)
    rows = [row(0, 0.0), row(1, 9.0), row(2, 8.0, samples=5.0)]
    found = module._stage(stage, module._probed(stage), rows, 400, tmp_path / "none", 20)
    assert found.phases == {"update": pytest.approx(4 * 4.0), "samples": pytest.approx(5.0 / 20)}
    assert found.update_seconds == pytest.approx(4 * 3.0 + 5.0 / 20)
    assert found.seconds == pytest.approx(40 * 4 * 3.0 + 2 * 5.0)


def test_the_probing_pass_is_scaled_and_decides_the_updates(tmp_path: Path) -> None:
    stage = StageSettings(epochs=1, batch_steps=16, eval_every=0, pivot_samples=4)
    (tmp_path / "0.json").write_text(json.dumps({"seconds": 6.4, "looked_at": 64, "kept": 32}))
    found = module._stage(stage, module._probed(stage), [row(0, 0.0), row(1, 1.0)], 640, tmp_path / "0.json", 10)
    assert found.pivot_seconds == pytest.approx(64.0) and found.updates == 20
    assert found.seconds == pytest.approx(64.0 + 20 * 1.0)


def test_what_is_told_names_no_file_that_is_removed(tmp_path: Path) -> None:
    said: list[str] = []

    class Notes(SilentProgress):
        def note(self, text: str) -> None:
            said.append(text)

    stage = {**SFT, "updates": 1, "batch_steps": 1, "eval_every": 0}
    estimate(train_settings(tmp_path, stage), Notes())
    assert any("reasons in the run folder's steps.json" in text for text in said)
    assert not any("estimate-" in text for text in said)


def test_a_probe_without_a_pivot_is_said_and_goes_on(tmp_path: Path) -> None:
    stage = {**SRL, "updates": 0, "epochs": 2, "eval_every": 0, "max_new_tokens": 4, "max_resampling": 1}
    settings = train_settings(tmp_path, stage, pivot_samples=2, pivot_below=-2.0)
    (found,) = estimate(settings, SilentProgress()).stages
    assert found.no_pivot and found.pivot_seconds > 0
    assert found.updates == -(-2 * 44 // 3)  # of all steps that the pass looks at
    assert [path.name for path in tmp_path.iterdir()] == ["trajectories.jsonl"]


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Estimate]:
    folder = tmp_path_factory.mktemp("estimate")
    sft = {**SFT, "updates": 0, "epochs": 3, "batch_steps": 8, "learning_rate": 5e-3}
    settings = train_settings(folder, sft, {**SRL, "batch_steps": 1, "max_resampling": 1, "updates": 40})
    (folder / "mine.yaml").write_text(as_yaml(settings))
    return folder, estimate(settings, SilentProgress())


def test_a_real_run_is_probed_and_leaves_nothing(probed: tuple[Path, Estimate]) -> None:
    folder, found = probed
    assert sorted(path.name for path in folder.iterdir()) == ["mine.yaml", "trajectories.jsonl"]
    sft, srl = found.stages
    assert (sft.method, srl.method, srl.updates) == ("sft", "srl", 40)
    assert sft.updates == -(-3 * 44 // 8)  # of 48 steps, a task's four are held out
    assert sft.skipped_share is None and srl.skipped_share is not None and 0 <= srl.skipped_share <= 1
    assert found.seconds == pytest.approx(sft.seconds + srl.seconds) and srl.seconds > 40 * srl.update_seconds > 0
    assert found.disk_mb > 4 * found.checkpoint_mb > 0 and found.memory_mb > 0 and found.device == "cpu"
    assert found.paper_hours is not None and found.paper_hours > 0


def test_the_command_says_it(
    probed: tuple[Path, Estimate], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, found = probed
    monkeypatch.setattr("swe_srl.cli.estimate.estimate", lambda settings, progress: found)
    assert main(["train", "--config", str(folder / "mine.yaml"), "--estimate"]) == 0
    shown = capsys.readouterr().out
    assert ("no usable group" in shown) == (found.stages[1].sharing_ratio is None)
    for word in ("1 (srl)", "GiB at its peak", "134,000 steps", "hours of this CPU", "whole stage"):
        assert word in shown
    assert asdict(found) == found.as_dict() and json.dumps(found.as_dict())
    assert main(["train", "--config", str(folder / "mine.yaml"), "--estimate", "--model", "no-such-model"]) == 2
    assert "no-such-model" in capsys.readouterr().err
