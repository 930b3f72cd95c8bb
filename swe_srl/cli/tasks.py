"""`swe-srl tasks`: list, show and validate tasks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from swe_srl.cli.console import Console
from swe_srl.errors import ConfigError
from swe_srl.settings import check_at_least, setting
from swe_srl.types import Task

if TYPE_CHECKING:
    from swe_srl.tasks import ValidationResult

SPLIT = "A task set by name (quickstart, lite, verified, ...), a .json, .jsonl or .parquet file or folder, or a hub id."
REVISION = "Revision of a hub data set; empty for the pinned one."


@dataclass(frozen=True)
class ListSettings:
    """Settings of `swe-srl tasks list`."""

    split: str = setting("quickstart", SPLIT)
    revision: str = setting("", REVISION)
    repo: str = setting("", "Only tasks of this repository, such as pallets/flask.")
    difficulty: tuple[str, ...] = setting((), "Only tasks of these difficulties.")
    json: bool = setting(False, "Print the tasks as SWE-bench rows, one JSON object a line.")


@dataclass(frozen=True)
class ShowSettings:
    """Settings of `swe-srl tasks show`."""

    split: str = setting("", SPLIT)
    task: str = setting("", "The task's instance id.")
    revision: str = setting("", REVISION)
    json: bool = setting(False, "Print the SWE-bench row as JSON.")


@dataclass(frozen=True)
class ValidateSettings:
    """Settings of `swe-srl tasks validate`."""

    split: str = setting("", SPLIT)
    revision: str = setting("", REVISION)
    instances: tuple[str, ...] = setting((), "Only these instances: ids, or .txt lists.")
    limit: int = setting(0, "At most so many tasks; 0 for all.")
    sandbox: str = setting("auto", "Where the tests run.", choices=("auto", "local", "docker"))
    workers: int = setting(2, "Tasks validated at a time.")
    json: bool = setting(False, "Print the findings as JSON.")

    def __post_init__(self) -> None:
        check_at_least(self, limit=0, workers=1)


def list_tasks(settings: ListSettings, console: Console) -> None:
    """The tasks of a split, one a line."""
    from swe_srl.tasks import load_tasks
    from swe_srl.tasks.difficulty import difficulty_of, of_difficulty

    found = [
        task
        for task in load_tasks(settings.split, settings.revision)
        if not settings.repo or task.repo == settings.repo
    ]
    tasks = of_difficulty(found, settings.difficulty, settings.split)
    if settings.json:
        for task in tasks:
            console.say(json.dumps(task.row()))
        return
    rows = [_listed(task, difficulty_of(task)) for task in tasks]
    console.table(("task", "repository", "difficulty", ">to fix", ">to keep", "image or source"), rows)
    count = len({task.repo for task in tasks})
    console.say(f"{len(tasks)} tasks of {count} {'repository' if count == 1 else 'repositories'}")


def _listed(task: Task, difficulty: str) -> tuple[object, ...]:
    tests = (len(task.fail_to_pass), len(task.pass_to_pass))
    return task.instance_id, task.repo, difficulty, *tests, task.image or task.source


def show_task(settings: ShowSettings, console: Console) -> None:
    """One task: what the policy is told, and what it is not."""
    from swe_srl.tasks import load_tasks
    from swe_srl.tasks.difficulty import difficulty_of
    from swe_srl.tasks.problems import answer_of, is_problem

    (task,) = select(load_tasks(settings.split, settings.revision), (settings.task,), source=settings.split)
    if settings.json:
        console.json(task.row())
        return
    if is_problem(task):
        console.say(f"task: {task.instance_id}\nset: {task.repo}\n\n{task.problem_statement}")
        console.say(f"\n--- answer (never shown to a policy)\n{answer_of(task)}")
        return
    facts = {
        "task": task.instance_id,
        "repository": f"{task.repo} at {task.base_commit}",
        "version": task.version,
        "difficulty": difficulty_of(task),
        "image": task.image,
        "source": task.source,
        "tests to fix": ", ".join(task.fail_to_pass),
        "tests to keep": f"{len(task.pass_to_pass)}",
    }
    console.say("\n".join(f"{name}: {value}" for name, value in facts.items() if value))
    console.say(f"\n{task.problem_statement.rstrip()}\n\n--- gold patch (never shown to a policy)\n{task.patch}")


def validate_tasks(settings: ValidateSettings, console: Console) -> int:
    """Run each task's tests with and without the gold patch, or compare a problem's answer with itself; exit code 1 when a task
    is not sound."""
    from swe_srl.grading import GradingSettings, OpenSandboxes, log_parser_statuses, run_tests
    from swe_srl.grading.answers import check_answers, validate_answer
    from swe_srl.tasks import load_tasks, validate
    from swe_srl.tasks.problems import is_problem

    sandboxes = OpenSandboxes()
    grading = GradingSettings(sandbox=settings.sandbox, open=sandboxes)
    tasks = select(load_tasks(settings.split, settings.revision), settings.instances, settings.limit, settings.split)
    problems = [task for task in tasks if is_problem(task)]
    if problems:
        check_answers()
    console.sweep()
    progress = console.progress()
    progress.track("validate", len(tasks))

    def check(task: Task) -> ValidationResult:
        return validate(task, lambda of, patch: run_tests(of, patch, grading), log_parser_statuses)

    results = []
    for task in problems:  # answers are compared in the main thread alone
        results.append(validate_answer(task))
        progress.advance("validate", info=task.instance_id)
    with ExitStack() as stack:
        pool = ThreadPoolExecutor(settings.workers)
        stack.callback(pool.shutdown, cancel_futures=True)
        stack.callback(sandboxes.end)  # of an interrupted run: nobody waits for its tests
        for result in pool.map(check, [task for task in tasks if task not in problems]):
            progress.advance("validate", info=result.task_id)
            results.append(result)
    if settings.json:
        console.json([asdict(result) for result in results])
    else:
        tell_findings(results, console)
    return 0 if all(result.valid for result in results) else 1


def tell_findings(results: Sequence[ValidationResult], console: Console) -> None:
    """The tasks that are not sound, with their problems, and a count of all."""
    for result in results:
        for problem in result.problems:
            console.say(f"{result.task_id}: {'not run: ' if result.infrastructure else ''}{problem}")
    sound = sum(result.valid for result in results)
    unknown = sum(result.infrastructure for result in results)
    console.say(
        f"{sound} of {len(results)} tasks are sound, {len(results) - sound - unknown} are not, {unknown} unknown"
    )


def select(tasks: Sequence[Task], ids: Sequence[str], limit: int = 0, source: str = "") -> list[Task]:
    """The tasks of the set `source` with these ids or those in .txt lists (none given: all), at most `limit` of them (0: all).

    Raises:
        ConfigError: there is no task; an id that no task has: the set that holds it, or the nearest, is suggested.
    """
    from swe_srl.tasks.naming import chosen_ids, unknown_task

    if not tasks:
        raise ConfigError(f"{source}: there is no task in it")
    known, ids = {task.instance_id: task for task in tasks}, chosen_ids(ids)
    for name in ids:
        if name not in known:
            raise ConfigError(unknown_task(name, known, source))
    chosen = [known[name] for name in ids] if ids else list(tasks)
    return chosen[:limit] if limit else chosen
