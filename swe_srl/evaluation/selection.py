"""Which tasks an evaluation is about, and which of them can be run here."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from swe_srl.errors import ConfigError, SweSrlError, TaskError
from swe_srl.evaluation.images import recipe_names
from swe_srl.evaluation.settings import EvalSettings, parse_shard
from swe_srl.grading import GradingSettings, obstacle
from swe_srl.tasks import load_tasks
from swe_srl.tasks.difficulty import of_difficulty
from swe_srl.tasks.images import with_image
from swe_srl.tasks.naming import chosen_ids, expanded, listed_ids, unknown_task
from swe_srl.tasks.problems import is_problem, load_problems
from swe_srl.tasks.scripts import with_script
from swe_srl.tasks.sources import BUNDLED, HUB_SETS
from swe_srl.types import Task


@dataclass(frozen=True, slots=True)
class Selection:
    """The tasks of a run.

    Args:
        tasks: those that can be run here.
        unavailable: why each of the others cannot, by instance.
    """

    tasks: tuple[Task, ...]
    unavailable: dict[str, str]


def select_tasks(settings: EvalSettings) -> list[Task]:
    """The tasks that the settings name, in the order of their source: by `instances`, `difficulty`, `filter`, `exclude`, `limit`,
    then `shard`.

    Raises:
        TaskError: the source cannot be read, or has no task of a difficulty that is wanted.
        ConfigError: an instance that is not there (the set that holds it, or the nearest, is suggested), or no task is left.
    """
    ids = listed_ids(settings.tasks)
    source = settings.tasks if settings.tasks and ids is None else settings.split
    if settings.asks_problems:
        tasks = _problems(settings, settings.tasks if ids is None else "")
    else:
        tasks = load_tasks(source, revision=settings.revision)
        if any(map(is_problem, tasks)):
            raise ConfigError(
                f"{source}: its rows are problems with an answer: name the set as the split, and the file as --tasks, as in "
                f"--split math500 --tasks FILE"
            )
    if not tasks:
        raise ConfigError(f"{source}: there is no task in it")
    known, named = {task.instance_id for task in tasks}, chosen_ids(settings.instances)
    for name in (*named, *(ids or ())):
        if name not in known:
            raise ConfigError(unknown_task(name, known, source))
    if ids is not None:
        tasks = [task for task in tasks if task.instance_id in ids]
    if named:
        tasks = [task for task in tasks if task.instance_id in named]
    tasks = of_difficulty(tasks, settings.difficulty, source)
    if settings.filter:
        tasks = [task for task in tasks if re.search(settings.filter, task.instance_id)]
    gone = excluded_ids(settings)
    for name in gone:
        if name not in known:
            raise ConfigError(f"exclude: {unknown_task(name, known, source)}")
    tasks = [task for task in tasks if task.instance_id not in gone][: settings.limit or None]
    if not tasks:
        raise ConfigError(f"no task of {source} is left by --instances, --difficulty, --filter, --exclude and --tasks")
    part = part_of(tasks, settings.shard)
    if not part:
        raise ConfigError(f"shard {settings.shard} is empty: there are only {len(tasks)} tasks")
    return [with_script(with_image(task, settings.images)) for task in part]


def _problems(settings: EvalSettings, file: str) -> list[Task]:
    try:
        return load_problems(settings.split, file, settings.revision)
    except TaskError as error:
        reason, without_hub, _ = str(error).partition(" Without the hub, ")
        if not without_hub:
            raise
        raise TaskError(f"{reason} Without the hub, give a file of its rows: --tasks FILE") from error


def rows_fingerprint(tasks: Sequence[Task]) -> str:
    """Of the tasks' rows, whatever their order. Where a Dockerfile lies does not count, the image that it makes does."""
    rows = [replace(task, image_source="").row() for task in sorted(tasks, key=lambda task: task.instance_id)]
    return f"sha256:{hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()}"


def is_unpinned(settings: EvalSettings) -> bool:
    """Whether the tasks are the newest ones of a data set on the hub: at the next start they may be others."""
    local = settings.tasks and not settings.tasks.endswith(".txt")
    return not (local or settings.revision or settings.split in (*HUB_SETS, *BUNDLED) or Path(settings.split).exists())


def part_of(tasks: Sequence[Task], shard: str) -> list[Task]:
    """One part of the tasks, in their order.

    Tasks are dealt out in the order of a hash of their ids: parts differ in size by one at most, mix the repositories, and
    do not depend on the order of the rows.
    """
    index, count = parse_shard(shard)
    dealt = sorted(tasks, key=lambda task: hashlib.sha256(task.instance_id.encode()).hexdigest())
    mine = {task.instance_id for task in dealt[index - 1 :: count]}
    return [task for task in tasks if task.instance_id in mine]


def excluded_ids(settings: EvalSettings) -> tuple[str, ...]:
    """The instances that are left out by name, sorted.

    Raises:
        ConfigError: a file of them cannot be read.
    """
    return tuple(sorted(expanded(settings.exclude)))


def check_tasks(tasks: Sequence[Task], settings: GradingSettings, pull: bool = False) -> Selection:
    """Sort out the tasks that cannot be run here, each with the reason. With `pull`, a missing image is no reason.

    Raises:
        ConfigError: there is no task.
        SweSrlError: none of them can be run.
    """
    if not tasks:
        raise ConfigError("there is no task to run")
    unavailable = obstacles(tasks, settings, pull)
    left = tuple(task for task in tasks if task.instance_id not in unavailable)
    if not left:
        first = next(iter(unavailable.values()))
        raise SweSrlError(f"none of the {len(tasks)} tasks can be run here. The first reason: {first}")
    return Selection(left, unavailable)


def obstacles(tasks: Sequence[Task], settings: GradingSettings, pull: bool = False) -> dict[str, str]:
    """Why tasks cannot be run on this machine, by instance; those that can are left out."""
    reasons = {task.instance_id: _reason(task, settings, pull) for task in tasks}
    return {name: reason for name, reason in reasons.items() if reason}


def _reason(task: Task, settings: GradingSettings, pull: bool) -> str:
    """Why a task cannot be run here, with the way to make its image where the project knows one; or ""."""
    reason = obstacle(task, settings, pull)
    if reason and task.instance_id in recipe_names():
        return f"{reason}, or make it with docker/make-swebench-images.sh ({task.instance_id} has a recipe)"
    return reason
