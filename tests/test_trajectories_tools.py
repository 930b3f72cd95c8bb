"""Translated tool calls are run by bash, and must do to the files what the tool's own definition says."""

import subprocess

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from trajectory_strategies import PATIENT

from swe_srl.trajectories.calls import Call
from swe_srl.trajectories.tools import Scene, Untranslatable, translate
from swe_srl.trajectories.tools.shell import heredoc, literal, write_file

# "\r" is left out: Python's text mode, which these editors use, turns it into "\n".
TEXT = st.text(st.sampled_from("ab \t\n'\"\\$`é日{}#EOFPY"), max_size=30)
WITH_BASH = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def run(command, folder):
    return subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=60)


def editor(**arguments):
    return translate(Call("str_replace_editor", arguments), Scene())


@WITH_BASH
@given(TEXT)
@example("EOF\nEOF1\nx")
@example("")
def test_create_writes_exactly_this_text(tmp_path, text):
    assert run(editor(command="create", path="a b.txt", file_text=text), tmp_path).returncode == 0
    assert (tmp_path / "a b.txt").read_text() == text


@WITH_BASH
@given(TEXT, TEXT.filter(bool), TEXT, TEXT)
def test_str_replace_changes_the_only_occurrence_or_nothing(tmp_path, before, old, new, after):
    content = before + old + after
    (tmp_path / "f").write_text(content)
    done = run(editor(command="str_replace", path="f", old_str=old, new_str=new), tmp_path)
    once = content.count(old) == 1
    assert (done.returncode == 0) == once
    assert (tmp_path / "f").read_text() == (content.replace(old, new) if once else content)


@WITH_BASH
@given(TEXT, TEXT, st.integers(0, 5))
def test_insert_puts_lines_after_a_line(tmp_path, content, new, line):
    (tmp_path / "f").write_text(content)
    assert run(editor(command="insert", path="f", insert_line=line, new_str=new), tmp_path).returncode == 0
    lines = content.split("\n")
    assert (tmp_path / "f").read_text() == "\n".join(lines[:line] + new.split("\n") + lines[line:])


@WITH_BASH
@given(st.lists(TEXT.map(lambda text: text.replace("\n", "")), min_size=1, max_size=6), st.integers(1, 6), TEXT)
def test_swe_agents_edit_replaces_lines(tmp_path, lines, start, new):
    stop = min(start + 1, len(lines))
    (tmp_path / "f").write_text("\n".join(lines))
    scene = Scene(swe_agent=True, open_file="f")
    arguments = {"start_line": start, "end_line": stop, "replacement_text": new}
    assert run(translate(Call("edit", arguments), scene), tmp_path).returncode == 0
    kept = new.removesuffix("\n")
    expected = lines[: start - 1] + (kept.split("\n") if kept else []) + lines[max(stop, start - 1) :]
    assert (tmp_path / "f").read_text() == "\n".join(expected)


def test_views_show_the_lines_asked_for(tmp_path):
    (tmp_path / "f").write_text("".join(f"line {number}\n" for number in range(1, 9)))
    shown = run(editor(command="view", path="f", view_range=[3, 4]), tmp_path).stdout
    assert shown == "     3\tline 3\n     4\tline 4\n"
    assert (
        run(editor(command="view", path="f", view_range="[7, -1]"), tmp_path).stdout.split("\n")[1] == "     8\tline 8"
    )
    assert run(editor(command="view", path="f"), tmp_path).stdout.count("\n") == 8


def test_a_view_of_a_folder_lists_it(tmp_path):
    (tmp_path / "d" / "e" / "deep").mkdir(parents=True)
    (tmp_path / "d" / ".hidden").touch()
    seen = "Here's the files and directories up to 2 levels deep in d, excluding hidden items:\nd"
    command = translate(Call("str_replace_editor", {"command": "view", "path": "d"}), Scene(observation=seen))
    assert sorted(run(command, tmp_path).stdout.split()) == ["d", "d/e", "d/e/deep"]


WINDOW = "[File: /r/f.py (300 lines total)]\n(9 more lines above)\n10:import os\n11:\n12:x = 1\n(288 more lines below)"


