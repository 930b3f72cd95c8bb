"""What a running evaluation has so far, for who watches it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from swe_srl.evaluation.statistics import bootstrap_mean, wilson
from swe_srl.progress import Tally
from swe_srl.types import Verdict

DRAWS = 200  # of the bootstrap: the report takes more


def tally(keys: Sequence[tuple[str, int]], verdicts: Mapping[tuple[str, int], Verdict], failures: int) -> Tally:
    """Counts and the interval of the resolve rate by the rule of the report: Wilson's, or a bootstrap over tasks.

    Args:
        keys: the samples that are asked for, each as task and number.
        verdicts: by sample; of others than those, none counts.
        failures: samples that the infrastructure broke.
    """
    by_task: dict[str, list[float]] = {}
    for key in keys:
        if key in verdicts:
            by_task.setdefault(key[0], []).append(float(verdicts[key].official))
    graded = sum(map(len, by_task.values()))
    resolved = int(sum(map(sum, by_task.values())))
    if not graded:
        return Tally(len(keys), failures=failures)
    one_each = graded == len(by_task)
    rate = wilson(resolved, graded) if one_each else bootstrap_mean(by_task, DRAWS)
    return Tally(len(keys), graded, resolved, failures, rate.low, rate.high)
