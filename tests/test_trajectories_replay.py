import json
import subprocess
from contextlib import AbstractContextManager
from dataclasses import replace as replaced

import pytest

from swe_srl.cli import main
from swe_srl.errors import SandboxError
from swe_srl.trajectories import read_trajectories, write_trajectories
from swe_srl.trajectories.replay import compare, end_diff, replay, same_patch
from swe_srl.types import Action, CommandResult, FormatError, SandboxSpec, Trajectory, Turn


class Scripted(AbstractContextManager):
    """A sandbox that answers from a table."""

    def __init__(self, answers, files=None):
        self.answers, self.files, self.ran = answers, files or {}, []

    def run(self, command, timeout=None):
        self.ran.append(command)
        output, code = self.answers.get(command, ("", 0))
        return CommandResult(output, code, 0.0, timed_out=code is None)

    def read_file(self, path):
        return self.files[path]

    def __exit__(self, *error):
        return None


TRAJECTORY = Trajectory(
    "t",
    "task",
    (
        Turn(Action("ls"), "a.py\n", 0),
        Turn(FormatError("no command", "Hm."), "Give one."),
        Turn(Action("pytest"), "1 passed in 0.31s\n", 0),
        Turn(Action("cat a.py"), "x = 1\n", 0),
        Turn(Action("sleep 99"), "", None),
        Turn(Action("submit"), ""),
        Turn(Action("ls"), "never"),
    ),
)


def test_every_turn_up_to_the_submission_is_compared():
    sandbox = Scripted(
        {"ls": ("a.py", 0), "pytest": ("1 passed in 0.02s", 0), "cat a.py": ("x = 2", 1), "sleep 99": ("", None)}
    )
    replayed = list(replay(TRAJECTORY, sandbox))
    assert [turn.observation for turn in replayed] == ["equal", "not run", "similar", "different", "equal", "not run"]
    assert [turn.note for turn in replayed] == ["", "no command", "", "", "timed out", "submit"]
    assert [turn.exit_code_differs for turn in replayed] == [False, False, False, True, False, False]
    assert sandbox.ran == ["ls", "pytest", "cat a.py", "sleep 99"]


def test_harnesses_with_a_shell_per_command_get_subshells():
    from dataclasses import replace

    sandbox = Scripted({})
    list(replay(replace(TRAJECTORY, source_format="mini-swe-agent"), sandbox))
    assert sandbox.ran[0] == "(\nls\n)"


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ("a\n", "a", "equal"),
        ("<f at 0x7f3a10>", "<f at 0x55aa33>", "similar"),
        ("x  \ny", "x\ny", "similar"),
        ("/tmp/abc/x.py:3", "/tmp/def/y:3", "different"),
        ("a", "b", "different"),
    ],
)
def test_comparison(first, second, verdict):
    assert compare(first, second) == verdict


def test_the_end_state_is_a_patch():
    sandbox = Scripted({}, {".git/swe-srl-replay.diff": b"diff --git a/x b/x\nindex 1..2 100644\n+a\n"})
    assert same_patch(end_diff(sandbox), "diff --git a/x b/x\nindex 7..9 100644\n+a\n")
    assert not same_patch(end_diff(sandbox), "diff --git a/x b/x\nindex 7..9 100644\n+b\n")


def test_no_end_state_without_a_repository():
    class Bare(Scripted):
        def run(self, command, timeout=None):
            return CommandResult("fatal: not a git repository", 128, 0.0)

    with pytest.raises(SandboxError, match="not a git repository"):
        end_diff(Bare({}))


EDITS = (
    ("str_replace_editor", {"command": "view", "path": "/testbed/calc.py"}),
    (
        "str_replace_editor",
        {"command": "str_replace", "path": "/testbed/calc.py", "old_str": "a - b", "new_str": "a + b"},
    ),
    ("str_replace_editor", {"command": "insert", "path": "/testbed/calc.py", "insert_line": 0, "new_str": "# sums"}),
    ("str_replace_editor", {"command": "create", "path": "/testbed/note.txt", "file_text": "it's 'done'"}),
    ("bash", {"command": "python3 -c 'import calc; print(calc.add(2, 3))'"}),
)
PATCH = """diff --git a/calc.py b/calc.py
--- a/calc.py
+++ b/calc.py
@@ -1,2 +1,3 @@
+# sums
 def add(a, b):
-    return a - b
+    return a + b
diff --git a/note.txt b/note.txt
new file mode 100644
--- /dev/null
+++ b/note.txt
@@ -0,0 +1 @@
+it's 'done'
\\ No newline at end of file
"""


@pytest.mark.sandbox
def test_translated_editor_calls_leave_the_files_that_the_editor_left(tmp_path):
    from swe_srl.sandboxes import make_sandbox

    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    identity = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
    for words in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", "base"]):
        subprocess.run(["git", *words], cwd=repository, check=True)
    messages = [{"role": "user", "content": "Fix it."}]
    for name, arguments in EDITS:
        messages.append({"role": "assistant", "tool_calls": [{"function": {"name": name, "arguments": arguments}}]})
        messages.append({"role": "tool", "content": "5\n" if name == "bash" else "The tool's own message."})
    path = tmp_path / "chat.json"
    path.write_text(json.dumps({"messages": messages}))
    (trajectory,) = read_trajectories(path)
    with make_sandbox("local", SandboxSpec(repository=str(repository))) as sandbox:
        replayed = list(replay(trajectory, sandbox))
        assert [turn.result.exit_code for turn in replayed] == [0] * len(EDITS)
        assert [turn.observation for turn in replayed] == ["different"] * 4 + ["equal"]
        assert replayed[0].result.output == "     1\tdef add(a, b):\n     2\t    return a - b\n"
        assert same_patch(end_diff(sandbox), PATCH)


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("mended", "recorded", "code"), [(True, True, 0), (False, True, 1), (False, False, 0), (False, None, 0)]
)
def test_the_command_says_whether_the_end_state_resolves_the_task(mended, recorded, code, run_root, capsys):
    expert = next(read_trajectories("quickstart"))
    looks = tuple(turn for turn in expert.turns if turn.action.command.startswith(("grep", "submit")))
    turns = expert.turns if mended else looks
    write_trajectories("one.jsonl", [replaced(expert, turns=turns, resolved=recorded, patch="")])
    assert main(["trajectories", "replay", "one.jsonl"]) == code
    assert f"the end state: {'resolved' if mended else 'empty patch'}" in capsys.readouterr().out
    assert main(["trajectories", "replay", "one.jsonl", "--no-grade"]) == 0
