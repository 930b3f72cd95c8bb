"""Solutions in numbered steps, `n. **TITLE** ACTION`: the form of s1K's solutions, and of the paper's rewritten ones.

A record is a problem with its solution; each numbered step is a turn whose command is the step's text, title included.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from swe_srl.errors import TrajectoryError
from swe_srl.trajectories.fields import string
from swe_srl.types import Action, Trajectory, Turn

NAME = "numbered"
PROBLEM = ("problem", "question")
FEWEST = 2  # steps that a solution has at least
_STEP = re.compile(r"^(\d+)\.\s+(?=\*\*\S)", re.MULTILINE)


def recognises(value: object) -> bool:
    """Whether a record is a problem with a solution text."""
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("solution"), str)
        and any(isinstance(value.get(key), str) for key in PROBLEM)
        and not any(key in value for key in ("messages", "turns", "steps", "patch"))
    )


def convert(row: Mapping[str, Any], label: str) -> Trajectory:
    """The trajectory of one record.

    Raises:
        TrajectoryError: the solution is not written in at least two numbered steps with titles.
    """
    steps = split_steps(row["solution"])
    if len(steps) < FEWEST:
        raise TrajectoryError("the solution has no numbered steps with titles")
    name = label if row.get("id") is None else str(row["id"])
    return Trajectory(
        trajectory_id=name if name == label else f"{label}.{name}",
        task_id=name,
        turns=tuple(Turn(Action(step)) for step in steps),
        problem_statement=string(row, *PROBLEM),
        source_format=NAME,
    )


def split_steps(solution: str) -> list[str]:
    """The texts of the numbered steps, without their numbers.

    A number counts when it is the next one: lists inside a step do not end it.

    >>> split_steps("Let us see.\\n1. **Count.** There are\\n1. two\\n\\n2. **Add:** So \\\\boxed{4}.")
    ['**Count.** There are\\n1. two', '**Add:** So \\\\boxed{4}.']
    """
    starts: list[tuple[int, int]] = []
    for found in _STEP.finditer(solution):
        if int(found[1]) == len(starts) + 1:
            starts.append((found.start(), found.end()))
    ends = [*(start for start, _ in starts[1:]), len(solution)]
    return [solution[begin:end].strip() for (_, begin), end in zip(starts, ends, strict=False)]
