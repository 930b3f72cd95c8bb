"""Training on whole episodes: which groups are trained on, the objective, and that a kill loses no finished episode."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from tiny_models import make_model, make_tokenizer

from swe_srl.agents import EpisodeJob
from swe_srl.agents.policies import answer
from swe_srl.envs import ExpertSimilarity, SweEnv
from swe_srl.envs import places as places_module
from swe_srl.errors import ConfigError, ContaminationError, DefinitionNotFoundError, SandboxError, TrainingError
from swe_srl.evaluation.pipeline import Attempt
from swe_srl.evaluation.policies import expert_trajectories
from swe_srl.evaluation.report import _similarity_of
from swe_srl.evaluation.settings import EvalSettings
from swe_srl.files import read_jsonl, write_jsonl
from swe_srl.generation.attention import use_grouped
from swe_srl.progress import SilentProgress
from swe_srl.rewards import get_similarity
from swe_srl.runs import RunFolder
from swe_srl.settings import from_mapping
from swe_srl.tasks import load_tasks
from swe_srl.testing import FakeSandbox
from swe_srl.training import TrainSettings, train
from swe_srl.training import rlvr as rlvr_module
from swe_srl.training import runner as runner_module
from swe_srl.training.data import load_steps
from swe_srl.training.episodes import EpisodeBatch, EpisodeGroup, EpisodeSampler, episode_metrics, with_logprobs
from swe_srl.training.experts import StepRewards, expert_commands, experts_fingerprint
from swe_srl.training.forward import TokenGroup, score
from swe_srl.training.journal import Clock
from swe_srl.training.optimiser import Optimiser
from swe_srl.training.processes import ALONE
from swe_srl.training.rlvr import RlvrMethod, unit_of
from swe_srl.training.run import FREE_SETTINGS, check_start
from swe_srl.training.runner import EpisodeRunner, Recorder
from swe_srl.training.sampled import EpisodeStore, SampledEpisode, SampledTurn
from swe_srl.training.settings import StageSettings
from swe_srl.training.tasks import load_task_data, runnable
from swe_srl.training.update import Updater
from swe_srl.trajectories import write_trajectories
from swe_srl.trajectories.action_format import format_action
from swe_srl.types import (
    Action,
    Completion,
    FormatError,
    Message,
    Sampling,
    StopReason,
    Task,
    Trajectory,
    Turn,
    Verdict,
    VerdictStatus,
)
from tests.sandbox_support import write_tree

pytestmark = pytest.mark.timeout(600)
CUT_SHORT = Completion("```bash\nls", (1,), (-0.1,), False)
TASKS = [Task(f"t{number}", "o/r", "0", "issue", "", "", (), ()) for number in range(6)]


def episode(task: str, sample: int, reward: float, error: str = "") -> SampledEpisode:
    turn = SampledTurn((5, 6, 7), (8, 9 + sample, 2), (-0.1, -0.2, -0.3), "text")
    return SampledEpisode(task, sample, reward, "resolved", bool(reward), "submitted", "patch", (turn,), error)


Keep = Callable[[SampledEpisode], None]


class Runs:
    """In place of sandboxes: task t0 is never resolved, t1 always, of the others every second episode is."""

    def __init__(self, fail: Callable[[EpisodeJob], bool] = lambda job: False, grades: int = 10**9) -> None:
        self.jobs: list[tuple[str, int]] = []
        self.graded: list[tuple[str, int]] = []
        self.fail, self.grades = fail, grades

    def __call__(self, jobs: Sequence[EpisodeJob], ungraded: Sequence[SampledEpisode], keep: Keep) -> None:
        ended = list(ungraded)
        for job in jobs:
            name = job.task.instance_id
            self.jobs.append((name, job.sample))
            reward = {"t0": 0.0, "t1": 1.0}.get(name, float(job.sample % 2))
            made = dataclasses.replace(episode(name, job.sample, reward), status="", reward=0.0, official=False)
            if self.fail(job):
                made = dataclasses.replace(made, status="infrastructure", error="the sandbox is gone", turns=())
            else:
                ended.append(made)
            keep(made)
        for one in ended:
            if len(self.graded) == self.grades:
                raise KeyboardInterrupt
            self.graded.append(one.key)
            keep(episode(one.task_id, one.sample, {"t0": 0.0, "t1": 1.0}.get(one.task_id, float(one.sample % 2))))


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
    row = plain.metrics(0.01, dynamic=False)
    assert row["alike_share"] == pytest.approx(1 / 3) and row["skipped_share"] == 0
    assert "expert_similarity" not in row and plain.metrics(0.01, experts=True)["expert_similarity"] == 0


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
    source.store.forget_failures(1)
    assert not any(one.error for one in source.store.load(1).values()) and len(source.store.load(1)) > 2
    nothing = sampler(tmp_path / "all", Runs(lambda job: True)).batch(1)
    assert not nothing.drawn and "the sandbox is gone" in nothing.failed[0].error


@pytest.mark.parametrize("grades", [0, 3])
def test_ended_episodes_are_not_sampled_again(grades: int, tmp_path: Path) -> None:
    """Killed in the second update, when all of its episodes had ended, a few were graded and one had failed."""

    def fail(job: EpisodeJob) -> bool:
        return (job.task.instance_id, job.sample) == ("t2", 0)

    whole = sampler(tmp_path / "whole", Runs(fail))
    state, expected = whole.state(), [whole.batch(1), whole.batch(2)]
    killed = sampler(tmp_path / "killed", Runs(fail))
    killed.batch(1)
    last = killed.run = Runs(fail, grades)
    with pytest.raises(KeyboardInterrupt):
        killed.batch(2)
    healthy = Runs()  # what failed before would not fail now: the same tasks must be drawn all the same
    again = sampler(tmp_path / "killed", healthy)
    again.restore(json.loads(json.dumps(state)))
    found = [again.batch(1), again.batch(2)]
    assert [(batch.kept, batch.drawn) for batch in found] == [(batch.kept, batch.drawn) for batch in expected]
    ran = {one.key for one in killed.store.load(1).values()} | set(last.jobs)
    assert last.jobs and not set(healthy.jobs) & ran
    assert not set(healthy.graded) & set(last.graded) and len(last.graded) == grades
    assert again.state() == whole.state()
    again.store.forget(1)
    assert again.store.load(1) == {} and again.store.load(2)


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
            new = score(model, TokenGroup(turn.context, (turn.token_ids,)).sequences, plain=True).logprob_NT[0]
            ratio = (new - torch.tensor(turn.logprobs)).exp()
            gain = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
            (-(gain * weight).sum()).backward()
    expected = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad(set_to_none=True)

    found: list[torch.Tensor] = []
    monkeypatch.setattr(
        Optimiser, "step", lambda self, place: (found.extend(p.grad.clone() for p in self.parameters) or 0.0, 0.0)
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
        with pytest.raises(RuntimeError, match="killed"):
            train(settings)
    kept = {path.stem: len(path.read_text().splitlines()) for path in settings.output.glob("rollouts/0/*.jsonl")}
    assert kept == {"000001": 12, "000002": 12}
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
            raise RuntimeError("killed")
        return real(self, *arguments)

    return policy


@pytest.mark.sandbox
def test_a_run_whose_sandboxes_all_fail_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from swe_srl.errors import SandboxError

    def broken(self: EpisodeRunner, task: Task) -> Any:
        raise SandboxError("no space left on device")

    monkeypatch.setattr(EpisodeRunner, "_environment", broken)
    extra = {"tasks": two_tasks(tmp_path), "agent": "quickstart"}
    with pytest.raises(
        TrainingError, match=r"no task has two episodes to compare: \d+ failed .* no space left on device"
    ):
        train(settings_of(tmp_path, **extra))


def test_tasks_are_held_out_and_guarded(tmp_path: Path) -> None:
    data = load_task_data(settings_of(tmp_path))
    assert len(data.training) >= 200 and len(data.validation) >= 20 and not runnable(data, settings_of(tmp_path))[1]
    assert set(data.fingerprints()) == {"tasks", "validation_tasks"}
    path = tmp_path / "ten.jsonl"
    write_jsonl(path, [task.row() for task in load_tasks("quickstart-train")[:10]])
    held = load_task_data(settings_of(tmp_path, tasks=str(path), validation_share=0.2))
    assert (len(held.training), len(held.validation)) == (8, 2)
    with pytest.raises(ContaminationError, match=r"10 of the tasks of rlvr belong to .*\(by task\)"):
        load_task_data(settings_of(tmp_path, tasks=str(path), validation_share=0.0, evaluation_split=str(path)))
    watched = {"validation_tasks": "quickstart-test", "evaluation_split": "quickstart"}
    with pytest.raises(ContaminationError, match="60 of the tasks of rlvr"):
        load_task_data(settings_of(tmp_path, **watched))
    assert len(load_task_data(settings_of(tmp_path, **watched, allow_contamination=True)).contaminated) == 60
    with pytest.raises(ConfigError, match="trained on too"):
        load_task_data(settings_of(tmp_path, tasks=str(path), validation_tasks=str(path)))
    assert not load_task_data(settings_of(tmp_path, {"method": "srl"})).training


def test_tasks_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="an rlvr stage needs tasks"):
        settings_of(tmp_path, trajectories="mine.jsonl")
    with pytest.raises(ConfigError, match="group_size"):
        settings_of(tmp_path, {**STAGE, "group_size": 1})


class Plain:
    """A generator that writes `submit` at once."""

    def generate(self, contexts: Any, n: int, sampling: Any, seeds: Any) -> list[list[Completion]]:
        text = "<think>Done.</think>\n```bash\nsubmit\n```"
        return [[Completion(text, (7, 2), (-0.5, -0.25), True, 3)] for _ in contexts]


class StillEnv:
    """An environment in which nothing happens."""

    def __init__(self, fail: bool = False) -> None:
        self.fail = fail

    def reset(self, **options: Any) -> tuple[str, dict[str, Any]]:
        if self.fail:
            raise SandboxError("no space left on device")
        return "Fix it.", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        return "", 0.0, True, False, {"exit_code": 0}

    def patch(self) -> str:
        return "a patch"

    def close(self) -> None:
        pass


def method(folder: Path, monkeypatch: pytest.MonkeyPatch, verdict: Verdict, fail: str = "", **extra: Any) -> RlvrMethod:
    """A method without model and sandboxes: every patch gets the same verdict, the episodes of task `fail` fail."""
    monkeypatch.setattr(
        runner_module, "grade", lambda task, *rest: dataclasses.replace(verdict, task_id=task.instance_id)
    )
    monkeypatch.setattr(EpisodeRunner, "_environment", lambda self, task: StillEnv(task.instance_id == fail))
    tokenizer = make_tokenizer()
    folder.mkdir(parents=True, exist_ok=True)
    work: Any = SimpleNamespace(
        settings=settings_of(folder, {**STAGE, **extra.pop("stage", {})}, **extra),
        model=make_model(),
        tokenizer=tokenizer,
        generator=Plain(),
        tasks=TASKS,
        held_tasks=TASKS,
        autocast=None,
        action_format="bash",
        progress=SilentProgress(),
        processes=ALONE,
        sharded=None,
        whole=nullcontext,
        journal=SimpleNamespace(run=SimpleNamespace(file=lambda name: folder / name)),
    )
    return RlvrMethod(work, 0, "")


def test_the_reward_is_the_hardened_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fooled = Verdict("", VerdictStatus.RESOLVED, True, False, "the tests were tampered with")
    row = method(tmp_path / "fooled", monkeypatch, fooled).validate(Clock())
    assert row["validation_resolved"] == 0.0 and row["validation_official_only"] == 1.0
    honest = Verdict("", VerdictStatus.RESOLVED, True, True)
    assert method(tmp_path / "honest", monkeypatch, honest).validate(Clock())["validation_resolved"] == 1.0


def test_step_rewards_are_gated_by_the_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every episode writes `submit`: the expert of t2 did so in its only turn, that of t3 began otherwise, t4 has none."""
    experts = {"t2": ("submit",), "t3": ("ls", "submit")}
    monkeypatch.setattr(rlvr_module, "expert_commands", lambda settings: experts)
    stage = {"step_weight": 0.5, "dynamic_sampling": False}
    found: dict[str, SampledEpisode] = {}
    for hardened in (True, False):
        verdict = Verdict("", VerdictStatus.RESOLVED if hardened else VerdictStatus.UNRESOLVED, True, hardened)
        made = method(tmp_path / str(hardened), monkeypatch, verdict, stage=stage)
        made.runner.run([EpisodeJob(task) for task in TASKS], (), lambda one: found.update({one.task_id: one}), "")
        assert found["t2"].similarity == 1.0 and 0 <= found["t3"].similarity < 1 and found["t4"].similarity == 0.0
        rewards = {name: one.reward for name, one in found.items()}
        assert rewards["t2"] == (1.5 if hardened else 0.0) and rewards["t4"] == float(hardened)
        assert rewards["t3"] == (1 + found["t3"].similarity / 2 if hardened else 0.0)
        assert made.validate(Clock())["validation_resolved"] == float(hardened)  # the verdict alone


