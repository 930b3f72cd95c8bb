"""How each way of writing a command is understood."""

import json

import pytest

from swe_srl.trajectories import ReadReport, read_trajectories
from swe_srl.trajectories.observations import parse_observation
from swe_srl.trajectories.statements import problem_statement_of, repository_of, task_of
from swe_srl.types import Action, FormatError, StopReason


def read(tmp_path, record, name="x.json"):
    path = tmp_path / name
    path.write_text(json.dumps(record))
    report = ReadReport()
    (trajectory,) = read_trajectories(path, report)
    assert not report.records
    return trajectory


def chat(*said):
    messages = [{"role": "user", "content": "Fix it."}]
    for index, one in enumerate(said):
        messages.append({"role": "assistant", **(one if isinstance(one, dict) else {"content": one})})
        if index < len(said) - 1:
            messages.append({"role": "user", "content": "ok"})
    return {"messages": messages}


def call(name, arguments, identity="a"):
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    ("said", "action"),
    [
        ("Look.\n```bash\nls\n```", Action("ls", "Look.")),
        ("THOUGHT: Look.\n\n```mswea_bash_command\nls\n```", Action("ls", "Look.")),
        ("<think>Hm.</think>\nLook.\n```sh\nls\n```", Action("ls", "Hm.\n\nLook.")),
        ("Look.\n```\nls -F\n```", Action("ls -F", "Look.")),
        ("Look.\r\n\r\n```bash\r\nls -l\r\npwd\r\n```\r\n", Action("ls -l\npwd", "Look.")),
        ("Look.\n```bash\r\nls -l\r\npwd\r\n```\r\n", Action("ls -l\npwd", "Look.")),
        ("Look.\n```bash\nprintf 'a\r\n'\n```", Action("printf 'a\r\n'", "Look.")),
        (
            "Write.\n```bash\ncat > a.md <<'END'\n```\ncode\n```\nEND\n```",
            "unparsable: a fence inside the command ends it",
        ),
        (
            "Write.\n````bash\ncat > a.md <<'END'\n```\nEND\n````\nEND",
            Action("cat > a.md <<'END'\n```\nEND", "Write.\n\nEND"),
        ),
        ("Shift.\n```bash\necho $((1 << n))\n```\nbits", Action("echo $((1 << n))", "Shift.\n\nbits")),
        ("An example:\n```python\nx = 1\n```\nNow:\n```bash\nls\n```", None),
        ("<function=bash>\n<parameter=command>ls\npwd</parameter>\n</function>", Action("ls\npwd", "")),
        ("<function=execute_bash>\n<parameter=command>\nls\n</parameter>\n</function>", Action("ls", "")),
        ('Look.\n<tool_call>\n{"name": "bash", "arguments": {"command": "ls"}}\n</tool_call>', Action("ls", "Look.")),
        ('{"analysis": "A.", "plan": "P.", "commands": [{"keystrokes": "ls\\n"}]}', Action("ls", "A.\n\nP.")),
        ('{"analysis": "A.", "plan": "P.", "commands": [], "task_complete": true}', Action("submit", "A.\n\nP.")),
        ({"content": "Look.", "tool_calls": [call("bash", '{"command": "ls"}')]}, Action("ls", "Look.")),
        ({"content": None, "function_call": {"name": "bash", "arguments": '{"command": "ls"}'}}, Action("ls", "")),
        (
            {"content": "Look.", "reasoning_content": "Hm.", "tool_calls": [call("bash", {"command": "ls"})]},
            Action("ls", "Hm.\n\nLook."),
        ),
        (
            {
                "content": [
                    {"type": "text", "text": "Look."},
                    {"type": "tool_use", "name": "bash", "input": {"command": "ls"}},
                ]
            },
            Action("ls", "Look."),
        ),
        ("I am done.", "no command"),
        ("```bash\nls\n```\n```bash\npwd\n```", "several commands"),
        ("<function=bash><parameter=command>ls</parameter></function>" * 2, "several commands"),
        ("```bash\nls", "unparsable: the fence is not closed"),
        ("<function=bash>\n<parameter=command>ls", "unparsable: <function=…> is not closed"),
        ("<function=bash>\n<parameter=command>ls\n</function>", "unparsable: <parameter=…> is not closed"),
        ("<tool_call>{]</tool_call>", "unparsable: <tool_call> is not closed or not an object"),
        ("```bash\n\n```", "empty command"),
        ({"content": "", "tool_calls": [call("bash", "{")]}, "unparsable: the tool's arguments are not JSON"),
        ({"content": "", "tool_calls": [call("bash", "[1]")]}, "unparsable: the tool's arguments are not an object"),
        ({"content": "", "tool_calls": [call(None, "{}")]}, "unparsable: the tool has no name"),
        ({"content": 3}, "unparsable: the content is not text"),
    ],
)
def test_ways_to_write_a_command(tmp_path, said, action):
    found = read(tmp_path, chat(said)).turns[0].action
    if action is None:
        assert isinstance(found, Action)
        assert found.command == "ls"
    elif isinstance(action, str):
        assert isinstance(found, FormatError)
        assert found.reason == action
    else:
        assert found == action


