"""Whole runs of training: what they write, that they learn, that a kill changes nothing."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tiny_models import make_model, make_tokenizer
from training_data import SFT, train_settings, write_trajectory_file
from training_data import SRL as USUAL
from transformers import AutoModelForCausalLM, AutoTokenizer

from swe_srl.cli import main
from swe_srl.errors import ConfigError, TrainingError
from swe_srl.files import read_jsonl
from swe_srl.generation import TransformersGenerator
from swe_srl.generation.loading import encode_chat
from swe_srl.progress import SilentProgress
from swe_srl.runs import RunFolder
from swe_srl.settings import as_mapping
from swe_srl.training import train
from swe_srl.training.checkpoints import Checkpoints, Place, write_folder
from swe_srl.training.data import load_steps
from swe_srl.training.explain import ExplainSettings, explain
from swe_srl.training.forward import TokenGroup
from swe_srl.training.journal import Clock, Journal
from swe_srl.training.optimiser import Optimiser
from swe_srl.training.settings import StageSettings
from swe_srl.training.step_methods import SrlMethod
from swe_srl.training.update import Updater
from swe_srl.types import Message, Sampling

pytestmark = pytest.mark.timeout(900)
SRL = {**USUAL, "max_resampling": 16.0}  # so that, however a machine rounds, every update finds groups to learn from
UNREPEATABLE = ("seconds", "memory_mb")
WARM_UP = {**SFT, "updates": 60, "batch_steps": 8, "learning_rate": 5e-3, "eval_every": 0, "save_every": 0}


def rows(run: Path, journal: str = "metrics") -> list[dict[str, Any]]:
    return [
        {key: value for key, value in row.items() if key not in UNREPEATABLE}
        for row in read_jsonl(run / f"{journal}.jsonl")
    ]


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that mostly writes well-formed completions: the start of the SRL tests."""
    folder = tmp_path_factory.mktemp("warm")
    return train(train_settings(folder, WARM_UP)) / "model"


