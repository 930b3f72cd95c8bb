"""Similarity `effect` as a reward of training: commands tried at the experts' states, and what it refuses."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sandbox_support import write_tree
from training_data import SFT, SRL, train_settings

from swe_srl.cli import main
from swe_srl.envs import SandboxProbe, SweEnv
from swe_srl.errors import ConfigError, SandboxError, TrainingError
from swe_srl.files import read_jsonl
from swe_srl.rewards import get_similarity
from swe_srl.rewards.effect import Effect
from swe_srl.sandboxes.launch import owner_name, runtime_folder
from swe_srl.training import effects, train
from swe_srl.training.data import load_steps, quickstart_file
from swe_srl.training.effects import Effects, Remembered
from swe_srl.training.expert_states import ExpertStates, check_states, load_states
from swe_srl.training.explain import ExplainSettings, explain
from swe_srl.training.rollouts import Rollouts, Sampler
from swe_srl.training.settings import StageSettings, TrainSettings
from swe_srl.training.stage import StageTrainer
from swe_srl.trajectories import make_steps, read_trajectories, write_steps, write_trajectories
from swe_srl.trajectories.action_format import format_action
from swe_srl.trajectories.prompting import Prompting
from swe_srl.types import Action, Completion, Message, Sampling, Step, Task, Trajectory, Turn

pytestmark = pytest.mark.timeout(600)
EFFECT = {**SRL, "similarity": "effect"}
EXPERT = ("cd src", "sed -i 's/VALUE = 1/VALUE = 2/' tool.py", "cat tool.py", "rm -rf gone", "submit")
PROMPTING = Prompting(system="Fix it.")


def left_over() -> set[str]:
    """What sandboxes of this process hold on the disk; all of them share one `etc`."""
    names = {path.name for path in runtime_folder().iterdir()}
    return {name for name in names if owner_name() in name and not name.startswith("etc-")}


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Effects, list[Step]]]:
    """The steps of one expert in a small repository, and where to try commands there. Nothing may be left at the end."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    task = Task("tiny", "me/tiny", "0" * 40, "Fix.", source=f"dir:{write_tree(tmp_path / 'tree')}")
    expert = Trajectory("t", "tiny", tuple(Turn(Action(command)) for command in EXPERT))
    steps = list(make_steps([expert], PROMPTING))
    before = left_over()
    yield (
        Effects(ExpertStates({"tiny": task}, {"t": expert}, "mine"), lambda task: "quickstart", "local", 3, "submit"),
        steps,
    )
    assert left_over() == before


class Scripted:
    """A generator that answers every context with the same commands; "" is a malformed answer."""

    def __init__(self, *commands: str) -> None:
        self.commands = commands

    def generate(
        self, contexts: Sequence[tuple[Message, ...]], n: int, sampling: Sampling, seeds: Sequence[int]
    ) -> list[list[Completion]]:
        texts = [format_action(Action(command, "So.")) if command else "no" for command in self.commands]
        return [[Completion(text, (1, 2), (-0.5, -0.5), True, 10) for text in texts] for _ in contexts]


def sampled(at: Effects, steps: Sequence[Step], *commands: str) -> list[Rollouts]:
    stage = StageSettings(similarity="effect", group_size=len(commands))
    sampler = Sampler(Scripted(*commands), steps, stage, 0, effects=at)
    return sampler.sample([(0, index) for index in range(len(steps))], len(commands))


def count_tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    tried: list[str] = []
    effect = SandboxProbe.effect

    def counted(self: SandboxProbe, command: str) -> Effect:
        tried.append(command)
        return effect(self, command)

    monkeypatch.setattr(SandboxProbe, "effect", counted)
    return tried


@pytest.mark.sandbox
def test_rewards_are_those_of_a_probe_at_the_experts_state(tiny: tuple[Effects, list[Step]]) -> None:
    at, steps = tiny
    commands = (
        "sed -n 1,9p tool.py",
        "cat ../README.md",
        "sed -i 's/2/3/' tool.py; cat tool.py",
        "echo x",
        "cat tool.py",
        "",
    )
    groups = sampled(
        at, steps[1:4], *commands
    )  # the first turn gave no step here, and the states come after it all the same
    for group, step in zip(groups, steps[1:4], strict=True):
        with SweEnv(list(at.states.tasks.values()), "quickstart", "local", max_turns=0) as env:
            env.reset()
            for command in EXPERT[: step.index]:
                env.step(command)
            assert env.sandbox is not None
            with SandboxProbe(env.sandbox) as probe:
                by_hand = [get_similarity("effect", probe, "submit")(one, step.target).value for one in commands[:-1]]
        assert group.rewards == (*by_hand, -1.0)
    assert groups[1].rewards[0] == 1.0 and [part["by_effect"] for part in groups[1].parts] == [1, 1, 1, 0, 0, 0]


