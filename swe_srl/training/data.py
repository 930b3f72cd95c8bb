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
from swe_srl.provenance import fingerprint
from swe_srl.rewards import get_similarity
from swe_srl.rewards.own import source_of
from swe_srl.seeds import derive_seed
from swe_srl.training.holding_out import hold_out
from swe_srl.training.settings import QUICKSTART, TrainSettings
from swe_srl.training.subset import chosen_steps
from swe_srl.trajectories import (
    Contamination,
    ContaminationIndex,
    ReadReport,
    choose_steps,
    is_step_file,
    make_steps,
    read_steps,
    read_trajectories,
)
from swe_srl.types import Step

SHOWN = 10  # tasks named in a message
MODEL_FILES = (".safetensors", ".bin", ".json", ".jinja", ".model", ".txt", ".py")


@dataclass(frozen=True)
class StepData:
    """The steps of a run.

    Args:
        training: what is trained on.
        validation: held out; of other tasks.
        report: what became of every turn of the training trajectories.
        held_report: the same of trajectories for validation; None when some of the training ones were held out.
        contaminated: steps of evaluation tasks, trained on or held out, kept because contamination was allowed.
    """

    training: list[Step]
    validation: list[Step]
    report: ReadReport
    contaminated: list[Contamination]
    held_report: ReadReport | None = None

    @property
    def shared_tasks(self) -> list[str]:
        """Tasks of validation steps that are trained on too: only named validation trajectories can have any."""
        return sorted({s.task_id for s in self.training} & {s.task_id for s in self.validation} - {""})

    def fingerprints(self) -> dict[str, str]:
        """Of what is trained on and what is held out: contexts, targets and thoughts; empty when no stage needs steps."""
        if not self.training:
            return {}
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
        TrajectoryError: no trajectories there, or none gives a step; the same of validation trajectories, when named.
        ContaminationError: steps belong to tasks of the evaluation split; the message lists them.
    """
    if not settings.needs_steps:
        return StepData([], [], ReadReport(), [])
    bundled = settings.trajectories == QUICKSTART
    source = quickstart_file("trajectories-train.jsonl") if bundled else settings.trajectories
    training, report = _read(source, settings, settings.logs)
    _require(training, source, report, "training")
    held: Path | str = settings.validation
    if bundled and not held:
        held = quickstart_file("trajectories-validation.jsonl")
    if not held:
        training, validation = hold_out(training, settings.validation_share, settings.seed)
        training = chosen_steps(training, settings)
        return StepData(training, validation, report, guard(training, validation, settings))
    validation, held_report = _read(held, settings)
    if settings.validation:
        _require(validation, held, held_report, "validation")
    training = chosen_steps(training, settings)
    return StepData(training, validation, report, guard(training, validation, settings), held_report)


def _read(source: str | Path, settings: TrainSettings, logs: Sequence[str] = ()) -> tuple[list[Step], ReadReport]:
    agent, report = AgentDefinition.load(settings.agent_name), ReadReport()
    if is_step_file(source):
        if logs:
            raise ConfigError(f"logs: they are trajectories, and {source} holds steps: make steps of them first")
        form = agent.prompting.action_format
        steps = list(choose_steps(read_steps(source, report), report, settings.steps, form=form))
    else:
        trajectories = read_trajectories(source, report, more=logs)
        steps = list(make_steps(trajectories, agent.prompting, report, settings.steps, submit=agent.submit))
    report.check()
    return steps, report


def _require(steps: Sequence[Step], source: str | Path, report: ReadReport, purpose: str) -> None:
    if not steps:
        reasons = ", ".join(sorted([*report.records, *report.turns])) or "no turn was read"
        raise TrajectoryError(f"{source}: no {purpose} step came of it ({reasons})")


def guard(training: Sequence[Step], held: Sequence[Step], settings: TrainSettings) -> list[Contamination]:
    """The steps, trained on or held out (those choose the model), that belong to tasks of the evaluation split.

    Raises:
        ContaminationError: there are some, and `allow_contamination` is off.
    """
    if not settings.evaluation_split:
        return []
    from swe_srl.tasks import load_tasks

    index = ContaminationIndex(load_tasks(settings.evaluation_split))
    trained, kept = ([match for match in map(index.match, steps) if match is not None] for steps in (training, held))
    found = [*trained, *kept]
    if found and not settings.allow_contamination:
        tasks = list(dict.fromkeys(f"{match.task_id} (by {match.by})" for match in found))
        more = f", and {len(tasks) - SHOWN} more" if len(tasks) > SHOWN else ""
        parts = {"training": len(trained), "held-out": len(kept)}
        counts = " and ".join(f"{count} {name} steps" for name, count in parts.items() if count)
        raise ContaminationError(
            f"{counts} belong to {len(tasks)} tasks of {settings.evaluation_split!r}: "
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


def stage_steps(steps: Sequence[Step], settings: TrainSettings, index: int) -> list[Step]:
    """The steps as a stage trains on them: with the targets that its settings ask for."""
    stage, found = settings.stages[index], list(steps)
    if stage.method == "srl" and stage.srl_target == "rest":
        found = rest_targets(found, AgentDefinition.load(settings.agent_name).submit)
    return shuffle_targets(found, derive_seed(settings.seed, "stage", index)) if stage.shuffle_targets else found


def rest_targets(steps: Sequence[Step], submit: str) -> list[Step]:
    """Every step with its own and all later commands of its trajectory as one target, a line after the other.

    This is the holistic reward of one step that the paper compares with: the whole rest of the trajectory as one action.

    Args:
        steps: in any order; turns that gave no step have no command in a target.
        submit: the reserved command that ends an episode: no script can hold it, so it is a target alone.
    """
    later: dict[str, list[tuple[int, str]]] = {}
    for step in steps:
        later.setdefault(step.trajectory_id, []).append((step.index, step.target))
    for commands in later.values():
        commands.sort()

    def rest(step: Step) -> str:
        commands = [command for index, command in later[step.trajectory_id] if index >= step.index]
        return "\n".join([one for one in commands if one.strip() != submit] or commands[:1])

    return [replace(step, target=rest(step)) for step in steps]


def steps_fingerprint(steps: Iterable[Step]) -> str:
    """`sha256:` of everything that training reads of these steps, in order."""
    digest = hashlib.sha256()
    for step in steps:
        chat = [[message.role, message.content] for message in step.context]
        digest.update(json.dumps([step.step_id, step.task_id, chat, step.target, step.thought]).encode())
    return f"sha256:{digest.hexdigest()}"


def similarity_fingerprints(settings: TrainSettings) -> dict[str, str]:
    """Of the files that hold similarities of the user's own."""
    own = {stage.similarity for stage in settings.stages if ":" in stage.similarity}
    sources = {name: source_of(name) for name in sorted(own)}
    return {f"similarity {name}": fingerprint(file) for name, file in sources.items() if file is not None}


