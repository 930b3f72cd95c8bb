"""A policy's resolved episodes become trajectories to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from swe_srl.agents import AgentDefinition
from swe_srl.cli import main
from swe_srl.evaluation.collect_settings import CollectSettings
from swe_srl.evaluation.collection import FILE, choose
from swe_srl.evaluation.pipeline import Attempt
from swe_srl.trajectories import ReadReport, make_steps, read_trajectories
from swe_srl.types import Action, FormatError, Trajectory, Turn, Verdict, VerdictStatus


def attempt(task: str, sample: int, commands: str, official: bool = True, hardened: bool | None = None) -> Attempt:
    """An episode of one-letter commands; `!` is a malformed completion."""
    actions = [FormatError("no fenced command", "hm") if name == "!" else Action(name) for name in commands]
    trajectory = Trajectory(f"{task}#{sample}", task, tuple(map(Turn, actions)))
    status = VerdictStatus.RESOLVED if official else VerdictStatus.UNRESOLVED
    return Attempt(
        task, sample, trajectory, Verdict(task, status, official, official if hardened is None else hardened)
    )


def kept(attempts: list[Attempt], **settings: Any) -> list[str]:
    chosen = choose(attempts, **{"keep": 0, "hardened": True, **settings})
    assert all(trajectory.resolved for trajectory in chosen.trajectories)
    left_out = chosen.unresolved + chosen.duplicates + chosen.beyond
    assert chosen.episodes == len(attempts) == len(chosen.trajectories) + left_out
    return [trajectory.trajectory_id for trajectory in chosen.trajectories]


def test_only_resolved_episodes_are_kept() -> None:
    attempts = [attempt("b", 0, "ab"), attempt("a", 0, "ab", False), attempt("a", 1, "abc")]
    assert kept(attempts) == ["a#1", "b#0"]


def test_the_hardened_rules_decide_unless_they_were_not_asked() -> None:
    attempts = [attempt("a", 0, "ab", True, hardened=False)]
    assert kept(attempts) == [] and kept(attempts, hardened=False) == ["a#0"]
    assert choose(attempts, 0, hardened=True).fooled == 1


def test_episodes_with_the_same_commands_are_kept_once() -> None:
    attempts = [attempt("a", 0, "ab"), attempt("a", 1, "ab"), attempt("a", 2, "ba"), attempt("b", 0, "ab")]
    assert kept(attempts) == ["a#0", "a#2", "b#0"]
    assert choose(attempts, 0, hardened=True).duplicates == 1


def test_the_best_of_a_task_have_few_malformed_turns_then_few_turns() -> None:
    attempts = [attempt("a", 0, "ab!"), attempt("a", 1, "abcde"), attempt("a", 2, "abcd"), attempt("a", 3, "abce")]
    assert kept(attempts) == ["a#2", "a#3", "a#1", "a#0"]
    assert kept(attempts, keep=2) == ["a#2", "a#3"]
    assert choose(attempts, 2, hardened=True).beyond == 2 and choose(attempts, 2, hardened=True).tasks == 1


@pytest.mark.sandbox
def test_a_collection_can_be_trained_on_and_chosen_from_again(
    run_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["trajectories", "collect", "--policy", "expert", "--limit", "2", "--samples", "2", "--output", "runs/c"]
    assert main(command) == 0
    assert "same commands as another 2" in " ".join(capsys.readouterr().out.split())
    report = ReadReport()
    trajectories = list(read_trajectories("runs/c/" + FILE, report))
    assert [len(trajectory.turns) > 3 and trajectory.resolved for trajectory in trajectories] == [True, True]
    steps = list(make_steps(trajectories, AgentDefinition.load("quickstart").prompting, report))
    assert len(steps) == sum(len(trajectory.turns) for trajectory in trajectories)
    assert all(step.context[0].content and step.base_commit for step in steps)
    assert trajectories[0].problem_statement in steps[0].context[-1].content
    episodes = (run_root / "runs/c/episodes.jsonl").read_bytes()
    assert main([*command, "--keep", "0"]) == 0  # what is kept can change: no episode is run again
    assert (run_root / "runs/c/episodes.jsonl").read_bytes() == episodes


@pytest.mark.sandbox
def test_a_policy_that_resolves_nothing_is_said(run_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trajectories", "collect", "--policy", "empty", "--limit", "1", "--samples", "1"]) == 1
    assert "no episode is worth keeping" in capsys.readouterr().out


def test_the_folder_is_that_of_the_evaluation() -> None:
    assert CollectSettings(keep=3).folder == CollectSettings(keep=1).folder != CollectSettings(samples=2).folder
