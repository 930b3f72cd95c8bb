"""What keeps a task from being worked on and graded on this machine."""

from __future__ import annotations

from swe_srl.errors import TaskError
from swe_srl.grading.cache import image_id
from swe_srl.grading.harness import log_parser, script_lines
from swe_srl.grading.runner import GradingSettings
from swe_srl.sandboxes.repository import prepare_repository
from swe_srl.types import Task


def obstacle(task: Task, settings: GradingSettings) -> str:
    """Why a task cannot be run here, or ""."""
    try:
        script_lines(task)
        log_parser(task)
        if task.source and (not task.image or settings.sandbox == "local"):
            prepare_repository(task.source, task.setup_patch)
            return ""
    except TaskError as error:
        return str(error) if task.instance_id in str(error) else f"{task.instance_id}: {error}"
    if not task.image:
        return f"{task.instance_id}: the row has neither an image nor a source: there is nothing to run in"
    if settings.sandbox == "local":
        return f"{task.instance_id}: the row has an image and no source, which needs --sandbox docker"
    if image_id(task.image):
        return ""
    return (
        f"{task.instance_id}: the image {task.image} is not on this machine, or no Docker engine answers: "
        f"docker pull {task.image}"
    )
