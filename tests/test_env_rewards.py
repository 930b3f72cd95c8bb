"""Reward wrappers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, SupportsFloat

import gymnasium
import pytest

from swe_srl.envs import ExpertSimilarity, Resolved, SweEnv, make_vec
from swe_srl.envs import places as places_module
from swe_srl.envs.probe import SandboxProbe
from swe_srl.envs.rewards import MODES
from swe_srl.errors import ConfigError, GradingError, SandboxError, TrajectoryError
from swe_srl.grading import GradingSettings
from swe_srl.rewards import get_similarity, similarity_names, step_reward
from swe_srl.rewards.effect import Effect
from swe_srl.sandboxes import LocalSandbox
from swe_srl.testing import FakeSandbox
from swe_srl.trajectories import make_steps, write_trajectories
from swe_srl.trajectories.action_format import format_action, parse_action
from swe_srl.trajectories.prompting import Prompting
from swe_srl.types import Action, FormatError, Score, Task, Trajectory, Turn, Verdict, VerdictStatus
from tests.sandbox_support import write_tree


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = f"dir:{write_tree(tmp_path / 'tree')}"
    return [Task(f"tiny-{number}", "me/tiny", "0" * 40, f"Fix {number}", source=source) for number in range(3)]


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> list[FakeSandbox]:
    made: list[FakeSandbox] = []

    def make(kind: str, spec: object) -> FakeSandbox:
        made.append(FakeSandbox({"ls": "README.md\n", "cat README.md": "hello\n"}))
        return made[-1]

    monkeypatch.setattr(places_module, "make_sandbox", make)
    return made


def expert(task_id: str, *commands: str) -> Trajectory:
    turns = [Turn(Action(command)) for command in commands]
    return Trajectory(f"t-{task_id}", task_id, (*turns[:1], Turn(FormatError("no command")), *turns[1:]))


def test_teacher_forced(tasks: list[Task], faked: list[FakeSandbox]) -> None:
    env = ExpertSimilarity(SweEnv(tasks), expert("tiny-1", "ls", "cat README.md", "submit"))
    assert env.reset(seed=0)[1]["task_id"] == "tiny-1"
    observation, reward, terminated, truncated, info = env.step("ls -la")
    assert observation == "README.md\n" and faked[-1].commands == ["ls"]
    assert reward == info["similarity"] == get_similarity("sequence")("ls -la", "ls").value
    assert (info["target"], info["command"], terminated, truncated) == ("ls", "ls -la", False, False)
    assert env.step("submit")[0] == "hello\n"  # the student's submit does not end it: the expert goes on
    observation, reward, terminated, truncated, info = env.step("submit")
    assert (reward, terminated, info["stop_reason"]) == (1.0, True, "submitted")
    turns = env.unwrapped.turns  # type: ignore[attr-defined]
    assert [turn.target for turn in turns] == ["ls", "cat README.md", "submit"] and turns[2].similarity == 1.0


def test_teacher_forced_never_runs_the_students_command(tasks: list[Task], faked: list[FakeSandbox]) -> None:
    """Not where the expert's is empty either; an expert without any command is none."""
    env = ExpertSimilarity(SweEnv(tasks), expert("tiny-1", "", "ls"))
    env.reset()
    env.step("rm -r src")
    assert faked[-1].commands == [""]
    with pytest.raises(TrajectoryError, match="none of the 1 trajectories has a command"):
        ExpertSimilarity(SweEnv(tasks), expert("tiny-1"))


def test_teacher_forced_ends_with_the_expert(tasks: list[Task], faked: list[FakeSandbox]) -> None:
    env = ExpertSimilarity(SweEnv(tasks), [expert("tiny-0", "ls")])
    env.reset()
    *_, terminated, truncated, info = env.step("ls")
    assert (terminated, truncated, info["stop_reason"]) == (False, True, "policy_done")
    with pytest.raises(gymnasium.error.ResetNeeded, match="the expert's last command has run"):
        env.step("ls")
    env.reset()
    with pytest.raises(ConfigError, match="an action is a shell command"):
        env.step(None)  # type: ignore[arg-type]


class Interrupted(gymnasium.Wrapper[str, str, str, str]):
    """Is interrupted after every step."""

    def step(self, action: str) -> tuple[str, SupportsFloat, bool, bool, dict[str, Any]]:
        self.env.step(action)
        raise KeyboardInterrupt


def test_teacher_forced_ends_with_the_expert_also_after_an_interrupt(
    tasks: list[Task], faked: list[FakeSandbox]
) -> None:
    """The student's command does not run in the expert's stead."""
    env = ExpertSimilarity(Interrupted(SweEnv(tasks)), [expert("tiny-0", "ls")])
    env.reset()
    with pytest.raises(KeyboardInterrupt):
        env.step("ls")
    with pytest.raises(gymnasium.error.ResetNeeded, match="the expert's last command has run"):
        env.step("rm -r src")
    assert faked[-1].commands == ["ls"]


