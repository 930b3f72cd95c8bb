"""What runs on a node of the cluster: one process that works on episodes and grades patches with the node's own sandboxes."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any
from weakref import WeakSet

from swe_srl.agents import AgentDefinition, EpisodeJob, run_episodes
from swe_srl.envs.definition import EnvironmentDefinition
from swe_srl.errors import ConfigError, GradingError, SandboxError, SweSrlError, TaskError
from swe_srl.evaluation.cluster.batching import Together
from swe_srl.evaluation.holding import HoldingEnv, environments, image_of
from swe_srl.evaluation.policies import key_variable, make_policy, model_path
from swe_srl.evaluation.running import grading_settings, image_store
from swe_srl.evaluation.selection import obstacles
from swe_srl.evaluation.settings import EvalSettings
from swe_srl.grading import OpenSandboxes, VerdictCache, check_sandboxes, grade
from swe_srl.progress import SilentProgress
from swe_srl.protocols import Policy
from swe_srl.provenance import fingerprint
from swe_srl.types import Task, TestRun, Verdict, VerdictStatus

log = logging.getLogger(__name__)
_LOOK = 0.2  # seconds between looks at what is still being ended


@dataclass(frozen=True, slots=True)
class Plan:
    """What a node is told of the run.

    Args:
        settings: of the run; paths in them are absolute.
        agent: shows tasks to the policy.
        definitions: the environment definitions by name or path, as they are where the run was started.
        model: fingerprint of the model's folder; "" for none.
        key_variable: environment variable that holds an endpoint's key; "" for none.
        folder: where the run was started: paths in task rows are relative to it, as far as a node has it.
    """

    settings: EvalSettings
    agent: AgentDefinition
    definitions: Mapping[str, EnvironmentDefinition]
    model: str = ""
    key_variable: str = ""
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a node found out about itself: why it cannot take part, if so, and why it cannot run some of the tasks."""

    problem: str = ""
    unavailable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """How a piece of work ended.

    Args:
        value: an `Episode`, or a `Verdict` with its `TestRun`s; None when there is none.
        failed: why the infrastructure kept it from a result, or "".
        error: what ends the whole run, or None.
        notes: for the user, since the last reply.
    """

    value: Any = None
    failed: str = ""
    error: SweSrlError | None = None
    notes: tuple[str, ...] = ()


class Notes(SilentProgress):
    """Keeps what is told until it is passed on."""

    def __init__(self) -> None:
        self._kept: SimpleQueue[str] = SimpleQueue()

    def note(self, text: str) -> None:
        """Keep it."""
        self._kept.put(text)

    def taken(self) -> tuple[str, ...]:
        """What was kept, and is no more."""
        found: list[str] = []
        with suppress(Empty):
            while True:
                found.append(self._kept.get_nowait())
        return tuple(found)


