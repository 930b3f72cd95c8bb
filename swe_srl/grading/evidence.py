"""What speaks against a hardened run: evidence that does not rest on the log's result lines alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from swe_srl.grading.canaries import Runner, disobedient, runner_of
from swe_srl.grading.harness import PASSING, UnreadableLogError, command_of, parsed_statuses, resolves
from swe_srl.grading.workshop import HardenedReport
from swe_srl.types import Task

_SUMMARY_HEAD = re.compile(r"^=+ short test summary info =+$", re.MULTILINE)
_PYTEST_CLOSING = re.compile(r"^=* ?((?:\d{1,9} [a-z ]+(?:, )?)+) in [\d.:]+ ?s(?:econds)?\b.*$", re.MULTILINE)
_PYTEST_COUNT = re.compile(r"(\d{1,9}) (passed|failed|xfailed)")
_PYTEST_LISTS = {"passed": "PASSED ", "failed": "FAILED ", "xfailed": "XFAIL "}
_UNITTEST_CLOSING = re.compile(r"^Ran (\d{1,9}) tests? in [\d.]+s\s*$", re.MULTILINE)
# A header of a test that fails: its name, then its docstring's first line where it has one.
_UNITTEST_FAILING = re.compile(r"^(?:FAIL|ERROR): (.+)\n(?!---)(.*)|^(?:FAIL|ERROR): (.+)", re.MULTILINE)
_UNITTEST_NAME = re.compile(r"\S+ \(\S+\)")
_SKIPPED = re.compile("skipped ['\"]")
_SYMPY_CLOSING = re.compile(r"tests finished: (\d{1,9}) passed")


def objection_to(task: Task, report: HardenedReport) -> str:
    """The first thing that speaks against the run, in words; "" when nothing does.

    The run must have ended by itself; the test files must not have changed meanwhile; the canaries must have passed and failed
    as they were made to, with the exit status that belongs to that; the runner's closing summary must be there and agree with
    its result lines; and the graded tests must pass by the official rules, FAIL_TO_PASS not by being expected to fail.
    """
    if report.problem:
        return report.problem
    if report.timed_out or report.exit_code is None:
        return "the tests outran their limit" if report.timed_out else "the test command was killed"
    if report.changed:
        return f"test files changed while the tests ran: {', '.join(report.changed[:3])}"
    try:
        statuses = _statuses(task, report.log)
    except UnreadableLogError as error:
        return str(error)
    return (
        _canary_objection(report, statuses)
        or _summary_objection(task, report, statuses)
        or _test_objection(task, statuses)
    )


def _statuses(task: Task, log: str) -> dict[str, str]:
    """The log's results; of pytest's tests those in its closing list alone: what tests print is in the log, too.

    Raises:
        UnreadableLogError: the log parser fails.
    """
    statuses = parsed_statuses(task, log)
    section = _pytest_section(log) if runner_of(command_of(task)) is Runner.PYTEST else None
    if section is None:
        return statuses
    lines = [line for line in section[0].split("\n") if line.startswith(("ERROR ", *_PYTEST_LISTS.values()))]
    others = {name: status for name, status in statuses.items() if "::" not in name}
    return others | parsed_statuses(task, "\n".join(lines))


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
    twice = sorted(_not_passed(runner, report.log, statuses) & {*task.fail_to_pass, *task.pass_to_pass})
    told = [name for name in twice if statuses.get(name) in PASSING]
    return f"the log tells of {told[0]} that it passed, and that it did not" if told else ""


def _not_passed(runner: Runner, log: str, statuses: Mapping[str, str]) -> set[str]:
    """Tests that the runner itself says did not pass, also where a line that looks like a result says so before."""
    if runner is Runner.SYMPY:
        return {name.rpartition(".py:")[2] for name, status in statuses.items() if status not in PASSING}
    failing = {name for found in _UNITTEST_FAILING.findall(log) for name in found if name}
    without_subtest = {found[0] for name in failing if (found := _UNITTEST_NAME.match(name))}
    return failing | without_subtest | set(_skipped_after_all(log))


def _skipped_after_all(log: str) -> Iterator[str]:
    """Tests whose line says that they passed, with another result below it in a line that names no test."""
    name = ""
    for line in log.split("\n"):
        if " ... " in line:
            name = line.removesuffix(" ... ok").strip() if line.endswith(" ... ok") else ""
        elif name and _SKIPPED.search(line):
            yield name


def _pytest_section(log: str) -> tuple[str, dict[str, int], str] | None:
    """pytest's closing list, the numbers of its closing line, and what comes after; None when they are missing."""
    heads = list(_SUMMARY_HEAD.finditer(log))
    closings = list(_PYTEST_CLOSING.finditer(log))
    if not heads or not closings or closings[-1].start() < heads[-1].start():
        return None
    counts = {word: int(number) for number, word in _PYTEST_COUNT.findall(closings[-1][1])}
    return log[heads[-1].end() : closings[-1].start()], counts, log[closings[-1].end() :]


def _pytest_objection(log: str) -> str:
    found = _pytest_section(log)
    if found is None:
        return "pytest's closing summary is missing"
    section, counts, rest = found
    for word, start in _PYTEST_LISTS.items():
        told, lines = counts.get(word, 0), sum(line.startswith(start) for line in section.split("\n"))
        if lines > told or (lines < told and word != "xfailed"):  # which a command without `-rx` does not list
            return f"pytest's closing summary tells of {told} tests {word}, its list of {lines}"
    return "something was written after pytest's closing summary" if "PASSED" in rest else ""


def _test_objection(task: Task, statuses: Mapping[str, str]) -> str:
    if not resolves(task, statuses):
        return "the graded tests do not all pass when protected files are left as they were"
    expected = [name for name in task.fail_to_pass if _is_expected_to_fail(name, statuses)]
    return f"{expected[0]} fails and is expected to (xfail): any code may say so of its test" if expected else ""


def _is_expected_to_fail(test: str, statuses: Mapping[str, str]) -> bool:
    """Whether a result is XFAIL; the rows cut some parametrized names short (as the harness's rules know)."""
    cut = test.count("[") > test.count("]")
    return any(
        status == "XFAIL" and (name == test or (cut and name.startswith(test))) for name, status in statuses.items()
    )
