"""Settings of `swe-srl view`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from swe_srl.errors import ConfigError
from swe_srl.rewards import get_similarity
from swe_srl.settings import setting


@dataclass(frozen=True)
class ViewSettings:
    """Which runs become pages, and where."""

    runs: tuple[str, ...] = setting((), "Run folders of eval, grade and train, or folders of such (runs/demo).")
    output: Path = setting(Path("runs/view"), "Folder of the pages; one that holds pages already is replaced.")
    trajectories: str = setting(
        "",
        "Expert trajectories to show beside the episodes: a file, a folder, quickstart or a hub id; empty: what the run itself "
        "was given, else the scripted expert of synthesised tasks.",
    )
    similarity: tuple[str, ...] = setting(
        ("sequence", "shell"), "Similarities to the expert's command to show, the most important first."
    )

    def __post_init__(self) -> None:
        for name in self.similarity:
            get_similarity(name)
        if not self.similarity:
            raise ConfigError("similarity: name at least one")
