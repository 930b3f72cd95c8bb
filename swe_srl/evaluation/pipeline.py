"""Episodes, predictions, verdicts: the work of an evaluation run, every result kept the moment it is there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Protocol

from swe_srl.agents import AgentDefinition, Episode, EpisodeJob, run_episodes
from swe_srl.errors import GradingError, SandboxError, TaskError
from swe_srl.evaluation.holding import environments, image_of
from swe_srl.evaluation.logs import save_test_run
from swe_srl.evaluation.settings import EvalSettings
from swe_srl.evaluation.store import ImageStore
from swe_srl.evaluation.tally import tally
from swe_srl.files import row_errors
from swe_srl.grading import GradingSettings, VerdictCache, grade
from swe_srl.grading.cache import verdict_from_row, verdict_row
from swe_srl.progress import Doing, NoWatch, Progress, Watch
from swe_srl.protocols import Policy
from swe_srl.runs import RunFolder
from swe_srl.trajectories.rows import trajectory_from_row, trajectory_to_row
from swe_srl.types import Task, TestRun, Trajectory, Verdict, VerdictStatus

Key = tuple[str, int]  # task and sample


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sample of one task: its trajectory with the patch, and the verdict on it."""

    task_id: str
    sample: int
    trajectory: Trajectory
    verdict: Verdict
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """One sample of one task that the infrastructure kept from a result; `stage` is "episode" or "grading"."""

    task_id: str
    sample: int
    stage: str
    reason: str


@dataclass
class Journal:
    """What a run has so far, on disk and in memory. Its methods may be called from several threads.

    episodes.jsonl holds trajectories in the project's own format with `sample` and `seconds`; predictions.jsonl the first
    sample's patches in SWE-bench's format (predictions-1.jsonl the second's, and so on); verdicts.jsonl the verdicts;
    failures.jsonl what the infrastructure broke; logs/ the test logs.
    """

    run: RunFolder
    name: str  # model_name_or_path of the predictions
    episodes: dict[Key, tuple[Trajectory, float]] = field(default_factory=dict)
    verdicts: dict[Key, Verdict] = field(default_factory=dict)
    failures: dict[Key, Failure] = field(default_factory=dict)
    _predicted: set[Key] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def load(self, wanted: Iterable[Key]) -> None:
        """Read what an earlier start of the run left, and write predictions that a kill kept from being written."""
        keys = set(wanted)
        with row_errors(self.run.journal("episodes")):
            for row in self.run.rows("episodes"):
                key = (str(row["task_id"]), int(row["sample"]))
                self.episodes[key] = (trajectory_from_row(row), float(row["seconds"]))
        with row_errors(self.run.journal("verdicts")):
            for row in self.run.rows("verdicts"):
                self.verdicts[str(row["task_id"]), int(row["sample"])] = verdict_from_row(row)
        for sample in {sample for _, sample in keys}:
            with row_errors(self.run.journal(_predictions(sample))):
                self._predicted |= {(str(row["instance_id"]), sample) for row in self.run.rows(_predictions(sample))}
        for key in sorted(self.episodes.keys() - self._predicted):
            self._predict(key)

    def keep_episode(self, episode: Episode) -> None:
        """Keep a finished episode and its prediction."""
        key = (episode.task_id, episode.sample)
        trajectory = replace(episode.trajectory, patch=episode.patch)
        with self._lock:
            seconds = round(episode.seconds, 3)
            self.episodes[key] = (trajectory, seconds)
            extra = {"sample": episode.sample, "seconds": seconds}
            self.run.append("episodes", {**trajectory_to_row(trajectory), **extra})
            self._predict(key)

    def keep_verdict(self, sample: int, verdict: Verdict) -> None:
        """Keep a verdict."""
        with self._lock:
            self.verdicts[verdict.task_id, sample] = verdict
            self.run.append("verdicts", {**verdict_row(verdict), "sample": sample})

    def keep_failure(self, failure: Failure) -> None:
        """Keep what the infrastructure broke: for the report, and to be tried again by the next start."""
        with self._lock:
            self.failures[failure.task_id, failure.sample] = failure
            row = {"task_id": failure.task_id, "sample": failure.sample, "stage": failure.stage}
            self.run.append("failures", {**row, "reason": failure.reason})

    def keep_log(self, task_id: str, sample: int, run: TestRun, number: int = 0) -> None:
        """Keep what the tests left behind; `number` counts the gradings of one patch."""
        folder = self.run.file("logs") / task_id / str(sample)
        save_test_run(folder / f"regrade-{number}" if number else folder, run)

    def past_failures(self) -> dict[Key, Failure]:
        """What the infrastructure broke in earlier starts, the latest of each sample. Later starts may have mended it."""
        rows = self.run.rows("failures")
        found = [Failure(str(row["task_id"]), int(row["sample"]), row["stage"], row["reason"]) for row in rows]
        return {(failure.task_id, failure.sample): failure for failure in found}

    def attempts(self, wanted: Iterable[Key]) -> list[Attempt]:
        """The finished ones among the wanted samples."""
        done = [key for key in wanted if key in self.verdicts and key in self.episodes]
        return [Attempt(*key, self.episodes[key][0], self.verdicts[key], self.episodes[key][1]) for key in done]

    def _predict(self, key: Key) -> None:
        task_id, sample = key
        row = {"instance_id": task_id, "model_name_or_path": self.name, "model_patch": self.episodes[key][0].patch}
        self.run.append(_predictions(sample), row)
        self._predicted.add(key)


