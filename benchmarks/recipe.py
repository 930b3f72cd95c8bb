"""A recipe as it is really run, end to end: sampling, rewards, dynamic sampling, updates; with shared prefixes and without.

    python benchmarks/recipe.py                                                     the quickstart recipe
    python benchmarks/recipe.py --config real-smoke --trajectories FILE --updates 20 stages.0.updates=120
    python benchmarks/recipe.py --config srl-7b --trajectories FILE --model FOLDER --updates 3 batch_steps=64

Both sides train the recipe's last stage from the same model on the same steps, with the same seed, in one process, in turns; the
stages before it are trained once. `apart` computes every sequence of an update by itself (`shared_contexts: false`); both sample
with shared contexts. They draw the same completions until a last bit of a gradient differs, so compare seconds per token, too.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from swe_srl.errors import SweSrlError
from swe_srl.files import read_jsonl
from swe_srl.training import TrainSettings, load_recipe, train

SIDES = {"forest": True, "apart": False}
COUNTED = (
    "drawn_groups",
    "kept_groups",
    "skipped_share",
    "sampled_tokens",
    "forward_tokens",
    "updated_tokens",
    "sharing_ratio",
)


def first_stages(settings: TrainSettings, folder: Path) -> TrainSettings:
    """The last stage alone, from the model that the stages before it make."""
    last = settings.stages[-1]
    if len(settings.stages) > 1:
        before = dataclasses.replace(settings, stages=settings.stages[:-1], output=folder / "before")
        settings = dataclasses.replace(settings, model=str(train(before) / "model"))
    return dataclasses.replace(settings, stages=(dataclasses.replace(last, eval_every=0, save_every=0),))


def updates_of(settings: TrainSettings, folder: Path, shared: bool) -> list[dict[str, Any]]:
    """The metrics of every update but the first, which is checked and warms up."""
    made = train(dataclasses.replace(settings, output=folder, shared_contexts=shared, seed=settings.seed))
    return [row for row in read_jsonl(made / "metrics.jsonl") if row["update"] > 1]


def main() -> None:
    parser = argparse.ArgumentParser(description="A recipe end to end, with shared prefixes and without.")
    parser.add_argument("--config", default="quickstart", help="recipe, by name or path")
    parser.add_argument("--updates", type=int, default=4, help="of the last stage")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each side, in turns")
    parser.add_argument("--trajectories", default="")
    parser.add_argument("--model", default="")
    parser.add_argument("settings", nargs="*", help="more settings of the recipe, KEY=VALUE")
    arguments = parser.parse_args()
    values = dict(text.split("=", 1) for text in arguments.settings)
    values |= {name: value for name in ("trajectories", "model") if (value := getattr(arguments, name))}
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SIDES}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            recipe = load_recipe(arguments.config, **values)
            settings = first_stages(recipe, folder)
            stage = dataclasses.replace(settings.stages[0], updates=arguments.updates)
            settings = dataclasses.replace(settings, stages=(stage,))
            for number in range(arguments.repeats):
                for name, shared in SIDES.items():
                    rows[name] += updates_of(settings, folder / f"{name}-{number}", shared)
        except SweSrlError as error:
            sys.exit(f"recipe.py: {error}")
    show(rows)


def show(rows: dict[str, list[dict[str, Any]]]) -> None:
    """Means by update, and ratios."""
    phases = sorted({phase for found in rows.values() for row in found for phase in row["seconds"]} - {"total"})
    lines = [*(f"{phase}, s" for phase in phases), "total, s", *COUNTED]

    def value(row: dict[str, Any], line: str) -> float:
        return float(row["seconds"].get(line[:-3], 0.0) if line.endswith(", s") else row.get(line, 0.0))

    print(f"{'an update, mean':24}" + "".join(f"{name:>12}" for name in rows) + f"{'apart/forest':>14}")
    for line in lines:
        means = [statistics.fmean(value(row, line) for row in found) for found in rows.values()]
        ratio = f"{means[1] / means[0]:14.2f}" if means[0] else ""
        print(f"{line:24}" + "".join(f"{mean:12.2f}" for mean in means) + ratio)


if __name__ == "__main__":
    main()
