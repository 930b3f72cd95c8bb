"""From packages to validated tasks with demonstrations: parallel, cached, resumable, and the same whatever the workers."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from swe_srl.errors import ConfigError, SandboxError, TaskError
from swe_srl.files import write_atomic, write_jsonl
from swe_srl.progress import Progress, SilentProgress
from swe_srl.runs import RunFolder
from swe_srl.sandboxes.closing import close_all, close_or_tell
from swe_srl.tasks.difficulty import LEVELS, difficulty_of
from swe_srl.tasks.packages.candidates import candidates
from swe_srl.tasks.packages.choice import Choice
from swe_srl.tasks.packages.origin import Origin, parse_package
from swe_srl.tasks.packages.origins import JOURNALS, origins
from swe_srl.tasks.packages.outcomes import KEPT, Count, Journal, Outcome, count
from swe_srl.tasks.packages.project import examined_project, open_bench
from swe_srl.tasks.packages.record import WALL
from swe_srl.tasks.packages.row import Project, package_task
from swe_srl.tasks.packages.suite import Suite
from swe_srl.tasks.packages.trial import (
    EXPERT_FAILS,
    NOT_SPELT_OUT,
    NOT_VALIDATED,
    OTHER_DIFFICULTY,
    Candidate,
    Trial,
)
from swe_srl.tasks.surroundings import portable
from swe_srl.tasks.synthesis.difficulty import level, open_edits
from swe_srl.tasks.synthesis.settings import SynthesiseSettings
from swe_srl.tasks.validation import LogStatuses, RunTests, check_unfixed
from swe_srl.trajectories.rows import write_trajectories
from swe_srl.types import Task, Trajectory

KIND = "synthesis"
FREE = ("workers", "count", "output")  # settings that may change when a run goes on
TASKS, TRAJECTORIES, REPORT = "tasks.jsonl", "trajectories.jsonl", "report.json"
_AHEAD = 2  # mutations tried ahead of the one that is decided next, for each worker
Demonstrate = Callable[[Task], "Trajectory | str"]  # the expert's resolved trajectory, or why there is none


@dataclass(frozen=True, slots=True)
class Referee:
    """What judges tasks, from higher layers.

    Args:
        run_tests, statuses: as for `swe_srl.tasks.validate`.
        demonstrate: lets the expert work on a task, and grades what it leaves.
        end: ends what these still run: synthesis was interrupted.
    """

    run_tests: RunTests
    statuses: LogStatuses
    demonstrate: Demonstrate
    end: Callable[[], None] = lambda: None


def synthesise_packages(
    settings: SynthesiseSettings, referee: Referee, progress: Progress | None = None
) -> list[Count]:
    """Make tasks, or go on with it, and write them to the folder `settings.output`.

    The folder holds `tasks.jsonl`, `trajectories.jsonl`, `report.json`, the repositories' archives and the packages that they
    need; it can be moved. Every mutation that was tried is in a journal: a killed run loses only those it was trying.

    Args:
        settings: with `package` or `repo`.
        referee: judges tasks.
        progress: told of every task that is kept.

    Returns:
        The mutations tried of each repository, by kind and by what became of them.

    Raises:
        ConfigError: the folder holds a run with other settings, or a setting cannot be used.
        TaskError: a package cannot be had, or its tests do not pass.
        SandboxError: the local sandbox failed.
    """
    settings.check()
    for spec in settings.package:
        parse_package(spec)
    progress = progress or SilentProgress()
    kept: list[Outcome] = []
    counts = []
    with RunFolder.start(
        settings.folder, KIND, asdict(settings), free=FREE, defaults=asdict(SynthesiseSettings())
    ) as run:
        try:
            for origin in origins(settings, progress):
                outcomes = _of_origin(origin, settings, referee, progress)
                kept += [outcome for outcome in outcomes if outcome.reason == KEPT]
                counts.append(count(origin.name, outcomes))
                _write(settings.folder, kept, counts)
        except (ConfigError, TaskError):
            if not run.resumed and not any((settings.folder / JOURNALS).glob("*.jsonl")):
                for name in (JOURNALS, "packages", "repositories"):
                    shutil.rmtree(settings.folder / name, ignore_errors=True)
                run.abandon()
            raise
    return counts


def _write(folder: Path, kept: Sequence[Outcome], counts: Sequence[Count]) -> None:
    """Everything there is until now, each file whole."""
    write_jsonl(folder / TASKS, [portable(outcome.task.row(), folder) for outcome in kept if outcome.task])
    write_trajectories(folder / TRAJECTORIES, [outcome.trajectory for outcome in kept if outcome.trajectory])
    write_atomic(folder / REPORT, json.dumps([one.as_row() for one in counts], indent=2) + "\n")


def _of_origin(origin: Origin, settings: SynthesiseSettings, referee: Referee, progress: Progress) -> list[Outcome]:
    """The outcomes that count, in order: those of the candidates up to the last task that is kept."""
    place = settings.folder / JOURNALS
    project, suite = examined_project(origin, settings, place / f"{origin.label}.suite.json", progress)
    journal = Journal(place / f"{origin.label}.jsonl", settings.folder)
    found = candidates(project.root, suite, settings.seed)
    waiting = deque(found)
    progress.note(f"{origin.name}: {len(suite.passing)} tests pass, {len(waiting)} mutations to choose from")
    progress.track(origin.name, settings.count)
    choice = Choice(settings)
    with ExitStack() as stack:
        pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="synthesis")
        stack.callback(pool.shutdown, cancel_futures=True)
        workers = _Workers(project, suite, settings, referee, journal)
        stack.callback(workers.close)
        ahead: deque[tuple[Candidate, Future[Outcome]]] = deque()
        try:
            while len(choice.kept) < settings.count:
                while waiting and len(ahead) < _AHEAD * settings.workers:
                    candidate = waiting.popleft()
                    if choice.takes(candidate):
                        ahead.append((candidate, pool.submit(workers.outcome, candidate)))
                if not ahead:
                    break
                candidate, future = ahead.popleft()
                if not choice.takes(candidate):
                    future.cancel()
                    continue
                outcome = future.result()
                if choice.add(candidate, outcome):
                    progress.advance(origin.name, info=candidate.key)
            for _, future in ahead:
                future.cancel()
        except BaseException:
            referee.end()
            raise
    if len(choice.kept) < settings.count:
        progress.note(f"{origin.name}: {len(choice.kept)} of {settings.count} tasks: {choice.shortage(len(found))}")
    return choice.outcomes


def task_seconds(seconds: float) -> int:
    """Seconds on the clock for a task's tests, by the processor time they may take: rounded up, so that the same come out
    again.

    >>> task_seconds(11.2), task_seconds(40.0)
    (120, 240)
    """
    bound = 120
    while bound < seconds * WALL:
        bound *= 2
    return bound


class _Workers:
    """Sandboxes for trials, as many as there are workers, and what else makes an outcome of a candidate."""

    def __init__(
        self, project: Project, suite: Suite, settings: SynthesiseSettings, referee: Referee, journal: Journal
    ) -> None:
        self._project, self._suite, self._settings = project, suite, settings
        self._referee, self._journal = referee, journal
        self._seconds = settings.timeout + 2 * suite.seconds
        self._idle: SimpleQueue[Trial | None] = SimpleQueue()
        self._open: list[Trial] = []
        self._closed, self._lock = False, threading.Lock()
        for _ in range(settings.workers):
            self._idle.put(None)

    def outcome(self, candidate: Candidate) -> Outcome:
        """What becomes of a candidate: from the journal, or found out and written there."""
        known = self._journal.get(candidate)
        if known is not None:
            return known
        try:
            outcome = self._try(candidate)
        except SandboxError:  # a mutation may take its sandbox down, and so may the machine: once more in a fresh one
            if self._closed:
                raise
            outcome = self._try(candidate)
        self._journal.add(outcome)
        return outcome

    def close(self) -> None:
        """Close the sandboxes, all at a time: what is still being tried fails. Neither one that cannot be closed nor an interrupt
        meanwhile leaves another one running."""

        def begin() -> list[Callable[[], None]]:
            with self._lock:
                self._closed = True
                return [partial(close_or_tell, trial) for trial in self._open]

        close_all(begin)

    def _opened(self) -> Trial:
        bench = open_bench(self._project, self._settings)
        trial = Trial(bench, self._suite, self._project.root, self._seconds, self._settings.seed)
        with self._lock:
            if not self._closed:
                self._open.append(trial)
                return trial
        trial.close()  # it was begun before `close` was called, and was not there to be closed
        raise SandboxError("the synthesis has ended")

    def _too_hard(self, candidate: Candidate) -> bool:
        """Whether a candidate is harder than what is wanted even where the issue names the function: most are known to be so
        before a test is run."""
        wanted, mutation = self._settings.difficulty, candidate.mutation
        if not wanted or LEVELS[-1] in wanted:
            return False
        texts = {**self._project.modules, candidate.path: mutation.source}
        least = level(open_edits(texts, candidate.path, mutation.function, mutation.function), mutation.kind)
        return LEVELS.index(least) > max(map(LEVELS.index, wanted))

    def _try(self, candidate: Candidate) -> Outcome:
        rejected = Outcome(candidate.key, candidate.mutation.kind, "")
        if self._too_hard(candidate):
            return replace(rejected, reason=OTHER_DIFFICULTY)
        trial = self._idle.get()
        try:
            if trial is None:
                trial = self._opened()
            bug = trial.attempt(candidate)
        except SandboxError:
            if trial is not None:
                trial.close()
            trial = None
            raise
        finally:
            self._idle.put(trial)
        if isinstance(bug, str):
            return replace(rejected, reason=bug)
        task = package_task(bug, self._project, self._suite, candidate.tests, task_seconds(self._seconds))
        if task is None:
            return replace(rejected, reason=NOT_SPELT_OUT)
        if self._settings.difficulty and difficulty_of(task) not in self._settings.difficulty:
            return replace(rejected, reason=OTHER_DIFFICULTY)
        digest = hashlib.sha256(candidate.key.encode()).hexdigest()[:8]
        task = replace(task, instance_id=f"{task.repo.replace('/', '__')}-{digest}")
        result = check_unfixed(task, self._referee.run_tests, self._referee.statuses)
        if result.infrastructure:
            raise SandboxError("; ".join(result.problems))
        if result.problems:
            return replace(rejected, reason=NOT_VALIDATED, detail="; ".join(result.problems))
        shown = self._referee.demonstrate(task)
        if isinstance(shown, str):
            return replace(rejected, reason=EXPERT_FAILS, detail=shown)
        return replace(rejected, reason=KEPT, task=task, trajectory=shown)
