"""Training on whole episodes: which groups are trained on, the objective, and that a kill loses no finished episode."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import make_model

from swe_srl.agents import EpisodeJob
from swe_srl.errors import ConfigError, ContaminationError, TrainingError
from swe_srl.files import read_jsonl, write_jsonl
from swe_srl.generation.attention import use_grouped
from swe_srl.settings import from_mapping
from swe_srl.tasks import load_tasks
from swe_srl.training import TrainSettings, train
from swe_srl.training import rlvr as rlvr_module
from swe_srl.training.episodes import (
    EpisodeGroup,
    EpisodeSampler,
    EpisodeStore,
    SampledEpisode,
    SampledTurn,
    with_logprobs,
)
from swe_srl.training.forward import TokenGroup, score
from swe_srl.training.optimiser import Optimiser
from swe_srl.training.rlvr import EpisodeRunner, unit_of
from swe_srl.training.settings import StageSettings
from swe_srl.training.tasks import load_task_data
from swe_srl.training.update import Updater
from swe_srl.types import Task

pytestmark = pytest.mark.timeout(600)
TASKS = [Task(f"t{number}", "o/r", "0", "issue", "", "", (), ()) for number in range(6)]


def episode(task: str, sample: int, reward: float, error: str = "") -> SampledEpisode:
    turn = SampledTurn((5, 6, 7), (8, 9 + sample, 2), (-0.1, -0.2, -0.3), "text")
    return SampledEpisode(task, sample, reward, "resolved", bool(reward), "submitted", "patch", (turn,), error)


class Runs:
    """In place of sandboxes: task t0 is never resolved, t1 always, of the others every second episode is."""

    def __init__(self, fail: Callable[[EpisodeJob], bool] = lambda job: False) -> None:
        self.jobs: list[tuple[str, int]] = []
        self.fail = fail

    def __call__(self, jobs: Sequence[EpisodeJob], keep: Callable[[SampledEpisode], None]) -> None:
        for job in jobs:
            name = job.task.instance_id
            self.jobs.append((name, job.sample))
            reward = {"t0": 0.0, "t1": 1.0}.get(name, float(job.sample % 2))
            keep(episode(name, job.sample, reward, "the sandbox is gone" if self.fail(job) else ""))


def sampler(folder: Path, runs: Runs, **stage: Any) -> EpisodeSampler:
    settings = StageSettings(**{"method": "rlvr", "batch_steps": 2, "group_size": 2, **stage})
    return EpisodeSampler(TASKS, settings, 1, runs, EpisodeStore(folder))


def test_groups_without_a_spread_are_replaced(tmp_path: Path) -> None:
    source, runs = sampler(tmp_path, Runs()), Runs()
    source.run = runs
    kept, drawn = [], []
    for update in range(1, 7):
        batch = source.batch(update)
        kept += [group.task_id for group in batch.kept]
        drawn += [group.task_id for group in batch.drawn]
        assert len(batch.kept) == 2 and batch.metrics(0.01)["failed_episodes"] == 0
    assert not {"t0", "t1"} & set(kept) and {"t0", "t1"} <= set(drawn)
    assert len(runs.jobs) == len(set(runs.jobs)) == 2 * len(drawn)  # no episode twice: another epoch has other samples
    plain = sampler(tmp_path / "plain", Runs(), dynamic_sampling=False, batch_steps=6).batch(1)
    assert {group.task_id for group in plain.kept} == {task.instance_id for task in TASKS}
    assert plain.metrics(0.01)["skipped_share"] == pytest.approx(1 / 3)


def test_the_bound_on_resampling_holds(tmp_path: Path) -> None:
    runs = Runs()
    source = sampler(tmp_path, runs, group_size=2, max_resampling=2)
    source.tasks = TASKS[:2]
    source.stream.count = 2
    batch = source.batch(1)
    assert batch.kept == [] and len(runs.jobs) == 8


def test_failures_of_the_infrastructure_count_for_nothing(tmp_path: Path) -> None:
    source = sampler(tmp_path, Runs(lambda job: job.sample % 4 == 3), group_size=4, batch_steps=1)
    batch = source.batch(1)
    assert all(len(group.episodes) == 3 for group in batch.drawn)
    assert len(batch.failed) == len(batch.drawn) and batch.metrics(0.01)["failed_episodes"] == len(batch.failed)
    assert not any(one.error for one in source.store.load(1).values())
    nothing = sampler(tmp_path / "all", Runs(lambda job: True)).batch(1)
    assert not nothing.drawn and "the sandbox is gone" in nothing.failed[0].error


def test_finished_episodes_are_not_sampled_again(tmp_path: Path) -> None:
    whole = sampler(tmp_path / "whole", Runs())
    state, expected = whole.state(), whole.batch(1)

    class Killed(Runs):
        def __call__(self, jobs: Sequence[EpisodeJob], keep: Callable[[SampledEpisode], None]) -> None:
            super().__call__(jobs[:3], keep)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sampler(tmp_path / "killed", Killed()).batch(1)
    runs = Runs()
    again = sampler(tmp_path / "killed", runs)
    again.restore(json.loads(json.dumps(state)))
    batch = again.batch(1)
    assert (batch.kept, batch.drawn) == (expected.kept, expected.drawn)
    assert len(runs.jobs) == 2 * len(batch.drawn) - 3
    assert again.state() == whole.state()
    again.store.forget(1)
    assert again.store.load(1) == {}


def test_waiting_groups_survive(tmp_path: Path) -> None:
    source = sampler(tmp_path, Runs())
    source.waiting = [
        with_logprobs(EpisodeGroup("t2", (episode("t2", 0, 0.0), episode("t2", 1, 1.0))), [(0, -1, -2)] * 2)
    ]
    other = sampler(tmp_path, Runs())
    other.restore(json.loads(json.dumps(source.state())))
    assert other.waiting == source.waiting and other.waiting[0].rescored
    assert other.waiting[0].episodes[1].turns[0].logprobs == (0, -1, -2)


@pytest.mark.parametrize("average", ["sequence", "token"])
def test_the_gradient_is_that_of_the_episodes(average: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a slow loop over the episodes: contexts that episodes share, unequal numbers of turns, two tasks."""
    model = make_model("qwen2", seed=3)
    first = SampledTurn((5, 6, 7), (8, 9, 2), (-2.0, -3.0, -4.0), "")
    other = dataclasses.replace(first, token_ids=(30, 2), logprobs=(-3.0, -1.0))
    later = SampledTurn((5, 6, 7, 8, 9, 2, 40, 41), (31, 32, 33, 2), (-3.0, -2.5, -3.5, -1.0), "")
    ended = [
        episode("a", 0, 1.0),
        episode("a", 1, 0.0),
        episode("a", 2, 0.0),
        episode("b", 0, 0.0),
        episode("b", 1, 1.0),
    ]
    turns = [(first, later), (other,), (first,), (later, other), (first,)]
    ended = [dataclasses.replace(one, turns=rows) for one, rows in zip(ended, turns, strict=True)]
    groups = [EpisodeGroup("a", tuple(ended[:3])), EpisodeGroup("b", tuple(ended[3:]))]
    advantages = []
    for group in groups:
        rewards = torch.tensor(group.rewards)
        advantages += ((rewards - rewards.mean()) / (rewards.std() + 1e-6)).tolist()
    total_tokens = sum(one.tokens for one in ended)
    for one, advantage in zip(ended, advantages, strict=True):
        weight = 1 / (one.tokens * len(ended)) if average == "sequence" else 1 / total_tokens
        for turn in one.turns:
            new = score(model, [TokenGroup(turn.context, (turn.token_ids,))], plain=True).logprob_NT[0]
            ratio = (new - torch.tensor(turn.logprobs)).exp()
            gain = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
            (-(gain * weight).sum()).backward()
    expected = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad(set_to_none=True)

    found: list[torch.Tensor] = []
    monkeypatch.setattr(
        Optimiser, "step", lambda self: (found.extend(p.grad.clone() for p in self.parameters) or 0.0, 0.0)
    )
    use_grouped(model)
    trainer = Updater(model, StageSettings(method="rlvr", average=average), total=1, budget=30)
    trainer.policy([unit_of(group, True) for group in groups], seed=0)
    assert len(found) == len(expected) and any(float(one.abs().max()) > 1e-3 for one in expected)
    for ours, theirs in zip(found, expected, strict=True):
        scale = max(1.0, float(theirs.abs().max()))
        torch.testing.assert_close(ours / scale, theirs / scale, atol=1e-5, rtol=1e-5)