def try_similarities(settings: TrainSettings, steps: Sequence[Step]) -> None:
    """Call every similarity of the user's own once, on an expert's answer beside itself: a broken one is told before the run.

    Raises:
        ConfigError: it raised something, or returned no number from 0 to 1.
    """
    for name in sorted({stage.similarity for stage in settings.stages if ":" in stage.similarity}):
        for step in steps[:1]:
            get_similarity(name)(step.target, step.target)


def order_fingerprint(steps: Iterable[Step]) -> str:
    """`sha256:` of which steps are of one trajectory, which `steps_per_trajectory` draws together."""
    return f"sha256:{hashlib.sha256(json.dumps([step.trajectory_id for step in steps]).encode()).hexdigest()}"


def model_fingerprint(folder: Path) -> str:
    """`sha256:` of names and contents of the files of a model folder that say how it computes and what it was taught."""
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.suffix in MODEL_FILES and file.is_file():
            digest.update(f"{file.name}\0{fingerprint(file)}\0".encode())
    return f"sha256:{digest.hexdigest()}"


class StepStream:
    """Indices of steps, epoch after epoch, each epoch in its own seeded order.

    Args:
        count: number of steps.
        seed: of the orders.
        drawn: how many indices were taken before (for resuming).
        trajectories: of each step, in order; needed when `together` is more than 1.
        together: steps of one trajectory that come one after the other; a trajectory's last run may be shorter.
    """

    def __init__(
        self, count: int, seed: int, drawn: int = 0, trajectories: Sequence[str] = (), together: int = 1
    ) -> None:
        self.count, self.seed, self.drawn = count, seed, drawn
        self.trajectories, self.together = trajectories, together
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
            self._epoch, self._order = epoch, self._shuffled(epoch)
        self.drawn += 1
        return epoch, self._order[position]

    def _shuffled(self, epoch: int) -> list[int]:
        order, stream = list(range(self.count)), random.Random(derive_seed(self.seed, "order", epoch))
        stream.shuffle(order)
        if self.together == 1:
            return order
        by_trajectory: dict[str, list[int]] = {}
        for index in order:
            by_trajectory.setdefault(self.trajectories[index], []).append(index)
        runs = [
            steps[start : start + self.together]
            for steps in by_trajectory.values()
            for start in range(0, len(steps), self.together)
        ]
        stream.shuffle(runs)
        return [index for run in runs for index in run]
