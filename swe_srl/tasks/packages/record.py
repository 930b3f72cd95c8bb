"""What a run of a repository's tests left, and in words which of them cannot be used and why."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

WALL = 4  # seconds on the clock for every second of processor time: the machine has other work
_NEEDS = "what they need is given with --extras or --requirements"
_LAST = 4  # lines of what pytest said
_CHARACTERS = 300  # of it


@dataclass(frozen=True, slots=True)
class Failure:
    """How a test failed: the line of the test file it came to, the error, and the test's arguments as reprs."""

    line: int
    error: str
    message: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Record:
    """What one run of tests left.

    Args:
        outcomes: passed, failed, skipped or xfailed, by node id.
        failures: by node id; a failure outside of the test's own file has none.
        reached: of each function (`path:first line`), the tests that run it; what imports run is run by "".
        errors: of files that cannot be collected.
        problem: why there is nothing else: "hangs", or "crashes" with what was said last.
        seconds: on the clock.
    """

    outcomes: Mapping[str, str] = field(default_factory=dict)
    failures: Mapping[str, Failure] = field(default_factory=dict)
    reached: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    errors: tuple[tuple[str, str], ...] = ()
    problem: str = ""
    seconds: float = 0.0


def left_out(first: Record, second: Record, passing: Collection[str]) -> Iterator[str]:
    """What two runs of all tests have beside those that count, by reason.

    Args:
        first, second: the runs.
        passing: the tests that count.
    """
    if first.errors:
        yield unimportable(first)
    pairs = {name: {outcome, second.outcomes.get(name)} for name, outcome in first.outcomes.items()}
    kinds = {
        "fail": [name for name, found in pairs.items() if found == {"failed"}],
        "pass now and then": [name for name, found in pairs.items() if len(found) > 1],
        "are skipped": [name for name, found in pairs.items() if found == {"skipped"}],
        "have names that a log does not tell apart": [
            name for name, found in pairs.items() if found == {"passed"} and name not in passing
        ],
    }
    for said, names in kinds.items():
        if names:
            yield f"{len(names)} of its tests {said}, the first is {names[0]}"


def unimportable(record: Record) -> str:
    """That test files cannot be imported, why the first one cannot, and what to do."""
    name, said = record.errors[0]
    marked = [line[1:].strip() for line in said.splitlines() if re.match(r"E\s", line)]
    reason = marked[-1] if marked else " ".join(said.split())[:_CHARACTERS] or "pytest does not say why"
    remedy = _NEEDS
    if re.search(r"No module named '\w+\.[\w.]+'", reason):
        remedy += ". The code is taken as it lies in the archive: what a build would make, such as compiled modules, is not there"
    return f"{len(record.errors)} of its test files cannot be imported, the first is {name}: {reason}; {remedy}"


def why_nothing_passes(first: Record, second: Record, seconds: float) -> str:
    """Why no test passes in two runs, which could take so many seconds of processor time each, and what to do."""
    problem = first.problem or second.problem
    if problem == "hangs":
        return (
            f"its tests did not end in {seconds:g} seconds of processor time, or {seconds * WALL:g} on the clock: take a part of "
            "them with --tests, or give more --suite-seconds"
        )
    if problem:
        said = [line for line in problem.removeprefix("crashes: ").splitlines() if line.strip()][-_LAST:]
        return "\n".join(
            [
                "pytest fails:",
                *said,
                f"{_NEEDS}; another pytest, too: --requirements 'pytest<8'; a part of the tests with --tests",
            ]
        )
    if first.errors:
        return unimportable(first)
    if not first.outcomes:
        return (
            "pytest finds no tests in it (doctests do not count): give the place of the tests with --tests; of a package whose "
            "source archive holds none, make the tasks from a clone with --repo"
        )
    return "none of its tests passes twice: " + "; ".join(left_out(first, second, ())) + f"; {_NEEDS}"
