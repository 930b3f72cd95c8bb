"""The rollout loop: many episodes side by side, as few model requests as possible.

Every round, the policy is asked once for all episodes that wait for it; then their environments step in threads. A finished
episode makes room for the next job. An episode whose command takes longer than the last model request did (and longer than
`PATIENCE`) is left out of the rounds until it is ready: no hanging command holds up the others. Seeds come from (seed, task,
sample, turn), so neither the number of workers nor the order of finishing changes what is sampled.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial

from swe_srl.agents.definition import AgentDefinition
from swe_srl.agents.episode import Episode, EpisodeEnv, EpisodeJob, LiveEpisode
from swe_srl.errors import ConfigError
from swe_srl.progress import Doing, NoWatch, Watch
from swe_srl.protocols import Policy, PolicyOutput
from swe_srl.sandboxes.closing import close_all
from swe_srl.types import Action, Task

PATIENCE = 1.0  # seconds


def run_episodes(
    jobs: Sequence[EpisodeJob],
    policy: Policy,
    make_env: Callable[[Task], EpisodeEnv],
    agent: AgentDefinition,
    seed: int = 0,
    workers: int = 8,
    retries: int = 1,
    watch: Watch | None = None,
) -> Generator[Episode, None, None]:
    """Run every job and yield each episode as it ends (not in the order of the jobs).

    Args:
        jobs: what to run.
        policy: asked once a round for all living episodes.
        make_env: a fresh environment for a task; closed by this loop.
        agent: prompts and limits.
        seed: of the run.
        workers: living episodes at a time, at least 1.
        retries: fresh starts of an episode whose sandbox failed, before it is given up with its `error`.
        watch: sees what every episode is at.

    Raises:
        ConfigError: `workers` is below 1.
        GenerationError: the policy's model or endpoint failed; finished episodes have been yielded, nothing is left running.
            A context that it refuses only ends its own episode: as `token_limit` when it is too long.
    """
    if workers < 1:
        raise ConfigError(f"workers must be at least 1, not {workers}")
    return _episodes(jobs, policy, make_env, agent, seed, workers, retries, watch or NoWatch())


def _episodes(
    jobs: Sequence[EpisodeJob],
    policy: Policy,
    make_env: Callable[[Task], EpisodeEnv],
    agent: AgentDefinition,
    seed: int,
    workers: int,
    retries: int,
    watch: Watch,
) -> Generator[Episode, None, None]:
    waiting = deque(LiveEpisode(job) for job in jobs)
    living: list[LiveEpisode] = []
    patience = PATIENCE
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="episode")
    try:
        while waiting or living:
            for _ in range(min(workers - len(living), len(waiting))):
                living.append(live := waiting.popleft())
                watch.doing(live.name, Doing.STARTING)
                live.do(pool, partial(live.start, make_env, seed))
            _await(living, patience)
            idle = [live for live in living if live.settle()]
            for live in [live for live in idle if live.ended]:
                living.remove(live)
                watch.ended(live.name)
                if live.error and live.attempts <= retries:
                    waiting.append(LiveEpisode(live.job, live.attempts + 1))
                else:
                    yield live.episode(agent)
            for live in [live for live in idle if live.stop is not None and not live.ended]:
                live.do(pool, live.finish)
            if any(live.doing and not live.late for live in living) or (waiting and len(living) < workers):
                continue  # those that end now make room first, so that the policy is asked for as many as possible at once
            ready = [live for live in living if live.doing is None]
            begun = time.monotonic()
            for live in ready:
                watch.doing(live.name, Doing.THINKING, len(live.turns) + 1)
            outputs = policy.act([live.context(agent, seed) for live in ready]) if ready else []
            patience = max(PATIENCE, time.monotonic() - begun)
            for live, output in zip(ready, outputs, strict=True):
                watch.doing(live.name, Doing.RUNNING, len(live.turns) + 1, _command(output))
                live.do(pool, partial(live.turn, output, agent))
    finally:
        _abandon(living, pool)


def _command(output: PolicyOutput) -> str:
    """The command that is run, or what there is instead."""
    action = output.action
    return action.command if isinstance(action, Action) else f"({action.reason})" if action is not None else ""


def _await(living: Sequence[LiveEpisode], patience: float) -> None:
    """Wait for everybody, but not longer than `patience` seconds: who takes longer is late, and joins again when ready.

    When nobody else is left to go on with, wait for the first of the late ones.
    """
    busy = {live.doing: live for live in living if live.doing}
    prompt = [future for future, live in busy.items() if not live.late]
    if prompt:
        for future in wait(prompt, timeout=patience).not_done:
            busy[future].late = True
    elif len(busy) == len(living):
        wait(busy, return_when=FIRST_COMPLETED)


def _abandon(living: Sequence[LiveEpisode], pool: ThreadPoolExecutor) -> None:
    """Close what lives, so that running commands end at once; what is still starting closes itself, also when nobody waits for it
    (a second interrupt). Raises nothing of its own."""

    def begin() -> list[Callable[[], None]]:
        pool.shutdown(wait=False, cancel_futures=True)
        for live in living:
            live.closed = True
        return [live.close_quietly for live in living]

    close_all(begin)
    pool.shutdown(wait=True)
