"""Which steps are held out when no trajectories for validation are named: whole tasks. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from swe_srl.seeds import derive_seed
from swe_srl.types import Step


def hold_out(steps: Sequence[Step], share: float, seed: int) -> tuple[list[Step], list[Step]]:
    """Steps for training and for validation: whole tasks are held out, at least one when there are two or more.

    Which tasks depends on their names and the seed alone. Trajectories without a task that begin with the same messages are of
    one task; it is named by the first of them.
    """
    names = _tasks(steps)
    tasks = sorted(set(names.values()), key=lambda task: derive_seed(seed, "held out", task))
    count = min(len(tasks) - 1, max(1, round(share * len(tasks)))) if share and len(tasks) > 1 else 0
    held = set(tasks[:count])
    parts: tuple[list[Step], list[Step]] = [], []
    for step in steps:
        parts[names[_key(step)] in held].append(step)
    return parts


def _key(step: Step) -> tuple[str, str]:
    return step.task_id, "" if step.task_id else step.trajectory_id


def _tasks(steps: Sequence[Step]) -> dict[tuple[str, str], str]:
    """The name of every step's task, by `_key`."""
    first: dict[tuple[str, str], Step] = {}
    for step in steps:
        known = first.setdefault(_key(step), step)
        if step.index < known.index:
            first[_key(step)] = step
    names: dict[tuple[str, str], str] = {}
    same: dict[tuple[str, ...], str] = {}
    for key in sorted(first):
        task, trajectory = key
        opening = tuple(one.content for one in takewhile(lambda one: one.role != "assistant", first[key].context))
        names[key] = task or same.setdefault(opening, trajectory)
    return names
