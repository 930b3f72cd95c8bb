"""Compute counted in tokens: a stage that it ends, and the whole rest of a trajectory as one action."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from training_data import SFT, SRL, make_trajectory, train_settings

from swe_srl.agents import AgentDefinition
from swe_srl.errors import ConfigError
from swe_srl.files import read_jsonl
from swe_srl.progress import SilentProgress
from swe_srl.training import StageSettings, train
from swe_srl.training.compute import compute_of, tokens_of_run
from swe_srl.training.data import rest_targets, stage_steps
from swe_srl.trajectories import make_steps

ENOUGH = {**SFT, "updates": 50, "eval_every": 4, "save_every": 2}


def metrics(run: Path) -> list[dict[str, Any]]:
    rows = list(read_jsonl(run / "metrics.jsonl"))
    return [{key: value for key, value in row.items() if key not in ("seconds", "memory_mb")} for row in rows]


class Interrupting(SilentProgress):
    """Ctrl-C after so many updates."""

    def __init__(self, updates: int) -> None:
        self.left = updates

    def advance(self, name: str, amount: int = 1, info: str = "") -> None:
        self.left -= "stage" in name
        if not self.left:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_a_stage_ends_with_the_update_that_brings_its_compute(tmp_path: Path) -> None:
    whole = metrics(train(train_settings(tmp_path, ENOUGH, output=str(tmp_path / "whole"))))
    spent = [sum(map(compute_of, whole[: n + 1])) for n in range(len(whole))]
    assert len(whole) == 51 and spent[0] == 0 < spent[1]
    limit = spent[6] + 1  # so the seventh update is the last
    short = {**ENOUGH, "compute_tokens": limit}
    run = train(train_settings(tmp_path, short, output=str(tmp_path / "short")))
    rows = metrics(run)
    assert [row["update"] for row in rows] == list(range(8)) and "validation_similarity" in rows[-1]
    assert [row["loss"] for row in rows[1:]] == [row["loss"] for row in whole[1:8]]
    (stage,) = json.loads((run / "result.json").read_text())["stages"]
    forward, backward = tokens_of_run(run)
    assert stage["updates"] == 7 and stage["compute_tokens"] == forward + 2 * backward == spent[7] >= limit

    settings = train_settings(tmp_path, short, output=str(tmp_path / "again"))
    with pytest.raises(KeyboardInterrupt):
        train(settings, Interrupting(3))
    assert metrics(train(settings)) == rows


def test_sampling_counts_its_contexts_once_and_every_completion(tmp_path: Path) -> None:
    sampled = {**SRL, "updates": 1, "eval_every": 0, "dynamic_sampling": False}
    rows = metrics(train(train_settings(tmp_path, {**SFT, "updates": 20, "eval_every": 0}, sampled)))
    row, learnt = rows[-1], rows[1]
    assert (row["method"], learnt["method"]) == ("srl", "sft")
    assert learnt["forward_tokens"] == learnt["backward_tokens"] == learnt["updated_tokens"]
    assert row["backward_tokens"] == row["updated_tokens"]
    contexts = row["forward_tokens"] - row["updated_tokens"] - row["sampled_tokens"]
    assert contexts > 3 * 10  # of three groups, each once
    assert contexts * 2 < row["updated_tokens"] * 3


def test_a_schedule_cannot_be_ended_by_compute() -> None:
    with pytest.raises(ConfigError, match="constant learning rate"):
        StageSettings(compute_tokens=10, schedule="cosine")
    with pytest.raises(ConfigError, match="compute_tokens must be at least 0"):
        StageSettings(compute_tokens=-1)


def test_the_rest_of_a_trajectory_as_one_action(tmp_path: Path) -> None:
    agent = AgentDefinition.load("quickstart")
    steps = list(make_steps([make_trajectory(0), make_trajectory(1)], agent.prompting))
    rest = rest_targets(steps[::-1], agent.submit)[::-1]
    own = [step.target for step in steps[:4]]
    assert [step.target for step in rest[:4]] == ["\n".join(own[:3]), "\n".join(own[1:3]), own[2], "submit"]
    assert [(one.step_id, one.context, one.thought) for one in rest] == [
        (one.step_id, one.context, one.thought) for one in steps
    ]
    settings = train_settings(tmp_path, {**SRL, "srl_target": "rest"}, SFT)
    assert [one.target for one in stage_steps(steps, settings, 0)] == [one.target for one in rest]
    assert stage_steps(steps, settings, 1) == steps  # sft learns the turn's command


@pytest.mark.slow
def test_the_holistic_reward_compares_with_the_rest(tmp_path: Path) -> None:
    stages = ({**SFT, "updates": 40, "eval_every": 0}, {**SRL, "updates": 2, "srl_target": "rest", "epsilon": 0.0})
    run = train(train_settings(tmp_path, *stages))
    targets = [row["target"] for row in read_jsonl(run / "samples.jsonl") if row["stage"] == 1]
    assert targets and all(target == "submit" or "sed -i" in target for target in targets)
