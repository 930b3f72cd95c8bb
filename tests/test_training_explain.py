"""What sft and rlvr runs record of what they learn from, and how it is explained."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from training_data import SFT, make_trajectory, train_settings

from swe_srl.cli import main
from swe_srl.errors import ConfigError
from swe_srl.files import read_jsonl, write_jsonl
from swe_srl.generation import TransformersGenerator
from swe_srl.generation.loading import encode_chat
from swe_srl.settings import from_mapping
from swe_srl.tasks import load_tasks
from swe_srl.training import TrainSettings, train
from swe_srl.training.data import load_steps
from swe_srl.training.explain import ExplainSettings, explain
from swe_srl.training.explained import AnswerExplanation, EpisodesExplanation
from swe_srl.training.forward import TokenGroup
from swe_srl.training.runner import EpisodeRunner
from swe_srl.training.sampled import SampledEpisode
from swe_srl.training.settings import StageSettings
from swe_srl.training.update import Updater
from swe_srl.trajectories import write_trajectories
from swe_srl.types import Action

pytestmark = pytest.mark.timeout(600)
STAGE = {**SFT, "updates": 4, "save_every": 1, "eval_every": 2}


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An sft run whose checkpoints are all kept."""
    return train(train_settings(tmp_path_factory.mktemp("sft"), STAGE, keep=9))


def test_an_answer_is_recorded_as_the_checkpoints_say(learnt: Path) -> None:
    """The row of update 4: the model before it is the checkpoint of update 3."""
    first, row = read_jsonl(learnt / "samples.jsonl")
    assert (first["update"], row["update"]) == (2, 4) and row["step_id"] != row["held_out"]["step_id"]
    settings = train_settings(learnt.parent, STAGE)
    data = load_steps(settings)
    assert row["held_out"]["step_id"] in {step.step_id for step in data.validation}
    (step,) = (step for step in data.training if step.step_id == row["step_id"])
    assert row["context"] and step.context[-1].content.endswith(row["context"])
    answer = row["answer"]
    for name, update in (("logprobs", 3), ("logprobs_after", 4)):
        model = TransformersGenerator(learnt / f"checkpoints/s0-u{update:06d}")
        group = TokenGroup(tuple(encode_chat(model.tokenizer, step.context)), (tuple(answer["token_ids"]),))
        ((again,),) = Updater(model.model, StageSettings(**STAGE), 1, 4096).logprobs([group], 1.0)
        assert answer[name] == pytest.approx(again, abs=1e-4)
    assert sum(answer["logprobs_after"]) > sum(answer["logprobs"])
    assert step.target in "".join(answer["pieces"])
    for shown in (row, row["held_out"]):
        (one,) = shown["completions"]
        assert one["tokens"] == len(one["token_ids"]) and 0 <= one["parts"]["similarity"] <= 1


