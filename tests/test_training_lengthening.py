"""A training run that goes on as a longer one: what it computes, what is refused, what a kill leaves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from training_data import SFT, train_settings
from training_data import SRL as USUAL

from swe_srl import files, runs
from swe_srl.errors import ConfigError
from swe_srl.files import read_jsonl
from swe_srl.runs import RunFolder
from swe_srl.training import TrainSettings, train
from swe_srl.training.stage import StageTrainer

pytestmark = pytest.mark.timeout(900)
TINY = {**SFT, "batch_steps": 1, "eval_every": 0, "save_every": 0}
SRL = {**USUAL, "max_resampling": 16.0, "eval_every": 3, "save_every": 0}
SOLVER = """
instance: "{{ problem_statement }}{% for step in steps %}\\n{{ loop.index }}. {{ step }}{% endfor %}"
context: inline
titles: true
action_format: plain
max_turns: 4
"""
WARM_UP = {**SFT, "updates": 60, "batch_steps": 8, "learning_rate": 5e-3, "eval_every": 0, "save_every": 0}


def rows(run: Path, without_validation_of: int = -1) -> list[dict[str, Any]]:
    """metrics.jsonl without what never repeats, and without the validation of one update."""
    return [
        {
            key: value
            for key, value in row.items()
            if key not in ("seconds", "memory_mb")
            and not (row["update"] == without_validation_of and key.startswith("validation"))
        }
        for row in read_jsonl(run / "metrics.jsonl")
    ]


def same_weights(one: Path, other: Path) -> bool:
    first, second = (load_file(folder / "model.safetensors") for folder in (one, other))
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that mostly writes well-formed completions."""
    return train(train_settings(tmp_path_factory.mktemp("warm"), WARM_UP)) / "model"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sft", "srl"])
def test_a_longer_run_is_the_one_made_at_once(method: str, warm: Path, tmp_path: Path) -> None:
    stage = {**SRL} if method == "srl" else {**SFT, "eval_every": 3, "save_every": 0}
    more: dict[str, Any] = {"model": str(warm), "final_model": "last"}

    def settings(updates: int, folder: str) -> TrainSettings:
        return train_settings(tmp_path, stage, output=str(tmp_path / folder), updates=updates, **more)

    short = train(settings(2, "grown"))
    assert "validation_similarity" in rows(short)[2], "the last update is validated"
    shutil.copytree(short / "model", tmp_path / "shorter")
    grown, whole = train(settings(4, "grown")), train(settings(4, "whole"))
    assert rows(grown, without_validation_of=2) == rows(whole)
    assert len(rows(whole)) == 5 and any(row.get("grad_norm") for row in rows(whole)[3:]), "later updates learn"
    assert same_weights(grown / "model", whole / "model") and not same_weights(grown / "model", tmp_path / "shorter")
    for name in ("result.json", "stages/0.json"):
        ends = [json.loads((run / name).read_text()) for run in (grown, whole)]
        assert [(end.get("stages") or [end])[0]["updates"] for end in ends] == [4, 4]
    lengths = [row["settings"]["stages.0.updates"] for row in read_jsonl(grown / "sessions.jsonl")]
    assert lengths == [2, 4]
    assert yaml.safe_load((grown / "settings.yaml").read_text())["stages"][0]["updates"] == 4
    assert not RunFolder.read(grown).lengthening and not list(grown.glob(".model*"))


