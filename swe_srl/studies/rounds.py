"""Self-improvement: collect, filter, train, and again, with a row of figures for every model."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swe_srl.errors import ConfigError
from swe_srl.evaluation import compare, evaluate
from swe_srl.evaluation.collect_settings import CollectSettings
from swe_srl.evaluation.collection import FILE, Collection, collect, collected
from swe_srl.evaluation.markdown import percent
from swe_srl.evaluation.running import check_run
from swe_srl.evaluation.settings import EvalSettings
from swe_srl.evaluation.statistics import Estimate
from swe_srl.files import write_atomic
from swe_srl.progress import Progress, SilentProgress, Watch
from swe_srl.runs import RunFolder
from swe_srl.seeds import derive_seed
from swe_srl.settings import as_mapping
from swe_srl.studies.rounds_settings import FREE, RoundsSettings
from swe_srl.tasks import load_tasks
from swe_srl.training.recipes import load_recipe
from swe_srl.trajectories import ContaminationIndex

if TYPE_CHECKING:
    from swe_srl.evaluation.report import Report
    from swe_srl.training.settings import TrainSettings

COLUMNS = (
    "model", "trajectories", "steps", "held-out resolved (95% interval)", "points above the start", "similarity",
    "format errors", "episodes collected", "resolved", "kept", "of tasks",
)  # fmt: skip

SHOWN = 3  # tasks that a message names


@dataclass(frozen=True)
class Round:
    """One model: what it was trained on, what it does on held-out tasks, and what it collected for the next one.

    Args:
        number: 0 for the model that it begins with.
        trajectories, steps: that it was trained on; 0 for the first one.
        rate: of the held-out samples resolved, by the official rules.
        change: of that rate to the first model's, paired by task; None for the first one.
        similarity: to the expert's commands on the held-out tasks; None when no expert is known.
        format_errors: share of the held-out turns.
        lost: held-out samples that the infrastructure broke.
        collected: what became of its episodes on the training tasks; None for the last model.
    """

    number: int
    trajectories: int
    steps: int
    rate: Estimate
    change: Estimate | None
    similarity: float | None
    format_errors: float
    lost: int
    collected: Collection | None

    def cells(self) -> list[str]:
        """The row as text, one cell for each of `COLUMNS`."""
        change, kept = self.change, self.collected
        return [
            f"after round {self.number}" if self.number else "at the start",
            str(self.trajectories) if self.number else "",
            str(self.steps) if self.number else "",
            percent(self.rate),
            f"{100 * change.value:+.1f} ({100 * change.low:+.1f} to {100 * change.high:+.1f})" if change else "",
            "unknown" if self.similarity is None else f"{self.similarity:.3f}",
            f"{self.format_errors:.1%}",
            *(("", "", "", "") if kept is None else _collected(kept)),
        ]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; of what was collected the counts."""
        row = {one.name: getattr(self, one.name) for one in dataclasses.fields(self) if one.name != "collected"}
        row |= {name: dataclasses.asdict(row[name]) for name in ("rate", "change") if row[name] is not None}
        found, row["collected"] = self.collected, None
        if found is not None:
            counts = {
                name: getattr(found, name) for name in ("episodes", "unresolved", "fooled", "duplicates", "beyond")
            }
            row["collected"] = {**counts, "kept": len(found.trajectories), "tasks": found.tasks}
        return row


def self_improve(settings: RoundsSettings, progress: Progress | None = None, watch: Watch | None = None) -> list[Round]:
    """Make the rounds, or go on with them, and write `rounds.json` and `rounds.md` after each.

    A round's model starts from the one before it and is trained on what that one resolved itself, nothing else; a round
    that keeps no episode is the last.

    Raises:
        ConfigError: settings that cannot be used, or the folder holds something else.
        SweSrlError: as `collect`, `train` and `evaluate` do; the same call goes on where it was.
    """
    told = progress or SilentProgress()
    check_rounds(settings)
    found: list[Round] = []
    made = _made(settings)
    recorded, usual = as_mapping(settings), as_mapping(RoundsSettings())
    with RunFolder.start(settings.output, "self-improve", recorded, free=FREE, defaults=usual):
        for one in _rounds(settings, told, watch):
            found = [*found[: one.number], one]
            if one.number < made:  # the pages that are there tell more
                continue
            write_atomic(settings.output / "rounds.json", json.dumps([row.as_dict() for row in found], indent=2) + "\n")
            write_atomic(settings.output / "rounds.md", rounds_markdown(settings, found))
    return found


def check_rounds(settings: RoundsSettings) -> None:
    """Look at everything that the first round needs, and neither run nor write anything.

    Raises:
        ConfigError: settings that cannot be used, more rounds are there already, or tasks to collect on are held-out ones.
        SweSrlError: as `self_improve` would.
    """
    made = _made(settings)
    if made > settings.rounds:
        raise ConfigError(f"rounds: {settings.output} holds {made} already: it cannot be made shorter")
    model = settings.model or load_recipe(settings.recipe).model
    training = training_of(settings, 1, model)
    check_run(evaluation_of(settings, 0, model))
    selection, _, _ = check_run(collecting_of(settings, 1, model).evaluation)
    if training.allow_contamination:
        return
    held_out = ContaminationIndex(load_tasks(settings.split))
    shared = [task.instance_id for task in selection.tasks if held_out.match_task(task)]
    if shared:
        raise ConfigError(
            f"tasks: {len(shared)} tasks of {settings.tasks} are held-out ones of {settings.split}, which no round is trained "
            f"on: {', '.join(shared[:SHOWN])}{', …' if len(shared) > SHOWN else ''}. Give other tasks, or another split"
        )


