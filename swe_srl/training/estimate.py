"""What a run will take: a few real updates of every stage in a folder of their own, and what follows from them."""

from __future__ import annotations

import json
import math
import re
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from swe_srl.files import read_jsonl
from swe_srl.progress import Progress
from swe_srl.training.compute import compute_of
from swe_srl.training.data import load_steps
from swe_srl.training.settings import StageSettings, TrainSettings
from swe_srl.training.tasks import load_task_data, runnable

PROBED_UPDATES = 2  # fewer than a stage that cannot learn yet is stopped after (see `watch.PATIENCE`)
PROBED_BATCH = 16  # groups of a probed update at most; times grow with the batch
PROBED_PIVOTS = 64
APART = ("validate", "samples")  # phases that not every update has, and that do not grow with the batch
PAPER_STEPS, PAPER_GROUP = 134_000, 8  # arXiv 2510.25992, software engineering: instances, rollouts


@dataclass(frozen=True)
class StageEstimate:
    """What a stage will take.

    Args:
        updates: of the whole stage.
        update_seconds: of one update with the whole batch, and of its parts by phase.
        validation_seconds: of one validation.
        pivot_seconds: of the whole probing pass; 0 without one.
        seconds: of the stage.
        skipped_share: of the groups sampled, those without a usable spread.
        sharing_ratio: tokens that separate sequences would have taken in updates, over tokens computed; None when the probe
            had no usable group: then the time of the updates themselves is not in the estimate.
        drawn_groups: sampled for one update.
        sampled_tokens: for one update.
        no_pivot: whether none of the steps that the probe looked at is a pivot: then the updates are those of all steps.
    """

    method: str
    updates: int
    update_seconds: float
    phases: dict[str, float]
    validation_seconds: float
    pivot_seconds: float
    seconds: float
    skipped_share: float | None
    sharing_ratio: float | None
    drawn_groups: float | None
    sampled_tokens: float | None
    no_pivot: bool = False


@dataclass(frozen=True)
class Estimate:
    """What a run will take on this machine.

    Args:
        memory_mb: peak, of the GPU when there is one.
        checkpoint_mb: of one checkpoint.
        disk_mb: of the whole run folder at its largest.
        free_mb: of the disk that the run folder will be on.
        device: that the probe ran on.
        paper_hours: hours of this device for one pass over as many steps as the paper's software data has, G = 8 each; None
            when no srl stage was probed.
    """

    stages: tuple[StageEstimate, ...]
    seconds: float
    memory_mb: int
    checkpoint_mb: float
    disk_mb: float
    free_mb: float
    device: str
    paper_hours: float | None

    def as_dict(self) -> dict[str, Any]:
        """As JSON data."""
        return asdict(self)


def estimate(settings: TrainSettings, progress: Progress) -> Estimate:
    """Probe a run: at most `PROBED_UPDATES` updates of every stage, with at most `PROBED_BATCH` groups each.

    Nothing is left behind. Every stage is probed with a model that has hardly been trained, so completions may become
    longer or shorter, and more or fewer groups be skipped, than the probe saw.

    Raises:
        SweSrlError: what `train` would raise too.
    """
    from swe_srl.generation.loading import pick_device

    settings.output.parent.mkdir(parents=True, exist_ok=True)
    counts = _counts(settings)
    with tempfile.TemporaryDirectory(dir=settings.output.parent, prefix=".estimate-") as folder:
        probe = replace(
            settings,
            output=Path(folder) / "run",
            stages=tuple(map(_probed, settings.stages)),
            tensorboard=False,
            track=(),
            final_model="last",
            pivot_cache="",
            updates=None,  # what `_probed` decides, no override of the run may change
            epochs=None,
            batch_steps=None,
            eval_every=None,
            save_every=None,
            pivot_steps=None,
            pivot_samples=None,
            processes=1,
            shard=False,
        )
        run, without = _probe(probe, _Told(progress, Path(folder)))
        rows = list(read_jsonl(run / "metrics.jsonl"))
        stages = tuple(
            _stage(
                stage,
                probe.stages[i],
                [row for row in rows if row["stage"] == i],
                count,
                without.get(i, run / f"pivots/{i}.json"),
                settings.samples_every,
            )
            for i, (stage, count) in enumerate(zip(settings.stages, counts, strict=True))
        )
        checkpoint = _megabytes(next((run / "checkpoints").glob("s*-u*")))
        journals = sum(_megabytes(file) for file in run.glob("*.jsonl")) / max(1, len(rows))
        disk = (settings.keep + 2) * checkpoint + len(stages) * _megabytes(run / "model")
    srl = [(stage, one) for stage, one in zip(settings.stages, stages, strict=True) if stage.method == "srl"]
    return Estimate(
        stages,
        sum(one.seconds for one in stages),
        max(row["memory_mb"] for row in rows),
        checkpoint,
        disk + journals * sum(one.updates for one in stages),
        shutil.disk_usage(settings.output.parent).free / 2**20,
        str(pick_device(settings.device)),
        _paper_hours(*srl[-1]) if srl else None,
    )


