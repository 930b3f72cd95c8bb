"""Settings of `swe-srl self-improve`. Imports neither torch nor a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from swe_srl.settings import check_at_least, setting

# what may change when it goes on: more rounds come after those that are there
FREE = ("output", "rounds", "workers")


@dataclass(frozen=True)
class RoundsSettings:
    """A model as its own teacher: it works on training tasks, what resolved them is trained on, and again with the new model."""

    recipe: str = setting("quickstart", "Training recipe of a round, by name or path; its model is where it begins.")
    model: str = setting("", "Model to begin with; empty: the recipe's.")
    rounds: int = setting(2, "Rounds of collecting and training.")
    tasks: str = setting("quickstart-train", "Tasks to collect episodes of: a task set, a file, or a hub id.")
    split: str = setting("quickstart-test", "Held-out tasks.")
    difficulty: tuple[str, ...] = setting((), "Collect on tasks of these difficulties alone.")
    samples: int = setting(4, "Episodes to collect of each task.")
    keep: int = setting(1, "Resolved episodes to keep of one task at most, the best first; 0 keeps all.")
    limit: int = setting(0, "Collect on the first so many tasks only; 0 takes all.")
    held_out_samples: int = setting(2, "Episodes of each held-out task.")
    held_out_limit: int = setting(0, "Only the first so many held-out tasks; 0 takes all.")
    updates: int | None = setting(None, "Updates of every stage; none: the recipe's own.")
    sandbox: str = setting("auto", "Where episodes and tests run.", ("auto", "local", "docker"))
    workers: int = setting(16, "Episodes at a time.")
    seed: int = setting(0, "Seed of training and evaluation; every round collects with seeds of its own.")
    output: Path = setting(Path("runs/self-improve"), "Folder of it all; the same command on it goes on.")

    def __post_init__(self) -> None:
        check_at_least(self, rounds=1, samples=1, keep=0, limit=0, held_out_samples=1, held_out_limit=0)
        check_at_least(self, updates=1, workers=1)
