"""Patches graded in the local sandbox."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest
from grading_support import GOLD, TESTS, calc_prepend, edit, new_file, tiny_task

from swe_srl.grading import GradingSettings, OpenSandboxes, grade, judge, log_parser_statuses, run_tests
from swe_srl.grading.runner import sandbox_spec, seconds_for_tests
from swe_srl.grading.workshop import HardenedReport, Workshop
from swe_srl.sandboxes import make_sandbox
from swe_srl.types import Task, TestRun, VerdictStatus

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return tiny_task(tmp_path_factory.mktemp("graded") / "calc")


def test_an_empty_patch_runs_the_base_commit(task: Task) -> None:
    run = run_tests(task, "")
    assert run.applied and not run.error and run.report == ""
    statuses = log_parser_statuses(task, run.log)
    assert statuses[task.fail_to_pass[0]] == "FAILED"
    assert all(statuses[name] == "PASSED" for name in task.pass_to_pass)
    assert run.exit_code == 1


def test_gold_twice_gives_the_same_verdict(task: Task) -> None:
    first, second = (replace(grade(task, GOLD), seconds=0.0) for _ in range(2))
    assert first == second
    assert first.official and first.hardened and first.fail_to_pass_passed == task.fail_to_pass


def test_a_wrong_patch_is_unresolved(task: Task) -> None:
    wrong = GOLD.replace("a + b", "b - a")
    verdict = grade(task, wrong)
    assert verdict.status is VerdictStatus.UNRESOLVED
    assert verdict.fail_to_pass_failed == task.fail_to_pass
    assert verdict.pass_to_pass_failed == ("test_add_zero (tests.test_calc.TestCalc.test_add_zero)",)


@pytest.mark.parametrize(
    "patch",
    [
        "nonsense",
        "diff --git a/x b/x\nhello\n",
        GOLD.replace("return a - b", "return c - d"),
        GOLD.replace("calc.py", "no.py"),
        GOLD.replace("a + b", "a + b  # \ud800"),
    ],
)
def test_a_patch_that_does_not_apply_is_a_verdict(task: Task, patch: str) -> None:
    verdict = grade(task, patch)
    assert verdict.status is VerdictStatus.PATCH_FAILED
    assert verdict.reason.startswith("the patch does not apply: ")


def test_a_sloppy_patch_applies_as_the_harness_applies_it(task: Task) -> None:
    shifted = GOLD.replace("@@ -2,7 +2,7 @@", "@@ -5,7 +5,7 @@")
    fuzzy = GOLD.replace(" def double(a):\n", " def dubble(a):\n")
    for patch in (shifted, fuzzy):
        verdict = grade(task, patch)
        assert verdict.official and verdict.hardened, verdict.reason


@pytest.mark.parametrize("status", ["\u00b2", "--5", "9" * 5000])
def test_a_patch_that_writes_an_exit_status_of_its_own_is_a_verdict(task: Task, status: str) -> None:
    """What is no number ended the evaluation. The file cannot be written again by who owns it, whom nothing privileges."""
    writes = f"""import glob, os
