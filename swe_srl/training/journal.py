"""What a run writes down while it goes: metrics.jsonl, samples.jsonl, TensorBoard."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from swe_srl.errors import ConfigError
from swe_srl.runs import RunFolder
from swe_srl.training.episodes import EpisodeGroup
from swe_srl.training.memory import peak_bytes
from swe_srl.training.objective import group_advantages
from swe_srl.training.rollouts import Logprobs, Rollouts
from swe_srl.training.trackers import Trackers
from swe_srl.types import Step

JOURNALS = ("metrics", "samples")
PLACE = ("stage", "update")  # no metrics
CONTEXT = 2000  # characters of a context's last message that are written down


class Clock:
    """Seconds by phase of one update."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started = time.perf_counter()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what happens inside under this name."""
        started = time.perf_counter()
        yield
        self.add(name, time.perf_counter() - started)

    def add(self, name: str, seconds: float) -> None:
        """Add to a phase."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def row(self) -> dict[str, float]:
        """Rounded seconds by phase, and in total."""
        self.seconds["total"] = time.perf_counter() - self._started
        return {name: round(seconds, 4) for name, seconds in self.seconds.items()}


class Journal:
    """Writes the rows of a training run. All but `seconds` and `memory_mb` repeat when a run is repeated.

    Args:
        run: the run folder.
        tensorboard: write event files too.
        track: names of trackers that get the rows too.
        writes: off in all processes but the first, which only count the rows.

    Raises:
        ConfigError: what is asked for is not installed, or does not start.
    """

    def __init__(self, run: RunFolder, tensorboard: bool, track: Sequence[str] = (), writes: bool = True) -> None:
        self.run, self._writes = run, writes
        self._trackers = Trackers(track, run)
        self.lengths = dict.fromkeys(JOURNALS, 0)
        self._writer: Any = self._events() if tensorboard else None

    def _events(self, forget_from: int | None = None) -> Any:
        """A writer of TensorBoard events; what was written before at this position and later ones counts no more."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ConfigError("tensorboard is not installed: pip install 'swe-srl[tracking]'") from error
        return SummaryWriter(str(self.run.file("tensorboard")), purge_step=forget_from)

    def rewind(self, lengths: dict[str, int], following: int | None = None) -> None:
        """Drop rows newer than a checkpoint, which knew of so many rows of each journal.

        Args:
            following: position of the row that comes next (see `metrics`).
        """
        if self._writer is not None and following is not None:
            self._writer.close()
            self._writer = self._events(following)
        for name in JOURNALS if self._writes else ():
            self.run.rewind(name, lengths[name])
        self.lengths = dict(lengths)

    def metrics(self, row: dict[str, Any], clock: Clock, position: int) -> None:
        """One row of metrics.jsonl; `position` counts updates over all stages."""
        seconds, memory = clock.row(), memory_mb()
        self._append("metrics", {**row, "seconds": seconds, "memory_mb": memory})
        numbers = {name: value for name, value in row.items() if isinstance(value, (int, float)) and name not in PLACE}
        numbers |= {**{f"seconds/{name}": value for name, value in seconds.items()}, "memory_mb": memory}
        self._trackers.log(numbers, position)
        if self._writer is not None:
            for name, value in numbers.items():
                self._writer.add_scalar(name, value, position)
            self._writer.flush()

    def samples(self, place: dict[str, int], group: Rollouts, step: Step, std_scaling: bool, after: Logprobs) -> None:
        """One row of samples.jsonl: a step's completions beside its target, with their tokens' log-probabilities.

        Args:
            after: the log-probabilities after the update, as those of the group were before it.
        """
        advantages = group_advantages(torch.tensor([group.rewards]), std_scaling)[0].tolist()
        completions = [
            {**shown, "advantage": advantage, "logprobs": _rounded(before), "logprobs_after": _rounded(later)}
            for shown, advantage, before, later in zip(_completions(group), advantages, group.old, after, strict=True)
        ]
        self._append("samples", {**place, "step_id": step.step_id, "target": step.target, "completions": completions})

    def answer(
        self,
        place: dict[str, int],
        step: Step,
        answer: dict[str, Any],
        own: Rollouts,
        held: tuple[Step, Rollouts] | None,
    ) -> None:
        """One row of samples.jsonl: an expert's answer that was learnt, and what the model writes after the update.

        Args:
            answer: of the step, by token: `pieces` (their texts), `token_ids`, `logprobs` and `logprobs_after` the update.
            own: sampled at the step.
            held: a held-out step, and what was sampled there.
        """
        numbers = {name: _rounded(answer[name]) for name in ("logprobs", "logprobs_after")}
        row = {**place, "step_id": step.step_id, "target": step.target, "context": step.context[-1].content[-CONTEXT:]}
        row |= {"answer": {**answer, **numbers}, "completions": _completions(own)}
        if held is not None:
            other, sampled = held
            shown = {"step_id": other.step_id, "target": other.target, "completions": _completions(sampled)}
            row |= {"held_out": shown}
        self._append("samples", row)

    def episodes(self, place: dict[str, int], group: EpisodeGroup, std_scaling: bool, after: Logprobs) -> None:
        """One row of samples.jsonl: the episodes of a task.

        Args:
            after: of every turn in order, the log-probabilities after the update, as those of the group were before it.
        """
        advantages = group_advantages(torch.tensor([group.rewards]), std_scaling)[0].tolist()
        later = iter(after)
        shown = [
            {
                "sample": one.sample,
                "reward": one.reward,
                "advantage": advantage,
                "similarity": one.similarity,
                "verdict": one.status,
                "official": one.official,
                "stop": one.stop,
                "patch": one.patch,
                "completions": [turn.text for turn in one.turns],
                "malformed": [turn.malformed for turn in one.turns],
                "tokens": [len(turn.token_ids) for turn in one.turns],
                "logprobs": _rounded([sum(turn.logprobs) for turn in one.turns]),
                "logprobs_after": _rounded([sum(next(later)) for _ in one.turns]),
            }
            for one, advantage in zip(group.episodes, advantages, strict=True)
        ]
        self._append("samples", {**place, "task_id": group.task_id, "episodes": shown})

    def _append(self, journal: str, row: dict[str, Any]) -> None:
        if self._writes:
            self.run.append(journal, row)
        self.lengths[journal] += 1

    def close(self) -> None:
        """Finish the event files and the trackers' records."""
        self._trackers.close()
        if self._writer is not None:
            self._writer.close()


def _completions(group: Rollouts) -> list[dict[str, Any]]:
    """The completions of a group with what they earned."""
    return [
        {
            "text": one.text,
            "reward": reward,
            "malformed": reason,
            "parts": parts,
            "tokens": len(one.token_ids),
            "token_ids": list(one.token_ids),
        }
        for one, reward, reason, parts in zip(group.completions, group.rewards, group.reasons, group.parts, strict=True)
    ]


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 5) for value in values]


def memory_mb() -> int:
    """Peak memory of this process, or of the GPU when there is one, in mebibytes."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated() >> 20)
    return peak_bytes() >> 20


def sampled(groups: Sequence[Rollouts]) -> Rollouts | None:
    """The group whose completions are written down: the one with the widest spread."""
    return max(groups, key=lambda group: group.spread, default=None)
