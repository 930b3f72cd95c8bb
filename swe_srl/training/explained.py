"""What `swe-srl explain` tells of a step, an expert's answer, or a task's episodes. Imports neither torch nor a model."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


def _moved(changes: Iterable[float | None]) -> float | None:
    """Factor of the probability per token that these changes of the log-probability per token make on average."""
    known = [change for change in changes if change is not None]
    return math.exp(statistics.fmean(known)) if known else None


def _per_token(before: float | None, after: float | None, tokens: int) -> float | None:
    """Change of a log-probability, per token."""
    return None if before is None or after is None else (after - before) / max(1, tokens)


@dataclass(frozen=True)
class Explained:
    """One completion: what it earned, and its log-probability (of all its tokens) before and after the update."""

    text: str
    command: str
    malformed: str
    parts: dict[str, float]
    reward: float
    advantage: float
    tokens: int
    before: float | None  # not known of runs that did not record it
    after: float | None

    @property
    def change(self) -> float | None:
        """Of the log-probability, per token."""
        return _per_token(self.before, self.after, self.tokens)


@dataclass(frozen=True)
class _Step:
    """A step, and the two models that are compared at it.

    Args:
        sampled: "recorded" when the trainer used what is told, "again" when it was sampled or computed for this.
        before: the model that sampled, in words.
        after: the model that is compared with it.
    """

    stage: int
    update: int | None
    step_id: str
    target: str
    sampled: str
    before: str
    after: str


@dataclass(frozen=True)
class Explanation(_Step):
    """The samples of one step (srl)."""

    completions: tuple[Explained, ...]

    @property
    def mean(self) -> float:
        """Of the rewards."""
        return statistics.fmean(one.reward for one in self.completions)

    @property
    def spread(self) -> float:
        """Sample standard deviation of the rewards."""
        return statistics.stdev(one.reward for one in self.completions)

    def moved(self, better: bool) -> float | None:
        """Factor of the probability per token of the completions that are better (or worse) than the group's mean."""
        return _moved(one.change for one in self.completions if (one.advantage > 0 if better else one.advantage < 0))

    def as_dict(self) -> dict[str, Any]:
        """As JSON data."""
        derived: dict[str, float | None] = {"reward_mean": self.mean, "reward_spread": self.spread}
        derived |= {"better_moved_by": self.moved(True), "worse_moved_by": self.moved(False)}
        return {**asdict(self), **derived}


@dataclass(frozen=True)
class Piece:
    """A token of an expert's answer: its text, and its log-probability before and after the update."""

    text: str
    before: float
    after: float


@dataclass(frozen=True)
class Sample:
    """What the model writes at a step after the update, beside the target."""

    step_id: str
    target: str
    text: str
    command: str
    malformed: str
    similarity: float


@dataclass(frozen=True)
class AnswerExplanation(_Step):
    """An expert's answer as sft learnt it.

    Args:
        context: the end of the last message before the answer.
        pieces: the tokens that were learnt.
        own: what the model then writes at this step.
        held_out: what it writes at a held-out step; None when the stage has no validations.
    """

    context: str
    pieces: tuple[Piece, ...]
    own: Sample
    held_out: Sample | None

    @property
    def loss_before(self) -> float:
        """Negative log-likelihood per token."""
        return -statistics.fmean(one.before for one in self.pieces)

    @property
    def loss_after(self) -> float:
        """Negative log-likelihood per token."""
        return -statistics.fmean(one.after for one in self.pieces)

    def as_dict(self) -> dict[str, Any]:
        """As JSON data."""
        return {**asdict(self), "loss_before": self.loss_before, "loss_after": self.loss_after}


@dataclass(frozen=True)
class ExplainedTurn:
    """One completion of an episode; its tokens and log-probabilities are not known of runs that did not record them."""

    text: str
    command: str
    malformed: str
    tokens: int | None
    before: float | None
    after: float | None


@dataclass(frozen=True)
class ExplainedEpisode:
    """One episode: its verdict, what it earned, and its turns.

    Args:
        verdict: a `VerdictStatus`.
        official: whether it is resolved by the official rules.
        similarity: mean similarity of its commands to the expert's, when the stage rewards that.
    """

    sample: int
    reward: float
    advantage: float | None
    similarity: float | None
    verdict: str
    official: bool
    stop: str
    patch: str
    turns: tuple[ExplainedTurn, ...]

    @property
    def tokens(self) -> int:
        """Of all turns."""
        return sum(turn.tokens or 0 for turn in self.turns)

    @property
    def before(self) -> float | None:
        """Log-probability of all its completions."""
        return _sum(turn.before for turn in self.turns)

    @property
    def after(self) -> float | None:
        """Log-probability of all its completions."""
        return _sum(turn.after for turn in self.turns)

    @property
    def change(self) -> float | None:
        """Of the log-probability, per token."""
        return _per_token(self.before, self.after, self.tokens)


def _sum(values: Iterable[float | None]) -> float | None:
    found = list(values)
    known = [value for value in found if value is not None]
    return sum(known) if len(known) == len(found) else None


@dataclass(frozen=True)
class EpisodesExplanation:
    """The episodes of one task (rlvr)."""

    stage: int
    update: int
    task_id: str
    episodes: tuple[ExplainedEpisode, ...]

    def moved(self, better: bool) -> float | None:
        """Factor of the probability per token of the episodes that are better (or worse) than the group's mean."""
        mean = statistics.fmean(one.reward for one in self.episodes)
        return _moved(one.change for one in self.episodes if (one.reward > mean if better else one.reward < mean))

    def as_dict(self) -> dict[str, Any]:
        """As JSON data."""
        return {**asdict(self), "better_moved_by": self.moved(True), "worse_moved_by": self.moved(False)}
