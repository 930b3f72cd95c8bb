"""Synthesis: withholding, diffs, issues, choice, validation."""

from __future__ import annotations

import random
import subprocess
from collections import Counter, deque
from pathlib import Path

import pytest

from swe_srl.cli import main
from swe_srl.errors import ConfigError, SandboxError, TaskError
from swe_srl.tasks import validate
from swe_srl.tasks.synthesis.issue import MAX_CHARACTERS, Example, double_quoted, write_issue
from swe_srl.tasks.synthesis.mutations import mutations
from swe_srl.tasks.synthesis.pipeline import repository_source, synthesise
from swe_srl.tasks.synthesis.screening import Screen, Search, baseline, preference
from swe_srl.tasks.synthesis.settings import SynthesiseSettings
from swe_srl.tasks.synthesis.suite import log_outcomes, methods_of, module_paths, read_tests
from swe_srl.tasks.synthesis.withholding import file_diff, tree_diff, withhold
from swe_srl.types import CommandResult, Task, TestRun
from tests.grading_support import interrupted_tests

MODULE = '''def clamp(x, low, high):
    """Keep a number in a range."""
    return max(low, min(x, high))


def double(x):
    return x * 2
'''
TESTS = """from toy.nums import *
import unittest


class TestNums(unittest.TestCase):
    def test_clamp_1(self):
        self.assertEqual(clamp(5, 0, 3), 3)

    def test_clamp_2(self):
        self.assertEqual(clamp(-5, 0, 3), 0)

    def test_double_1(self):
        self.assertEqual(double(2), 4)

    def test_double_2(self):
        self.assertEqual(double(3), 6)


class TestMore(unittest.TestCase):
    def test_loop(self):
        for i in range(3):
            self.assertEqual(double(i), i + i)
"""
NAMES = [test.identifier for test in methods_of("tests/test_nums.py", TESTS)]


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    for path, text in {
        "toy/__init__.py": "",
        "toy/nums.py": MODULE,
        "tests/__init__.py": "",
        "tests/test_nums.py": TESTS,
        ".hidden/x.py": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


class PlainSandbox:
    """Runs commands in a folder of the host: for the project's own toy repository only."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, command: str, timeout: float | None = None) -> CommandResult:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.root,
            env={"PATH": "/usr/bin:/bin:/usr/local/bin", "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        return CommandResult(done.stdout, done.returncode, 0.0)

    def write_file(self, path: str, data: bytes) -> None:
        (self.root / path).write_bytes(data)


def test_the_suite_is_read(toy: Path) -> None:
    assert module_paths(toy) == ["toy/__init__.py", "toy/nums.py"]
    tests = read_tests(toy)
    assert tests[0].identifier == "test_clamp_1 (tests.test_nums.TestNums.test_clamp_1)"
    assert (tests[0].expression, tests[0].expected) == ("clamp(5, 0, 3)", "3")
    assert tests[0].importing == "from toy.nums import *"
    assert tests[0].calls("clamp")
    assert not tests[0].calls("double")
    assert (tests[4].name, tests[4].expression) == ("test_loop", "")


def test_a_titled_test_is_known_by_its_title() -> None:
    text = (
        'class T:\n    def test_a(self):\n        """Adds up.\n\n        More."""\n        self.assertEqual(f(), 1)\n'
    )
    assert methods_of("t.py", text)[0].identifier == "Adds up."
    log = "test_a (t.T.test_a)\nAdds up. ... ok\ntest_b (t.T.test_b) ... skipped 'no'\n"
    assert log_outcomes(log) == {"Adds up.": "ok", "test_b (t.T.test_b)": "skipped"}


def test_withheld_tests_come_back_with_the_diff(tmp_path: Path) -> None:
    withheld = withhold("tests/test_nums.py", TESTS, NAMES[1:3])
    assert [test.identifier for test in methods_of("tests/test_nums.py", withheld)] == [NAMES[0], *NAMES[3:]]
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_nums.py").write_text(withheld)
    diff = file_diff("tests/test_nums.py", withheld, TESTS)
    subprocess.run(["git", "apply", "-"], input=diff, text=True, cwd=tmp_path, check=True)
    assert (tmp_path / "tests/test_nums.py").read_text() == TESTS


def test_an_emptied_class_keeps_pass() -> None:
    withheld = withhold("tests/test_nums.py", TESTS, NAMES[4:])
    assert "class TestMore(unittest.TestCase):\n    pass\n" in withheld
    compile(withheld, "t", "exec")


def test_diff_of_files_without_a_last_newline(tmp_path: Path) -> None:
    diff = tree_diff({"a": "x\ny", "b": "same"}, {"a": "x\nz", "b": "same"})
    (tmp_path / "a").write_text("x\ny")
    subprocess.run(["git", "apply", "-"], input=diff, text=True, cwd=tmp_path, check=True)
    assert (tmp_path / "a").read_text() == "x\nz"
    assert "b/b" not in diff


def test_issue_names_the_example_and_nothing_else() -> None:
    example = Example("from a import *", "clamp(5, 0, 3)", "3", "TypeError: no", raised=True)
    texts = {write_issue("clamp", example, random.Random(seed)) for seed in range(20)}
    assert len(texts) == 3
    assert all("`clamp(5, 0, 3)`" in text and "raises `TypeError: no`" in text and "`3`" in text for text in texts)
    long = Example("", "f(1)", "1", "x" * MAX_CHARACTERS, raised=False)
    assert write_issue("f", long, random.Random(0)) == ""


@pytest.mark.parametrize(
    ("text", "shown"), [("'a'", '"a"'), ("['it', 1]", '["it", 1]'), ("'\"'", "'\"'"), ("<x 'y'>", "<x 'y'>")]
)
def test_double_quoted(text: str, shown: str) -> None:
    assert double_quoted(text) == shown


def test_every_kind_is_tried_before_a_kind_is_tried_again() -> None:
    found = [mutation for mutation in mutations(MODULE) if mutation.function == "clamp"]
    order = preference(found, Counter(mutation.kind for mutation in found), random.Random(1))
    kinds = len({mutation.kind for mutation in found})
    assert len({mutation.kind for mutation in order[:kinds]}) == kinds
    assert sorted(order, key=lambda m: m.new) == sorted(found, key=lambda m: m.new)
    again = preference(found, Counter(mutation.kind for mutation in found), random.Random(1))
    assert again == order


def screen_of(toy: Path) -> Screen:
    sandbox = PlainSandbox(toy)
    passing = baseline(sandbox, 30, "toy")  # type: ignore[arg-type]
    return Screen(sandbox, {test.identifier: test for test in read_tests(toy)}, passing, 30)  # type: ignore[arg-type]


def search_of(function: str, kind: str) -> Search:
    wanted = [mutation for mutation in mutations(MODULE) if (mutation.function, mutation.kind) == (function, kind)]
    return Search("toy/nums.py", MODULE, deque(wanted), 5)


def test_a_bug_is_what_some_tests_notice(toy: Path) -> None:
    screen = screen_of(toy)
    bug = screen.next_bug(search_of("clamp", "minmax"))
    assert bug is not None
    assert set(bug.failing) <= set(NAMES[:2])
    assert all(
        example.expression.startswith("clamp(") and example.wrong != example.expected for example in bug.examples
    )
    assert (toy / "toy/nums.py").read_text() == MODULE


def test_what_no_test_or_every_test_notices_is_no_bug(toy: Path) -> None:
    (toy / "tests/test_nums.py").write_text(withhold("tests/test_nums.py", TESTS, NAMES[:2] + NAMES[4:]))
    screen = screen_of(toy)
    assert screen.next_bug(search_of("clamp", "minmax")) is None
    assert screen.next_bug(search_of("double", "constant")) is None


def test_a_repository_with_failing_tests_is_refused(toy: Path) -> None:
    (toy / "toy/nums.py").write_text(MODULE.replace("x * 2", "x * 3"))
    with pytest.raises(TaskError, match=r"3 of its tests fail, the first is test_"):
        baseline(PlainSandbox(toy), 30, "toy")  # type: ignore[arg-type]
    (toy / "tests/test_nums.py").unlink()
    with pytest.raises(TaskError, match="finds no tests"):
        baseline(PlainSandbox(toy), 30, "toy")  # type: ignore[arg-type]


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="source is missing"):
        SynthesiseSettings().check()
    with pytest.raises(ConfigError, match="per_function must be at least 1, not 0"):
        SynthesiseSettings(source="x", per_function=0).check()
    with pytest.raises(TaskError, match="no such folder"):
        repository_source("/no/such/folder")


TASK = Task("t-1", "a/b", "0", "p", patch="fix", fail_to_pass=("f",), pass_to_pass=("p",), eval_script="run")


def verdict(before: dict[str, str], after: dict[str, str], **failures: object) -> tuple[str, ...]:
    def run_tests(task: Task, patch: str) -> TestRun:
        return TestRun(log="after" if patch else "before", exit_code=0, applied=True, **failures)  # type: ignore[arg-type]

    return validate(TASK, run_tests, lambda task, log: after if log == "after" else before).problems


def test_validation_compares_both_runs_with_the_row() -> None:
    good = {"f": "PASSED", "p": "PASSED"}
    assert verdict({"f": "FAILED", "p": "PASSED"}, good) == ()
    assert verdict({"p": "PASSED"}, good) == ()
    assert "FAIL_TO_PASS tests pass without" in verdict(good, good)[0]
    assert "PASS_TO_PASS tests do not pass without" in verdict({"f": "ERROR"}, good)[0]
    assert "1 tests do not pass with the gold patch: f" in verdict({"p": "PASSED"}, {"p": "PASSED"})[0]
    assert "outran their limit" in verdict({}, good, timed_out=True)[0]


def test_validation_tells_infrastructure_from_a_bad_task() -> None:
    broken = validate(TASK, lambda task, patch: TestRun("", None, False, error="no engine"), lambda task, log: {})
    assert (broken.infrastructure, broken.problems) == (True, ("no engine", "no engine"))
    bare = validate(Task("t-2", "a/b", "0", "p"), lambda task, patch: TestRun("", 0, True), lambda task, log: {})
    assert bare.problems == ("the row has no patch, FAIL_TO_PASS, eval_script",)


@pytest.mark.sandbox
def test_tests_that_cannot_be_run_leave_no_mutation_out(toy: Path) -> None:
    """The same seed would give other tasks, and nobody would be told."""
    settings = SynthesiseSettings(source=str(toy), count=1, workers=1)
    broken = TestRun("", None, False, error="no space is left")
    with pytest.raises(SandboxError, match=r"\Ano space is left\Z"):
        list(synthesise(settings, lambda task, patch: broken, lambda task, log: {}))


@pytest.mark.sandbox
def test_an_interrupted_synthesis_ends_its_tests(
    toy: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C does not wait for the tests that run: their sandboxes are closed."""
    ended = interrupted_tests(monkeypatch)
    output = tmp_path_factory.mktemp("out") / "tasks.jsonl"
    assert main(["tasks", "synthesise", str(toy), "--workers", "1", "--output", str(output)]) == 130
    assert set(ended) == {True} and len(ended) <= 2 and not output.exists()