for place in glob.glob("/tmp/grading-*"):
    with open(place + "/status", "w", encoding="utf-8") as file:
        file.write({status!a})
    os.chmod(place + "/status", 0o400)"""
    run = run_tests(task, calc_prepend(writes))
    assert run.applied and not run.error and run.exit_code is None
    assert judge(task, calc_prepend(writes), run).status is VerdictStatus.UNRESOLVED


def test_an_endless_test_times_out(task: Task) -> None:
    kept: list[TestRun] = []
    endless = calc_prepend("while True: pass")
    verdict = grade(task, endless, GradingSettings(timeout=8.0), keep=kept.append)
    assert verdict.status is VerdictStatus.TIMEOUT
    assert verdict.reason == "Timeout error: 8 seconds exceeded."
    assert "Start Test Output" in kept[0].log, "what was logged so far is kept"


def test_a_row_may_bound_its_tests(task: Task) -> None:
    bounded = replace(task, extra=json.dumps({**json.loads(task.extra), "test_seconds": 2}))
    verdict = grade(bounded, calc_prepend("while True: pass"))
    assert verdict.status is VerdictStatus.TIMEOUT and "2 seconds" in verdict.reason
    for odd in (-1, "soon", None, 10_000):
        row = replace(task, extra=json.dumps({"test_seconds": odd}))
        assert seconds_for_tests(row, GradingSettings(timeout=50.0)) == 50.0


def test_a_grading_in_progress_can_be_ended(task: Task) -> None:
    opened = OpenSandboxes()
    later = threading.Timer(2.0, opened.end)
    later.start()
    verdict = grade(task, calc_prepend("while True: pass"), GradingSettings(timeout=100.0, open=opened))
    later.join()
    assert verdict.status is VerdictStatus.INFRASTRUCTURE
    assert verdict.seconds < 60


def test_background_children_do_not_keep_the_verdict_waiting(task: Task) -> None:
    left_behind = "import subprocess\nsubprocess.Popen(['sleep', '600'])"
    verdict = grade(task, calc_prepend(left_behind, fixed=True))
    assert verdict.official and verdict.hardened, verdict.reason
    assert verdict.seconds < 60


@pytest.mark.slow
def test_endless_output_is_bounded(task: Task) -> None:
    loud = calc_prepend("import os\nfor _ in range(1100): os.write(1, b'x' * 65535 + b'\\n')")
    run = run_tests(task, loud)
    assert run.applied and not run.error
    assert 60 << 20 < len(run.log) <= 64 << 20


def test_odd_files_in_a_patch(task: Task) -> None:
    odd = GOLD + new_file("a folder/ünï cödé.txt", "x") + new_file("tests/-n", "x")
    verdict = grade(task, odd)
    assert verdict.official and verdict.hardened, verdict.reason


def test_saved_runs_are_judged_without_a_sandbox(task: Task) -> None:
    run = run_tests(task, GOLD)
    verdict = judge(task, GOLD, run)
    assert verdict.official and verdict.hardened
    unhardened = run_tests(task, GOLD, GradingSettings(hardened=False))
    assert unhardened.report == "" and not judge(task, GOLD, unhardened).hardened


def hardened(task: Task, patch: str, before: str) -> HardenedReport:
    """The hardened run of a patch on the repository as the script `before` has left it."""
    with make_sandbox("local", sandbox_spec(task, GradingSettings())) as sandbox:
        assert sandbox.run(f"(set -e; cd /testbed; {before})").exit_code == 0
        return Workshop(sandbox, task, "/testbed").hardened(patch, 60.0)


def test_an_edit_that_attributes_hide_from_git_is_put_back(task: Task) -> None:
    """Read in the encoding that the patch claims, the test file is as it was; its name is written so that git alone reads it."""
    noted = "# noted\nimport calc\n"
    edited = edit("tests/test_noted.py", noted, noted.replace("noted\n", "noted+AAo-"))
    edited = edited.replace("--- a/tests/test_noted.py", '--- "a/tests/test_no\\164ed.py"')
    edited = edited.replace("+++ b/tests/test_noted.py", '+++ "b/tests/test_no\\164ed.py"')
    assert edited.count("\\164ed") == 2
    claims = new_file(".gitattributes", "tests/test_noted.py working-tree-encoding=UTF-7")
    commit = "printf '# noted\\nimport calc\\n' >tests/test_noted.py; git add .; git -c user.name=a -c user.email=b commit -qam m"
    report = hardened(task, GOLD + claims + edited, commit)
    assert report.problem == ""
    assert report.dropped == {".gitattributes": "test-configuration", "tests/test_noted.py": "graded-test"}


def test_an_edit_of_a_protected_file_that_git_does_not_know_speaks_against_the_patch(task: Task) -> None:
    """What an image's installation left in the repository: it is in no commit from which it could be put back."""
    before = "mkdir p.egg-info; echo '[x]' >p.egg-info/entry_points.txt; echo p.egg-info >>.git/info/exclude"
    report = hardened(task, GOLD + edit("p.egg-info/entry_points.txt", "[x]\n", "[pytest11]\nevil = evil\n"), before)
    assert report.problem.endswith("so that they cannot be put back: p.egg-info/entry_points.txt")
    assert hardened(task, GOLD, before).problem == ""


def test_an_edit_of_a_protected_link_beside_others_speaks_against_the_patch(task: Task) -> None:
    """The list of links had no ends of their names."""
    before = "for name in a conftest.py z; do ln -s old.py $name; echo /$name >>.git/info/exclude; done"
    last = "\\ No newline at end of file\n"
    moved = (
        "diff --git a/conftest.py b/conftest.py\nindex 1234567..89abcde 120000\n--- a/conftest.py\n+++ b/conftest.py\n"
    )
    moved += f"@@ -1 +1 @@\n-old.py\n{last}+new.py\n{last}"
    report = hardened(task, GOLD + moved + new_file("new.py", "evil = True"), before)
    assert report.problem.endswith("so that they cannot be put back: conftest.py")


def test_a_folder_of_tests_turned_into_a_link_is_put_back(task: Task) -> None:
    emptied = "".join(
        f"diff --git a/tests/{name} b/tests/{name}\ndeleted file mode 100644\n"
        + edit(f"tests/{name}", text, "").replace(f"+++ b/tests/{name}", "+++ /dev/null")
        for name, text in (("__init__.py", ""), ("test_calc.py", TESTS))
    )
    link = "diff --git a/tests b/tests\nnew file mode 120000\n--- /dev/null\n+++ b/tests\n@@ -0,0 +1 @@\n+other\n"
    link += "\\ No newline at end of file\n"
    passing = new_file("other/test_calc.py", TESTS.replace("double(4), 8", "1, 1"))
    report = hardened(task, GOLD + emptied + passing + link, "true")
    assert report.problem == "" and report.dropped["tests/test_calc.py"] == "graded-test"
    assert "test_double (tests.test_calc.TestCalc.test_double)" in report.log
