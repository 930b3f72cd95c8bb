"""Held-out reward against `steps_per_trajectory` at equal tokens: does sharing trunks cost more than it saves?

    python benchmarks/steps_per_trajectory.py                           arms 1, 2, 4, 8 on the quickstart recipe
    python benchmarks/steps_per_trajectory.py --seeds 0,1,2 --tokens 200000

Steps of one trajectory that are drawn together share their trunk, so an update computes fewer tokens, of fewer trajectories.
Every arm trains until its updates have computed so many tokens (`updated_tokens` of metrics.jsonl; what sampling takes is
shown beside them), so arms that share more make more updates. Then the model completes every held-out step several times, with
the same random numbers for every arm. The interval of the difference from the first arm is of paired, resampled tasks; it does
not hold what another seed of the training would change, so give several seeds.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from swe_srl.evaluation.statistics import Estimate, paired_bootstrap
from swe_srl.files import read_jsonl
from swe_srl.progress import SilentProgress
from swe_srl.training import load_recipe, train
from swe_srl.training.settings import TrainSettings

MANY = 10_000  # updates: more than any budget allows


class Enough(Exception):
    """The budget is used up."""


class Budget(SilentProgress):
    """Ends a run after the update that reaches the budget, which has been saved by then."""

    def __init__(self, metrics: Path, tokens: int) -> None:
        self.metrics, self.tokens = metrics, tokens

    def advance(self, name: str, amount: int = 1, info: str = "") -> None:
        """Look at what the updates so far have computed."""
        if sum(row.get("updated_tokens", 0) for row in read_jsonl(self.metrics)) >= self.tokens:
            raise Enough


@dataclass(frozen=True)
class Arm:
    """What an arm of the comparison gave."""

    together: int
    seed: int
    updates: int
    steps: int  # whose groups were trained on
    updated_tokens: int
    sampled_tokens: int
    sharing: float  # tokens of separate sequences over tokens computed
    cpu: float
    by_task: dict[str, list[float]]  # held-out similarity


def run_arm(together: int, seed: int, recipe: str, tokens: int, samples: int, threads: int) -> Arm:
    """Train until the budget is used up (0: not at all), then judge the model."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        settings = load_recipe(
            recipe,
            updates=MANY,
            steps_per_trajectory=together,
            seed=seed,
            eval_every=0,
            save_every=1,
            threads=threads,
            output=str(folder),
        )
        started = time.process_time()
        if tokens:
            with suppress(Enough):
                train(settings, Budget(folder / "metrics.jsonl", tokens))
        cpu = time.process_time() - started
        print(f"steps_per_trajectory {together}, seed {seed}: trained", file=sys.stderr, flush=True)
        rows = [row for row in read_jsonl(folder / "metrics.jsonl") if row["update"]] if tokens else []
        model = max((folder / "checkpoints").glob("s*-u*")) if tokens else Path(settings.model)
        by_task = held_out(settings, str(model), samples)
        return Arm(
            together,
            seed,
            len(rows),
            sum(row["kept_groups"] for row in rows),
            sum(row.get("updated_tokens", 0) for row in rows),
            sum(row.get("sampled_tokens", 0) for row in rows),
            fmean([row["sharing_ratio"] for row in rows if "sharing_ratio" in row] or [1.0]),
            cpu,
            by_task,
        )


def held_out(settings: TrainSettings, model: str, samples: int) -> dict[str, list[float]]:
    """Similarity of so many completions of every held-out step, by task; malformed ones count as 0."""
    from swe_srl.generation import TransformersGenerator
    from swe_srl.training.data import load_steps, quickstart_file
    from swe_srl.training.rollouts import Sampler
    from swe_srl.training.settings import QUICKSTART

    generator = TransformersGenerator(quickstart_file("model") if model == QUICKSTART else model)
    steps, stage = load_steps(settings).validation, replace(settings.stages[0], steps_per_trajectory=1)
    groups = Sampler(generator, steps, stage, seed=1).sample([(0, i) for i in range(len(steps))], samples)
    found: dict[str, list[float]] = {}
    for group in groups:
        found.setdefault(steps[group.index].task_id, []).extend(part["similarity"] for part in group.parts)
    return found


def pooled(arms: list[Arm]) -> dict[str, list[float]]:
    """Held-out similarities by task over the seeds of an arm."""
    return {task: [value for arm in arms for value in arm.by_task[task]] for task in arms[0].by_task}


def mean(by_task: dict[str, list[float]]) -> float:
    return fmean(fmean(values) for values in by_task.values())


def shown(estimate: Estimate) -> str:
    return f"{estimate.value:+.3f} ({estimate.low:+.3f} to {estimate.high:+.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description="Held-out reward against steps_per_trajectory at equal tokens.")
    parser.add_argument("--recipe", default="quickstart")
    parser.add_argument("--arms", default="1,2,4,8")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--tokens", type=int, default=80_000, help="that the updates of an arm compute")
    parser.add_argument("--samples", type=int, default=4, help="completions of each held-out step")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="arms at a time")
    arguments = parser.parse_args()
    arms = [int(arm) for arm in arguments.arms.split(",")]
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    given: tuple[Any, ...] = (arguments.recipe, arguments.tokens, arguments.samples, arguments.threads)
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.jobs, mp_context=spawning) as pool:
        start = pool.submit(run_arm, 1, 0, arguments.recipe, 0, *given[2:])
        futures = {arm: [pool.submit(run_arm, arm, seed, *given) for seed in seeds] for arm in arms}
        before = start.result().by_task
        print(f"start model: held-out similarity {mean(before):.3f} ({len(before)} tasks)")
        print(
            f"{'steps':>5}{'updates':>9}{'groups':>8}{'updated':>10}{'sampled':>10}{'sharing':>9}{'cpu s':>7}", end=""
        )
        print(f"{'held-out':>10}  {'over the start':28}{f'over {arms[0]}':28} by seed", flush=True)
        first = pooled([future.result() for future in futures[arms[0]]])
        for arm, some in futures.items():
            print(row_of(arm, [future.result() for future in some], before, first), flush=True)


def row_of(arm: int, some: list[Arm], before: dict[str, list[float]], first: dict[str, list[float]]) -> str:
    """An arm's line of the table."""
    ours = pooled(some)
    over = shown(paired_bootstrap(first, ours)) if ours != first else "itself"
    columns = [fmean(getattr(one, name) for one in some) for name in ("updates", "steps", "updated_tokens")]
    return (
        f"{arm:>5}{columns[0]:>9.1f}{columns[1]:>8.1f}{columns[2]:>10.0f}"
        f"{fmean(one.sampled_tokens for one in some):>10.0f}{fmean(one.sharing for one in some):>9.2f}"
        f"{fmean(one.cpu for one in some):>7.0f}{mean(ours):>10.3f}"
        f"  {shown(paired_bootstrap(before, ours)):28}{over:28} "
        + ", ".join(f"{mean(one.by_task):.3f}" for one in some)
    )


if __name__ == "__main__":
    main()
