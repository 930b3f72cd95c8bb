"""Problems with a final answer: their rows, their answers, the environment that shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st

from swe_srl.envs.answers import AnswerEnv
from swe_srl.errors import TaskError
from swe_srl.grading.answers import grade_answer
from swe_srl.tasks.problems import PROBLEM_SETS, answer_of, last_boxed, load_problems
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


@pytest.mark.parametrize("name", sorted(PROBLEM_SETS))
def test_the_real_sets_are_read(shared_data: Path, name: str) -> None:
    file = {"minerva": "minerva_math"}.get(name, name)
    read = load_problems(name, str(shared_data / "math" / f"{file}.jsonl"))
    assert len(read) == {"aime24": 30, "aime25": 30, "amc23": 40, "minerva": 272, "math500": 500}[name]
    assert all(task.problem_statement and answer_of(task) for task in read)
    own = [grade_answer(task, f"So \\boxed{{{answer_of(task)}}}").official for task in read[:40]]
    assert all(own)


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
