"""The rollout loop: many episodes side by side, one batch of model requests a round.

Every round, the policy is asked once for all living episodes; then their environments step in threads. A finished episode
makes room for the next job. Seeds come from (seed, task, sample, turn), so neither the number of workers nor the order of
finishing changes what is sampled.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from swe_srl.agents.definition import AgentDefinition
from swe_srl.errors import ConfigError, SandboxError, TaskError
from swe_srl.protocols import Policy, PolicyOutput
from swe_srl.seeds import derive_seed
from swe_srl.trajectories.prompting import render_messages
from swe_srl.types import Context, FormatError, Refusal, StopReason, Task, Trajectory, Turn

logger = logging.getLogger(__name__)


class EpisodeEnv(Protocol):
    """What the loop needs of an environment; `swe_srl.envs.SweEnv` is one."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]: ...

    def step(self, action: str) -> tuple[str, Any, bool, bool, dict[str, Any]]: ...

    def patch(self) -> str: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class EpisodeJob:
    """One episode to run: a task and the number of the sample."""

    task: Task
    sample: int = 0


@dataclass(frozen=True, slots=True)
class Episode:
    """One finished episode. `error` is not empty when the infrastructure failed: then the episode counts for nothing."""

    task_id: str
    sample: int
    trajectory: Trajectory
    patch: str
    error: str = ""
    seconds: float = 0.0


@dataclass(slots=True)
class _Live:
    job: EpisodeJob
    env: EpisodeEnv | None = None
    problem: str = ""
    turns: list[Turn] = field(default_factory=list)
    stop: StopReason | None = None
    patch: str = ""
    error: str = ""
    attempts: int = 1
    started: float = field(default_factory=time.monotonic)


def run_episodes(
    jobs: Sequence[EpisodeJob],
    policy: Policy,
    make_env: Callable[[Task], EpisodeEnv],
    agent: AgentDefinition,
    seed: int = 0,
    workers: int = 8,
    retries: int = 1,
) -> Iterator[Episode]:
    """Run every job and yield each episode as it ends (not in the order of the jobs).

    Args:
        jobs: what to run.
        policy: asked once a round for all living episodes.
        make_env: a fresh environment for a task; closed by this loop.
        agent: prompts and limits.
        seed: of the run.
        workers: living episodes at a time, at least 1.
        retries: fresh starts of an episode whose sandbox failed, before it is given up with its `error`.

    Raises:
        ConfigError: `workers` is below 1.
        GenerationError: the policy's model or endpoint failed; finished episodes have been yielded, nothing is left running.
            A context that it refuses only ends its own episode: as `token_limit` when it is too long.
    """
    if workers < 1:
        raise ConfigError(f"workers must be at least 1, not {workers}")
    return _episodes(jobs, policy, make_env, agent, seed, workers, retries)


def _episodes(
    jobs: Sequence[EpisodeJob],
    policy: Policy,
    make_env: Callable[[Task], EpisodeEnv],
    agent: AgentDefinition,
    seed: int,
    workers: int,
    retries: int,
) -> Iterator[Episode]:
    waiting = deque(_Live(job) for job in jobs)
    living: list[_Live] = []
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="episode")
    try:
        while waiting or living:
            fresh = [waiting.popleft() for _ in range(min(workers - len(living), len(waiting)))]
            living += fresh
            list(pool.map(lambda live: _guarded(live, lambda: _start(live, make_env, agent, seed)), fresh))
            _play_round([live for live in living if live.stop is None], policy, agent, seed, pool)
            ended = [live for live in living if live.stop is not None]
            list(pool.map(_finish, ended))
            living = [live for live in living if live.stop is None]
            for live in ended:
                if live.error and live.attempts <= retries:
                    waiting.append(_Live(live.job, attempts=live.attempts + 1))
                else:
                    yield _episode(live, agent)
    finally:
        _abandon(living, pool)


def _abandon(living: Sequence[_Live], pool: ThreadPoolExecutor) -> None:
    """Close what lives, so that running commands end at once; then what was still starting. Raises nothing of its own."""
    pool.shutdown(wait=False, cancel_futures=True)
    if living:
        with ThreadPoolExecutor(len(living), thread_name_prefix="closing") as closing:
            list(closing.map(_close_quietly, living))
    pool.shutdown(wait=True)
    for live in living:
        _close_quietly(live)


def _play_round(
    living: list[_Live], policy: Policy, agent: AgentDefinition, seed: int, pool: ThreadPoolExecutor
) -> None:
    """One action of every living episode."""
    outputs = policy.act([_context(live, agent, seed) for live in living]) if living else []
    pairs = list(zip(living, outputs, strict=True))
    list(pool.map(lambda pair: _guarded(pair[0], lambda: _turn(pair[0], pair[1], agent)), pairs))


