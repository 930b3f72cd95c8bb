"""Verdicts are remembered by everything that decides them."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
import requests
from grading_support import CALC, GOLD, make_repository, tiny_task

from swe_srl.errors import SandboxError
from swe_srl.grading import GradingSettings, VerdictCache, grade
from swe_srl.grading import cache as cache_module
from swe_srl.grading import grade as grade_function
from swe_srl.grading.cache import verdict_from_row, verdict_row
from swe_srl.grading.workshop import HardenedReport
from swe_srl.protocols import Sandbox
from swe_srl.types import SandboxSpec, Task, TestRun, Verdict, VerdictStatus

grade_module = sys.modules["swe_srl.grading.grade"]  # the package's `grade` is the function
PACKAGES = cache_module._PACKAGES

VERDICT = Verdict("tiny__calc-1", VerdictStatus.RESOLVED, True, False, "because", ("a",), flags=("x:y",), seconds=1.5)


@pytest.fixture
def task(tmp_path: Path) -> Task:
    folder = make_repository(tmp_path / "calc")
    return replace(tiny_task(tmp_path, prepare=False), source=f"dir:{folder}")


def test_where_a_dockerfile_is_does_not_count(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "image_id", lambda name: f"sha256:{name}")
    here, there = (replace(task, image="swe-srl-built:1", image_source=f"/{place}/Dockerfile") for place in "ab")
    cache, settings = VerdictCache(tmp_path / "cache"), GradingSettings()
    cache.put(here, GOLD, settings, VERDICT)
    assert cache.get(there, GOLD, settings) == VERDICT
    assert cache.get(replace(here, image="swe-srl-built:2"), GOLD, settings) is None


def test_rows_come_back() -> None:
    assert verdict_from_row(json.loads(json.dumps(verdict_row(VERDICT)))) == VERDICT


def test_a_verdict_is_found_only_under_the_same_conditions(task: Task, tmp_path: Path) -> None:
    cache, settings = VerdictCache(tmp_path / "cache"), GradingSettings()
    assert cache.get(task, GOLD, settings) is None
    cache.put(task, GOLD, settings, VERDICT)
    assert VerdictCache(tmp_path / "cache").get(task, GOLD, settings) == VERDICT
    assert cache.get(task, GOLD + "\n", settings) is None
    assert cache.get(replace(task, pass_to_pass=()), GOLD, settings) is None
    assert cache.get(task, GOLD, replace(settings, timeout=3.0)) is None
    assert cache.get(task, GOLD, replace(settings, hardened=False)) is None
    (tmp_path / "calc" / "calc.py").write_text(CALC + "\nx = 1\n")
    assert cache.get(task, GOLD, settings) is None, "the repository is another one"


def test_a_damaged_entry_counts_as_none(task: Task, tmp_path: Path) -> None:
    cache = VerdictCache(tmp_path / "cache")
    cache.put(task, GOLD, GradingSettings(), VERDICT)
    (entry,) = (tmp_path / "cache").rglob("*.json")
    entry.write_text('{"task_id"')
    assert cache.get(task, GOLD, GradingSettings()) is None


def test_a_folder_that_cannot_be_written_costs_no_verdict(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk, or a file in the place of the folder: the grading was done, and counts."""
    (tmp_path / "cache").write_text("")
    monkeypatch.setattr(grade_module, "_once", lambda *_: (TestRun("", 0, applied=True), VERDICT))
    assert grade(task, GOLD, cache=VerdictCache(tmp_path / "cache")) == VERDICT
    assert "its verdict is not remembered" in caplog.text


def test_a_missing_image_is_not_remembered(task: Task, tmp_path: Path) -> None:
    cache, elsewhere = VerdictCache(tmp_path / "cache"), replace(task, image="no/such-image:here", source="")
    cache.put(elsewhere, GOLD, GradingSettings(), VERDICT)
    assert cache.get(elsewhere, GOLD, GradingSettings()) is None


