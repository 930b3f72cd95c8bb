"""Rewards as wrappers: how close to the expert, and whether the issue is resolved. They compose with each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsFloat

import gymnasium

from swe_srl.envs.environment import SweEnv, check_action
from swe_srl.envs.probe import SandboxProbe
from swe_srl.errors import ConfigError, GradingError, TrajectoryError, suggest
from swe_srl.protocols import Similarity
from swe_srl.rewards import get_similarity, step_reward
from swe_srl.rewards.registry import EFFECT
from swe_srl.seeds import derive_seed
from swe_srl.trajectories.steps import commands_of
from swe_srl.types import Action, Score, StopReason, Trajectory, VerdictStatus

if TYPE_CHECKING:
    from swe_srl.grading import GradingSettings, OpenSandboxes

MODES = ("teacher_forced", "on_policy")
Step = tuple[str, SupportsFloat, bool, bool, dict[str, Any]]


class ExpertSimilarity(gymnasium.Wrapper[str, str, str, str]):
    """Adds to the reward how close each command is to the expert's command of the same turn, in [0, 1].

    In mode `teacher_forced` the student's command is scored and the expert's runs, so the next state is the expert's; after
    the expert's last command the episode is truncated (`stop_reason` `policy_done`) unless that command ended it. In mode
    `on_policy` the student's own command runs; beyond the expert's last turn the similarity is 0.

    `info` gains `similarity` (float), `target` (str, the expert's command), `similarity_method` (str: how the two were compared,
    such as "shell", and why not as asked for), and, when teacher-forced, `command` (str, what the student gave). Beyond the
    expert's last turn there is neither target nor method. Without `options["task"]`, tasks are drawn among those with a
    trajectory.

    Args:
        env: a `SweEnv`, wrapped or not.
        trajectories: the experts', one per task (a later one of the same task replaces an earlier one); or where to read
            them: "quickstart" (the bundled ones), a file, a folder or a data set (see `swe_srl.trajectories`).
        similarity: a name (see `swe_srl.rewards.get_similarity`) or a function. `effect` tries both commands in forks of the
            sandbox's state before either runs.
        mode: "teacher_forced" or "on_policy".

    Raises:
        ConfigError: no such mode or similarity.
        TrajectoryError: they cannot be read, or none with a command belongs to one of the environment's tasks; on reset, to
            the task chosen.
    """

    def __init__(
        self,
        env: gymnasium.Env[str, str],
        trajectories: str | Path | Trajectory | Iterable[Trajectory],
        similarity: str | Similarity = "sequence",
        mode: str = "teacher_forced",
    ) -> None:
        super().__init__(env)
        if mode not in MODES:
            raise ConfigError(suggest(mode, MODES, "mode"))
        self.mode = mode
        self._beside = _Beside()
        self._chooser, _ = gymnasium.utils.seeding.np_random()
        self._similarity = similarity
        if isinstance(similarity, str):
            get_similarity(similarity)  # an unknown one is refused now
        given = _experts(trajectories)
        known, submit = swe_env(env).tasks, swe_env(env).definition.submit
        self._targets = {
            trajectory.task_id: commands_of(trajectory, submit)
            for trajectory in given
            if trajectory.task_id in known and any(isinstance(turn.action, Action) for turn in trajectory.turns)
        }
        if not self._targets:
            raise TrajectoryError(
                f"none of the {len(given)} trajectories has a command and is of one of the environment's {len(known)} tasks"
                + (' (the bundled ones are of tasks="quickstart-train")' if trajectories == "quickstart" else "")
            )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start an episode of a task that has a trajectory; see `SweEnv.reset`."""
        if options is None or isinstance(options, dict):  # else it is refused there
            options = {**(options or {})}
            wanted = options.get("task")
            if wanted is None:
                if seed is not None:  # a stream beside the environment's own, which the same seed sets
                    self._chooser, _ = gymnasium.utils.seeding.np_random(derive_seed(seed, "task"))
                ids = list(self._targets)
                options["task"] = ids[int(self._chooser.integers(len(ids)))]
            elif isinstance(wanted, str) and wanted not in self._targets:
                raise TrajectoryError(suggest(wanted, self._targets, "task with a trajectory"))
        return self.env.reset(seed=seed, options=options)

    def close(self) -> None:
        """Close the environment, from any thread: forks in which another one tries commands are ended, and its step fails."""
        self._beside.end()
        super().close()

    def step(self, action: str) -> Step:
        """Score the command, then run the expert's or the student's; see `SweEnv.step`."""
        check_action(action)
        env = swe_env(self.env)
        targets, index = self._targets[env.task.instance_id], len(env.turns)
        if self.mode == "teacher_forced" and index >= len(targets):  # also where the last step was interrupted
            raise gymnasium.error.ResetNeeded("call reset() first: the expert's last command has run")
        target = targets[index] if index < len(targets) else None
        scored = self._score(env, action, target) if target is not None else Score(0.0)
        score = scored.value
        command = target if self.mode == "teacher_forced" and target is not None else action
        turns = env.turns
        observation, reward, terminated, truncated, info = self.env.step(command)
        if env.turns is not turns:
            raise ConfigError(
                "a wrapper inside of ExpertSimilarity started another episode instead of running the command: put it around "
                "ExpertSimilarity, which then chooses the task"
            )
        info["similarity"] = score
        if target is not None:
            info["target"] = target
            info["similarity_method"] = str(scored.parts.get("method", scored.parts.get("guard", "")))
            env.turns[-1] = replace(env.turns[-1], similarity=score, target=target)
        if self.mode == "teacher_forced":
            info["command"] = action
            if index + 1 >= len(targets) and not (terminated or truncated):
                truncated = True
                info["stop_reason"] = StopReason.POLICY_DONE.value
        return observation, float(reward) + score, terminated, truncated, info

    def _score(self, env: SweEnv, action: str, target: str) -> Score:
        if not isinstance(self._similarity, str):
            return step_reward(Action(action), target, self._similarity)
        if self._similarity != EFFECT:
            return step_reward(Action(action), target, get_similarity(self._similarity))
        ends, sandbox = self._beside.ends, env.sandbox
        if sandbox is None:
            return step_reward(Action(action), target, get_similarity(EFFECT))
        with self._beside.holding(ends) as known, SandboxProbe(sandbox, env.definition.workdir, open=known) as probe:
            effect = get_similarity(EFFECT, probe, reserved=env.definition.submit)
            return step_reward(Action(action), target, effect)


