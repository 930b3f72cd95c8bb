"""The part of the steps that a run trains on: of tasks of some difficulty, of so many trajectories.

What is held out stays whole, so that runs on different parts can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence

from swe_srl.errors import TrajectoryError
from swe_srl.seeds import derive_seed
from swe_srl.tasks import load_tasks
from swe_srl.tasks.difficulty import of_difficulty
from swe_srl.training.settings import TrainSettings
from swe_srl.types import Step


def chosen_steps(steps: Sequence[Step], settings: TrainSettings) -> list[Step]:
    """The steps that `difficulty` and `most_trajectories` leave, in their order.

    Raises:
        TaskError: the tasks do not say how hard they are, or none is of a difficulty that is wanted.
        TrajectoryError: no step is of such a task.
    """
    chosen = list(steps)
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


def of_trajectories(steps: Sequence[Step], count: int, seed: int) -> list[Step]:
    """The steps of so many trajectories. Which ones depends on their names and the seed alone; the fewer are among the more."""
    names = sorted({step.trajectory_id for step in steps}, key=lambda name: derive_seed(seed, "trajectories", name))
    kept = set(names[:count])
    return [step for step in steps if step.trajectory_id in kept]