@pytest.mark.sandbox
def test_a_command_is_tried_once_and_remembered(
    tiny: tuple[Effects, list[Step]], monkeypatch: pytest.MonkeyPatch
) -> None:
    at, steps = tiny
    tried = count_tried(monkeypatch)
    first = sampled(at, steps[2:3], "ls", "ls", "cat tool.py", "true", "submit", "")
    assert tried == ["cat tool.py", "ls"]  # what is equal, does nothing or ends the episode is not tried
    assert sampled(at, steps[2:3], "ls", "ls", "cat tool.py", "true", "submit", "") == first and len(tried) == 2
    sampled(at, steps[2:3], "ls", "cat /testbed/README.md")
    assert tried[2:] == ["cat /testbed/README.md"]
    (silent,) = sampled(at, [replace(steps[2], target="mkdir -p .", step_id="t:x")], "ls", "cat tool.py")
    assert tried[3:] == ["mkdir -p ."]  # it shows and changes nothing: the others need not be tried
    assert [part["by_shell"] for part in silent.parts] == [1.0, 1.0]


@pytest.mark.sandbox
def test_a_failed_sandbox_is_tried_again_once(
    tiny: tuple[Effects, list[Step]], monkeypatch: pytest.MonkeyPatch
) -> None:
    at, steps = tiny
    failures, effect = [1], SandboxProbe.effect

    def failing(self: SandboxProbe, command: str) -> Effect:
        if command == "ls" and failures[0]:
            failures[0] -= 1
            raise SandboxError("the disk is full")
        return effect(self, command)

    monkeypatch.setattr(SandboxProbe, "effect", failing)
    (group,) = sampled(at, steps[2:3], "ls", "cat ./tool.py")
    assert group.rewards == (0.0, 1.0)
    failures[0] = 2
    with pytest.raises(TrainingError, match=r"sandbox of task tiny failed 2 times at step t:1: the disk is full"):
        sampled(at, steps[1:2], "ls", "cat ./tool.py")


@pytest.mark.sandbox
def test_an_interruption_ends_what_runs(tiny: tuple[Effects, list[Step]], monkeypatch: pytest.MonkeyPatch) -> None:
    at, steps = tiny
    begun: list[float] = []

    def interrupted(futures: Any) -> Any:
        time.sleep(3)
        begun.append(time.monotonic())
        raise KeyboardInterrupt

    monkeypatch.setattr(effects, "as_completed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sampled(at, steps[1:4], "ls; sleep 60", "cat tool.py; sleep 60", "pwd; sleep 60", "sleep 60; ls -a")
    assert time.monotonic() - begun[0] < 50


@pytest.mark.sandbox
def test_a_state_that_differs_from_the_record_is_said_once(tiny: tuple[Effects, list[Step]]) -> None:
    at, steps = tiny
    said: list[str] = []
    told = replace(at.states.trajectories["t"], turns=tuple(Turn(Action(one), "as it was") for one in EXPERT))
    other = Effects(ExpertStates(at.states.tasks, {"t": told}), lambda task: "quickstart", "local", note=said.append)
    sampled(other, steps[2:4], "ls", "pwd")
    sampled(other, steps[2:4], "ls -a", "pwd -P")
    assert len(said) == 1 and "at 2 of 2 states" in said[0]


def test_what_was_not_asked_for_longest_is_forgotten() -> None:
    remembered, effect = Remembered(2500), Effect("x" * 400, 0)
    for command in ("a", "b"):
        remembered.put("s", command, effect)
    assert remembered.get("s", "a") == effect
    remembered.put("s", "c", effect)
    assert remembered.get("s", "b") is None and remembered.get("s", "a") == remembered.get("s", "c") == effect


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"srl_target": "rest"}, "not with the rest of its trajectory"),
        ({"shuffle_targets": True}, "shuffle_targets gives every step the target of another one"),
        ({"method": "rlvr", "step_weight": 0.5}, "an episode of rlvr goes its own way"),
    ],
)
def test_stages_without_effects_to_compare_are_refused(values: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=rf"similarity: effect .*{why}.*shell"):
        StageSettings(similarity="effect", **values)
    StageSettings(**{**values, "similarity": "shell"})


