import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trajectory_strategies import ANY_TEXT, PATIENT, trajectories

from swe_srl.errors import TrajectoryError
from swe_srl.trajectories import (
    ReadReport,
    read_steps,
    read_trajectories,
    step_from_row,
    step_to_row,
    trajectory_from_row,
    trajectory_to_row,
    write_steps,
    write_trajectories,
)
from swe_srl.types import Action, Message, Step, Trajectory, Turn

STEPS = st.builds(
    Step,
    step_id=ANY_TEXT.filter(bool),
    trajectory_id=ANY_TEXT.filter(bool),
    task_id=ANY_TEXT,
    index=st.integers(0, 99),
    context=st.lists(st.builds(Message, st.sampled_from(["system", "user", "assistant"]), ANY_TEXT), max_size=3).map(
        lambda messages: (*messages, Message("user", "go on"))
    ),
    target=ANY_TEXT,
    thought=ANY_TEXT,
    repo=ANY_TEXT,
    base_commit=ANY_TEXT,
)


@PATIENT
@given(trajectories())
def test_a_trajectory_survives_its_row(trajectory):
    row = json.loads(json.dumps(trajectory_to_row(trajectory)))
    assert trajectory_from_row(row) == trajectory


@PATIENT
@given(STEPS)
def test_a_step_survives_its_row(step):
    assert step_from_row(json.loads(json.dumps(step_to_row(step)))) == step


def test_files_of_trajectories_and_steps(tmp_path):
    trajectory = Trajectory("t\u2028", "task", (Turn(Action("ls\x85\nb", "é")),), "issue")
    write_trajectories(tmp_path / "a.jsonl", [trajectory, trajectory])
    report = ReadReport()
    first, second = read_trajectories(tmp_path / "a.jsonl", report)
    assert first == trajectory
    assert second.trajectory_id == "t\u2028#2"
    assert report.formats == {"": 2}
    step = Step("s", "t", "task", 0, (Message("user", "2 + 2?"),), "4")
    write_steps(tmp_path / "steps.jsonl", [step])
    assert list(read_steps(tmp_path / "steps.jsonl")) == [step]


def test_names_that_are_given_are_not_given_twice(tmp_path):
    names = ["t", "t#2", "t", "t", "t#2", "u#2", "u", "u"]
    write_trajectories(tmp_path / "a.jsonl", [Trajectory(name, "task", (Turn(Action("ls")),)) for name in names])
    found = [one.trajectory_id for one in read_trajectories(tmp_path / "a.jsonl", ReadReport())]
    assert found == ["t", "t#2", "t#3", "t#4", "t#2#2", "u#2", "u", "u#3"]


def test_any_domain_is_a_context_and_a_target(tmp_path):
    path = tmp_path / "chess.jsonl"
    path.write_text('{"context": [{"role": "user", "content": "1. e4 e5 2."}], "target": "Nf3"}\n')
    (step,) = read_steps(path)
    assert (step.step_id, step.target, step.context[0].content) == ("chess:1", "Nf3", "1. e4 e5 2.")


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"target": "x"}, "needs its context"),
        ({"context": [], "target": "x"}, "needs its context"),
        ({"context": [{"role": "assistant", "content": "x"}], "target": "x"}, "ends with a user message"),
        ({"context": [{"role": "wizard", "content": "x"}], "target": "x"}, "needs a role"),
        ({"context": [{"role": "user", "content": 3}], "target": "x"}, "content must be text"),
        ({"context": [{"role": "user", "content": "x"}], "target": 4}, "target must be text"),
    ],
)
def test_malformed_steps_say_file_line_and_reason(tmp_path, row, problem):
    path = tmp_path / "steps.jsonl"
    path.write_text(json.dumps({"context": [{"role": "user", "content": "x"}], "target": "x"}) + "\n" + json.dumps(row))
    with pytest.raises(TrajectoryError, match=rf"steps\.jsonl, record 2: .*{problem}"):
        list(read_steps(path))


def test_a_newer_version_is_refused():
    row = {**trajectory_to_row(Trajectory("t", "", (Turn(Action("ls")),))), "version": 2}
    with pytest.raises(TrajectoryError, match="version 2"):
        trajectory_from_row(row)