def test_an_answer_is_explained(learnt: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = list(read_jsonl(learnt / "samples.jsonl"))[-1]
    found = explain(ExplainSettings(run=str(learnt)))
    assert isinstance(found, AnswerExplanation) and (found.update, found.step_id) == (4, row["step_id"])
    assert found.loss_after == pytest.approx(-sum(row["answer"]["logprobs_after"]) / len(found.pieces))
    assert found.loss_after < found.loss_before
    assert (
        found.held_out is not None
        and found.held_out.similarity == row["held_out"]["completions"][0]["parts"]["similarity"]
    )
    assert main(["explain", str(learnt), "4", "--full"]) == 0
    shown = capsys.readouterr().out
    assert f"{found.loss_before:.4f} a token before" in shown and row["context"].splitlines()[-1] in shown
    assert f"at the held-out step {row['held_out']['step_id']}: similarity" in shown
    assert main(["explain", str(learnt), row["step_id"], "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["loss_after"] == found.loss_after and len(told["pieces"]) == len(row["answer"]["token_ids"])


def test_an_answer_that_was_not_recorded_is_computed(learnt: Path) -> None:
    recorded = list(read_jsonl(learnt / "samples.jsonl"))[-1]
    again = explain(ExplainSettings(run=str(learnt), step=recorded["step_id"], resample=True, before=3, after=4))
    assert isinstance(again, AnswerExplanation) and again.sampled == "again" and again.held_out is None
    assert [piece.after for piece in again.pieces] == pytest.approx(recorded["answer"]["logprobs_after"], abs=1e-4)
    assert again.context == recorded["context"] and again.target == recorded["target"]
    with pytest.raises(
        ConfigError,
        match=r"nothing recorded of update 3; .*4 \(.*every samples_every before it \(here 2; another run can",
    ):
        explain(ExplainSettings(run=str(learnt), step="3"))


def test_a_name_that_a_held_out_step_has_too_is_that_of_the_trained_one(tmp_path: Path) -> None:
    """Trajectories without a name have that of their file, which may be the same in two folders."""
    held = [dataclasses.replace(make_trajectory(90 + n), trajectory_id=f"t{n}") for n in range(2)]
    write_trajectories(tmp_path / "held.jsonl", held)
    stage = {**STAGE, "updates": 1, "eval_every": 0, "max_new_tokens": 4}
    run = train(train_settings(tmp_path, stage, validation=str(tmp_path / "held.jsonl")))
    for n in range(2):
        trained = make_trajectory(n).turns[1].action
        assert isinstance(trained, Action) and held[n].turns[1].action != trained
        assert explain(ExplainSettings(run=str(run), step=f"t{n}:1", resample=True)).target == trained.command


def test_a_stage_without_validations_shows_no_held_out_step(tmp_path: Path) -> None:
    """`effect` is not tried for what is shown: it would need sandboxes for the steps that sft trains on."""
    run = train(train_settings(tmp_path, {**STAGE, "updates": 2, "eval_every": 0, "similarity": "effect"}))
    (row,) = read_jsonl(run / "samples.jsonl")
    assert "held_out" not in row and row["answer"]["pieces"]
    seconds = [one["seconds"] for one in read_jsonl(run / "metrics.jsonl")]
    assert ["samples" in one for one in seconds] == [False, False, True]


def graded(self: EpisodeRunner, episode: SampledEpisode, grading: object) -> SampledEpisode:
    """In place of grading: every second episode is resolved."""
    resolved = bool(episode.sample % 2)
    status = "resolved" if resolved else "unresolved"
    return dataclasses.replace(episode, status=status, official=resolved, reward=float(resolved))


class StillEnv:
    """In place of a sandbox: the third command ends the episode."""

    def __init__(self) -> None:
        self.turns = 0

    def reset(self, **options: Any) -> tuple[str, dict[str, Any]]:
        return "Fix it.", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        self.turns += 1
        return "nothing", 0.0, self.turns == 3, False, {"exit_code": 0}

    def patch(self) -> str:
        return "a patch"

    def close(self) -> None:
        pass


@pytest.mark.slow
def test_episodes_are_recorded_and_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(EpisodeRunner, "_graded", graded)
    monkeypatch.setattr(EpisodeRunner, "_environment", lambda self, task: StillEnv())
    tasks = tmp_path / "tasks.jsonl"
    write_jsonl(tasks, [task.row() for task in load_tasks("quickstart-train")[:2]])
    stage = {
        "method": "rlvr",
        "updates": 2,
        "batch_steps": 1,
        "group_size": 2,
        "max_new_tokens": 96,
        "learning_rate": 1e-4,
    }
    values = {"tasks": str(tasks), "agent": "quickstart", "environment": "quickstart", "threads": 1, "samples_every": 2}
    values |= {"validation_share": 0.0, "output": str(tmp_path / "run"), "stages": [{**stage, "eval_every": 0}]}
    run = train(from_mapping(TrainSettings, values, "test"))
    (row,) = read_jsonl(run / "samples.jsonl")
    found = explain(ExplainSettings(run=str(run)))
    assert isinstance(found, EpisodesExplanation) and (found.update, found.task_id) == (2, row["task_id"])
    assert {one.verdict: one.reward for one in found.episodes} == {"resolved": 1.0, "unresolved": 0.0}
    for one in found.episodes:
        assert one.advantage == pytest.approx(0.7071 if one.reward else -0.7071, abs=1e-3)
        assert one.turns and all(turn.tokens and turn.before < 0 for turn in one.turns)  # type: ignore[operator]
        assert one.before == sum(turn.before for turn in one.turns) != one.after
    better, worse = found.moved(True), found.moved(False)
    assert better is not None and worse is not None and better > worse
    assert main(["explain", str(run), row["task_id"]]) == 0
    shown = capsys.readouterr().out
    assert "unresolved" in shown and "Of these episodes, those better than the mean became" in shown
    assert main(["explain", str(run), "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["better_moved_by"] == better
    _what_is_missing_is_said(run, row, capsys)


def _what_is_missing_is_said(run: Path, row: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="episodes of rlvr are not sampled again"):
        explain(ExplainSettings(run=str(run), resample=True))
    with pytest.raises(ConfigError, match=r"only recorded episodes can be told.*samples_every \(here 2\) to 1"):
        explain(ExplainSettings(run=str(run), step="another-task"))
    for episode in row["episodes"]:
        for name in ("advantage", "logprobs", "logprobs_after", "tokens", "malformed"):
            del episode[name]
    write_jsonl(run / "samples.jsonl", [row])
    assert main(["explain", str(run)]) == 0
    assert "samples.jsonl has no log-probabilities of them" in capsys.readouterr().out