def test_step_rewards_need_an_expert_of_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rlvr_module, "expert_commands", lambda settings: {"elsewhere": ("ls",)})
    with pytest.raises(ConfigError, match="step_weight: none of the 6 tasks of rlvr has an expert"):
        method(tmp_path, monkeypatch, Verdict("", VerdictStatus.RESOLVED, True, True), stage={"step_weight": 1.0})


def test_the_bundled_experts_are_those_of_the_bundled_tasks() -> None:
    commands = expert_commands(TrainSettings(stages=(StageSettings(method="rlvr", step_weight=0.1),)))
    assert commands.keys() == {task.instance_id for task in load_tasks("quickstart-train")}
    assert expert_commands(TrainSettings()) == {} == experts_fingerprint({})
    assert experts_fingerprint(commands)["experts"].startswith("sha256:")
    name, said = next(iter(commands.items()))
    turns = [SampledTurn((1,), (2,), (-0.1,), f"<think>So.</think>\n```bash\n{one}\n```") for one in said]
    rewards = StepRewards(commands, StageSettings(method="rlvr"))
    assert rewards(name, turns) == 1.0 and rewards(name, [*turns, *turns]) == 0.5  # nothing beyond the expert's last
    broken = [dataclasses.replace(turns[0], malformed="no command"), *turns[1:]]
    assert rewards(name, broken) == pytest.approx(1 - 1 / len(turns))