def test_what_does_not_try_commands_needs_no_tasks(tmp_path: Path) -> None:
    sft = {**SFT, "similarity": "effect"}
    assert not load_states(train_settings(tmp_path, {**sft, "eval_every": 0})).tasks
    with pytest.raises(ConfigError, match=r"tasks: similarity effect tries .* with --tasks"):
        load_states(train_settings(tmp_path, sft))


def test_steps_of_unknown_tasks_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = train_settings(tmp_path, EFFECT, tasks="quickstart-train")
    with pytest.raises(
        ConfigError,
        match=r"44 of 44 training steps are of 11 tasks that are not in quickstart-train and quickstart-val",
    ):
        check_states(load_states(settings), settings, load_steps(settings))
    given = [f"--trajectories={tmp_path / 'trajectories.jsonl'}", "--similarity=effect", "--dry-run"]
    assert main(["train", *given, f"--output={tmp_path / 'run'}"]) == 2
    assert "name the tasks of the trajectories with --tasks" in capsys.readouterr().err
    assert main(["train", *given, "--tasks=quickstart-train", f"--output={tmp_path / 'run'}"]) == 2
    said = capsys.readouterr().err
    first, *hint = [line for line in said.strip().splitlines() if "killed runs left behind" not in line]
    assert "such as task" in first and first.endswith("or train with shell") and len(hint) == 1
    assert not (tmp_path / "run").exists()


def test_steps_without_trajectories_are_refused(tmp_path: Path) -> None:
    bundled = read_trajectories(quickstart_file("trajectories-train.jsonl"))
    write_steps(tmp_path / "steps.jsonl", list(make_steps([next(bundled)], PROMPTING)))
    settings = TrainSettings(
        trajectories=str(tmp_path / "steps.jsonl"), tasks="quickstart-train", similarity="effect", eval_every=0
    )
    with pytest.raises(ConfigError, match=r"steps.jsonl holds steps: give their trajectories"):
        load_states(settings)


def test_a_task_without_a_place_is_refused() -> None:
    states = ExpertStates({"t": Task("t", "me/t", "0" * 40, "Fix.")}, {}, "mine")
    with pytest.raises(
        ConfigError, match="1 tasks of the training steps have neither an image nor a source, such as t"
    ):
        states.require([Step("a:0", "a", "t", 0, (), "ls")], "training")


def test_a_sampler_does_not_fall_back_in_silence() -> None:
    with pytest.raises(ConfigError, match="effect needs the states"):
        Sampler(Scripted("ls"), [], StageSettings(similarity="effect"), 0)


def rows(run: Path) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in row.items() if name not in ("seconds", "memory_mb")}
        for row in read_jsonl(run / "metrics.jsonl")
    ]


@pytest.mark.sandbox
@pytest.mark.slow
def test_the_bundled_model_is_trained_by_effects_and_goes_on_after_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = read_trajectories(quickstart_file("trajectories-train.jsonl"))
    write_trajectories(tmp_path / "trajectories.jsonl", [next(bundled) for _ in range(2)])
    stage = {**EFFECT, "updates": 2, "batch_steps": 2, "max_new_tokens": 64, "eval_every": 2, "save_every": 1}
    stage |= {"dynamic_sampling": False, "validation_steps": 1}
    given = {"model": "quickstart", "tasks": "quickstart-train", "sandbox": "local", "environment": "quickstart"}
    before = left_over()
    whole = train(train_settings(tmp_path, stage, **given))
    update = StageTrainer._one_update

    def interrupted(self: StageTrainer) -> None:
        if self.update == 1:
            raise SandboxError("gone")
        update(self)

    with monkeypatch.context() as patch, pytest.raises(SandboxError):
        patch.setattr(StageTrainer, "_one_update", interrupted)
        train(train_settings(tmp_path, stage, **given, output=str(tmp_path / "again")))
    assert rows(train(train_settings(tmp_path, stage, **given, output=str(tmp_path / "again")))) == rows(whole)
    assert left_over() == before
    seconds = [row["seconds"] for row in read_jsonl(whole / "metrics.jsonl")]
    assert seconds[1]["reward"] > 0
    assert all(0 <= row["reward_part/by_effect"] <= 1 for row in rows(whole)[1:])
    (sample,) = read_jsonl(whole / "samples.jsonl")
    assert {"by_effect", "by_shell", "similarity"} <= sample["completions"][0]["parts"].keys()
    again = explain(ExplainSettings(run=str(whole), step=sample["step_id"], resample=True))
    assert again.sampled == "again" and "by_effect" in again.completions[0].parts
