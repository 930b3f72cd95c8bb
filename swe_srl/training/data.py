"""The steps of a run: read, held out, checked against the evaluation split, fingerprinted. Imports no torch."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from swe_srl.agents.definition import AgentDefinition
from swe_srl.errors import ConfigError, ContaminationError, TrajectoryError
from swe_srl.seeds import derive_seed
from swe_srl.training.settings import QUICKSTART, TrainSettings
from swe_srl.trajectories import Contamination, ContaminationIndex, ReadReport, make_steps, read_trajectories
from swe_srl.types import Step

SHOWN = 10  # contaminated tasks named in an error


@dataclass(frozen=True)
class StepData:
    """The steps of a run.

    Args:
        training: what is trained on.
        validation: held out; of other tasks.
        report: what became of every turn of the training trajectories.
        contaminated: training steps of evaluation tasks, kept because contamination was allowed.
    """

    training: list[Step]
    validation: list[Step]
    report: ReadReport
    contaminated: list[Contamination]

    def fingerprints(self) -> dict[str, str]:
        """Of what is trained on and what is held out: contexts, targets and thoughts."""
        return {"training": steps_fingerprint(self.training), "validation": steps_fingerprint(self.validation)}


def quickstart_file(name: str) -> Path:
    """Path of a file or folder of the bundled quickstart data.

    Raises:
        ConfigError: this installation does not have it.
    """
    path = Path(str(resources.files("swe_srl") / "data" / QUICKSTART / name))
    if not path.exists():
        raise ConfigError(f"the bundled quickstart data lacks {name} (looked at {path}): install the package again")
    return path


def load_steps(settings: TrainSettings) -> StepData:
    """The steps that these settings name.

    Raises:
        TrajectoryError: no trajectories there, or none gives a step.
        ContaminationError: steps belong to tasks of the evaluation split; the message lists them.
    """
    report = ReadReport()
    if settings.trajectories == QUICKSTART:
        steps = _read(quickstart_file("trajectories-train.jsonl"), settings, report)
    else:
        steps = _read(settings.trajectories, settings, report)
    report.check()
    if settings.validation:
        training, validation = steps, _read(settings.validation, settings, ReadReport())
    elif settings.trajectories == QUICKSTART:
        training = steps
        validation = _read(quickstart_file("trajectories-validation.jsonl"), settings, ReadReport())
    else:
        training, validation = hold_out(steps, settings.validation_share, settings.seed)
    if not training:
        reasons = ", ".join(sorted(report.turns)) or "no turn was read"
        raise TrajectoryError(f"{settings.trajectories}: no training step came of it ({reasons})")
    return StepData(training, validation, report, guard(training, settings))


def _read(source: str | Path, settings: TrainSettings, report: ReadReport) -> list[Step]:
    agent = AgentDefinition.load(settings.agent_name)
    trajectories = read_trajectories(source, report)
    return list(make_steps(trajectories, agent.prompting, report, settings.steps, submit=agent.submit))


def hold_out(steps: Sequence[Step], share: float, seed: int) -> tuple[list[Step], list[Step]]:
    """Steps for training and for validation: whole tasks are held out, at least one when there are two or more.

    Which tasks depends on their names and the seed alone.
    """
    tasks = sorted({step.task_id for step in steps}, key=lambda task: derive_seed(seed, "held out", task))
    count = min(len(tasks) - 1, max(1, round(share * len(tasks)))) if share and len(tasks) > 1 else 0
    held = set(tasks[:count])
    return [s for s in steps if s.task_id not in held], [s for s in steps if s.task_id in held]


def guard(steps: Sequence[Step], settings: TrainSettings) -> list[Contamination]:
    """Steps that belong to tasks of the evaluation split.

    Raises:
        ContaminationError: there are some, and `allow_contamination` is off.
    """
    if not settings.evaluation_split:
        return []
    from swe_srl.tasks import load_tasks

    index = ContaminationIndex(load_tasks(settings.evaluation_split))
    found = [match for match in map(index.match, steps) if match is not None]
    if found and not settings.allow_contamination:
        tasks = list(dict.fromkeys(f"{match.task_id} (by {match.by})" for match in found))
        more = f", and {len(tasks) - SHOWN} more" if len(tasks) > SHOWN else ""
        raise ContaminationError(
            f"{len(found)} training steps belong to {len(tasks)} tasks of {settings.evaluation_split!r}: "
            f"{', '.join(tasks[:SHOWN])}{more}. Leave these trajectories out, or set allow_contamination"
        )
    return found


def shuffle_targets(steps: Sequence[Step], seed: int) -> list[Step]:
    """Every step with the target and thought of another one: a control in which nothing can be learnt from contexts."""
    order = list(range(len(steps)))
    stream = random.Random(derive_seed(seed, "shuffled targets"))
    for last in range(len(order) - 1, 0, -1):  # Sattolo: one cycle, so no step keeps its own
        other = stream.randrange(last)
        order[last], order[other] = order[other], order[last]
    return [
        replace(step, target=steps[other].target, thought=steps[other].thought)
        for step, other in zip(steps, order, strict=True)
    ]


def steps_fingerprint(steps: Iterable[Step]) -> str:
    """`sha256:` of everything that training reads of these steps, in order."""
    digest = hashlib.sha256()
    for step in steps:
        chat = [[message.role, message.content] for message in step.context]
        digest.update(json.dumps([step.step_id, step.task_id, chat, step.target, step.thought]).encode())
    return f"sha256:{digest.hexdigest()}"


class StepStream:
    """Indices of steps, epoch after epoch, each epoch in its own seeded order.

    Args:
        count: number of steps.
        seed: of the orders.
        drawn: how many indices were taken before (for resuming).
    """

    def __init__(self, count: int, seed: int, drawn: int = 0) -> None:
        self.count, self.seed, self.drawn = count, seed, drawn
        self._epoch = -1
        self._order: list[int] = []

    @property
    def epoch(self) -> int:
        """The epoch of the next index, from 0."""
        return self.drawn // self.count

    def take(self, count: int) -> list[tuple[int, int]]:
        """The next (epoch, index) pairs."""
        return [self._next() for _ in range(count)]

    def _next(self) -> tuple[int, int]:
        epoch, position = divmod(self.drawn, self.count)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, list(range(self.count))
            random.Random(derive_seed(self.seed, "order", epoch)).shuffle(self._order)
        self.drawn += 1
        return epoch, self._order[position]
