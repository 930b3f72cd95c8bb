"""Which edits of a patch are put back before the hardened run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from grading_support import GOLD, new_file, tiny_task

from swe_srl.grading.protection import Protection, graded_paths, patch_paths
from swe_srl.types import Task


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return tiny_task(tmp_path, prepare=False)


@pytest.mark.parametrize(
    ("path", "new", "reason"),
    [
        ("calc.py", False, ""),
        ("pkg/json.py", True, ""),
        ("helpers/unit.py", True, ""),
        ("docs/conf.py", False, ""),
        ("conftest.py", True, "test-configuration"),
        ("deep/down/conftest.py", True, "test-configuration"),
        ("pytest.ini", True, "test-configuration"),
        ("setup.cfg", False, "test-configuration"),
        ("tox.ini", False, "test-configuration"),
        ("tox.toml", True, "test-configuration"),
        ("sitecustomize/__init__.py", True, "shadows-module"),
        ("pyproject.toml", False, "test-configuration"),
        ("SITECUSTOMIZE.py", True, "test-configuration"),
        ("lib/usercustomize.py", True, "test-configuration"),
        ("evil.pth", True, "test-configuration"),
        ("src/x.egg-info/entry_points.txt", True, "test-configuration"),
        ("tests/test_calc.py", False, "graded-test"),
        ("tests/helpers.py", True, "graded-test"),
        ("unittest/__init__.py", True, "shadows-module"),
        ("pytest.py", True, "shadows-module"),
        ("json", True, "shadows-module"),
        ("json.txt", True, ""),
        ("random.py", False, ""),
        ("__pycache__/calc.cpython-311.pyc", True, "shadows-module"),
        ("pkg/calc.pyc", False, "shadows-module"),
        ("tests.py", True, "shadows-module"),
        ("tests.md", True, ""),
        (".git/hooks/post-checkout", True, "repository-internals"),
        ("../outside.py", True, "repository-internals"),
    ],
)
def test_reasons(task: Task, path: str, new: bool, reason: str) -> None:
    assert Protection(task, "python3 -m unittest -v").reason(path, new) == reason


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("checks/test_a/__init__.py", "shadows-module"),
        ("checks/test_a", "shadows-module"),  # a link to a package
        ("checks/test_a.cpython-311-x86_64-linux-gnu.so", "shadows-module"),
        ("checks.py", "shadows-module"),
        ("checks/test_a/data.json", ""),
        ("checks/test_a.json", ""),
        ("checks/test_ab.py", ""),
        ("other/test_a/__init__.py", ""),
    ],
)
def test_what_would_be_imported_instead_of_a_graded_file(task: Task, path: str, reason: str) -> None:
    named = replace(task, test_patch="", fail_to_pass=("checks/test_a.py::test_b",), pass_to_pass=())
    assert Protection(named, "pytest checks/test_a.py").reason(path, True) == reason


def test_a_script_that_runs_the_tests_is_protected(task: Task) -> None:
    protection = Protection(task, "PYTHONWARNINGS='ignore' bin/test -C --verbose sympy/core/tests/test_a.py")
    assert protection.reason("bin/test", False) == "graded-test"
    assert Protection(task, "./tools/run.py 'unbalanced").reason("tools/run.py", False) == ""
    for command in ("cd tests && bash ../run.sh", "cd checks; ./run.sh", "bash run.sh"):
        assert Protection(task, command).reason("run.sh", False) == "graded-test"
    assert Protection(task, "cd checks && ./run.sh").reason("checks/run.sh", False) == "graded-test"
    assert Protection(task, "./run.sh").reason("checks/run.sh", False) == ""


def test_what_make_reads_is_protected_where_it_runs_the_tests(task: Task) -> None:
    for path in ("Makefile", "GNUmakefile", "docs/makefile", "tools/tests.mk"):
        assert Protection(task, "cd /testbed && make test").reason(path, True) == "test-configuration"
        assert Protection(task, "python3 -m unittest -v").reason(path, True) == ""


def test_graded_files_come_from_the_test_patch_and_from_names(task: Task) -> None:
    assert graded_paths(task) == {"tests/test_calc.py"}
    named = replace(task, test_patch="", fail_to_pass=("a/test_b.py::test_c[x::y]",))
    assert graded_paths(named) == {"a/test_b.py"}


def test_a_source_package_named_test_is_not_protected(task: Task) -> None:
    django = replace(task, test_patch=new_file("tests/admin_views/tests.py", "x = 1"), fail_to_pass=(), pass_to_pass=())
    protection = Protection(django, "./tests/runtests.py admin_views.tests")
    assert protection.reason("django/test/client.py", False) == ""
    assert protection.reason("tests/urls.py", False) == "graded-test"


def test_patch_paths() -> None:
    assert patch_paths(GOLD) == ["calc.py"]
    assert patch_paths(new_file("a/b.py", "x")) == ["a/b.py"]
    renamed = "diff --git a/old.py b/new.py\nsimilarity index 100%\nrename from old.py\nrename to new.py\n"
    assert patch_paths(renamed) == ["new.py", "old.py"]
    assert patch_paths("") == []
