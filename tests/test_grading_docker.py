"""The tiny task in containers of the base image: tests run as another user there."""

from __future__ import annotations

import os
import subprocess

import pytest
from grading_support import GOLD, calc_prepend, tiny_task

from swe_srl.grading import GradingSettings, grade
from swe_srl.sandboxes import session
from swe_srl.types import Task, VerdictStatus

pytestmark = [pytest.mark.docker, pytest.mark.slow]
DOCKER = GradingSettings(sandbox="docker", timeout=120.0)
REACHES = """import os
reached = []
for path in ("/testbed/calc.py", "/testbed/tests/test_calc.py", "/testbed/.git/config", "/proc/1/environ", "/etc/passwd"):
    try:
        os.close(os.open(path, os.O_WRONLY))
        reached.append(path)
    except OSError:
        pass
for folder in ("/testbed/tests", "/testbed"):
    try:
        os.rename(folder + "/__init__.py", folder + "/gone.py")
        reached.append(folder)
    except OSError:
        pass
if os.getuid() == 65534 and reached:
    print("REACHED", reached)
    os._exit(7)"""

KILLS = """import os, time
if os.fork() == 0:
    os.setsid()
    while True:
        try:
            os.kill(-1, 9)
        except OSError:
            pass
time.sleep(5)"""


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return tiny_task(tmp_path_factory.mktemp("docker") / "calc")


def test_gold_is_hardened_with_a_separate_user(task: Task) -> None:
    verdict = grade(task, GOLD, DOCKER)
    assert verdict.official and verdict.hardened, verdict.reason
    assert verdict.flags == ()


def test_the_tester_reaches_no_file_that_was_there(task: Task) -> None:
    verdict = grade(task, calc_prepend(REACHES, fixed=True), DOCKER)
    assert verdict.official and verdict.hardened, verdict.reason


def test_an_endless_hardened_run_is_ended(task: Task) -> None:
    only_hardened = "import os\nwhile os.getuid() == 65534: pass"
    verdict = grade(task, calc_prepend(only_hardened, fixed=True), GradingSettings(sandbox="docker", timeout=20.0))
    assert verdict.status is VerdictStatus.RESOLVED and not verdict.hardened
    assert verdict.reason == "not hardened: the tests outran their limit"


def test_tests_that_stop_every_process_cannot_wedge_the_engine(task: Task) -> None:
    """Also those that the engine is just starting in the container: it answers, and removes it, all the same."""
    listing = ["docker", "ps", "-aq", "--filter", f"name=swe-srl-{os.getpid()}-"]
    before = subprocess.run(
        listing, capture_output=True, text=True, timeout=60
    ).stdout  # what other tests have left open
    for _ in range(2):
        verdict = grade(
            task, calc_prepend(KILLS.replace("9)", "19)"), fixed=True), GradingSettings(sandbox="docker", timeout=5.0)
        )
        assert verdict.status is VerdictStatus.TIMEOUT, verdict.reason
    assert subprocess.run(listing, capture_output=True, text=True, timeout=60).stdout == before


def test_tests_that_kill_every_shell_are_unresolved(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """No shell can be started any more in the container, twice: that is what the patch does, and no broken infrastructure."""
    monkeypatch.setattr(session, "RESTART_SECONDS", 3.0)
    verdict = grade(task, calc_prepend(KILLS, fixed=True), DOCKER)
    assert verdict.status is VerdictStatus.UNRESOLVED, verdict.reason
    assert verdict.reason.startswith("the sandbox was lost while the patch was graded:")
