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

    Tasks are resampled with all their samples, since samples of one task depend on each other.

    Args:
        by_task: outcomes of each task's samples.
        draws: resamplings.
        seed: of the resampling.
    """
    means = [fmean(values) for values in by_task.values() if values]
    return _bootstrap(means, draws, seed)


def paired_bootstrap(
    a: Mapping[str, Sequence[float]], b: Mapping[str, Sequence[float]], draws: int = 10_000, seed: int = 0
) -> Estimate:
    """Difference b - a of the mean over tasks, with a percentile interval of resampled tasks.

    Both sides of a task are drawn together, so what makes a task hard cancels out.

    Raises:
        ConfigError: the tasks of the two sides differ.
    """
    if set(a) != set(b):
        raise ConfigError(f"a paired comparison needs the same tasks on both sides; {len(set(a) ^ set(b))} differ")
    return _bootstrap([fmean(b[task]) - fmean(a[task]) for task in sorted(a)], draws, seed)


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


def _bootstrap(values: Sequence[float], draws: int, seed: int, confidence: float = 0.95) -> Estimate:
    if not values:
        return Estimate(math.nan, math.nan, math.nan, confidence)
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
