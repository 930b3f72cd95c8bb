"""Training: SRL and SFT on expert steps, RLVR on whole episodes. Exact and resumable; importing this needs no torch."""

from __future__ import annotations

from pathlib import Path

from swe_srl.progress import Progress
from swe_srl.training.recipes import load_recipe
from swe_srl.training.settings import StageSettings, TrainSettings

__all__ = ["StageSettings", "TrainSettings", "load_recipe", "train"]


def train(settings: TrainSettings, progress: Progress | None = None) -> Path:
    """Train a model, or go on with the same run: see `swe_srl.training.run.train`."""
    from swe_srl.training.run import train as run

    return run(settings, progress)
