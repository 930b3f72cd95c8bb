"""Environments whose container image is there as long as they live."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from swe_srl.agents import AgentDefinition
from swe_srl.agents.episode import EpisodeEnv
from swe_srl.evaluation.settings import EvalSettings
from swe_srl.evaluation.store import ImageStore
from swe_srl.sandboxes.image_roots import find_root
from swe_srl.types import Task


class HoldingEnv:
    """An environment that gets its image when it is reset, and gives it back when it is closed.

    Args:
        env: the environment.
        store: where the image comes from.
        image: its name; "" for none.
        dockerfile: what it is built from; "" for an image that is pulled.
    """

    def __init__(self, env: EpisodeEnv, store: ImageStore, image: str, dockerfile: str = "") -> None:
        self._env = env
        self._store = store
        self._image = image
        self._dockerfile = dockerfile
        self._held = ExitStack()
        self._closed = threading.Event()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Wait for the image, then start an episode.

        Raises:
            SandboxError: there is no image, or the sandbox did not start; or it was closed meanwhile.
        """
        self._held.enter_context(self._store.holding(self._image, self._closed, self._dockerfile))
        try:
            return self._env.reset(seed=seed, options=options)
        except BaseException:
            self._held.close()
            raise

    def step(self, action: str) -> tuple[str, Any, bool, bool, dict[str, Any]]:
        """Run a command."""
        return self._env.step(action)

    def patch(self) -> str:
        """The agent's changes."""
        return self._env.patch()

    def close(self) -> None:
        """Free the sandbox and the image, also while `reset` still waits in another thread. Idempotent."""
        self._closed.set()
        try:
            self._env.close()
        finally:
            self._held.close()


def environments(settings: EvalSettings, agent: AgentDefinition, store: ImageStore) -> Callable[[Task], HoldingEnv]:
    """What makes the environment of an episode.

    Args:
        settings: name the environment definition and the sandbox.
        agent: says what is shown, and its limit on turns counts.
        store: gives out the images.
    """
    from swe_srl.agents.showing import showing
    from swe_srl.envs import SweEnv

    def make(task: Task) -> HoldingEnv:
        env = SweEnv(
            tasks=[task],
            definition=settings.environment_name(task),
            sandbox=settings.sandbox,
            max_turns=agent.max_turns,
        )
        return HoldingEnv(showing(env, agent), store, image_of(task, settings.sandbox), task.image_source)

    return make


def image_of(task: Task, sandbox: str) -> str:
    """The image that has to be at the engine for a task's sandboxes; "" for none."""
    if sandbox != "local":
        return task.image
    unpacks = task.image_source and not task.source and find_root(task.image) is None
    return task.image if unpacks else ""
