"""Settings of `swe-srl trajectories collect`. Imports neither torch nor a model."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from swe_srl.evaluation.settings import EvalSettings
from swe_srl.settings import check_at_least, setting


@dataclass(frozen=True)
class CollectSettings(EvalSettings):
    """Let a policy work on tasks and keep the episodes that resolved them, as trajectories to train on."""

    split: str = setting(
        "quickstart-train", "Tasks to work on: a training split by name, a file or folder of rows, or a hub id."
    )
    samples: int = setting(4, "Episodes per task.")
    keep: int = setting(1, "Resolved episodes to keep of one task at most, the best first; 0 keeps all.")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(self, keep=0)

    @property
    def evaluation(self) -> EvalSettings:
        """The evaluation run that the episodes come from: what is kept of them is not part of it."""
        return EvalSettings(**{field.name: getattr(self, field.name) for field in fields(EvalSettings)})

    @property
    def folder(self) -> Path:
        """That of the evaluation run."""
        return self.evaluation.folder
