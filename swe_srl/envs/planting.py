"""Planting a task's bug in a fresh sandbox of its image."""

from __future__ import annotations

import secrets
import shlex

from swe_srl.errors import SandboxError
from swe_srl.protocols import Sandbox
from swe_srl.tasks.planting import PLANT, withheld_list
from swe_srl.types import Task

SECONDS = 300.0


def plant(sandbox: Sandbox, task: Task, workdir: str) -> None:
    """Commit the task's bug to the repository at `workdir`, and then take the files of its FAIL_TO_PASS tests away.

    Raises:
        SandboxError: the sandbox failed, or the row's patch does not fit the image.
    """
    here = f"/tmp/.planting-{secrets.token_hex(8)}"
    sandbox.write_file(f"{here}/setup.diff", task.setup_patch.encode(errors="surrogateescape"))
    sandbox.write_file(f"{here}/withheld", withheld_list(task).encode(errors="surrogateescape"))
    planted = f"cd {shlex.quote(workdir)} && plant {here}/setup.diff {here}/withheld / age"
    steps = f"{PLANT}\n{planted}; code=$?; rm -rf {here}; exit $code"
    done = sandbox.run(f"bash -p -c {shlex.quote(steps)}", SECONDS)
    if done.exit_code != 0:
        raise SandboxError(
            f"{task.instance_id}: its bug cannot be planted in the image {task.image}: {done.output.strip()[-500:]}"
        )
