"""Which mutations of a repository are of use, and which outcomes count."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from swe_srl.tasks.packages.outcomes import KEPT, Outcome
from swe_srl.tasks.packages.trial import Candidate
from swe_srl.tasks.synthesis.settings import SynthesiseSettings


@dataclass
class Choice:
    """Decides in the candidates' order which count: neither workers nor kills change what comes out."""

    settings: SynthesiseSettings
    outcomes: list[Outcome] = field(default_factory=list)
    kept: list[Outcome] = field(default_factory=list)
    _tried: Counter[tuple[str, str]] = field(default_factory=Counter)
    _taken: dict[tuple[str, str], list[Candidate]] = field(default_factory=dict)

    def takes(self, candidate: Candidate) -> bool:
        """Whether a candidate is of use: once it is of none, it stays so."""
        function = candidate.path, candidate.mutation.function
        taken = self._taken.get(function, [])
        return (
            len(taken) < self.settings.per_function
            and self._tried[function] < self.settings.attempts
            and all(other.mutation.kind != candidate.mutation.kind for other in taken)
            and all(other.mutation.line != candidate.mutation.line for other in taken)
        )

    def add(self, candidate: Candidate, outcome: Outcome) -> bool:
        """Count an outcome; whether it is a task."""
        function = candidate.path, candidate.mutation.function
        self._tried[function] += 1
        self.outcomes.append(outcome)
        if outcome.reason != KEPT:
            return False
        self.kept.append(outcome)
        self._taken.setdefault(function, []).append(candidate)
        return True

    def shortage(self, mutations: int) -> str:
        """Why there are fewer tasks than were asked for, of so many mutations."""
        left = mutations - len(self.outcomes)
        if not left:
            return "all its mutations have been tried"
        return (
            f"the other {left} mutations are of functions with enough tasks (--per-function {self.settings.per_function}, each "
            f"of another kind and line) or tries (--attempts {self.settings.attempts}); more of either, or others by another "
            "--seed, need another --output"
        )
