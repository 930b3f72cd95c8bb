"""The part of the steps and tasks that a run trains on: some tasks by name or difficulty, so many trajectories.

What is held out stays whole, so that runs on different parts can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence

from swe_srl.errors import ConfigError, TrajectoryError, suggest
from swe_srl.seeds import derive_seed
from swe_srl.tasks import load_tasks
from swe_srl.tasks.difficulty import of_difficulty
from swe_srl.tasks.naming import chosen_ids, unknown_task
from swe_srl.training.settings import TrainSettings
from swe_srl.types import Step, Task


def chosen_steps(steps: Sequence[Step], settings: TrainSettings) -> list[Step]:
    """The steps that `instances`, `difficulty` and `most_trajectories` leave, in their order.

    Raises:
        ConfigError: no step is of one of the instances, and no stage needs their tasks.
        TaskError: the tasks do not say how hard they are, or none is of a difficulty that is wanted.
        TrajectoryError: no step is of such a task.
    """
    chosen = _of_instances(list(steps), settings)
    if settings.difficulty:
        tasks = of_difficulty(load_tasks(settings.task_source), settings.difficulty, settings.task_source)
        wanted = {task.instance_id for task in tasks}
        chosen = [step for step in chosen if step.task_id in wanted]
        if not chosen:
            raise TrajectoryError(
                f"difficulty: no trajectory is of one of the {len(wanted)} tasks of {settings.task_source} that are "
                f"{' or '.join(settings.difficulty)}"
            )
    return of_trajectories(chosen, settings.most_trajectories, settings.seed) if settings.most_trajectories else chosen


def chosen_tasks(training: Sequence[Task], validation: Sequence[Task], settings: TrainSettings) -> list[Task]:
    """The training tasks that `instances` and `difficulty` leave, in their order.

    Raises:
        ConfigError: an instance that there is not, or that is held out.
        TaskError: the tasks do not say how hard they are, or none is of a difficulty that is wanted.
    """
    chosen = of_difficulty(training, settings.difficulty, settings.task_source)
    if not settings.instances:
        return chosen
    names, known = chosen_ids(settings.instances), {task.instance_id for task in training}
    held = sorted(set(names) & {task.instance_id for task in validation})
    if held:
        raise ConfigError(
            f"instances: {held[0]} is held out ({len(held)} of {len(names)} are): name other ones, or other validation_tasks, or "
            "hold nothing out (validation_share 0)"
        )
    for name in names:
        if name not in known:
            raise ConfigError(f"instances: {unknown_task(name, known, settings.task_source)}")
    chosen = [task for task in chosen if task.instance_id in names]
    if not chosen:
        raise ConfigError(f"instances: none of the {len(names)} is {' or '.join(settings.difficulty)}")
    return chosen


def _of_instances(steps: list[Step], settings: TrainSettings) -> list[Step]:
    if not settings.instances:
        return steps
    names, known = chosen_ids(settings.instances), {step.task_id for step in steps}
    for name in names:
        if name not in known and not settings.needs_tasks:
            raise ConfigError(f"instances: no training step is of {name}: {suggest(name, known, 'task')}")
    chosen = [step for step in steps if step.task_id in names]
    if not chosen:
        raise ConfigError(f"instances: no training step is of one of the {len(names)} tasks")
    return chosen


def of_trajectories(steps: Sequence[Step], count: int, seed: int) -> list[Step]:
    """The steps of so many trajectories. Which ones depends on their names and the seed alone; the fewer are among the more."""
    names = sorted({step.trajectory_id for step in steps}, key=lambda name: derive_seed(seed, "trajectories", name))
    kept = set(names[:count])
    return [step for step in steps if step.trajectory_id in kept]