class Node:
    """Works for the run that started it; its methods are called from several threads.

    Args:
        plan: of the run.
    """

    def __init__(self, plan: Plan) -> None:
        if Path(plan.folder).is_dir():
            os.chdir(plan.folder)
        self._plan, self._settings = plan, plan.settings
        self._lock = threading.Lock()
        self._envs: WeakSet[HoldingEnv] = WeakSet()
        self._working = 0
        self._no_episodes, self._stopped = threading.Event(), threading.Event()
        self._policy: Policy | None = None
        self._kept = ExitStack()
        self._open = OpenSandboxes()
        self._notes = Notes()
        self._store = image_store(self._settings, self._notes)
        self._grading = replace(grading_settings(self._settings), open=self._open)
        self._make = environments(self._settings, plan.agent, self._store)

    def is_here(self) -> bool:
        """Whether the process has started."""
        return True

    def examine(self, tasks: Sequence[Task]) -> Findings:
        """Look at what the run needs of this node, and remove what killed runs left on it."""
        from swe_srl.sandboxes import sweep

        try:
            sweep()
            self._check_inputs()
            unavailable = obstacles(tasks, self._grading, self._settings.pull)
            left = [task for task in tasks if task.instance_id not in unavailable]
            check_sandboxes(left or tasks, self._settings.sandbox)
        except (SweSrlError, OSError) as error:
            return Findings(str(error))
        return Findings(unavailable=unavailable)

    def load(self, policy: Policy | None, together: bool) -> Reply:
        """Get ready to act.

        Args:
            policy: who acts; None: the one that the settings name.
            together: whether it is asked by one thread at a time, for all episodes that wait.
        """
        from swe_srl.envs.pool import pools_kept

        try:
            made = policy if policy is not None else make_policy(self._settings, self._plan.agent, ())
        except SweSrlError as error:
            return Reply(error=error)
        self._policy = Together(made) if together else made
        self._kept.enter_context(pools_kept())
        return Reply()

    def episode(self, job: EpisodeJob) -> Reply:
        """Work on one episode."""
        policy = self._policy
        assert policy is not None  # `load` comes first
        with self._at_work(), policy.episode() if isinstance(policy, Together) else nullcontext():
            try:
                (episode,) = run_episodes([job], policy, self._environment, self._plan.agent, self._settings.seed, 1, 0)
            except SweSrlError as error:
                return self._reply(error=error)
        return self._reply(episode, episode.error)

    def grade(self, task: Task, patch: str) -> Reply:
        """Grade one patch; the value is the verdict and what its gradings left behind."""
        cache = VerdictCache(self._settings.cache) if self._settings.cache else None
        runs: list[TestRun] = []
        with self._at_work():
            try:
                with self._store.holding(image_of(task, self._settings.sandbox), self._stopped, task.image_source):
                    verdict = grade(task, patch, self._grading, cache, runs.append, retries=0)
            except (TaskError, GradingError, SandboxError) as error:
                verdict = Verdict(task.instance_id, VerdictStatus.INFRASTRUCTURE, False, False, str(error))
        failed = verdict.reason if verdict.status is VerdictStatus.INFRASTRUCTURE else ""
        return self._reply((verdict, tuple(runs)), failed)

    def stop_episodes(self) -> None:
        """End the episodes in progress: their sandboxes are closed."""
        self._no_episodes.set()
        with self._lock:
            envs = list(self._envs)
        for env in envs:
            try:
                env.close()
            except SandboxError as error:
                log.warning("a sandbox could not be closed and is left to be swept: %s", error)

    def stop(self, seconds: float) -> bool:
        """End everything in progress; whether it ended within so many seconds."""
        self._stopped.set()
        self._open.end()
        deadline = time.monotonic() + seconds
        while True:
            self.stop_episodes()  # again: an environment may just have been starting
            with self._lock:
                if not self._working:
                    break
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK)
        self._kept.close()
        return True

    def _check_inputs(self) -> None:
        for name, there in self._plan.definitions.items():
            if EnvironmentDefinition.load(name) != there:
                raise ConfigError(f"the environment definition {name} is another one here: copy the file")
        if self._plan.key_variable and key_variable(self._settings) != self._plan.key_variable:
            raise ConfigError(
                f"the environment variable {self._plan.key_variable} is not set in Ray's processes: it must hold the endpoint's "
                f"key (set it before `ray start`)"
            )
        if self._plan.model:
            folder = model_path(self._settings.policy)
            if not Path(folder).is_dir():
                raise ConfigError(f"there is no model folder {folder}: copy it, or use a shared file system")
            if fingerprint(folder) != self._plan.model:
                raise ConfigError(f"the model in {folder} is another one here: copy it again")

    def _environment(self, task: Task) -> HoldingEnv:
        env = self._make(task)
        with self._lock:
            if self._no_episodes.is_set():
                raise SandboxError("the run was interrupted")
            self._envs.add(env)
        return env

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        with self._lock:
            self._working += 1
        try:
            yield
        finally:
            with self._lock:
                self._working -= 1

    def _reply(self, value: Any = None, failed: str = "", error: SweSrlError | None = None) -> Reply:
        return Reply(value, failed, error, self._notes.taken())
