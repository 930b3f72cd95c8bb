"""The tasks of a run: read, held out, checked against the evaluation split and for what can be run here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from swe_srl.definitions import load_definition
from swe_srl.errors import ConfigError, ContaminationError, SweSrlError
from swe_srl.grading import GradingSettings, check_sandboxes, obstacle
from swe_srl.seeds import derive_seed
from swe_srl.tasks import load_tasks
from swe_srl.training.expert_states import ExpertStates, held_task_source, load_states
from swe_srl.training.settings import TrainSettings
from swe_srl.training.subset import chosen_tasks
from swe_srl.trajectories import Contamination, ContaminationIndex
from swe_srl.types import Task

SHOWN = 10  # tasks named in a message
WITHOUT_EFFECT = ("description", "pool_size", "pool_rate")  # of a definition on what episodes are


@dataclass(frozen=True)
class TaskData:
    """The tasks of a run.

    Args:
        training: what is trained on.
        validation: held out.
        contaminated: tasks of the evaluation split, kept because contamination was allowed.
        states: where commands can be tried, for similarity `effect`.
    """

    training: tuple[Task, ...] = ()
    validation: tuple[Task, ...] = ()
    contaminated: tuple[Contamination, ...] = ()
    states: ExpertStates = field(default_factory=ExpertStates)

    def fingerprints(self) -> dict[str, str]:
        """Of the rows of all tasks, and of the experts' states; empty when there are none."""
        parts = {"tasks": self.training, "validation_tasks": self.validation}
        found = {name: _fingerprint(tasks) for name, tasks in parts.items() if tasks}
        return found | self.states.fingerprints()


def load_task_data(settings: TrainSettings) -> TaskData:
    """The tasks that these settings name: none when no stage needs them.

    Raises:
        ConfigError: similarity `effect` lacks what it needs; `instances` that there are not, or that are held out.
        TaskError: they cannot be read.
        ContaminationError: some belong to the evaluation split; the message lists them.
    """
    states = load_states(settings)
    if not settings.needs_tasks:
        return TaskData(states=states)
    training = load_tasks(settings.task_source)
    if held := held_task_source(settings):
        validation = load_tasks(held)
        shared = {task.instance_id for task in training} & {task.instance_id for task in validation}
        if shared:
            raise ConfigError(
                f"validation_tasks: {len(shared)} of them are trained on too: {', '.join(sorted(shared)[:SHOWN])}"
            )
    else:
        training, validation = _hold_out(training, settings.validation_share, settings.seed)
    training = chosen_tasks(training, validation, settings)
    found = _guard((*training, *validation), settings)
    return TaskData(tuple(training), tuple(validation), tuple(found), states)


def runnable(data: TaskData, settings: TrainSettings) -> tuple[TaskData, dict[str, str]]:
    """The tasks that can be run here, and why each of the others cannot, by instance.

    Raises:
        SweSrlError: none of the training tasks can be run, or the sandbox that they need is missing.
    """
    if not data.training:
        return data, {}
    grading = GradingSettings(settings.sandbox, settings.grading_timeout)
    found = {task.instance_id: obstacle(task, grading) for task in (*data.training, *data.validation)}
    left = replace(
        data,
        training=tuple(task for task in data.training if not found[task.instance_id]),
        validation=tuple(task for task in data.validation if not found[task.instance_id]),
    )
    unavailable = {name: reason for name, reason in found.items() if reason}
    if not left.training:
        first = next(iter(unavailable.values()))
        raise SweSrlError(f"none of the tasks of {settings.task_source} can be run here. The first reason: {first}")
    check_sandboxes((*left.training, *left.validation), settings.sandbox)
    return left, unavailable


def _hold_out(tasks: Sequence[Task], share: float, seed: int) -> tuple[list[Task], list[Task]]:
    """Tasks for training and for validation; which ones depends on their names and the seed alone."""
    order = sorted(tasks, key=lambda task: derive_seed(seed, "held out", task.instance_id))
    count = min(len(tasks) - 1, max(1, round(share * len(tasks)))) if share and len(tasks) > 1 else 0
    held = {task.instance_id for task in order[:count]}
    return [t for t in tasks if t.instance_id not in held], [t for t in tasks if t.instance_id in held]


def _guard(tasks: Sequence[Task], settings: TrainSettings) -> list[Contamination]:
    """The tasks, trained on or held out (those choose the model), that belong to the evaluation split."""
    if not settings.evaluation_split:
        return []
    index = ContaminationIndex(load_tasks(settings.evaluation_split))
    found = [match for match in map(index.match_task, tasks) if match is not None]
    if found and not settings.allow_contamination:
        named = ", ".join(map(_told, found[:SHOWN]))
        more = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise ContaminationError(
            f"{len(found)} of the tasks of rlvr belong to {settings.evaluation_split!r}: {named}{more}. Leave them out "
            "(--instances takes a file of the ids to train on), or set allow_contamination"
        )
    return found


def _told(match: Contamination) -> str:
    """A task of rlvr, and the evaluation task that it is."""
    return f"{match.step_id} ({'' if match.step_id == match.task_id else f'{match.task_id} '}by {match.by})"


def definition_fingerprints(settings: TrainSettings, tasks: TaskData) -> dict[str, str]:
    """Of the agent definition of episodes, and of a named environment's. What an agent shows of steps is in the steps'.

    Raises:
        DefinitionNotFoundError: there is no such definition.
    """
    named = {"agent": ("agents", settings.agent_name)} if settings.needs_tasks else {}
    if settings.environment and (settings.needs_tasks or tasks.states.tasks):
        named["environment"] = ("envs", settings.environment)
    found = {}
    for name, (kind, source) in named.items():
        read = {key: value for key, value in load_definition(kind, source).items() if key not in WITHOUT_EFFECT}
        found[name] = f"sha256:{hashlib.sha256(json.dumps(read, sort_keys=True, default=str).encode()).hexdigest()}"
    return found


def _fingerprint(tasks: Sequence[Task]) -> str:
    digest = hashlib.sha256()
    for task in tasks:
        digest.update(json.dumps(task.row(), sort_keys=True).encode())
    return f"sha256:{digest.hexdigest()}"
