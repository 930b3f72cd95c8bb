"""Problems with a final answer: their rows, their answers, the environment that shows them."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st

from swe_srl.cli import main
from swe_srl.envs.answers import AnswerEnv
from swe_srl.errors import TaskError
from swe_srl.grading.answers import exact_powers, grade_answer, validate_answer
from swe_srl.tasks import load_tasks
from swe_srl.tasks.problems import PROBLEM_SETS, answer_of, is_problem, last_boxed, load_problems
from swe_srl.types import Task, VerdictStatus


def problems(folder: Path, *rows: dict[str, Any], name: str = "math500") -> list[Task]:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_problems(name, str(path))


def problem(answer: str) -> Task:
    return Task("p-1", "p", "", "What is it?", extra=json.dumps({"answer": answer}))


def test_the_columns_of_the_published_sets_are_known(tmp_path: Path) -> None:
    rows = [
        {"id": 60, "problem": "A?", "solution": "…", "answer": "204"},
        {"answer": "70", "problem": "B?"},
        {"id": 0, "problem": "C?", "answer": 27.0},
        {"problem": "D?", "solution": "So \\boxed{3}, then \\boxed{\\frac{1}{2}}.", "type": "Optics", "idx": 3},
        {"question": "E?", "answer": "p - q", "subject": "Algebra", "unique_id": "test/algebra/2584.json"},
    ]
    read = problems(tmp_path, *rows)
    assert [task.instance_id for task in read] == [
        "math500-60", "math500-2", "math500-0", "math500-3", "math500-test-algebra-2584.json"
    ]  # fmt: skip
    assert [answer_of(task) for task in read] == ["204", "70", "27", "\\frac{1}{2}", "p - q"]
    assert [task.repo for task in read] == ["math500", "math500", "math500", "math500/Optics", "math500/Algebra"]
    assert read[0].problem_statement == "A?" and "204" not in read[0].problem_statement


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([{"problem": "A?"}], r"row 1: a problem needs `problem` and `answer`"),
        ([{"answer": "1"}], r"row 1: a problem needs"),
        ([{"problem": "A?", "solution": "It is 3."}], r"the answer in \\boxed"),
        ([{"problem": "A?", "answer": "1", "id": 1}] * 2, r"row 2: math500-1 occurs twice"),
        ([], r"no problem in it"),
    ],
)
def test_rows_that_are_no_problems_are_named(tmp_path: Path, rows: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(TaskError, match=reason):
        problems(tmp_path, *rows)


@pytest.mark.parametrize(
    ("file", "count", "said"),
    [
        ("aime24.jsonl", 30, "its own name says aime24"),
        ("rows.jsonl", 2, "it has 2 problems, and aime25 has 30"),
        ("rows.jsonl", 30, ""),
    ],
)
def test_a_file_that_can_hardly_be_the_set_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, file: str, count: int, said: str
) -> None:
    (tmp_path / file).write_text("".join(json.dumps({"problem": "A?", "answer": str(n)}) + "\n" for n in range(count)))
    assert len(load_problems("aime25", str(tmp_path / file))) == count
    assert (said in caplog.text and "stands in for aime25" in caplog.text) if said else not caplog.text


def test_a_file_of_problems_is_a_task_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "aime24.jsonl"
    path.write_text(
        '{"id": 60, "problem": "A?", "answer": "204"}\n{"question": "B?", "solution": "\\\\boxed{4.5e33}"}\n'
    )
    tasks = load_tasks(str(path))
    assert tasks == load_problems("aime24", str(path)) == load_tasks(str(tmp_path))
    assert [task.instance_id for task in tasks] == ["aime24-60", "aime24-2"] and all(map(is_problem, tasks))
    assert not any(map(is_problem, load_tasks("quickstart")))
    assert main(["tasks", "show", str(path), "aime24-60"]) == 0
    assert "answer (never shown to a policy)\n204" in capsys.readouterr().out
    assert main(["tasks", "validate", str(path)]) == 0
    assert "2 of 2 tasks are sound" in capsys.readouterr().out


def test_a_problem_whose_own_answer_is_not_found_right_is_not_sound() -> None:
    assert validate_answer(problem("2")).valid
    assert "is not found right" in validate_answer(problem("{2")).problems[0]


@pytest.mark.parametrize("name", sorted(PROBLEM_SETS))
def test_the_real_sets_are_read(shared_data: Path, name: str) -> None:
    file = {"minerva": "minerva_math"}.get(name, name)
    read = load_problems(name, str(shared_data / "math" / f"{file}.jsonl"))
    assert len(read) == {"aime24": 30, "aime25": 30, "amc23": 40, "minerva": 272, "math500": 500}[name]
    assert all(task.problem_statement and answer_of(task) for task in read)
    own = [grade_answer(task, f"So \\boxed{{{answer_of(task)}}}").official for task in read[:40]]
    assert all(own)


@pytest.mark.parametrize("written", ["latex", "long", "e"])
def test_powers_of_ten_of_the_real_sets_are_compared(shared_data: Path, written: str) -> None:
    tasks = load_problems("minerva", str(shared_data / "math" / "minerva_math.jsonl"))
    found = [(task, parts) for task in tasks if (parts := re.fullmatch(r"(-?[0-9.]+)e(-?[0-9]+)", answer_of(task)))]
    assert len(found) == 58
    for task, (mantissa, exponent) in ((task, parts.groups()) for task, parts in found):
        forms = {
            "latex": f"{mantissa} \\times 10^{{{exponent}}} \\mathrm{{~cm}}",
            "long": f"{Decimal(answer_of(task)):f}",
            "e": f"{mantissa}0E{exponent}" if "." in mantissa else f"{mantissa}.0E{exponent}",
        }
        assert grade_answer(task, f"So $\\boxed{{{forms[written]}}}$.").official, (task.instance_id, forms[written])
        wrong = f"{mantissa}\\times 10^{{{int(exponent) + 1}}}"
        assert not grade_answer(task, f"So $\\boxed{{{wrong}}}$.").official, task.instance_id
    small = problem("2.5e-19")
    for wrong in ("2.4e-19", "0", "\\frac{1}{10^{19}}", "10^{-18}", "0.00000000000000000002", "-2.5 \\times 10^{-19}"):
        assert not grade_answer(small, f"\\boxed{{{wrong}}}").official, wrong
    for right in ("\\frac{25}{10^{20}}", "0.25 \\cdot 10^{-18}", "0.00000000000000000025"):
        assert grade_answer(small, f"\\boxed{{{right}}}").official, right


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("\\boxed 204", "204"),
        ("It is $\\boxed -3 + 4$.", "-3 + 4"),
        ("It is \\(\\boxed \\frac{1}{2}\\).", "\\frac{1}{2}"),
        ("So \\boxed 204. And on.", "204"),
        ("\\fbox{204}", "204"),
        ("\\boxed {204}", "204"),
        ("\\boxed{204} or \\boxed{ }", "204"),
        ("\\boxed{204}, in \\fbox{} that is", "204"),
        ("\\boxed{1} or \\boxed{\\boxed{2}}", "2"),
        ("Put it in \\boxed now.", ""),
        ("\\boxed{1} or \\boxed{2", ""),
        ("\\boxed \\frac{1}{2", ""),
        ("\\boxedx{2}", ""),
    ],
)
def test_the_last_box_that_is_not_empty_holds_the_answer(text: str, answer: str) -> None:
    assert last_boxed(text) == answer


@pytest.mark.timeout(60)
def test_looking_for_boxes_takes_no_time_that_grows_with_the_square() -> None:
    for text in ("\\boxed{", "\\boxed{ }", "\\boxed 1{ ", "{", "}", "\\boxed "):
        assert last_boxed(text * 3_000) in ("", "1")
        assert exact_powers("1" * 10_000 + text) == "1" * 10_000 + text


@given(st.text(alphabet="ab{}\\boxed ", max_size=40))
def test_the_last_box_is_balanced(text: str) -> None:
    inside = last_boxed(text)
    assert inside.count("{") == inside.count("}") and (not inside or inside in text)


@pytest.mark.parametrize(
    ("answer", "text", "status"),
    [
        ("27", "So it is \\boxed{27.0}.", VerdictStatus.RESOLVED),
        ("\\left( 3, \\frac{\\pi}{2} \\right)", "\\boxed{(3,\\pi/2)}", VerdictStatus.RESOLVED),
        ("\\frac{1}{2}", "\\boxed{2} or rather \\boxed{0.5}", VerdictStatus.RESOLVED),
        ("\\text{(B)}", "\\boxed{\\text{(B)}}", VerdictStatus.RESOLVED),
        ("2", "\\boxed{2} or rather \\boxed{3}", VerdictStatus.UNRESOLVED),
        ("4.5e33", "\\boxed{4.5 \\times 10^{33}}", VerdictStatus.RESOLVED),
        ("4.5e33", "\\boxed{45 \\cdot 10^{32} \\text{ erg/s}}", VerdictStatus.RESOLVED),
        ("4.5e33", "\\boxed{4.5e33 \\mathrm{~erg}}", VerdictStatus.RESOLVED),
        ("4.5e33", "\\boxed{4.5 \\times 10^{32}}", VerdictStatus.UNRESOLVED),
        ("4.5e33", "\\boxed{4.6e33}", VerdictStatus.UNRESOLVED),
        ("8.7e8", "\\boxed{870000000}", VerdictStatus.RESOLVED),
        ("870000000", "\\boxed{8.7 \\times 10^8}", VerdictStatus.RESOLVED),
        ("1e-5", "\\boxed{10^{-5}}", VerdictStatus.RESOLVED),
        ("-1.70e-4", "\\boxed{-0.00017}", VerdictStatus.RESOLVED),
        ("3.9e-10", "\\boxed{0}", VerdictStatus.UNRESOLVED),
        ("2e - 1", "\\boxed{2e-1}", VerdictStatus.RESOLVED),
        ("40000", "\\boxed{1/2.5 \\times 10^5}", VerdictStatus.RESOLVED),
        ("400", "\\boxed{1/2.5 \\times 10^5}", VerdictStatus.UNRESOLVED),
        ("204", "\\boxed 204", VerdictStatus.RESOLVED),
        ("204", "\\boxed{204.}", VerdictStatus.RESOLVED),
        ("\\frac{3}{4}", "\\boxed{0.75 .}", VerdictStatus.RESOLVED),
        ("204", "\\boxed{205.}", VerdictStatus.UNRESOLVED),
        ("204", "\\boxed{204} or \\boxed{ }", VerdictStatus.RESOLVED),
        ("2", "It is 2.", VerdictStatus.EMPTY_PATCH),
        ("2", "\\boxed{}", VerdictStatus.EMPTY_PATCH),
        ("2", "\\boxed{2", VerdictStatus.EMPTY_PATCH),
        ("2", "\\boxed{\\frac{}{}{}^^}", VerdictStatus.UNRESOLVED),
        ("2", "\\boxed{1, 2, 3}", VerdictStatus.UNRESOLVED),
        ("2", "\\boxed{2 \\text{ or } 3}", VerdictStatus.UNRESOLVED),
    ],
)
def test_answers_are_compared_as_mathematics(answer: str, text: str, status: VerdictStatus) -> None:
    verdict = grade_answer(problem(answer), text)
    assert verdict.status is status and verdict.official is verdict.hardened is (status is VerdictStatus.RESOLVED)
    assert bool(verdict.reason) is not verdict.official


def test_the_environment_ends_with_an_answer() -> None:
    env = AnswerEnv(problem("4"))
    check_env(env, skip_render_check=True)
    assert env.reset()[0] == "What is it?"
    assert env.step("2 + 2 is to be found.")[2] is False
    assert env.step("So \\boxed{4}.")[2] is True
