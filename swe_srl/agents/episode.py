"""One episode: an environment is started, acted in turn by turn, and closed; every way it can end is data."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from swe_srl.agents.definition import AgentDefinition
from swe_srl.errors import SandboxError, TaskError
from swe_srl.protocols import PolicyOutput
from swe_srl.seeds import derive_seed
from swe_srl.trajectories.prompting import render_messages
from swe_srl.types import Context, FormatError, Refusal, StopReason, Task, Trajectory, Turn

ASKED = {
    "bash": "Give exactly one command in a ```bash block.",
    "plain": "Close the thought, then write the answer.",
    "tool": "Call the tool bash exactly once.",
}  # what a policy is told after a malformed completion, by the form it has to keep
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
class LiveEpisode:
    """An episode on its way. It does one thing at a time, in a thread: `doing`.

    Args:
        job: which episode.
        attempts: starts so far, this one included.
        late: what it is doing takes so long that nobody waits for it.
        ended: its environment is closed: there is nothing more to do.
        closed: its environment is to be closed, or is; one that is just starting closes itself.
    """

    job: EpisodeJob
    attempts: int = 1
    doing: Future[None] | None = None
    late: bool = False
    ended: bool = False
    closed: bool = False
    env: EpisodeEnv | None = None
    problem: str = ""
    turns: list[Turn] = field(default_factory=list)
    stop: StopReason | None = None
    patch: str = ""
    error: str = ""
    started: float = field(default_factory=time.monotonic)

    def do(self, pool: Executor, what: Callable[[], None]) -> None:
        """Begin something in a thread. A failed sandbox, or a source that cannot be prepared, ends the episode as data."""
        self.doing = pool.submit(self._guarded, what)

    def settle(self) -> bool:
        """Whether it is idle: nothing was begun, or that has ended.

        Raises:
            BaseException: what it was doing failed in a way that is no episode's end.
        """
        if self.doing is not None and self.doing.done():
            done, self.doing, self.late = self.doing, None, False
            done.result()
        return self.doing is None

    def start(self, make_env: Callable[[Task], EpisodeEnv], seed: int) -> None:
        """Open the environment."""
        self.started = time.monotonic()
        env = self.env = make_env(self.job.task)
        number = derive_seed(seed, self.job.task.instance_id, self.job.sample) % 2**31
        try:
            self.problem, _ = env.reset(seed=number, options={"task": self.job.task.instance_id})
        finally:
            if self.closed:  # while it started
                self.env = env
                self.close_quietly()

    def context(self, agent: AgentDefinition, seed: int) -> Context:
        """What the policy is asked next."""
        job, turn = self.job, len(self.turns)
        messages = render_messages(agent.prompting, self.problem, self.turns)
        return Context(job.task.instance_id, turn, messages, derive_seed(seed, job.task.instance_id, job.sample, turn))

    def turn(self, output: PolicyOutput, agent: AgentDefinition) -> None:
        """Run one action and decide whether the episode goes on."""
        if self.env is None:
            raise SandboxError("the episode has no environment")
        action, begun = output.action, time.monotonic()
        if action is None:
            self.stop = StopReason.POLICY_DONE
            return
        if isinstance(action, Refusal):
            logger.warning("%s: the context of turn %d was refused: %s", self.name, len(self.turns), action.reason)
            self.stop = action.stop
            self.error = action.reason if action.stop is StopReason.INFRASTRUCTURE else ""
            return
        if isinstance(action, FormatError):
            observation = f"Not run: {action.reason}. {ASKED[agent.prompting.action_format]}"
            exit_code: int | None = 0
            killed = False
        else:
            submitted = action.command.strip() == agent.submit
            observation, _, terminated, truncated, info = self.env.step(action.command)
            exit_code = info.get("exit_code")
            killed = exit_code is None
            if submitted or terminated:
                self.stop = StopReason.SUBMITTED
            elif truncated:
                self.stop = StopReason(info.get("stop_reason", StopReason.TURN_LIMIT))
        self.turns.append(
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
        self.stop = self.stop or self._limit_reached(agent)

    def finish(self) -> None:
        """Take the patch and close the environment."""
        if self.env is not None and not self.error:
            env = self.env
            self._guarded(lambda: setattr(self, "patch", env.patch()))
        self.close()
        self.ended = True

    def close(self) -> None:
        """Close the environment. A sandbox that cannot be closed is left to the sweeper: its episode is whole."""
        self.closed = True
        env, self.env = self.env, None
        if env is None:
            return
        try:
            env.close()
        except SandboxError as error:
            logger.warning("%s: the sandbox could not be closed and is left to be swept: %s", self.name, error)

    def close_quietly(self) -> None:
        """Close the environment while another error is on its way, which must be the one that is seen."""
        try:
            self.close()
        except Exception:
            logger.exception("%s: the environment could not be closed", self.name)

    def episode(self, agent: AgentDefinition) -> Episode:
        """The finished episode."""
        task = self.job.task
        trajectory = Trajectory(
            trajectory_id=self.name,
            task_id=task.instance_id,
            turns=tuple(self.turns),
            problem_statement=self.problem or task.problem_statement,
            system_prompt=agent.prompting.system,
            repo=task.repo,
            base_commit=task.base_commit,
            patch=self.patch,
            stop_reason=self.stop,
            source_format="swe-srl",
        )
        seconds = time.monotonic() - self.started
        return Episode(task.instance_id, self.job.sample, trajectory, self.patch, self.error, seconds)

    @property
    def name(self) -> str:
        """Task and sample."""
        return f"{self.job.task.instance_id}#{self.job.sample}"

    def _limit_reached(self, agent: AgentDefinition) -> StopReason | None:
        tail = self.turns[-agent.max_format_errors :]
        if len(tail) == agent.max_format_errors and all(isinstance(turn.action, FormatError) for turn in tail):
            return StopReason.FORMAT_ERRORS
        if len(self.turns) >= agent.max_turns:
            return StopReason.TURN_LIMIT
        if agent.max_tokens and sum(turn.completion_tokens for turn in self.turns) >= agent.max_tokens:
            return StopReason.TOKEN_LIMIT
        if agent.max_seconds and time.monotonic() - self.started >= agent.max_seconds:
            return StopReason.TIME_LIMIT
        return None

    def _guarded(self, do: Callable[[], None]) -> None:
        try:
            do()
        except (SandboxError, TaskError) as error:
            self.stop, self.error = StopReason.INFRASTRUCTURE, str(error)