def test_calls_that_were_each_answered_are_turns_of_their_own(tmp_path):
    calls = [call("bash", '{"command": "ls"}', "a"), call("bash", '{"command": "pwd"}', "b")]
    record = chat({"content": "Look.", "tool_calls": calls}, "Done.")
    record["messages"][2:3] = [
        {"role": "tool", "tool_call_id": "a", "content": "x"},
        {"role": "tool", "tool_call_id": "b", "content": "/r"},
    ]
    turns = read(tmp_path, record).turns
    assert [turn.action for turn in turns[:2]] == [Action("ls", "Look."), Action("pwd", "")]
    assert [turn.observation for turn in turns] == ["x", "/r", ""]
    record["messages"][2:4] = [{"role": "user", "content": "one at a time"}]
    assert read(tmp_path, record).turns[0].action.reason == "several commands"


def _answered(form, names):
    """Two commands, of the calls a and b, answered under these names with the names as output."""
    commands = {"a": {"command": "ls"}, "b": {"command": "pwd"}}
    if form == "atif":
        calls = [
            {"tool_call_id": name, "function_name": "bash", "arguments": given} for name, given in commands.items()
        ]
        results = [{"source_call_id": name, "content": f"of {name}"} for name in names]
        agent = {"source": "agent", "message": "", "tool_calls": calls, "observation": {"results": results}}
        return {"schema_version": "ATIF-v1.2", "steps": [{"source": "user", "message": "Fix it."}, agent]}
    if form == "blocks":
        asked = [{"type": "tool_use", "id": name, "name": "bash", "input": given} for name, given in commands.items()]
        told = [{"type": "tool_result", "tool_use_id": name, "content": f"of {name}"} for name in names]
        messages = [{"role": "assistant", "content": asked}, {"role": "user", "content": told}]
        return {"messages": [{"role": "user", "content": "Fix it."}, *messages]}
    answers = [{"role": "tool", "tool_call_id": name, "content": f"of {name}"} for name in names]
    if form == "responses":
        asked = [
            {
                "type": "function_call",
                "name": "bash",
                "arguments": json.dumps(given),
                "call_id": name,
                "id": f"fc_{name}",
            }
            for name, given in commands.items()
        ]
        told = [
            {"type": "function_call_output", "call_id": one["tool_call_id"], "output": one["content"]}
            for one in answers
        ]
        messages = [{"role": "user", "content": "Fix it."}, {"object": "response", "output": asked}, *told]
        return {"trajectory_format": "mini-swe-agent-1.1", "messages": messages}
    record = chat({"content": "", "tool_calls": [call("bash", given, name) for name, given in commands.items()]})
    return {"messages": [*record["messages"], *answers]}


@pytest.mark.parametrize("form", ["tools", "blocks", "atif", "responses"])
def test_an_answer_goes_to_the_call_that_it_names_in_whatever_order_they_came(tmp_path, form):
    turns = read(tmp_path, _answered(form, "ba")).turns
    assert [(turn.action.command, turn.observation) for turn in turns] == [("ls", "of a"), ("pwd", "of b")]
    assert read(tmp_path, _answered(form, "ab")).turns == turns
    (turn,) = read(tmp_path, _answered(form, "ax")).turns
    assert turn.action.reason == "several commands"


def test_the_error_of_a_call_that_never_became_an_event_is_not_shown_by_the_command_before(tmp_path):
    def ran(number, command):
        return {"id": number, "source": "agent", "action": "run", "args": {"command": command, "thought": ""}}

    error = {"id": 4, "source": "agent", "observation": "error", "content": "Missing argument"}
    shown = {"id": 3, "source": "agent", "observation": "run", "cause": 2, "content": "a.py"}
    told = {"id": 1, "source": "user", "action": "message", "args": {"content": "Fix it."}}
    turns = read(tmp_path, {"history": [told, ran(2, "ls"), shown, error, ran(5, "pwd"), {**error, "cause": 5}]}).turns
    assert [turn.observation for turn in turns] == ["a.py", "Missing argument", "Missing argument"]
    assert [turn.action for turn in turns] == [Action("ls"), FormatError("action missing", ""), Action("pwd")]
    unnamed = [told, {"action": "run", "args": {"command": "ls"}}, {"observation": "error", "content": "No shell"}]
    assert [(turn.action, turn.observation) for turn in read(tmp_path, {"history": unnamed}).turns] == [
        (Action("ls"), "No shell")
    ]


def test_answers_without_names_stand_in_the_order_of_the_calls(tmp_path):
    record = _answered("tools", "ba")
    for message in record["messages"][2:]:
        del message["tool_call_id"]
    assert [turn.observation for turn in read(tmp_path, record).turns] == ["of b", "of a"]


@pytest.mark.parametrize(
    ("told", "resolved"),
    [(1, True), (0, False), (1.0, True), (True, True), ("false", False), (None, None), (0.5, None), (2, None)],
)
def test_an_outcome_may_be_a_number(tmp_path, told, resolved):
    trajectory = read(tmp_path, {**chat("```bash\nls\n```"), "resolved": told, "exit_status": "submit"})
    assert (trajectory.resolved, trajectory.stop_reason) == (resolved, StopReason.SUBMITTED)


