"""Is a task sound: its tests tell the unfixed repository from the fixed one, as the row says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from swe_srl.types import Task, TestRun

RunTests = Callable[[Task, str], TestRun]  # (task, patch): runs the task's tests in a fresh sandbox
LogStatuses = Callable[
    [Task, str], Mapping[str, str]
]  # (task, log): test name to PASSED, FAILED, ERROR, SKIPPED, XFAIL
_PASSED = frozenset({"PASSED", "XFAIL"})
_SHOWN = 3  # tests named in one problem


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """What validation found. `problems` is empty for a sound task.

    `infrastructure` is True when the tests could not be run at all: then nothing is known about the task.
    """

    task_id: str
    problems: tuple[str, ...] = ()
    infrastructure: bool = False

    @property
    def valid(self) -> bool:
        return not self.problems


def validate(task: Task, run_tests: RunTests, statuses: LogStatuses) -> ValidationResult:
    """Run a task's tests without and with the gold patch, and compare with what the row says.

    Without it, every FAIL_TO_PASS test must not pass and every PASS_TO_PASS test must pass; with it, all must pass.

    Args:
        task: needs `patch`, `eval_script` and `log_parser`.
        run_tests: `swe_srl.grading.run_tests`, or anything like it; its empty patch means the base commit as it is.
        statuses: `swe_srl.grading.log_parser_statuses`, or anything like it.
    """
    needed = {"patch": task.patch, "FAIL_TO_PASS": task.fail_to_pass, "eval_script": task.eval_script}
    missing = [name for name, value in needed.items() if not value]
    if missing:
        return ValidationResult(task.instance_id, (f"the row has no {', '.join(missing)}",))
    before, after = run_tests(task, ""), run_tests(task, task.patch)
    failures = [run.error for run in (before, after) if run.error]
    if failures:
        return ValidationResult(task.instance_id, tuple(failures), infrastructure=True)
    problems = [*_run_problems(before, "without the gold patch"), *_run_problems(after, "with the gold patch")]
    if not problems:
        problems += _before_problems(task, statuses(task, before.log)) + _after_problems(
            task, statuses(task, after.log)
        )
    return ValidationResult(task.instance_id, tuple(problems))


def check_unfixed(task: Task, run_tests: RunTests, statuses: LogStatuses) -> ValidationResult:
    """The first half of `validate`: a task's tests without the gold patch."""
    run = run_tests(task, "")
    if run.error:
        return ValidationResult(task.instance_id, (run.error,), infrastructure=True)
    problems = _run_problems(run, "without the gold patch") or _before_problems(task, statuses(task, run.log))
    return ValidationResult(task.instance_id, tuple(problems))


def _run_problems(run: TestRun, when: str) -> list[str]:
    problems = [] if run.applied else [f"the patch does not apply ({when})"]
    return [*problems, f"the tests outran their limit {when}"] if run.timed_out else problems


def _before_problems(task: Task, found: Mapping[str, str]) -> list[str]:
    early = [name for name in task.fail_to_pass if found.get(name) in _PASSED]
    broken = [name for name in task.pass_to_pass if found.get(name) not in _PASSED]
    return [
        *_named("FAIL_TO_PASS tests pass without the gold patch", early),
        *_named("PASS_TO_PASS tests do not pass without the gold patch", broken),
    ]


def _after_problems(task: Task, found: Mapping[str, str]) -> list[str]:
    unfixed = [name for name in (*task.fail_to_pass, *task.pass_to_pass) if found.get(name) not in _PASSED]
    return _named("tests do not pass with the gold patch", unfixed)


def _named(problem: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return [f"{len(names)} {problem}: {', '.join(names[:_SHOWN])}{more}"]
