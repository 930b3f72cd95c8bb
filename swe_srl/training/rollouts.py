"""Sampling groups: G completions per step, their rewards, and dynamic sampling until the batch is full."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from swe_srl.errors import ConfigError, TrainingError
from swe_srl.protocols import Generator, Similarity
from swe_srl.rewards import get_similarity, step_reward
from swe_srl.rewards.registry import EFFECT
from swe_srl.seeds import derive_seed
from swe_srl.training.dynamic import GroupSampler, take_fitting
from swe_srl.training.effects import Effects, by_method
from swe_srl.training.processes import ALONE, Processes
from swe_srl.training.settings import StageSettings
from swe_srl.trajectories.action_format import is_shell, parse_action
from swe_srl.types import Action, Completion, FormatError, Sampling, Score, Step

Logprobs = tuple[tuple[float, ...], ...]  # by completion and token


@dataclass(frozen=True)
class Rollouts:
    """A group: the completions of one step with their rewards."""

    index: int  # of the step
    epoch: int
    completions: tuple[Completion, ...]
    rewards: tuple[float, ...]
    reasons: tuple[str, ...]  # why malformed, or ""
    parts: tuple[dict[str, float], ...]  # numbers that made the rewards
    rescored: Logprobs = ()  # log-probabilities when sampled, at a temperature other than 1

    @property
    def old(self) -> Logprobs:
        """Log-probabilities of the tokens when they were sampled, at the sampling temperature."""
        return self.rescored or tuple(one.logprobs for one in self.completions)

    @property
    def spread(self) -> float:
        """Sample standard deviation of the rewards."""
        return statistics.stdev(self.rewards) if len(set(self.rewards)) > 1 else 0.0

    def row(self) -> dict[str, Any]:
        """As JSON data; `from_row` reads it back."""
        return asdict(self)

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Rollouts:
        """A group from `row`."""
        completions = tuple(
            Completion(c["text"], tuple(c["token_ids"]), tuple(c["logprobs"]), c["finished"], c["prompt_tokens"])
            for c in row["completions"]
        )
        rest = {name: tuple(row[name]) for name in ("rewards", "reasons", "parts")}
        rescored = tuple(tuple(logprobs) for logprobs in row.get("rescored", ()))
        return cls(row["index"], row["epoch"], completions, **rest, rescored=rescored)


@dataclass
class Batch:
    """The groups of one update, and what it took to get them. `drawn` are all groups sampled for it."""

    kept: list[Rollouts]
    drawn: list[Rollouts] = field(default_factory=list)
    rounds: int = 0
    too_long: int = 0
    generate_seconds: float = 0.0
    reward_seconds: float = 0.0

    @property
    def forward_tokens(self) -> int:
        """Tokens that sampling computed: every context once for its group, and every completion."""
        return sum(
            group.completions[0].prompt_tokens + sum(len(one.token_ids) for one in group.completions)
            for group in self.drawn
        )

    def metrics(self, epsilon: float, dynamic: bool = True) -> dict[str, float]:
        """Means over every completion that was sampled for the update, kept or not; without dynamic sampling all are kept."""
        rewards = [reward for group in self.drawn for reward in group.rewards]
        completions = [one for group in self.drawn for one in group.completions]
        row: dict[str, float] = {
            "drawn_groups": len(self.drawn),
            "kept_groups": len(self.kept),
            "sampling_rounds": self.rounds,
            "too_long_steps": self.too_long,
        }
        if not rewards:
            return row
        reasons = [reason for group in self.drawn for reason in group.reasons]
        alike = sum(group.spread <= epsilon for group in self.drawn) / len(self.drawn)
        parts: dict[str, list[float]] = {}
        for values in (values for group in self.drawn for values in group.parts):
            for name, value in values.items():
                parts.setdefault(name, []).append(value)
        row |= {
            "reward_mean": statistics.fmean(rewards),
            "reward_std": statistics.pstdev(rewards),
            "group_spread": statistics.fmean(group.spread for group in self.drawn),
            "alike_share": alike,
            "skipped_share": alike if dynamic else 0.0,
            "format_errors": sum(map(bool, reasons)) / len(reasons),
            "unfinished": sum(not one.finished for one in completions) / len(completions),
            "completion_tokens": statistics.fmean(len(one.token_ids) for one in completions),
            "sampled_tokens": sum(len(one.token_ids) for one in completions),
        }
        return row | {f"reward_part/{name}": statistics.fmean(values) for name, values in sorted(parts.items())}


class Sampler(GroupSampler[Rollouts]):
    """Draws the batches of one stage.

    Args:
        generator: must return token ids with log-probabilities.
        steps: the training steps.
        stage: group size, sampling, reward, dynamic sampling.
        seed: of the stage; a group's completions depend on (seed, epoch, step) alone.
        fits: whether a step's context is short enough to be used; one at least must be.
        form: how a completion holds its command, and whether that is a shell's (see `action_format`).
        processes: each samples its share of the groups.
        effects: what commands do at the steps' states; needed by similarity `effect`.

    Raises:
        ConfigError: similarity `effect` without them.
    """

    def __init__(
        self,
        generator: Generator,
        steps: Sequence[Step],
        stage: StageSettings,
        seed: int,
        fits: Callable[[Step], bool] = lambda step: True,
        form: str = "bash",
        processes: Processes = ALONE,
        effects: Effects | None = None,
    ) -> None:
        super().__init__(len(steps), stage, seed, Rollouts.from_row, [step.trajectory_id for step in steps])
        self.generator, self.steps, self.fits, self.form = generator, steps, fits, form
        self.processes = processes
        self.similarity, self.effects = get_similarity(stage.similarity, shell=is_shell(form)), None
        if stage.similarity == EFFECT:
            if effects is None:
                raise ConfigError("similarity: effect needs the states of the steps, to try commands there")
            self.effects = effects
        self.sampling = Sampling(stage.temperature, max_new_tokens=stage.max_new_tokens)

    def batch(self) -> Batch:
        """The next `batch_steps` groups; fewer when the bound on resampling is reached first."""
        batch = Batch([])
        batch.kept = self.fill(lambda count: self._draw(batch, count))
        return batch

    def rescore(self, batch: Batch, logprobs: Callable[[Sequence[Rollouts]], Sequence[Logprobs]]) -> None:
        """Give the groups of `batch` and those that wait log-probabilities at the sampling temperature.

        The generator reports them at temperature 1. To be called before the policy moves; groups that waited already
        have those of the policy that sampled them.
        """
        if self.stage.temperature == 1.0:
            return
        groups = batch.kept + self.waiting
        fresh = [i for i, group in enumerate(groups) if not group.rescored]
        for i, found in zip(fresh, logprobs([groups[i] for i in fresh]), strict=True):
            groups[i] = replace(groups[i], rescored=found)
        batch.kept, self.waiting = groups[: len(batch.kept)], groups[len(batch.kept) :]

    def sample(self, chosen: Sequence[tuple[int, int]], size: int, batch: Batch | None = None) -> list[Rollouts]:
        """Groups of `size` rewarded completions for (epoch, index) pairs; this process's seconds go to `batch`."""
        return self.processes.map(lambda share: self._sampled(share, size, batch), chosen)

    def _sampled(self, chosen: Sequence[tuple[int, int]], size: int, batch: Batch | None) -> list[Rollouts]:
        started = time.perf_counter()
        contexts = [self.steps[index].context for _, index in chosen]
        seeds = [derive_seed(self.seed, "sample", epoch, self.steps[index].step_id) for epoch, index in chosen]
        completions = self.generator.generate(contexts, size, self.sampling, seeds)
        generated = time.perf_counter()
        groups = self._rewarded(chosen, completions)
        if batch is not None:
            batch.generate_seconds += generated - started
            batch.reward_seconds += time.perf_counter() - generated
        return groups

    def _draw(self, batch: Batch, count: int) -> list[Rollouts]:
        chosen, passed = take_fitting(self.stream, count, lambda index: self.fits(self.steps[index]))
        groups = self.sample(chosen, self.stage.group_size, batch)
        batch.too_long += passed
        batch.drawn += groups
        batch.rounds += 1
        return groups

    def _rewarded(self, chosen: Sequence[tuple[int, int]], groups: Sequence[Sequence[Completion]]) -> list[Rollouts]:
        if any(not one.token_ids or len(one.logprobs) != len(one.token_ids) for group in groups for one in group):
            raise TrainingError(
                "the generator gave completions without token ids and log-probabilities: train with a local model"
            )
        limit = self.stage.max_new_tokens
        actions = [[_action(one, limit, self.form) for one in group] for group in groups]
        similarities: Sequence[Similarity] = [self.similarity] * len(groups)
        if self.effects is not None:
            commands = [[one.command for one in group if isinstance(one, Action)] for group in actions]
            steps = [self.steps[index] for _, index in chosen]
            similarities = self.effects.similarities(list(zip(steps, commands, strict=True)))
        return [
            self._group(epoch, index, group, done, similarity)
            for (epoch, index), group, done, similarity in zip(chosen, groups, actions, similarities, strict=True)
        ]

    def _group(
        self,
        epoch: int,
        index: int,
        completions: Sequence[Completion],
        actions: Sequence[Action | FormatError],
        similarity: Similarity,
    ) -> Rollouts:
        target = self.steps[index].target
        scores = [step_reward(action, target, similarity, self.stage.format_penalty) for action in actions]
        return Rollouts(
            index,
            epoch,
            tuple(completions),
            tuple(sharpened(score.value, self.stage.sharpness) for score in scores),
            tuple(action.reason if isinstance(action, FormatError) else "" for action in actions),
            tuple({**self._parts(score), "similarity": max(0.0, score.value)} for score in scores),
        )

    def _parts(self, score: Score) -> dict[str, float]:
        return _numbers(score) | (by_method(score) if self.effects is not None else {})


def mean_similarity(groups: Sequence[Rollouts]) -> float:
    """Mean similarity with malformed completions counted as 0: what validation compares."""
    return statistics.fmean(part["similarity"] for group in groups for part in group.parts)


def sharpened(value: float, sharpness: float) -> float:
    """The reward of a similarity: its power; a penalty stays as it is.

    >>> sharpened(0.5, 2.0), sharpened(1.0, 2.0), sharpened(-1.0, 2.0)
    (0.25, 1.0, -1.0)
    """
    return value**sharpness if value > 0 else value


def _action(completion: Completion, limit: int, form: str) -> Action | FormatError:
    if not completion.finished:  # whole as it may look, the policy did not end there
        return FormatError(f"did not end within {limit} tokens", completion.text)
    return parse_action(completion.text, form)


def _numbers(score: Score) -> dict[str, float]:
    return {name: float(value) for name, value in score.parts.items() if not isinstance(value, str)}
