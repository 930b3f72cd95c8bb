"""swebench's own parsers and rules, without the cost of its harness.

`import swebench.harness` imports Docker, `datasets`, pandas and a cloud client: seconds, for a few pure functions. The
grading modules import none of them, so they are loaded here without running their package's `__init__`; what is loaded is
the same modules under the same names, and a later full import works as usual.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

from swe_srl.errors import GradingError, SweSrlError, TaskError, suggest
from swe_srl.grading.reading import LONG_CHARACTERS, UnfinishedLogError, read_elsewhere
from swe_srl.types import Task

_PACKAGE = "swebench.harness"
_IMPORTING = threading.Lock()
START_MARKER = ">>>>> Start Test Output"
END_MARKER = ">>>>> End Test Output"
ERRORED_MARKER = ">>>>> Tests Errored"  # the harness's own: a log that holds it is not resolved
EXIT_MARKER = ">>>>> Test Exit Code"
EXIT_VARIABLE = "SWEBENCH_TEST_EXIT_CODE"
PASSING = frozenset({"PASSED", "XFAIL"})


class UnreadableLogError(SweSrlError, ValueError):
    """The log parser fails on a log. What the tests wrote is to blame: a verdict, not a failure of the infrastructure."""


@dataclass(frozen=True, slots=True)
class OfficialReport:
    """What the harness's rules say of one log.

    `parsed` is False when the log holds no usable test output; `fault` then names the environment fault the harness
    suspects, or is "", and `problem` says how the log parser failed, or is "".
    """

    resolved: bool
    parsed: bool
    fault: str = ""
    problem: str = ""
    fail_to_pass_passed: tuple[str, ...] = ()
    fail_to_pass_failed: tuple[str, ...] = ()
    pass_to_pass_passed: tuple[str, ...] = ()
    pass_to_pass_failed: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def grading_module() -> ModuleType:
    """`swebench.harness.grading`.

    Raises:
        GradingError: swebench is not installed, or is older than 5.
    """
    with _IMPORTING:
        if _PACKAGE in sys.modules:
            return import_module(f"{_PACKAGE}.grading")
        try:
            spec = find_spec(_PACKAGE)
            if spec is None:
                raise GradingError("swebench has no harness: install swebench 5 or newer")
            sys.modules[_PACKAGE] = module_from_spec(spec)  # knows where its modules are; its `__init__` is not run
            try:
                return import_module(f"{_PACKAGE}.grading")
            finally:
                del sys.modules[_PACKAGE]
                vars(sys.modules["swebench"]).pop("harness", None)
        except ImportError as error:
            raise GradingError(f"swebench's grading cannot be imported ({error}): pip install 'swebench>=5'") from error


def log_parser(task: Task) -> Any:
    """The parser of the task's test logs, as the row names it.

    Raises:
        TaskError: the row names none, or one that swebench does not have.
    """
    registry = grading_module().PARSER_REGISTRY
    if not task.log_parser:
        raise TaskError(
            f"{task.instance_id}: the row has no log_parser; rows of before swebench 5 lack it: get newer ones"
        )
    if task.log_parser not in registry:
        raise TaskError(f"{task.instance_id}: {suggest(task.log_parser, registry, 'log parser')}")
    return registry[task.log_parser]


def log_parser_statuses(task: Task, log: str) -> dict[str, str]:
    """Status of every test that the log tells of: PASSED, FAILED, ERROR, SKIPPED or XFAIL, by test name.

    Reads what is between the harness's markers when they are there, else the whole text. A log on which the parser fails
    tells of none.

    Raises:
        TaskError: the row names no log parser that swebench has.
    """
    if START_MARKER in log and END_MARKER in log:
        log = log.split(START_MARKER)[1].split(END_MARKER)[0]
    try:
        return parsed_statuses(task, log)
    except UnreadableLogError:
        return {}


def parsed_statuses(task: Task, text: str) -> dict[str, str]:
    """What the task's log parser reads in a text, all of it.

    Raises:
        UnreadableLogError: the parser fails on the text, or takes too long over it (see `swe_srl.grading.reading`).
        TaskError: the row names no log parser that swebench has.
    """
    log_parser(task)
    statuses: dict[str, str] = _bounded(unbounded_statuses, task, text)
    return statuses


def _bounded(read: Callable[[Task, str], Any], task: Task, log: str) -> Any:
    """What a function of this module reads in a log: a long one is read by a process of its own, for a bounded time."""
    if len(log) <= LONG_CHARACTERS:
        return read(task, log)
    try:
        return read_elsewhere(read.__name__, task, log)
    except UnfinishedLogError as error:
        raise UnreadableLogError(f"the log parser fails on the log: {error}") from error


def unbounded_statuses(task: Task, text: str) -> dict[str, str]:
    """`parsed_statuses`, however long it takes."""
    parse, spec = log_parser(task), spec_of(task)
    try:
        statuses: dict[str, str] = parse(text, spec)
    except Exception as error:  # parsers take lines apart by position: anything may come of a line they do not expect
        raise UnreadableLogError(_parser_problem(error)) from error
    return statuses


def _parser_problem(error: Exception) -> str:
    return f"the log parser fails on the log ({type(error).__name__}: {error})"


def resolves(task: Task, statuses: Mapping[str, str]) -> bool:
    """Whether test results resolve the task, by the harness's rules."""
    module, spec = grading_module(), spec_of(task)
    wanted = {"instance_id": task.instance_id, "FAIL_TO_PASS": spec.FAIL_TO_PASS, "PASS_TO_PASS": spec.PASS_TO_PASS}
    report = module.get_eval_tests_report(dict(statuses), wanted, eval_type=module.EvalType(spec.eval_type))
    return bool(module.get_resolution_status(report) == module.ResolvedStatus.FULL.value)


