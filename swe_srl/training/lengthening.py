"""Which longer training run may go on in a shorter one's folder: one whose updates so far would have been the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swe_srl.errors import ConfigError
from swe_srl.runs import RunFolder
from swe_srl.settings import as_mapping
from swe_srl.settings.comparing import filled, plain
from swe_srl.settings.lengths import NOT_SHORTER, Lengths, longer
from swe_srl.training.settings import TrainSettings

ENDS = {"updates": False, "epochs": False, "compute_tokens": True}  # what ends a stage; whether 0 is no bound
START_ANEW = "choose another output folder, or start from the result with --model"


def lengths_of(was: Mapping[str, Any], now: Mapping[str, Any]) -> Lengths:
    """How long the last stage is, beside that of the folder.

    Its data order, samples and random numbers follow the number of the update alone; so does a constant learning rate.

    Args:
        was: the folder's settings as plain values.
        now: those of this start.
    """
    last = len(now["stages"]) - 1
    if len(was["stages"]) != last + 1:
        return Lengths()
    old, new = was["stages"][last], now["stages"][last]
    names = {name: f"stages.{last}.{name}" for name in ENDS}
    here, before = ({path: stage[name] for name, path in names.items()} for stage in (new, old))
    changed = [name for name in ENDS if old[name] != new[name]]
    if not changed:
        return Lengths(here, before)
    refused = _obstacle(old, new, changed)
    every = (name for name in ENDS if was.get(name) != now.get(name))  # the run's own, which its stages have as theirs
    return Lengths(here, before, () if refused else (*(names[name] for name in changed), *every), refused)


def _obstacle(old: Mapping[str, Any], new: Mapping[str, Any], changed: list[str]) -> str:
    if new["schedule"] != "constant" or new["warmup"]:
        follows = f"schedule: {new['schedule']}" if new["schedule"] != "constant" else f"warmup: {new['warmup']:g}"
        return (
            f"The learning rate follows the run's length ({follows}), so updates would have been others: {START_ANEW}"
        )
    if "updates" in changed and not (old["updates"] and new["updates"]):
        return "A stage that counts by epochs (updates: 0) cannot go on counting by updates, nor the reverse"
    if not all(longer(old[name], new[name], endless=ENDS[name]) for name in changed):
        return NOT_SHORTER
    return ""


def is_lengthening(settings: TrainSettings) -> bool:
    """Whether the folder's result is that of a shorter run than these settings ask for."""
    if not (settings.output / "run.json").is_file():
        return False
    run, usual = RunFolder.read(settings.output), as_mapping(TrainSettings())
    if run.lengthening:
        return True
    was, now = filled(run.settings, plain(usual)), filled(plain(as_mapping(settings)), plain(usual))
    return bool(lengths_of(was, now).grown)


def check_lengthening(settings: TrainSettings) -> None:
    """Look for the state of the last stage, where a run that ended is to be made longer.

    Raises:
        ConfigError: there is no checkpoint of it.
    """
    last, folder = len(settings.stages) - 1, Path(settings.output)
    ended = (folder / "stages" / f"{last}.json").exists()
    if ended and is_lengthening(settings) and not any((folder / "checkpoints").glob(f"s{last}-u*/state.json")):
        raise ConfigError(
            f"{folder}/checkpoints has no checkpoint of stage {last}, so the run cannot be made longer: {START_ANEW} "
            f"{folder / 'model'}"
        )
