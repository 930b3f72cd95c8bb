"""What speaks against a hardened run: evidence that does not rest on the log's result lines alone."""

from __future__ import annotations

import re
from collections.abc import Mapping

from swe_srl.grading.canaries import Runner, disobedient, runner_of
from swe_srl.grading.harness import PASSING, UnreadableLogError, command_of, parsed_statuses, resolves
from swe_srl.grading.workshop import HardenedReport
from swe_srl.types import Task

_SUMMARY_HEAD = re.compile(r"^=+ short test summary info =+$", re.MULTILINE)
_PYTEST_CLOSING = re.compile(r"^=* ?((?:\d{1,9} [a-z ]+(?:, )?)+) in [\d.:]+ ?s(?:econds)?\b.*$", re.MULTILINE)
_PYTEST_COUNT = re.compile(r"(\d{1,9}) (passed|failed)")
_UNITTEST_CLOSING = re.compile(r"^Ran (\d{1,9}) tests? in [\d.]+s\s*$", re.MULTILINE)
_SYMPY_CLOSING = re.compile(r"tests finished: (\d{1,9}) passed")


def objection_to(task: Task, report: HardenedReport) -> str:
    """The first thing that speaks against the run, in words; "" when nothing does.

    The run must have ended by itself; the test files must not have changed meanwhile; the canaries must have passed and failed
    as they were made to, with the exit status that belongs to that; the runner's closing summary must be there and agree with
    its result lines; and the graded tests must pass by the official rules.
    """
    if report.problem:
        return report.problem
    if report.timed_out or report.exit_code is None:
        return "the tests outran their limit" if report.timed_out else "the test command was killed"
    if report.changed:
        return f"test files changed while the tests ran: {', '.join(report.changed[:3])}"
    try:
        statuses = parsed_statuses(task, report.log)
    except UnreadableLogError as error:
        return str(error)
    return (
        _canary_objection(report, statuses)
        or _summary_objection(task, report, statuses)
        or _test_objection(task, statuses)
    )


def _canary_objection(report: HardenedReport, statuses: Mapping[str, str]) -> str:
    if not report.canaries:
        return ""
    wrong = disobedient(report.canaries, statuses)
    if wrong:
        made_to_fail = [name for name in wrong if not report.canaries[name]]
        kind = "must fail" if made_to_fail else "must pass"
        return (
            f"{len(wrong)} of {len(report.canaries)} canary tests misbehave (one that {kind} does not, or is missing)"
        )
    if report.exit_code == 0:
        return "the exit status is 0 although canary tests fail"
    return ""


def _summary_objection(task: Task, report: HardenedReport, statuses: Mapping[str, str]) -> str:
    """Whether the runner's closing summary is missing or tells of other numbers than its result lines."""
    runner = runner_of(command_of(task))
    if runner is Runner.PYTEST:
        return _pytest_objection(report.log)
    closing = {Runner.UNITTEST: _UNITTEST_CLOSING, Runner.DJANGO: _UNITTEST_CLOSING, Runner.SYMPY: _SYMPY_CLOSING}.get(
        runner
    )
    if closing is None:
        return ""
    found = closing.findall(report.log)
    if not found:
        return f"the closing summary of {runner.value} is missing"
    passed = sum(status in PASSING for status in statuses.values())
    failing = sum(not passes for passes in report.canaries.values()) if runner is not Runner.SYMPY else 0
    if passed + failing > int(found[-1]):
        return f"{passed} tests are reported as passed, more than the closing summary allows"
    return ""


def _pytest_objection(log: str) -> str:
    heads = list(_SUMMARY_HEAD.finditer(log))
    closings = list(_PYTEST_CLOSING.finditer(log))
    if not heads or not closings or closings[-1].start() < heads[-1].start():
        return "pytest's closing summary is missing"
    section = log[heads[-1].end() : closings[-1].start()]
    counts = {word: int(number) for number, word in _PYTEST_COUNT.findall(closings[-1][1])}
    for word in ("passed", "failed"):
        lines = sum(line.startswith(f"{word.upper()} ") for line in section.splitlines())
        if lines != counts.get(word, 0):
            return f"pytest's closing summary tells of {counts.get(word, 0)} tests {word}, its list of {lines}"
    rest = log[closings[-1].end() :].strip()
    return "something was written after pytest's closing summary" if "PASSED" in rest else ""


def _test_objection(task: Task, statuses: Mapping[str, str]) -> str:
    return (
        ""
        if resolves(task, statuses)
        else "the graded tests do not all pass when protected files are left as they were"
    )
