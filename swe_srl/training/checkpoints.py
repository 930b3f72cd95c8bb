"""Checkpoints: ordinary model folders with the trainer's state beside the weights; written whole or not at all.

<run>/checkpoints/s0-u000040/   model.safetensors, config.json, tokenizer files   (what from_pretrained reads)
                                trainer.pt     optimiser, torch's random state (of every process)
                                state.json     stage, update, data order, sampling buffers, journal lengths, best
<run>/checkpoints/best.json     which of them is the best of its stage by validation, and its figures
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from swe_srl.errors import TrainingError
from swe_srl.files import write_atomic
from swe_srl.generation.loading import quietly
from swe_srl.training.adapters import FOLDER, has_adapter, load_adapter, merged, save_adapter
from swe_srl.training.processes import ALONE, Processes

BEST = "best.json"
TORCH_WRITER = "inline_container"  # in the RuntimeError of a `torch.save` that could not write
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
TORCH_READER = "PytorchStreamReader"  # in that of a `torch.load` of half a file


@dataclass(frozen=True, order=True)
class Place:
    """Where in a run a checkpoint was written."""

    stage: int
    update: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"s{self.stage}-u{self.update:06d}"


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: made when missing; half-written checkpoints in it are removed.
        keep: newest ones that are kept, besides the best.
        processes: the first one writes.
    """

    def __init__(self, folder: Path, keep: int, processes: Processes = ALONE) -> None:
        self.folder, self.keep, self.processes = folder, keep, processes
        if not processes.main:
            return
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".*"):
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()

    def places(self) -> list[Place]:
        """All checkpoints, oldest first."""
        names = (entry.name for entry in self.folder.iterdir() if entry.is_dir() and entry.name.startswith("s"))
        parts = (name.removeprefix("s").split("-u") for name in names)
        return sorted(Place(int(stage), int(update)) for stage, update in parts)

    def path(self, place: Place) -> Path:
        """The checkpoint's folder."""
        return self.folder / place.name

    def write(
        self,
        place: Place,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        trainer: dict[str, Any],
        state: dict[str, Any],
        alone: bool = False,
    ) -> None:
        """Write a checkpoint, then remove the ones that need not be kept (`state["best"]` names the best update).

        Args:
            alone: without the other processes, which may be elsewhere: after an interruption.
        """
        if alone and not self.processes.main:
            return
        if self.processes.count == 1 or alone:
            self._write(place, model, tokenizer, trainer, state)
            return
        whole = {**trainer, "randoms": self.processes.each(torch.get_rng_state)}
        self.processes.from_main(lambda: self._write(place, model, tokenizer, whole, state))

    def _write(
        self,
        place: Place,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        trainer: dict[str, Any],
        state: dict[str, Any],
    ) -> None:
        target = self.path(place)
        content = json.dumps({"stage": place.stage, "update": place.update, **state})

        def fill(folder: Path) -> None:
            save_model(folder, model, tokenizer)
            torch.save({**trainer, "random": torch.get_rng_state()}, folder / "trainer.pt")
            (folder / "state.json").write_text(content)

        if target.exists():  # of the same update, before its validation was over
            write_atomic(target / "state.json", content)
        else:
            write_folder(target, fill)
        best = state["best"]
        self.mark_best(place.stage, best)  # before the one that was the best until now is removed
        self._prune(Place(place.stage, best["update"]) if best else place)

    def newest(self, stage: int) -> Place | None:
        """The newest checkpoint of a stage, as the first process sees it."""
        return self.processes.from_main(lambda: max((p for p in self.places() if p.stage == stage), default=None))

    def state(self, place: Place) -> dict[str, Any]:
        """The JSON state of a checkpoint.

        Raises:
            TrainingError: it is damaged.
        """
        try:
            content: dict[str, Any] = json.loads((self.path(place) / "state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise _damaged(self.path(place), error) from error
        return content

    def restore(self, place: Place) -> dict[str, Any]:
        """Put torch's random state back; returns the trainer's state.

        It is in the CPU's memory, whatever device wrote it; the optimiser moves it to its parameters.

        Raises:
            TrainingError: it is damaged.
        """
        file = self.path(place) / "trainer.pt"
        try:
            trainer: dict[str, Any] = torch.load(file, weights_only=True, map_location="cpu")
        except (OSError, EOFError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and TORCH_READER not in str(error):  # such as one of memory
                raise
            raise _damaged(self.path(place), error) from error
        randoms = [trainer.pop("random")] * self.processes.count
        there = trainer.pop("randoms", [])
        torch.set_rng_state((there if len(there) == len(randoms) else randoms)[self.processes.index])
        return trainer

    def mark_best(self, stage: int, best: Mapping[str, Any]) -> None:
        """Write `best.json`: the folder of the stage's best checkpoint, and its figures; none when nothing was validated."""
        if not self.processes.main:
            return
        file = self.folder / BEST
        if best:
            named = {"checkpoint": Place(stage, best["update"]).name, "stage": stage, **best}
            write_atomic(file, json.dumps(named, indent=2) + "\n")
        else:
            file.unlink(missing_ok=True)

    def _prune(self, best: Place) -> None:
        places = self.places()
        for place in places[: -self.keep]:
            if place != best:
                leaving = self.folder / f".{place.name}"  # killed amid its removal, it is no checkpoint any more
                self.path(place).rename(leaving)
                shutil.rmtree(leaving)


def save_model(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Save a model (of one with adapters: these) as an ordinary folder in safetensors, with its tokenizer."""
    if has_adapter(model):
        save_adapter(model, folder)
    else:
        with quietly():
            model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_result(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, merge: bool) -> None:
    """Save what a stage ended with; a model with adapters whole with the adapters beside it (`merge`), or these alone."""
    if not (merge and has_adapter(model)):
        save_model(folder, model, tokenizer)
        return
    save_model(folder, merged(model), tokenizer)
    save_adapter(model, folder / FOLDER)


def load_weights(model: PreTrainedModel, folder: Path) -> None:
    """Copy the weights of a model folder into `model`, in place; of a model with adapters, only these.

    Raises:
        TrainingError: they are the weights of another model, or damaged.
    """
    try:
        if has_adapter(model):
            load_adapter(model, folder)
            return
        with quietly():
            saved = AutoModelForCausalLM.from_pretrained(folder, dtype=model.dtype)
    except (OSError, SafetensorError) as error:
        raise _damaged(folder, error) from error
    try:
        model.load_state_dict(saved.state_dict())
    except RuntimeError as error:
        raise TrainingError(f"{folder} holds the weights of another model: {str(error).splitlines()[0]}") from error


def _damaged(folder: Path, error: Exception) -> TrainingError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return TrainingError(
        f"{folder} is damaged or incomplete ({reason}): remove this folder and give the same command again: the run goes on from "
        "what it wrote before"
    )


@contextmanager
def disk_named(folder: Path) -> Iterator[None]:
    """Say how much is free when the disk is full inside, whatever was to be written.

    Args:
        folder: that is written to.

    Raises:
        TrainingError: it was.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise _unwritten(folder, error) from error


def _unwritten(target: Path, error: Exception) -> TrainingError:
    return TrainingError(
        f"{target} could not be written ({str(error).splitlines()[0]}; {shutil.disk_usage(target.parent).free / 2**30:.1f} "
        "GiB are free there): make room and give the same command again: the run goes on from what it wrote before"
    )


def write_folder(target: Path, fill: Callable[[Path], None]) -> None:
    """Make a folder whole or not at all: filled under a hidden name, synced, then renamed to `target`.

    A folder that is there is replaced: it is renamed first, to be removed when the new one is in its place.

    Raises:
        TrainingError: the disk is full, or does not take it; what was written is removed again.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    hidden = target.parent / f".{target.name}"
    if hidden.exists():
        shutil.rmtree(hidden)
    hidden.mkdir()
    try:
        fill(hidden)
        for file in [*hidden.rglob("*"), hidden]:
            handle = os.open(file, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)
    except Exception as error:
        shutil.rmtree(hidden, ignore_errors=True)
        if not isinstance(error, (OSError, SafetensorError)) and TORCH_WRITER not in str(error):
            raise
        raise _unwritten(target, error) from error
    before = target.parent / f".{target.name}.before"
    if target.exists():
        if before.exists():
            shutil.rmtree(before)
        target.rename(before)
    hidden.rename(target)
    if before.exists():
        shutil.rmtree(before)
