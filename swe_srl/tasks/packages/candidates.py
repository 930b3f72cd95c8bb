"""Which mutations of a repository to try, in which order."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from swe_srl.python_source import parse_python
from swe_srl.tasks.packages.suite import Suite
from swe_srl.tasks.packages.trial import Candidate, has_plain_lines, source_text
from swe_srl.tasks.synthesis.mutations import ALL_KINDS, Mutation, functions, mutations
from swe_srl.tasks.synthesis.screening import preference
from swe_srl.tasks.synthesis.suite import module_paths

_SUPPORT = ("conftest.py", "setup.py", "noxfile.py")


def candidates(root: Path, suite: Suite, seed: int) -> list[Candidate]:
    """The mutations of every function that a passing test runs: one of each function in turn, kinds balanced.

    Args:
        root: the repository.
        suite: what its tests run.
        seed: of the order.
    """
    found = {path: list(_of_file(root, path, suite)) for path in module_paths(root) if _is_code(path)}
    availability = Counter(candidate.mutation.kind for several in found.values() for candidate in several)
    queues = []
    for path, several in found.items():
        for function in dict.fromkeys(candidate.mutation.function for candidate in several):
            own = {candidate.mutation: candidate for candidate in several if candidate.mutation.function == function}
            stream = random.Random(f"{seed}:{path}:{function}")
            queues.append([own[mutation] for mutation in preference(list(own), availability, stream)])
    random.Random(f"{seed}:functions").shuffle(queues)
    return [candidate for turn in zip_longest(*queues) for candidate in turn if candidate is not None]


def _is_code(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return name not in _SUPPORT and not name.endswith("_test.py")


def _of_file(root: Path, path: str, suite: Suite) -> Iterator[Candidate]:
    try:
        text = source_text(root / path)
        tree = parse_python(text)
    except (SyntaxError, UnicodeDecodeError):
        return
    if not has_plain_lines(text):
        return
    spans = []
    for _, node in functions(tree, special=True):
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        if names := suite.reached.get(f"{path}:{first}"):
            spans.append((node.lineno, node.end_lineno or node.lineno, names))
    if not spans:
        return
    for mutation in mutations(text, ALL_KINDS, special=True):
        tests = _tests_of(mutation, spans)
        if tests:
            yield Candidate(path, mutation, tests)


def _tests_of(mutation: Mutation, spans: list[tuple[int, int, tuple[str, ...]]]) -> tuple[str, ...]:
    return next((names for first, last, names in spans if first <= mutation.line <= last), ())
