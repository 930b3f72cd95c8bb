"""Where the expert was: the task and the earlier turns of every step, which similarity `effect` tries commands after."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from swe_srl.errors import ConfigError
from swe_srl.grading import check_sandboxes
from swe_srl.tasks import load_tasks
from swe_srl.training.data import StepData, quickstart_file
from swe_srl.training.effect_settings import tries_commands, validates_by_effect
from swe_srl.training.settings import QUICKSTART, TrainSettings
from swe_srl.trajectories import ReadReport, is_step_file, read_trajectories
from swe_srl.trajectories.replay import FRESH_SHELLS
from swe_srl.types import Action, Step, Task, Trajectory, Turn

SHOWN = 5  # tasks named in a message


@dataclass(frozen=True)
class ExpertStates:
    """The states of a run's steps; none when no stage tries commands.

    Args:
        tasks: by id.
        trajectories: by id, with all turns: those that gave no step changed the state too.
        source: where the tasks are from, in words.
    """

    tasks: Mapping[str, Task] = field(default_factory=dict)
    trajectories: Mapping[str, Trajectory] = field(default_factory=dict)
    source: str = ""

    def before(self, step: Step) -> Trajectory:
        """The turns that led to the step's state."""
        trajectory = self.trajectories[step.trajectory_id]
        return replace(trajectory, turns=trajectory.turns[: step.index])

    def require(self, steps: Sequence[Step], kind: str) -> None:
        """Check that the states of these steps can be had.

        Args:
            kind: of the steps, in words.

        Raises:
            ConfigError: a step's task is not known, or has nothing to work in.
        """
        unknown = [step for step in steps if step.task_id not in self.tasks]
        if unknown:
            names = list(dict.fromkeys(step.task_id or f"the unnamed one of {step.trajectory_id}" for step in unknown))
            raise ConfigError(
                f"similarity: effect needs the task of every step: {len(unknown)} of {len(steps)} {kind} steps are of "
                f"{len(names)} tasks that are not in {self.source}, such as {', '.join(names[:SHOWN])}: name task sets that "
                "have them with --tasks and --validation-tasks, or train with shell"
            )
        bare = {step.task_id for step in steps if not (one := self.tasks[step.task_id]).image and not one.source}
        if bare:
            raise ConfigError(
                f"similarity: effect needs a place to try commands in: {len(bare)} tasks of the {kind} steps have neither an "
                f"image nor a source, such as {', '.join(sorted(bare)[:SHOWN])}: give them one, or train with shell"
            )

    def fingerprints(self) -> dict[str, str]:
        """Of everything that the states depend on; empty when there are none."""
        if not self.trajectories:
            return {}
        digest = hashlib.sha256()
        for name, trajectory in sorted(self.trajectories.items()):
            commands = [turn.action.command if isinstance(turn.action, Action) else None for turn in trajectory.turns]
            task = self.tasks.get(trajectory.task_id)
            row = [name, commands, trajectory.source_format in FRESH_SHELLS, task.row() if task else None]
            digest.update(json.dumps(row, sort_keys=True).encode())
        return {"states": f"sha256:{digest.hexdigest()}"}


def held_task_source(settings: TrainSettings) -> str:
    """The held-out tasks, or "" when nothing says."""
    bundled = settings.task_source == f"{QUICKSTART}-train"
    return settings.validation_tasks or (f"{QUICKSTART}-validation" if bundled else "")


def load_states(settings: TrainSettings) -> ExpertStates:
    """The states of the steps that these settings name: none when no stage tries commands.

    What cannot be read of the trajectories is reported where the steps are made.

    Raises:
        ConfigError: no tasks are named, steps are given without their trajectories, or two trajectories share a name.
        TaskError: the tasks cannot be read.
        TrajectoryError: the trajectories cannot be read.
    """
    if not any(map(tries_commands, settings.stages)):
        return ExpertStates()
    if not settings.task_source:
        raise ConfigError(
            "tasks: similarity effect tries commands where the expert was: name the tasks of the trajectories with --tasks (a "
            "task set, a file or a hub id), or train with shell"
        )
    sources = list(dict.fromkeys(filter(None, (settings.task_source, held_task_source(settings)))))
    tasks = {task.instance_id: task for source in sources for task in load_tasks(source)}
    bundled = settings.trajectories == QUICKSTART
    training = str(quickstart_file("trajectories-train.jsonl")) if bundled else settings.trajectories
    held = settings.validation or (str(quickstart_file("trajectories-validation.jsonl")) if bundled else "")
    found = _trajectories(training, settings.logs)
    for name, other in _trajectories(held).items() if held and validates_by_effect(settings.stages) else ():
        if name in found and found[name].turns != other.turns:
            raise ConfigError(
                f"validation: similarity effect knows trajectories by name, and {name} of {held} is another one in "
                f"{training}: rename it, or train with shell"
            )
        found[name] = other
    return ExpertStates(tasks, found, " and ".join(sources))


def check_states(states: ExpertStates, settings: TrainSettings, data: StepData) -> None:
    """Check that the states of all steps that will be tried can be had on this machine.

    Raises:
        ConfigError: a step's task is not known, or has nothing to work in.
        SandboxUnavailableError: the sandbox that they need is missing.
    """
    trained = any(tries_commands(stage) and stage.method == "srl" for stage in settings.stages)
    steps = {
        "training": data.training if trained else [],
        "held-out": data.validation if validates_by_effect(settings.stages) else [],
    }
    for kind, some in steps.items():
        states.require(some, kind)
    wanted = {step.task_id for some in steps.values() for step in some}
    check_sandboxes((states.tasks[name] for name in wanted), settings.sandbox)


def _trajectories(source: str, logs: Sequence[str] = ()) -> dict[str, Trajectory]:
    """By name, with the commands and observations of their turns alone."""
    if is_step_file(source):
        raise ConfigError(
            f"similarity: effect runs the earlier turns of a step's trajectory, and {source} holds steps: give their "
            "trajectories, or train with shell"
        )
    read = read_trajectories(source, ReadReport(), more=logs)
    return {one.trajectory_id: replace(one, turns=tuple(map(_bare, one.turns))) for one in read}


def _bare(turn: Turn) -> Turn:
    action = Action(turn.action.command) if isinstance(turn.action, Action) else turn.action
    return Turn(action, turn.observation, turn.exit_code)
