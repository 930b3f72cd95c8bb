"""What keeps a task from being worked on and graded on this machine."""

from __future__ import annotations

from collections.abc import Iterable

from swe_srl.errors import GradingError, SandboxUnavailableError, TaskError
from swe_srl.grading.answers import check_answers
from swe_srl.grading.cache import find_image
from swe_srl.grading.harness import log_parser, script_lines
from swe_srl.grading.runner import GradingSettings
from swe_srl.sandboxes import capabilities
from swe_srl.sandboxes.image_roots import find_root
from swe_srl.sandboxes.repository import prepare_repository
from swe_srl.tasks.problems import answer_of, is_problem
from swe_srl.tasks.scripts import scripted
from swe_srl.tasks.surroundings import surroundings
from swe_srl.types import Task


def obstacle(task: Task, settings: GradingSettings, pull: bool = False) -> str:
    """Why a task cannot be run here, or "". An image that is built here is no obstacle, nor, with `pull`, a missing one.

    A problem with an answer only needs what compares answers.
    """
    if is_problem(task):
        return _no_comparison(task)
    try:
        scripted(task)
        script_lines(task)
        log_parser(task)
        if task.source and (not task.image or settings.sandbox == "local"):
            prepare_repository(task.source, task.setup_patch)
            return _unshown(task, settings.sandbox)
    except TaskError as error:
        return str(error) if task.instance_id in str(error) else f"{task.instance_id}: {error}"
    if not task.image:
        return f"{task.instance_id}: the row has neither an image nor a source: there is nothing to run in"
    local = settings.sandbox == "local"  # its root file system may be unpacked already; nothing is pulled for it
    if task.image_source or (find_root(task.image) if local else pull):
        return ""
    found, trouble = find_image(task.image)
    if found:
        return ""
    if local:
        return (
            f"{task.instance_id}: the image {task.image} is neither unpacked nor known to a Docker engine here: docker pull "
            f"{task.image}, or swe-srl images unpack {task.image} --archive FILE"
        )
    if trouble:
        return f"{task.instance_id}: whether its image {task.image} is here is not known: {trouble}"
    return f"{task.instance_id}: the image {task.image} is not on this machine: docker pull {task.image}, or --pull"


def _no_comparison(task: Task) -> str:
    """Why the answer of a problem cannot be compared, or ""."""
    if not answer_of(task):
        return (
            f"{task.instance_id}: its row tells no answer, neither as `answer` nor in the last \\boxed{{}} of its `solution`: "
            "there is nothing to compare with"
        )
    try:
        check_answers()
    except GradingError as error:
        return str(error)
    return ""


def _unshown(task: Task, sandbox: str) -> str:
    """Why what stands beside the repository cannot be shown in this sandbox, or "".

    Raises:
        TaskError: it is not where the row says.
    """
    if not surroundings(task).shown or sandbox != "docker":
        return ""
    return (
        f"{task.instance_id}: its column `packages` is a folder of this machine, which a container does not show: use the local "
        f"sandbox (--sandbox local, or auto)"
    )


def check_sandboxes(tasks: Iterable[Task], sandbox: str) -> None:
    """Check that this machine has the sandboxes that these tasks run in; problems with an answer run in none.

    Args:
        sandbox: "local", "docker" or "auto".

    Raises:
        SandboxUnavailableError: it has not; the message says what to do.
    """
    asked = [task for task in tasks if not is_problem(task)]
    docker = {sandbox == "docker" or (sandbox == "auto" and bool(task.image)) for task in asked}
    wanted = {"docker engine" if container else "local sandbox" for container in docker}
    for capability in capabilities(docker=True in docker) if wanted else ():
        if capability.name in wanted and not capability.available:
            raise SandboxUnavailableError(f"{capability.name}: {capability.detail}; {capability.remedy}")
