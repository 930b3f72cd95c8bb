"""The markers themselves: a missing capability is a skip with its reason, or a failure when it is required."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = Path(__file__).with_name("conftest.py")
CI = CONFTEST.parent.parent / ".ci" / "run"
TESTS = """
import pytest

@pytest.mark.hub
def test_hub(): pass

@pytest.mark.hub
def test_inside(): pytest.skip("another reason")

@pytest.mark.hub
@pytest.mark.skipif(True, reason="for others only")
def test_for_others(): pass

def test_plain(): pass
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.delenv("SWE_SRL_HUB", raising=False)
    monkeypatch.delenv("SWE_SRL_REQUIRE", raising=False)
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makeini("[pytest]\nmarkers =\n    hub: x\n    shared: x\n    docker: x\n")
    pytester.makepyfile(TESTS)
    return pytester


def test_a_missing_capability_is_a_skip_with_its_reason(suite: pytest.Pytester) -> None:
    result = suite.runpytest_subprocess("-ra", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, skipped=3)
    result.stdout.fnmatch_lines(["*hub: the hub is asked only when SWE_SRL_HUB is set*"])


def test_a_required_capability_fails_before_the_test(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWE_SRL_REQUIRE", "docker,hub")
    result = suite.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=2, skipped=1)
    result.stdout.fnmatch_lines(
        ["*SWE_SRL_REQUIRE has hub, but the test would be skipped*only when SWE_SRL_HUB is set*"]
    )


def test_a_skip_inside_a_test_fails_too(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWE_SRL_REQUIRE", "hub")
    monkeypatch.setenv("SWE_SRL_HUB", "1")
    result = suite.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, failed=1, skipped=1)
    result.stdout.fnmatch_lines(["*but the test was skipped*another reason*"])


def test_an_unknown_requirement_is_refused(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWE_SRL_REQUIRE", "dokcer")
    result = suite.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*unknown*dokcer*known:*docker*"])


def test_a_report_tells_what_each_test_needed(suite: pytest.Pytester) -> None:
    suite.runpytest_subprocess("--junitxml=report.xml")
    assert '<property name="needs" value="hub"' in (suite.path / "report.xml").read_text()


BOTH = """
import pytest

@pytest.mark.hub
@pytest.mark.shared
def test_both(): pass
"""


@pytest.mark.parametrize(("hub", "outcome"), [("1", {"skipped": 1}), ("", {"errors": 1})])
def test_a_capability_that_nobody_requires_may_be_missing(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, hub: str, outcome: dict[str, int]
) -> None:
    """It does not hide that a required one is missing, too."""
    monkeypatch.setenv("SWE_SRL_REQUIRE", "hub")
    monkeypatch.setenv("SWE_SRL_HUB", hub)
    monkeypatch.setenv("SWE_SRL_SHARED", "/nowhere")
    suite.makepyfile(BOTH)
    result = suite.runpytest_subprocess("--junitxml=report.xml")
    result.assert_outcomes(**outcome)
    lacks = '<property name="lacks" value="shared"' in (suite.path / "report.xml").read_text()
    assert lacks == (hub == "1")


@pytest.mark.parametrize(
    ("lacks", "accepted"),
    [(["", None], False), ([None, "shared"], True), (["shared"], False), ([None, "docker"], False)],
)
def test_the_docker_tests_of_a_run(tmp_path: Path, lacks: list[str | None], accepted: bool) -> None:
    """`lacks` has one entry for each test: None ran, others were skipped, for lack of something or ("") for no such reason."""
    needs = '<property name="needs" value="docker"/>'
    cases = []
    for lack in lacks:
        why = f'<property name="lacks" value="{lack}"/>' if lack else ""
        skipped = "" if lack is None else "<skipped/>"
        cases.append(f'<testcase name="t"><properties>{needs}{why}</properties>{skipped}</testcase>')
    (tmp_path / "report.xml").write_text(f"<testsuite>{''.join(cases)}<testcase name='other'/></testsuite>")
    program = re.search(r"<<'PYTHON'\n(.*?)^PYTHON$", CI.read_text(), re.DOTALL | re.MULTILINE)
    assert program
    done = subprocess.run([sys.executable, "-c", program[1], str(tmp_path / "report.xml")], capture_output=True)
    assert (done.returncode == 0) == accepted, done
