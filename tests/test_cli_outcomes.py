"""What `demo` and `grade` say of runs that lost something, and of settings that cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from swe_srl import evaluation, training
from swe_srl.cli import demo
from swe_srl.cli.console import Console
from swe_srl.cli.grade import GradeSettings
from swe_srl.errors import ConfigError
from swe_srl.evaluation.pipeline import Attempt, Failure
from swe_srl.evaluation.report import make_report
from swe_srl.runs import RunFolder
from swe_srl.types import Trajectory, Verdict, VerdictStatus


def fake_runs(monkeypatch: pytest.MonkeyPatch, graded: dict[str, list[tuple[str, int]]]) -> None:
    """Evaluations that grade the given (task, sample) pairs of a run; the others are lost to infrastructure."""
    every = {pair for pairs in graded.values() for pair in pairs} | {("a", 0), ("a", 1), ("b", 0), ("b", 1)}

    def evaluate(settings: Any, progress: Any, **more: Any) -> Any:
        pairs = graded[settings.output.name]
        verdicts = {pair: Verdict(pair[0], VerdictStatus.RESOLVED, True, True) for pair in pairs}
        with RunFolder.start(settings.output, "eval", {"hardened": True}) as run:
            for task, sample in verdicts:
                run.append("verdicts", {"task_id": task, "sample": sample, "official": True, "hardened": True})
        attempts = [Attempt(*pair, Trajectory("t", pair[0], ()), verdict) for pair, verdict in verdicts.items()]
        lost = [Failure(*pair, "grading", "the daemon is gone") for pair in sorted(every - set(pairs))]
        return make_report("quickstart", attempts, lost, {}, 4, {}, None)

    monkeypatch.setattr(evaluation, "evaluate", evaluate, raising=False)
    monkeypatch.setattr(training, "train", lambda settings, progress: settings.output, raising=False)
    monkeypatch.setattr(Console, "sweep", lambda self: None)


def test_a_demo_that_lost_a_task_ends_with_its_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_runs(monkeypatch, {"before": [("a", 0), ("a", 1), ("b", 0)], "after": [("a", 0)]})
    assert demo.run(demo.DemoSettings(output=tmp_path / "run"), Console()) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "mean similarity to the expert" in out
    assert "paired over 1 tasks (of 3 samples before and 1 after)" in out
    assert "1 tasks are left out of it: not graded after: the daemon is gone" in out


def test_a_demo_without_a_common_task_says_where_the_reasons_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_runs(monkeypatch, {"before": [("a", 0)], "after": [("b", 0)]})
    assert demo.run(demo.DemoSettings(output=tmp_path / "run"), Console()) == 1
    assert "graded no task in common; the reasons are in" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"timeout": 0.0}, "timeout must be positive"),
        ({"timeout": -3.0}, "timeout must be positive"),
        ({"workers": 0}, "workers must be at least 1"),
    ],
)
def test_grade_refuses_limits_that_cannot_be(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        GradeSettings(predictions="p.jsonl", **values)
