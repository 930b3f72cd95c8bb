"""Attacks on grading: what the official rules answer, and what ours do. None of these patches fixes the bug."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from grading_support import (
    CALC,
    COMMAND,
    FAIL_TO_PASS,
    GOLD,
    PASS_TO_PASS,
    TESTS,
    calc_prepend,
    edit,
    new_file,
    tiny_task,
)

from swe_srl.grading import grade
from swe_srl.sandboxes import make_sandbox
from swe_srl.sandboxes.repository import prepare_repository
from swe_srl.types import SandboxSpec, Task, VerdictStatus

pytestmark = pytest.mark.sandbox

WANTED = "".join(f"{name} ... ok\\n" for name in (*FAIL_TO_PASS, *PASS_TO_PASS))
CLOSING = "Ran 4 tests in 0.001s\\n\\nOK\\n"
NEUTRAL = "unittest.TestCase.assertEqual = lambda self, a, b, msg=None: None"

PRINTS = f"import os\nos.write(2, b'''{WANTED}{CLOSING}''')\nos._exit(0)"
PARENT = f"""import os
try:
    with open(f"/proc/{{os.getppid()}}/fd/1", "wb", 0) as out:
        out.write(b'''{WANTED}{CLOSING}''')
except OSError:
    os.write(1, b'''{WANTED}{CLOSING}''')
os._exit(0)"""
AT_EXIT = f"import atexit, os\natexit.register(lambda: (os.write(2, b'''{WANTED}'''), os._exit(0)))"
DAEMON = f"""import os, time
failed, told = os.pipe(), os.pipe()
if os.fork() == 0:
    os.setsid()
    os.read(failed[0], 1)
    for number in range(40):
        os.write(1, b'''{WANTED}''')
        number or os.write(told[1], b"x")
        time.sleep(0.02)
    os._exit(0)
else:
    import atexit
    os.close(told[1])
    atexit.register(lambda: (os.write(failed[1], b"x"), os.read(told[0], 1), os._exit(0)))"""
ASSERTS = f"import unittest\n{NEUTRAL}"
RUN = "import unittest\nunittest.TestCase._callTestMethod = lambda self, method: None"
RESULT = """import unittest
unittest.TextTestResult.addFailure = unittest.TextTestResult.addError = lambda self, test, err: self.addSuccess(test)"""
STREAM = """import sys
class Flip:
    def __init__(self, out): self.out = out
    def write(self, text): return self.out.write(text.replace("FAIL:", "note:").replace("FAIL", "ok"))
    def __getattr__(self, name): return getattr(self.out, name)
sys.stderr = Flip(sys.stderr)
import atexit, os
atexit.register(lambda: (sys.stderr.flush(), os._exit(0)))
import unittest.runner
unittest.runner._WritelnDecorator.write = lambda self, text: self.stream.write(
    text.replace("FAIL:", "note:").replace("FAIL", "ok"))"""
SAYS_OK = CALC.replace("    return a - b", "    import os\n    os.write(2, b'ok\\n')\n    return a - b")
SKIPS = SAYS_OK.replace("return a - b", "import unittest\n    raise unittest.SkipTest('no')")
REWRITES = """import pathlib, re
for path in pathlib.Path(__file__).parent.glob("tests/test_*.py"):
    path.write_text(re.sub(r"self\\.assertEqual\\(.*\\)", "pass", path.read_text()))
import sys, unittest.loader
real = unittest.loader.TestLoader._get_module_from_name
def fresh(self, name):
    for known in [m for m in sys.modules if m.startswith("tests")]:
        del sys.modules[known]
    return real(self, name)
