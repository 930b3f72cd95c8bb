"""Running and grading whole episodes of the model that is being trained, with the exact tokens of every turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any

from swe_srl.agents import AgentDefinition, Episode, EpisodeJob, ModelPolicy, run_episodes
from swe_srl.agents.showing import open_environment
from swe_srl.definitions import environment_for
from swe_srl.errors import GradingError, TaskError
from swe_srl.generation import TransformersGenerator
from swe_srl.generation.loading import encode_chat
from swe_srl.grading import GradingSettings, OpenSandboxes, VerdictCache, grade
from swe_srl.protocols import Generator
from swe_srl.seeds import derive_seed
from swe_srl.training.experts import StepRewards
from swe_srl.training.sampled import Keep, SampledEpisode, SampledTurn
from swe_srl.training.workplace import Workplace
from swe_srl.types import (
    Completion,
    FormatError,
    Message,
    Refusal,
    Sampling,
    StopReason,
    Task,
    Verdict,
    VerdictStatus,
)

Recorded = tuple[tuple[int, ...], Completion]  # the context's tokens


class Recorder:
    """A generator that remembers contexts (as tokens) and completions by seed, which every turn has its own of.

    Args:
        generator: the model.
        encode: a context's tokens.
        limit: contexts of more tokens are refused; 0 for none.
    """

    def __init__(self, generator: Generator, encode: Callable[[tuple[Message, ...]], list[int]], limit: int) -> None:
        self._generator, self._encode, self._limit = generator, encode, limit
        self.recorded: dict[int, Recorded] = {}

    def generate(
        self, contexts: Sequence[tuple[Message, ...]], n: int, sampling: Sampling, seeds: Sequence[int]
    ) -> list[list[Completion]]:
        """See `swe_srl.protocols.Generator`."""
        encoded = [tuple(self._encode(messages)) for messages in contexts]
        fits = [i for i, ids in enumerate(encoded) if not self._limit or len(ids) <= self._limit]
        given = self._generator.generate([contexts[i] for i in fits], n, sampling, [seeds[i] for i in fits])
        groups = [[_too_long(len(ids), self._limit)] * n for ids in encoded]
        for i, group in zip(fits, given, strict=True):
            groups[i] = group
            self.recorded[seeds[i]] = (encoded[i], group[0])
        return groups


def _too_long(tokens: int, limit: int) -> Completion:
    reason = f"the context's {tokens} tokens exceed max_context_tokens ({limit})"
    return Completion("", (), (), False, tokens, refusal=Refusal(reason, StopReason.TOKEN_LIMIT))


class EpisodeRunner:
    """Runs episodes of the model as it is, several at a time, and grades each one as it ends.

    Args:
        work: settings and model of the run.
        index: of the stage.
        seed: of the sampling.
        steps: what the commands of an episode earn beside its verdict, when it is resolved; None for nothing.
    """

    def __init__(self, work: Workplace, index: int, seed: int, steps: StepRewards | None = None) -> None:
        self.work, self.seed, self.steps = work, seed, steps
        self.step_weight = work.settings.stages[index].step_weight
        settings, stage = work.settings, work.settings.stages[index]
        sampling = Sampling(stage.temperature, max_new_tokens=stage.max_new_tokens)
        self.agent = replace(AgentDefinition.load(settings.agent_name), sampling=sampling)
        self.cache = VerdictCache(work.journal.run.file("verdicts"))
        self.tasks = {task.instance_id: task for task in (*work.tasks, *work.held_tasks)}

    def run(self, jobs: Sequence[EpisodeJob], ungraded: Sequence[SampledEpisode], keep: Keep, doing: str) -> None:
        """Run and grade episodes, and grade those that have ended before.

        Args:
            jobs: to run.
            ungraded: episodes whose verdict is missing.
            keep: is handed every episode when it ends, without a verdict, and again with it; by one thread at a time.
            doing: name of the progress.

        Raises:
            GenerationError: the model failed.
            KeyboardInterrupt: passed on; running commands and gradings are ended, not waited for.
        """
        from swe_srl.envs.pool import pools_kept

        if not jobs and not ungraded:
            return
        settings = self.work.settings
        grading = GradingSettings(settings.sandbox, settings.grading_timeout, open=OpenSandboxes())
        generator = self.work.generator
        if isinstance(
            generator, TransformersGenerator
        ):  # --memory counts one batch alone: half of it is kept between turns
            generator = generator.for_episodes(settings.generate_tokens // 2 if settings.memory else 0)
        recorder = Recorder(generator, self._encode, settings.max_context_tokens)
        policy = ModelPolicy(recorder, self.agent.sampling, self.agent.prompting.action_format)
        episodes = run_episodes(jobs, policy, self._environment, self.agent, self.seed, settings.workers)
        pool = ThreadPoolExecutor(settings.grading_workers, thread_name_prefix="grading")
        lock, track = threading.Lock(), f"{doing} episodes"
        self.work.progress.track(track, total=len(jobs) + len(ungraded))

        def finish(episode: SampledEpisode) -> None:
            graded = self._graded(episode, grading)
            with lock:
                if grading.open is not None and grading.open.ended:
                    return
                keep(graded)
                self.work.progress.advance(track, 1, episode.task_id)

        pending: list[Future[None]] = []
        try:
            pending += [pool.submit(finish, episode) for episode in ungraded]
            with pools_kept(), closing(episodes):
                for ended in episodes:
                    sampled = self._sampled(ended, recorder.recorded)
                    with lock:
                        keep(sampled)
                        if sampled.error:
                            self.work.progress.advance(track, 1, f"{sampled.task_id} failed")
                    if not sampled.error:
                        pending.append(pool.submit(finish, sampled))
                    pending = [future for future in pending if not _over(future)]
            for future in pending:
                future.result()
        except BaseException:
            if grading.open is not None:
                grading.open.end()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _encode(self, messages: tuple[Message, ...]) -> list[int]:
        return encode_chat(self.work.tokenizer, messages)

    def _environment(self, task: Task) -> Any:
        settings = self.work.settings
        name = settings.environment or environment_for(task, settings.sandbox, settings.bundled_tasks)
        return open_environment(task, self.agent, name, settings.sandbox)

    def _graded(self, episode: SampledEpisode, grading: GradingSettings) -> SampledEpisode:
        task = self.tasks[episode.task_id]
        try:
            verdict = grade(task, episode.patch, grading, self.cache)
        except (TaskError, GradingError) as error:
            verdict = Verdict(task.instance_id, VerdictStatus.INFRASTRUCTURE, False, False, str(error))
        similarity = self.steps(episode.task_id, episode.turns) if self.steps is not None else 0.0
        return replace(
            episode,
            reward=1.0 + self.step_weight * similarity if verdict.hardened else 0.0,
            similarity=similarity,
            status=verdict.status.value,
            official=verdict.official,
            error=(verdict.reason or "grading failed") if verdict.status is VerdictStatus.INFRASTRUCTURE else "",
        )

    def _sampled(self, episode: Episode, recorded: dict[int, Recorded]) -> SampledEpisode:
        """The episode with the tokens of its turns, not graded yet; one that failed has no turns and a status."""
        turns = []
        for number, turn in enumerate(episode.trajectory.turns if not episode.error else ()):
            context, completion = recorded[derive_seed(self.seed, episode.task_id, episode.sample, number)]
            malformed = turn.action.reason if isinstance(turn.action, FormatError) else ""
            turns.append(SampledTurn(context, completion.token_ids, completion.logprobs, completion.text, malformed))
        stop = episode.trajectory.stop_reason
        return SampledEpisode(
            episode.task_id,
            episode.sample,
            reward=0.0,
            status=VerdictStatus.INFRASTRUCTURE.value if episode.error else "",
            official=False,
            stop=stop.value if stop else "",
            patch=episode.patch,
            turns=tuple(turns),
            error=episode.error,
        )


def _over(future: Future[None]) -> bool:
    """Whether it is done; its error, if it has one, is raised."""
    if not future.done():
        return False
    future.result()
    return True
