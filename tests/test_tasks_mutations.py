"""Mutations rewrite one piece of one line, and nothing else."""

from __future__ import annotations

import pytest

from swe_srl.tasks.synthesis.mutations import Mutation, mutations
from swe_srl.tasks.synthesis.rewrites import KINDS


def changes(body: str, kind: str, signature: str = "def f(a, b):") -> set[str]:
    """The mutated lines of a one-line function body."""
    return {m.new.strip() for m in mutations(f"{signature}\n    {body}\n") if m.kind == kind}


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        ("return a < b", "boundary", {"return a <= b"}),
        ("return a <= b", "boundary", {"return a < b"}),
        ("return a > b", "direction", {"return a < b"}),
        ("return a >= b", "direction", {"return a <= b"}),
        ("return 1 <= a < b", "boundary", {"return 1 < a < b", "return 1 <= a <= b"}),
        ("return (a) == (b)", "equality", {"return (a) != (b)"}),
        ("return a not in b", "membership", {"return a in b"}),
        ("return a is None", "membership", {"return a is not None"}),
        ("return a // b", "arithmetic", {"return a * b", "return a % b"}),
        ("a += b", "arithmetic", {"a -= b"}),
        ('return a + "x"', "arithmetic", set()),
        ("return a and b", "boolean", {"return a or b"}),
        ("return not a", "negation", {"return a"}),
        ("if a: return b", "negation", {"if not a: return b"}),
        ("return a[1:]", "constant", {"return a[2:]", "return a[0:]"}),
        ("return a[-1]", "constant", {"return a[-2]"}),
        ("return True", "truth", {"return False"}),
        ("return max(a, b)", "minmax", {"return min(a, b)"}),
        ("return max(a, b)", "arguments", set()),
        ('return a.startswith("x")', "method", {'return a.endswith("x")'}),
        ("return a.upper().lstrip()", "method", {"return a.lower().lstrip()", "return a.upper().rstrip()"}),
        ("return pow(a, b)", "arguments", {"return pow(b, a)"}),
        ("return range(1, len(a))", "arguments", {"return range(len(a), 1)"}),
        ("return a", "variable", {"return b"}),
    ],
)
def test_each_kind(body: str, kind: str, expected: set[str]) -> None:
    assert changes(body, kind) == expected
    assert kind in KINDS


SOURCE = '''"""A module."""

def first(a, b):
    """Not 1 < 2, this is prose."""
    if a < b and a != 0:  # 1 < 2
        return "é<" + str(a - 1)
    return f"{a + 1}"


class Box:
    def __init__(self, size):
        self.size = size + 1

    def holds(self, x):
        return 0 <= x < self.size
'''


def only_difference(mutation: Mutation) -> bool:
    old, new = SOURCE.splitlines(), mutation.source.splitlines()
    changed = [i for i, (a, b) in enumerate(zip(old, new, strict=True), start=1) if a != b]
    return (
        changed == [mutation.line] and old[mutation.line - 1] == mutation.old and new[mutation.line - 1] == mutation.new
    )


def test_one_line_changes_and_the_rest_stays() -> None:
    found = mutations(SOURCE)
    assert found
    assert all(only_difference(mutation) for mutation in found)


def test_functions_are_named_and_places_that_cannot_be_mutated_are_left_out() -> None:
    found = mutations(SOURCE)
    assert {mutation.function for mutation in found} == {"first", "Box.holds"}  # no __init__
    assert {mutation.line for mutation in found} == {5, 6, 15}  # neither docstring nor f-string


def test_byte_columns_of_other_alphabets() -> None:
    assert changes('return "héé" < a', "boundary") == {'return "héé" <= a'}


def test_no_mutation_twice_and_none_in_broken_files() -> None:
    found = mutations(SOURCE)
    assert len({(mutation.line, mutation.new) for mutation in found}) == len(found)
    assert mutations("def f(:\n") == []
