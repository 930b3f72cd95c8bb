"""Synthesis from end to end: repository → mutations → bugs that tests notice → tasks → validated tasks."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue

from swe_srl.errors import SandboxError, TaskError
from swe_srl.files import write_jsonl
from swe_srl.progress import Progress, SilentProgress
from swe_srl.sandboxes import LocalSandbox
from swe_srl.sandboxes.repository import prepare_repository
from swe_srl.tasks.synthesis.build import build_task
from swe_srl.tasks.synthesis.difficulty import level, open_edits
from swe_srl.tasks.synthesis.mutations import Mutation, mutations
from swe_srl.tasks.synthesis.screening import Screen, Search, baseline, preference
from swe_srl.tasks.synthesis.settings import SynthesiseSettings
from swe_srl.tasks.synthesis.suite import module_paths, read_tests
from swe_srl.tasks.validation import LogStatuses, RunTests, ValidationResult, validate
from swe_srl.types import Limits, SandboxSpec, Task


def synthesise(
    settings: SynthesiseSettings,
    run_tests: RunTests,
    statuses: LogStatuses,
    progress: Progress | None = None,
    end: Callable[[], None] = lambda: None,
) -> Iterator[Task]:
    """Validated tasks of one repository, in a fixed order: the same seed gives the same tasks, whatever the workers.

    Args:
        settings: what to make; `output` is not written.
        run_tests: runs a task's tests with a patch in a fresh sandbox (`swe_srl.grading.run_tests`).
        statuses: test name to status of such a run's log (`swe_srl.grading.log_parser_statuses`).
        progress: told of functions screened and tasks validated.
        end: ends what `run_tests` still runs, which nobody waits for any more: synthesis is over, or was interrupted.

    Raises:
        TaskError: the repository has no tests, or they do not pass.
        SandboxError: the local sandbox failed, or a task's tests could not be run.
    """
    settings.check()
    progress = progress or SilentProgress()
    source = repository_source(settings.source)
    names = _Names(settings.name or f"local/{Path(settings.source).name}", source, prepare_repository(source, "").path)
    searches = _searches(names.root, settings)
    progress.track("tasks", settings.count)
    made = 0
    with ExitStack() as stack:
        pool = ThreadPoolExecutor(settings.workers)
        stack.callback(pool.shutdown, cancel_futures=True)
        screens = stack.enter_context(_screens(names, settings))
        stack.callback(end)
        passing = screens[0].passing
        idle: SimpleQueue[Screen] = SimpleQueue()
        for screen in screens:
            idle.put(screen)

        def attempt(search: Search) -> tuple[Task, ValidationResult] | None:
            screen = idle.get()
            try:
                bug = screen.next_bug(search)
            finally:
                idle.put(screen)
            task = build_task(bug, names.repo, source, names.root, passing, settings.seed) if bug else None
            return (task, validate(task, run_tests, statuses)) if task else None

        for batch in _batches(searches, settings):
            for outcome in pool.map(attempt, batch):
                if outcome is None:
                    continue
                task, result = outcome
                if result.infrastructure:  # nothing is known of the mutation: without it, other tasks would be made
                    raise SandboxError("; ".join(dict.fromkeys(result.problems)))
                if not result.valid:
                    progress.note(f"a mutation of {names.repo} is left out: {'; '.join(result.problems)}")
                elif made < settings.count:
                    made += 1
                    named = replace(task, instance_id=f"{names.repo.replace('/', '__')}-{made}")
                    progress.advance("tasks", info=named.instance_id)
                    yield named
            if made >= settings.count:
                return


def synthesise_to_file(
    settings: SynthesiseSettings,
    run_tests: RunTests,
    statuses: LogStatuses,
    progress: Progress | None = None,
    end: Callable[[], None] = lambda: None,
) -> list[Task]:
    """`synthesise`, written whole to `settings.file` as SWE-bench rows."""
    tasks = list(synthesise(settings, run_tests, statuses, progress, end))
    write_jsonl(settings.file, (task.row() for task in tasks))
    return tasks


def repository_source(given: str) -> str:
    """A `Task.source` for what the user gave: a folder becomes `dir:<absolute path>`.

    Raises:
        TaskError: no such folder.
    """
    if given.partition(":")[0] in {"packaged", "dir", "git", "archive"}:
        return given
    if not Path(given).is_dir():
        raise TaskError(f"{given}: no such folder: a source is a repository's folder or `git:<folder>@<commit>`")
    return f"dir:{Path(given).resolve()}"


@dataclass(frozen=True, slots=True)
class _Names:
    repo: str
    source: str
    root: Path


def _searches(root: Path, settings: SynthesiseSettings) -> list[Search]:
    """One search per function that can be mutated, in an order drawn from the seed."""
    texts = {path: (root / path).read_text() for path in module_paths(root)}
    found = {path: mutations(text) for path, text in texts.items()}
    availability = Counter(mutation.kind for several in found.values() for mutation in several)
    searches = []
    for path, several in found.items():
        for function in dict.fromkeys(mutation.function for mutation in several):
            stream = random.Random(f"{settings.seed}:{path}:{function}")
            own = [mutation for mutation in several if mutation.function == function]
            if settings.difficulty:
                own = [mutation for mutation in own if _difficulty(mutation, path, texts) in settings.difficulty]
            order = deque(preference(own, availability, stream))
            searches.append(Search(path, texts[path], order, settings.attempts))
    random.Random(f"{settings.seed}:functions").shuffle(searches)
    return searches


def _difficulty(mutation: Mutation, path: str, texts: Mapping[str, str]) -> str:
    """That of the task: the issues written here name the function."""
    edits = open_edits({**texts, path: mutation.source}, path, mutation.function, mutation.function)
    return level(edits, mutation.kind)


def _batches(searches: Sequence[Search], settings: SynthesiseSettings) -> Iterator[Sequence[Search]]:
    """Every function once, then every function again, in batches that keep the workers busy."""
    size = settings.workers * 4
    for _ in range(settings.per_function):
        for start in range(0, len(searches), size):
            yield searches[start : start + size]


@contextmanager
def _screens(names: _Names, settings: SynthesiseSettings) -> Iterator[list[Screen]]:
    """One screen, with its sandbox, per worker."""
    tests = {test.identifier: test for test in read_tests(names.root)}
    limits = Limits(command_seconds=settings.timeout, output_bytes=4_000_000)
    spec = SandboxSpec(repository=str(names.root), limits=limits)
    with ExitStack() as stack:
        sandboxes = [stack.enter_context(closing(LocalSandbox(spec))) for _ in range(settings.workers)]
        passing = baseline(sandboxes[0], settings.timeout, settings.source)
        yield [Screen(sandbox, tests, passing, settings.timeout) for sandbox in sandboxes]
