"""Small made-up trajectories for the tests of training."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from swe_srl.settings import from_mapping
from swe_srl.training import TrainSettings
from swe_srl.trajectories import write_trajectories
from swe_srl.types import Action, Trajectory, Turn

FILES = [f"src/{name}.py" for name in ("alpha", "core", "util", "parse", "store")]


def make_trajectory(number: int) -> Trajectory:
    file = random.Random(number).choice(FILES)
    turns = (
        Turn(Action("ls src", "Look around."), "\n".join(FILES)),
        Turn(Action(f"cat {file}", f"The issue names {file}."), "def f(): pass"),
        Turn(Action(f"sed -i 's/a/b/' {file}", "Fix it."), ""),
        Turn(Action("submit", "Done."), ""),
    )
    return Trajectory(
        f"t{number}",
        f"task{number}",
        turns,
        problem_statement=f"The function in {file} returns the wrong value.",
        repo=f"made/up{number % 3}",
        base_commit=f"{number:08d}",
    )


def write_trajectory_file(folder: Path, count: int = 12) -> Path:
    path = folder / "trajectories.jsonl"
    write_trajectories(path, [make_trajectory(number) for number in range(count)])
    return path


SRL = {
    "method": "srl",
    "updates": 6,
    "batch_steps": 3,
    "group_size": 3,
    "learning_rate": 1e-3,
    "max_new_tokens": 16,
    "eval_every": 3,
    "save_every": 2,
    "validation_steps": 4,
}
COMMON = {name: value for name, value in SRL.items() if name != "group_size"}
SFT = {**COMMON, "method": "sft", "learning_rate": 3e-3, "sft_target": "command"}


def train_settings(folder: Path, *stages: dict[str, Any], **extra: Any) -> TrainSettings:
    path = folder / "trajectories.jsonl"
    if not path.exists():
        write_trajectory_file(folder)
    values = {
        "model": "random",
        "trajectories": str(path),
        "agent": "quickstart",
        "output": str(folder / "run"),
        "threads": 1,
        "samples_every": 2,
        "stages": list(stages or (SRL,)),
    }
    return from_mapping(TrainSettings, {**values, **extra}, "test")
