"""Several gradings of one patch: the majority, and the names of what differs."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from grading_support import GOLD, calc_prepend, tiny_task

from swe_srl.errors import ConfigError
from swe_srl.grading import GradingSettings, VerdictCache, combine, flaky_flags, grade
from swe_srl.types import TestRun, Verdict, VerdictStatus

YES = Verdict(
    "t", VerdictStatus.RESOLVED, True, True, fail_to_pass_passed=("a",), pass_to_pass_passed=("b",), seconds=1.0
)
NO = Verdict("t", VerdictStatus.UNRESOLVED, False, False, "fails", (), ("a",), ("b",), (), seconds=2.0)
SOFT = replace(YES, hardened=False, reason="not hardened: canaries")
LOST = Verdict("t", VerdictStatus.INFRASTRUCTURE, False, False, "no daemon")

# Every run of the tests is in a sandbox of its own: chance decides.
FLAKY = "import os\nif os.urandom(1)[0] % 2:\n    raise SystemExit('flaky')"


def test_the_majority_decides_and_what_differs_is_named() -> None:
    found = combine([NO, YES, YES])
    assert (found.status, found.official, found.hardened, found.seconds) == (VerdictStatus.RESOLVED, True, True, 4.0)
    assert flaky_flags(found.flags) == ("flaky:official 2/3", "flaky:hardened 2/3", "flaky-test:a")
    assert combine([NO, YES, NO]).status is VerdictStatus.UNRESOLVED
    assert combine([NO, YES]).official is False, "half is no majority"
    assert combine([YES, YES, YES]).flags == () and combine([NO, NO]).reason == "fails"


def test_hardened_has_its_own_majority() -> None:
    found = combine([SOFT, YES, SOFT])
    assert (found.official, found.hardened, found.reason) == (True, False, "not hardened: canaries")
    assert found.flags == ("flaky:hardened 1/3",)
    mixed = combine([SOFT, YES, NO])
    assert (mixed.official, mixed.hardened) == (True, False)


def test_what_the_infrastructure_broke_does_not_vote() -> None:
    assert combine([LOST, YES, LOST]).official
    assert combine([LOST, LOST]).status is VerdictStatus.INFRASTRUCTURE


def test_regrading_runs_the_tests_so_often_and_keeps_every_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, kept = tiny_task(tmp_path, prepare=False), []
    answers = iter([False, True, True])

    def run_tests(task: object, patch: str, settings: object) -> TestRun:
        return TestRun("a log", 0, applied=True)

    def judge(task: object, patch: str, run: TestRun) -> Verdict:
        return YES if next(answers) else NO

    module = import_module("swe_srl.grading.grade")
    monkeypatch.setattr(module, "run_tests", run_tests)
    monkeypatch.setattr(module, "judge", judge)
    verdict = grade(task, GOLD, GradingSettings(times=3), keep=kept.append)
    assert verdict.official and "flaky:official 2/3" in verdict.flags and len(kept) == 3


@pytest.mark.sandbox
def test_a_really_flaky_patch_is_found(tmp_path: Path) -> None:
    task = tiny_task(tmp_path / "calc")
    settings = GradingSettings(times=20, hardened=False)
    cache = VerdictCache(tmp_path / "cache")
    verdict = grade(task, calc_prepend(FLAKY, fixed=True), settings, cache)
    flags = flaky_flags(verdict.flags)
    assert any(flag.startswith("flaky:official") for flag in flags), "one in half a million runs of this test may fail"
    again = grade(task, calc_prepend(FLAKY, fixed=True), settings, cache)
    assert again == verdict, "remembered"
    assert cache.get(task, calc_prepend(FLAKY, fixed=True), GradingSettings(hardened=False)) is None


def test_the_settings_are_checked() -> None:
    from swe_srl.cli.grade import GradeSettings
    from swe_srl.evaluation import EvalSettings

    for kind in (GradeSettings, EvalSettings):
        with pytest.raises(ConfigError, match="regrade must be at least 1"):
            kind(regrade=0)
