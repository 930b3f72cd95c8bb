"""Synthesis from end to end: repository → mutations → bugs that tests notice → tasks → validated tasks."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

from swe_srl.errors import TaskError
from swe_srl.files import write_jsonl
from swe_srl.progress import Progress, SilentProgress
from swe_srl.sandboxes import LocalSandbox
from swe_srl.sandboxes.repository import prepare_repository
from swe_srl.tasks.synthesis.build import build_task
from swe_srl.tasks.synthesis.mutations import Mutation, mutations
from swe_srl.tasks.synthesis.screening import Bug, Screen, baseline, preference
from swe_srl.tasks.synthesis.settings import SynthesiseSettings
from swe_srl.tasks.synthesis.suite import module_paths, read_tests
from swe_srl.tasks.validation import LogStatuses, RunTests, validate
from swe_srl.types import Limits, SandboxSpec, Task


@dataclass(frozen=True, slots=True)
class _Job:
    """The mutations of one function, in the order in which to try them."""

    path: str
    pristine: str
    candidates: tuple[Mutation, ...]


def synthesise(
    settings: SynthesiseSettings, run_tests: RunTests, statuses: LogStatuses, progress: Progress | None = None
) -> Iterator[Task]:
    """Validated tasks of one repository, in a fixed order: the same seed gives the same tasks, whatever the workers.

    Args:
        settings: what to make; `output` is not written.
        run_tests: runs a task's tests with a patch in a fresh sandbox (`swe_srl.grading.run_tests`).
        statuses: test name to status of such a run's log (`swe_srl.grading.log_parser_statuses`).
        progress: told of functions screened and tasks validated.

    Raises:
        TaskError: the repository has no tests, or they do not pass.
        SandboxError: the local sandbox failed.
    """
    settings.check()
    progress = progress or SilentProgress()
    source = repository_source(settings.source)
    repo = settings.repo or f"local/{Path(settings.source).name}"
    root = prepare_repository(source, "").path
    jobs = _jobs(root, settings)
    with ThreadPoolExecutor(settings.workers) as pool:
        passing, found = _screen(jobs, root, settings, pool, progress)
        names = (repo.replace("/", "__"), repo, source)
        built = _built(_in_rounds(found, settings.per_function), names, root, passing, settings.seed)
        progress.track("validating tasks", settings.limit)
        made = 0
        while made < settings.limit and (
            batch := list(islice(built, min(settings.workers * 4, settings.limit - made)))
        ):
            for task, result in zip(
                batch, pool.map(lambda task: validate(task, run_tests, statuses), batch), strict=True
            ):
                if not result.valid:
                    progress.note(f"{task.instance_id} left out: {'; '.join(result.problems)}")
                    continue
                made += 1
                progress.advance("validating tasks", info=task.instance_id)
                yield replace(task, instance_id=f"{names[0]}-{made}")


def synthesise_to_file(
    settings: SynthesiseSettings, run_tests: RunTests, statuses: LogStatuses, progress: Progress | None = None
) -> list[Task]:
    """`synthesise`, written whole to `settings.output` as SWE-bench rows."""
    tasks = list(synthesise(settings, run_tests, statuses, progress))
    write_jsonl(Path(settings.output), (task.row() for task in tasks))
    return tasks


def repository_source(given: str) -> str:
    """A `Task.source` for what the user gave: a folder becomes `dir:<absolute path>`.

    Raises:
        TaskError: no such folder.
    """
    if given.partition(":")[0] in {"packaged", "dir", "git", "archive"}:
        return given
    if not Path(given).is_dir():
        raise TaskError(f"{given}: no such folder: --source is a repository's folder or `git:<folder>@<commit>`")
    return f"dir:{Path(given).resolve()}"


def _jobs(root: Path, settings: SynthesiseSettings) -> list[_Job]:
    """One job per function that can be mutated, in an order drawn from the seed."""
    texts = {path: (root / path).read_text() for path in module_paths(root)}
    found = {path: mutations(text) for path, text in texts.items()}
    availability = Counter(mutation.kind for several in found.values() for mutation in several)
    jobs = []
    for path, several in found.items():
        for function in dict.fromkeys(mutation.function for mutation in several):
            stream = random.Random(f"{settings.seed}:{path}:{function}")
            own = [mutation for mutation in several if mutation.function == function]
            jobs.append(_Job(path, texts[path], tuple(preference(own, availability, stream))))
    random.Random(f"{settings.seed}:functions").shuffle(jobs)
    return jobs


def _screen(
    jobs: Sequence[_Job], root: Path, settings: SynthesiseSettings, pool: ThreadPoolExecutor, progress: Progress
) -> tuple[list[str], list[list[Bug]]]:
    """The tests that pass without a bug, and the bugs of every job, found in as many sandboxes as there are workers."""
    tests = {test.identifier: test for test in read_tests(root)}
    limits = Limits(command_seconds=settings.timeout, output_bytes=4_000_000)
    env = (("PYTHONDONTWRITEBYTECODE", "1"),)  # a module of the same size and second would run from its stale bytecode
    spec = SandboxSpec(repository=str(root), limits=limits, env=env)
    idle: SimpleQueue[LocalSandbox] = SimpleQueue()
    sandboxes = [LocalSandbox(spec) for _ in range(settings.workers)]
    try:
        passing = baseline(sandboxes[0], settings.timeout, settings.source)
        for sandbox in sandboxes:
            idle.put(sandbox)

        def run(job: _Job) -> list[Bug]:
            sandbox = idle.get()
            try:
                screen = Screen(sandbox, tests, passing, settings.timeout)
                bugs = screen.bugs(job.path, job.pristine, job.candidates, settings.per_function, settings.attempts)
                return list(bugs)
            finally:
                idle.put(sandbox)

        progress.track("screening functions", len(jobs))
        found = []
        for bugs in pool.map(run, jobs):
            found.append(bugs)
            progress.advance("screening functions")
        return passing, found
    finally:
        for sandbox in sandboxes:
            sandbox.close()


def _built(
    bugs: Sequence[Bug], names: tuple[str, str, str], root: Path, passing: Sequence[str], seed: int
) -> Iterator[Task]:
    """The tasks of the bugs, provisionally numbered; a bug without a presentable example is left out."""
    prefix, repo, source = names
    for number, bug in enumerate(bugs, start=1):
        task = build_task(bug, f"{prefix}-{number}", repo, source, root, passing, f"{seed}:{repo}:{number}")
        if task is not None:
            yield task


def _in_rounds(found: Sequence[Sequence[Bug]], rounds: int) -> list[Bug]:
    """The first bug of every function, then the second of every function, and so on."""
    return [bugs[turn] for turn in range(rounds) for bugs in found if turn < len(bugs)]