def test_step_rewards_are_those_of_the_environment_and_of_the_evaluator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same commands; with a submit command of the definitions' own, and without the expert's malformed turns."""
    for name in ("agent.yaml", "env.yaml"):
        (tmp_path / name).write_text("submit: finish now\n")
    actions = (Action("ls src"), FormatError("no command"), Action("cat a.py"), Action("submit"))
    expert = Trajectory("t", "tiny-1", tuple(map(Turn, actions)), problem_statement="Fix it")
    file = str(tmp_path / "expert.jsonl")
    write_trajectories(Path(file), [expert])
    task = Task("tiny-1", "me/tiny", "0" * 40, "Fix it", source=f"dir:{write_tree(tmp_path / 'tree')}")
    commands = ["ls", "cat b.py", "finish now"]

    stage = StageSettings(method="rlvr", step_weight=0.5)
    settings = TrainSettings(
        stages=(stage,), tasks="quickstart-train", trajectories=file, agent=str(tmp_path / "agent.yaml")
    )
    turns = [SampledTurn((1,), (2,), (-0.1,), format_action(Action(one, "So."))) for one in commands]
    step_rewards = StepRewards(expert_commands(settings), stage)("tiny-1", turns)

    monkeypatch.setattr(places_module, "make_sandbox", lambda kind, spec: FakeSandbox())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    env = ExpertSimilarity(SweEnv([task], definition=str(tmp_path / "env.yaml")), expert, mode="on_policy")
    env.reset()
    rewards = [env.step(one)[1] for one in commands]
    assert rewards[-1] == 1.0 and step_rewards == pytest.approx(statistics.fmean(rewards))

    known = expert_trajectories(EvalSettings(trajectories=file, agent=str(tmp_path / "agent.yaml")), [task])
    attempt = Attempt(
        "tiny-1", 0, dataclasses.replace(expert, turns=tuple(Turn(Action(one)) for one in commands)), Mock()
    )
    assert _similarity_of(attempt, known, get_similarity("sequence")) == pytest.approx(step_rewards)


def test_experts_say_the_agents_reserved_command(tmp_path: Path) -> None:
    agent = tmp_path / "agent.yaml"
    agent.write_text("context: full\nsubmit: finish\n")
    stage = StageSettings(method="rlvr", step_weight=0.1)
    ours, usual = (expert_commands(TrainSettings(stages=(stage,), agent=name)) for name in (str(agent), ""))
    assert ours.keys() == usual.keys()
    for name, said in usual.items():
        assert said[-1] == "submit" and ours[name] == (*said[:-1], "finish")


def test_what_the_token_limit_cut_is_counted() -> None:
    turns = [
        SampledTurn((1,), (2,), (-0.1,), "text", why) for why in ("", "no command", answer(CUT_SHORT).action.reason)
    ]
    row = episode_metrics([SampledEpisode("t", 0, 0.0, "unresolved", False, "submitted", "", tuple(turns))])
    assert row["format_errors"] == pytest.approx(2 / 3) and row["unfinished"] == pytest.approx(1 / 3)


def test_step_rewards_guard_shell_commands_alone() -> None:
    said, stage = "### Let n be even.", StageSettings(method="rlvr", similarity="sequence")
    turn = SampledTurn((1,), (2,), (-0.1,), said)
    assert StepRewards({"p-1": (said,)}, stage, "plain")("p-1", [turn]) == 1.0
    fenced = dataclasses.replace(turn, text=f"```bash\n{said}\n```")
    assert StepRewards({"p-1": (said,)}, stage)("p-1", [fenced]) == 0.0


def test_a_validation_that_lost_episodes_is_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Verdict("", VerdictStatus.RESOLVED, True, True)
    row = method(tmp_path, monkeypatch, honest, fail="t3").validate(Clock())
    assert row == {"validation_failed": 1}


def test_a_failed_grading_is_no_failure_of_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = Verdict("", VerdictStatus.INFRASTRUCTURE, False, False, "the engine is gone")
    made = method(tmp_path, monkeypatch, lost)
    with pytest.raises(TrainingError, match="the engine is gone"):
        made.update(1, Clock())
    assert not made.store.load(1)  # they are sampled again


def test_contexts_that_are_too_long_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = method(tmp_path, monkeypatch, Verdict("", VerdictStatus.RESOLVED, True, True), max_context_tokens=2)
    with pytest.raises(TrainingError, match=r"first context of each of 24 episodes is too long"):
        made.update(1, Clock())


def test_log_probabilities_are_those_of_the_sampling_temperature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of groups that wait: the policy that sampled them is gone when they are trained on."""
    half = Verdict("", VerdictStatus.RESOLVED, True, True)
    made = method(tmp_path, monkeypatch, half, stage={"temperature": 0.5, "dynamic_sampling": True})
    use_grouped(made.work.model)
    groups = [EpisodeGroup(name, (episode(name, 0, 0.0), episode(name, 1, 1.0))) for name in ("t2", "t3", "t4")]
    batch = EpisodeBatch(groups[:2])
    made.sampler.waiting = groups[2:]
    made._rescore(batch)
    for group in (*batch.kept, *made.sampler.waiting):
        assert group.rescored
        for one in group.episodes:
            turn = one.turns[0]
            with torch.no_grad():
                new = score(made.work.model, TokenGroup(turn.context, (turn.token_ids,)).sequences, 0.5).logprob_NT[0]
            assert turn.logprobs == pytest.approx(new.tolist(), rel=1e-4)
    before = made.sampler.waiting[0]
    made._rescore(EpisodeBatch([]))
    assert made.sampler.waiting[0] is before


