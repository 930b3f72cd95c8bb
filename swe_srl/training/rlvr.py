"""RLVR: GRPO on the tests' verdict over whole episodes in sandboxes (arXiv 2402.03300; the reward is the hardened verdict)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from swe_srl.agents import AgentDefinition, Episode, EpisodeJob, ModelPolicy, run_episodes
from swe_srl.envs.definition import environment_for
from swe_srl.errors import GradingError, TaskError, TrainingError
from swe_srl.grading import GradingSettings, OpenSandboxes, VerdictCache, grade
from swe_srl.protocols import Generator
from swe_srl.seeds import derive_seed
from swe_srl.training.episodes import (
    EpisodeBatch,
    EpisodeGroup,
    EpisodeSampler,
    EpisodeStore,
    SampledEpisode,
    SampledTurn,
    episode_metrics,
    with_logprobs,
)
from swe_srl.training.forward import TokenGroup
from swe_srl.training.journal import Clock
from swe_srl.training.lessons import Teacher
from swe_srl.training.objective import group_advantages
from swe_srl.training.update import PolicyGroup
from swe_srl.training.workplace import Workplace
from swe_srl.types import Completion, FormatError, Message, Sampling, Task, Verdict, VerdictStatus

Recorded = tuple[tuple[int, ...], Completion]  # the context's tokens
Keep = Callable[[SampledEpisode], None]


class Recorder:
    """A generator that remembers contexts (as tokens) and completions by seed, which every turn has its own of."""

    def __init__(self, generator: Generator, encode: Callable[[tuple[Message, ...]], tuple[int, ...]]) -> None:
        self._generator, self._encode = generator, encode
        self.recorded: dict[int, Recorded] = {}

    def generate(
        self, contexts: Sequence[tuple[Message, ...]], n: int, sampling: Sampling, seeds: Sequence[int]
    ) -> list[list[Completion]]:
        """See `swe_srl.protocols.Generator`."""
        groups = self._generator.generate(contexts, n, sampling, seeds)
        for messages, seed, group in zip(contexts, seeds, groups, strict=True):
            self.recorded[seed] = (self._encode(messages), group[0])
        return groups


class EpisodeRunner:
    """Runs episodes of the model as it is, several at a time, and grades each one as it ends.

    Args:
        work: settings and model of the run.
        index: of the stage.
        seed: of the sampling.
    """

    def __init__(self, work: Workplace, index: int, seed: int) -> None:
        self.work, self.seed = work, seed
        settings, stage = work.settings, work.settings.stages[index]
        sampling = Sampling(stage.temperature, max_new_tokens=stage.max_new_tokens)
        self.agent = replace(AgentDefinition.load(settings.agent_name), sampling=sampling)
        self.cache = VerdictCache(work.journal.run.file("verdicts"))

    def run(self, jobs: Sequence[EpisodeJob], keep: Keep, doing: str) -> None:
        """Run and grade these episodes; each is handed to `keep`, one at a time, when it is graded.

        Raises:
            GenerationError: the model failed.
            KeyboardInterrupt: passed on; running commands and gradings are ended, not waited for.
        """
        if not jobs:
            return
        settings = self.work.settings
        grading = GradingSettings(settings.sandbox, settings.grading_timeout, open=OpenSandboxes())
        recorder = Recorder(self.work.generator, self.work.encode)
        policy = ModelPolicy(recorder, self.agent.sampling)
        tasks = {job.task.instance_id: job.task for job in jobs}
        episodes = run_episodes(jobs, policy, self._environment, self.agent, self.seed, settings.workers)
        pool = ThreadPoolExecutor(settings.grading_workers, thread_name_prefix="grading")
        lock, track = threading.Lock(), f"{doing} episodes"
        self.work.progress.track(track, total=len(jobs))

        def finish(episode: Episode) -> None:
            sampled = self._sampled(episode, self._verdict(tasks[episode.task_id], episode, grading), recorder.recorded)
            with lock:
                if not grading.open or not grading.open.ended:
                    keep(sampled)
                self.work.progress.advance(track, 1, episode.task_id)

        pending: list[Future[None]] = []
        try:
            with closing(episodes):
                pending += [pool.submit(finish, episode) for episode in episodes]
            for future in pending:
                future.result()
        except BaseException:
            if grading.open:
                grading.open.end()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _environment(self, task: Task) -> Any:
        from swe_srl.envs import SweEnv

        settings = self.work.settings
        name = settings.environment or environment_for(task, settings.sandbox, settings.bundled_tasks)
        return SweEnv([task], name, settings.sandbox, max_turns=self.agent.max_turns)

    def _verdict(self, task: Task, episode: Episode, grading: GradingSettings) -> Verdict:
        if episode.error:
            return Verdict(task.instance_id, VerdictStatus.INFRASTRUCTURE, False, False, episode.error)
        try:
            return grade(task, episode.patch, grading, self.cache)
        except (TaskError, GradingError) as error:
            return Verdict(task.instance_id, VerdictStatus.INFRASTRUCTURE, False, False, str(error))

    def _sampled(self, episode: Episode, verdict: Verdict, recorded: dict[int, Recorded]) -> SampledEpisode:
        turns = []
        for number, turn in enumerate(episode.trajectory.turns):
            context, completion = recorded[derive_seed(self.seed, episode.task_id, episode.sample, number)]
            malformed = turn.action.reason if isinstance(turn.action, FormatError) else ""
            ids = completion.token_ids
            turns.append(SampledTurn(context, ids, completion.logprobs, completion.text, malformed))
        failed = verdict.status is VerdictStatus.INFRASTRUCTURE
        stop = episode.trajectory.stop_reason
        return SampledEpisode(
            episode.task_id,
            episode.sample,
            float(verdict.hardened),
            verdict.status.value,
            verdict.official,
            stop.value if stop else "",
            episode.patch,
            tuple(turns),
            verdict.reason if failed else "",
        )


class RlvrLesson(Teacher):
    """Sampled episodes of the training tasks, rewarded 1 when the hidden tests pass by the hardened rules, else 0."""

    criterion = "validation_resolved"

    def __init__(self, work: Workplace, index: int, start: Path | str) -> None:
        super().__init__(work, index, start, len(work.tasks))
        self.runner = EpisodeRunner(work, index, derive_seed(self.seed, "episodes"))
        self.judge = EpisodeRunner(work, index, derive_seed(self.seed, "validation"))
        self.store = EpisodeStore(work.journal.run.file("rollouts") / str(index))
        self.sampler = EpisodeSampler(work.tasks, self.stage, self.seed, self._run, self.store)

    def state(self) -> dict[str, Any]:
        """Of the sampler."""
        return self.sampler.state()

    def restore(self, state: dict[str, Any], updates: int) -> None:
        """Go on from `state`; episodes that were finished since then are on disk."""
        self.sampler.restore(state)
        self.checked = updates > 0

    def saved(self, updates: int) -> None:
        """Remove the episodes that led to the checkpoint."""
        self.store.forget(updates)

    def update(self, number: int, clock: Clock) -> dict[str, Any]:
        """Sample episodes until the batch is full, then update."""
        with clock.phase("episodes"), self.updater.context():
            batch = self.sampler.batch(number)
        self._require(batch)
        if said := self.watch.see(batch.kept, batch.drawn):
            self.work.progress.note(f"{self.name}: {said}")
        row: dict[str, Any] = {"epoch": self.sampler.stream.epoch, **batch.metrics(self.stage.epsilon)}
        if not batch.kept:
            return row
        first = [one for group in batch.kept for one in unit_of(group, self.stage.std_scaling)]
        self.check([one.tokens for one in first], clock, [one.old for one in first])
        with clock.phase("update"):
            self._rescore(batch)
        units = [unit_of(group, self.stage.std_scaling) for group in batch.kept]
        if number % self.work.settings.samples_every == 0:
            self._show(batch.kept, number)
        with clock.phase("update"):
            totals = self.updater.policy(units, derive_seed(self.seed, "minibatches", number - 1))
        return row | self.guarded(totals, number)

    def validate(self, clock: Clock) -> dict[str, Any]:
        """The share of held-out tasks that are resolved, one episode each, and what else is known of these episodes."""
        tasks = sorted(self.work.held_tasks, key=lambda task: derive_seed(self.seed, "validation", task.instance_id))
        jobs = [EpisodeJob(task) for task in tasks[: self.stage.validation_steps]]
        episodes: list[SampledEpisode] = []
        with clock.phase("validate"), self.updater.context():
            self.judge.run(jobs, episodes.append, "validation")
        counted = sorted((one for one in episodes if not one.error and one.turns), key=lambda one: one.key)
        if not counted:
            return {}
        row = {f"validation_{name}": value for name, value in episode_metrics(counted).items()}
        return {"validation_resolved": row.pop("validation_reward_mean"), "validation_episodes": len(counted), **row}

    def _run(self, jobs: Sequence[EpisodeJob], keep: Keep) -> None:
        self.runner.run(jobs, keep, "sampled")

    def _require(self, batch: EpisodeBatch) -> None:
        if not batch.drawn and not batch.kept and batch.failed:
            raise TrainingError(
                f"all {len(batch.failed)} episodes failed for reasons that are not the model's; the first: "
                f"{batch.failed[0].task_id}: {batch.failed[0].error}"
            )

    def _rescore(self, batch: EpisodeBatch) -> None:
        """Log-probabilities at the sampling temperature, of groups that are trained on now and of those that wait."""
        if self.stage.temperature == 1.0:
            return
        groups = batch.kept + self.sampler.waiting
        for index, group in enumerate(groups):
            if not group.rescored:
                turns = [turn for episode in group.episodes for turn in episode.turns]
                found = self.updater.logprobs([TokenGroup(turn.context, (turn.token_ids,)) for turn in turns])
                groups[index] = with_logprobs(group, [rows[0] for rows in found])
        count = len(batch.kept)
        batch.kept, self.sampler.waiting = groups[:count], groups[count:]

    def _show(self, groups: Sequence[EpisodeGroup], number: int) -> None:
        group = max(groups, key=lambda one: one.spread)
        self.work.journal.episodes({"stage": self.index, "update": number}, group)


def unit_of(group: EpisodeGroup, std_scaling: bool) -> list[PolicyGroup]:
    """All turns of a task's episodes: those with the same context share it; each has its episode's advantage."""
    advantages = _advantages(group.rewards, std_scaling)
    members: dict[tuple[int, ...], list[tuple[SampledTurn, float, int]]] = {}
    for episode, advantage in zip(group.episodes, advantages, strict=True):
        for turn in episode.turns:
            members.setdefault(turn.context, []).append((turn, advantage, episode.tokens))
    return [
        PolicyGroup(
            TokenGroup(context, tuple(turn.token_ids for turn, _, _ in rows)),
            tuple(turn.logprobs for turn, _, _ in rows),
            tuple(advantage for _, advantage, _ in rows),
            tuple(tokens for _, _, tokens in rows),
        )
        for context, rows in members.items()
    ]


def _advantages(rewards: Sequence[float], std_scaling: bool) -> list[float]:
    import torch

    return [float(one) for one in group_advantages(torch.tensor([list(rewards)]), std_scaling)[0]]
