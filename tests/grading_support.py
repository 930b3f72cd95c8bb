"""A tiny repository with a bug, its task, and patches for it."""

from __future__ import annotations

import difflib
import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from swe_srl.grading import GradingSettings
from swe_srl.sandboxes.repository import prepare_repository
from swe_srl.types import Task, TestRun

CALC = '''"""Arithmetic."""


def add(a, b):
    return a - b


def double(a):
    return 2 * a
'''
TESTS = """import unittest

from calc import add, double


class TestCalc(unittest.TestCase):
    def test_double(self):
        self.assertEqual(double(4), 8)

    def test_double_zero(self):
        self.assertEqual(double(0), 0)
"""
ADDED = """
    def test_add(self):
        self.assertEqual(add(2, 3), 5)

    def test_add_zero(self):
        self.assertEqual(add(7, 0), 7)
"""
GOLD = """diff --git a/calc.py b/calc.py
--- a/calc.py
+++ b/calc.py
@@ -2,7 +2,7 @@


 def add(a, b):
-    return a - b
+    return a + b


 def double(a):
"""
COMMAND = "python3 -m unittest -v"
FAIL_TO_PASS = ("test_add (tests.test_calc.TestCalc.test_add)",)
PASS_TO_PASS = tuple(
    f"{name} (tests.test_calc.TestCalc.{name})" for name in ("test_double", "test_double_zero", "test_add_zero")
)
SCRIPT = """#!/bin/bash
set -uxo pipefail
cd /testbed
git config --global --add safe.directory /testbed
cd /testbed
git status
git -c core.fileMode=false diff {commit}
git checkout {commit} tests/test_calc.py
git apply -v - <<'EOF_114329324912'
{patch}
EOF_114329324912
: '>>>>> Start Test Output'
{command}
: '>>>>> End Test Output'
git checkout {commit} tests/test_calc.py
"""


def new_file(path: str, text: str) -> str:
    """A patch that adds a file."""
    lines = text.rstrip("\n").split("\n")
    head = f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n"
    return head + f"@@ -0,0 +1,{len(lines)} @@\n" + "".join(f"+{line}\n" for line in lines)


def edit(path: str, old: str, new: str) -> str:
    """A patch that turns a file's text into another."""
    lines = (text.splitlines(keepends=True) for text in (old, new))
    return "".join(difflib.unified_diff(*lines, f"a/{path}", f"b/{path}"))


def calc_prepend(text: str, fixed: bool = False) -> str:
    """A patch that puts lines before calc.py's own and leaves the bug, or fixes it."""
    return edit("calc.py", CALC, f"{text}\n" + (CALC.replace("a - b", "a + b") if fixed else CALC))


def test_patch() -> str:
    """The patch that adds the graded tests."""
    return edit("tests/test_calc.py", TESTS, TESTS + ADDED)


test_patch.__test__ = False  # type: ignore[attr-defined]  # not a test for pytest


def make_repository(folder: Path, top: bool = False) -> Path:
    """The repository's files in a plain folder; with `top`, its test file is no folder's."""
    tests = folder if top else folder / "tests"
    tests.mkdir(parents=True)
    (folder / "calc.py").write_text(CALC)
    (tests / "test_calc.py").write_text(TESTS)
    if not top:
        (tests / "__init__.py").write_text("")
    return folder


def tiny_task(folder: Path, name: str = "tiny__calc-1", prepare: bool = True, top: bool = False) -> Task:
    """The task on a repository made in `folder`; without `prepare`, only for judging; with `top`, its test file is at the top."""
    source, commit = "", "0" * 40
    if prepare:
        source = f"dir:{make_repository(folder, top)}"
        commit = prepare_repository(source).base_commit
    patch, script, names = test_patch(), SCRIPT, (FAIL_TO_PASS, PASS_TO_PASS)
    if top:
        patch, script = (
            patch.replace("tests/", ""),
            script.replace("tests/", "").replace("{command}", "{command} test_calc"),
        )
        names = tuple(tuple(test.replace("tests.", "") for test in tests) for tests in names)  # type: ignore[assignment]
    return Task(
        instance_id=name,
        repo="tiny/calc",
        base_commit=commit,
        problem_statement="add(2, 3) gives -1.",
        patch=GOLD,
        test_patch=patch,
        fail_to_pass=names[0],
        pass_to_pass=names[1],
        version="1.0",
        eval_script=script.format(commit=commit, patch=patch.rstrip("\n"), command=COMMAND),
        log_parser="parse_log_django",
        source=source,
        extra=json.dumps({"eval_type": "pass_and_fail"}),
    )


def named(task: Task, name: str) -> Task:
    """The same task under another name."""
    return replace(task, instance_id=name)


def interrupted_tests(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Test runs that never end by themselves; the first sends SIGTERM. The list gets, per run, whether it was ended."""
    ended: list[bool] = []

    def run_tests(task: Task, patch: str, grading: GradingSettings) -> TestRun:
        if not ended:
            time.sleep(0.3)  # the main thread waits by then
            os.kill(os.getpid(), signal.SIGTERM)
        deadline = time.monotonic() + 100
        while not (grading.open and grading.open.ended) and time.monotonic() < deadline:
            time.sleep(0.02)
        ended.append(bool(grading.open and grading.open.ended))
        return TestRun("", None, False, error="ended")

    monkeypatch.setattr("swe_srl.grading.run_tests", run_tests)
    return ended
