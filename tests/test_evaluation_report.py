"""Figures of a report."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from grading_support import GOLD

from swe_srl.agents.policies import answer
from swe_srl.evaluation.markdown import report_markdown
from swe_srl.evaluation.pipeline import Attempt, Failure
from swe_srl.evaluation.report import Report, make_report
from swe_srl.rewards import get_similarity
from swe_srl.tasks import task_from_row
from swe_srl.types import Action, Completion, FormatError, StopReason, Trajectory, Turn, Verdict, VerdictStatus


def attempt(
    task: str, sample: int, official: bool, hardened: bool | None = None, turns: tuple[Turn, ...] = ()
) -> Attempt:
    status = VerdictStatus.RESOLVED if official else VerdictStatus.UNRESOLVED
    kept = official if hardened is None else hardened
    reason = "" if official == kept else "not hardened: canaries"
    verdict = Verdict(task, status, official, kept, reason, seconds=2.0)
    trajectory = Trajectory(f"{task}#{sample}", task, turns, repo=f"org/{task[0]}", stop_reason=StopReason.SUBMITTED)
    return Attempt(task, sample, trajectory, verdict, 4.0)


def report_of(attempts: list[Attempt], **more: object) -> Report:
    values = {"failures": [], "unavailable": {}, "asked": len(attempts), "experts": {}, "similarity": None, **more}
    return make_report("policy on split", attempts, **values)  # type: ignore[arg-type]


def test_one_sample_per_task_gets_wilsons_interval() -> None:
    report = report_of([attempt(f"a{i}", 0, i < 8) for i in range(10)])
    assert (report.resolved, report.samples, report.tasks) == (8, 10, 10)
    assert round(report.resolve_rate.low, 4) == 0.4902
    assert report.pass_at_k == {1: 0.8}


def test_several_samples_are_bootstrapped_by_task() -> None:
    attempts = [attempt(f"a{i}", sample, sample == 0 and i < 5) for i in range(10) for sample in range(4)]
    report = report_of(attempts)
    assert report.resolve_rate.value == pytest.approx(5 / 40)
    assert report.pass_at_k[1] == pytest.approx(5 / 40)
    assert report.pass_at_k[4] == pytest.approx(0.5)
    assert set(report.pass_at_k) == {1, 2, 4}
    assert report.resolve_rate.high == pytest.approx(0.2, abs=0.03)


def test_pass_at_k_counts_only_tasks_with_enough_samples() -> None:
    report = report_of([attempt("a", 0, True), attempt("a", 1, False), attempt("b", 0, False)])
    assert report.pass_at_k == {1: pytest.approx(0.25), 2: pytest.approx(1.0)}


def test_official_and_hardened_stand_side_by_side() -> None:
    report = report_of([attempt("a1", 0, True), attempt("a2", 0, True, hardened=False), attempt("b1", 1, False)])
    assert (report.resolved, report.hardened) == (2, 1)
    assert report.differing == {"a2": "not hardened: canaries"}
    assert report.by_repository == {"org/a": (2, 2), "org/b": (0, 1)}


def test_a_run_without_hardened_runs_tells_nothing_of_them() -> None:
    report = report_of([attempt("a1", 0, True, hardened=False)], hardened=False)
    assert (report.hardened, report.hardened_rate, report.differing) == (None, None, {})
    text = report_markdown(report)
    assert "| resolved (hardened rules) | not measured: no hardened runs were made |" in text
    assert report.as_dict()["hardened_rate"] is None


def test_tokens_turns_and_format_errors() -> None:
    turns = (
        Turn(Action("ls"), prompt_tokens=100, completion_tokens=30, thought_tokens=20),
        Turn(FormatError("no command", "x"), prompt_tokens=200, completion_tokens=10, thought_tokens=0),
    )
    report = report_of([attempt("a", 0, True, turns=turns), attempt("b", 0, False, turns=turns)])
    assert report.turns == 2 and report.format_error_rate == 0.5 and report.cut_rate == 0
    assert "| format errors | 50.0% of the turns |" in report_markdown(report)
    cut = answer(Completion("```bash\nls", (), (), False)).action
    assert isinstance(cut, FormatError)
    some = report_of([attempt("a", 0, True, turns=(*turns, Turn(cut), Turn(cut)))])
    assert "| format errors | 75.0% of the turns, 50.0% cut by the token limit |" in report_markdown(some)
    assert report.tokens == {"prompt": 150, "completion": 20, "thought": 10, "command": 10}
    assert report.exit_reasons == {"submitted": 2}
    assert report_of([attempt("a", 0, True)]).tokens == {}


def test_tokens_and_cost_of_an_episode() -> None:
    turns = (
        Turn(Action("ls"), prompt_tokens=1000, completion_tokens=30, thought_tokens=20),
        Turn(Action("submit"), prompt_tokens=2000, completion_tokens=10, thought_tokens=0),
    )
    attempts = [attempt("a", 0, True, turns=turns), attempt("b", 0, False, turns=turns[:1])]
    report = report_of(attempts, prices=(2.0, 20.0))
    assert report.per_episode == {"context": 2000, "thought": 20, "command": 15, "cost": pytest.approx(0.0047)}
    text = report_markdown(report)
    assert "| context tokens per episode | 2000 |" in text and "| cost per episode | 0.0047 |" in text
    assert "cost" not in report_of(attempts).per_episode
    assert "cost per episode" not in report_markdown(report_of(attempts))


def test_rates_by_difficulty_and_what_patches_touch() -> None:
    row = {"problem_statement": "x", "repo": "o/r", "patch": GOLD}
    tasks = {
        name: task_from_row({**row, "instance_id": name, "difficulty": difficulty})
        for name, difficulty in (("a", "<15 min fix"), ("b", "1-4 hours"), ("c", ""))
    }
    attempts = [attempt(name, 0, name == "a", turns=(Turn(Action("sed -i s/a/b/ x.py")),)) for name in tasks]
    attempts = [replace(a, trajectory=replace(a.trajectory, patch=GOLD)) for a in attempts]
    report = report_of(attempts, tasks=tasks)
    assert report.by_difficulty == {"1-4 hours": (0, 1), "<15 min fix": (1, 1)}
    assert report.patches.touched_gold == 1.0
    text = report_markdown(report)
    assert "## By difficulty" in text and "| edits verified by a run | 0 of 3 (0.0%) |" in text
    assert (
        "3 read, 0 empty, 0 unreadable; 1.0 files, 1.0 hunks, +1.0 -1.0 lines; 100.0% touch a file of the gold" in text
    )
    json.dumps(report.as_dict())


def test_flaky_samples_have_their_own_list() -> None:
    shaky = attempt("a", 0, True)
    shaky = replace(shaky, verdict=replace(shaky.verdict, flags=("flaky:official 2/3", "flaky-test:t", "conftest:x")))
    report = report_of([shaky])
    assert report.flaky == {"a": ("flaky:official 2/3", "flaky-test:t")} and report.flagged == {"a": ("conftest:x",)}
    assert "## Flaky: gradings differ: 1" in report_markdown(report)


def test_similarity_to_the_expert_is_by_turn() -> None:
    expert = Trajectory("e", "a", (Turn(Action("ls")), Turn(Action("cat x")), Turn(Action("submit"))))
    own = (Turn(Action("ls")), Turn(FormatError("no command", "x")))
    known = report_of([attempt("a", 0, True, turns=own)], experts={"a": expert}, similarity=get_similarity("sequence"))
    assert known.similarity == pytest.approx(0.5)
    unknown = report_of(
        [attempt("b", 0, True, turns=own)], experts={"a": expert}, similarity=get_similarity("sequence")
    )
    assert unknown.similarity is None


def test_what_was_left_out_is_told() -> None:
    failure = Failure("a9", 0, "grading", "the daemon is gone")
    report = report_of([attempt("a1", 0, True)], failures=[failure], unavailable={"b1": "no image b1"}, asked=2)
    text = report_markdown(report)
    assert "1 graded sample of 1 task; 2 samples asked for, 1 lost to infrastructure failures; not run: 1 task" in text
    assert "Infrastructure failures (not counted): 1" in text and "the daemon is gone" in text
    assert "no image b1" in text
    assert json.loads(json.dumps(report.as_dict()))["failures"][0]["reason"] == "the daemon is gone"


def test_many_tasks_that_lack_the_same_have_one_line() -> None:
    missing = {f"b{number}": "no prediction of this task" for number in range(57)} | {"c1": "no image c1"}
    text = report_markdown(report_of([attempt("a1", 0, True)], unavailable=missing))
    assert "Not run here (not counted): 58" in text and "not run: 58 tasks" in text
    assert "- `b0`: no prediction of this task (and 56 more tasks, for the same reason)\n- `c1`: no image c1\n" in text


def test_predictions_tell_nothing_of_how_they_were_made() -> None:
    worked = (
        "turns per episode",
        "format errors",
        "edits verified",
        "similarity",
        "exit reasons",
        "seconds per episode",
    )
    known = attempt("a1", 0, True)
    given = replace(known, trajectory=replace(known.trajectory, stop_reason=None))
    texts = [report_markdown(report_of([one])) for one in (known, given)]
    for figure in worked:
        assert figure in texts[0] and figure not in texts[1], figure
    for text in texts:
        assert "| verdicts | resolved 1 |" in text and "| seconds per grading | 2.0 |" in text


def test_an_empty_run_has_no_rate() -> None:
    report = report_of([], failures=[Failure("a", 0, "episode", "x")], asked=1)
    assert "no data" in report_markdown(report)
    assert report.as_dict()["resolve_rate"]["value"] is None


def test_hostile_text_stays_in_its_cell() -> None:
    broken = attempt("a1", 0, True, hardened=False)
    text = report_markdown(report_of([broken], unavailable={"x|y": "line one\nline two | three"}))
    assert "line one line two | three" in text
