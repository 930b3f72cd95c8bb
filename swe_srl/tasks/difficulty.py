"""How hard tasks are said to be, and choosing tasks by it.

A row's column `difficulty` says it: Verified has one (how long a fix would take people), and `swe-srl tasks synthesise` writes
one (see `swe_srl.tasks.synthesis.difficulty`). Of the bundled tasks it stands in a file beside the rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

from swe_srl.errors import TaskError, suggest
from swe_srl.types import Task

LEVELS = ("easy", "medium", "hard")  # of synthesised tasks
BUNDLED_FILE = "difficulty.json"
BUNDLED_SOURCE = "packaged:quickstart/"


def difficulty_of(task: Task) -> str:
    """What the task's row says, or what is bundled for it; "" when nothing does.

    >>> from swe_srl.tasks import load_tasks
    >>> difficulty_of(load_tasks("quickstart-test")[0])
    'hard'
    """
    said = json.loads(task.extra).get("difficulty")
    if not said and task.source.startswith(BUNDLED_SOURCE):
        said = bundled().get(task.instance_id, {}).get("difficulty")
    return str(said or "")


@lru_cache(maxsize=1)
def bundled() -> Mapping[str, Mapping[str, Any]]:
    """What was measured of the bundled tasks, by instance (see `swe_srl.tasks.synthesis.difficulty.measured`)."""
    file = resources.files("swe_srl") / "data" / "quickstart" / BUNDLED_FILE
    found: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return found


def of_difficulty(tasks: Iterable[Task], wanted: Sequence[str], source: str) -> list[Task]:
    """The tasks of these difficulties, all when none is named, in their order.

    Args:
        tasks: to choose from.
        wanted: difficulties, as the tasks' rows write them.
        source: where the tasks are from, for messages.

    Raises:
        TaskError: no task says how hard it is, or none is of a difficulty that is wanted; the nearest is suggested.
    """
    tasks = list(tasks)
    if not wanted:
        return tasks
    known = {difficulty_of(task) for task in tasks} - {""}
    if not known:
        raise TaskError(f"difficulty: the tasks of {source} do not say how hard they are (no column `difficulty`)")
    for one in wanted:
        if one not in known:
            raise TaskError(f"difficulty: {source}: {suggest(one, known, 'difficulty')}")
    return [task for task in tasks if difficulty_of(task) in wanted]
