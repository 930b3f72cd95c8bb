import difflib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trajectory_strategies import PATIENT

from swe_srl.rewards import get_similarity, no_operation, similarity_names, step_reward
from swe_srl.rewards.guards import only_talks, without_comments
from swe_srl.types import Action, FormatError

IDLE = st.lists(st.sampled_from(["", " ", "\n", "# cat a.py", "true", ":", ";", " && ", "\t", "# # #"]), max_size=8)


@PATIENT
@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_the_thought_is_never_rewarded(command, thought, other):
    similarity = get_similarity("sequence")
    first = step_reward(Action(command, thought), "cat setup.py", similarity)
    assert first == step_reward(Action(command, other), "cat setup.py", similarity)


def test_a_format_error_gets_the_penalty_and_its_reason():
    score = step_reward(FormatError("no command", "ls"), "ls", get_similarity("sequence"), format_penalty=-0.5)
    assert (score.value, score.reason) == (-0.5, "no command")


@pytest.mark.parametrize("name", similarity_names())
@pytest.mark.parametrize(
    "command",
    [
        "",
        "  \n\t",
        "# cat setup.py",
        "true",
        ":",
        "true; true",
        "(true)",
        "# a\n# b",
        "true # cat setup.py",
        "true;# x",
    ],
)
def test_commands_that_do_nothing_score_zero(name, command):
    for target in ("cat setup.py", command):
        assert step_reward(Action(command), target, get_similarity(name)).value == 0.0


@pytest.mark.parametrize(
    "command", ["ls", "cat a#b", "true.sh", "./true", "a=true", "true || ls", "# x\nls", ":w", "$true"]
)
def test_commands_that_do_something_are_not_guarded(command):
    assert not no_operation(command)


@PATIENT
@given(IDLE)
def test_joined_idle_pieces_are_idle(pieces):
    assert no_operation("\n".join(pieces))


def test_the_guard_is_linear_in_the_command():
    assert not no_operation("# " * 50_000 + "\nls")
    assert not no_operation(";" * 100_000 + "ls")


TALK = [
    "x='cat setup.py'",
    "type cat setup.py",
    "which cat setup.py",
    "command -v cat setup.py",
    "[ 'cat setup.py' ]",
    "[[ -n 'cat setup.py' ]]",
    "test 'cat setup.py'",
    r"\echo cat setup.py",
    "'echo' cat setup.py",
    "exit; cat setup.py",
    "! echo cat setup.py",
    "env echo cat setup.py",
    "timeout 5 echo cat setup.py",
    "bash -c 'echo cat setup.py'",
    "echo cat setup.py 2>&1",
    "echo cat setup.py >&2",
    "echo cat setup.py >/dev/null",
    "echo cat setup.py &>/dev/null",
    "echo cat setup.py | cat",
    "echo cat setup.py | grep cat",
    "cd . && echo cat setup.py",
    "cd src; echo cat setup.py",
    "cd .",
    "declare x='cat setup.py'",
    "f() { cat setup.py; }",
    "function f { cat setup.py; }",
    "'cat setup.py'",
]


@pytest.mark.parametrize("name", similarity_names())
@pytest.mark.parametrize("command", TALK)
def test_commands_that_only_talk_score_zero_against_one_that_does_more(name, command):
    assert get_similarity(name)(command, "cat setup.py").value == 0.0
    assert get_similarity(name)(command, command).value == 1.0


@pytest.mark.parametrize(
    "command",
    [
        "cd src",
        "cd src && ls",
        "echo x > a.txt",
        "echo x >& a.txt",
        "x=1; ls",
        "[ -f a ] && cat a",
        "which ls; ls",
        "echo x | sh",
        "cd . && cat setup.py",
        "env A=1 cat setup.py",
        "x=1 cat setup.py",
        "test.sh",
        "echo x | tee a",
        "git diff",
        "'git' log",
    ],
)
def test_commands_that_do_more_than_talk_are_compared(command):
    assert not only_talks(command)
    assert get_similarity("sequence")(command, command).value == 1.0


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        ("ls # cat setup.py", "ls"),
        ("# Look.\n# Again.\ncat a", "cat a"),
        ("ls\n  # b\ncat a;# c\nwc", "ls\ncat a;\nwc"),
        ('echo a#b $# ${x#y} \'a # b\' "c # \\" # d" e\\ # f', 'echo a#b $# ${x#y} \'a # b\' "c # \\" # d" e\\ # f'),
        ("cat > a.py <<'EOF'\n# kept\nx = 1\nEOF\nls # gone", "cat > a.py <<'EOF'\n# kept\nx = 1\nEOF\nls"),
        ("it's # not closed", "it's"),
        ("cat <<<a # b\na", "cat <<<a\na"),
    ],
)
def test_comments_are_not_compared(command, kept):
    assert without_comments(command) == kept
    assert get_similarity("sequence")(command, kept).value == 1.0


@pytest.mark.parametrize(
    ("predicted", "target"),
    [
        ("### Let n be even. Then n=2k", "### Let n be even. Then n=2k"),
        ("The set #A=3 and B=4", "The set #A=9 and B=7"),
        ("x=5", "So x = 5, since 2x = 10."),
        ("true", "true"),
        ("", "x"),
    ],
)
@pytest.mark.parametrize("autojunk", [False, True])
def test_texts_that_are_no_shell_commands_are_compared_as_they_are(predicted, target, autojunk):
    name = "sequence-autojunk" if autojunk else "sequence"
    exact = difflib.SequenceMatcher(None, predicted, target, autojunk).ratio()
    assert get_similarity(name, shell=False)(predicted, target).value == exact
    assert get_similarity(name)(predicted, target).value != exact or not exact


@pytest.mark.parametrize("name", ["shell", "pivot", "effect"])
def test_what_reads_shell_commands_is_guarded_whatever_it_is_given(name):
    assert get_similarity(name, shell=False)("echo 'cat setup.py'", "cat setup.py").value == 0.0


def test_looking_for_comments_and_talk_is_fast():
    start = time.process_time()
    for text in ("<<a\n", "cd a;", "'# ", '" #', " ", "\\#", "echo 'x' # y\n", "cd a && \n"):
        only_talks(text * (20_000 // len(text)))
        without_comments(text * (20_000 // len(text)) + "#")
    assert time.process_time() - start < 15
