"""Watching that a stage has something to learn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from swe_srl.errors import TrainingError
from swe_srl.training.divergence import DivergedError

PATIENCE = 3  # consecutive updates without a usable group
MALFORMED = 0.5  # share of malformed completions above which a stage that has learnt before is stopped too


class Group(Protocol):
    """Samples that are compared with each other: completions of a step, or episodes of a task."""

    @property
    def rewards(self) -> tuple[float, ...]: ...

    @property
    def spread(self) -> float: ...

    @property
    def reasons(self) -> tuple[str, ...]: ...  # of every completion: why it is malformed, or ""


class Watch:
    """Notices that no group of several consecutive updates could teach anything: all rewards of every group were equal.

    A stage that never had a usable group, or whose completions are mostly malformed, is stopped. One that has learnt and
    writes well-formed completions that are all alike has converged: it goes on, and that is said once.
    """

    def __init__(self) -> None:
        self.learnt = False  # whether there was a usable group
        self.malformed = 1.0  # the least share of malformed completions of an update
        self._seen = _Seen()

    def see(self, kept: Sequence[Group], drawn: Sequence[Group]) -> str:
        """Look at the groups of an update (those trained on, and all that were sampled); what is to be said, or "".

        Raises:
            TrainingError: `PATIENCE` updates in a row had no usable group; the message has the reasons.
            DivergedError: so they had, since training broke a policy that wrote the format before.
        """
        if completions := sum(len(group.reasons) for group in drawn):
            share = sum(bool(reason) for group in drawn for reason in group.reasons) / completions
            self.malformed = min(self.malformed, share)
        if any(group.spread > 0 for group in kept):
            self.learnt, self._seen = True, _Seen()
            return ""
        self._seen.add(drawn)
        if self._seen.updates != PATIENCE:
            return ""
        text = f"{PATIENCE} consecutive updates had no usable group: {self._seen.described()}"
        if self.learnt and self._seen.reasons.total() <= MALFORMED * self._seen.completions:
            return f"{text}. There is little left to learn"
        if self.learnt and self.malformed <= MALFORMED:
            raise DivergedError(f"{text}, {self.malformed:.0%} earlier in the stage", unlearnt=True)
        raise TrainingError(
            f"{text}. Start from a model that writes the agent's format (an sft stage before this one teaches it), raise "
            "max_new_tokens when completions do not end, or raise temperature and group_size when they are all alike"
        )

    def state(self) -> dict[str, Any]:
        """What resuming needs, as JSON data."""
        seen = {**vars(self._seen), "reasons": dict(self._seen.reasons)}
        return {"learnt": self.learnt, "malformed": self.malformed, "seen": seen}

    def restore(self, state: Mapping[str, Any], updates: int) -> None:
        """Go on from `state`, taken after so many updates; that of an older version may lack what was seen."""
        self.learnt = state.get("learnt", updates > 0)
        self.malformed = state.get("malformed", 1.0)
        seen = state.get("seen", {})
        self._seen = _Seen(**{**seen, "reasons": Counter(seen.get("reasons", {}))})

    def unlearnt(self) -> str:
        """What is to be said of a stage that is over and never had a usable group, or ""."""
        if self.learnt or not self._seen.updates:
            return ""
        return f"warning: the stage ended without one usable group, nothing was learnt: {self._seen.described()}"


@dataclass
class _Seen:
    """What was sampled for consecutive updates without a usable group."""

    updates: int = 0
    groups: int = 0
    completions: int = 0
    rewards: int = 0
    reward: float = 0.0  # their sum
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, groups: Sequence[Group]) -> None:
        self.updates += 1
        self.groups += len(groups)
        self.completions += sum(len(group.reasons) for group in groups)
        self.rewards += sum(len(group.rewards) for group in groups)
        self.reward += sum(reward for group in groups for reward in group.rewards)
        self.reasons.update(reason for group in groups for reason in group.reasons if reason)

    def described(self) -> str:
        counts = ", ".join(f"{count} × {reason}" for reason, count in self.reasons.most_common())
        mean = self.reward / max(1, self.rewards)
        return (
            f"the rewards of each of {self.groups} groups were too much alike (mean reward {mean:.2f}; "
            f"{self.reasons.total()} of {self.completions} completions malformed{': ' + counts if counts else ''})"
        )
