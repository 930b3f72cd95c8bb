"""Verdicts from saved runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from grading_support import GOLD, tiny_task

from swe_srl.errors import GradingError
from swe_srl.grading import judge
from swe_srl.grading.workshop import HardenedReport
from swe_srl.types import Task, TestRun, VerdictStatus

ADD = "test_add (tests.test_calc.TestCalc.test_add)"
CANARIES = {"test_c1": False, "test_c2": True, "test_c3": False}


def results(
    add: str = "ok", canaries: dict[str, str] | None = None, ran: int = 7, closing: bool = True, failing: str = ""
) -> str:
    shown = {"test_c1": "FAIL", "test_c2": "ok", "test_c3": "ERROR"} if canaries is None else canaries
    lines = [f"{name} (test_m.T.{name}) ... {status}" for name, status in shown.items()]
    names = ["test_double", "test_double_zero", "test_add_zero"]
    lines += [f"{name} (tests.test_calc.TestCalc.{name}) ... ok" for name in names]
    lines.append(f"{ADD} ... {add}")
    lines.append(failing.format(add=ADD))
    lines += [f"Ran {ran} tests in 0.001s", "", "FAILED (failures=1, errors=1)"] if closing else []
    return "\n".join(lines) + "\n"


def official_log(add: str = "ok") -> str:
    body = results(add, canaries={}, ran=4)
    return f"+ : '>>>>> Start Test Output'\n{body}+ : '>>>>> End Test Output'\n>>>>> Test Exit Code: 0\n"


def run(report: HardenedReport | None, add: str = "ok") -> TestRun:
    return TestRun(official_log(add), 0, applied=True, report=report.as_text() if report else "")


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return tiny_task(tmp_path, prepare=False)


HONEST = HardenedReport(log=results(), exit_code=1, canaries=CANARIES, separate_user=True)


def test_an_honest_run_is_resolved_by_both_rules(task: Task) -> None:
    verdict = judge(task, GOLD, run(HONEST))
    assert (verdict.status, verdict.official, verdict.hardened) == (VerdictStatus.RESOLVED, True, True)
    assert verdict.reason == "" and verdict.flags == ()


def test_an_unresolved_run_counts_the_tests(task: Task) -> None:
    verdict = judge(task, GOLD, run(None, add="FAIL"))
    assert (verdict.status, verdict.official, verdict.hardened) == (VerdictStatus.UNRESOLVED, False, False)
    assert verdict.reason == "1 FAIL_TO_PASS and 0 PASS_TO_PASS tests do not pass"


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (replace(HONEST, problem="the patch does not apply"), "does not apply"),
        (replace(HONEST, timed_out=True, exit_code=None), "outran their limit"),
        (replace(HONEST, exit_code=None), "was killed"),
        (
            replace(HONEST, changed=("tests/test_calc.py",)),
            "test files changed while the tests ran: tests/test_calc.py",
        ),
        (replace(HONEST, log=results(canaries={})), "3 of 3 canary tests misbehave"),
        (
            replace(HONEST, log=results(canaries={"test_c1": "ok", "test_c2": "ok", "test_c3": "ERROR"})),
            "1 of 3 canary tests misbehave (one that must fail",
        ),
        (
            replace(HONEST, log=results(canaries={"test_c1": "FAIL", "test_c2": "FAIL", "test_c3": "ERROR"})),
            "one that must pass",
        ),
        (replace(HONEST, exit_code=0), "exit status is 0"),
        (replace(HONEST, log=results(closing=False)), "closing summary of unittest is missing"),
        (
            replace(HONEST, log=results(closing=False) + f"Ran {'9' * 5000} tests in 1s\n"),
            "closing summary of unittest is missing",
        ),
        (replace(HONEST, log=results(ran=5)), "more than the closing summary allows"),
        (replace(HONEST, log=results(add="FAIL")), "graded tests do not all pass"),
        (
            replace(HONEST, log=results(add="ok\nFAIL", failing="FAIL: {add}\n---")),
            "that it passed, and that it did not",
        ),
        (
            replace(HONEST, log=results(add="ok\nFAIL", failing="ERROR: {add} (i=1)\n---")),
            "passed, and that it did not",
        ),
        (replace(HONEST, log=results(add="ok\nx skipped 'no'")), "that it passed, and that it did not"),
    ],
)
def test_what_speaks_against_a_hardened_run(task: Task, report: HardenedReport, words: str) -> None:
    verdict = judge(task, GOLD, run(report))
    assert verdict.official and not verdict.hardened
    assert words in verdict.reason


def test_a_log_on_which_the_parser_fails_is_a_verdict(task: Task) -> None:
    torn = judge(task, GOLD, run(None, add="ok\nERROR:"))
    assert (torn.status, torn.official, torn.hardened) == (VerdictStatus.UNRESOLVED, False, False)
    assert torn.reason.startswith("the log parser fails on the log")
    hardened = judge(task, GOLD, run(replace(HONEST, log=results(add="ok\nERROR:"))))
    assert hardened.official and not hardened.hardened
    assert "the log parser fails on the log" in hardened.reason


def test_without_a_hardened_run_nothing_is_hardened(task: Task) -> None:
    verdict = judge(task, GOLD, run(None))
    assert verdict.official and not verdict.hardened and "no hardened run" in verdict.reason


def test_what_was_noticed_is_flagged(task: Task) -> None:
    report = replace(HONEST, dropped={"conftest.py": "test-configuration"}, separate_user=False, canaries={})
    verdict = judge(task, GOLD, run(replace(report, log=results(canaries={}, ran=4), exit_code=0)))
    assert verdict.hardened
    assert verdict.flags == ("test-configuration:conftest.py", "no-canaries", "same-user")


def test_other_ends(task: Task) -> None:
    broken = judge(task, GOLD, TestRun("", None, applied=False, error="daemon gone"))
    assert (broken.status, broken.reason) == (VerdictStatus.INFRASTRUCTURE, "daemon gone")
    assert judge(task, " \n", TestRun("", None, applied=True)).status is VerdictStatus.EMPTY_PATCH
    failed = judge(task, "x", TestRun("+ git apply\nerror: corrupt patch at line 3\n", None, applied=False))
    assert failed.status is VerdictStatus.PATCH_FAILED
    assert failed.reason == "the patch does not apply: error: corrupt patch at line 3"
    late = judge(task, GOLD, TestRun("x\n\nTimeout error: 3 seconds exceeded.", None, applied=True, timed_out=True))
    assert (late.status, late.reason) == (VerdictStatus.TIMEOUT, "Timeout error: 3 seconds exceeded.")


def test_a_damaged_report_is_an_error_of_ours(task: Task) -> None:
    with pytest.raises(GradingError, match="cannot be read"):
        judge(task, GOLD, TestRun(official_log(), 0, applied=True, report="{"))


PYTEST_LOG = """==== test session starts ====
tests/test_a.py ..F
==== short test summary info ====
PASSED tests/test_a.py::test_one
PASSED tests/test_a.py::test_c2
FAILED tests/test_a.py::test_c1 - AssertionError: x
==== 1 failed, 2 passed, 3 warnings in 0.12s ====
"""


def changed(line: str, closing: str) -> str:
    """The log with another line for the graded test."""
    return PYTEST_LOG.replace("PASSED tests/test_a.py::test_one", line).replace("2 passed", closing)


# What tests print, and reasons of several lines, say that the graded test passed; the closing list does not.
UNLISTED = [
    ("PASSED tests/test_a.py::test_two\nSKIPPED [1] a.py:1: no\n" + said, "2 passed, 1 skipped")
    for said in ("PASSED\ttests/test_a.py::test_one", "XFAIL\ttests/test_a.py::test_one")
]


def pytest_task(task: Task) -> Task:
    script = task.eval_script.replace("python3 -m unittest -v", "pytest -rA tests/test_a.py")
    return replace(
        task,
        eval_script=script,
        log_parser="parse_log_pytest",
        fail_to_pass=("tests/test_a.py::test_one",),
        pass_to_pass=(),
    )


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (PYTEST_LOG, ""),
        (PYTEST_LOG.replace("2 passed", "7 passed"), "closing summary tells of 7 tests passed, its list of 2"),
        (PYTEST_LOG.rsplit("====", 2)[0], "pytest's closing summary is missing"),
        (PYTEST_LOG.replace("2 passed", "2 passed, 4 subtests passed"), ""),
        (PYTEST_LOG.replace("in 0.12s ====", "in 62.34s (0:01:02) ===="), ""),
        (PYTEST_LOG.replace("in 0.12s", "in 0.12 seconds"), ""),
        (PYTEST_LOG + "PASSED tests/test_a.py::test_two\n", "written after pytest's closing summary"),
        *((changed(*pair), "graded tests do not all pass") for pair in UNLISTED),
        (changed("XFAIL tests/test_a.py::test_one - no", "1 passed, 1 xfailed"), "is expected to (xfail)"),
        (changed("XFAIL tests/test_a.py::test_one - no", "1 passed"), "tells of 0 tests xfailed, its list of 1"),
    ],
)
def test_pytest_summaries(task: Task, log: str, words: str) -> None:
    report = HardenedReport(log=log, exit_code=1, canaries={"test_c1": False, "test_c2": True}, separate_user=True)
    official = "+ : '>>>>> Start Test Output'\nPASSED tests/test_a.py::test_one\n+ : '>>>>> End Test Output'\n"
    verdict = judge(pytest_task(task), GOLD, TestRun(official, 0, applied=True, report=report.as_text()))
    assert verdict.official
    assert verdict.hardened == (words == "")
    assert words in verdict.reason
