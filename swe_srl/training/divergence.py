"""Training that diverged: what is raised, and the way on from the last model that was whole."""

from __future__ import annotations

from pathlib import Path

from swe_srl.errors import TrainingError
from swe_srl.training.checkpoints import Place
from swe_srl.training.settings import RANDOM
from swe_srl.training.workplace import Workplace


class DivergedError(TrainingError):
    """Training diverged; the message says what was seen. `StageTrainer` adds the way on.

    Args:
        unlearnt: whether the newest checkpoint is no good either: its numbers are finite, but the policy is worse than before.
    """

    def __init__(self, seen: str, unlearnt: bool = False) -> None:
        super().__init__(seen)
        self.unlearnt = unlearnt


def way_on(work: Workplace, index: int, start: Path | str, best: int | None, unlearnt: bool) -> str:
    """What to do after a stage diverged: a new run, since the same folder only takes the same settings.

    Args:
        index: of the stage.
        start: the model that the stage started from.
        best: its best update by validation so far.
        unlearnt: see `DivergedError`.
    """
    place, other = work.checkpoints.newest(index), ""
    if unlearnt:
        place = None if best is None else Place(index, best)
    elif place is not None and best is not None and best != place.update and not work.settings.lora.rank:
        other = f"; the best one by validation is {work.checkpoints.path(Place(index, best))}"
    model, what = _begun_with(work, index, start), "the model that the stage started with"
    if place is not None and not work.settings.lora.rank:
        model, what = work.checkpoints.path(place), f"the checkpoint of update {place.update}"
    rate = work.settings.stages[index].learning_rate
    exact = "" if work.autocast is None else " (or with --dtype float32)"
    rest = "" if index == 0 else ", with this stage and what comes after it alone"
    return (
        f"start a new run with a lower learning_rate (it is {rate:g}){exact} from {what}{rest}: "
        f"--model {model} --output ANOTHER_FOLDER{other}"
    )


def _begun_with(work: Workplace, index: int, start: Path | str) -> Path | str:
    """A whole model: checkpoints of adapters, and results that are not merged, are none."""
    settings = work.settings
    if index == 0 or not settings.lora.rank or settings.lora.merge:
        return start
    return work.journal.run.file("random-model") if settings.model == RANDOM else settings.model