class Elsewhere(Protocol):
    """What grades patches on other machines."""

    @property
    def gradings_at_a_time(self) -> int: ...

    def grade(self, task: Task, patch: str, keep: Callable[[TestRun], None]) -> Verdict: ...

    def stop(self) -> None: ...


@dataclass(frozen=True)
class Pipeline:
    """Runs the missing episodes and gradings of a run side by side.

    Args:
        settings: of the run.
        journal: what is there already, and where results go.
        grading: how patches are graded.
        progress: tracks "episodes" and "grading".
        store: gives out the images that gradings need.
        watch: sees what is graded, and what there is so far.
        elsewhere: grades in place of this machine; None grades here.
    """

    settings: EvalSettings
    journal: Journal
    grading: GradingSettings
    progress: Progress
    store: ImageStore = field(default_factory=ImageStore)
    watch: Watch = field(default_factory=NoWatch)
    elsewhere: Elsewhere | None = None
    _told: threading.Lock = field(default_factory=threading.Lock)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _keys: list[Key] = field(default_factory=list)

    def work(self, jobs: Sequence[EpisodeJob], episodes: Generator[Episode, None, None]) -> None:
        """Grade the episodes that are there, then every episode as it ends.

        Raises:
            GenerationError: the policy's model or endpoint failed; what was finished is kept.
            KeyboardInterrupt: gradings in progress are ended, not waited for.
        """
        tasks = {job.task.instance_id: job.task for job in jobs}
        keys = [(job.task.instance_id, job.sample) for job in jobs]
        self._keys[:] = keys
        cache = VerdictCache(self.settings.cache) if self.settings.cache else None
        pending: list[Future[None]] = []
        self.progress.track("episodes", len(keys), sum(key in self.journal.episodes for key in keys))
        self.progress.track("grading", len(keys), sum(key in self.journal.verdicts for key in keys))
        self._count()
        workers = self.elsewhere.gradings_at_a_time if self.elsewhere else self.settings.grading_workers
        pool = ThreadPoolExecutor(workers, thread_name_prefix="grading")
        try:
            try:
                for task_id, sample in keys:
                    if (task_id, sample) in self.journal.episodes and (task_id, sample) not in self.journal.verdicts:
                        pending.append(pool.submit(self._grade, tasks[task_id], sample, cache))
                for episode in episodes:
                    self._take(episode)
                    if not episode.error:
                        pending.append(pool.submit(self._grade, tasks[episode.task_id], episode.sample, cache))
                    for future in pending:
                        if future.done():
                            future.result()
                    pending = [future for future in pending if not future.done()]
                for future in pending:
                    future.result()
            except Exception:  # gradings in progress are waited for, unless that is interrupted
                episodes.close()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        except KeyboardInterrupt:
            self._stopped.set()
            if self.elsewhere:
                self.elsewhere.stop()
            if self.grading.open:
                self.grading.open.end()
            raise
        finally:
            episodes.close()  # ends those on their way, whatever went wrong
            pool.shutdown(wait=True, cancel_futures=True)

    def _take(self, episode: Episode) -> None:
        if episode.error:
            self.journal.keep_failure(Failure(episode.task_id, episode.sample, "episode", episode.error))
        else:
            self.journal.keep_episode(episode)
        with self._told:
            self.progress.advance("episodes", info=f"{episode.task_id} {'failed' if episode.error else ''}".rstrip())
            self._count()

    def _count(self) -> None:
        self.watch.counted(tally(self._keys, self.journal.verdicts, len(self.journal.failures)))

    def _grade(self, task: Task, sample: int, cache: VerdictCache | None) -> None:
        name = f"{task.instance_id}#{sample}"
        self.watch.doing(name, Doing.GRADING)
        try:
            self._grade_one(task, sample, cache)
        finally:
            self.watch.ended(name)

    def _grade_one(self, task: Task, sample: int, cache: VerdictCache | None) -> None:
        trajectory, _ = self.journal.episodes[task.instance_id, sample]

        numbers = count()

        def keep(run: TestRun) -> None:
            self.journal.keep_log(task.instance_id, sample, run, next(numbers))

        try:
            verdict = self._verdict(task, trajectory.patch, cache, keep)
        except (TaskError, GradingError, SandboxError) as error:  # a source or image that has gone: of this task alone
            verdict = Verdict(task.instance_id, VerdictStatus.INFRASTRUCTURE, False, False, str(error))
        if self._stopped.is_set() or (self.grading.open and self.grading.open.ended):
            return
        if verdict.status is VerdictStatus.INFRASTRUCTURE:
            self.journal.keep_failure(Failure(task.instance_id, sample, "grading", verdict.reason))
        else:
            self.journal.keep_verdict(sample, verdict)
        with self._told:
            self.progress.advance("grading", info=f"{task.instance_id} {verdict.status.value}")
            self._count()

    def _verdict(self, task: Task, patch: str, cache: VerdictCache | None, keep: Callable[[TestRun], None]) -> Verdict:
        if self.elsewhere:
            return self.elsewhere.grade(task, patch, keep)
        with self.store.holding(image_of(task, self.grading.sandbox), self._stopped, task.image_source):
            return grade(task, patch, self.grading, cache, keep, self.settings.retries)


def missing(jobs: Sequence[EpisodeJob], journal: Journal) -> list[EpisodeJob]:
    """The jobs whose episodes are not in the journal."""
    return [job for job in jobs if (job.task.instance_id, job.sample) not in journal.episodes]


def missing_episodes(
    jobs: Sequence[EpisodeJob],
    journal: Journal,
    policy: Policy,
    agent: AgentDefinition,
    settings: EvalSettings,
    store: ImageStore | None = None,
    watch: Watch | None = None,
) -> Generator[Episode, None, None]:
    """Run the jobs whose episodes are not in the journal."""
    from swe_srl.envs.pool import pools_kept

    make_env = environments(settings, agent, store or ImageStore())
    left = missing(jobs, journal)
    with pools_kept():
        yield from run_episodes(
            left, policy, make_env, agent, settings.seed, settings.episodes_at_a_time, settings.retries, watch
        )


def _predictions(sample: int) -> str:
    return f"predictions-{sample}" if sample else "predictions"
