import pytest
from hypothesis import given
from hypothesis import strategies as st
from trajectory_strategies import PATIENT

from swe_srl.rewards import get_similarity, no_operation, similarity_names, step_reward
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