def test_a_missing_observation_is_reported_unless_the_turn_is_last(tmp_path):
    record = chat("```bash\nls\n```", "```bash\npwd\n```")
    del record["messages"][2]
    first, last = read(tmp_path, record).turns
    assert first.action.reason == "observation missing"
    assert last.action == Action("pwd", "")


def test_mini_swe_agents_second_version(tmp_path):
    record = {
        "trajectory_format": "mini-swe-agent-1.1",
        "info": {
            "exit_status": "Submitted",
            "submission": "diff",
            "config": {"agent": {"instance_template": "Solve {{task}}!"}},
        },
        "messages": [
            {"role": "system", "content": "You work."},
            {"role": "user", "content": "<pr_description>\nIt breaks.\n</pr_description>"},
            {
                "object": "response",
                "output": [
                    {"type": "message", "content": [{"type": "output_text", "text": "Look."}]},
                    {"type": "function_call", "name": "bash", "arguments": '{"command": "ls"}', "call_id": "a"},
                ],
            },
            {"type": "function_call_output", "output": "<out>", "extra": {"raw_output": "a.py\n", "returncode": 0}},
            {"role": "assistant", "content": "Two:\n```bash\na\n```\n```bash\nb\n```"},
            {"role": "user", "content": "Give one.", "extra": {"interrupt_type": "FormatError"}},
            {
                "role": "assistant",
                "content": "Done.",
                "extra": {"actions": [{"command": "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"}]},
            },
            {"role": "exit", "content": "diff", "extra": {"exit_status": "Submitted"}},
        ],
    }
    trajectory = read(tmp_path, record, "acme__calc-3.traj.json")
    assert trajectory.trajectory_id == "acme__calc-3"
    assert trajectory.problem_statement == "It breaks."
    assert trajectory.turns[0].action == Action("ls", "Look.")
    assert (trajectory.turns[0].observation, trajectory.turns[0].exit_code) == ("a.py\n", 0)
    assert trajectory.turns[1].action.reason == "several commands"
    assert trajectory.turns[2].action == Action("submit", "Done.")
    assert len(trajectory.turns) == 3


@pytest.mark.parametrize(
    ("raw", "output", "code"),
    [
        ("<returncode>3</returncode>\n<output>\nno\n</output>", "no\n", 3),
        ("<returncode>0</returncode>\n<output>\n</output>", "", 0),
        (
            "<returncode>0</returncode>\n<warning>\nlong\n</warning><output_head>\na</output_head>\n<elided_chars>\n9 characters "
            "elided\n</elided_chars>\n<output_tail>\nb\n</output_tail>",
            "a\n[9 characters elided]\nb\n",
            0,
        ),
        ("OBSERVATION:\na\r\nb", "a\nb", None),
        ("<tool_response>\na\n</tool_response>", "a", None),
        ("a\n<tool_response>b</tool_response>", "a\n<tool_response>b</tool_response>", None),
        ("EXECUTION RESULT of [bash]:\na", "a", None),
        ("Exit code: 2\nExecution output of [execute_bash]:\na", "a", 2),
        ("a\n(Open file: n/a)\n(Current directory: /r)\nbash-$", "a", None),
        (
            "a\n[The command completed with exit code 1.]\n[Current working directory: /r]\n[Command finished with exit code 1]",
            "a",
            1,
        ),
        ("Your command ran successfully and did not produce any output.", "", None),
        (
            "a [Command finished with exit code 1] b\n" + "c" * 3000,
            "a [Command finished with exit code 1] b\n" + "c" * 3000,
            None,
        ),
    ],
)
def test_what_harnesses_wrap_around_an_observation_is_taken_off(raw, output, code):
    found = parse_observation(raw)
    assert (found.output, found.exit_code) == (output, code)


def test_the_viewers_state_is_read():
    found = parse_observation("x\n(Open file: /r/a.py)\n(Current directory: /r)\nbash-$")
    assert (found.open_file, found.directory) == ("/r/a.py", "/r")


@pytest.mark.parametrize(
    ("messages", "statement"),
    [
        (["We're solving.\nISSUE:\nIt breaks.\n\nINSTRUCTIONS:\nNow."], "It breaks."),
        (["<issue_description>\nIt breaks.\n</issue_description>"], "It breaks."),
        (["<github_issue>It breaks.</github_issue>"], "It breaks."),
        (["Here is a demonstration of how to correctly accomplish this task.\nx", "It breaks."], "It breaks."),
        (["It breaks.", "Retrieving content for: It", "Added workspace context"], "It breaks."),
        ([], ""),
    ],
)
def test_issues_are_found_in_instructions(messages, statement):
    assert problem_statement_of(messages) == statement


def test_ids_tell_the_repository_and_the_task():
    assert repository_of("scikit-learn__scikit-learn-12") == "scikit-learn/scikit-learn"
    assert repository_of("whatever") == ""
    assert task_of("acme__calc-3") == "acme__calc-3"
