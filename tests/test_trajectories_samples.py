"""Every public sample is read with every turn accounted for; the expected counts are made here, from the raw files."""

import json

import pytest

from swe_srl.trajectories import ReadReport, inspect_trajectories, make_steps, read_trajectories
from swe_srl.trajectories.prompting import Prompting
from swe_srl.types import Action, StopReason

pytestmark = pytest.mark.shared

FOLDERS = {
    # folder: (format, trajectories, turns, steps)
    "mini-swe-agent": (45, 1842, 1783),
    "swe-smith": (6, 179, 179),
    "swe-agent": (22, 232, 184),
    "openhands": (7, 138, 107),
    "adp": (57, 1036, 960),
    "atif": (28, 78, 56),
}


def _documents(path):
    text = path.read_text()
    try:
        return [json.loads(text)]
    except ValueError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]


def _turns(value) -> int:
    """Turns in raw data, counted without the readers: what an assistant said or did."""
    if isinstance(value, list):
        if value and isinstance(value[0], dict) and ("action" in value[0] or "kind" in value[0]):
            return _events(value)
        return sum(map(_turns, value)) + sum(_is_assistant(item) for item in value if isinstance(item, dict))
    if not isinstance(value, dict):
        return 0
    if "history" in value and isinstance(value["history"], list):
        if "agent" in value["history"][0]:
            return max(len(value.get("trajectory", ())), _turns(value["history"]))
        return _events(value["history"])
    if "steps" in value:
        return sum(step["source"] == "agent" for step in value["steps"])
    if isinstance(value.get("content"), list) and "role" not in value:
        return sum(item["class_"].endswith("_action") for item in value["content"])
    return sum(_turns(value[key]) for key in ("messages", "conversations", "trajectory") if key in value)


def _is_assistant(item) -> int:
    """1, or the number of tool calls when a message has several (each was run and answered)."""
    return (item.get("role", item.get("from")) in ("assistant", "gpt", "ai")) * max(
        1, len(item.get("tool_calls") or ())
    )


def _events(events) -> int:
    orphans = 0
    asked = {event.get("tool_call_id") for event in events if event.get("kind") == "ActionEvent"}
    for event in events:
        orphans += event.get("kind") == "ObservationEvent" and event["tool_call_id"] not in asked
        orphans += event.get("observation") == "error" and "id" in event and "cause" not in event
    own = {"run", "read", "write", "edit", "think", "finish", "run_ipython", "browse"}
    acted = sum(event.get("action") in own for event in events if isinstance(event.get("action"), str))
    said = sum(
        event.get("action") == "message" and event.get("source", "user") == "agent"
        for event in events
        if isinstance(event.get("action"), str)
    )
    return acted + said + orphans + sum(event.get("kind") == "ActionEvent" for event in events)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_turn_of_every_sample_is_a_step_or_reported(shared_data, folder):
    path = shared_data / "trajectories" / folder
    trajectories, turns, steps = FOLDERS[folder]
    report = inspect_trajectories(path).report
    expected = 0
    for file in path.rglob("*"):
        if file.suffix in (".json", ".jsonl", ".traj"):
            documents = _documents(file)
            expected += _turns(documents[0]) if len(documents) == 1 else _turns(documents)
    assert report.turns_read == expected == turns
    assert report.steps + report.reported == report.turns_read
    assert (report.trajectories, report.steps) == (trajectories, steps)
    assert not [reason for reason in report.records if reason.startswith(("malformed", "unknown role"))]


def test_what_mini_swe_agent_recorded(shared_data):
    file = shared_data / "trajectories/mini-swe-agent/gemini3pro_verified/pallets__flask-5014"
    (trajectory,) = read_trajectories(file)
    raw = json.loads(next(file.iterdir()).read_text())
    said = [message["content"] for message in raw["messages"] if message["role"] == "assistant"]
    assert trajectory.task_id == "pallets__flask-5014"
    assert trajectory.repo == "pallets/flask"
    assert trajectory.problem_statement.startswith("Require a non-empty name for Blueprints\n")
    assert trajectory.problem_statement.endswith("when trying to do that.")
    assert trajectory.patch == raw["info"]["submission"]
    assert trajectory.stop_reason is StopReason.SUBMITTED
    assert [turn.raw for turn in trajectory.turns] == said
    assert trajectory.turns[0].action == Action("ls -R", trajectory.turns[0].action.thought)
    assert trajectory.turns[0].exit_code == 0
    assert trajectory.turns[0].observation.startswith(".:\nCHANGES.rst\n")
    assert "characters elided]" in trajectory.turns[1].observation
    assert trajectory.turns[-1].action.command == "submit"


def test_editor_calls_of_swe_smith_are_shell_commands(shared_data):
    path = shared_data / "trajectories/swe-smith/ft_xml_example.jsonl"
    trajectory = next(read_trajectories(path))
    assert trajectory.problem_statement.startswith(
        "BUG: [pyarrow] AttributeError: 'Index' object has no attribute 'freq'"
    )
    commands = [turn.action.command for turn in trajectory.turns]
    assert "cat -n /testbed/pandas/core/indexes/base.py | sed -n '6035,6050p'" in commands
    assert not [command for command in commands if "str_replace_editor" in command]
    assert trajectory.turns[0].observation.startswith("/testbed/scripts/pandas_errors_documented.py\n/testbed/")


def test_swe_agents_viewer_state_is_followed(shared_data):
    path = shared_data / "trajectories/adp/nebius_SWE-agent-trajectories/sample_raw.json"
    trajectory = next(read_trajectories(path))
    commands = [turn.action.command for turn in trajectory.turns]
    assert trajectory.task_id == "tomerfiliba__plumbum-366"
    assert commands[1:3] == ["find plumbum -type f -name image.py", "cat -n /plumbum/plumbum/cli/image.py"]
    assert "path = Path('/plumbum/plumbum/cli/image.py')" in commands[3]
    assert "lines[4:5] = 'import plumbum.cli as cli'.split('\\n')" in commands[3]
    assert commands[-1] == "submit"
    assert trajectory.resolved is True


def test_the_same_trajectory_in_three_forms_has_the_same_commands(shared_data):
    folder = shared_data / "trajectories/adp/swe-smith"
    forms = {}
    for name in ("sample_raw", "sample_std", "sample_sft_sweagent"):
        trajectory = next(read_trajectories(folder / f"{name}.json", ReadReport()))
        commands = [turn.action.command for turn in trajectory.turns if isinstance(turn.action, Action)]
        forms[name] = ["".join(command.split()) for command in commands]  # the second form lost some indentation
    assert len(forms["sample_raw"]) == 15
    assert forms["sample_raw"] == forms["sample_std"][: len(forms["sample_raw"])]
    assert forms["sample_raw"] == forms["sample_sft_sweagent"][: len(forms["sample_raw"])]


def test_steps_end_with_the_observation_before_their_target(shared_data):
    path = shared_data / "trajectories/mini-swe-agent/gemini3pro_verified/psf__requests-1766"
    trajectories = list(read_trajectories(path))
    steps = list(make_steps(trajectories, Prompting(context="last_k", rounds=2), ReadReport()))
    turns = trajectories[0].turns
    for step in steps:
        assert len(step.context) == 1 + 2 * min(step.index, 2)
        assert step.target == turns[step.index].action.command
        if step.index:
            assert step.context[-1].content.startswith(turns[step.index - 1].observation[:100])
