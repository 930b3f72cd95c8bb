"""Which mutations are tried, and what is said when they are too few."""

from __future__ import annotations

from swe_srl.tasks.packages.choice import Choice
from swe_srl.tasks.packages.outcomes import KEPT, Outcome
from swe_srl.tasks.packages.trial import Candidate
from swe_srl.tasks.synthesis.mutations import Mutation
from swe_srl.tasks.synthesis.settings import SynthesiseSettings


def candidate(kind: str, line: int) -> Candidate:
    return Candidate("calc.py", Mutation(kind, "clamp", line, "old", "new", ([], "", 0)), ("test_a",))


def test_a_shortage_names_what_bounds_the_tasks_of_a_function() -> None:
    choice = Choice(SynthesiseSettings(count=3, per_function=1))
    first, second = candidate("branch", 3), candidate("variable", 7)
    assert choice.takes(first) and choice.add(first, Outcome(first.key, "branch", KEPT))
    assert not choice.takes(second)
    assert "the other 1 mutations are of functions with enough tasks (--per-function 1," in choice.shortage(2)
    assert choice.shortage(1) == "all its mutations have been tried"