@pytest.mark.slow
def test_a_longer_rlvr_run_is_the_one_made_at_once(tmp_path: Path) -> None:
    """On problems with an answer, whose episodes repeat as far as rounding does: order of tasks, samples, rewards, updates."""
    problems, agent = tmp_path / "coins.jsonl", tmp_path / "solver.yaml"
    solutions = [f"1. **Look.** It is near.\n2. **Say.** So \\boxed{{{4 + number % 2}}}." for number in range(12)]
    coins = [
        {"id": number, "question": f"4 or 5: {number}?", "answer": str(4 + number % 2), "solution": solution}
        for number, solution in enumerate(solutions)
    ]
    problems.write_text("".join(json.dumps(row) + "\n" for row in coins))
    agent.write_text(SOLVER)
    imitate = {**WARM_UP, "max_new_tokens": 24, "learning_rate": 4e-3}
    learn = {"method": "rlvr", "batch_steps": 3, "group_size": 4, "learning_rate": 1e-3, "max_new_tokens": 24}
    learn |= {"eval_every": 0, "save_every": 0}
    data: dict[str, Any] = {"trajectories": str(problems), "tasks": str(problems), "agent": str(agent)}

    start = train(train_settings(tmp_path, imitate, output=str(tmp_path / "start"), **data)) / "model"

    def settings(updates: int, folder: str) -> TrainSettings:
        extra = {"output": str(tmp_path / folder), "model": str(start), "workers": 4}
        return train_settings(tmp_path, {**learn, "updates": updates}, **extra, **data)

    train(settings(2, "grown"))
    grown, whole = rows(train(settings(4, "grown"))), rows(train(settings(4, "whole")))
    assert [row["update"] for row in grown] == [row["update"] for row in whole] == [0, 1, 2, 3, 4]
    assert all(row["kept_groups"] and row["grad_norm"] > 0 for row in whole[3:])
    told = ("epoch", "drawn_groups", "reward_mean", "sampled_tokens", "loss", "grad_norm", "entropy")
    for one, other in zip(grown[1:], whole[1:], strict=True):
        assert [one[name] for name in told] == pytest.approx([other[name] for name in told], rel=1e-3, abs=1e-6)
    ends = [json.loads((tmp_path / run / "stages/0.json").read_text())["updates"] for run in ("grown", "whole")]
    assert ends == [4, 4] and not list((tmp_path / "grown/rollouts").rglob("*.jsonl"))


def test_an_interrupted_run_is_made_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(train_settings(tmp_path, {**TINY, "updates": 3}, output=str(tmp_path / "whole")))
    with monkeypatch.context() as patch:
        stop_before_update(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            train(train_settings(tmp_path, {**TINY, "updates": 2}))
    assert rows(train(train_settings(tmp_path, {**TINY, "updates": 3}))) == rows(whole)


def stop_before_update(patch: pytest.MonkeyPatch, number: int) -> None:
    update = StageTrainer._one_update

    def stopped(self: StageTrainer) -> None:
        if self.update + 1 == number:
            raise KeyboardInterrupt
        update(self)

    patch.setattr(StageTrainer, "_one_update", stopped)


FIRST = {**TINY, "updates": 2}
BY_EPOCHS = {**TINY, "updates": 0, "epochs": 2}
REFUSED = [
    ([FIRST], [{**TINY, "updates": 1}], r"stages\.0\.updates: was 2, is 1\. A run can be made longer, not shorter"),
    ([BY_EPOCHS], [{**BY_EPOCHS, "epochs": 1}], r"epochs: was 2, is 1\. A run can be made longer"),
    ([FIRST], [{**FIRST, "compute_tokens": 500}], r"compute_tokens: was 0, is 500\. A run can be made longer"),
    ([BY_EPOCHS], [{**TINY, "updates": 500}], r"counts by epochs \(updates: 0\) cannot go on counting by updates"),
    (
        [{**FIRST, "schedule": "cosine"}],
        [{**TINY, "updates": 3, "schedule": "cosine"}],
        r"updates: was 2, is 3\. The learning rate follows the run's length \(schedule: cosine\).*start from the result",
    ),
    ([{**FIRST, "warmup": 0.5}], [{**TINY, "updates": 3, "warmup": 0.5}], r"follows the run's length \(warmup: 0\.5\)"),
    ([FIRST, FIRST], [{**TINY, "updates": 3}, FIRST], r"Differing: stages\.0\.updates: was 2, is 3$"),
    ([FIRST], [{**TINY, "updates": 3, "batch_steps": 2}], r"Differing: stages\.0\.batch_steps: was 1, is 2$"),
    ([FIRST], [FIRST, FIRST], r"Differing: stages: was "),
]


@pytest.mark.parametrize(("old", "new", "reason"), REFUSED)
def test_what_is_not_the_same_run_made_longer_is_refused(
    old: list[dict[str, Any]], new: list[dict[str, Any]], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_before_update(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt):
        train(train_settings(tmp_path, *old))
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match=reason):
        train(train_settings(tmp_path, *new))
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("old", "new", "updates"),
    [
        ({**TINY, "updates": 0, "epochs": 1, "batch_steps": 20}, {"epochs": 2}, (3, 5)),
        ({**TINY, "updates": 3, "compute_tokens": 1}, {"compute_tokens": 0}, (1, 3)),
        ({**TINY, "updates": 3, "compute_tokens": 1}, {"updates": 4}, (1, 1)),
    ],
)
def test_whatever_ends_the_last_stage_may_grow(
    old: dict[str, Any], new: dict[str, Any], updates: tuple[int, int], tmp_path: Path
) -> None:
    settings = [train_settings(tmp_path, FIRST, {**old, **more}) for more in ({}, new)]
    for one, expected in zip(settings, updates, strict=True):
        ends = json.loads((train(one) / "result.json").read_text())["stages"]
        assert [end["updates"] for end in ends] == [2, expected]


