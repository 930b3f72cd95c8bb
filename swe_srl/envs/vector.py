"""Many environments side by side."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, SupportsFloat

import gymnasium
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from swe_srl.envs.environment import SweEnv, check_action
from swe_srl.errors import ConfigError, SandboxError, suggest

MODES = ("threads", "sync", "async")
DYING_SECONDS = 1.0  # for a process whose pipe is closed already
Step = tuple[str, SupportsFloat, bool, bool, dict[str, Any]]


class _Ahead(gymnasium.Wrapper[str, str, str, str]):
    """Hands out results that were started ahead, in a thread."""

    def __init__(self, env: gymnasium.Env[str, str]) -> None:
        super().__init__(env)
        self.stepping: Future[Step] | None = None
        self.resetting: Future[tuple[str, dict[str, Any]]] | None = None

    def step(self, action: str) -> Step:
        future, self.stepping = self.stepping, None
        return future.result() if future else self.env.step(action)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        future, self.resetting = self.resetting, None
        return future.result() if future else self.env.reset(seed=seed, options=options)


class _Member(gymnasium.Wrapper[str, str, str, str]):
    """One of several environments: of an option that is a list, it takes its own."""

    def __init__(self, env: gymnasium.Env[str, str], index: int, count: int) -> None:
        super().__init__(env)
        self._index, self._count = index, count

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        options = dict(options or {})
        task = options.get("task")
        if isinstance(task, Sequence) and not isinstance(task, str):
            if len(task) != self._count:
                raise ConfigError(f"options: task lists {len(task)} ids for {self._count} environments: {task!r}")
            options["task"] = task[self._index]
        return self.env.reset(seed=seed, options=options)


class ThreadedVectorEnv(SyncVectorEnv):
    """A `SyncVectorEnv` whose environments reset and step in threads: a command's time passes in its sandbox.

    Faster than processes for environments like `SweEnv`, which do little themselves. Takes the arguments of `SyncVectorEnv`.
    """

    def __init__(self, env_fns: Sequence[Callable[[], gymnasium.Env[str, str]]], **arguments: Any) -> None:
        super().__init__([lambda make=make: _Ahead(make()) for make in env_fns], **arguments)  # type: ignore[misc]
        self._threads = ThreadPoolExecutor(max_workers=len(env_fns), thread_name_prefix="vector-env")

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset all environments at once; see `SyncVectorEnv.reset`.

        Raises:
            gymnasium.error.ClosedEnvironmentError: it is closed.
        """
        self._check_open()
        if options is None or "reset_mask" not in options:
            seeds = (
                seed if isinstance(seed, list) else [None if seed is None else seed + i for i in range(self.num_envs)]
            )
            for env, one in list(zip(self.envs, seeds, strict=True)):
                env.resetting = self._threads.submit(env.env.reset, seed=one, options=options)  # type: ignore[attr-defined]
        with self._together():
            return super().reset(seed=seed, options=options)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step all environments at once; see `SyncVectorEnv.step`.

        Raises:
            ConfigError: not one action for each environment, or one that is no text: no environment has stepped then.
            gymnasium.error.ClosedEnvironmentError: it is closed.
        """
        self._check_open()
        if isinstance(actions, str) or len(actions) != self.num_envs:
            raise ConfigError(f"{self.num_envs} environments take a list of {self.num_envs} commands, not {actions!r}")
        for index, action in enumerate(actions):
            check_action(action, f" (environment {index} of {self.num_envs})")
        for env, action, ended in list(zip(self.envs, actions, self._autoreset_envs, strict=True)):
            if ended and self.autoreset_mode is AutoresetMode.NEXT_STEP:
                env.resetting = self._threads.submit(env.env.reset)  # type: ignore[attr-defined]
            else:
                env.stepping = self._threads.submit(env.env.step, action)  # type: ignore[attr-defined]
        with self._together():
            return super().step(actions)

    def _check_open(self) -> None:
        if self.closed:
            raise gymnasium.error.ClosedEnvironmentError("this vector environment is closed: make another one")

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Wait for every environment first: when one has failed, none still works, and no result is left for later."""
        envs: list[_Ahead] = list(self.envs)  # type: ignore[arg-type]
        try:
            wait([env.stepping for env in envs if env.stepping])
            wait([env.resetting for env in envs if env.resetting])
            yield
        finally:
            for env in envs:
                env.stepping = env.resetting = None

    def close_extras(self, **arguments: Any) -> None:
        """Close the environments and the threads."""
        super().close_extras(**arguments)
        self._threads.shutdown()


