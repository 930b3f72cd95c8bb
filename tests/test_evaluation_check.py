"""Gold and empty on a sample, before anything is spent."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from grading_support import named, tiny_task

from swe_srl.cli import main
from swe_srl.errors import ConfigError, SweSrlError
from swe_srl.evaluation import EvalSettings, check, evaluate
from swe_srl.evaluation import checking as module
from swe_srl.evaluation.checking import Checked, check_folder, draw
from swe_srl.evaluation.store import ImageStore
from swe_srl.files import read_jsonl, write_jsonl
from swe_srl.grading import GradingSettings, OpenSandboxes
from swe_srl.testing import FakeSandbox
from swe_srl.types import Task, TestRun

SOUND, EARLY, UNFIXED, NOWHERE = (f"tiny__calc-{number}" for number in range(1, 5))


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A sound task, one whose bug is fixed already, one whose gold patch does not help, and one without a place to run."""
    task = tiny_task(tmp_path / "calc")
    tests = [*task.fail_to_pass, *task.pass_to_pass]
    early = replace(named(task, EARLY), fail_to_pass=tuple(tests[1:2]), pass_to_pass=tuple(tests[2:]))
    unfixed = replace(named(task, UNFIXED), patch=task.patch.replace("+    return a + b", "+    return a * b"))
    nowhere = replace(named(task, NOWHERE), source="", image="")
    write_jsonl(tmp_path / "rows.jsonl", [one.row() for one in (named(task, SOUND), early, unfixed, nowhere)])
    return tmp_path / "rows.jsonl"


def settings_for(rows: Path, **more: object) -> EvalSettings:
    values = {"tasks": str(rows), "policy": "gold", "output": rows.parent / "run", "hardened": False, **more}
    return EvalSettings(**values)  # type: ignore[arg-type]


