"""Runs as a folder of web pages: every episode turn by turn, training curves, comparisons. Needs a browser and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from swe_srl.viewer.settings import ViewSettings

if TYPE_CHECKING:
    from swe_srl.progress import Progress

__all__ = ["ViewSettings", "write_view"]


def write_view(settings: ViewSettings, progress: Progress | None = None) -> Path:
    """Write the pages of some runs: see `swe_srl.viewer.writing.write_view`."""
    from swe_srl.viewer.writing import write_view as write

    return write(settings, progress)