@pytest.mark.parametrize(
    ("call", "scene", "expected"),
    [
        (Call("bash", {"command": "ls -la"}), Scene(), "ls -la"),
        (Call("execute_bash", {"cmd": "ls"}), Scene(), "ls"),
        (Call("bash_command", {"keystrokes": "ls\n", "duration": 1}), Scene(), "ls\n"),
        (Call("shell", {"command": ["bash", "-lc", "ls | wc"]}), Scene(), "ls | wc"),
        (Call("shell", {"command": ["grep", "a b", "f"]}), Scene(), "grep 'a b' f"),
        (Call("finish", {"message": "Done."}), Scene(), "submit"),
        (Call("bash", {"command": "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git diff"}), Scene(), "submit"),
        (Call("bash", {"command": "open f.py 12"}), Scene(swe_agent=True, observation=WINDOW), "window"),
        (Call("goto", {"line_number": 11}), Scene(swe_agent=True, observation=WINDOW), "window"),
        (Call("bash", {"command": "scroll_down"}), Scene(swe_agent=True, observation=WINDOW), "window"),
        (Call("bash", {"command": "open f.py"}), Scene(), "open f.py"),
        (
            Call("bash", {"command": "find_file 'a b.py' src"}),
            Scene(swe_agent=True),
            "find src -type f -name 'a b.py'",
        ),
        (
            Call("bash", {"command": "search_file 'def f'"}),
            Scene(swe_agent=True, open_file="/r/f.py"),
            "grep -nH -- 'def f' /r/f.py",
        ),
        (
            Call("bash", {"command": "str_replace_editor view /r/f.py --view_range 2 5"}),
            Scene(swe_agent=True),
            "cat -n /r/f.py | sed -n '2,5p'",
        ),
        (Call("search", {"search_term": "x y", "path": "src"}), Scene(), "grep -rnF -- 'x y' src"),
        (Call("bash", {"command": 'find_file(file_name="*.py")'}), Scene(), "find . -type f -name '*.py'"),
    ],
)
def test_calls_become_commands(call, scene, expected):
    window = "cat -n /r/f.py | sed -n '10,12p'"
    assert translate(call, scene) == (window if expected == "window" else expected)


REFUSED = "Your proposed edit has introduced new syntax error(s).\nYour changes have NOT been applied."


@pytest.mark.parametrize(
    ("call", "scene", "reason"),
    [
        (Call("web_search", {}), Scene(), "unknown tool: web_search"),
        (Call("bash", {}), Scene(), "unparsable: the shell call lacks its command"),
        (Call("bash", {"command": "  "}), Scene(), "empty command"),
        (Call("execute_bash", {"command": "C-c", "is_input": "true"}), Scene(), "input to a running command"),
        (Call("bash_command", {"keystrokes": "ls"}), Scene(), "keys without a final newline"),
        (Call("think", {"thought": "x"}), Scene(), "no command"),
        (Call("execute_ipython_cell", {"code": "1"}), Scene(), "Jupyter"),
        (Call("str_replace_editor", {"command": "undo_edit", "path": "f"}), Scene(), "undo_edit"),
        (Call("str_replace_editor", {"command": "view"}), Scene(), "lacks its command or path"),
        (Call("str_replace_editor", {"command": "view", "path": "f", "view_range": [1]}), Scene(), "view_range"),
        (Call("str_replace_editor", {"command": "view", "path": "f", "view_range": "x"}), Scene(), "view_range"),
        (Call("str_replace_editor", {"command": "str_replace", "path": "f"}), Scene(), "old_str"),
        (
            Call("str_replace_editor", {"command": "create", "path": "f", "file_text": "x"}),
            Scene(observation="ERROR:\nFile already exists at: f."),
            "refused",
        ),
        (Call("edit", {"start_line": 1, "end_line": 1}), Scene(swe_agent=True), "the file in the viewer is not known"),
        (
            Call("bash", {"command": "edit 1:1\nx\nend_of_edit"}),
            Scene(swe_agent=True, open_file="f", observation=REFUSED),
            "refused",
        ),
        (Call("bash", {"command": "edit\nx\nend_of_edit"}), Scene(swe_agent=True, open_file="f"), "cursors"),
        (Call("bash", {"command": "open 'f"}), Scene(swe_agent=True), "quoting"),
        (Call("bash", {"command": "submit 'flag'"}), Scene(swe_agent=True), "submit with an argument"),
        (Call("bash", {"command": "decompile f"}), Scene(swe_agent=True, tools=frozenset({"decompile"})), "decompile"),
        (Call("bash", {"command": "edit(1, 2)"}), Scene(), "positional"),
    ],
)
def test_what_has_no_equal_command_has_a_reason(call, scene, reason):
    found = translate(call, scene)
    assert isinstance(found, Untranslatable)
    assert reason in found.reason


@PATIENT
@given(st.text(max_size=60))
def test_literals_mean_their_text(text):
    assert eval(literal(text)) == text


def test_a_here_document_never_ends_early():
    command = heredoc("cat", "EOF\nEOF1\n", "EOF")
    assert command == "cat <<'EOF2'\nEOF\nEOF1\nEOF2"
    assert write_file("x", "no newline") == "head -c -1 > x <<'EOF'\nno newline\nEOF"
