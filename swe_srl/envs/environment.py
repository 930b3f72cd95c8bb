"""`SweEnv`: one repository, one issue, one shell, as a `gymnasium.Env`."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium
from gymnasium.utils import EzPickle

from swe_srl.envs import ENV_ID
from swe_srl.envs.definition import EnvironmentDefinition
from swe_srl.envs.image_places import Place
from swe_srl.envs.patch import take_patch
from swe_srl.envs.places import PlaceMaker
from swe_srl.envs.spaces import TerminalText, clean_text
from swe_srl.envs.transcript import show, transcript
from swe_srl.errors import ConfigError, SandboxError, TaskError, suggest
from swe_srl.protocols import Sandbox
from swe_srl.sandboxes import KINDS
from swe_srl.types import Action, CommandResult, StopReason, Task, Turn


class SweEnv(gymnasium.Env[str, str], EzPickle):
    """A repository with an issue. The action is a shell command; the observation is what the terminal shows.

    `reset` starts a fresh sandbox and returns the issue's text. `step` runs a command in its persistent shell. The reserved
    command of the definition (`submit`) ends the episode: `terminated`. At the turn or time limit it is `truncated`. The
    reward is always 0.0: the wrappers `ExpertSimilarity` and `Resolved` give rewards.

    Keys of `info`:
        task_id (str): the task of the episode.
        turn (int): commands run so far.
        exit_code (int): of the command; absent when it was killed, and after `reset`.
        duration (float): seconds the command took (after `reset`: seconds to a ready sandbox).
        timed_out (bool): the command was killed at its time limit.
        truncated_output (bool): the middle of the output was cut.
        rebuilt (bool): the shell was lost and started again; the observation says what was kept.
        stop_reason (str): value of `StopReason`; present when the episode ended.

    Args:
        tasks: name of a task set (see `swe_srl.tasks.load_tasks`), or tasks.
        definition: name or path of an environment definition.
        sandbox: "local", "docker", or "auto" (Docker for tasks with an image).
        render_mode: "ansi" (`render` returns the transcript) or "human" (every turn is written to the terminal).
        max_turns: overrides the definition's limit; 0 is unlimited.

    Raises:
        ConfigError: no tasks, something else than tasks, an unknown render mode, sandbox, definition or argument, a limit that
            is none.
        TaskError: the task set cannot be read.

    Pickling keeps the arguments, never a live sandbox.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (gymnasium declares it so)
        "render_modes": ["ansi", "human"],
        "render_fps": 1,
    }

    def __init__(
        self,
        tasks: str | Sequence[Task] = "quickstart",
        definition: str = "default",
        sandbox: str = "auto",
        render_mode: str | None = None,
        max_turns: int | None = None,
        **unknown: Any,
    ) -> None:
        for name in unknown:
            known = [argument for argument in inspect.signature(SweEnv).parameters if argument != "unknown"]
            raise ConfigError(suggest(name, known, "argument of the environment"))
        if sandbox not in KINDS:
            local = " (bubblewrap is 'local')" if "bubble" in str(sandbox) or sandbox == "bwrap" else ""
            raise ConfigError(suggest(str(sandbox), KINDS, "sandbox") + local)
        EzPickle.__init__(self, tasks, definition, sandbox, render_mode, max_turns)
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ConfigError(suggest(render_mode, self.metadata["render_modes"], "render mode"))
        self.render_mode = render_mode
        self.definition = EnvironmentDefinition.load(definition)
        if max_turns is not None and (not isinstance(max_turns, int) or max_turns < 0):
            raise ConfigError(f"max_turns must be a whole number, 0 (unlimited) or above, not {max_turns!r}")
        self.max_turns = self.definition.max_turns if max_turns is None else max_turns
        self.tasks = {task.instance_id: task for task in _tasks(tasks)}
        self._source = tasks if isinstance(tasks, str) else ""
        # Real commands in real shells: gymnasium is told that the same action need not bring the same observation.
        self.spec = gymnasium.envs.registration.EnvSpec(
            id=ENV_ID,
            entry_point="swe_srl.envs.environment:SweEnv",
            nondeterministic=True,
            kwargs={"tasks": tasks, "definition": definition, "sandbox": sandbox, "max_turns": max_turns},
        )
        self.observation_space = TerminalText()
        self.action_space = TerminalText()
        self.turns: list[Turn] = []
        self._maker = PlaceMaker(self.definition, sandbox)
        self._place: Place | None = None
        self._changing, self._changes = threading.RLock(), 0  # of the place, by `reset` and `close`
        self._task: Task | None = None
        self._started = 0.0
        self._ended: StopReason | None = None

    @property
    def task(self) -> Task:
        """The task of the present episode.

        Raises:
            gymnasium.error.ResetNeeded: there is none yet.
        """
        if self._task is None:
            raise gymnasium.error.ResetNeeded("call reset() first: there is no episode yet")
        return self._task

    @property
    def sandbox(self) -> Sandbox | None:
        """The sandbox of the present episode, or None before `reset` and after `close`."""
        return self._place.sandbox if self._place else None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start an episode in a fresh sandbox.

        Args:
            seed: of the choice of tasks.
            options: `{"task": instance_id}` chooses the task; without it the task is drawn at random.

        Returns:
            The issue's text, and `info`.

        Raises:
            ConfigError: options that are no dict, or another option than `task`.
            TaskError: no such task, or it has nothing to work in.
            SandboxError: the sandbox did not start.
            gymnasium.error.ClosedEnvironmentError: another thread closed or reset the environment meanwhile.
        """
        super().reset(seed=seed)
        if not isinstance(options, dict | None):
            raise ConfigError(f'options of reset: a dict such as {{"task": instance_id}}, not {options!r}')
        for name in set(options or {}) - {"task"}:
            raise ConfigError(suggest(str(name), ["task"], "option of reset"))
        task = self._choose((options or {}).get("task"))
        begun = time.monotonic()
        change = self._let_go()
        made: list[Place] = []
        try:
            made.append(self._maker.replace(task))
            with self._changing:
                if mine := self._changes == change:
                    self._place, self._task, self.turns, self._ended = made[0], task, [], None
                    self._started = time.monotonic()
        finally:  # also when none could be made, or an interrupt came before the one that was is used
            self._maker.leave(next((place for place in made if place is not self._place), None))
            self._maker.dispose()
        if not mine:
            self._maker.close()  # and the pool, which may have been joined since
            raise gymnasium.error.ClosedEnvironmentError("the environment closed while it was reset, or reset again")
        observation = clean_text(task.problem_statement)
        if self.render_mode == "human":
            show(f"# {task.instance_id}\n{observation}\n")
        return observation, {"task_id": task.instance_id, "turn": 0, "duration": self._started - begun}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Run a command, or end the episode with the reserved one.

        Raises:
            gymnasium.error.ResetNeeded: there is no episode, or it has ended.
            ConfigError: the action is not text.
            SandboxError: the sandbox failed: infrastructure, never the policy's fault.
        """
        if self._place is None:
            raise gymnasium.error.ResetNeeded("call reset() first: there is no running episode")
        if self._ended is not None:
            raise gymnasium.error.ResetNeeded(f"call reset() first: the episode has ended ({self._ended.value})")
        check_action(action)
        if action.strip() == self.definition.submit:
            result = CommandResult("", 0, 0.0)
            stop: StopReason | None = StopReason.SUBMITTED
        else:
            place = self._place
            result = place.sandbox.run(action)
            if self._place is not place:
                raise SandboxError("another thread has reset or closed the environment meanwhile")
            stop = self._limit_reached(len(self.turns) + 1)
        self._ended = stop
        observation = clean_text(result.output)
        killed = result.exit_code is None
        turn = Turn(Action(clean_text(action)), observation, result.exit_code, seconds=result.duration, killed=killed)
        self.turns.append(turn)
        if self.render_mode == "human":
            show(transcript(turn))
        ended_by_limit = stop is not None and stop is not StopReason.SUBMITTED
        return observation, 0.0, stop is StopReason.SUBMITTED, ended_by_limit, self._info(result, stop)

    def patch(self, sandbox: Sandbox | None = None) -> str:
        """The agent's changes as a git diff against the base commit, new files included.

        Args:
            sandbox: a fork of this episode's sandbox, whose changes are taken instead; None: the episode's own.

        Raises:
            gymnasium.error.ResetNeeded: there is no running episode.
            SandboxError: the sandbox failed.
        """
        if self._place is None:
            raise gymnasium.error.ResetNeeded("call reset() first: there is no episode to take a patch of")
        place, workdir = self._place, self.definition.workdir
        return take_patch(sandbox or place.sandbox, workdir, place.base_commit, place.untracked, place.start)

    def render(self) -> str | None:
        """The transcript of the episode ("ansi"); None in the other modes."""
        if self.render_mode != "ansi":
            return None
        head = f"# {self.task.instance_id}\n{clean_text(self.task.problem_statement)}\n"
        return head + "".join(transcript(turn) for turn in self.turns)

    def close(self) -> None:
        """Free the sandbox, and the pool when no other environment uses it, from any thread: what runs in another one fails.

        Idempotent; `reset` may follow. One that failed or was interrupted may be repeated.
        """
        self._let_go()
        self._maker.close()

    def fill_pool(self, seconds: float = 600.0) -> int:
        """Wait until the definition's pool of ready sandboxes is full: the next resets take one of them.

        Returns:
            How many are ready: 0 before the first `reset`, or without a pool.
        """
        return self._maker.fill_pool(seconds)

    def _let_go(self) -> int:
        """Leave the place to the maker, to be closed; the number of this change: of two threads the later one's counts."""
        with self._changing:
            self._changes += 1
            self._maker.leave(self._place)
            self._place = None
            return self._changes

    def _choose(self, wanted: Any) -> Task:
        if wanted is None:
            return list(self.tasks.values())[int(self.np_random.integers(len(self.tasks)))]
        if not isinstance(wanted, str):
            raise ConfigError(
                f"options: task is one id (environments made by swe_srl.envs.make_vec take a list, an id each), not {wanted!r}"
            )
        if wanted not in self.tasks:
            from swe_srl.tasks.naming import unknown_task

            raise TaskError(unknown_task(wanted, self.tasks, self._source))
        return self.tasks[wanted]

    def _limit_reached(self, turns: int) -> StopReason | None:
        if self.max_turns and turns >= self.max_turns:
            return StopReason.TURN_LIMIT
        if self.definition.max_seconds and time.monotonic() - self._started >= self.definition.max_seconds:
            return StopReason.TIME_LIMIT
        return None

    def _info(self, result: CommandResult, stop: StopReason | None) -> dict[str, Any]:
        info: dict[str, Any] = {
            "task_id": self.task.instance_id,
            "turn": len(self.turns),
            "duration": result.duration,
            "timed_out": result.timed_out,
            "truncated_output": result.truncated,
            "rebuilt": result.rebuilt,
        }
        if result.exit_code is not None:
            info["exit_code"] = result.exit_code
        if stop is not None:
            info["stop_reason"] = stop.value
        return info


def check_action(action: object, whose: str = "") -> None:
    """Raises:
    ConfigError: the action is no text.
    """
    if not isinstance(action, str):
        raise ConfigError(f"an action is a shell command: text (str), not {type(action).__name__}{whose}")


def _tasks(tasks: str | Sequence[Task]) -> Sequence[Task]:
    if isinstance(tasks, str):
        from swe_srl.tasks import load_tasks

        return load_tasks(tasks)
    given = list(tasks) if isinstance(tasks, Iterable) else [tasks]
    for task in given:
        if not isinstance(task, Task):
            raise ConfigError(
                f"tasks: the name of a task set, or tasks (swe_srl.tasks.load_tasks gives them), not {task!r}; "
                "one task of a set is chosen by reset(options={'task': instance_id})"
            )
    if not given:
        raise ConfigError("an environment needs at least one task")
    return given