def test_trajectories_by_name_file_or_stream(tasks: list[Task], tmp_path: Path) -> None:
    write_trajectories(tmp_path / "mine.jsonl", [expert("tiny-0", "ls")])
    for given in (tmp_path / "mine.jsonl", str(tmp_path / "mine.jsonl"), iter([expert("tiny-0", "ls")])):
        assert ExpertSimilarity(SweEnv(tasks), given).env.unwrapped.tasks  # type: ignore[attr-defined]
    bundled = ExpertSimilarity(SweEnv("quickstart-train"), "quickstart")
    assert len(bundled._targets) > 200
    with pytest.raises(TrajectoryError, match="did you mean 'quickstart'"):
        ExpertSimilarity(SweEnv(tasks), "quickstrat")
    with pytest.raises(TrajectoryError, match="none of the 1 trajectories"):
        ExpertSimilarity(SweEnv(tasks), iter([expert("other", "ls")]))
    with pytest.raises(ConfigError, match="expected trajectories"):
        ExpertSimilarity(SweEnv(tasks), ["quickstart"])  # type: ignore[list-item]


def test_on_policy(tasks: list[Task], faked: list[FakeSandbox]) -> None:
    env = ExpertSimilarity(SweEnv(tasks), [expert("tiny-2", "ls", "cat README.md")], mode="on_policy")
    env.reset()
    observation, reward, *_ = env.step("cat README.md")
    assert observation == "hello\n" and reward == get_similarity("sequence")("cat README.md", "ls").value
    assert env.step("cat README.md")[1] == 1.0
    _, reward, _, truncated, info = env.step("ls")
    assert (reward, truncated) == (0.0, False) and "target" not in info and info["similarity"] == 0.0
    assert faked[-1].commands == ["cat README.md", "cat README.md", "ls"]


def test_own_similarity_and_choice(tasks: list[Task], faked: list[FakeSandbox]) -> None:
    trajectories = [expert(task.instance_id, "ls", "ls") for task in tasks[:2]]
    env = ExpertSimilarity(SweEnv(tasks), trajectories, similarity=lambda predicted, target: Score(0.25))
    assert {env.reset(seed=seed)[1]["task_id"] for seed in range(8)} == {"tiny-0", "tiny-1"}
    assert env.reset(seed=5)[1]["task_id"] == env.reset(seed=5)[1]["task_id"]
    assert env.reset(options={"task": "tiny-1"})[0] == "Fix 1"
    assert env.step("x")[1] == 0.25
    with pytest.raises(TrajectoryError, match="task with a trajectory"):
        env.reset(options={"task": "tiny-2"})
    with pytest.raises(TrajectoryError, match="none of the 1 trajectories"):
        ExpertSimilarity(SweEnv(tasks), expert("elsewhere", "ls"))
    with pytest.raises(ConfigError, match="did you mean 'on_policy'"):
        ExpertSimilarity(SweEnv(tasks), trajectories, mode="onpolicy")
    with pytest.raises(ConfigError, match="unknown"):
        ExpertSimilarity(SweEnv(tasks), trajectories, similarity="nosuch")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("similarity", [name for name in similarity_names() if name != "effect"])
def test_the_rewards_are_the_trainers(
    mode: str, similarity: str, tasks: list[Task], faked: list[FakeSandbox], tmp_path: Path
) -> None:
    """The same numbers as of the same commands at the same steps; sharpness and the format penalty are the trainer's own."""
    (tmp_path / "env.yaml").write_text("submit: finish now\n")
    trajectory = replace(expert("tiny-1", "ls src", "sed -i s/a/b/ src/a.py", "submit"), problem_statement="Fix 1")
    steps = list(make_steps([trajectory], Prompting(), submit="finish now"))
    env = ExpertSimilarity(
        SweEnv(tasks, definition=str(tmp_path / "env.yaml")), trajectory, similarity=similarity, mode=mode
    )
    env.reset()
    ended = False
    for step, command in zip(steps, ["ls src/a.py", "sed -i s/a/c/ src/a.py", "finish now"], strict=True):
        action = parse_action(format_action(Action(command, "A thought.")))
        _, reward, ended, _, info = env.step(command)
        assert reward == step_reward(action, step.target, get_similarity(similarity)).value
        assert info["target"] == step.target
    assert ended and reward == 1.0 and info["stop_reason"] == "submitted"


