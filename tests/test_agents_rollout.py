import signal
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from swe_srl.agents import (
    AgentDefinition,
    EmptyPolicy,
    EpisodeJob,
    ExpertPolicy,
    GoldPolicy,
    ModelPolicy,
    PolicyAnswer,
    run_episodes,
)
from swe_srl.agents import rollout as rollout_module
from swe_srl.errors import ConfigError, GenerationError, SandboxError, TaskError
from swe_srl.progress import Doing, NoWatch
from swe_srl.protocols import PolicyOutput
from swe_srl.trajectories.action_format import format_action
from swe_srl.trajectories.prompting import render_messages
from swe_srl.trajectories.rows import trajectory_from_row, trajectory_to_row
from swe_srl.types import (
    Action,
    Completion,
    Context,
    FormatError,
    Message,
    Refusal,
    Sampling,
    StopReason,
    Task,
    Trajectory,
    Turn,
)

AGENT = AgentDefinition(max_turns=6)
MAIN = threading.main_thread().ident or 0


class EchoEnv:
    """Answers every command with its own text; counts how many are alive."""

    alive = 0
    peak = 0
    lock = threading.Lock()

    def __init__(self, task: Task, fail_at: int | None = None) -> None:
        self.task, self.fail_at, self.commands = task, fail_at, list[str]()
        with EchoEnv.lock:
            EchoEnv.alive += 1
            EchoEnv.peak = max(EchoEnv.peak, EchoEnv.alive)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        return self.task.problem_statement, {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        self.commands.append(action)
        if self.fail_at is not None and len(self.commands) > self.fail_at:
            raise SandboxError("the container is gone")
        return f"ran {action}", 0.0, False, False, {"exit_code": 0}

    def patch(self) -> str:
        return "\n".join(self.commands)

    def close(self) -> None:
        with EchoEnv.lock:
            EchoEnv.alive -= 1


@pytest.fixture(autouse=True)
def _count() -> Any:
    EchoEnv.alive = EchoEnv.peak = 0
    yield
    assert EchoEnv.alive == 0, "an environment was left open"


def task(name: str) -> Task:
    return Task(instance_id=name, repo="a/b", base_commit="c", problem_statement=f"Fix {name}.", patch="--- a\n+++ b\n")


def expert(name: str, *commands: str) -> Trajectory:
    return Trajectory(f"{name}#0", name, tuple(Turn(Action(command)) for command in commands))


class Recording:
    """A policy that records the batches it is asked for and answers from a function."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.batches = answer, list[list[Context]]()

    def act(self, contexts: Sequence[Context]) -> list[PolicyOutput]:
        self.batches.append(list(contexts))
        return [self.answer(context) for context in contexts]


def test_the_expert_is_replayed_to_the_end() -> None:
    [episode] = run_episodes([EpisodeJob(task("t"))], ExpertPolicy([expert("t", "ls", "submit")]), EchoEnv, AGENT)
    assert episode.patch == "ls\nsubmit"
    assert episode.trajectory.stop_reason is StopReason.SUBMITTED
    assert [turn.observation for turn in episode.trajectory.turns] == ["ran ls", "ran submit"]


def test_a_policy_with_nothing_more_to_do_ends_its_episode() -> None:
    [episode] = run_episodes([EpisodeJob(task("t"))], ExpertPolicy([expert("t", "ls")]), EchoEnv, AGENT)
    assert episode.trajectory.stop_reason is StopReason.POLICY_DONE
    assert len(episode.trajectory.turns) == 1


@pytest.mark.parametrize(
    "name", ["shell", "shell-last-two", "shell-tools", "smoke", "quickstart", "quickstart-last-two"]
)
@pytest.mark.parametrize(("info", "shown"), [({}, "[killed]\nran ls"), ({"exit_code": 0}, "ran ls")])
def test_what_an_acting_agent_sees_is_what_is_rendered_of_its_recorded_turn(
    name: str, info: dict[str, Any], shown: str
) -> None:
    class Env(EchoEnv):
        def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
            return f"ran {action}", 0.0, False, action == "submit", info

    agent = AgentDefinition.load(name)
    policy = Recording(lambda context: PolicyAnswer(Action("ls" if context.turn == 0 else "submit")))
    [episode] = run_episodes([EpisodeJob(task("t"))], policy, Env, agent)
    [seen] = policy.batches[1]
    assert seen.messages[-1] == Message("user", shown)
    read = trajectory_from_row(trajectory_to_row(episode.trajectory))
    assert render_messages(agent.prompting, "Fix t.", read.turns[:1]) == seen.messages


def test_a_task_without_expert_is_a_clear_error() -> None:
    with pytest.raises(TaskError, match="t: no expert trajectory"):
        list(run_episodes([EpisodeJob(task("t"))], ExpertPolicy([]), EchoEnv, AGENT))


class Seen(NoWatch):
    """A watch that remembers."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def doing(self, episode: str, what: Doing, turn: int = 0, command: str = "") -> None:
        self.told.append((episode, what.value, turn, command))

    def ended(self, episode: str) -> None:
        self.told.append((episode, "ended"))


def test_a_watch_sees_what_an_episode_is_at() -> None:
    def answer(context: Context) -> PolicyOutput:
        actions = (Action("ls"), FormatError("no command"), Action("submit"))
        return PolicyAnswer(actions[context.turn])

    seen = Seen()
    list(run_episodes([EpisodeJob(task("t"), 2)], Recording(answer), EchoEnv, AGENT, watch=seen))
    turns = [(1, "ls"), (2, "(no command)"), (3, "submit")]
    ran = [("t#2", what, turn, said) for turn, text in turns for what, said in (("thinking", ""), ("running", text))]
    assert seen.told == [("t#2", "starting", 0, ""), *ran, ("t#2", "ended")]


def test_requests_are_batched_over_living_episodes_and_workers_bound_them() -> None:
    policy = Recording(lambda context: PolicyAnswer(Action("submit" if context.turn == 2 else "ls")))
    jobs = [EpisodeJob(task(f"t{i}"), sample) for i in range(3) for sample in range(2)]
    episodes = list(run_episodes(jobs, policy, EchoEnv, AGENT, workers=4))
    assert sorted((e.task_id, e.sample) for e in episodes) == sorted((j.task.instance_id, j.sample) for j in jobs)
    assert max(len(batch) for batch in policy.batches) == 4
    assert EchoEnv.peak == 4


def test_a_hanging_command_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others play on to their ends while one command hangs; it joins in again when it is ready."""
    monkeypatch.setattr(rollout_module, "PATIENCE", 0.05)
    released = threading.Event()

    class SlowEnv(EchoEnv):
        def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
            if self.task.instance_id == "slow" and len(self.commands) == 1:
                assert released.wait(120), "the others waited for the hanging command"
            return super().step(action)

    asked: list[list[str]] = []

    class Scripted:
        def act(self, contexts: Sequence[Context]) -> list[PolicyOutput]:
            asked.append([context.task_id for context in contexts])
            return [PolicyAnswer(Action("submit" if context.turn == 3 else "ls")) for context in contexts]

    ended = []
    jobs = [EpisodeJob(task(name)) for name in ("slow", "a", "b", "c", "d")]
    for episode in run_episodes(jobs, Scripted(), SlowEnv, AGENT, workers=3):
        ended.append(episode.task_id)
        if len(ended) == 4:
            released.set()
    assert ended[-1] == "slow" and set(ended) == {"slow", "a", "b", "c", "d"}
    assert asked[0] == ["slow", "a", "b"] and ["c", "d"] in asked  # as many at once as do not hang
    assert sum("slow" in names for names in asked) == 4 and EchoEnv.peak == 3


def test_seeds_do_not_depend_on_workers() -> None:
    def seeds(workers: int) -> dict[tuple[str, int], int]:
        policy = Recording(lambda context: PolicyAnswer(Action("submit" if context.turn == 1 else "ls")))
        list(
            run_episodes([EpisodeJob(task(f"t{i}")) for i in range(5)], policy, EchoEnv, AGENT, seed=7, workers=workers)
        )
        return {(context.task_id, context.turn): context.seed for batch in policy.batches for context in batch}

    assert seeds(1) == seeds(5)
    assert len(set(seeds(2).values())) == 10


def test_turn_limit_and_format_errors() -> None:
    endless = Recording(lambda context: PolicyAnswer(Action("ls")))
    [episode] = run_episodes([EpisodeJob(task("t"))], endless, EchoEnv, AGENT)
    assert (episode.trajectory.stop_reason, len(episode.trajectory.turns)) == (StopReason.TURN_LIMIT, 6)
    mumbling = Recording(lambda context: PolicyAnswer(FormatError("no fenced bash command", "hm")))
    [episode] = run_episodes([EpisodeJob(task("t"))], mumbling, EchoEnv, AGENT)
    assert (episode.trajectory.stop_reason, len(episode.trajectory.turns)) == (StopReason.FORMAT_ERRORS, 3)
    said = mumbling.batches[1][0].messages
    assert said[-2] == Message("assistant", "hm")
    assert "no fenced bash command" in said[-1].content


def test_token_limit() -> None:
    policy = Recording(lambda context: PolicyAnswer(Action("ls"), completion_tokens=10))
    [episode] = run_episodes([EpisodeJob(task("t"))], policy, EchoEnv, AgentDefinition(max_tokens=25))
    assert (episode.trajectory.stop_reason, len(episode.trajectory.turns)) == (StopReason.TOKEN_LIMIT, 3)


def test_a_failed_sandbox_is_retried_and_then_reported_apart() -> None:
    tries: list[str] = []

    def flaky(t: Task) -> EchoEnv:
        tries.append(t.instance_id)
        return EchoEnv(t, fail_at=1 if len(tries) == 1 else None)

    policy = ExpertPolicy([expert("t", "ls", "submit")])
    [episode] = run_episodes([EpisodeJob(task("t"))], policy, flaky, AGENT)
    assert (len(tries), episode.error, episode.patch) == (2, "", "ls\nsubmit")
    [episode] = run_episodes([EpisodeJob(task("t"))], policy, lambda t: EchoEnv(t, fail_at=1), AGENT)
    assert episode.error == "the container is gone"
    assert episode.trajectory.stop_reason is StopReason.INFRASTRUCTURE


def test_a_dead_endpoint_leaves_nothing_running() -> None:
    def dead(context: Context) -> PolicyAnswer:
        raise GenerationError("connection refused")

    with pytest.raises(GenerationError):
        list(run_episodes([EpisodeJob(task("t"))], Recording(dead), EchoEnv, AGENT))


def test_a_refused_context_ends_its_own_episode() -> None:
    refused = {
        "long": Refusal("the context is too long", StopReason.TOKEN_LIMIT),
        "odd": Refusal("the content was filtered", StopReason.INFRASTRUCTURE),
    }

    def some(context: Context) -> PolicyAnswer:
        if context.turn == 1:
            return PolicyAnswer(refused.get(context.task_id, Action("submit")))
        return PolicyAnswer(Action("ls"))

    policy = Recording(some)
    jobs = [EpisodeJob(task(name)) for name in ("long", "fine", "odd")]
    episodes = {e.task_id: e for e in run_episodes(jobs, policy, EchoEnv, AGENT)}
    stops = {name: episode.trajectory.stop_reason for name, episode in episodes.items()}
    assert stops == {
        "long": StopReason.TOKEN_LIMIT,
        "fine": StopReason.SUBMITTED,
        "odd": StopReason.INFRASTRUCTURE,
    }
    assert (episodes["long"].patch, episodes["long"].error, len(episodes["long"].trajectory.turns)) == ("ls", "", 1)
    assert episodes["odd"].error == "the content was filtered"


class Clinging(EchoEnv):
    """Cannot be closed."""

    def close(self) -> None:
        super().close()
        raise SandboxError("removing a container: the engine does not answer")


def test_a_sandbox_that_cannot_be_closed_costs_nothing() -> None:
    policy = ExpertPolicy([expert(name, "ls", "submit") for name in "ab"])
    episodes = list(run_episodes([EpisodeJob(task(name)) for name in "ab"], policy, Clinging, AGENT))
    assert [(episode.patch, episode.error) for episode in episodes] == [("ls\nsubmit", "")] * 2


@pytest.mark.parametrize("kind", [SandboxError, RuntimeError])
def test_the_first_error_is_the_one_that_is_raised(kind: type[Exception]) -> None:
    class Worse(EchoEnv):
        def close(self) -> None:
            super().close()
            raise kind("cannot close")

    def dead(context: Context) -> PolicyAnswer:
        raise GenerationError("connection refused")

    with pytest.raises(GenerationError, match="connection refused"):
        list(run_episodes([EpisodeJob(task(name)) for name in "abc"], Recording(dead), Worse, AGENT))


class Endless(EchoEnv):
    """A command ends when the environment is closed, and no sooner."""

    def __init__(self, task: Task, running: threading.Barrier) -> None:
        super().__init__(task)
        self.running, self.closed = running, threading.Event()

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        self.running.wait()
        self.closed.wait()
        raise SandboxError("the sandbox was closed")

    def close(self) -> None:
        if not self.closed.is_set():
            super().close()
        self.closed.set()


def interrupt_when(running: threading.Barrier) -> None:
    """Ctrl-C as soon as everybody is at the barrier, and the main thread has had the time to wait for them."""

    def interrupt() -> None:
        running.wait()
        time.sleep(0.5)  # a signal that comes just before the main thread waits is seen after the wait only
        signal.pthread_kill(MAIN, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()


@pytest.mark.timeout(240)
def test_an_interruption_ends_running_commands() -> None:
    running = threading.Barrier(3)

    interrupt_when(running)
    policy = Recording(lambda context: PolicyAnswer(Action("sleep 1000")))
    jobs = [EpisodeJob(task(name)) for name in "ab"]
    with pytest.raises(KeyboardInterrupt):
        list(run_episodes(jobs, policy, lambda t: Endless(t, running), AGENT, workers=2))


@pytest.mark.timeout(240)
def test_an_interruption_closes_what_was_still_starting() -> None:
    running = threading.Barrier(2)
    started: list[str] = []

    class Starting(Endless):
        def reset(self, **arguments: Any) -> tuple[str, dict[str, Any]]:
            running.wait()
            self.closed.wait()  # closed before there is anything to close
            started.append("sandbox")
            return "", {}

        def close(self) -> None:
            super().close()
            started.clear()

    interrupt_when(running)
    with pytest.raises(KeyboardInterrupt):
        list(run_episodes([EpisodeJob(task("t"))], EmptyPolicy(), lambda t: Starting(t, running), AGENT))
    assert not started


@pytest.mark.timeout(120)
def test_what_starts_is_closed_also_when_a_second_interruption_ends_the_waiting() -> None:
    going_on, closed = threading.Event(), threading.Event()

    class Interrupting(EchoEnv):
        def close(self) -> None:
            super().close()
            signal.pthread_kill(MAIN, signal.SIGINT)

    class Late(EchoEnv):
        def close(self) -> None:
            super().close()
            closed.set()

    def make_env(of: Task) -> EchoEnv:
        if of.instance_id == "a":
            return Interrupting(of)
        assert going_on.wait(60)
        return Late(of)

    def interrupted(context: Context) -> PolicyAnswer:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run_episodes([EpisodeJob(task(name)) for name in "ab"], Recording(interrupted), make_env, AGENT))
    going_on.set()
    assert closed.wait(60)


def test_no_workers_is_an_error() -> None:
    with pytest.raises(ConfigError, match="workers must be at least 1, not 0"):
        run_episodes([EpisodeJob(task("t"))], EmptyPolicy(), EchoEnv, AGENT, workers=0)


def test_gold_applies_its_patch_and_empty_does_nothing() -> None:
    [gold] = run_episodes([EpisodeJob(task("t"))], GoldPolicy([task("t")]), EchoEnv, AGENT)
    assert gold.patch.startswith("git apply") and gold.patch.endswith("submit")
    [empty] = run_episodes([EpisodeJob(task("t"))], EmptyPolicy(), EchoEnv, AGENT)
    assert empty.patch == "submit"


class Parrot:
    """A generator that says the same to everybody."""

    def __init__(self, text: str, finished: bool = True) -> None:
        self.text, self.finished = text, finished

    def generate(
        self, contexts: Sequence[tuple[Message, ...]], n: int, sampling: Sampling, seeds: Sequence[int]
    ) -> list[list[Completion]]:
        return [[Completion(self.text, tuple(range(10)), (0.0,) * 10, self.finished, 5)] * n for _ in contexts]


def test_a_models_completions_become_actions() -> None:
    policy = ModelPolicy(Parrot(format_action(Action("ls", "Look."))), Sampling())
    [output] = policy.act([Context("t", 0, (Message("user", "Fix."),))])
    assert output.action == Action("ls", "Look.")
    assert (output.prompt_tokens, output.completion_tokens) == (5, 10)
    assert 0 < output.thought_tokens < 10
    assert policy.act([]) == []


@pytest.mark.parametrize("form", ["plain", "tool"])
def test_a_models_completions_are_read_in_the_agents_form(form: str) -> None:
    policy = ModelPolicy(Parrot(format_action(Action("ls", "Look."), form=form)), Sampling(), form)
    assert policy.act([Context("t", 0, ())])[0].action == Action("ls", "Look.")


def test_a_completion_cut_by_the_token_limit_says_so() -> None:
    policy = ModelPolicy(Parrot("<think>hm", finished=False), Sampling())
    [output] = policy.act([Context("t", 0, ())])
    assert isinstance(output.action, FormatError)
    assert "token limit" in output.action.reason


def test_a_models_refusal_is_the_policys() -> None:
    class Full(Parrot):
        def generate(self, contexts: Any, n: int, sampling: Sampling, seeds: Any) -> list[list[Completion]]:
            return [[Completion("", (), (), False, 5, refusal=REFUSAL)] for _ in contexts]

    [output] = ModelPolicy(Full(""), Sampling()).act([Context("t", 0, ())])
    assert (output.action, output.raw, output.prompt_tokens) == (REFUSAL, "", 5)


REFUSAL = Refusal("no room", StopReason.TOKEN_LIMIT)