def test_infrastructure_failures_are_retried_and_not_remembered(task: Task, tmp_path: Path) -> None:
    tries: list[str] = []

    def broken(kind: str, spec: SandboxSpec) -> Sandbox:
        tries.append(kind)
        raise SandboxError("the daemon is gone")

    settings, cache = GradingSettings(make_sandbox=broken), VerdictCache(tmp_path / "cache")
    verdict = grade_function(task, GOLD, settings, cache, retries=2)
    assert (verdict.status, verdict.reason) == (VerdictStatus.INFRASTRUCTURE, "the daemon is gone")
    assert len(tries) == 3
    assert cache.get(task, GOLD, settings) is None


@pytest.mark.parametrize(
    ("official", "hardened", "lasts"),
    [
        ({}, {}, True),
        ({}, None, True),
        ({"exit_code": None}, None, False),
        ({}, {"exit_code": None}, False),
        ({}, {"exit_code": None, "timed_out": True}, False),
        ({"exit_code": None, "timed_out": True}, None, False),
        ({"exit_code": None, "applied": False, "log": "error: corrupt"}, None, True),
    ],
)
def test_only_runs_that_ended_by_themselves_are_remembered(
    task: Task,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    official: dict[str, object],
    hardened: dict[str, object] | None,
    lasts: bool,
) -> None:
    report = "" if hardened is None else HardenedReport(**{"exit_code": 1, **hardened}).as_text()  # type: ignore[arg-type]
    run = TestRun(**{"log": "a log", "exit_code": 0, "applied": True, "report": report, **official})  # type: ignore[arg-type]
    monkeypatch.setattr(grade_module, "run_tests", lambda *arguments: run)
    cache = VerdictCache(tmp_path / "cache")
    grade(task, GOLD, cache=cache)
    assert (cache.get(task, GOLD, GradingSettings()) is not None) == lasts


def test_another_interpreter_or_package_is_another_environment(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, settings = VerdictCache(tmp_path / "cache"), GradingSettings()
    cache.put(task, GOLD, settings, VERDICT)
    program = "import sys; sys.version = 'another'\n"
    for change in (
        program,
        "",
        "import importlib.metadata as m; real = m.distributions; m.distributions = lambda: []\n",
    ):
        cache_module.host_id.cache_clear()
        monkeypatch.setattr(cache_module, "_PACKAGES", change + PACKAGES)
        assert (cache.get(task, GOLD, settings) is None) == bool(change)
    cache_module.host_id.cache_clear()
    monkeypatch.setattr(cache_module, "_PACKAGES", "raise SystemExit(1)")
    cache.put(task, GOLD, settings, VERDICT)
    assert cache.get(task, GOLD, settings) is None, "an unknown host remembers nothing"
    cache_module.host_id.cache_clear()


def test_an_empty_patch_is_never_run(task: Task) -> None:
    def forbidden(kind: str, spec: SandboxSpec) -> Sandbox:
        raise AssertionError("an empty patch was run")

    verdict = grade(task, " \n", GradingSettings(make_sandbox=forbidden))
    assert verdict.status is VerdictStatus.EMPTY_PATCH


def test_a_task_without_a_place_to_run_in(task: Task) -> None:
    verdict = grade(replace(task, source=""), GOLD)
    assert verdict.status is VerdictStatus.INFRASTRUCTURE
    assert "neither an image nor a source" in verdict.reason


def test_an_engine_that_goes_away_costs_the_cache_alone(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its client raises then is no error of the engine's own, and ended whole evaluations."""
    client = Mock()
    client.images.get.side_effect = requests.ConnectionError("the connection was aborted")
    monkeypatch.setattr("docker.client.DockerClient.from_env", lambda **options: client)
    cache, imaged = VerdictCache(tmp_path / "cache"), replace(task, image="some/image:1", source="")
    cache.put(imaged, GOLD, GradingSettings(), VERDICT)
    assert cache.get(imaged, GOLD, GradingSettings()) is None and client.close.called
