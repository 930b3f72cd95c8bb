"""From a task to the running sandbox its episode starts in."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace

from swe_srl.envs.definition import EnvironmentDefinition
from swe_srl.envs.image_places import Place, unpacked_place
from swe_srl.envs.patch import take_patch, untracked_files
from swe_srl.envs.planting import plant
from swe_srl.envs.pool import PlaceKey, WarmPool, join_pool, leave_pool
from swe_srl.envs.spaces import MAX_OUTPUT_BYTES
from swe_srl.errors import SandboxError, TaskError
from swe_srl.protocols import Sandbox
from swe_srl.sandboxes import make_sandbox
from swe_srl.sandboxes.repository import PreparedRepository, prepare_repository, strip_history_script
from swe_srl.tasks.planting import is_planted, withheld_list
from swe_srl.tasks.surroundings import surroundings
from swe_srl.types import SandboxSpec, Task

STRIP_SECONDS = 600.0


@dataclass
class PlaceMaker:
    """Makes the places of an environment's episodes; remembers prepared repositories.

    Args:
        kind: "local", "docker" or "auto". A task with an image and a source uses its image, unless `kind` is "local".
    """

    definition: EnvironmentDefinition
    kind: str

    def __post_init__(self) -> None:
        self._prepared: dict[tuple[str, str], PreparedRepository] = {}
        self._pool: WarmPool | None = None
        self._user = object()  # of the pool
        self._leaving: list[Place] = []  # not closed yet: an interrupt may come, or the engine be away

    def make(self, task: Task) -> Place:
        """A fresh sandbox with the task's repository at the workdir: out of the pool, when the definition has one.

        Raises:
            TaskError: the task has neither an image nor a source, or its source cannot be prepared.
            SandboxError: the sandbox did not start, or holds no git repository at the workdir.
        """
        if not self.definition.pool_size:
            return self._make(task)
        pool = self._own_pool()
        if pool is None:
            pool = self._pool = join_pool(self.definition, self.kind, self._user)
        around = surroundings(task) if task.source else withheld_list(task) if is_planted(task) else None
        key = PlaceKey(task.image, task.source, task.setup_patch, around)
        return pool.take(key, lambda: self._make(task))

    def leave(self, place: Place | None) -> None:
        """A place (if there is one) that is used no more: `replace` or `dispose` closes it, or `close`."""
        if place is not None:
            self._leaving.append(place)

    def replace(self, task: Task) -> Place:
        """A fresh place; without a pool, those that were left are closed first."""
        if self._own_pool() is None:
            self._let_go(_close)
        return self.make(task)

    def dispose(self) -> None:
        """Have the pool's thread close what was left, when there is a pool."""
        if pool := self._own_pool():
            self._let_go(pool.dispose)

    def fill_pool(self, seconds: float) -> int:
        """Wait until the pool is full; how many places are ready (0 without a pool)."""
        pool = self._own_pool()
        return pool.wait(seconds) if pool else 0

    def close(self) -> None:
        """Close the places that were left; leave the pool: the last environment of the process that uses it closes it.
        Idempotent; from any thread."""
        try:
            self._let_go(_close)
        finally:
            leave_pool(self.definition, self.kind, self._user)
            self._pool = None

    def _let_go(self, close: Callable[[Place], None]) -> None:
        """Close what was left. One that was interrupted, or that failed, may be repeated."""
        for place in list(self._leaving):
            close(place)
            with contextlib.suppress(ValueError):  # another thread has closed it
                self._leaving.remove(place)

    def _own_pool(self) -> WarmPool | None:
        """The pool that was joined, unless that was done by a process that has forked this one."""
        return self._pool if self._pool is not None and self._pool.is_own() else None

    def _make(self, task: Task) -> Place:
        if task.image and not (self.kind == "local" and task.source):
            return self._from_image(task)
        if not task.source:
            raise TaskError(
                f"{task.instance_id}: the row has neither an image nor a source: there is nothing to work in"
            )
        key = task.source, task.setup_patch
        if key not in self._prepared or not self._prepared[key].path.is_dir():
            self._prepared[key] = prepare_repository(task.source, task.setup_patch)
        prepared = self._prepared[key]
        beside = surroundings(task)
        spec = self._spec(repository=str(prepared.path))
        spec = replace(spec, env=(*beside.variables, *spec.env), shown=beside.shown)
        return Place(make_sandbox(self.kind, spec), prepared.base_commit)

    def _from_image(self, task: Task) -> Place:
        spec = self._spec(image=task.image)
        if self.kind == "local" and not is_planted(task):
            return unpacked_place(spec, self._strip_script(), lambda sandbox: self._prepared_place(task, sandbox))
        sandbox = make_sandbox(self.kind, spec)
        try:
            return self._prepared_place(task, sandbox)
        except BaseException:
            sandbox.close()
            raise

    def _prepared_place(self, task: Task, sandbox: Sandbox) -> Place:
        """The place in a fresh sandbox of an image: its repository's history is stripped when the definition says so."""
        if is_planted(task):
            plant(sandbox, task, self.definition.workdir)
        workdir = shlex.quote(self.definition.workdir)
        script = self._strip_script() or f"git -C {workdir} rev-parse --verify HEAD"
        done = sandbox.run(f"bash -p -c {shlex.quote(script)}", STRIP_SECONDS)
        if done.exit_code != 0 or not done.output.strip():
            raise SandboxError(
                f"{task.instance_id}: image {task.image} has no usable git repository at {self.definition.workdir}: "
                f"{done.output.strip()[-500:]}"
            )
        commit = done.output.strip().splitlines()[-1]
        untracked = untracked_files(sandbox, self.definition.workdir)
        return Place(sandbox, commit, untracked, take_patch(sandbox, self.definition.workdir, commit, untracked))

    def _strip_script(self) -> str:
        return strip_history_script(self.definition.workdir) if self.definition.strip_history else ""

    def _spec(self, image: str = "", repository: str = "") -> SandboxSpec:
        definition, limits = self.definition, self.definition.limits
        if not 0 < limits.output_bytes <= MAX_OUTPUT_BYTES:
            limits = replace(limits, output_bytes=MAX_OUTPUT_BYTES)
        return SandboxSpec(
            image=image,
            repository=repository,
            workdir=definition.workdir,
            user=definition.user,
            network=definition.network,
            limits=limits,
            env=definition.variables,
        )


def _close(place: Place) -> None:
    place.sandbox.close()