def _made(settings: RoundsSettings) -> int:
    """Rounds that an earlier start has written a row of."""
    page = settings.output / "rounds.json"
    return int(json.loads(page.read_text(encoding="utf-8"))[-1]["number"]) if page.exists() else 0


def _rounds(settings: RoundsSettings, progress: Progress, watch: Watch | None) -> Iterator[Round]:
    """The models in turn: each as soon as it is evaluated, and again when it has collected."""
    from swe_srl.training import train

    model, number = settings.model or load_recipe(settings.recipe).model, 0
    trained = (0, 0)
    while True:
        progress.note(f"round {number} of {settings.rounds}: {model} on held-out tasks")
        report = evaluate(evaluation_of(settings, number, model), progress, watch=watch)
        one = _round(settings, number, trained, report)
        yield one
        if number == settings.rounds:
            return
        number += 1
        progress.note(f"round {number} of {settings.rounds}: {model} works on the training tasks")
        collection = _collection(settings, number, model, progress, watch)
        yield dataclasses.replace(one, collected=collection)
        if not collection.trajectories:
            progress.note(f"round {number}: no episode is worth keeping, so there is nothing to train on: it ends here")
            return
        folder = train(training_of(settings, number, model), progress)
        model, trained = str(folder / "model"), _trained(folder)


def _collection(
    settings: RoundsSettings, number: int, model: str, progress: Progress, watch: Watch | None
) -> Collection:
    """What a round trains on. Once its training has begun, no episode that the infrastructure broke is tried again."""
    collecting = collecting_of(settings, number, model)
    if (training_of(settings, number, model).output / "run.json").is_file():
        return collected(collecting)
    return collect(collecting, progress, watch=watch)[0]


def _round(settings: RoundsSettings, number: int, trained: tuple[int, int], report: Report) -> Round:
    change = None
    if number and report.samples:
        first, own = (settings.output / f"round-{one}" / "eval" for one in (0, number))
        change = compare(first, own, common=True).difference
    return Round(
        number,
        *trained,
        report.resolve_rate,
        change,
        report.similarity,
        report.format_error_rate,
        len(report.failures),
        None,
    )


def evaluation_of(settings: RoundsSettings, number: int, model: str) -> EvalSettings:
    """The held-out evaluation of a round's model: the same tasks and seeds for all, so that they can be paired."""
    return EvalSettings(
        split=settings.split,
        policy=model,
        agent=load_recipe(settings.recipe).agent_name,
        samples=settings.held_out_samples,
        limit=settings.held_out_limit,
        sandbox=settings.sandbox,
        workers=settings.workers,
        seed=settings.seed,
        output=settings.output / f"round-{number}" / "eval",
    )


def collecting_of(settings: RoundsSettings, number: int, model: str) -> CollectSettings:
    """How the model before a round collects for it."""
    return CollectSettings(
        split=settings.tasks,
        policy=model,
        agent=load_recipe(settings.recipe).agent_name,
        difficulty=settings.difficulty,
        samples=settings.samples,
        keep=settings.keep,
        limit=settings.limit,
        sandbox=settings.sandbox,
        workers=settings.workers,
        seed=derive_seed(settings.seed, "round", number),
        output=settings.output / f"round-{number}" / "collect",
    )


def training_of(settings: RoundsSettings, number: int, model: str) -> TrainSettings:
    """The training of a round: the recipe on what was collected.

    Raises:
        ConfigError: the recipe has a stage that learns from no trajectories.
    """
    recipe = load_recipe(settings.recipe, **({} if settings.updates is None else {"updates": settings.updates}))
    if not all(stage.method in ("srl", "sft") for stage in recipe.stages):
        raise ConfigError(f"recipe: {settings.recipe} has an rlvr stage, which learns nothing from what is collected")
    return dataclasses.replace(
        recipe,
        model=model,
        agent=recipe.agent_name,
        trajectories=str(settings.output / f"round-{number}" / "collect" / FILE),
        validation="",  # the expert's would tell the student more than it has found itself
        logs=(),
        evaluation_split=settings.split,
        seed=settings.seed,
        output=settings.output / f"round-{number}" / "train",
    )


def _trained(folder: Path) -> tuple[int, int]:
    """Trajectories and steps that a training had."""
    report = json.loads((folder / "steps.json").read_text(encoding="utf-8"))
    return int(report["trajectories_trained_on"]), int(report["training"])


def _collected(found: Collection) -> tuple[str, ...]:
    resolved = found.episodes - found.unresolved
    share = f" ({resolved / found.episodes:.1%})" if found.episodes else ""
    return str(found.episodes), f"{resolved}{share}", str(len(found.trajectories)), str(found.tasks)


def rounds_markdown(settings: RoundsSettings, rounds: Sequence[Round]) -> str:
    """The page: a row for every model."""
    lines = [COLUMNS, ["---"] * len(COLUMNS), *(one.cells() for one in rounds)]
    lost = sum(one.lost for one in rounds)
    parts = [
        "# Self-improvement",
        f"Each model works on `{settings.tasks}`, {settings.samples} episodes a task; of those that resolve their task by the "
        f"hardened rules {settings.keep or 'all'} a task are kept, and the next model is trained on them by `{settings.recipe}`, "
        f"from where it stands. Held out: `{settings.split}`, {settings.held_out_samples} episodes a task, official rules; "
        "differences are paired by task. One seed: the intervals are over tasks alone.",
        "\n".join("| " + " | ".join(line) + " |" for line in lines),
    ]
    parts += [f"{lost} held-out samples were lost to infrastructure failures and count for nothing."] if lost else []
    return "\n\n".join(parts) + "\n"
