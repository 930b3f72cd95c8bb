"""Intervals and tests for resolve rates. Pure Python: no arrays in, none out."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

from swe_srl.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval."""

    value: float
    low: float
    high: float
    confidence: float = 0.95


def wilson(successes: int, n: int, confidence: float = 0.95) -> Estimate:
    """A proportion with Wilson's score interval (E. B. Wilson, JASA 1927, 22:209-212).

    Args:
        successes: how many of the `n`.
        n: trials; 0 gives the whole of [0, 1] and the value nan.
        confidence: of the interval.

    >>> estimate = wilson(8, 10)
    >>> round(estimate.low, 4), round(estimate.high, 4)
    (0.4902, 0.9433)
    """
    if not 0 <= successes <= n:
        raise ConfigError(f"{successes} successes of {n} trials: must be between 0 and the number of trials")
    if n == 0:
        return Estimate(math.nan, 0.0, 1.0, confidence)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p, shrink = successes / n, 1 + z * z / n
    centre = (p + z * z / (2 * n)) / shrink
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / shrink
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Estimate(p, low, high, confidence)


def pass_at_k(n: int, successes: int, k: int) -> float:
    """Unbiased chance that at least one of k samples succeeds: 1 - C(n-c, k) / C(n, k) (Chen et al., arXiv 2107.03374).

    >>> round(pass_at_k(4, 1, 2), 6)
    0.5
    """
    if not 1 <= k <= n or not 0 <= successes <= n:
        raise ConfigError(f"pass@{k} of {successes} successes in {n} samples: needs 1 <= k <= samples")
    return 1.0 - math.comb(n - successes, k) / math.comb(n, k)


def bootstrap_mean(by_task: Mapping[str, Sequence[float]], draws: int = 10_000, seed: int = 0) -> Estimate:
    """Mean over tasks of each task's mean, with a percentile interval of resampled tasks.

    Tasks are resampled with all their samples, since samples of one task depend on each other. When all tasks have the same
    mean, resampling shows no spread, and the interval is `unvaried`'s: Wilson's on the number of tasks for means of 0 or 1.

    Args:
        by_task: outcomes of each task's samples.
        draws: resamplings.
        seed: of the resampling.
    """
    means = [fmean(values) for values in by_task.values() if values]
    return _bootstrap(means, draws, seed, bounds=(0.0, 1.0))


def paired_bootstrap(
    a: Mapping[str, Sequence[float]], b: Mapping[str, Sequence[float]], draws: int = 10_000, seed: int = 0
) -> Estimate:
    """Difference b - a of the mean over tasks, with a percentile interval of resampled tasks.

    Both sides of a task are drawn together, so what makes a task hard cancels out. When all tasks have the same difference,
    resampling shows no spread, and the interval is `unvaried`'s.

    Raises:
        ConfigError: the tasks of the two sides differ.
    """
    if set(a) != set(b):
        raise ConfigError(f"a paired comparison needs the same tasks on both sides; {len(set(a) ^ set(b))} differ")
    return _bootstrap([fmean(b[task]) - fmean(a[task]) for task in sorted(a)], draws, seed, bounds=(-1.0, 1.0))


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided exact p-value of McNemar's test (Psychometrika 1947, 12:153-157): binomial on the discordant pairs.

    Args:
        only_a: tasks that only the first resolved.
        only_b: tasks that only the second resolved.

    >>> round(mcnemar(1, 8), 4)
    0.0391
    """
    n = only_a + only_b
    if n == 0:
        return 1.0
    tail = sum(math.comb(n, i) for i in range(min(only_a, only_b) + 1))
    return min(1.0, 2 * tail / (1 << n))


def unvaried(value: float, n: int, bounds: tuple[float, float], confidence: float = 0.95) -> Estimate:
    """A mean with its interval when all `n` tasks have the same value.

    None of n tasks has another value, so by Wilson's interval at most a share u = z^2 / (n + z^2) of all tasks has; their
    values lie anywhere within the bounds, which moves the mean by at most u times the distance to a bound. Of n tasks without
    a difference that is -u to u; of n resolved tasks it is Wilson's 1 - u to 1.

    Args:
        value: of every task.
        n: tasks, at least 1.
        bounds: least and greatest value that a task can have.
        confidence: of the interval.

    >>> estimate = unvaried(0.0, 50, (-1.0, 1.0))
    >>> round(estimate.low, 3), round(estimate.high, 3)
    (-0.071, 0.071)
    """
    share = wilson(0, n, confidence).high
    return Estimate(value, value - share * (value - bounds[0]), value + share * (bounds[1] - value), confidence)


def _bootstrap(
    values: Sequence[float], draws: int, seed: int, bounds: tuple[float, float], confidence: float = 0.95
) -> Estimate:
    if not values:
        return Estimate(math.nan, math.nan, math.nan, confidence)
    if max(values) - min(values) < 1e-9:
        return unvaried(values[0], len(values), bounds, confidence)
    stream, n = random.Random(seed), len(values)
    means = sorted(sum(stream.choices(values, k=n)) / n for _ in range(draws))
    tail = (1 - confidence) / 2
    return Estimate(fmean(values), _quantile(means, tail), _quantile(means, 1 - tail), confidence)


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Linear interpolation between the two nearest order statistics."""
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)