@pytest.fixture
def graded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """Grading that resolves what it is told, and remembers what it was asked."""
    asked: list[tuple[str, str]] = []

    def grade(task: Task, patch: str, settings: object = None) -> Verdict:
        asked.append((task.instance_id, patch))
        status = {
            "good": VerdictStatus.RESOLVED,
            "forged": VerdictStatus.RESOLVED,
            "broken": VerdictStatus.INFRASTRUCTURE,
        }
        found = status.get(patch, VerdictStatus.UNRESOLVED)
        return Verdict(task.instance_id, found, found is VerdictStatus.RESOLVED, patch == "good", "no daemon")

    monkeypatch.setattr("swe_srl.grading.grade", grade)
    yield asked


def test_resolved(
    tasks: list[Task], faked: list[FakeSandbox], graded: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    env = Resolved(SweEnv(tasks, max_turns=2))
    for patch, reward, official in (("good", 1.0, True), ("bad", 0.0, False), ("forged", 0.0, True)):
        monkeypatch.setattr(SweEnv, "patch", lambda self, patch=patch: patch)
        env.reset(options={"task": "tiny-1"})
        _, got, *_, info = env.step("ls")
        assert got == 0.0 and "resolved" not in info
        _, got, terminated, _, info = env.step("submit")
        assert (got, terminated, info["resolved"], info["official"], info["patch"]) == (
            reward,
            True,
            bool(reward),
            official,
            patch,
        )
    env.reset(options={"task": "tiny-1"})
    env.step("ls")
    _, got, _, truncated, info = env.step("ls")
    assert truncated and info["verdict"] == "resolved" and graded[-1] == ("tiny-1", "forged")
    monkeypatch.setattr(SweEnv, "patch", lambda self: "broken")
    env.reset()
    with pytest.raises(GradingError, match="no daemon"):
        env.step("submit")


def test_closing_ends_a_grading_in_another_thread(
    tasks: list[Task], faked: list[FakeSandbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tests may have half an hour. What is graded after a later reset is graded."""
    begun, ended = threading.Event(), threading.Event()

    class Grading(FakeSandbox):
        def close(self) -> None:
            ended.set()

    def grade(task: Task, patch: str, settings: GradingSettings) -> Verdict:
        assert settings.open is not None
        with settings.open.holding(Grading({})):
            begun.set()
            if len(faked) == 1:
                ended.wait(60)
        broken = settings.open.ended
        status = VerdictStatus.INFRASTRUCTURE if broken else VerdictStatus.RESOLVED
        return Verdict(task.instance_id, status, not broken, not broken, "it was interrupted" if broken else "")

    monkeypatch.setattr("swe_srl.grading.grade", grade)
    monkeypatch.setattr(SweEnv, "patch", lambda self: "good")
    env = Resolved(SweEnv(tasks))
    env.reset()
    with ThreadPoolExecutor(1) as pool:
        step = pool.submit(env.step, "submit")
        assert begun.wait(60)
        env.close()
        assert isinstance(step.exception(), GradingError)
    env.reset()
    assert env.step("submit")[1] == 1.0
    env.close()


@pytest.mark.sandbox
def test_closing_ends_forks_in_which_another_thread_tries_commands(
    tasks: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    env = ExpertSimilarity(SweEnv(tasks, sandbox="local"), expert("tiny-1", "ls"), "effect")
    env.reset()
    tried = threading.Event()

    def trying(self: SandboxProbe, fork: LocalSandbox, command: str) -> Effect:
        if "sleep" in command:
            tried.set()
        return tries(self, fork, command)

    tries = SandboxProbe._try
    monkeypatch.setattr(SandboxProbe, "_try", trying)
    with ThreadPoolExecutor(1) as pool:
        step = pool.submit(env.step, "ls -a; sleep 100000")
        assert tried.wait(60)
        env.close()
        assert isinstance(step.exception(), SandboxError)
    env.reset()
    assert env.step("ls")[1] == 1.0
    env.close()


def test_rewards_compose(
    tasks: list[Task], faked: list[FakeSandbox], graded: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SweEnv, "patch", lambda self: "good")
    trajectory = expert("tiny-1", "ls", "submit")
    for wrap in (
        lambda env: Resolved(ExpertSimilarity(env, trajectory)),
        lambda env: ExpertSimilarity(Resolved(env), trajectory),
    ):
        env = wrap(SweEnv(tasks))
        env.reset()
        assert env.step("ls")[1] == 1.0
        _, reward, terminated, _, info = env.step("submit")
        assert (reward, terminated, info["similarity"], info["resolved"]) == (2.0, True, 1.0, True)
    envs = make_vec(2, tasks=tasks, wrap=lambda env: Resolved(ExpertSimilarity(env, trajectory)))
    envs.reset(seed=0)
    assert list(envs.step(["ls", "pwd"])[1]) == [1.0, get_similarity("sequence")("pwd", "ls").value]
    assert list(envs.step(["submit", "submit"])[1]) == [2.0, 2.0]
    envs.close()


def test_resolved_grades_what_a_wrapper_inside_of_it_ends(
    tasks: list[Task], faked: list[FakeSandbox], graded: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SweEnv, "patch", lambda self: "good")
    for wrap in (
        lambda env: gymnasium.wrappers.TimeLimit(env, max_episode_steps=1),
        lambda env: ExpertSimilarity(env, [expert(task.instance_id, "nothing alike") for task in tasks]),
    ):
        env = Resolved(wrap(SweEnv(tasks)))
        env.reset()
        _, reward, terminated, truncated, info = env.step("ls")
        assert (terminated, truncated, info["resolved"]) == (False, True, True) and reward >= 1.0


def test_the_task_after_a_seeded_one_is_drawn_anew(tasks: list[Task], faked: list[FakeSandbox]) -> None:
    wrapped = ExpertSimilarity(SweEnv(tasks), [expert(task.instance_id, "ls") for task in tasks])
    for env in (SweEnv(tasks), wrapped):

        def drawn(seed: int, env: gymnasium.Env[str, str] = env) -> list[str]:
            return [env.reset(seed=seed)[1]["task_id"], *(env.reset()[1]["task_id"] for _ in range(3))]

        stories = [drawn(seed) for seed in range(12)]
        assert stories == [drawn(seed) for seed in range(12)]
        assert 0 < sum(first == second for first, second, *_ in stories) < 9  # by chance 4 of 12


def test_none_draws_a_task_in_a_list_of_ids_too(tasks: list[Task], faked: list[FakeSandbox]) -> None:
    envs = make_vec(2, tasks=tasks, wrap=lambda env: ExpertSimilarity(env, expert("tiny-1", "ls")))
    assert list(envs.reset(options={"task": ["tiny-1", None]})[1]["task_id"]) == ["tiny-1", "tiny-1"]
    envs.close()
    for options in (["tiny-1"], {"task": ["tiny-1"]}):
        with pytest.raises(ConfigError, match="options"):
            ExpertSimilarity(SweEnv(tasks), expert("tiny-1", "ls")).reset(options=options)  # type: ignore[arg-type]


def test_a_reset_that_is_refused_opens_no_ended_episode(tasks: list[Task], faked: list[FakeSandbox]) -> None:
    """The student's own command ran then, beyond the expert's last one."""
    env = ExpertSimilarity(SweEnv(tasks), expert("tiny-1", "ls"))
    env.reset()
    env.step("ls")
    with pytest.raises(ConfigError, match="option of reset"):
        env.reset(options={"tasks": "tiny-1"})
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step("rm -r src")
    assert faked[-1].commands == ["ls"]


def test_what_starts_episodes_belongs_around_the_expert(tasks: list[Task], faked: list[FakeSandbox]) -> None:
    """Inside, a command that was not run was rewarded, and a task without an expert drawn."""
    outside = gymnasium.wrappers.Autoreset(ExpertSimilarity(SweEnv(tasks), expert("tiny-1", "ls")))
    outside.reset()
    assert [outside.step("ls")[1] for _ in range(4)] == [1.0, 0.0, 1.0, 0.0]
    inside = ExpertSimilarity(gymnasium.wrappers.Autoreset(SweEnv(tasks)), expert("tiny-1", "submit", "ls"))
    inside.reset()
    inside.step("submit")
    with pytest.raises(ConfigError, match="put it around ExpertSimilarity"):
        inside.step("ls")


def test_wrappers_need_a_swe_env() -> None:
    import gymnasium

    with pytest.raises(ConfigError, match="needs a SweEnv"):
        ExpertSimilarity(gymnasium.make("CartPole-v1"), expert("tiny-1", "ls"))  # type: ignore[arg-type]


@pytest.mark.sandbox
@pytest.mark.slow
def test_resolved_for_real() -> None:
    """The quickstart's own patch resolves its task; an untouched repository does not."""
    from swe_srl.agents.policies import apply_command
    from swe_srl.grading import GradingSettings
    from swe_srl.tasks import load_tasks

    task = load_tasks("quickstart-validation")[0]
    env = Resolved(SweEnv([task], definition="quickstart", sandbox="local"), GradingSettings(sandbox="local"))
    env.reset()
    env.step(apply_command(task.patch))
    _, reward, _, _, info = env.step("submit")
    assert (reward, info["resolved"], info["official"]) == (1.0, True, True)
    env.reset()
    _, reward, _, _, info = env.step("submit")
    assert (reward, info["verdict"]) == (0.0, "empty_patch")
    env.close()
