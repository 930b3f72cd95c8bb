"""The text form of an action: what is written is what is read."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trajectory_strategies import PATIENT

from swe_srl.trajectories import ReadReport, make_steps
from swe_srl.trajectories.action_format import format_action, parse_action
from swe_srl.trajectories.calls import find_call
from swe_srl.trajectories.prompting import Prompting
from swe_srl.types import Action, FormatError, Trajectory, Turn

PIECES = st.sampled_from(
    ["```", "````", "`", "```bash", "\n", "\n", "<think>", "</think>", "ls", " ", "\t", "\r", "cat <<E"]
)
TEXT = st.text(max_size=10) | st.lists(PIECES, max_size=12).map("".join)
COMMANDS = TEXT.map(lambda text: text.rstrip("\n")).filter(str.strip)
THOUGHTS = TEXT.map(str.strip).filter(lambda text: "</think>" not in text)
README = "cat > README.md <<'EOF'\n```bash\nmake\n```\nEOF"


@settings(PATIENT, max_examples=300)
@given(COMMANDS, THOUGHTS)
@example(README, "Write it.")
@example("grep -n '</think>' a.py", "")
def test_what_is_written_is_read(command, thought):
    action = Action(command, thought)
    assert parse_action(format_action(action)) == action
    assert parse_action(format_action(action, thought=False)) == Action(command)


@settings(PATIENT, max_examples=300)
@given(TEXT)
def test_any_text_is_an_action_or_says_why_not(text):
    read = parse_action(text)
    assert isinstance(read, Action) or (read.reason and read.text == text)


@pytest.mark.parametrize("command", ["ls", "echo `date`", "echo ``"])
def test_the_usual_fence_has_three_backticks(command):
    assert format_action(Action(command, "Hm.")) == f"<think>Hm.</think>\n```bash\n{command}\n```"


def test_the_readers_know_the_longer_fence_too():
    assert find_call(format_action(Action(README), thought=False)).call.arguments == {"command": README}


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("Look.\n</think>\n\n```bash\nls\n```", Action("ls", "Look.")),
        (
            "I could\n```bash\nrm x\n```\nbut no.</think>\n```bash\nls\n```",
            Action("ls", "I could\n```bash\nrm x\n```\nbut no."),
        ),
        ("</think>\n```bash\nls\n```", Action("ls")),
        ("Look.\n```bash\nls\n```", Action("ls", "Look.")),
        ("Look.</think>\n", "no fenced bash command"),
        ("Look.</think></think>\n```bash\nls\n```", "more than one thought"),
        ("Look.</think>\n<think>Again.</think>\n```bash\nls\n```", "<think> is not closed, or does not come first"),
        ("So <think>look.</think>\n```bash\nls\n```", "<think> is not closed, or does not come first"),
        ("<think>a</think>\n<think>b</think>\n```bash\nls\n```", "more than one thought"),
        ("<think>a\n```bash\nls\n```", "<think> is not closed, or does not come first"),
        ("Look.</think>\n```bash\nls\n```\n```bash\npwd\n```", "2 commands: give exactly one"),
    ],
)
def test_a_thought_may_have_been_opened_by_the_prompt(text, action):
    read = parse_action(text)
    assert (read.reason if isinstance(read, FormatError) else read) == action


def test_a_demonstration_that_cannot_be_written_is_reported():
    report = ReadReport()
    turns = (Turn(Action("ls", "It prints </think>."), "a.py"), Turn(Action(README, "Write."), ""))
    steps = list(make_steps([Trajectory("t", "task", turns, "It breaks.")], Prompting(), report))
    assert [step.target for step in steps] == [README]
    assert {reason: entry.count for reason, entry in report.turns.items()} == {
        "cannot be written: more than one thought": 1
    }
