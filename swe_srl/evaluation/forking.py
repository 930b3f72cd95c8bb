"""Any recorded turn as a live sandbox: which episode and turn, its task, and its commands run again up to there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from swe_srl.definitions import environment_for
from swe_srl.envs import SweEnv
from swe_srl.errors import ConfigError, SandboxError, suggest
from swe_srl.evaluation.recorded import RecordedRun
from swe_srl.protocols import Sandbox
from swe_srl.tasks import load_tasks
from swe_srl.trajectories import read_trajectories
from swe_srl.types import Task, Trajectory

_NAME = re.compile(r"(?P<source>.+?):(?P<episode>[^:]+?)(?:@(?P<turn>\d+))?", re.DOTALL)
_SAMPLE = re.compile(r"(?P<task>.+)#(?P<sample>\d+)", re.DOTALL)
NOTATION = "SOURCE:TASK#SAMPLE@TURN, such as runs/before:quickstart__access-1#0@3"


@dataclass(frozen=True, slots=True)
class ForkPoint:
    """A turn of a recorded episode.

    Args:
        task: what the episode is about.
        trajectory: the episode.
        turn: the first turn that is not run again: the state is the one that its command found.
        definition: environment definition of the episode.
        sandbox: kind of sandbox of the episode.
    """

    task: Task
    trajectory: Trajectory
    turn: int
    definition: str = "default"
    sandbox: str = "auto"

    @property
    def beginning(self) -> Trajectory:
        """The turns before the point."""
        return replace(self.trajectory, turns=self.trajectory.turns[: self.turn])


def find_fork_point(name: str, split: str = "") -> ForkPoint:
    """The turn that a name means.

    Args:
        name: `SOURCE:EPISODE@TURN`. The source is an evaluation's run folder, and the episode TASK or TASK#SAMPLE (sample 0
            when it is not said); or the source is a file or folder of trajectories or "quickstart", and the episode a
            trajectory's id or its task. Without @TURN, all turns are run again.
        split: where the tasks are; "" asks the run, and is quickstart-train for trajectories.

    Raises:
        ConfigError: no such run, episode, task or turn; what is there is told.
        TaskError: the tasks cannot be read.
        TrajectoryError: the trajectories cannot be read.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise ConfigError(f"episode: expected {NOTATION}, got {name!r}")
    source, episode = match["source"], match["episode"]
    is_run = (Path(source) / "run.json").is_file()
    point = _of_run(source, episode, split) if is_run else _of_trajectories(source, episode, split)
    turns = len(point.trajectory.turns)
    turn = turns if match["turn"] is None else int(match["turn"])
    if turn > turns:
        raise ConfigError(f"episode: {episode} has {turns} turns, 0 to {turns - 1}: @{turn} is none of them")
    return replace(point, turn=turn)


@contextmanager
def opened(point: ForkPoint, sandbox: str) -> Iterator[tuple[SweEnv, Sandbox]]:
    """A fresh environment of the point's task with its sandbox, freed at the end whatever happens. Nothing was run in it yet.

    Args:
        point: which task.
        sandbox: kind of sandbox.

    Raises:
        SandboxError: the sandbox did not start.
    """
    env = SweEnv(tasks=[point.task], definition=point.definition, sandbox=sandbox, max_turns=0)
    try:
        env.reset(seed=0, options={"task": point.task.instance_id})
        if env.sandbox is None:
            raise SandboxError(f"{point.task.instance_id}: the environment has no sandbox after its reset")
        yield env, env.sandbox
    finally:
        env.close()


def _of_run(source: str, episode: str, split: str) -> ForkPoint:
    recorded = RecordedRun.read(source)
    known = {task_id for task_id, _ in recorded.episodes}
    parts = None if episode in known else _SAMPLE.fullmatch(episode)
    task_id, sample = (parts["task"], int(parts["sample"])) if parts else (episode, 0)
    trajectory = recorded.find(task_id, sample)
    if not trajectory.turns:
        raise ConfigError(f"{source}: the episode of {task_id} has no turns: a run of predictions records none")
    settings = recorded.settings
    tasks = {task.instance_id: task for task in load_tasks(split)} if split else recorded.tasks()
    task = _chosen(tasks, task_id, split or "the run's tasks")
    return ForkPoint(task, trajectory, 0, settings.environment_name(task), settings.sandbox)


def _of_trajectories(source: str, episode: str, split: str) -> ForkPoint:
    if Path(source).is_dir() and not any(Path(source).iterdir()):
        raise ConfigError(f"{source} is empty: expected a run folder, or a file or folder of trajectories")
    ids: dict[str, None] = {}
    for trajectory in read_trajectories(source):
        if episode in (trajectory.trajectory_id, trajectory.task_id):
            where = split or "quickstart-train"
            task = _chosen({task.instance_id: task for task in load_tasks(where)}, trajectory.task_id, where)
            bundled = where.startswith("quickstart")
            return ForkPoint(task, trajectory, 0, environment_for(task, "auto", bundled))
        ids[trajectory.task_id] = None
    raise ConfigError(f"{source}: {suggest(episode, ids, 'episode')[:2000]}")


def _chosen(tasks: dict[str, Task], task_id: str, where: str) -> Task:
    if task_id not in tasks:
        raise ConfigError(f"{task_id} is not among {where}: give the task set with --split")
    return tasks[task_id]
