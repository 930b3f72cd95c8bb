"""The steps of a run: what is held out, what is refused, in which order they come."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest
from training_data import make_trajectory, train_settings, write_trajectory_file

from swe_srl.errors import ContaminationError, TrajectoryError
from swe_srl.training.data import (
    StepStream,
    load_steps,
    model_fingerprint,
    shuffle_targets,
    steps_fingerprint,
)
from swe_srl.training.holding_out import hold_out
from swe_srl.training.objective import completion_weights
from swe_srl.trajectories import ReadReport, StepSettings, make_steps
from swe_srl.trajectories.prompting import Prompting
from swe_srl.types import Action, Message, Step, Task, Trajectory, Turn


def some_steps(count: int) -> list[Step]:
    return list(make_steps((make_trajectory(number) for number in range(count)), Prompting()))


def test_every_turn_is_a_step_and_whole_tasks_are_held_out(tmp_path: Path) -> None:
    data = load_steps(train_settings(tmp_path, validation_share=0.25))
    assert len(data.training) + len(data.validation) == 12 * 4 and len(data.validation) == 3 * 4
    assert not {s.task_id for s in data.training} & {s.task_id for s in data.validation}
    assert data.report.steps == 48 and not data.contaminated
    again = load_steps(train_settings(tmp_path, validation_share=0.25))
    assert again.fingerprints() == data.fingerprints()
    other = load_steps(train_settings(tmp_path, validation_share=0.25, seed=1))
    assert other.fingerprints() != data.fingerprints()


def test_named_validation_trajectories(tmp_path: Path) -> None:
    settings = train_settings(tmp_path)
    (tmp_path / "held").mkdir()
    held = write_trajectory_file(tmp_path / "held", 2)
    data = load_steps(train_settings(tmp_path, validation=str(held)))
    assert (len(data.training), len(data.validation)) == (48, 8)
    assert data.shared_tasks == ["task0", "task1"]
    assert data.held_report is not None and data.held_report.steps == 8
    drawn = load_steps(settings)
    assert len(drawn.validation) == 4 and drawn.held_report is None and not drawn.shared_tasks


def test_what_is_unusable_of_named_validation_trajectories_is_reported(tmp_path: Path) -> None:
    (tmp_path / "held").mkdir()
    held = write_trajectory_file(tmp_path / "held", 1)
    held.write_text(held.read_text() + '{"unknown": 1}\n')
    data = load_steps(train_settings(tmp_path, validation=str(held)))
    assert data.held_report is not None and len(data.held_report.records) == 1 and len(data.validation) == 4


def test_named_validation_trajectories_without_a_usable_step_are_an_error(tmp_path: Path) -> None:
    held = tmp_path / "held.jsonl"
    held.write_text('{"unknown": 1}\n')
    with pytest.raises(TrajectoryError, match=r"held\.jsonl: no validation step came of it \(no known"):
        load_steps(train_settings(tmp_path, validation=str(held)))


def test_trajectories_without_a_task_are_held_out_by_how_they_begin() -> None:
    """Several attempts at one issue are one task, so that none is in validation while another one is trained on."""
    steps = [
        replace(
            step, task_id="", context=(Message("user", f"Issue {int(step.trajectory_id[1:]) // 2}."), *step.context[1:])
        )
        for step in some_steps(8)
    ]
    attempts = [step for step in steps if step.context[0].content == "Issue 1."]
    assert len({step.trajectory_id for step in attempts}) == 2
    for seed in range(5):
        training, validation = hold_out(steps, 0.25, seed)
        assert (len(training), len(validation)) == (24, 8)
        assert not {s.context[0].content for s in training} & {s.context[0].content for s in validation}
    alone = [replace(step, context=(Message("user", step.trajectory_id),)) for step in steps]
    training, validation = hold_out(alone, 0.25, 0)
    assert len({s.trajectory_id for s in validation}) == 2 and len(validation) == 8


def test_the_fingerprint_of_a_model_folder_is_of_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"one")
    first = model_fingerprint(tmp_path)
    (tmp_path / "notes.md").write_text("not part of the model")
    assert model_fingerprint(tmp_path) == first
    (tmp_path / "model.safetensors").write_bytes(b"two")
    assert model_fingerprint(tmp_path) != first


@pytest.mark.parametrize(("share", "count", "held"), [(0.0, 5, 0), (0.5, 1, 0), (0.001, 5, 1), (0.99, 5, 4)])
def test_hold_out_leaves_something_to_train_on(share: float, count: int, held: int) -> None:
    training, validation = hold_out(some_steps(count), share, 0)
    assert len(validation) == held * 4 and len(training) == (count - held) * 4


def evaluation_file(folder: Path, **task: str) -> str:
    path = folder / "tasks.jsonl"
    row = Task("other", "made/other", "x" * 40, "An unrelated problem.").row() | task
    path.write_text(json.dumps(row) + "\n")
    return str(path)


@pytest.mark.parametrize(
    ("task", "by"),
    [({"instance_id": "task3"}, "task"), ({"repo": "made/up0", "base_commit": "00000003"}, "base commit")],
)
def test_steps_of_evaluation_tasks_are_refused_and_listed(tmp_path: Path, task: dict[str, str], by: str) -> None:
    split = evaluation_file(tmp_path, **task)
    with pytest.raises(ContaminationError, match=rf"4 training steps .*\(by {by}\).*allow_contamination"):
        load_steps(train_settings(tmp_path, evaluation_split=split, validation_share=0))
    data = load_steps(train_settings(tmp_path, evaluation_split=split, validation_share=0, allow_contamination=True))
    assert len(data.training) == 48 and {match.by for match in data.contaminated} == {by}


def test_held_out_steps_of_evaluation_tasks_are_refused_too(tmp_path: Path) -> None:
    held = load_steps(train_settings(tmp_path, validation_share=0.25)).validation[0].task_id
    split = evaluation_file(tmp_path, instance_id=held)
    with pytest.raises(ContaminationError, match=rf"^4 held-out steps belong to 1 tasks .*{held} \(by task\)"):
        load_steps(train_settings(tmp_path, evaluation_split=split, validation_share=0.25))


def test_an_unrelated_split_refuses_nothing(tmp_path: Path) -> None:
    assert not load_steps(train_settings(tmp_path, evaluation_split=evaluation_file(tmp_path))).contaminated


def test_no_step_is_an_error_with_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(TrajectoryError, match=r"no training step came of it .*other repository"):
        load_steps(train_settings(tmp_path, steps={"repositories": ["a/b"]}))


def test_shuffled_targets_are_the_same_targets_at_other_steps() -> None:
    steps = some_steps(6)
    shuffled = shuffle_targets(steps, 3)
    assert Counter(s.target for s in shuffled) == Counter(s.target for s in steps)
    assert [s.context for s in shuffled] == [s.context for s in steps]
    assert shuffled == shuffle_targets(steps, 3) != shuffle_targets(steps, 4)
    unique = [Step(str(i), "", "", i, (), f"target {i}", f"thought {i}") for i in range(20)]
    moved = shuffle_targets(unique, 0)
    assert all(a.target != b.target and b.target[7:] == b.thought[8:] for a, b in zip(unique, moved, strict=True))


def test_steps_of_a_trajectory_come_together_when_asked() -> None:
    names = [f"t{i % 7}" for i in range(40)]  # 6 or 5 steps each
    stream = StepStream(40, seed=1, trajectories=names, together=4)
    taken = [index for _, index in stream.take(80)]
    assert sorted(taken[:40]) == sorted(taken[40:]) == list(range(40)) and taken[:40] != taken[40:]
    runs = [len(list(run)) for _, run in groupby(names[index] for index in taken[:40])]
    assert max(runs) >= 4 and sum(runs) / len(runs) > 2
    plain = [index for _, index in StepStream(40, seed=1).take(40)]
    assert plain == [index for _, index in StepStream(40, seed=1, trajectories=names).take(40)] != taken[:40]
    again = StepStream(40, seed=1, drawn=55, trajectories=names, together=4)
    assert [index for _, index in again.take(25)] == taken[55:]


@pytest.mark.parametrize("together", [1, 4])
@pytest.mark.parametrize(("average", "ratio"), [("sequence", 10.0), ("token", 50.0)])
def test_a_trajectory_weighs_as_many_steps_as_it_has(together: int, average: str, ratio: float) -> None:
    """40 turns against 4: ten times the weight, with commands five times as long fifty times where tokens are averaged."""
    names, lengths = ["long"] * 40 + ["short"] * 4, [50] * 40 + [10] * 4
    stream = StepStream(44, seed=3, trajectories=names, together=together)
    total = dict.fromkeys(names, 0.0)
    for _ in range(4):  # epochs of 4 batches
        taken = [index for _, index in stream.take(44)]
        for index, weight in zip(taken, completion_weights([lengths[i] for i in taken], average), strict=True):
            total[names[index]] += weight * lengths[index]
    assert total["long"] / total["short"] == pytest.approx(ratio)


def test_the_bound_on_turns_takes_the_weight_away() -> None:
    turns = tuple(Turn(Action(f"ls {number}"), "", 0) for number in range(40))
    trajectories = [Trajectory("long", "a", turns), Trajectory("short", "b", turns[:4])]
    bounds = {StepSettings(): (40, 4), StepSettings(last_turn=3): (4, 4), StepSettings(max_trajectory_turns=9): (0, 4)}
    for settings, weights in bounds.items():
        steps = list(make_steps(iter(trajectories), Prompting(), ReadReport(), settings))
        assert tuple(sum(step.trajectory_id == name for step in steps) for name in ("long", "short")) == weights


def test_the_stream_gives_every_step_once_an_epoch_and_resumes() -> None:
    stream = StepStream(5, seed=1)
    taken = stream.take(13)
    assert [epoch for epoch, _ in taken] == [0] * 5 + [1] * 5 + [2] * 3
    epochs = [[index for epoch, index in taken if epoch == e] for e in (0, 1)]
    assert all(sorted(order) == list(range(5)) for order in epochs) and epochs[0] != epochs[1]
    assert StepStream(5, seed=1, drawn=7).take(6) == taken[7:]


def test_fingerprints_see_targets_and_contexts() -> None:
    steps = some_steps(2)
    assert steps_fingerprint(steps) == steps_fingerprint(list(steps))
    assert len({steps_fingerprint(s) for s in (steps, steps[:-1], steps[::-1], shuffle_targets(steps, 0))}) == 4