def official_report(task: Task, log: str) -> OfficialReport:
    """Grade a log by the harness's rules (`swebench.harness.grading.get_eval_report`).

    A log on which a parser fails, or takes too long (see `swe_srl.grading.reading`), is not resolved: the harness lists the
    instance as an error and goes on.

    Raises:
        TaskError: the row names no log parser that swebench has.
        GradingError: there is no room for the file that the harness reads the log from: that is not the patch's fault.
    """
    log_parser(task)
    try:
        report: OfficialReport = _bounded(unbounded_report, task, log)
    except UnreadableLogError as error:
        return OfficialReport(resolved=False, parsed=False, problem=str(error))
    return report


def unbounded_report(task: Task, log: str) -> OfficialReport:
    """`official_report`, however long it takes."""
    module, spec = grading_module(), spec_of(task)
    prediction = {"instance_id": task.instance_id, "model_patch": "given", "model_name_or_path": "swe-srl"}
    try:
        # A file without a name: none stays when an alarm ends this process.
        with tempfile.TemporaryFile("w", encoding="utf-8") as file:
            file.write(log)
            file.flush()
            try:
                name = f"/proc/self/fd/{file.fileno()}"
                reports = module.get_eval_report(spec, prediction, name, include_tests_status=True)
            except OSError:
                raise
            except Exception as error:  # see parsed_statuses
                return OfficialReport(resolved=False, parsed=False, problem=_parser_problem(error))
    except OSError as error:
        raise GradingError(f"{task.instance_id}: its log cannot be handed to the harness's rules: {error}") from error
    report = reports[task.instance_id]
    if not report["patch_successfully_applied"]:
        return OfficialReport(resolved=False, parsed=False, fault=str(report.get("infra_failure_reason", "")))
    wanted, kept = report["tests_status"]["FAIL_TO_PASS"], report["tests_status"]["PASS_TO_PASS"]
    return OfficialReport(
        resolved=bool(report["resolved"]),
        parsed=True,
        fail_to_pass_passed=tuple(wanted["success"]),
        fail_to_pass_failed=tuple(wanted["failure"]),
        pass_to_pass_passed=tuple(kept["success"]),
        pass_to_pass_failed=tuple(kept["failure"]),
    )


def spec_of(task: Task) -> Any:
    """The row as the harness's `TestSpec` (what `swebench.harness.utils.make_test_spec` makes, which imports `datasets`)."""
    row = task.row()
    return import_module("swebench.types").TestSpec(
        instance_id=task.instance_id,
        image=task.image,
        eval_script_list=record_exit_code(script_lines(task)),
        repo=task.repo,
        version=task.version,
        FAIL_TO_PASS=list(task.fail_to_pass),
        PASS_TO_PASS=list(task.pass_to_pass),
        log_parser=task.log_parser,
        eval_type=row.get("eval_type") or "pass_and_fail",
    )


def script_lines(task: Task) -> list[str]:
    """The evaluation script's lines without its shebang and `set`.

    Raises:
        TaskError: the row has no evaluation script.
    """
    if not task.eval_script:
        raise TaskError(
            f"{task.instance_id}: the row has no eval_script, so its tests cannot be run. SWE-bench's rows have it since "
            "swebench 5: get newer ones (SWE-bench/SWE-bench_Lite, SWE-bench/SWE-bench_Verified). For SWE-Gym's, SWE-smith's and "
            "SWE-rebench's it is made, if their columns and their image (or --images RULE) are there"
        )
    return [line for line in task.eval_script.strip().split("\n") if line not in ("#!/bin/bash", "set -uxo pipefail")]


def command_of(task: Task) -> str:
    """The test command: what the evaluation script has between the harness's markers; "" when they are not there."""
    prelude, command = split_script(task)
    return "" if prelude is None else command


def split_script(task: Task) -> tuple[list[str] | None, str]:
    """The evaluation script's lines before the test command, and the command; (None, "") without the harness's markers."""
    lines = script_lines(task)
    start = next((index for index, line in enumerate(lines) if START_MARKER in line), None)
    end = next((index for index, line in enumerate(lines) if END_MARKER in line), None)
    if start is None or end is None or start >= end:
        return None, ""
    return lines[:start], "\n".join(lines[start + 1 : end])


def record_exit_code(lines: list[str]) -> list[str]:
    """The script with the test command's own exit status kept and printed after the end marker, as the harness does."""
    for index, line in enumerate(lines):
        if END_MARKER in line:
            kept = [f"{EXIT_VARIABLE}=$?", line, f'echo "{EXIT_MARKER}: ${EXIT_VARIABLE}"']
            return [*lines[:index], *kept, *lines[index + 1 :]]
    return lines


def official_script(task: Task, status_file: str) -> str:
    """The script that the harness runs in the container; it also leaves the test command's exit status in `status_file`.

    Raises:
        TaskError: the row has no evaluation script.
    """
    lines = record_exit_code(script_lines(task))
    marker = next((index for index, line in enumerate(lines) if END_MARKER in line), None)
    if marker is not None:
        lines.insert(marker + 2, f'echo "${EXIT_VARIABLE}" >{status_file}')
    return "\n".join(["#!/bin/bash", "set -uxo pipefail", *lines]) + "\n"