@pytest.fixture(scope="module")
def reference(warm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted SRL run."""
    folder = tmp_path_factory.mktemp("reference")
    return train(train_settings(folder, SRL, model=str(warm)))


@pytest.mark.slow
def test_sft_learns_the_targets(warm: Path) -> None:
    losses = [row["loss"] for row in rows(warm.parent) if "loss" in row]
    assert len(losses) == 60 and sum(losses[-5:]) < 0.6 * sum(losses[:5])


def test_a_run_writes_what_it_did(reference: Path) -> None:
    metrics = rows(reference)
    assert [row["update"] for row in metrics] == list(range(7))
    assert [row["update"] for row in metrics if "validation_similarity" in row] == [0, 3, 6]
    for row in metrics[1:]:
        assert 0 < row["kept_groups"] <= 3 and -1 <= row["reward_mean"] <= 1 and 0 <= row["skipped_share"] <= 1
        assert row["sharing_ratio"] > 1 and row["entropy"] > 0 and row["grad_norm"] > 0
    assert metrics[1]["ratio_mean"] == pytest.approx(1.0, abs=1e-4) and metrics[1]["logprob_gap"] < 1e-4
    (first, *_) = samples = rows(reference, "samples")
    assert [row["update"] for row in samples] == [2, 4, 6] and len(first["completions"]) == 3
    assert sum(one["advantage"] for one in first["completions"]) == pytest.approx(0, abs=1e-4)
    steps = json.loads((reference / "steps.json").read_text())
    assert steps["turns_read"] == steps["steps"] + steps["reported"] == 48
    seconds = [row["seconds"] for row in read_jsonl(reference / "metrics.jsonl")]
    assert {"generate", "update", "total"} <= seconds[1].keys()


def test_a_recorded_step_is_explained(reference: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = rows(reference, "samples")[1]
    found = explain(ExplainSettings(run=str(reference), step="4"))
    assert (found.update, found.step_id, found.sampled) == (4, row["step_id"], "recorded")
    for one, recorded in zip(found.completions, row["completions"], strict=True):
        assert one.before == sum(recorded["logprobs"]) < 0 and len(recorded["logprobs"]) == one.tokens
        assert one.after == sum(recorded["logprobs_after"]) != one.before
        assert one.reward == recorded["reward"] and "similarity" in one.parts
    assert found.spread > 0
    assert main(["explain", str(reference), "4"]) == 0
    shown = capsys.readouterr().out
    assert row["target"] in shown and "as the trainer sampled it" in shown and "times as likely" in shown
    assert main(["explain", str(reference), row["step_id"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["step_id"] == row["step_id"]


def test_what_is_recorded_is_what_the_checkpoints_say(reference: Path) -> None:
    """The checkpoints of updates 4 and 6 are kept, so the recorded numbers of update 4 and 6 can be computed again."""
    model = TransformersGenerator(reference / "checkpoints/s0-u000006")
    row = rows(reference, "samples")[-1]
    (step,) = (s for s in load_steps(train_settings(reference.parent, SRL)).training if s.step_id == row["step_id"])
    completions = tuple(tuple(one["token_ids"]) for one in row["completions"])
    group = TokenGroup(tuple(encode_chat(model.tokenizer, step.context)), completions)
    again = Updater(model.model, StageSettings(**SRL), 1, 4096).logprobs([group])[0]
    for one, logprobs in zip(row["completions"], again, strict=True):
        assert one["logprobs_after"] == pytest.approx(logprobs, abs=1e-4)


def test_a_step_that_was_not_recorded_is_sampled_again(reference: Path, warm: Path) -> None:
    recorded = {row["step_id"] for row in rows(reference, "samples")}
    step = next(s for s in load_steps(train_settings(reference.parent, SRL)).validation if s.step_id not in recorded)
    found = explain(ExplainSettings(run=str(reference), step=step.step_id))
    assert (found.sampled, found.target, len(found.completions)) == ("again", step.target, 3)
    assert any(one.before != one.after for one in found.completions)
    same = explain(ExplainSettings(run=str(reference), step=step.step_id, before=4, after=4))
    assert all(one.before == one.after for one in same.completions)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"step": "5"}, r"nothing recorded of update 5; recorded updates .* 4 \("),
        ({"step": "t1/o"}, "STEP: .*did you mean"),
        ({"step": "4", "resample": True, "after": 5}, "no checkpoint of update 5; there are: "),
        ({"step": "5"}, "every samples_every before it"),
        ({"stage": 1}, r"--stage 1: this run has no such stage; it has 0 \(srl\)"),
    ],
)
def test_what_cannot_be_explained_is_said(wrong: dict[str, Any], message: str, reference: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        explain(ExplainSettings(run=str(reference), **wrong))


def test_the_result_is_an_ordinary_model_folder(reference: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(reference / "model")
    assert AutoTokenizer.from_pretrained(reference / "model").chat_template
    stage = json.loads((reference / "result.json").read_text())["stages"][0]
    best = max((row["validation_similarity"], -row["update"]) for row in rows(reference) if "validation_loss" in row)
    assert (stage["best"]["value"], -stage["chosen_update"]) == best
    chosen = Checkpoints(reference / "checkpoints", 2)
    folder = chosen.path(next(p for p in chosen.places() if p.update == stage["chosen_update"]))
    for name, weight in AutoModelForCausalLM.from_pretrained(folder).state_dict().items():
        assert torch.equal(weight, model.state_dict()[name])
    context = [(Message("user", "The function in src/core.py returns the wrong value."),)]
    assert TransformersGenerator(reference / "model").generate(context, 1, Sampling(max_new_tokens=5), [0])[0][0].text


def test_old_checkpoints_are_removed_and_the_best_is_kept(reference: Path) -> None:
    updates = {place.update for place in Checkpoints(reference / "checkpoints", 2).places()}
    stage = json.loads((reference / "result.json").read_text())["stages"][0]
    assert updates == {stage["chosen_update"], 4, 6}


@pytest.mark.slow
def test_the_same_run_gives_the_same_numbers(reference: Path, warm: Path, tmp_path: Path) -> None:
    again = train(train_settings(tmp_path, SRL, model=str(warm)))
    assert rows(again) == rows(reference)
    other = train(train_settings(tmp_path, SRL, model=str(warm), seed=1, output=str(tmp_path / "other")))
    assert rows(other) != rows(reference)


def test_a_finished_run_is_left_alone_and_other_settings_are_refused(reference: Path, warm: Path) -> None:
    folder = reference.parent
    before = (reference / "metrics.jsonl").read_bytes()
    assert train(train_settings(folder, SRL, model=str(warm))) == reference
    assert (reference / "metrics.jsonl").read_bytes() == before
    with pytest.raises(ConfigError, match=r"stages\.0\.updates: was 6, is 5"):
        train(train_settings(folder, {**SRL, "updates": 5}, model=str(warm)))


CHILD = """
import json, sys, time
from pathlib import Path
from swe_srl.settings import from_mapping
from swe_srl.training import TrainSettings, train
from swe_srl.training.stage import StageTrainer
update, later = StageTrainer._one_update, []
def held(self, *arguments, **options):
    if later:
        time.sleep(600)
    later.extend([True] * Path(sys.argv[2]).exists())
    return update(self, *arguments, **options)
StageTrainer._one_update = held
train(from_mapping(TrainSettings, json.loads(sys.argv[1]), "child"))
"""


def kill_after(settings: Any, checkpoint: str) -> None:
    """Run in a process of its own, and kill -9 it some time after it has written this checkpoint: in the next update, or when
    that is over."""
    folder = settings.output / "checkpoints" / checkpoint
    command = [sys.executable, "-c", CHILD, json.dumps(as_mapping(settings)), str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as child:
        deadline = time.monotonic() + 240
        while not folder.exists():
            assert child.poll() is None, child.stderr.read().decode()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(0.1)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL, "the run was over before it could be killed"


@pytest.mark.slow
def test_kill_and_resume_srl(reference: Path, warm: Path, tmp_path: Path) -> None:
    settings = train_settings(tmp_path, SRL, model=str(warm))
    kill_after(settings, "s0-u000002")
    assert not (settings.output / "result.json").exists()
    resumed = train(settings)
    assert rows(resumed) == rows(reference) and rows(resumed, "samples") == rows(reference, "samples")
    assert (resumed / "model/model.safetensors").read_bytes() == (reference / "model/model.safetensors").read_bytes()
    assert len(list(read_jsonl(resumed / "sessions.jsonl"))) == 2


@pytest.mark.slow
def test_kill_and_resume_sft_and_the_stage_after_it(tmp_path: Path) -> None:
    stages = ({**SFT, "save_every": 1}, {**SFT, "updates": 3, "eval_every": 0})
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = train(train_settings(tmp_path / "whole", *stages))
    settings = train_settings(tmp_path / "killed", *stages)
    kill_after(settings, "s0-u000003")
    resumed = train(settings)
    assert rows(resumed) == rows(whole)
    assert [(row["stage"], row["update"]) for row in rows(whole)] == [(0, i) for i in range(7)] + [
        (1, i) for i in range(4)
    ]


class InterruptedAt:
    """A progress that presses Ctrl-C at the n-th report of a track."""

    def __init__(self, count: int) -> None:
        self.left = count

    def track(self, name: str, total: int | None = None, done: int = 0) -> None:
        """Ignore."""

    def advance(self, name: str, amount: int = 1, info: str = "") -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        """Ignore."""


@pytest.mark.parametrize("phase", ["between updates", "while sampling"])
def test_an_interruption_leaves_a_resumable_run(
    phase: str, reference: Path, warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = train_settings(tmp_path, SRL, model=str(warm))
    progress = InterruptedAt(3 if phase == "between updates" else 100)
    generate = TransformersGenerator.generate
    calls = {"left": 6}

    def counted(*arguments: Any) -> Any:
        calls["left"] -= 1
        if phase == "while sampling" and calls["left"] == 0:
            raise KeyboardInterrupt
        return generate(*arguments)

    monkeypatch.setattr(TransformersGenerator, "generate", counted)
    with pytest.raises(KeyboardInterrupt):
        train(settings, progress)
    monkeypatch.undo()
    assert Checkpoints(settings.output / "checkpoints", 2).places()
    assert rows(train(settings)) == rows(reference)


def test_an_interruption_amid_a_validation_loses_no_update(
    reference: Path, warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted in the validation of update 3, once more when it is made up for, and in that of the last update."""
    settings = train_settings(tmp_path, SRL, model=str(warm))
    validate, calls = SrlMethod.validate, []

    def interrupted(self: SrlMethod, clock: Clock) -> dict[str, Any]:
        calls.append(1)
        if len(calls) in (2, 3, 5):
            raise KeyboardInterrupt
        return validate(self, clock)

    monkeypatch.setattr(SrlMethod, "validate", interrupted)
    for update in (3, 3, 6):
        with pytest.raises(KeyboardInterrupt):
            train(settings)
        assert max(Checkpoints(settings.output / "checkpoints", 2).places()).update == update
        assert max(row["update"] for row in rows(settings.output)) == update - 1
    resumed = train(settings)
    assert rows(resumed) == rows(reference) and rows(resumed, "samples") == rows(reference, "samples")
    assert (resumed / "model/model.safetensors").read_bytes() == (reference / "model/model.safetensors").read_bytes()
    assert (resumed / "checkpoints/best.json").read_text() == (reference / "checkpoints/best.json").read_text()
    assert not any('unwritten": {"' in one.read_text() for one in resumed.glob("checkpoints/*/state.json"))
    kept = {place.update for place in Checkpoints(resumed / "checkpoints", 2).places()}
    assert {json.loads((resumed / "result.json").read_text())["stages"][0]["chosen_update"], 6} <= kept


class Notes(SilentProgress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def test_completions_that_the_token_limit_cuts_are_told_of(warm: Path, tmp_path: Path) -> None:
    """How many experts' commands have no room, before the first update; that many completions were cut, once."""
    notes = Notes()
    stage = {**SRL, "updates": 3, "max_new_tokens": 7, "max_resampling": 1.0}
    run = train(train_settings(tmp_path, stage, model=str(warm)), notes)
    assert [row["unfinished"] > 0.05 for row in rows(run)[1:]] == [True] * 3
    short = [note for note in notes.said if "are too few for the expert's command of" in note]
    assert len(short) == 1 and "max_new_tokens: 7" in short[0]
    told = [note for note in notes.said if "max_new_tokens: 7 cut " in note]
    assert len(told) == 1 and "of the completions of an update" in told[0]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(AutoModelForCausalLM.from_pretrained(folder).state_dict())


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_stages_go_on_from_one_another(warm: Path, tmp_path: Path) -> None:
    first, second = {**SFT, "updates": 2}, {**SRL, "updates": 1, "learning_rate": 0}
    run = train(train_settings(tmp_path, first, second, model=str(warm), final_model="last"))
    assert [row["method"] for row in rows(run) if row["update"] == 1] == ["sft", "srl"]
    assert same(weights(run / "model"), weights(run / "stages/0"))
    assert not same(weights(run / "model"), weights(warm))


def test_learning_rate_zero_changes_nothing(warm: Path, tmp_path: Path) -> None:
    run = train(train_settings(tmp_path, {**SRL, "updates": 3, "learning_rate": 0}, model=str(warm)))
    assert same(weights(run / "model"), weights(warm))
    values = {row["validation_similarity"] for row in rows(run) if "validation_similarity" in row}
    assert len(values) == 1


@pytest.mark.parametrize(
    "extra",
    [
        {"kl": 0.1, "inner_epochs": 2, "minibatches": 2, "average": "token", "clip_high": 0.28},
        {
            "temperature": 0.8,
            "max_new_tokens": 32,
            "std_scaling": False,
            "dynamic_sampling": False,
            "schedule": "cosine",
            "warmup": 0.5,
        },
    ],
)
def test_other_objectives_run(warm: Path, tmp_path: Path, extra: dict[str, Any]) -> None:
    run = train(train_settings(tmp_path, {**SRL, "updates": 2, **extra}, model=str(warm)))
    first, second = rows(run)[1:3]
    assert first["grad_norm"] > 0 and second["update"] == 2
    if "kl" in extra:
        assert second["kl"] > 0 and second["ratio_mean"] != 1.0
    else:
        assert first["ratio_mean"] == pytest.approx(1.0, abs=1e-5)


def test_separate_sequences_give_the_same_update(reference: Path, warm: Path, tmp_path: Path) -> None:
    run = train(train_settings(tmp_path, {**SRL, "updates": 1}, model=str(warm), shared_contexts=False))
    plain, shared = rows(run)[1], rows(reference)[1]
    assert plain["grad_norm"] == pytest.approx(shared["grad_norm"], rel=1e-4)
    assert plain["reward_mean"] == shared["reward_mean"]


def test_bfloat16_arithmetic_runs(warm: Path, tmp_path: Path) -> None:
    run = train(train_settings(tmp_path, {**SRL, "updates": 1}, model=str(warm), dtype="bfloat16"))
    assert rows(run)[1]["grad_norm"] > 0
    assert AutoModelForCausalLM.from_pretrained(run / "model").dtype == torch.float32


def test_divergence_stops_the_run(warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Optimiser.step

    def poisoned(self: Optimiser, place: int) -> tuple[float, float]:
        if self.steps == 1:
            self.parameters[0].grad[0, 0] = float("nan")
        return step(self, place)

    monkeypatch.setattr(Optimiser, "step", poisoned)
    with pytest.raises(TrainingError, match="norm is nan: training diverged; start a new run"):
        train(train_settings(tmp_path, SRL, model=str(warm)))
    monkeypatch.undo()
    assert len(rows(train(train_settings(tmp_path, SRL, model=str(warm))))) == 7


@pytest.mark.parametrize(
    ("where", "error"),
    [
        (Updater, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")),
        (
            TransformersGenerator,
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        ),
    ],
)
def test_running_out_of_memory_names_the_settings(
    where: type, error: Exception, warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **named: Any) -> Any:
        raise error

    monkeypatch.setattr(where, "loss" if where is Updater else "generate", full)
    with pytest.raises(
        TrainingError,
        match=r"lower update_tokens \(99\) or generate_tokens .*set gradient_checkpointing, .*the run goes on",
    ):
        train(train_settings(tmp_path, SRL, model=str(warm), update_tokens=99))


def test_another_failure_is_not_called_memory(warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> Any:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(Updater, "loss", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        train(train_settings(tmp_path, SRL, model=str(warm)))


def test_contexts_that_are_all_too_long_are_named(warm: Path, tmp_path: Path) -> None:
    for stage in (SRL, SFT):
        with pytest.raises(
            TrainingError, match=r"shortest context of a step has \d+ tokens, and max_context_tokens is 5"
        ):
            train(
                train_settings(
                    tmp_path, stage, model=str(warm), max_context_tokens=5, output=str(tmp_path / stage["method"])
                )
            )
        assert not (tmp_path / stage["method"] / "metrics.jsonl").exists()  # it is said before anything is validated


def test_an_unlucky_order_of_long_contexts_does_not_end_a_run(warm: Path, tmp_path: Path) -> None:
    """A quarter of the steps fits and one is drawn at a time: many updates draw several before one that fits."""
    settings = train_settings(tmp_path, SFT)
    tokenizer = AutoTokenizer.from_pretrained(warm)
    lengths = sorted(len(encode_chat(tokenizer, step.context)) for step in load_steps(settings).training)
    few = {"model": str(warm), "max_context_tokens": lengths[len(lengths) // 4 - 1]}
    stage = {**SFT, "batch_steps": 1, "updates": 40, "eval_every": 0, "save_every": 0}
    found = rows(train(train_settings(tmp_path, stage, **few)))[1:]
    assert len(found) == 40 and max(row["too_long_steps"] for row in found) > 4
    assert 2 < sum(row["too_long_steps"] for row in found) / len(found) < 4


def test_tensorboard_events(warm: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train(train_settings(tmp_path, {**SRL, "updates": 2}, model=str(warm), tensorboard=True))
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("reward_mean")] == [1, 2]


def test_tensorboard_forgets_what_a_resumed_run_makes_again(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = RunFolder(tmp_path, "train", {})
    for session, updates in enumerate([(0, 1, 2, 3), (2, 3)]):
        journal = Journal(run, True)
        if session:
            journal.rewind({"metrics": 2, "samples": 0}, 2)
        for update in updates:
            journal.metrics({"update": update, "loss": update + 10.0 * session}, Clock(), update)
        journal.close()
    found = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(one.step, one.value) for one in found.Scalars("loss")] == [(0, 0), (1, 1), (2, 12), (3, 13)]
    assert [row["loss"] for row in rows(tmp_path)] == [0, 1, 12, 13]


def test_missing_tensorboard_is_said(warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r"swe-srl\[tracking\]"):
        train(train_settings(tmp_path, SRL, model=str(warm), tensorboard=True))


@pytest.mark.parametrize("written", ["model", "trainer.pt"])
def test_a_full_disk_is_said_and_loses_nothing(written: str, tmp_path: Path) -> None:
    """A limit on a file's size is to the writers what a full disk is."""
    name, before = "whole", resource.getrlimit(resource.RLIMIT_FSIZE)
    big = torch.zeros(100_000)
    target = tmp_path / name

    def fill(folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        if written == "model":
            save_file({"weight": big}, folder / "model.safetensors")
        torch.save(big, folder / "trainer.pt")

    write_folder(target, fill)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(TrainingError, match=r"whole could not be written \(.* GiB are free there\): make room"):
            write_folder(target, fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert [entry.name for entry in tmp_path.iterdir()] == [name], "what was half written takes no room"
    assert torch.equal(torch.load(target / "trainer.pt", weights_only=True), big)


def test_half_written_checkpoints_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".s0-u000001").mkdir()
    (tmp_path / "s0-u000002").mkdir()
    assert [place.update for place in Checkpoints(tmp_path, 2).places()] == [2]
    assert not (tmp_path / ".s0-u000001").exists()


def test_a_checkpoint_that_is_half_removed_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints, model, tokenizer = Checkpoints(tmp_path, 1), make_model(), make_tokenizer()

    def killed(folder: Path) -> None:
        (folder / "state.json").unlink()
        raise KeyboardInterrupt

    checkpoints.write(Place(0, 1), model, tokenizer, {}, {"best": {}})
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("swe_srl.training.checkpoints.shutil.rmtree", killed)
        checkpoints.write(Place(0, 2), model, tokenizer, {}, {"best": {}})
    assert checkpoints.places() == [Place(0, 2)]
    assert Checkpoints(tmp_path, 1).places() == [Place(0, 2)]
    assert [entry.name for entry in tmp_path.iterdir()] == ["s0-u000002"]


def test_a_foreign_folder_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    write_trajectory_file(tmp_path / "run")
    with pytest.raises(ConfigError, match="is no run of swe-srl"):
        train(train_settings(tmp_path, SRL, model="no/such/model"))