@pytest.mark.timeout(60)
def test_checks_in_progress_are_ended_when_nobody_asks_for_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt may come between two findings."""
    opened, begun, ended = OpenSandboxes(), threading.Event(), threading.Event()

    class Busy(FakeSandbox):
        def close(self) -> None:
            ended.set()

    def checked(task: Task, grading: GradingSettings) -> Checked:
        if task.instance_id == EARLY:
            with opened.holding(Busy()):
                begun.set()
                assert ended.wait(20)
        return Checked(task.instance_id)

    monkeypatch.setattr(module, "check_task", checked)
    both = [Task(name, "a/b", "", "") for name in (SOUND, EARLY)]
    settings = EvalSettings(policy="gold", grading_workers=2)
    found = module._checked(both, GradingSettings(open=opened), settings, ImageStore())
    assert next(found) == Checked(SOUND)
    assert begun.wait(20)
    found.close()
    assert opened.ended and ended.is_set()


@pytest.mark.sandbox
def test_broken_tasks_are_found_and_can_be_left_out(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "eval",
        "--check",
        "--tasks",
        str(rows),
        "--policy",
        "gold",
        "--no-hardened",
        "--output",
        str(rows.parent / "run"),
    ]
    assert main(words) == 1
    shown = capsys.readouterr().out
    assert "1 of 3 checked tasks are sound, 2 are broken, nothing is known of 0; the sample is of 4 tasks" in shown
    assert f"{EARLY}: 1 FAIL_TO_PASS tests pass without the gold patch" in shown
    assert f"{UNFIXED}: the gold patch is not resolved" in shown
    assert "neither an image nor a source" in shown
    listed = rows.parent / "run-check" / "broken.txt"
    assert listed.read_text().split() == [EARLY, UNFIXED] and f"--exclude {listed}" in shown
    report = evaluate(settings_for(rows, exclude=(str(listed),)))
    assert (report.resolved, report.samples, report.excluded) == (1, 1, (EARLY, UNFIXED))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--policy nope", "nope: no such model folder"),
        ("--policy golden", "did you mean 'gold'"),
        ("--policy gold --agent nope", "unknown agent definition 'nope'"),
        ("--policy gold --environment nope", "unknown environment definition 'nope'"),
        ("--policy expert", "no expert trajectory of tiny__calc"),
        ("--policy http://127.0.0.1:9 --endpoint-model m --api-key-env NO_SUCH_KEY", "NO_SUCH_KEY is not set"),
        ("--policy gold --output run.txt/run", "run.txt"),
    ],
)
def test_who_acts_is_looked_at_although_nobody_acts(
    rows: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, flags: str, message: str
) -> None:
    monkeypatch.chdir(rows.parent)
    monkeypatch.setattr(module, "check_sandboxes", lambda tasks, sandbox: None)
    (rows.parent / "run.txt").touch()
    for dry in ([], ["--dry-run"]):
        assert main(["eval", "--check", "--tasks", str(rows), *flags.split(), *dry]) == 2
        assert message in capsys.readouterr().err
    assert not (rows.parent / "runs").exists()


def test_a_dry_run_says_what_would_be_checked(
    rows: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "check_sandboxes", lambda tasks, sandbox: None)
    monkeypatch.setattr(module, "check_task", lambda task, grading: Checked(task.instance_id))
    output = rows.parent / "run"
    words = [
        "eval",
        "--check",
        "--check-sample",
        "3",
        "--tasks",
        str(rows),
        "--policy",
        "gold",
        "--output",
        str(output),
    ]
    assert main([*words, "--dry-run"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "would grade the gold and the empty patch on" in shown and "of 4 tasks; no episode is run" in shown
    assert shown.endswith(f"findings: {output}-check") and not list(rows.parent.glob("run*"))
    assert main(words) == 0
    assert main([*words, "--dry-run"]) == 0
    assert "(exists: would go on)" in capsys.readouterr().out


def test_a_check_goes_on_and_tries_again_what_was_lost(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def found(task: Task, grading: object) -> Checked:
        asked.append(task.instance_id)
        lost = task.instance_id == UNFIXED and asked.count(UNFIXED) == 1
        return Checked(task.instance_id, ("no daemon",) if lost else (), lost=lost)

    monkeypatch.setattr(module, "check_task", found)
    monkeypatch.setattr(module, "check_sandboxes", lambda tasks, sandbox: None)
    first = check(settings_for(rows))
    assert first.lost == (UNFIXED,) and first.broken == ()
    second = check(settings_for(rows))
    assert second.lost == () and asked == [SOUND, EARLY, UNFIXED, UNFIXED]
    findings = rows.parent / "run-check" / "checks.jsonl"
    assert len(list(read_jsonl(findings))) == 4
    findings.write_text('{"task_id": 1}\n')
    with pytest.raises(SweSrlError, match=r"checks\.jsonl is damaged: KeyError"):
        check(settings_for(rows))


def test_tests_that_cannot_be_run_tell_nothing_of_the_task(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "run_tests", lambda task, patch, grading: TestRun("", None, False, error="daemon gone"))
    (task,) = [task for task in module.select_tasks(settings_for(rows)) if task.instance_id == SOUND]
    found = module.check_task(task, module.grading_settings(settings_for(rows)))
    assert found.lost and "daemon gone" in found.problems[0]


def test_the_sample_is_the_same_for_the_same_seed() -> None:
    tasks = [Task(f"t-{number}", "r", "c", "p") for number in range(50)]
    first = {task.instance_id for task in draw(tasks, 10, seed=0)}
    assert len(first) == 10 and first == {task.instance_id for task in draw(tasks[::-1], 10, seed=0)}
    assert first != {task.instance_id for task in draw(tasks, 10, seed=1)}
    assert draw(tasks, 0, seed=0) == tasks == draw(tasks, 99, seed=0)


def test_findings_are_beside_the_run_folder_whatever_it_is_called(run_root: Path) -> None:
    for given, beside in ((".", f"{run_root}-check"), ("run", "run-check"), ("a/..", f"{run_root}-check")):
        assert str(check_folder(EvalSettings(output=Path(given)))) == beside
    with pytest.raises(ConfigError, match="no place beside /"):
        check_folder(EvalSettings(output=Path("/")))
