"""The commands on small files: what they print, and how they answer wrong input."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from swe_srl.cli import main
from swe_srl.files import write_jsonl
from swe_srl.trajectories import write_trajectories
from swe_srl.types import Action, FormatError, Task, Trajectory, Turn
from tests.grading_support import interrupted_tests

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(run_root: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run one command in an empty folder: exit code, standard output, standard error."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return call


def task(number: int) -> Task:
    return Task(
        instance_id=f"shop__cart-{number}",
        repo="shop/cart",
        base_commit="0" * 40,
        problem_statement=f"Sum {number} is wrong.",
        patch="--- a/cart.py\n+++ b/cart.py\n",
        fail_to_pass=("test_sum",),
        pass_to_pass=("test_a", "test_b"),
    )


@pytest.fixture
def rows(run_root: Path) -> str:
    write_jsonl(run_root / "rows.jsonl", [task(number).row() for number in range(3)])
    return "rows.jsonl"


@pytest.fixture
def expert(run_root: Path) -> str:
    turns = (
        Turn(Action("ls", "Look."), "cart.py\n", exit_code=0),
        Turn(FormatError("two commands", "ls\npwd"), ""),
        Turn(Action("submit", "Done.")),
    )
    trajectory = Trajectory("one", "shop__cart-0", turns, problem_statement="Sum 0 is wrong.", repo="shop/cart")
    write_trajectories(run_root / "expert.jsonl", [trajectory])
    return "expert.jsonl"


def test_tasks_list(run: Run, rows: str) -> None:
    code, out, _ = run("tasks", "list", rows)
    assert code == 0
    assert "shop__cart-2" in out and "3 tasks of 1 repository" in out


def test_tasks_list_as_rows_can_be_listed_again(run: Run, rows: str, run_root: Path) -> None:
    _, out, _ = run("tasks", "list", rows, "--json")
    (run_root / "again.jsonl").write_text(out)
    assert run("tasks", "list", "again.jsonl", "--json")[1] == out
    assert [json.loads(line)["instance_id"] for line in out.splitlines()] == [f"shop__cart-{n}" for n in range(3)]


def test_tasks_of_one_repository(run: Run, rows: str) -> None:
    assert "0 tasks" in run("tasks", "list", rows, "--repo", "shop/other")[1]


def test_tasks_show(run: Run, rows: str) -> None:
    code, out, _ = run("tasks", "show", rows, "shop__cart-1")
    assert code == 0 and "Sum 1 is wrong." in out and "+++ b/cart.py" in out and "test_sum" in out
    assert json.loads(run("tasks", "show", rows, "shop__cart-1", "--json")[1])["FAIL_TO_PASS"] == '["test_sum"]'


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tasks", "show", "rows.jsonl", "shop__cart-9"], "did you mean 'shop__cart-"),
        (["tasks", "show", "rows.jsonl"], "TASK is missing"),
        (["tasks", "list", "lit"], "did you mean 'lite'?"),
        (["tasks", "list", "nowhere.jsonl"], "nowhere.jsonl: no such file"),
        (["tasks", "validate", "rows.jsonl", "--sandbox", "dokcer"], "did you mean 'docker'?"),
        (["trajectories", "inspect", "nowhere.jsonl"], "nowhere.jsonl: no such file or folder"),
        (["trajectories", "inspect", "expert.jsonl", "--format", "swe-agnet"], "did you mean 'swe-agent'?"),
        (["trajectories", "steps", "expert.jsonl", "--agent", "shel"], "did you mean 'shell'?"),
        (["train", "--config", "quickstrat"], "did you mean 'quickstart'?"),
        (["train", "--learning-rate", "fast"], "--learning-rate: expected a number"),
        (["train", "stages.0.learning_rat=1"], "did you mean 'learning_rate'?"),
        (["eval", "--samples", "0"], "samples must be at least 1"),
        (["eval", "--split", "verifed"], "did you mean 'verified'?"),
        (["eval", "--tasks", "nowhere.parquet"], "nowhere.parquet"),
        (["grade", "nowhere.jsonl"], "no such file or run folder: nowhere.jsonl"),
        (["grade"], "PREDICTIONS is missing"),
        (["compare", "a", "b"], "not a run folder"),
        (["demo", "--samples", "0"], "samples must be at least 1"),
    ],
)
@pytest.mark.usefixtures("rows", "expert")
def test_wrong_input_is_answered_with_code_2(run: Run, arguments: list[str], message: str) -> None:
    code, out, err = run(*arguments)
    assert code == 2 and message in err and out == ""


def test_tasks_that_cannot_run_here_are_a_failure(run: Run, rows: str) -> None:
    code, _, err = run("eval", "--tasks", rows, "--policy", "gold", "--dry-run")
    assert code in (1, 2) and "shop__cart-0" in err


def test_validate_names_what_a_row_lacks(run: Run, rows: str) -> None:
    code, out, _ = run("tasks", "validate", rows, "--limit", "2")
    assert code == 1
    assert "shop__cart-1: the row has no eval_script" in out and "0 of 2 tasks are sound" in out


def test_an_interrupted_validation_ends_its_tests(run: Run, run_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = interrupted_tests(monkeypatch)
    whole = [replace(task(number), eval_script="true") for number in range(4)]
    write_jsonl(run_root / "whole.jsonl", [each.row() for each in whole])
    code, _, err = run("tasks", "validate", "whole.jsonl", "--workers", "1")
    assert code == 130 and "interrupted" in err
    assert set(ended) == {True} and len(ended) <= 2  # both runs of the first task, none of the others


def test_inspect_accounts_for_every_turn(run: Run, expert: str) -> None:
    code, out, _ = run("trajectories", "inspect", expert)
    assert code == 0 and "3 turns: 2 steps, 1 reported" in out and "two commands" in out
    report = json.loads(run("trajectories", "inspect", expert, "--json", "--no-include-last")[1])
    assert (report["turns_read"], report["steps"], report["reported"]) == (3, 1, 2)


def test_examples_of_a_folder_are_named_by_their_path_in_it(run: Run, expert: str, run_root: Path) -> None:
    """Public collections have files of the same name in many folders."""
    for place in ("one", "two"):
        (run_root / "all" / place).mkdir(parents=True)
    (run_root / "all" / "one" / "part.jsonl").write_text('{"unknown": 1}\n')
    (run_root / "all" / "two" / "part.jsonl").write_text((run_root / expert).read_text())
    for command in (("trajectories", "inspect", "all"), ("train", "--dry-run", "--trajectories", "all")):
        out = run(*command)[1]
        assert "one/part.jsonl, record 1" in out and "two/part.jsonl, record 1" in out
    assert " part.jsonl, record 1" in run("trajectories", "inspect", "all/one/part.jsonl")[1]


def test_inspect_against_an_evaluation_split(run: Run, expert: str, rows: str) -> None:
    report = json.loads(run("trajectories", "inspect", expert, "--against", rows, "--json")[1])
    assert report["steps"] == 0 and {"contaminated", "two commands"} == {entry["reason"] for entry in report["turns"]}


def test_steps_are_shown_or_written(run: Run, expert: str, run_root: Path) -> None:
    code, out, _ = run("trajectories", "steps", expert, "--limit", "1")
    assert code == 0 and "Sum 0 is wrong." in out and "--- target\nls\n" in out and out.count("===") == 1
    code, out, _ = run("trajectories", "steps", expert, "--output", "steps.jsonl")
    assert code == 0 and "2 steps written to steps.jsonl" in out
    targets = [json.loads(line)["target"] for line in (run_root / "steps.jsonl").read_text().splitlines()]
    assert targets == ["ls", "submit"]


def test_dry_run_of_training_makes_the_steps_and_no_folder(run: Run, expert: str, run_root: Path) -> None:
    code, out, _ = run("train", "--trajectories", expert, "--dry-run", "--updates", "3", "--learning-rate", "1e-3")
    assert code == 0 and "2 training steps" in out and "srl, 3 updates of 16 steps" in out
    assert not (run_root / "runs").exists()
    (told,) = [line for line in out.splitlines() if line.startswith("contexts of 2 steps: ")]
    most = int(told.split()[-3].replace(",", ""))
    assert told.endswith(f"tokens on average, {most:,} at most")
    assert "are too few for" not in out
    short = run("train", "--trajectories", expert, "--dry-run", "--max-new-tokens", "2")[1]
    assert "warning: max_new_tokens: 2 are too few for the expert's command of " in short
    out = run("train", "--trajectories", expert, "--dry-run", "--max-context-tokens", str(most - 1))[1]
    assert f"{told}; 1 have more than the {most - 1:,} that have room: left out" in out


@pytest.mark.parametrize(
    ("package", "flags", "told"),
    [
        ("peft", ["--lora-rank", "4"], "peft is not installed: pip install 'swe-srl[lora]'"),
        ("trackio", ["--track", "trackio"], "trackio is not installed: pip install 'swe-srl[tracking]'"),
        ("tensorboard", ["--tensorboard"], "tensorboard is not installed: pip install 'swe-srl[tracking]'"),
    ],
)
@pytest.mark.parametrize("more", [["--dry-run"], []])
def test_an_extra_that_training_needs_is_missed_before_anything_is_made(
    package: str, flags: list[str], told: str, more: list[str], run: Run, expert: str, run_root: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, package, None)
        code, _, err = run("train", "--trajectories", expert, *flags, *more, "--output", "run")
    assert code == 2 and told in err and not (run_root / "run").exists()


def test_dry_run_of_training_refuses_completions_that_leave_no_room(run: Run, expert: str) -> None:
    code, _, told = run("train", "--trajectories", expert, "--dry-run", "--max-new-tokens", "4096")
    assert code == 2 and "max_new_tokens: 4,096 leave no room for a context" in told and "4,096 positions" in told
    assert run("train", "--trajectories", expert, "--dry-run", "--max-new-tokens", "4095")[0] == 0


def test_dry_run_of_training_says_that_validation_is_trained_on(run: Run, expert: str) -> None:
    code, out, _ = run("train", "--trajectories", expert, "--validation", expert, "--dry-run")
    assert code == 0 and "2 training steps, 2 held out" in out
    assert "warning: 1 tasks of the validation trajectories are trained on too" in out


def test_doctor_tells_everything_and_never_fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = run("doctor")
    assert code == 0 and all(name in out for name in ("bubblewrap", "docker engine", "GPU", "space (here)", "git"))
    monkeypatch.setenv("PATH", "")
    code, out, _ = run("doctor", "--json")
    findings = {finding["name"]: finding for finding in json.loads(out)}
    assert code == 0 and not findings["bubblewrap"]["available"] and findings["bubblewrap"]["remedy"]
    assert not findings["git"]["available"] and "apt-get install git" in findings["git"]["remedy"]


def test_doctor_asks_the_hub_only_when_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "hub" not in {finding["name"] for finding in json.loads(run("doctor", "--json")[1])}
    findings = {finding["name"]: finding for finding in json.loads(run("doctor", "--json", "--hub")[1])}
    assert not findings["hub"]["available"] and "127.0.0.1:9" in findings["hub"]["detail"]
