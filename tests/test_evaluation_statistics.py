"""Intervals and tests against known values."""

from __future__ import annotations

import math
import random

import pytest

from swe_srl.errors import ConfigError
from swe_srl.evaluation.statistics import bootstrap_mean, mcnemar, paired_bootstrap, pass_at_k, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe, Statistics in Medicine 1998, 17:857-872, table I (method 3); R: prop.test(8, 10, correct = FALSE)
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (8, 10, 0.4902, 0.9433),
    ],
)
def test_wilson(successes: int, n: int, low: float, high: float) -> None:
    estimate = wilson(successes, n)
    assert estimate.value == successes / n
    assert (round(estimate.low, 4), round(estimate.high, 4)) == (low, high)


def test_wilson_at_the_edges() -> None:
    assert wilson(10, 10).high == 1.0 and wilson(0, 10).low == 0.0
    nothing = wilson(0, 0)
    assert math.isnan(nothing.value) and (nothing.low, nothing.high) == (0.0, 1.0)
    assert wilson(5, 10, confidence=0.99).low < wilson(5, 10).low
    with pytest.raises(ConfigError, match="11 successes of 10"):
        wilson(11, 10)


def test_fifty_tasks_give_about_fourteen_points() -> None:
    estimate = wilson(25, 50)
    assert 0.13 < (estimate.high - estimate.low) / 2 < 0.14


@pytest.mark.parametrize(
    ("n", "c", "k", "expected"),
    [(1, 1, 1, 1.0), (1, 0, 1, 0.0), (10, 3, 1, 0.3), (4, 1, 2, 0.5), (5, 2, 3, 0.9), (10, 0, 5, 0.0), (10, 8, 3, 1.0)],
)
def test_pass_at_k(n: int, c: int, k: int, expected: float) -> None:
    assert pass_at_k(n, c, k) == pytest.approx(expected)


def test_pass_at_k_is_the_mean_over_all_subsets() -> None:
    from itertools import combinations

    outcomes = [1, 0, 0, 1, 0, 0]
    for k in range(1, 7):
        subsets = list(combinations(outcomes, k))
        assert pass_at_k(6, 2, k) == pytest.approx(sum(any(s) for s in subsets) / len(subsets))
    with pytest.raises(ConfigError):
        pass_at_k(2, 1, 3)


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    # binom.test(x, n, 0.5)$p.value in R
    [(0, 0, 1.0), (5, 5, 1.0), (1, 8, 0.0391), (0, 10, 0.002), (3, 12, 0.0352), (12, 3, 0.0352)],
)
def test_mcnemar(only_a: int, only_b: int, p: float) -> None:
    assert round(mcnemar(only_a, only_b), 4) == p


def test_mcnemar_of_many_pairs() -> None:
    assert 0.0 < mcnemar(900, 1100) < 1e-4


def test_the_bootstrap_covers_the_standard_error() -> None:
    stream = random.Random(3)
    by_task = {str(i): [float(stream.random() < 0.4)] for i in range(200)}
    estimate = bootstrap_mean(by_task)
    error = math.sqrt(estimate.value * (1 - estimate.value) / 200)
    assert estimate.low == pytest.approx(estimate.value - 1.96 * error, abs=0.01)
    assert estimate.high == pytest.approx(estimate.value + 1.96 * error, abs=0.01)


def test_more_samples_of_the_same_tasks_do_not_narrow_the_interval() -> None:
    few = {str(i): [float(i % 2)] for i in range(30)}
    many = {task: values * 16 for task, values in few.items()}
    assert bootstrap_mean(few) == bootstrap_mean(many)


def test_pairing_removes_what_tasks_have_in_common() -> None:
    a = {str(i): [float(i % 2)] for i in range(40)}
    b = {str(i): [1.0 if i < 6 else float(i % 2)] for i in range(40)}
    difference = paired_bootstrap(a, b)
    assert difference.value == pytest.approx(3 / 40)
    assert difference.high - difference.low < 0.2
    same = paired_bootstrap(a, a)
    assert same.value == 0.0 and -same.low == same.high == pytest.approx(wilson(0, 40).high)
    assert paired_bootstrap(a, b, seed=1) == paired_bootstrap(a, b, seed=1)
    with pytest.raises(ConfigError, match="same tasks"):
        paired_bootstrap(a, {"0": [1.0]})


@pytest.mark.parametrize(("value", "successes"), [(0.0, 0), (1.0, 20)])
def test_tasks_that_all_end_the_same_way_have_wilsons_interval(value: float, successes: int) -> None:
    estimate = bootstrap_mean({f"t{i}": [value] * 4 for i in range(20)})
    expected = wilson(successes, 20)
    assert estimate.value == value
    assert (estimate.low, estimate.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_equal_differences_have_an_interval_that_narrows_with_the_tasks() -> None:
    def difference(n: int, a: list[float], b: list[float]) -> tuple[float, float, float]:
        found = paired_bootstrap({f"t{i}": a for i in range(n)}, {f"t{i}": b for i in range(n)})
        return found.value, round(found.low, 3), round(found.high, 3)

    assert difference(20, [1.0], [1.0]) == (0.0, -0.161, 0.161)
    assert difference(200, [0.0, 1.0], [1.0, 0.0]) == (0.0, -0.019, 0.019)
    assert difference(20, [0.0], [1.0]) == (1.0, 0.678, 1.0)
    assert difference(20, [0.0, 0.0], [1.0, 0.0]) == (0.5, 0.258, 0.581)
    thirds = paired_bootstrap(
        {"a": [0, 0, 1], "b": [0, 0, 0]}, {"a": [0, 1, 1], "b": [0, 0, 1]}
    )  # equal but for the last bit
    assert thirds.low < thirds.value < thirds.high


def test_nothing_gives_no_number() -> None:
    assert math.isnan(bootstrap_mean({}).value)