class _Told(Progress):
    """The progress of a probe: notes name no file of its folder, which is removed.

    Args:
        progress: that is shown.
        folder: of the probe.
    """

    def __init__(self, progress: Progress, folder: Path) -> None:
        self._progress, self._place = progress, re.compile(rf"{re.escape(str(folder))}/run(-\d+)?/")

    def track(self, name: str, total: int | None = None, done: int = 0) -> None:
        """See `Progress.track`."""
        self._progress.track(name, total, done)

    def advance(self, name: str, amount: int = 1, info: str = "") -> None:
        """See `Progress.advance`."""
        self._progress.advance(name, amount, info)

    def note(self, text: str) -> None:
        """See `Progress.note`."""
        self._progress.note(self._place.sub("the run folder's ", text))


def _probe(probe: TrainSettings, progress: Progress) -> tuple[Path, dict[int, Path]]:
    """The probe's run folder; and of each stage whose probing pass found no pivot, what it found.

    Such a stage is then probed on its steps as they come.
    """
    from swe_srl.training.pivots import NoPivotError
    from swe_srl.training.run import train

    without: dict[int, Path] = {}
    while True:
        try:
            return train(probe, progress), without
        except NoPivotError as error:
            without[error.stage] = probe.output / f"pivots/{error.stage}.json"
            stages = tuple(
                replace(one, pivot_samples=0) if index in without else one for index, one in enumerate(probe.stages)
            )
            probe = replace(probe, stages=stages, output=probe.output.with_name(f"run-{len(without)}"))


def _probed(stage: StageSettings) -> StageSettings:
    """The stage cut down to a probe: a validation before it and one after."""
    pivots = min(stage.pivot_steps or PROBED_PIVOTS, PROBED_PIVOTS) if stage.pivot_samples else 0
    batch = min(stage.batch_steps, PROBED_BATCH)
    return replace(
        stage,
        updates=min(stage.updates or PROBED_UPDATES, PROBED_UPDATES),
        batch_steps=batch,
        minibatches=min(stage.minibatches, batch),
        eval_every=PROBED_UPDATES if stage.eval_every else 0,
        save_every=0,
        pivot_steps=pivots,
        compute_tokens=0,
    )


def _counts(settings: TrainSettings) -> list[int]:
    """What an epoch of every stage passes over."""
    steps = len(load_steps(settings).training)
    tasks = len(runnable(load_task_data(settings), settings)[0].training) if settings.needs_tasks else 0
    return [tasks if stage.method == "rlvr" else steps for stage in settings.stages]


def _stage(
    stage: StageSettings,
    probed: StageSettings,
    rows: Sequence[dict[str, Any]],
    count: int,
    pivots: Path,
    samples_every: int,
) -> StageEstimate:
    first, updates = rows[0], [row for row in rows if row["update"]]
    steady = updates[1:] or updates  # the first one has the self-check and everything that is done once
    scale = stage.batch_steps / probed.batch_steps
    pivot_seconds, no_pivot = 0.0, False
    if pivots.exists():
        found = json.loads(pivots.read_text(encoding="utf-8"))
        looked_at = min(stage.pivot_steps or count, count)
        pivot_seconds = found["seconds"] * looked_at / found["looked_at"]
        no_pivot = not found["kept"]
        count = looked_at if no_pivot else round(looked_at * found["kept"] / found["looked_at"])
    total = stage.updates or math.ceil(stage.epochs * count / stage.batch_steps)
    if stage.compute_tokens and (each := scale * statistics.fmean(map(compute_of, updates))):
        total = min(total, math.ceil(stage.compute_tokens / each))
    names = sorted({name for row in steady for name in row["seconds"]} - {"total", "self_check", *APART})
    phases = {name: scale * statistics.fmean(row["seconds"].get(name, 0.0) for row in steady) for name in names}
    seconds = scale * statistics.fmean(
        row["seconds"]["total"] - sum(row["seconds"].get(name, 0.0) for name in APART) for row in steady
    )
    if written := [row["seconds"]["samples"] for row in updates if "samples" in row["seconds"]]:
        phases["samples"] = statistics.fmean(written) * math.ceil(total / samples_every) / max(1, total)
        seconds += phases["samples"]
    validation = float(first["seconds"].get("validate", 0.0))
    validations = 1 + math.ceil(total / stage.eval_every) if stage.eval_every else 0
    return StageEstimate(
        stage.method,
        total,
        seconds,
        phases,
        validation,
        pivot_seconds,
        pivot_seconds + total * seconds + validations * validation,
        _mean(updates, "skipped_share"),
        _mean(updates, "sharing_ratio"),
        _mean(updates, "drawn_groups", scale),
        _mean(updates, "sampled_tokens", scale),
        no_pivot,
    )


def _paper_hours(stage: StageSettings, found: StageEstimate) -> float | None:
    """One pass over the paper's number of steps: every drawn group is a step of it."""
    if not found.drawn_groups:
        return None
    per_group = found.update_seconds / found.drawn_groups * PAPER_GROUP / stage.group_size
    return PAPER_STEPS * per_group / 3600


def _mean(rows: Sequence[dict[str, Any]], name: str, scale: float = 1.0) -> float | None:
    values = [row[name] for row in rows if name in row]
    return scale * statistics.fmean(values) if values else None


def _megabytes(path: Path) -> float:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 2**20
