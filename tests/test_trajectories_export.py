import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from trajectory_strategies import PATIENT, TEXT, portable_turns, trajectories

from swe_srl.errors import TrajectoryError
from swe_srl.trajectories import ReadReport, make_steps, read_trajectories
from swe_srl.trajectories.export import EXPORTS, export_trajectories, to_messages
from swe_srl.trajectories.prompting import Prompting
from swe_srl.types import Action, StopReason, Trajectory, Turn


def _held(trajectory: Trajectory) -> Trajectory:
    """What a foreign form holds: not the completion's own text, and not the format it was read from."""
    turns = tuple(replace(turn, raw="") for turn in trajectory.turns)
    return replace(trajectory, turns=turns, source_format="")


@pytest.mark.parametrize("format", EXPORTS)
@settings(PATIENT, max_examples=60)
@given(trajectory=trajectories(portable_turns(), TEXT, TEXT))
def test_reading_what_was_written_gives_the_same(tmp_path_factory, format, trajectory):
    folder = tmp_path_factory.mktemp("export")
    path = folder if format in ("mini-swe-agent", "atif") else folder / "out.jsonl"
    assert export_trajectories(path, [trajectory], format) == 1
    (read,) = read_trajectories(path)
    assert _held(read) == _held(trajectory)


def test_the_submit_command_takes_mini_swe_agents_form_and_comes_back(tmp_path):
    turns = (Turn(Action("submit", "Done.")),)
    trajectory = Trajectory("t", "task", turns, stop_reason=StopReason.SUBMITTED, patch="diff")
    export_trajectories(tmp_path, [trajectory], "mini-swe-agent")
    (file,) = tmp_path.iterdir()
    record = json.loads(file.read_text())
    assert "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT" in file.read_text()
    assert record["info"]["exit_status"] == "Submitted"
    (read,) = read_trajectories(tmp_path)
    assert read.turns[0].action == Action("submit", "Done.")


def test_the_text_style_is_read_back_with_the_same_steps(tmp_path):
    turns = (Turn(Action("ls", "Look."), "a.py\n"), Turn(Action("cat > a <<'E'\nx\nE", "Edit."), ""))
    trajectory = Trajectory("t", "owner__name-1", turns, "It breaks.")
    path = tmp_path / "chat.jsonl"
    path.write_text(json.dumps(to_messages(trajectory, "text")))
    (read,) = read_trajectories(path)
    assert list(make_steps([read], Prompting())) == list(make_steps([trajectory], Prompting()))


def test_an_unknown_form_is_refused(tmp_path):
    with pytest.raises(TrajectoryError, match="did you mean 'atif'"):
        export_trajectories(tmp_path / "x", [], "atiff")
    assert ReadReport().reported == 0
