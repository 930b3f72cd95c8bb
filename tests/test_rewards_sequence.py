import difflib
import pickle
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trajectory_strategies import PATIENT

from swe_srl.errors import ConfigError
from swe_srl.rewards import SequenceSimilarity, get_similarity, similarity_names
from swe_srl.rewards.sequence import _Cost, _matched

COMMANDS = st.text(st.sampled_from("abct /-.|&;'\"\n_é日"), max_size=60)
LONG = st.builds(lambda text, times: text * times, COMMANDS, st.integers(1, 12))


@PATIENT
@given(LONG, LONG, st.booleans())
def test_equal_to_cpython_difflib_to_the_last_bit(predicted, target, autojunk):
    exact = difflib.SequenceMatcher(None, predicted, target, autojunk=autojunk).ratio()
    assert SequenceSimilarity(autojunk=autojunk)(predicted, target).value == exact


@PATIENT
@given(LONG, LONG, st.booleans())
def test_the_bounded_matching_is_exact_while_its_budget_lasts(predicted, target, autojunk):
    from cydifflib import SequenceMatcher

    matcher = SequenceMatcher(None, predicted, target, autojunk=autojunk)
    matched, complete = _matched(matcher, _Cost(predicted, target), len(predicted), len(target), 10**12)
    blocks = difflib.SequenceMatcher(None, predicted, target, autojunk=autojunk).get_matching_blocks()
    assert complete
    assert matched == sum(block.size for block in blocks)


@PATIENT
@given(LONG, LONG, st.integers(1, 50), st.integers(2, 40))
def test_a_bound_gives_a_lower_bound_and_says_so(predicted, target, comparisons, characters):
    score = SequenceSimilarity(max_comparisons=comparisons, max_characters=characters)(predicted, target)
    exact = difflib.SequenceMatcher(None, predicted, target, autojunk=False).ratio()
    assert 0.0 <= score.value <= 1.0
    if score.parts["method"] == "difflib":
        assert score.value == exact
    if score.parts["method"].startswith("difflib, stopped"):
        assert score.value <= exact


@pytest.mark.parametrize(
    ("predicted", "target"),
    [
        ("a" * 16_000, "ab" * 8_000),
        ("ab" * 8_000, "a" * 16_000),
        ("aab" * 5_000, "aaab" * 4_000),
        ("ax" * 8_000, "ay" * 8_000),
        ("a" * 1_000_000, "a" * 999_999 + "b"),
    ],
)
def test_the_worst_case_is_bounded(predicted, target):
    start = time.process_time()
    score = SequenceSimilarity()(predicted, target)
    assert time.process_time() - start < 15
    assert score.parts["method"] != "difflib"


def test_beyond_the_bounds_a_command_is_still_like_itself():
    similarity = SequenceSimilarity()
    for long in ("".join(f"line {number} of a file\n" for number in range(3000)), "a" * 40_000):
        middle = len(long) // 2
        changed = f"{long[:middle]}X{long[middle + 1 :]}"
        assert similarity(long, long).value == 1.0
        assert (
            similarity(changed, long).value == similarity(long, changed).value == 2 * (len(long) - 1) / (2 * len(long))
        )
        assert similarity(f"{long}b", long).value == 2 * len(long) / (2 * len(long) + 1)
    assert similarity("a" * 20_000, "b" * 20_000).value == 0.0


def test_a_real_long_pair_is_compared_exactly():
    source = random.Random(0)
    predicted, target = ("".join(source.choices("abcdefghijklmnopqrstuvwxyz /-.\n", k=1500)) for _ in range(2))
    score = SequenceSimilarity()(predicted, target)
    assert score.parts["method"] == "difflib"
    assert score.value == difflib.SequenceMatcher(None, predicted, target, autojunk=False).ratio()


def test_autojunk_is_off_by_default_and_has_a_name():
    predicted, target = "x" + "ab" * 200, "y" + "ab" * 200
    assert get_similarity("sequence")(predicted, target).value > 0.99
    assert get_similarity("sequence-autojunk")(predicted, target).value == 0.0


def test_the_order_of_the_arguments_matters():
    similarity = SequenceSimilarity()
    assert similarity("tide", "diet").value != similarity("diet", "tide").value


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'sequence'"):
        get_similarity("sequense")


@pytest.mark.parametrize("name", similarity_names())
def test_every_similarity_pickles_and_scores_a_copy_with_one(name):
    similarity = pickle.loads(pickle.dumps(get_similarity(name)))
    assert similarity("cat setup.py", "cat setup.py").value == 1.0
