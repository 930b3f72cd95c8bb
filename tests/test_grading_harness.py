"""swebench's rules, loaded cheaply, are swebench's own."""

from __future__ import annotations

import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from grading_support import tiny_task

from swe_srl.errors import GradingError, TaskError
from swe_srl.grading import reading
from swe_srl.grading.harness import (
    UnreadableLogError,
    command_of,
    log_parser_statuses,
    official_report,
    official_script,
    parsed_statuses,
    spec_of,
    unbounded_report,
)

LOG = """+ : '>>>>> Start Test Output'
test_double (tests.test_calc.TestCalc.test_double) ... ok
test_double_zero (tests.test_calc.TestCalc.test_double_zero) ... ok
test_add (tests.test_calc.TestCalc.test_add) ... {add}
test_add_zero (tests.test_calc.TestCalc.test_add_zero) ... ok

----------------------------------------------------------------------
Ran 4 tests in 0.001s

+ : '>>>>> End Test Output'
>>>>> Test Exit Code: {code}
"""
PARITY = """
import json, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from grading_support import tiny_task
from swe_srl.grading import harness
heavy = [name for name in ("datasets", "modal", "docker", "pandas") if name in sys.modules]
module = harness.grading_module()
heavy += [name for name in ("datasets", "modal", "docker", "pandas", "swebench.harness") if name in sys.modules]
assert not heavy, heavy
task = tiny_task(Path("unused"), prepare=False)
ours = harness.spec_of(task)
import swebench.harness, swebench.harness.run_evaluation
from swebench.harness.utils import make_test_spec
assert swebench.harness.grading is module
row = {{**task.row(), "image": "none"}}
theirs = make_test_spec(row)
assert vars(theirs) == {{**vars(ours), "image": "none"}}, (vars(theirs), vars(ours))
library = (Path(harness.__file__).parent / "collect.bash").read_text()
places = [library.index("'" + attempt + "'") for attempt in swebench.harness.run_evaluation.GIT_APPLY_CMDS]
assert places == sorted(places), places
print("same")
"""


@pytest.fixture
def task(tmp_path: Path):
    return tiny_task(tmp_path, prepare=False)


def test_the_cheap_import_gives_the_same_modules_and_specs_as_the_full_one() -> None:
    code = PARITY.format(tests=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "same", done.stderr[-2000:]


def test_statuses_are_read_between_the_markers(task) -> None:
    log = "test_x (outside.T.test_x) ... ok\n" + LOG.format(add="FAIL", code=1)
    statuses = log_parser_statuses(task, log)
    assert statuses[task.fail_to_pass[0]] == "FAILED"
    assert len(statuses) == 4
    assert not any("outside" in name for name in statuses)


def test_a_resolved_and_an_unresolved_log(task) -> None:
    resolved = official_report(task, LOG.format(add="ok", code=0))
    assert resolved.resolved and resolved.parsed
    assert resolved.fail_to_pass_passed == task.fail_to_pass
    assert set(resolved.pass_to_pass_passed) == set(task.pass_to_pass)
    unresolved = official_report(task, LOG.format(add="FAIL", code=1))
    assert not unresolved.resolved and unresolved.parsed
    assert unresolved.fail_to_pass_failed == task.fail_to_pass


def test_a_log_without_markers_is_not_parsed(task) -> None:
    report = official_report(task, "Cannot allocate memory\n")
    assert not report.resolved and not report.parsed
    assert report.fault == "out_of_memory"


def test_an_exit_status_that_contradicts_the_log_is_not_resolved(task) -> None:
    assert not official_report(task, LOG.format(add="ok", code=3)).resolved


def test_the_script_records_the_exit_status_out_of_the_parsed_region(task) -> None:
    lines = official_script(task, "/tmp/status").splitlines()
    end = next(index for index, line in enumerate(lines) if "End Test Output" in line)
    assert lines[end - 1] == "SWEBENCH_TEST_EXIT_CODE=$?"
    assert lines[end + 1 : end + 3] == [
        'echo ">>>>> Test Exit Code: $SWEBENCH_TEST_EXIT_CODE"',
        'echo "$SWEBENCH_TEST_EXIT_CODE" >/tmp/status',
    ]
    assert command_of(task) == "python3 -m unittest -v"


def test_rows_that_cannot_be_graded_say_what_they_lack(task) -> None:
    with pytest.raises(TaskError, match=r"no eval_script.*since swebench 5"):
        spec_of(replace(task, eval_script=""))
    with pytest.raises(TaskError, match="no log_parser"):
        official_report(replace(task, log_parser=""), "")
    with pytest.raises(TaskError, match="did you mean 'parse_log_django'"):
        official_report(replace(task, log_parser="parse_log_djang"), "")


@pytest.mark.parametrize("line", ["ERROR:", "FAIL:", "  ERROR:  "])
def test_a_log_on_which_the_parser_fails_is_unresolved(task, line: str) -> None:
    log = LOG.format(add=f"ok\n{line}", code=0)
    report = official_report(task, log)
    assert not report.resolved and not report.parsed and "IndexError" in report.problem
    assert log_parser_statuses(task, log) == {}
    with pytest.raises(UnreadableLogError, match="the log parser fails on the log"):
        parsed_statuses(task, log)


SLOW = {  # logs over which regular expressions of swebench's take days
    "parse_log_django": "x ... Testing against Django installed in \n" * 50_000,
    "parse_log_sympy": "_" * 1_000_000,
}


@pytest.mark.parametrize("parser", SLOW)
def test_a_log_made_to_keep_the_parser_busy_is_unresolved(
    task, parser: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(reading, "SECONDS", 5)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = sorted(tmp_path.iterdir())
    task = replace(task, log_parser=parser)
    log = LOG.format(add=f"ok\n{SLOW[parser]}", code=0)
    report = official_report(task, log)
    assert not report.resolved and not report.parsed
    assert report.problem == "the log parser fails on the log: it takes longer than 5 seconds"
    assert log_parser_statuses(task, log) == {}
    assert sorted(tmp_path.iterdir()) == before, "the process that was ended left no file"


@pytest.mark.parametrize("more", ["", "\nnothing" * reading.LONG_CHARACTERS], ids=["here", "elsewhere"])
def test_a_log_that_there_is_no_room_for_is_nobodys_fault(task, more: str) -> None:
    """A patch that resolves the task was counted as unresolved."""
    log = LOG.format(add="ok" + more, code=0)
    assert official_report(task, log).resolved
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (0, before[1])
    )  # as good as a full disk; the process that reads inherits it
    try:
        with pytest.raises(GradingError, match="its log cannot be handed to the harness's rules"):
            official_report(task, log)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_long_log_is_read_as_a_short_one(task) -> None:
    """Also one on which the parser fails."""
    for said in ("ok", "FAIL", "ok\nERROR:"):
        log = LOG.format(add=said + "\nnothing" * reading.LONG_CHARACTERS, code=0)
        assert official_report(task, log) == unbounded_report(task, log)
    with pytest.raises(UnreadableLogError, match="IndexError"):
        parsed_statuses(task, log)
    assert len(parsed_statuses(task, LOG.format(add="ok" + "\nnothing" * reading.LONG_CHARACTERS, code=0))) == 4


def test_a_process_that_reads_and_is_lost_twice_is_told(task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    report = official_report(task, LOG.format(add="ok" + "\nnothing" * reading.LONG_CHARACTERS, code=0))
    assert not report.resolved
    assert report.problem.endswith("the process that reads it ended with status 1, twice")
