"""Pivot selection: which steps are kept, that a killed pass goes on and a finished one is used again, and a whole run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny_models import make_model
from training_data import SFT, SRL, make_trajectory, train_settings

from swe_srl.errors import ConfigError, TrainingError
from swe_srl.files import read_jsonl
from swe_srl.progress import SilentProgress
from swe_srl.training import pivots, train
from swe_srl.training.pivots import select_pivots
from swe_srl.training.processes import ALONE
from swe_srl.training.settings import StageSettings
from swe_srl.training.workplace import Workplace
from swe_srl.trajectories import make_steps
from swe_srl.trajectories.action_format import format_action
from swe_srl.trajectories.prompting import Prompting
from swe_srl.types import Action, Completion, Message, Sampling

pytestmark = pytest.mark.timeout(900)
STEPS = list(make_steps((make_trajectory(number) for number in range(3)), Prompting()))
LS, CAT, SED, SUBMIT = range(4)  # turns of every trajectory


class ByTurn:
    """Always right at the first turn, right half of the time at the second, never at the third, mostly at the fourth."""

    def __init__(self, stop_after: int = 10**6) -> None:
        self.sampled, self.stop_after = 0, stop_after

    def generate(
        self, contexts: Sequence[tuple[Message, ...]], n: int, sampling: Sampling, seeds: Sequence[int]
    ) -> list[list[Completion]]:
        if self.sampled >= self.stop_after:
            raise KeyboardInterrupt
        self.sampled += len(contexts)
        return [[self._one(context, j) for j in range(n)] for context in contexts]

    def _one(self, context: tuple[Message, ...], j: int) -> Completion:
        step = next(step for step in STEPS if step.context == context)
        right = {LS: True, CAT: j % 2 == 0, SED: False, SUBMIT: j > 0}[step.index]
        text = format_action(Action(step.target if right else "@@", "")) if step.index != SED else "no command"
        return Completion(text, (1, 2), (-0.5, -0.5), True, 10)


def workplace(folder: Path, generator: Any, seed: int = 0, cache: str = "", model_seed: int = 0) -> Any:
    model = make_model(seed=model_seed)
    return SimpleNamespace(
        settings=SimpleNamespace(seed=seed, pivot_cache=cache),
        model=model,
        to_save=lambda: model,
        whole=nullcontext,
        processes=ALONE,
        generator=generator,
        encode=lambda context: tuple(len(message.content) for message in context),
        journal=SimpleNamespace(run=SimpleNamespace(file=lambda name: folder / name)),
        progress=SilentProgress(),
        autocast=None,
        action_format="bash",
        arithmetic=lambda: torch.no_grad(),
        effects=None,
    )


def select(folder: Path, generator: Any, stage: dict[str, Any] | None = None, **extra: Any) -> Any:
    settings = StageSettings(**{"pivot_samples": 4, **(stage or {})})
    return select_pivots(workplace(folder, generator, **extra), settings, 0, STEPS, range(len(STEPS)))


def turns(selection: Any) -> set[int]:
    return {STEPS[index].index for index in selection.kept}


def test_steps_with_mixed_rewards_and_a_low_mean_are_kept(tmp_path: Path) -> None:
    mixed = select(tmp_path / "all", ByTurn())
    assert turns(mixed) == {CAT, SUBMIT} and len(mixed.kept) == 6
    assert (mixed.looked_at, mixed.alike, mixed.easy, mixed.malformed) == (12, 6, 0, 0.25)
    assert mixed.tokens == 12 * 4 * 2 and mixed.sampled_now == 12
    hard = select(tmp_path / "hard", ByTurn(), {"pivot_below": 0.6})
    assert turns(hard) == {CAT} and hard.easy == 3
    report = json.loads((tmp_path / "hard/pivots/0.json").read_text())
    assert report["kept"] == 3 and report["steps"] == [STEPS[index].step_id for index in hard.kept]


def test_no_pivot_is_an_error_that_counts_why(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"none of 12 steps is a pivot: the rewards of 6 .*\(25% .* the mean of 6"):
        select(tmp_path, ByTurn(), {"pivot_below": 0.1})


def test_a_bound_looks_at_some_steps_by_the_seed(tmp_path: Path) -> None:
    found = [select(tmp_path / str(i), ByTurn(), {"pivot_steps": 8}, seed=i // 2) for i in range(4)]
    assert [one.looked_at for one in found] == [8] * 4
    assert found[0].kept == found[1].kept and found[2].kept == found[3].kept != found[0].kept


def test_a_killed_pass_goes_on_and_a_finished_one_is_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pivots, "CHUNK", 5)
    whole, first = select(tmp_path / "whole", ByTurn()), ByTurn(stop_after=5)
    with pytest.raises(KeyboardInterrupt):
        select(tmp_path / "killed", first, cache=str(tmp_path / "cache"))
    rest = ByTurn()
    resumed = select(tmp_path / "killed", rest, cache=str(tmp_path / "cache"))
    assert (first.sampled, rest.sampled, resumed.sampled_now) == (5, 7, 7) and resumed.kept == whole.kept
    none = ByTurn(stop_after=0)
    for stage in ({}, {"pivot_below": 0.6}, {"epsilon": 0.1}):  # the choice may change, what was sampled is the same
        select(tmp_path / "other run", none, stage, cache=str(tmp_path / "cache"))
    assert none.sampled == 0


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"model_seed": 1}, {"stage": {"pivot_samples": 5}}, {"stage": {"sharpness": 2.0}}]
)
def test_another_pass_is_not_taken_for_the_same(change: dict[str, Any], tmp_path: Path) -> None:
    select(tmp_path, ByTurn(), cache=str(tmp_path / "cache"))
    other = ByTurn()
    select(tmp_path, other, cache=str(tmp_path / "cache"), **change)
    assert other.sampled == 12 and len(list((tmp_path / "cache").iterdir())) == 2


def test_one_sample_is_refused() -> None:
    with pytest.raises(ConfigError, match="pivot_samples must be 0 or at least 2"):
        StageSettings(pivot_samples=1)


@pytest.mark.slow
def test_a_run_trains_on_its_pivots_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = {**SFT, "updates": 25, "batch_steps": 8, "learning_rate": 5e-3, "eval_every": 0, "save_every": 0}
    second = {**SRL, "updates": 2, "eval_every": 0, "save_every": 1, "pivot_samples": 3}
    settings = train_settings(tmp_path, first, second)
    arithmetic = Workplace.arithmetic
    calls: list[int] = []

    def stopped(self: Workplace) -> Any:
        calls.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(Workplace, "arithmetic", stopped)
    with pytest.raises(KeyboardInterrupt):  # in the probing pass of the second stage
        train(settings)
    monkeypatch.setattr(Workplace, "arithmetic", arithmetic)
    run = train(settings)
    report = json.loads((run / "pivots/1.json").read_text())
    assert calls and 0 < report["kept"] < report["looked_at"] == report["sampled_now"]
    sampled = {row["step_id"] for row in read_jsonl(run / "samples.jsonl") if row["stage"] == 1}
    assert sampled and sampled <= set(report["steps"])