class Resolved(gymnasium.Wrapper[str, str, str, str]):
    """Adds 1.0 to the reward of the last step when the patch resolves the task, by the hardened rules.

    The patch is graded in a fresh sandbox when the episode ends, whether submitted or at a limit. `info` gains `resolved`
    (bool, hardened), `official` (bool, swebench's rules), `verdict` (str, a `VerdictStatus`) and `patch` (str).

    It belongs outside of every wrapper that ends episodes (`TimeLimit`, `ExpertSimilarity`): an end that one around it makes is
    not seen here, and such an episode is not graded.

    Beside `ExpertSimilarity` in mode `teacher_forced` it grades the expert: the expert's commands run there, not the
    student's. The student's own work is graded in mode `on_policy`.

    Args:
        env: a `SweEnv`, wrapped or not.
        settings: of grading, but for its `open`, which `close` ends; None: the defaults.

    Raises:
        GradingError: on the last step, when grading itself failed: infrastructure, never the policy's fault.
    """

    def __init__(self, env: gymnasium.Env[str, str], settings: GradingSettings | None = None) -> None:
        super().__init__(env)
        self._settings = settings
        self._beside = _Beside()

    def close(self) -> None:
        """Close the environment, from any thread: a grading that runs in another one is ended, and its step fails."""
        self._beside.end()
        super().close()

    def step(self, action: str) -> Step:
        """Run the command; grade at the end of the episode."""
        ends = self._beside.ends
        observation, reward, terminated, truncated, info = self.env.step(action)
        if not (terminated or truncated):
            return observation, reward, terminated, truncated, info
        from swe_srl.grading import GradingSettings, grade

        env = swe_env(self.env)
        patch = env.patch()
        with self._beside.holding(ends) as known:
            verdict = grade(env.task, patch, replace(self._settings or GradingSettings(), open=known))
        if verdict.status is VerdictStatus.INFRASTRUCTURE:
            raise GradingError(f"{env.task.instance_id} could not be graded: {verdict.reason}")
        info.update(resolved=verdict.hardened, official=verdict.official, verdict=verdict.status.value, patch=patch)
        return observation, float(reward) + float(verdict.hardened), terminated, truncated, info


class _Beside:
    """The sandboxes that a step has open beside the episode's own, which `close` ends from another thread."""

    def __init__(self) -> None:
        self.ends = 0
        self._open: OpenSandboxes | None = None

    @contextmanager
    def holding(self, ends: int) -> Iterator[OpenSandboxes]:
        """Knows such sandboxes. Those that are opened in it fail at once when `end` was called since there were `ends`."""
        from swe_srl.grading import OpenSandboxes

        self._open = known = OpenSandboxes()
        if self.ends != ends:
            known.end()
        try:
            yield known
        finally:
            self._open = None

    def end(self) -> None:
        """Close them."""
        self.ends += 1
        if known := self._open:
            known.end()


def _experts(trajectories: str | Path | Trajectory | Iterable[Trajectory]) -> list[Trajectory]:
    if isinstance(trajectories, Trajectory):
        return [trajectories]
    if isinstance(trajectories, str | Path):
        from swe_srl.trajectories import read_trajectories

        return list(read_trajectories(trajectories))
    given = list(trajectories)
    for trajectory in given:
        if not isinstance(trajectory, Trajectory):
            raise ConfigError(f"trajectories: expected trajectories or where to read them, not {trajectory!r}")
    return given


def swe_env(env: gymnasium.Env[str, str]) -> SweEnv:
    """The SweEnv inside wrappers.

    Raises:
        ConfigError: there is none.
    """
    inner = env.unwrapped
    if not isinstance(inner, SweEnv):
        raise ConfigError(f"this wrapper needs a SweEnv inside, not {type(inner).__name__}")
    return inner
