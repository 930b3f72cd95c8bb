import html
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trajectory_strategies import PATIENT, trajectories

from swe_srl.trajectories import (
    ContaminationIndex,
    ReadReport,
    StepSettings,
    contaminated,
    inspect_trajectories,
    make_steps,
    write_trajectories,
)
from swe_srl.trajectories.action_format import FORMS, format_action, parse_action
from swe_srl.trajectories.prompting import Prompting, render_messages
from swe_srl.types import Action, FormatError, Message, Step, Task, Trajectory, Turn

TURNS = (
    Turn(Action("ls", "Look."), "a.py\n", 0),
    Turn(FormatError("several commands", "```bash\nls\n```\n```bash\nls\n```"), "Give one."),
    Turn(Action("cat a.py"), "x = 1\n", 0),
    Turn(Action("submit", "Done."), ""),
)
TRAJECTORY = Trajectory(
    "t", "owner__name-1", TURNS, "It breaks.", repo="owner/name", base_commit="abcdef0123", resolved=True
)
SETTINGS = st.builds(
    StepSettings,
    include_last=st.booleans(),
    resolved_only=st.booleans(),
    require_thought=st.booleans(),
    first_turn=st.integers(0, 2),
    last_turn=st.integers(-1, 3),
    max_target_characters=st.sampled_from([0, 5]),
    max_context_characters=st.sampled_from([0, 30]),
    max_trajectory_turns=st.sampled_from([0, 2]),
    repositories=st.sampled_from([(), ("owner/name",)]),
    deduplicate=st.booleans(),
)


def steps_of(*given_trajectories, report=None, evaluation=None, submit="submit", **settings):
    prompting = Prompting(system="You work.", context="full")
    return list(make_steps(given_trajectories, prompting, report, StepSettings(**settings), evaluation, submit))


def reasons(report):
    return {reason: entry.count for reason, entry in report.turns.items()}


@PATIENT
@given(st.lists(trajectories(), max_size=3), SETTINGS)
def test_turns_read_are_steps_plus_reported(given_trajectories, settings):
    report = ReadReport()
    steps = list(make_steps(given_trajectories, Prompting(), report, settings))
    assert report.steps == len(steps)
    assert report.turns_read == sum(len(trajectory.turns) for trajectory in given_trajectories)
    report.check()


def test_n_commands_give_n_steps_with_the_context_before_them():
    report = ReadReport()
    steps = steps_of(TRAJECTORY, report=report)
    assert [step.target for step in steps] == ["ls", "cat a.py", "submit"]
    assert [step.step_id for step in steps] == ["t:0", "t:2", "t:3"]
    assert [len(step.context) for step in steps] == [2, 6, 8]
    assert steps[0].context == (Message("system", "You work."), Message("user", "It breaks."))
    assert steps[1].context[:4] == (
        *steps[0].context,
        Message("assistant", "```bash\nls\n```"),
        Message("user", "a.py\n"),
    )
    assert steps[1].context[4].content == TURNS[1].action.text
    assert reasons(report) == {"several commands": 1}
    assert report.turns["several commands"].example.turn == 1


@pytest.mark.parametrize(
    ("settings", "kept", "reason"),
    [
        ({"include_last": False}, ["ls", "cat a.py"], "last turn"),
        ({"require_thought": True}, ["ls", "submit"], "empty thought"),
        ({"first_turn": 1, "last_turn": 2}, ["cat a.py"], "turn out of range"),
        ({"max_target_characters": 6}, ["ls", "submit"], "target too long"),
        ({"max_context_characters": 20}, ["ls"], "context too long"),
        ({"max_trajectory_turns": 3}, [], "trajectory too long"),
        ({"repositories": ("other/name",)}, [], "other repository"),
        ({"repositories": ("Owner/Name",)}, ["ls", "cat a.py", "submit"], None),
        ({"resolved_only": True}, ["ls", "cat a.py", "submit"], None),
    ],
)
def test_filters_say_what_they_leave_out(settings, kept, reason):
    report = ReadReport()
    assert [step.target for step in steps_of(TRAJECTORY, report=report, **settings)] == kept
    assert set(reasons(report)) == {"several commands", reason} - {None}


@pytest.mark.parametrize(("resolved", "reason"), [(False, "unresolved outcome"), (None, "unknown outcome")])
def test_only_resolved_trajectories(resolved, reason):
    report = ReadReport()
    assert steps_of(replace(TRAJECTORY, resolved=resolved), report=report, resolved_only=True) == []
    assert reasons(report) == {reason: 3, "several commands": 1}


def test_duplicates_are_of_context_and_target():
    report = ReadReport()
    other = replace(TRAJECTORY, trajectory_id="u", turns=(*TURNS[:2], replace(TURNS[2], action=Action("cat b.py"))))
    kept = steps_of(TRAJECTORY, other, report=report, deduplicate=True)
    assert [step.target for step in kept] == ["ls", "cat a.py", "submit", "cat b.py"]
    assert reasons(report)["duplicate"] == 1


def test_the_reserved_command_is_the_agent_definitions():
    steps = steps_of(TRAJECTORY, submit="done")
    assert [step.target for step in steps] == ["ls", "cat a.py", "done"]