def test_an_interruption_loses_no_ended_episode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = method(tmp_path, monkeypatch, Verdict("", VerdictStatus.RESOLVED, True, True))

    def stopped(task: Task, *rest: Any) -> Verdict:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner_module, "grade", stopped)
    with pytest.raises(KeyboardInterrupt):
        made.update(1, Clock())
    kept = made.store.load(1)
    assert kept and not any(one.status for one in kept.values())
    assert all(one.turns[0].token_ids == (7, 2) for one in kept.values())


def test_a_recorder_refuses_long_contexts() -> None:
    recorder = Recorder(Plain(), lambda messages: [1] * len(messages[0].content), 3)
    chats = [(Message("user", "four"),), (Message("user", "two"),)]
    long, short = recorder.generate(chats, 1, Sampling(), [1, 2])
    assert long[0].refusal is not None and long[0].refusal.stop is StopReason.TOKEN_LIMIT
    assert short[0].refusal is None and list(recorder.recorded) == [2]


def test_a_folder_that_was_begun_before_there_were_tasks_goes_on(tmp_path: Path) -> None:
    from swe_srl.runs import RunFolder

    RunFolder.start(tmp_path / "run", "train", {"seed": 0}, {}).close()
    assert RunFolder.check(tmp_path / "run", "train", {"seed": 0, "tasks": ""}, {}, defaults={"seed": 0, "tasks": ""})
    with pytest.raises(ConfigError, match="tasks: was '', is 'lite'"):
        RunFolder.check(tmp_path / "run", "train", {"seed": 0, "tasks": "lite"}, {}, defaults={"seed": 0, "tasks": ""})


