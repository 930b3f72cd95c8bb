"""Pivot selection: a probing pass with the stage's start model finds the steps that can teach it something.

A pivot is a step whose sampled completions have mixed rewards (their spread exceeds `epsilon`) and a mean reward below
`pivot_below` (arXiv 2603.21383). What was sampled is kept in a journal whose name says by what: the model's weights, the
steps' tokens and targets, sampling and reward. So a killed pass goes on, and the same pass is not made twice.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from swe_srl.errors import TrainingError
from swe_srl.files import append_jsonl, read_jsonl, write_atomic
from swe_srl.provenance import fingerprint
from swe_srl.rewards.own import source_of
from swe_srl.rewards.registry import EFFECT
from swe_srl.seeds import derive_seed
from swe_srl.training.data import StepStream
from swe_srl.training.rollouts import Rollouts, Sampler
from swe_srl.training.settings import StageSettings
from swe_srl.training.workplace import Workplace
from swe_srl.types import Step

CHUNK = 64  # steps between rows of the journal


class NoPivotError(TrainingError):
    """No step of a stage is a pivot.

    Args:
        stage: its index.
    """

    def __init__(self, stage: int, text: str) -> None:
        super().__init__(text)
        self.stage = stage


@dataclass(frozen=True)
class Probe:
    """What the probing pass found of one step."""

    step_id: str
    mean: float  # of the rewards
    spread: float  # their sample standard deviation
    malformed: int
    tokens: int  # of all completions


@dataclass(frozen=True)
class Selection:
    """What became of the steps of a stage.

    Args:
        kept: indices of the pivots.
        looked_at: steps that were probed; the others are left out.
        alike: of these, steps whose rewards are too much alike.
        easy: of the others, steps whose mean reward is not below the bound.
        malformed: share of malformed completions.
        tokens: that were sampled.
        seconds: that the pass took, those of a pass that is used again included.
        sampled_now: steps that this start of the program probed: the others were known.
    """

    kept: tuple[int, ...]
    looked_at: int
    alike: int
    easy: int
    malformed: float
    tokens: int
    seconds: float
    sampled_now: int

    def row(self) -> dict[str, Any]:
        """As JSON data: the number of pivots instead of their indices."""
        return {**asdict(self), "kept": len(self.kept)}


def select_pivots(
    work: Workplace, stage: StageSettings, index: int, steps: Sequence[Step], fitting: Sequence[int]
) -> Selection:
    """The pivots among the steps with the indices `fitting`; `work.model` is the stage's start model.

    Writes `pivots/<stage>.json` into the run folder.

    Raises:
        NoPivotError: no step is a pivot.
    """
    chosen = _chosen(fitting, stage.pivot_steps, work.settings.seed)
    folder = Path(work.settings.pivot_cache) if work.settings.pivot_cache else work.journal.run.file("pivots")
    weights = work.to_save()  # every process asks, the first one has it
    key = work.processes.from_main(lambda: _key(work, weights, stage, [steps[i] for i in chosen]))
    journal = folder / f"{key}.jsonl"
    probes, seconds, now = _probe(work, stage, steps, chosen, journal)
    mixed = [probe.spread > stage.epsilon for probe in probes]
    kept = tuple(i for i, probe, ok in zip(chosen, probes, mixed, strict=True) if ok and probe.mean < stage.pivot_below)
    selection = Selection(
        kept,
        len(chosen),
        alike=len(chosen) - sum(mixed),
        easy=sum(mixed) - len(kept),
        malformed=sum(probe.malformed for probe in probes) / max(1, len(probes) * stage.pivot_samples),
        tokens=sum(probe.tokens for probe in probes),
        seconds=round(seconds, 3),
        sampled_now=now,
    )
    report = {**selection.row(), "journal": str(journal), "steps": [steps[i].step_id for i in kept]}
    if work.processes.main:
        write_atomic(work.journal.run.file("pivots") / f"{index}.json", json.dumps(report, indent=2) + "\n")
    if not kept:
        raise NoPivotError(
            index,
            f"none of {len(chosen)} steps is a pivot: the rewards of {selection.alike} are too much alike "
            f"({selection.malformed:.0%} of the completions are malformed), the mean of {selection.easy} is not below "
            f"{stage.pivot_below:g}. Raise pivot_below or pivot_samples, or train without pivots (pivot_samples: 0)",
        )
    return selection


def _chosen(fitting: Sequence[int], bound: int, seed: int) -> list[int]:
    """All of these indices, or so many of them by the seed; in order."""
    if not bound or bound >= len(fitting):
        return list(fitting)
    stream = StepStream(len(fitting), derive_seed(seed, "pivots"))
    return sorted(fitting[place] for _, place in stream.take(bound))


def _probe(
    work: Workplace, stage: StageSettings, steps: Sequence[Step], chosen: Sequence[int], journal: Path
) -> tuple[list[Probe], float, int]:
    """What is known of the chosen steps, with the seconds that it took and the number of steps probed now."""
    main = work.processes.main
    known = work.processes.from_main(lambda: {int(row["first"]): row for row in read_jsonl(journal)})
    seed = derive_seed(work.settings.seed, "pivots")
    form, processes = work.action_format, work.processes
    sampler = Sampler(work.generator, steps, stage, seed, form=form, processes=processes, effects=work.effects)
    track, now = "probing for pivots", 0
    work.progress.track(track, len(chosen), sum(len(row["probes"]) for row in known.values()))
    for first in range(0, len(chosen), CHUNK):
        if first in known:
            continue
        part, started = chosen[first : first + CHUNK], time.perf_counter()
        with work.whole(), work.arithmetic():
            groups = sampler.sample([(0, i) for i in part], stage.pivot_samples)
        probes = [asdict(_found(steps[group.index].step_id, group)) for group in groups]
        known[first] = {"first": first, "probes": probes, "seconds": time.perf_counter() - started}
        if main:
            append_jsonl(journal, known[first])
        now += len(part)
        work.progress.advance(track, len(part))
    rows = [known[first] for first in sorted(known)]
    return [Probe(**probe) for row in rows for probe in row["probes"]], sum(row["seconds"] for row in rows), now


def _found(step_id: str, group: Rollouts) -> Probe:
    tokens = sum(len(one.token_ids) for one in group.completions)
    return Probe(step_id, statistics.fmean(group.rewards), group.spread, sum(map(bool, group.reasons)), tokens)


def _key(work: Workplace, weights: PreTrainedModel, stage: StageSettings, steps: Sequence[Step]) -> str:
    """Names everything that what is sampled, and its reward, depend on."""
    names = ("pivot_samples", "temperature", "max_new_tokens", "similarity", "sharpness", "format_penalty")
    settings = {name: getattr(stage, name) for name in names}
    digest = hashlib.sha256(
        json.dumps([settings, work.settings.seed, work.action_format, str(work.autocast), CHUNK]).encode()
    )
    if (source := source_of(stage.similarity) if ":" in stage.similarity else None) is not None:
        digest.update(fingerprint(source).encode())
    if stage.similarity == EFFECT and work.effects is not None:
        digest.update(work.effects.fingerprint.encode())
    for name, weight in sorted(weights.state_dict().items()):
        digest.update(f"\0{name} {weight.dtype} {tuple(weight.shape)}\0".encode())
        digest.update(memoryview(weight.detach().contiguous().cpu().reshape(-1).view(torch.uint8).numpy()))
    for step in steps:
        digest.update(json.dumps([step.step_id, work.encode(step.context), step.target]).encode())
    return digest.hexdigest()[:32]
