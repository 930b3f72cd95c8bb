"""The similarity of effects, on a probe that knows its effects by heart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_srl.rewards import Effect, EffectSimilarity, get_similarity
from swe_srl.rewards.effect import compare_effects, same_lines

EDIT = {"a.py": "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n-x = 1\n+x = 2\n"}
NEAR = {"a.py": "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n-x = 1\n+x = 3\n"}
GONE = {"a.py": "diff --git a/a.py b/a.py\ndeleted file mode 100644\n--- a/a.py\n+++ /dev/null\n-x = 1\n"}
LISTING = "a.py\nb.py\nc.py\n"


class Known:
    def __init__(self, **effects: Effect) -> None:
        self.effects, self.asked = effects, []

    def effect(self, command: str) -> Effect:
        self.asked.append(command)
        return self.effects[command]


def value(found: Effect, wanted: Effect) -> float:
    return compare_effects(found, wanted).value


def test_equal_effects_are_worth_one_whatever_the_commands_are() -> None:
    probe = Known(this=Effect(LISTING, 0), that=Effect(LISTING, 0))
    score = get_similarity("effect", probe)("this", "that")
    assert score.value == 1.0 and score.parts["method"] == "effect"
    assert get_similarity("effect", probe)("that", "that").parts == {"method": "equal"} and len(probe.asked) == 2


def test_an_edit_counts_by_its_change() -> None:
    wanted = Effect("", 0, EDIT)
    assert value(Effect("", 0, EDIT), wanted) == 1.0
    assert 0.3 < value(Effect("", 0, NEAR), wanted) < 0.8
    assert value(Effect("", 0, {"b.py": EDIT["a.py"]}), wanted) == 0.0
    assert value(Effect("", 0, GONE), wanted) == 0.0
    assert value(Effect("", 0), wanted) == 0.0
    more = Effect("", 0, {**EDIT, "b.py": "+y\n"})
    assert value(more, wanted) == 0.5


def test_another_binary_file_is_hardly_alike() -> None:
    """Their diffs have no lines that could be compared."""
    this, that = (f"a/x b/x\nindex 0..{number}\nBinary files a/x and b/x differ\n" for number in (1, 2))
    assert value(Effect("", 0, {"x": this}), Effect("", 0, {"x": that})) == 0.1
    assert value(Effect("", 0, {"x": this}), Effect("", 0, {"x": this})) == 1.0


def test_a_view_counts_by_what_it_shows() -> None:
    wanted = Effect(LISTING, 0)
    assert 0.4 < value(Effect("a.py\nb.py\n", 0), wanted) < 1.0
    assert value(Effect("", 0), wanted) == 0.0
    assert value(Effect(LISTING, 0, GONE), wanted) == 0.4
    assert value(Effect(LISTING, 1), wanted) == 0.7
    assert value(Effect(LISTING, 0, state="elsewhere", moved=True), wanted) == 0.8


def test_a_change_of_directory_counts_by_where_it_leads() -> None:
    wanted = Effect("", 0, state="src", moved=True)
    assert value(Effect("", 0, state="src", moved=True), wanted) == 1.0
    assert value(Effect("", 0, state="tests", moved=True), wanted) == 0.0


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("killed", "the target command was killed"),
        ("silent", "the target command shows and changes nothing"),
        ("submit", "submit is no shell command"),
    ],
)
def test_where_effects_cannot_tell_shell_compares(target: str, why: str) -> None:
    probe = Known(killed=Effect("", None), silent=Effect("", 1), ls=Effect(LISTING, 0))
    similarity = get_similarity("effect", probe, reserved="submit")
    assert similarity("ls", target).parts["method"] == f"shell: {why}"
    assert similarity("ls", target).value == get_similarity("shell")("ls", target).value


def test_without_a_sandbox_shell_compares() -> None:
    predicted, target = "grep -n -r x ./src", "grep -rn x src"
    score = get_similarity("effect")(predicted, target)
    assert score.value == get_similarity("shell")(predicted, target).value == 1.0
    assert score.parts["method"] == "shell: there is no sandbox"


def test_a_killed_command_is_worth_nothing() -> None:
    assert value(Effect(LISTING, None), Effect(LISTING, 0)) == 0.0


def test_commands_that_do_nothing_are_not_even_tried() -> None:
    probe = Known(ls=Effect(LISTING, 0))
    assert get_similarity("effect", probe)("echo 'a.py'", "ls").value == 0.0 and not probe.asked


EFFECTS = st.builds(
    Effect,
    output=st.sampled_from(["", "a\n", "a\nb\n", "c\n" * 3000]),
    exit_code=st.sampled_from([0, 1, None]),
    changes=st.dictionaries(
        st.sampled_from(["a.py", "b.py"]), st.sampled_from([EDIT["a.py"], GONE["a.py"]]), max_size=2
    ),
    state=st.sampled_from(["", "src"]),
)


@given(EFFECTS, EFFECTS)
def test_the_value_is_a_share_and_one_for_equal_effects_only(found: Effect, wanted: Effect) -> None:
    score = EffectSimilarity(Known(this=found, that=wanted))("this", "that")
    assert 0.0 <= score.value <= 1.0
    if score.parts["method"] == "effect":
        assert (score.value == 1.0) == (found == wanted)


def test_many_lines_are_compared_in_bounded_time() -> None:
    many = "\n".join(str(number) for number in range(20_000))
    assert 0.75 < same_lines(many, many + "\nmore") < 1.0
