"""Canaries pass and fail as they were made to, and notice who tampers with the runner."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from grading_support import tiny_task

from swe_srl.grading.canaries import Runner, disobedient, make_canaries, runner_of
from swe_srl.grading.harness import parsed_statuses
from swe_srl.types import Task

TAMPERED = """
import unittest
unittest.TestCase.failureException = KeyError
for name in ("assertEqual", "assertTrue", "assertIn", "fail"):
    setattr(unittest.TestCase, name, lambda self, *rest, **more: None)
"""


def write(folder: Path, files: dict[str, str]) -> None:
    for path, source in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(source)


def statuses_of(task: Task, command: str, folder: Path, prelude: str = "") -> tuple[int, dict[str, str]]:
    (folder / "sitecustomize.py").write_text(prelude)
    words = [sys.executable, *command.split()[1:]]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env={"PYTHONPATH": str(folder)})
    return done.returncode, parsed_statuses(task, done.stdout + done.stderr)


def canaries_for(task: Task, command: str, seed: int = 1):
    return make_canaries(task, command, random.Random(seed))


@pytest.fixture
def unittest_task(tmp_path: Path) -> Task:
    return tiny_task(tmp_path / "unused", prepare=False)


@pytest.fixture
def pytest_task(unittest_task: Task) -> Task:
    ids = ("tests/test_a.py::test_one",)
    return replace(unittest_task, fail_to_pass=ids, pass_to_pass=(), test_patch="", log_parser="parse_log_pytest")


@pytest.mark.parametrize("command", ["python3 -m unittest -v", "python3 -m unittest -v tests.test_a"])
def test_unittest_canaries(unittest_task: Task, tmp_path: Path, command: str) -> None:
    made = canaries_for(unittest_task, command)
    write(tmp_path, {"tests/__init__.py": "", "tests/test_a.py": "", **made.files})
    code, statuses = statuses_of(unittest_task, made.command, tmp_path)
    assert code == 1
    assert disobedient(made.expected, statuses) == []
    assert sum(made.expected.values()) >= 2 and sum(not passes for passes in made.expected.values()) >= 5


def test_unittest_canaries_follow_the_start_folder(unittest_task: Task, tmp_path: Path) -> None:
    made = canaries_for(unittest_task, "python3 -m unittest discover -s tests -v")
    assert all(path.startswith("tests/") for path in made.files)
    write(tmp_path, {"tests/__init__.py": "", **made.files})
    assert disobedient(made.expected, statuses_of(unittest_task, made.command, tmp_path)[1]) == []


def test_pytest_canaries(pytest_task: Task, tmp_path: Path) -> None:
    made = canaries_for(pytest_task, "python3 -m pytest -rA -p no:cacheprovider tests/test_a.py")
    write(tmp_path, {"tests/test_a.py": "def test_one(): pass\n", **made.files})
    code, statuses = statuses_of(pytest_task, made.command, tmp_path)
    assert code == 1
    assert statuses["tests/test_a.py::test_one"] == "PASSED"
    assert disobedient(made.expected, statuses) == []


def test_a_tampered_runner_is_noticed(unittest_task: Task, tmp_path: Path) -> None:
    made = canaries_for(unittest_task, "python3 -m unittest -v")
    write(tmp_path, dict(made.files))
    wrong = disobedient(made.expected, statuses_of(unittest_task, made.command, tmp_path, TAMPERED)[1])
    assert len(wrong) >= 3 and all(not made.expected[name] for name in wrong)


def test_names_are_new_every_time(unittest_task: Task) -> None:
    first, second = (canaries_for(unittest_task, "python3 -m unittest -v", seed) for seed in (1, 2))
    assert not first.expected.keys() & second.expected.keys()


def test_missing_canaries_are_noticed() -> None:
    expected = {"test_a": True, "test_b": False}
    assert disobedient(expected, {"test_a (m.T.test_a)": "PASSED", "test_b (m.T.test_b)": "FAILED"}) == []
    assert disobedient(expected, {"test_a (m.T.test_a)": "PASSED"}) == ["test_b"]
    assert disobedient(expected, {"test_a": "PASSED", "test_b": "ERROR", "m::test_b": "PASSED"}) == ["test_b"]


@pytest.mark.parametrize(
    ("command", "runner"),
    [
        ("pytest -rA tests/test_a.py", Runner.PYTEST),
        ("tox --current-env -epy39 -v -- tests/test_a.py", Runner.PYTEST),
        ("./tests/runtests.py --verbosity 2 --settings=test_sqlite --parallel 1 admin_views.tests", Runner.DJANGO),
        ("PYTHONWARNINGS='ignore' bin/test -C --verbose sympy/core/tests/test_a.py", Runner.SYMPY),
        ("python3 -m unittest -v", Runner.UNITTEST),
        ("pytest -rA -k add tests/test_a.py", Runner.OTHER),
        ("make check", Runner.OTHER),
    ],
)
def test_runners(command: str, runner: Runner) -> None:
    assert runner_of(command) is runner


def test_places_of_other_runners(pytest_task: Task) -> None:
    django = canaries_for(pytest_task, "./tests/runtests.py --parallel 1 admin_views.tests")
    package = django.command.split()[-1].removesuffix(".tests")
    assert set(django.files) == {f"tests/{package}/__init__.py", f"tests/{package}/tests.py"}
    sympy_task = replace(pytest_task, test_patch="--- a/sympy/core/tests/test_a.py\n+++ b/sympy/core/tests/test_a.py\n")
    sympy = canaries_for(sympy_task, "bin/test -C --verbose sympy/core/tests/test_a.py")
    (path,) = sympy.files
    assert path.startswith("sympy/core/tests/test_") and sympy.command.endswith(path)
    assert "class" not in sympy.files[path]
    assert canaries_for(pytest_task, "make check").files == {}