def _context(live: _Live, agent: AgentDefinition, seed: int) -> Context:
    job, turn = live.job, len(live.turns)
    messages = render_messages(agent.prompting, live.problem, live.turns)
    return Context(job.task.instance_id, turn, messages, derive_seed(seed, job.task.instance_id, job.sample, turn))


def _start(live: _Live, make_env: Callable[[Task], EpisodeEnv], agent: AgentDefinition, seed: int) -> None:
    live.started = time.monotonic()
    env = live.env = make_env(live.job.task)
    number = derive_seed(seed, live.job.task.instance_id, live.job.sample) % 2**31
    live.problem, _ = env.reset(seed=number, options={"task": live.job.task.instance_id})
    if live.env is None:  # abandoned while it started
        env.close()


def _turn(live: _Live, output: PolicyOutput, agent: AgentDefinition) -> None:
    """Run one action and decide whether the episode goes on."""
    if live.env is None:
        raise SandboxError("the episode has no environment")
    action, begun = output.action, time.monotonic()
    if action is None:
        live.stop = StopReason.POLICY_DONE
        return
    if isinstance(action, Refusal):
        logger.warning("%s: the context of turn %d was refused: %s", _name(live), len(live.turns), action.reason)
        live.stop = action.stop
        live.error = action.reason if action.stop is StopReason.INFRASTRUCTURE else ""
        return
    if isinstance(action, FormatError):
        observation = f"Not run: {action.reason}. Give exactly one command in a ```bash block."
        exit_code: int | None = 0
        killed = False
    else:
        submitted = action.command.strip() == agent.submit
        observation, _, terminated, truncated, info = live.env.step(action.command)
        exit_code = info.get("exit_code")
        killed = exit_code is None
        if submitted or terminated:
            live.stop = StopReason.SUBMITTED
        elif truncated:
            live.stop = StopReason(info.get("stop_reason", StopReason.TURN_LIMIT))
    live.turns.append(
        Turn(
            action=action,
            observation=observation,
            exit_code=exit_code,
            raw=output.raw,
            prompt_tokens=output.prompt_tokens,
            completion_tokens=output.completion_tokens,
            thought_tokens=output.thought_tokens,
            seconds=time.monotonic() - begun,
            killed=killed,
        )
    )
    live.stop = live.stop or _limit_reached(live, agent)


def _limit_reached(live: _Live, agent: AgentDefinition) -> StopReason | None:
    tail = live.turns[-agent.max_format_errors :]
    if len(tail) == agent.max_format_errors and all(isinstance(turn.action, FormatError) for turn in tail):
        return StopReason.FORMAT_ERRORS
    if len(live.turns) >= agent.max_turns:
        return StopReason.TURN_LIMIT
    if agent.max_tokens and sum(turn.completion_tokens for turn in live.turns) >= agent.max_tokens:
        return StopReason.TOKEN_LIMIT
    if agent.max_seconds and time.monotonic() - live.started >= agent.max_seconds:
        return StopReason.TIME_LIMIT
    return None


def _guarded(live: _Live, do: Callable[[], None]) -> None:
    """A failed sandbox, or a source that cannot be prepared, ends its episode as data; everything else is raised."""
    try:
        do()
    except (SandboxError, TaskError) as error:
        live.stop, live.error = StopReason.INFRASTRUCTURE, str(error)


def _finish(live: _Live) -> None:
    def take_patch() -> None:
        if live.env is not None and not live.error:
            live.patch = live.env.patch()

    _guarded(live, take_patch)
    _close(live)


def _close(live: _Live) -> None:
    """Close the environment. A sandbox that cannot be closed is left to the sweeper: its episode is whole."""
    env, live.env = live.env, None
    if env is None:
        return
    try:
        env.close()
    except SandboxError as error:
        logger.warning("%s: the sandbox could not be closed and is left to be swept: %s", _name(live), error)


def _close_quietly(live: _Live) -> None:
    """Close the environment while another error is on its way, which must be the one that is seen."""
    try:
        _close(live)
    except Exception:
        logger.exception("%s: the environment could not be closed", _name(live))


def _name(live: _Live) -> str:
    return f"{live.job.task.instance_id}#{live.job.sample}"


def _episode(live: _Live, agent: AgentDefinition) -> Episode:
    task = live.job.task
    trajectory = Trajectory(
        trajectory_id=_name(live),
        task_id=task.instance_id,
        turns=tuple(live.turns),
        problem_statement=live.problem or task.problem_statement,
        system_prompt=agent.prompting.system,
        repo=task.repo,
        base_commit=task.base_commit,
        patch=live.patch,
        stop_reason=live.stop,
        source_format="swe-srl",
    )
    seconds = time.monotonic() - live.started
    return Episode(task.instance_id, live.job.sample, trajectory, live.patch, live.error, seconds)