STAGE = {
    "method": "rlvr",
    "updates": 2,
    "batch_steps": 2,
    "group_size": 3,
    "max_new_tokens": 96,
    "learning_rate": 1e-4,
    "eval_every": 0,
    "save_every": 0,
    "dynamic_sampling": False,
}


def settings_of(folder: Path, *stages: dict[str, Any], **extra: Any) -> TrainSettings:
    values = {"output": str(folder / "run"), "threads": 1, "samples_every": 1, "stages": list(stages or (STAGE,))}
    return from_mapping(TrainSettings, {**values, **extra}, "test")


def two_tasks(folder: Path) -> str:
    path = folder / "tasks.jsonl"
    write_jsonl(path, [task.row() for task in load_tasks("quickstart-train")[:2]])
    return str(path)


@pytest.mark.sandbox
@pytest.mark.slow
def test_a_real_run_and_its_resumption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes of the bundled model in sandboxes, graded by the tests; killed when the second update begins."""
    extra = {"tasks": two_tasks(tmp_path), "agent": "quickstart", "environment": "quickstart"}
    extra |= {"validation_tasks": "quickstart-validation"}
    stage = {**STAGE, "eval_every": 2, "validation_steps": 2}
    whole = train(settings_of(tmp_path / "whole", stage, **extra))
    metrics = list(read_jsonl(whole / "metrics.jsonl"))
    assert [row["update"] for row in metrics] == [0, 1, 2]
    assert all(row["episodes"] == 6 and row["failed_episodes"] == 0 for row in metrics[1:])
    assert 0 <= metrics[2]["validation_resolved"] <= 1 and metrics[2]["validation_episodes"] == 2
    assert metrics[1]["sharing_ratio"] > 1 and abs(metrics[1]["ratio_mean"] - 1) < 1e-3 and metrics[1]["turns"] > 1
    shown = list(read_jsonl(whole / "samples.jsonl"))
    assert len(shown) == 2 and len(shown[0]["episodes"]) == 3 and shown[0]["episodes"][0]["completions"]
    assert not list((whole / "rollouts").rglob("*.jsonl")) and (whole / "model/model.safetensors").exists()

    settings = settings_of(tmp_path / "killed", stage, **extra)
    updates = Updater.policy
    with monkeypatch.context() as patch:
        patch.setattr(Updater, "policy", _killed_at(2, updates))
        with pytest.raises(MemoryError):
            train(settings)
    kept = {path.stem: len(path.read_text().splitlines()) for path in settings.output.glob("rollouts/0/*.jsonl")}
    assert kept == {"000001": 6, "000002": 6}
    before = list(read_jsonl(settings.output / "metrics.jsonl"))
    ran: list[int] = []
    run = EpisodeRunner.run
    monkeypatch.setattr(
        EpisodeRunner, "run", lambda self, jobs, *rest: (ran.append(len(jobs)), run(self, jobs, *rest))[1]
    )
    train(settings)
    assert ran == [0, 0, 2]  # both updates from the kept episodes; then the last validation
    again = list(read_jsonl(settings.output / "metrics.jsonl"))
    same = ("reward_mean", "sampled_tokens", "loss", "grad_norm", "logprob_gap", "turns")
    assert [again[1][name] for name in same] == [before[1][name] for name in same]
    assert len(again) == 3 and again[2]["validation_episodes"] == 2


def _killed_at(number: int, real: Callable[..., Any]) -> Callable[..., Any]:
    calls: list[int] = []

    def policy(self: Updater, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == number:
            raise MemoryError("killed")
        return real(self, *arguments)

    return policy


@pytest.mark.sandbox
def test_a_run_whose_sandboxes_all_fail_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from swe_srl.errors import SandboxError

    def broken(self: EpisodeRunner, task: Task) -> Any:
        raise SandboxError("no space left on device")

    monkeypatch.setattr(rlvr_module.EpisodeRunner, "_environment", broken)
    extra = {"tasks": two_tasks(tmp_path), "agent": "quickstart"}
    with pytest.raises(TrainingError, match=r"all \d+ episodes failed .* no space left on device"):
        train(settings_of(tmp_path, **extra))


def test_tasks_are_held_out_and_guarded(tmp_path: Path) -> None:
    data = load_task_data(settings_of(tmp_path))
    assert len(data.training) >= 200 and len(data.validation) >= 20 and not data.unavailable
    assert set(data.fingerprints()) == {"tasks", "validation_tasks"}
    path = tmp_path / "ten.jsonl"
    write_jsonl(path, [task.row() for task in load_tasks("quickstart-train")[:10]])
    held = load_task_data(settings_of(tmp_path, tasks=str(path), validation_share=0.2))
    assert (len(held.training), len(held.validation)) == (8, 2)
    with pytest.raises(ContaminationError, match=r"10 training tasks belong to .*\(by task\)"):
        load_task_data(settings_of(tmp_path, tasks=str(path), validation_share=0.0, evaluation_split=str(path)))
    with pytest.raises(ConfigError, match="trained on too"):
        load_task_data(settings_of(tmp_path, tasks=str(path), validation_tasks=str(path)))
    assert not load_task_data(settings_of(tmp_path, {"method": "srl"})).training


def test_tasks_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="an rlvr stage needs tasks"):
        settings_of(tmp_path, trajectories="mine.jsonl")
    with pytest.raises(ConfigError, match="group_size"):
        settings_of(tmp_path, {**STAGE, "group_size": 1})
