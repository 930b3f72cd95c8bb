"""Intervals over seeds and tasks at once: both are drawn again (a crossed bootstrap)."""

from __future__ import annotations

import math
from collections.abc import Mapping

from swe_srl.evaluation.statistics import Estimate, unvaried

Values = Mapping[int, Mapping[str, float]]  # by seed and task
DRAWS = 10_000


def mean_of(values: Values, bounds: tuple[float, float] = (0.0, 1.0)) -> Estimate:
    """Mean over seeds and tasks, with an interval of redrawn seeds and redrawn tasks.

    Another training would give another model, and other tasks other outcomes: each draw takes as many seeds and as many
    tasks as there are, with replacement, and the mean over their pairs (A. B. Owen, Annals of Applied Statistics 2007,
    1:386-411: such intervals are if anything too wide). With one seed the interval is over tasks alone.

    Args:
        values: of every task with every seed; a task that a seed lacks is left out.
        bounds: least and greatest value: when all values are equal there is no spread to redraw, see `unvaried`.

    >>> mean_of({0: {"a": 0.0, "b": 1.0}, 1: {"a": 1.0, "b": 1.0}}).value
    0.75
    """
    import numpy as np

    tasks = common_tasks(values)
    if not tasks:
        return Estimate(math.nan, math.nan, math.nan)
    matrix = np.array([[values[seed][task] for task in tasks] for seed in sorted(values)])
    if matrix.max() - matrix.min() < 1e-9:
        return unvaried(float(matrix[0, 0]), len(tasks), bounds)
    stream, (rows, columns) = np.random.default_rng(0), matrix.shape
    seeds = stream.multinomial(
        rows, np.full(rows, 1 / rows), DRAWS
    )  # how often each draw takes each seed, and each task
    drawn = stream.multinomial(columns, np.full(columns, 1 / columns), DRAWS)
    means = ((seeds @ matrix) * drawn).sum(1) / (rows * columns)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(matrix.mean()), float(low), float(high))


def difference(a: Values, b: Values, bounds: tuple[float, float] = (-1.0, 1.0)) -> Estimate | None:
    """Mean of b - a over the seeds and tasks that both have, paired by both; None when they have none in common.

    >>> difference({0: {"a": 0.0, "b": 1.0}}, {0: {"a": 1.0, "b": 1.0}}).value
    0.5
    """
    seeds = a.keys() & b.keys()
    change = {seed: {task: b[seed][task] - a[seed][task] for task in a[seed].keys() & b[seed].keys()} for seed in seeds}
    return mean_of(change, bounds) if common_tasks(change) else None


def common_tasks(values: Values) -> list[str]:
    """Tasks that every seed has."""
    return sorted(set.intersection(*(set(tasks) for tasks in values.values()))) if values else []


def includes_zero(estimate: Estimate) -> bool:
    """Whether the interval of a difference shows none."""
    return estimate.low <= 0 <= estimate.high