@pytest.mark.parametrize("extra", [{"environment": "nosuch"}, {"agent": "nosuch"}])
def test_definitions_are_looked_for_before_the_start(tmp_path: Path, extra: dict[str, str]) -> None:
    settings = settings_of(tmp_path, tasks=two_tasks(tmp_path), **extra)
    with pytest.raises(DefinitionNotFoundError, match="nosuch"):
        train(settings)
    assert not settings.output.exists()


@pytest.mark.parametrize("which", ["agent", "environment"])
def test_a_definition_that_was_changed_meanwhile_is_noticed(tmp_path: Path, which: str) -> None:
    """Of episodes nothing else tells: no steps are made of the prompts. Its description and its pool may change."""
    files = {name: tmp_path / f"{name}.yaml" for name in ("agent", "environment")}
    files["agent"].write_text("description: mine\nmax_turns: 4\n")
    files["environment"].write_text("pool_size: 0\nmax_turns: 9\n")
    extra = {name: str(file) for name, file in files.items()}
    settings = settings_of(tmp_path, tasks=two_tasks(tmp_path), **extra)
    data, tasks = load_steps(settings), load_task_data(settings)
    recorded, fingerprints, _ = check_start(settings, data, tasks)
    RunFolder.start(settings.output, "train", recorded, fingerprints, FREE_SETTINGS).close()
    files["agent"].write_text("description: yours\nmax_turns: 4\n")
    files["environment"].write_text("pool_size: 2\nmax_turns: 9\n")
    assert check_start(settings, data, tasks)[2]
    files[which].write_text("max_turns: 5\n")
    with pytest.raises(ConfigError, match=rf"Differing: data\.{which}:"):
        check_start(settings, data, tasks)