def test_a_run_whose_checkpoints_are_gone_cannot_be_made_longer(tmp_path: Path) -> None:
    run = train(train_settings(tmp_path, FIRST))
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(
        ConfigError, match=r"no checkpoint of stage 0, so the run cannot be made longer: .*--model .*run/model"
    ):
        train(train_settings(tmp_path, {**TINY, "updates": 3}))
    assert not RunFolder.read(run).lengthening
    train(train_settings(tmp_path, FIRST))  # nothing to do


class Killed(BaseException):
    """Nothing is written any more."""


class Kills:
    """Before the `at`th change of the disk, or in its midst, the program is dead: no later one is made, by no handler either."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int) -> None:
        self.at, self.changes = at, 0
        patch.setattr(Path, "replace", self.guarded(Path.replace))
        patch.setattr(Path, "rename", self.guarded(Path.rename))
        patch.setattr(Path, "unlink", self.guarded(Path.unlink))
        patch.setattr(shutil, "rmtree", self.guarded(shutil.rmtree, half=self.remove_one))
        patch.setattr(runs, "append_jsonl", self.guarded(files.append_jsonl))

    def guarded(self, change: Callable[..., Any], half: Callable[[Path], None] | None = None) -> Callable[..., Any]:
        def guard(*args: Any, **more: Any) -> Any:
            self.changes += 1
            if self.changes == self.at and half:
                half(Path(args[0]))
            if self.changes >= self.at:
                raise Killed
            self.changes, counted = -1_000_000, self.changes  # changes that this one is made of are not counted
            try:
                return change(*args, **more)
            finally:
                self.changes = counted

        return guard

    def remove_one(self, folder: Path) -> None:
        next(path for path in folder.iterdir() if path.name.endswith(".safetensors")).open("wb").close()


@pytest.mark.slow
def test_a_kill_at_any_change_of_the_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def settings(updates: int, folder: Path) -> TrainSettings:
        stage = {**TINY, "updates": updates, "save_every": 1}
        return train_settings(tmp_path, stage, output=str(folder), keep=1, samples_every=1)

    short = train(settings(1, tmp_path / "short"))
    whole = train(settings(2, tmp_path / "whole"))
    at, survived = 0, False
    while not survived:
        at += 1
        run = tmp_path / f"killed-{at}"
        shutil.copytree(short, run)
        with monkeypatch.context() as patch:
            Kills(patch, at)
            try:
                train(settings(2, run))
                survived = True
            except Killed:
                pass
        newest = max((run / "checkpoints").glob("s*"))
        assert (newest / "state.json").exists() and load_file(newest / "model.safetensors")
        if (run / "model").exists():
            ended = [one for one in (short, whole) if same_weights(run / "model", one / "model")]
            assert len(ended) == 1, "the result is the shorter run's or the longer one's, whole"
        else:
            assert newest.name == "s0-u000002", "only between two names is there none: the same command puts it back"
        if not (record := RunFolder.read(run)).lengthening:
            (end,) = json.loads((run / "result.json").read_text())["stages"]
            assert record.settings["stages"][0]["updates"] == end["updates"], "settings and result are of one length"
        train(settings(2, run))
        assert rows(run) == rows(whole) and same_weights(run / "model", whole / "model")
        assert (run / "result.json").read_text() == (whole / "result.json").read_text()
        assert not RunFolder.read(run).lengthening and not list(run.glob(".model*"))
        shutil.rmtree(run)
    assert at > 10
