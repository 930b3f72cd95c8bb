"""Weights & Biases and trackio, through accelerate's trackers: each gets every row of metrics.jsonl as it is written."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec

from accelerate import PartialState
from accelerate.tracking import GeneralTracker, TrackioTracker, WandBTracker

from swe_srl.errors import ConfigError
from swe_srl.runs import RunFolder

PROJECT = "swe-srl"


class Trackers:
    """The trackers of one run. A resumed run goes on with its record where the tracker can.

    Args:
        names: of trackers.
        run: the run folder; its name is the run's.

    Raises:
        ConfigError: one of them is not installed, or does not start (not logged in, for example).
    """

    def __init__(self, names: Sequence[str], run: RunFolder) -> None:
        missing = [name for name in names if find_spec(name) is None]
        if missing:
            raise ConfigError(f"{', '.join(missing)} is not installed: pip install 'swe-srl[tracking]'")
        if names:
            PartialState()  # accelerate's trackers log through it
        self._started: list[GeneralTracker] = []
        for name in names:
            try:
                tracker = _MAKERS[name](run)
                tracker.start()
                self._started.append(tracker)
                tracker.store_init_configuration(run.settings)
            except Exception as error:
                self.close()
                if not run.resumed:  # the folder is to be free for a second, better start
                    shutil.rmtree(run.file("wandb"), ignore_errors=True)
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise ConfigError(f"{name} does not start: {reason}. Set it up, or leave it out of track") from error

    def log(self, values: Mapping[str, float], position: int) -> None:
        """One row of numbers."""
        for tracker in self._started:
            tracker.log(dict(values), step=position)

    def close(self) -> None:
        """Finish the records. Idempotent."""
        while self._started:
            self._started.pop().finish()


def _wandb(run: RunFolder) -> GeneralTracker:
    identity = hashlib.sha256(run.file("run.json").read_bytes()).hexdigest()[:16]
    quiet = {"silent": True, "console": "off"}
    return WandBTracker(PROJECT, name=run.path.name, id=identity, resume="allow", dir=str(run.path), settings=quiet)


def _trackio(run: RunFolder) -> GeneralTracker:
    return TrackioTracker(PROJECT, name=run.path.name, resume="allow")


_MAKERS: dict[str, Callable[[RunFolder], GeneralTracker]] = {"wandb": _wandb, "trackio": _trackio}
