"""Several processes train as one does: whole, with adapters, shared out; and end together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from ports import free_port
from safetensors.torch import load_file
from training_data import SFT, train_settings
from two_processes import CASES, growing, settings_of

from swe_srl.cli import main
from swe_srl.errors import ConfigError
from swe_srl.files import read_jsonl
from swe_srl.launched import Launched, check_launcher, launched
from swe_srl.training import train
from swe_srl.training.processes import ALONE, fair_shares
from swe_srl.training.stage import StageTrainer

HERE = Path(__file__).resolve().parent
pytestmark = pytest.mark.timeout(600)
CURVES = (
    "loss",
    "kl",
    "grad_norm",
    "entropy",
    "reward_mean",
    "skipped_share",
    "validation_loss",
    "validation_similarity",
)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of one process, and of two that `accelerate launch` started."""
    pytest.importorskip("peft")
    folder = tmp_path_factory.mktemp("processes")
    torch.set_num_threads(1)
    for case in ("plain", "lora"):
        train(settings_of(case, folder, f"one-{case}"))
    for case in ("half", "kl", "kl-lora"):
        train(settings_of(f"{case}-shard", folder, f"one-{case}", shard=False))
    train(growing(folder, "one-whole", 3))
    begin_alone(folder)
    launch = ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", str(free_port())]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": f"{HERE}:{HERE.parent}",
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [sys.executable, "-m", *launch, str(HERE / "two_processes.py"), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    train(growing(folder, "to-be-one", 3))
    return folder


def begin_alone(folder: Path) -> None:
    """One process's run that is interrupted in its first stage."""
    settings, update = settings_of("plain", folder, "resumed"), StageTrainer._one_update

    def interrupted(self: StageTrainer) -> None:
        if self.update == 1:
            raise KeyboardInterrupt
        update(self)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(StageTrainer, "_one_update", interrupted)
        train(settings)


def rows(run: Path) -> list[dict[str, Any]]:
    return list(read_jsonl(run / "metrics.jsonl"))


def assert_same_curve(run: Path, reference: Path, rel: float = 1e-3) -> None:
    for one, other in zip(rows(run), rows(reference), strict=True):
        assert one.keys() == other.keys()
        assert (one["stage"], one["update"]) == (other["stage"], other["update"])
        for name in CURVES:
            if name in one:
                assert one[name] == pytest.approx(other[name], rel=rel, abs=1e-6), (name, one["stage"], one["update"])


def assert_same_weights(folder: Path, *runs: str) -> None:
    one, two = (load_file(folder / run / "model/model.safetensors") for run in runs)
    assert one.keys() == two.keys()
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_processes_give_the_curve_of_one(both: Path, case: str) -> None:
    reference = both / f"one-{case.removesuffix('-shard').replace('shard', 'plain')}"
    rel = 0.05 if "half" in case else 1e-3  # packs of other sizes round otherwise
    assert_same_curve(both / f"two-{case}", reference, rel)
    found, expected = (load_file(run / "model" / "model.safetensors") for run in (both / f"two-{case}", reference))
    assert found.keys() == expected.keys()
    for name, weight in found.items():
        assert weight.shape == expected[name].shape, name


@pytest.mark.slow
def test_both_processes_worked_and_shared_what_was_to_be_shared(both: Path) -> None:
    seen = [json.loads((both / f"{index}.json").read_text()) for index in range(2)]
    assert [one["count"] for one in seen] == [2, 2]
    for case in CASES:
        held = [one["held"][f"two-{case}"] for one in seen]
        assert held == ([pytest.approx(0.5, abs=0.01)] * 2 if "shard" in case else [1.0, 1.0])
    assert [one["reference"] for one in seen] == [[pytest.approx(0.5, abs=0.01)] * 3] * 2


@pytest.mark.slow
def test_a_run_of_one_process_goes_on_shared_out_among_two(both: Path) -> None:
    assert_same_curve(both / "resumed", both / "one-plain")


@pytest.mark.slow
def test_a_run_of_two_processes_is_made_longer(both: Path) -> None:
    assert [row["update"] for row in rows(both / "two-grown")] == [0, 1, 2, 3]
    assert_same_curve(both / "two-grown", both / "one-whole")
    assert [row["updates"] for row in json.loads((both / "two-grown/result.json").read_text())["stages"]] == [3]
    assert not (both / "two-grown/lengthening.json").exists()
    assert_same_weights(both, "one-whole", "two-grown")


@pytest.mark.slow
def test_a_run_that_was_shared_out_goes_on_in_one_process(both: Path) -> None:
    assert_same_curve(both / "to-be-one", both / "one-whole")
    starts = list(read_jsonl(both / "to-be-one/sessions.jsonl"))
    assert [start["settings"]["shard"] for start in starts] == [True, False]
    assert_same_weights(both, "one-whole", "to-be-one")


@pytest.mark.slow
def test_a_failure_in_one_process_ends_both_with_one_message(both: Path) -> None:
    first, second = (json.loads((both / f"{index}.json").read_text())["error"] for index in range(2))
    assert first == "SweSrlError: process 2 of 2: the disk is on fire"
    assert second == "ToldElsewhereError: the disk is on fire"


@pytest.mark.slow
def test_the_command_line_starts_processes(tmp_path: Path) -> None:
    stage = {**SFT, "updates": 1, "batch_steps": 2, "eval_every": 0, "save_every": 0}
    source = train_settings(tmp_path, stage).trajectories
    flags = f"--method sft --updates 1 --batch-steps 2 --eval-every 0 --model random --trajectories {source} --agent quickstart"
    command = [sys.executable, "-m", "swe_srl", "train", *flags.split(), "--output", str(tmp_path / "run")]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([*command, "--processes", "2"], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"run folder: {tmp_path / 'run'}\n" and "2 processes share the work" in done.stderr
    assert [row["update"] for row in rows(tmp_path / "run")] == [0, 1]


@pytest.mark.slow
@pytest.mark.sandbox
def test_rlvr_of_two_processes_is_that_of_one(tmp_path: Path) -> None:
    # A token can come out otherwise where two sums of probabilities are rounded differently: then take another seed.
    flags = "--config quickstart-rlvr --seed 4 --updates 1 --batch-steps 2 --group-size 4 --eval-every 0"
    flags += " --no-dynamic-sampling --threads 1"
    for count in (1, 2):
        command = [sys.executable, "-m", "swe_srl", "train", *flags.split(), "--processes", str(count)]
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
        command += ["--output", str(tmp_path / str(count))]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr
    (alone, shared) = (rows(tmp_path / str(count))[1] for count in (1, 2))
    assert alone["grad_norm"] > 0, "no task's episodes differ in reward: take another --seed"
    for name in ("episodes", "turns", "sampled_tokens", "reward_mean", "group_spread", "stop/submitted"):
        assert shared[name] == alone[name], name
    for name in ("loss", "grad_norm", "entropy"):
        assert shared[name] == pytest.approx(alone[name], rel=1e-3, abs=1e-6), name
    one, two = (load_file(tmp_path / str(count) / "model" / "model.safetensors") for count in (1, 2))
    assert all(torch.allclose(one[name].float(), two[name].float(), atol=5e-4) for name in one)


def test_a_launcher_is_understood() -> None:
    assert launched({"WORLD_SIZE": "8", "RANK": "5", "LOCAL_RANK": "1"}) == Launched(5, 1, 8)
    assert launched({"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"}) == Launched(1, 1, 2)
    assert launched({"WORLD_SIZE": "1", "RANK": "0"}) == Launched() and launched({}).main


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"ACCELERATE_USE_FSDP": "true"}, "--shard"),
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, "DeepSpeed"),
        ({"ACCELERATE_MIXED_PRECISION": "fp16"}, "--dtype"),
        ({"ACCELERATE_USE_CPU": "True", "MASTER_PORT": "29500"}, "starts one process"),
    ],
)
def test_what_a_launcher_is_asked_for_in_vain_is_refused(environment: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_launcher(environment)


def test_one_process_has_nobody_to_share_with(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="shard: one process"):
        train(train_settings(tmp_path, SFT, shard=True))
    with pytest.raises(ConfigError, match="processes: from Python"):
        train(train_settings(tmp_path, SFT, processes=2))


@pytest.mark.parametrize("stop", ["--dry-run", "--estimate"])
def test_a_plan_says_so_too(stop: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--config", "quickstart", "--shard", stop]) == 2
    assert "shard: one process has nobody to share with" in capsys.readouterr().err


@pytest.mark.slow
def test_a_parameter_that_is_not_finite_is_found_in_every_share(tmp_path: Path) -> None:
    """The second of two processes that share the model out spoils a number of its own share: both stop, nothing is saved."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{HERE}:{HERE.parent}",
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
    }
    launch = ["torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port())]
    command = [sys.executable, "-m", *launch, str(HERE / "two_poisoned.py"), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"{index}.json").read_text()) for index in range(2))
    assert "parameters are not finite after update 2" in first["error"] and second["error"]
    assert (first["spoilt"], second["spoilt"]) == (0, 1)
    kept = sorted(path.name for path in (tmp_path / "run/checkpoints").glob("s0-u*"))
    assert kept == ["s0-u000000", "s0-u000001"]


def test_shares_are_fair_and_lose_nothing() -> None:
    sizes = [7, 1, 1, 5, 3, 3]
    shares = fair_shares(sizes, 3)
    assert sorted(index for share in shares for index in share) == list(range(6))
    assert [sum(sizes[index] for index in share) for share in shares] == [7, 7, 6]
    assert ALONE.map(lambda items: [2 * item for item in items], [1, 2, 3]) == [2, 4, 6]