class ProcessVectorEnv(AsyncVectorEnv):
    """An `AsyncVectorEnv` that says which of its processes ended, and can be closed then, too.

    What an environment raises ends its process: the vector environment can only be closed after that.

    Raises:
        SandboxError: by `reset`, `step` and `call`: a process was killed, or has ended over an earlier error.
    """

    def reset_async(self, *arguments: Any, **named: Any) -> None:
        """Begin to reset all environments; see `AsyncVectorEnv.reset_async`."""
        with self._telling():
            super().reset_async(*arguments, **named)

    def reset_wait(self, *arguments: Any, **named: Any) -> tuple[Any, dict[str, Any]]:
        """Wait until they are reset; see `AsyncVectorEnv.reset_wait`."""
        with self._telling():
            return super().reset_wait(*arguments, **named)

    def step_async(self, actions: Any) -> None:
        """Begin a step of all environments; see `AsyncVectorEnv.step_async`."""
        with self._telling():
            super().step_async(actions)

    def step_wait(self, *arguments: Any, **named: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Wait until they have stepped; see `AsyncVectorEnv.step_wait`."""
        with self._telling():
            return super().step_wait(*arguments, **named)

    def call_async(self, name: str, /, *arguments: object, **named: object) -> None:
        """Begin to call all environments; see `AsyncVectorEnv.call_async`."""
        with self._telling():
            super().call_async(name, *arguments, **named)

    def call_wait(self, *arguments: Any, **named: Any) -> tuple[Any, ...]:
        """Wait for what they return; see `AsyncVectorEnv.call_wait`."""
        with self._telling():
            return super().call_wait(*arguments, **named)

    def close_extras(self, timeout: float | None = None, terminate: bool = False) -> None:
        """End the processes, each once it has closed its environment; those too that were interrupted, or left an answer.

        Args:
            timeout: seconds for each process to close its environment; None waits.
            terminate: kill them at once.
        """
        pipes = [pipe for pipe in self.parent_pipes if pipe is not None and not pipe.closed]
        for pipe in pipes:
            with suppress(OSError):
                pipe.send(("close", None))
        for pipe in pipes:
            with suppress(OSError, EOFError):  # its process has ended
                while pipe.poll(0 if terminate else timeout):
                    pipe.recv_bytes()  # it may not be whole
                terminate = True
            pipe.close()
        for process in self.processes:
            if terminate:
                process.terminate()
            process.join()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        self._assert_is_running()
        if ended := self._ended():
            raise _process_ended(ended)
        try:
            yield
        except (OSError, EOFError) as error:
            for process in self.processes:
                process.join(DYING_SECONDS / self.num_envs)
            if ended := self._ended():
                raise _process_ended(ended) from error
            raise

    def _ended(self) -> str:
        """Which processes have ended, in words."""
        return ", ".join(
            f"environment {index} of {self.num_envs} (exit code {process.exitcode})"
            for index, (process, pipe) in enumerate(zip(self.processes, self.parent_pipes, strict=True))
            if pipe is None or not process.is_alive()
        )


def _process_ended(which: str) -> SandboxError:
    return SandboxError(
        f"the process of {which} has ended: killed (a negative exit code is a signal's; 9 is often the kernel's, out of memory), "
        "or by an error that was raised before; close this vector environment and make another one"
    )


def _end_with_owner(env: SweEnv) -> None:
    """In a process of a vector environment: when the one that made it has ended, end too, also in the midst of a command."""
    owner = multiprocessing.parent_process()
    assert owner is not None

    def watch() -> None:
        multiprocessing.connection.wait([owner.sentinel])
        with suppress(SandboxError):
            env.close()
        os._exit(1)

    threading.Thread(target=watch, name="owner", daemon=True).start()


def make_vec(
    n: int,
    mode: str = "threads",
    wrap: Callable[[SweEnv], gymnasium.Env[str, str]] | None = None,
    autoreset: AutoresetMode = AutoresetMode.NEXT_STEP,
    **arguments: Any,
) -> VectorEnv[Any, Any, Any]:
    """`n` environments as one vector environment.

    `reset(options={"task": [id, id, ...]})` gives each environment its task; one id is for all of them, and None in the list
    draws. An environment that starts again by itself draws its task.

    Args:
        n: how many.
        mode: "threads" (`ThreadedVectorEnv`), "sync", or "async" (processes, without shared memory: gymnasium's shared memory
            cannot hold arbitrary text).
        wrap: makes the reward wrappers around each environment.
        autoreset: when an ended environment starts again.
        arguments: of each `SweEnv`.

    Raises:
        ConfigError: no such mode, `n` below 1, or a `wrap` that is no function.
    """
    if mode not in MODES:
        raise ConfigError(suggest(mode, MODES, "mode"))
    if n < 1:
        raise ConfigError(f"a vector environment needs at least one environment, not {n}")
    if wrap is not None and not callable(wrap):
        raise ConfigError(
            f"wrap: expected a function that makes a wrapper around an environment, such as Resolved, not {wrap!r}"
        )

    owner = os.getpid()

    def make(index: int) -> gymnasium.Env[str, str]:
        env = SweEnv(**arguments)
        if os.getpid() != owner:
            _end_with_owner(env)
        return _Member(wrap(env) if wrap else env, index, n)

    makers = [partial(make, index) for index in range(n)]
    if mode == "async":
        return ProcessVectorEnv(makers, shared_memory=False, autoreset_mode=autoreset)
    kind = SyncVectorEnv if mode == "sync" else ThreadedVectorEnv
    return kind(makers, autoreset_mode=autoreset)
