"""Which tasks an evaluation is about, and which of them can be run here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from swe_srl.errors import ConfigError, SweSrlError, TaskError, suggest
from swe_srl.evaluation.images import recipe_names
from swe_srl.evaluation.settings import EvalSettings
from swe_srl.grading import GradingSettings
from swe_srl.grading.cache import image_id
from swe_srl.grading.harness import log_parser, script_lines
from swe_srl.sandboxes.repository import prepare_repository
from swe_srl.tasks import load_tasks
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
    """The tasks that the settings name, in the order of their source.

    Raises:
        TaskError: the source cannot be read.
        ConfigError: an instance that is not there (the nearest is suggested), or no task is left.
    """
    ids = _listed_ids(settings.tasks)
    source = settings.tasks if settings.tasks and ids is None else settings.split
    tasks = load_tasks(source, revision=settings.revision if source == settings.split else "")
    known = {task.instance_id for task in tasks}
    for name in (*settings.instances, *(ids or ())):
        if name not in known:
            raise ConfigError(f"{source}: {suggest(name, known, 'instance')[:2000]}")
    if ids is not None:
        tasks = [task for task in tasks if task.instance_id in ids]
    if settings.instances:
        tasks = [task for task in tasks if task.instance_id in settings.instances]
    if settings.filter:
        tasks = [task for task in tasks if re.search(settings.filter, task.instance_id)]
    tasks = tasks[: settings.limit or None]
    if not tasks:
        raise ConfigError(f"no task of {source} is left by --instances, --filter and --tasks")
    return tasks


def check_tasks(tasks: Sequence[Task], settings: GradingSettings) -> Selection:
    """Sort out the tasks that cannot be run here, each with the reason.

    Raises:
        ConfigError: there is no task.
        SweSrlError: none of them can be run.
    """
    if not tasks:
        raise ConfigError("there is no task to run")
    unavailable: dict[str, str] = {}
    for task in tasks:
        reason = _obstacle(task, settings)
        if reason:
            unavailable[task.instance_id] = reason
    left = tuple(task for task in tasks if task.instance_id not in unavailable)
    if not left:
        first = next(iter(unavailable.values()))
        raise SweSrlError(f"none of the {len(tasks)} tasks can be run here. The first reason: {first}")
    return Selection(left, unavailable)


def _obstacle(task: Task, settings: GradingSettings) -> str:
    try:
        script_lines(task)
        log_parser(task)
    except TaskError as error:
        return str(error)
    if task.source and (not task.image or settings.sandbox == "local"):
        try:
            prepare_repository(task.source, task.setup_patch)
        except TaskError as error:
            return f"{task.instance_id}: {error}"
        return ""
    if not task.image:
        return f"{task.instance_id}: the row has neither an image nor a source: there is nothing to run in"
    if settings.sandbox == "local":
        return f"{task.instance_id}: the row has an image and no source, which needs --sandbox docker"
    if image_id(task.image):
        return ""
    made = f", or make it with docker/make-swebench-images.sh ({task.instance_id} has a recipe)"
    return (
        f"{task.instance_id}: the image {task.image} is not on this machine, or no Docker engine answers: "
        f"docker pull {task.image}{made if task.instance_id in recipe_names() else ''}"
    )


def _listed_ids(path: str) -> frozenset[str] | None:
    """The instance ids of a .txt file, one a line; None for any other file."""
    if not path.endswith(".txt"):
        return None
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(f"tasks: {path} cannot be read: {error.strerror}") from error
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))