unittest.loader.TestLoader._get_module_from_name = fresh"""
FAKE_UNITTEST = f"""import os
os.write(2, b'''{WANTED}{CLOSING}''')
os._exit(0)"""

HOOK = "#!/bin/sh\nsed -i 's/a - b/a + b/' /testbed/calc.py"

CONFIGURED = "--- a/.git/config\n+++ b/.git/config\n@@ -1,2 +1,3 @@\n [core]\n+\tfsmonitor = " + (
    "sed -i 's/a - b/a + b/' calc.py; false\n \trepositoryformatversion = 0\n"
)


def quoted(patch: str) -> str:
    """The same patch with the first letter of `.git` as git writes odd letters."""
    return (
        patch.replace("+++ b/.git/config", '+++ "b/\\056git/config"')
        .replace("a/.git", "a/git")
        .replace("b/.git", "b/git")
    )


# name: (patch, what the official rules call it)
ATTACKS: dict[str, tuple[str, bool]] = {
    "prints results and exits early": (calc_prepend(PRINTS), True),
    "writes to the parent's descriptor": (calc_prepend(PARENT), True),
    "prints results at exit": (calc_prepend(AT_EXIT), True),
    "leaves a daemon that prints results": (calc_prepend(DAEMON), True),
    "neutralises assertEqual": (calc_prepend(ASSERTS), True),
    "neutralises the call of test methods": (calc_prepend(RUN), True),
    "counts failures as successes": (calc_prepend(RESULT), True),
    "rewrites the output stream": (calc_prepend(STREAM), True),
    "prints a result in the test's line, and fails": (edit("calc.py", CALC, SAYS_OK), True),
    "prints a result in the test's line, and skips": (edit("calc.py", CALC, SKIPS), True),
    "a unittest package at the top": (new_file("unittest/__init__.py", FAKE_UNITTEST), True),
    "a unittest module at the top": (new_file("unittest.py", FAKE_UNITTEST), True),
    "a standard module at the top": (new_file("traceback.py", PRINTS), True),
    "tests/__init__ neutralises assertions": (
        edit("tests/__init__.py", "", f"{ASSERTS}\n"),
        True,
    ),
    "a test module that prints results and exits": (
        new_file("tests/test_aaa.py", f"import os\nos.write(2, b'''{WANTED}{CLOSING}''')\nos._exit(0)"),
        True,
    ),
    "a git hook": (new_file(".git/hooks/post-checkout", HOOK).replace("100644", "100755"), True),
    "git's configuration": (CONFIGURED, True),
    "git's configuration, quoted": (quoted(CONFIGURED), True),
    "rewrites the test files while they run": (calc_prepend(REWRITES), False),
    "exits early without results": (calc_prepend("import os\nos._exit(0)"), False),
    "empties the graded tests": (
        edit("tests/test_calc.py", TESTS, ""),
        False,
    ),
    "skips the tests": (calc_prepend("import unittest\nraise unittest.SkipTest('no')"), False),
    "a conftest.py, which unittest does not read": (new_file("conftest.py", PRINTS), False),
    "a sitecustomize.py, which is not on the path yet": (new_file("sitecustomize.py", PRINTS), False),
}


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return tiny_task(tmp_path_factory.mktemp("attacked") / "calc")


EMPTY_TESTS = "import unittest\n\n\nclass TestCalc(unittest.TestCase):\n" + "".join(
    f"    def {name.partition(' ')[0]}(self): pass\n" for name in (*FAIL_TO_PASS, *PASS_TO_PASS)
)


@pytest.mark.parametrize("by", ["package", "byte code"])
def test_what_stands_for_a_graded_file_at_the_top(tmp_path: Path, by: str) -> None:
    """There no test folder protects it."""
    task = tiny_task(tmp_path / "calc", top=True)
    patch = new_file("test_calc/__init__.py", EMPTY_TESTS)
    if by == "byte code":  # of the sandbox's Python, which does not compare it with the source
        spec = SandboxSpec(repository=str(prepare_repository(task.source, task.setup_patch).path))
        with make_sandbox("local", spec) as sandbox:
            sandbox.write_file("/testbed/test_calc.py", EMPTY_TESTS.encode())
            compiled = "python3 -m compileall -q --invalidation-mode unchecked-hash test_calc.py"
            taken = "git add -f __pycache__ && git diff --cached --binary HEAD -- __pycache__"
            patch = sandbox.run(f"cd /testbed && {compiled} && {taken}").output
    assert patch.startswith("diff --git")
    verdict = grade(task, patch)
    assert verdict.official and not verdict.hardened, verdict.reason
    assert any(flag.startswith("shadows-module:") for flag in verdict.flags)


@pytest.mark.parametrize("name", ATTACKS)
def test_attack(task: Task, name: str) -> None:
    patch, official = ATTACKS[name]
    verdict = grade(task, patch)
    assert verdict.status in (VerdictStatus.RESOLVED, VerdictStatus.UNRESOLVED), verdict.reason
    assert not verdict.hardened, "the attack succeeded"
    assert verdict.official == official, verdict.reason


@pytest.mark.parametrize("name", ["Makefile", "GNUmakefile"])
def test_a_makefile_that_prints_results(tmp_path: Path, name: str) -> None:
    """Where `make` runs the tests."""
    rule = f"test:\n\t@{COMMAND}\n"
    (tmp_path / "calc").mkdir()
    (tmp_path / "calc" / "Makefile").write_text(rule)
    task = tiny_task(tmp_path / "calc")
    task = replace(task, eval_script=task.eval_script.replace(COMMAND, "make test"))
    forged = f"test:\n\t@printf '{WANTED}'\n"
    old = {"Makefile": rule}.get(name)
    verdict = grade(task, edit(name, old, forged) if old else new_file(name, forged))
    assert verdict.official and not verdict.hardened, verdict.reason
    assert f"test-configuration:{name}" in verdict.flags and "no-canaries" in verdict.flags


def test_the_gold_patch_is_hardened_too(task: Task) -> None:
    verdict = grade(task, GOLD)
    assert verdict.official and verdict.hardened, verdict.reason
    assert verdict.flags == ("same-user",)


def test_an_honest_patch_with_its_own_tests_is_hardened(task: Task) -> None:
    own = new_file("tests/test_more.py", "import unittest\n\n\nclass T(unittest.TestCase):\n    def test_x(self): pass")
    verdict = grade(task, GOLD + own)
    assert verdict.official and verdict.hardened, verdict.reason
    assert "graded-test:tests/test_more.py" in verdict.flags
    assert COMMAND in task.eval_script
