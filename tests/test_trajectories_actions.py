"""The text form of an action: what is written is what is read."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trajectory_strategies import PATIENT

from swe_srl.trajectories import ReadReport, make_steps
from swe_srl.trajectories.action_format import FORMS, format_action, parse_action, unwritable
from swe_srl.trajectories.calls import find_call
from swe_srl.trajectories.prompting import Prompting, render_messages
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


@settings(PATIENT, max_examples=200)
@given(COMMANDS, THOUGHTS, st.sampled_from(FORMS))
@example("grep -n '</think>' a.py", "", "tool")
@example("echo '</tool_call>'", "Hm.", "tool")
def test_every_form_is_read_back_or_said_to_be_unwritable(command, thought, form):
    action = Action(command, thought)
    meant = Action(command.strip() if form == "plain" else command, thought)
    if not unwritable(action, form):
        assert parse_action(format_action(action, bool(thought), form), form) == meant
    else:
        assert (form == "bash" and "</think>" in thought) or (form != "bash" and "<" in command + thought)


@settings(PATIENT, max_examples=300)
@given(TEXT, st.sampled_from(FORMS))
def test_any_text_is_an_action_or_says_why_not(text, form):
    read = parse_action(text, form)
    assert isinstance(read, Action) or (read.reason and read.text == text)


@pytest.mark.parametrize(("form", "opened"), [("bash", "```bash\n"), ("bash", "```a\n"), ("tool", "<tool_call>")])
def test_a_text_that_opens_very_often_is_read(form: str, opened: str) -> None:
    """In hours, if each were looked for to the end."""
    assert isinstance(parse_action(opened * 200_000, form), FormatError)


def test_half_a_character_of_a_call_is_replaced() -> None:
    call = r'<tool_call>{"name": "bash", "arguments": {"command": "echo \ud800 \ud83d\ude00"}}</tool_call>'
    assert parse_action(call, "tool") == Action("echo ? \U0001f600")


NOT_A_CALL = 'a tool call is not {"name": "bash", "arguments": {"command": …}}'
CALL = '<tool_call>{"name": "bash", "arguments": {"command": "ls"}}</tool_call>'


@pytest.mark.parametrize(
    ("form", "text", "action"),
    [
        ("plain", "ls -la", Action("ls -la")),
        ("plain", "<think>Look.</think>\n\nls\n", Action("ls", "Look.")),
        ("plain", "Look.</think>ls", Action("ls", "Look.")),
        ("plain", "<think>Look.", "<think> is not closed, or does not come first"),
        ("plain", "<think>Look.</think>\n", "the command is empty"),
        ("plain", "```bash\nls\n```", Action("```bash\nls\n```")),
        ("tool", CALL, Action("ls")),
        ("tool", f"<think>Look.</think>\n{CALL}", Action("ls", "Look.")),
        ("tool", f"Look.\n{CALL}", Action("ls", "Look.")),
        ("tool", f"{CALL}\n{CALL}", "2 commands: give exactly one"),
        ("tool", f"{CALL}\n<tool_call>", "the tool call is not closed"),
        ("tool", CALL.replace("}}", ', "command": "rm x"}}'), NOT_A_CALL),
        ("tool", CALL.replace("}}", '}, "name": "bash"}'), NOT_A_CALL),
        ("tool", "ls", "no tool call"),
        ("tool", "```bash\nls\n```", "no tool call"),
        ("tool", CALL[:-3], "the tool call is not closed"),
        ("tool", "<tool_call>ls</tool_call>", NOT_A_CALL),
        ("tool", "<tool_call>[1]</tool_call>", NOT_A_CALL),
        (
            "tool",
            CALL.replace("bash", "view"),
            "a call of 'view' with a command of type str: the tool is bash, with a text",
        ),
        (
            "tool",
            CALL.replace('"ls"', "3"),
            "a call of 'bash' with a command of type int: the tool is bash, with a text",
        ),
        ("tool", CALL.replace("ls", " "), "the command is empty"),
    ],
)
def test_other_forms(form, text, action):
    read = parse_action(text, form)
    assert read == action if isinstance(action, Action) else (read.reason == action)


def test_steps_and_histories_are_written_in_the_agents_form():
    prompting = Prompting(action_format="tool")
    trajectory = Trajectory("t", "task", (Turn(Action("ls", "Look.")), Turn(Action("echo '</tool_call>'"))), "Fix it.")
    report = ReadReport()
    assert [step.target for step in make_steps([trajectory], prompting, report)] == ["ls"]
    assert report.reported == 1
    context = render_messages(prompting, "Fix it.", trajectory.turns)
    assert context[1].content == CALL.replace("<tool_call>", "<tool_call>\n").replace("</tool_call>", "\n</tool_call>")


@pytest.mark.parametrize("command", ["ls", "echo `date`", "echo ``"])
def test_the_usual_fence_has_three_backticks(command):
    assert format_action(Action(command, "Hm.")) == f"<think>Hm.</think>\n```bash\n{command}\n```"


def test_the_readers_know_the_longer_fence_too():
    assert find_call(format_action(Action(README), thought=False)).call.arguments == {"command": README}


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("Look.\r\n```bash\r\nls\r\npwd\r\n```\r\n", Action("ls\npwd", "Look.")),
        ("Look.\n```bash\r\nls\r\n```", Action("ls", "Look.")),
        ("```bash\nprintf 'a\r\n'\n```\r\n", Action("printf 'a\r\n'")),
        ("```bash\r\nls\r\n```\r\n```bash\r\npwd\r\n```\r\n", "2 commands: give exactly one"),
        ("```bash\r\n\r\n```\r\n", "the command is empty"),
        ("```bash\r\nls\r\n", "the fenced command is not closed"),
        ("```python\r\nls\r\n```\r\n", "no fenced bash command: the block is not opened by ```bash"),
        (
            "```bash\r\ncat <<E\r\n```\r\nx\r\n```\r\nE\r\n```\r\n",
            "a fence inside the command ends it in a here-document or a quote: give the command a longer fence",
        ),
    ],
)
def test_line_ends_of_a_fence_are_not_the_commands(text, action):
    read = parse_action(text)
    assert (read.reason if isinstance(read, FormatError) else read) == action


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


@pytest.mark.parametrize(
    "text",
    [
        "```bash\ncat > README.md <<EOF\n```python\nx = 1\n```\nEOF\nrm old\n```",  # its first half would have run
        "```bash\nls\n```\n```bash\nrm x",
        "```python\nx = 1\n\n```bash\nls\n```\n```",
        "```bash\ncat > a.md <<'EOF'\n```\nmake\n```\nEOF\n```",  # an even number of fences inside
        "```bash\ncat <<-  EOF > a.md\n\tIt's:\n```\nmake\n```\n\tEOF\n```",
        '```bash\npython -c \'print("""\n```\nmake\n```\n""")\'\n```',
    ],
)
def test_a_command_that_a_fence_inside_it_would_cut_is_refused(text):
    read = parse_action(text)
    assert isinstance(read, FormatError) and any(
        why in read.reason for why in ("left open", "not closed", "inside the command ends it")
    )
    assert parse_action(f"````bash\n{README}\n````") == Action(README)


@pytest.mark.parametrize(
    "command",
    [
        "ls",
        "cat <<E\nit's\nE",
        "cat <<-'E' >a\n\tx\n\tE",
        "cat <<< it # what's this",
        "echo 'a\n b'",
        "cat <<A - <<B\n1\nA\n2\nB",
    ],
)
def test_a_block_of_something_else_may_follow_a_whole_command(command):
    assert parse_action(f"```bash\n{command}\n```\nIt should show:\n```\nREADME.md\n```") == Action(command)


@pytest.mark.parametrize("opening", ["```", "```python", "```bash x", "``` Bash", "````console"])
def test_a_block_in_another_language_is_called_so(opening):
    mark = opening[: opening.rindex("`") + 1]
    assert parse_action(f"{opening}\nls\n{mark}").reason == "no fenced bash command: the block is not opened by ```bash"
