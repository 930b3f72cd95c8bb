"""What cannot be run here is refused before anything is written, with what, where and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from swe_srl.cli import main
from swe_srl.files import write_jsonl
from tests.grading_support import make_repository, named, tiny_task

Run = Callable[..., tuple[int, str]]
UNREACHABLE = "tcp://127.0.0.1:9"


@pytest.fixture
def run(run_root: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run one command beside `rows.jsonl` (one task, whose packages are a folder) and `patches.jsonl` (its gold patch)."""
    (run_root / "packages").mkdir()
    task = tiny_task(run_root / "calc", prepare=False)
    beside = replace(task, source=f"dir:{run_root / 'calc'}", extra=json.dumps({"packages": "./packages"}))
    write_jsonl(run_root / "rows.jsonl", [beside.row()])
    write_jsonl(run_root / "plain.jsonl", [named(replace(beside, extra="{}"), "tiny__calc-2").row()])
    for name, wanted in (("patches", "tiny__calc-1"), ("others", "tiny__calc-2")):
        write_jsonl(run_root / f"{name}.jsonl", [{"instance_id": wanted, "model_patch": task.patch}])
    make_repository(run_root / "calc")

    def call(*arguments: str) -> tuple[int, str]:
        code = main(arguments)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out + captured.err

    return call


@pytest.mark.parametrize(
    "command",
    [
        "eval --tasks rows.jsonl --policy gold --sandbox docker --output new --dry-run",
        "eval --tasks rows.jsonl --policy gold --sandbox docker --output new",
        "eval --tasks rows.jsonl --check --sandbox docker --output new",
        "grade patches.jsonl --tasks rows.jsonl --sandbox docker --output new",
    ],
)
def test_packages_in_a_container_are_refused_before_anything_is_written(run: Run, run_root: Path, command: str) -> None:
    before = sorted(path.name for path in run_root.iterdir())
    code, said = run(*command.split())
    assert code == 1
    assert "tiny__calc-1" in said and "`packages`" in said and "--sandbox local" in said
    assert sorted(path.name for path in run_root.iterdir()) == before


def test_packages_that_are_gone_are_told_as_early(run: Run, run_root: Path) -> None:
    (run_root / "packages").rmdir()
    code, said = run("eval", "--tasks", "rows.jsonl", "--policy", "gold", "--output", "new", "--dry-run")
    assert code == 1 and "its packages are not at" in said and "tasks synthesise" in said


@pytest.mark.parametrize(
    "command",
    [
        "eval --tasks plain.jsonl --policy gold --sandbox docker --output new --dry-run",
        "eval --tasks plain.jsonl --policy gold --sandbox docker --output new",
        "eval --tasks plain.jsonl --check --sandbox docker --output new",
        "grade others.jsonl --tasks plain.jsonl --sandbox docker --output new",
    ],
)
def test_a_silent_engine_is_told_once_and_nothing_is_written(
    run: Run, run_root: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", UNREACHABLE)
    before = sorted(path.name for path in run_root.iterdir())
    code, said = run(*command.split())
    assert code == 1
    assert said.count("not answer") == 1 and "install it" in said and "DOCKER_HOST" in said
    assert sorted(path.name for path in run_root.iterdir()) == before


def test_a_silent_engine_is_no_missing_image(run: Run, run_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads that an image is missing pulls it, which says the same again."""
    row = json.loads((run_root / "plain.jsonl").read_text())
    write_jsonl(run_root / "imaged.jsonl", [{**row, "image": "swe-srl-eval/not-here:none"}])
    monkeypatch.setenv("DOCKER_HOST", UNREACHABLE)
    code, said = run("eval", "--tasks", "imaged.jsonl", "--policy", "gold", "--sandbox", "docker", "--output", "new")
    assert code == 1 and "Docker does not answer" in said and "pull" not in said


@pytest.mark.docker
def test_a_missing_image_is_told_as_that(run: Run, run_root: Path) -> None:
    row = json.loads((run_root / "plain.jsonl").read_text())
    write_jsonl(run_root / "imaged.jsonl", [{**row, "image": "swe-srl-eval/not-here:none"}])
    code, said = run("eval", "--tasks", "imaged.jsonl", "--policy", "gold", "--sandbox", "docker", "--output", "new")
    assert (
        code == 1 and "swe-srl-eval/not-here:none is not on this machine: docker pull" in said and "answer" not in said
    )


def test_patches_of_other_tasks_are_told_with_what_to_name(run: Run) -> None:
    code, said = run("grade", "patches.jsonl", "--tasks", "plain.jsonl", "--output", "new")
    assert code == 2 and "tiny__calc-1 is not among the 1 tasks that were read (1 such rows of 1)" in said
    assert "by --split or --tasks" in said