@pytest.mark.parametrize("form", FORMS)
def test_what_trains_is_what_acting_shows(form):
    """White space that a completion's form does not keep is in no target, and in no later context."""
    prompting = Prompting(history_thoughts=True, action_format=form)
    turns = tuple(Turn(Action(f"{command}\n", " So.\n"), "a.py\n", 0) for command in ("ls", "cat a.py\nls", "submit"))
    steps = list(make_steps([replace(TRAJECTORY, turns=turns)], prompting))
    acted = []
    for step, turn in zip(steps, turns, strict=True):
        assert step.context == render_messages(prompting, TRAJECTORY.problem_statement, acted)
        action = parse_action(format_action(Action(step.target, step.thought), form=form), form)
        assert action == Action(step.target, step.thought)
        acted.append(replace(turn, action=action))


ISSUE = (
    "When a blueprint gets an empty name the application fails much later with an unclear error, raise early instead."
)
TASK = Task("owner__name-1", "owner/name", "abcdef0123456789", ISSUE)


def step(task_id="other__repo-2", repo="", base_commit="", text="Fix it."):
    return Step("s:0", "s", task_id, 0, (Message("system", ISSUE), Message("user", text)), "ls", "", repo, base_commit)


@pytest.mark.parametrize(
    ("given_step", "by"),
    [
        (step(task_id="Owner__Name-1"), "task"),
        (step(task_id=" owner__name-1\n"), "task"),
        (step(task_id="owner/name-1"), "task"),
        (step(task_id="owner/name#1"), "task"),
        (step(task_id="owner/name:pr-1"), "task"),
        (step(task_id="https://github.com/owner/name/pull/1"), "task"),
        (step(task_id="swebench/sweb.eval.x86_64.owner_1776_name-1:latest"), "task"),
        (step(task_id="set/owner__name-1.run-3"), "task"),
        (step(task_id="owner__name-1_0"), "task"),
        (step(task_id="owner__name-1__other-model"), "task"),
        (step(task_id="owner__name_1"), "task"),
        (step(task_id="owner__name-10"), None),
        (step(task_id="owner__name-1.5-2"), None),
        (step(task_id="co-owner__name-1"), None),
        (step(task_id="owner__name-2"), None),
        (step(task_id="owner__rename-1"), None),
        (step(task_id="owner__name.abcdef01.func_pm_1__x"), None),
        (step(repo="https://github.com/Owner/name.git", base_commit="abcdef0123456789"), "base commit"),
        (step(repo="owner__name", base_commit="abcdef01"), "base commit"),
        (step(repo="former-owner/name", base_commit="abcdef0123456789"), "base commit"),
        (step(base_commit="abcdef012345"), "base commit"),
        (step(repo="former-owner/name", base_commit="abcdef01"), None),
        (step(repo="owner/name", base_commit="abcdef0"), None),
        (step(repo="owner/name", base_commit="abcdef0123456789"), "base commit"),
        (step(repo="Owner/name", base_commit="ABCDEF01"), "base commit"),
        (step(text=f"<issue>\n{ISSUE.upper()}\n</issue> Think, then act."), "issue text"),
        (step(text=ISSUE.replace("much later", "later")), "issue text"),
        (step(text=ISSUE.replace("an empty", "no").replace("much later", "later").replace("raise", "say so")), None),
        (step(repo="owner/name", base_commit="0000000000"), None),
        (step(repo="owner/name"), None),
        (step(), None),
    ],
)
def test_contamination_is_found_by_task_commit_or_issue(given_step, by):
    found = contaminated(
        [given_step], [TASK, replace(TASK, instance_id="x", problem_statement="short", base_commit="")]
    )
    assert [(entry.by, entry.task_id) for entry in found] == ([(by, "owner__name-1")] if by else [])


def test_an_issue_is_known_again_when_its_text_was_encoded_once_more():
    lines = [f"if 'key{number}' in d: return {number} < 3 && d" for number in range(9)]
    index = ContaminationIndex([replace(TASK, problem_statement="\n".join(lines))])
    for text in (json.dumps("\n\t".join(lines)), html.escape("\n".join(lines)), "\r\n".join(lines)):
        match = index.match(step(text=text))
        assert match is not None and match.by == "issue text"


def test_contaminated_steps_can_be_left_out():
    report = ReadReport()
    assert steps_of(TRAJECTORY, report=report, evaluation=ContaminationIndex([TASK])) == []
    assert reasons(report) == {"contaminated": 3, "several commands": 1}


def test_an_inspection_is_data(tmp_path):
    path = tmp_path / "t.jsonl"
    write_trajectories(path, [TRAJECTORY])
    inspection = inspect_trajectories(path, evaluation=[TASK], settings=StepSettings(first_turn=1))
    data = inspection.as_dict()
    assert (data["turns_read"], data["steps"], data["reported"]) == (4, 0, 4)
    assert data["turns"][0] == {
        "reason": "contaminated",
        "count": 2,
        "file": str(path),
        "record": 1,
        "turn": 2,
        "text": "cat a.py",
    }
    assert data["turns_per_trajectory"] == {"median": 4, "p90": 4, "max": 4}


def test_an_issue_is_known_again_after_edits():
    words = [f"word{number}" for number in range(200)]
    task = Task("o__r-9", "o/r", "f" * 40, " ".join(words))
    index = ContaminationIndex([task])
    changed = ["other" if number % 20 == 7 else word for number, word in enumerate(words)]

    def found(text: str) -> str:
        context = (Message("system", "You work."), Message("user", f"<issue>\n{text}\n</issue> Go on."))
        match = index.match(Step("s", "t", "", 0, context, "ls"))
        return match.by if match else ""

    assert found(" ".join(changed).upper()) == "issue text"
    assert found("\n\n".join(changed)) == "issue text"
    assert not found(" ".join(words[:100]))
    assert not found(" ".join(sorted(words, key=lambda word: word[::-1])))
