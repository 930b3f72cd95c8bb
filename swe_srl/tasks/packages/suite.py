"""A repository's tests as pytest runs them in a sandbox: which pass, and which functions each of them runs."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import resources
from typing import Any

from swe_srl.errors import TaskError
from swe_srl.protocols import Sandbox

TEST_COMMAND = "python3 -m pytest -rap -o addopts= -p no:cacheprovider --continue-on-collection-errors"
LOG_PARSER = "parse_log_pytest"
_HERE = "/tmp/.recorder"  # in the sandbox
_RECORD = f"{_HERE}/record.json"
_SELECT = f"{_HERE}/select.json"
_COMMAND = """\
mkdir -p {here}; rm -f {here}/record.json
(ulimit -St {cpu}; SWE_SRL_RECORD={here}/record.json SWE_SRL_SELECT={select} SWE_SRL_REACH={reach} \
PYTHONPATH={here}:$PYTHONPATH {command} -q --tb=no -p swe_srl_recorder {paths}) >{here}/log 2>&1
status=$?; tail -n 20 {here}/log; (exit $status)"""
WALL = 4  # seconds on the clock for every second of processor time: the machine has other work


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


@dataclass(frozen=True, slots=True)
class Suite:
    """The tests of a repository as it is.

    Args:
        passing: node ids of the tests that pass in two runs and whose names in a log are their own.
        reached: of each function (`path:first line`), those of them that run it.
        seconds: that all of them take.
    """

    passing: tuple[str, ...]
    reached: Mapping[str, tuple[str, ...]]
    seconds: float

    def as_row(self) -> dict[str, Any]:
        numbers = {name: number for number, name in enumerate(self.passing)}
        row = asdict(self)
        row["reached"] = {place: [numbers[name] for name in names] for place, names in self.reached.items()}
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Suite:
        passing = tuple(row["passing"])
        reached = {place: tuple(passing[number] for number in numbers) for place, numbers in row["reached"].items()}
        return cls(passing, reached, float(row["seconds"]))


class TestBench:
    """Runs tests in one sandbox that holds the repository."""

    __test__ = False  # not a test class for pytest

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        plugin = resources.files("swe_srl.tasks.packages").joinpath("recorder.py").read_bytes()
        sandbox.write_file(f"{_HERE}/swe_srl_recorder.py", plugin)

    def run(self, paths: Sequence[str], seconds: float, select: Collection[str] = (), reach: bool = False) -> Record:
        """Run the tests of some files.

        Args:
            paths: files or folders; none for what pytest finds.
            seconds: of processor time that they may take.
            select: node ids of the tests to run; none for all.
            reach: whether `Record.reached` is wanted (slower).
        """
        if select:
            self.sandbox.write_file(_SELECT, json.dumps(sorted(select)).encode())
        command = _COMMAND.format(
            here=_HERE,
            cpu=max(1, round(seconds)),
            select=_SELECT if select else '""',
            reach=int(reach),
            command=TEST_COMMAND,
            paths=shlex.join(paths),
        )
        result = self.sandbox.run(command, seconds * WALL)
        try:
            row = json.loads(self.sandbox.read_file(_RECORD))
        except (FileNotFoundError, ValueError):
            killed = result.timed_out or result.exit_code in (None, 128 + 24, 128 + 9)  # SIGXCPU, SIGKILL
            return Record(problem="hangs" if killed else f"crashes: {result.output[-2000:]}", seconds=result.duration)
        names = row["names"] if reach else []
        return Record(
            outcomes=row["outcomes"],
            failures={name: Failure(**failure) for name, failure in row["failures"].items()},
            reached={place: tuple(names[number] for number in numbers) for place, numbers in row["reached"].items()},
            errors=tuple((name, said) for name, said in row["errors"]),
            seconds=result.duration,
        )


def examine(bench: TestBench, tests: Sequence[str], seconds: float, source: str) -> Suite:
    """Run all tests twice, and see which pass each time and what they run.

    Args:
        bench: its sandbox holds the repository as it is.
        tests: files or folders of the tests; none for what pytest finds.
        seconds: that one run may take.
        source: name of the repository for messages.

    Raises:
        TaskError: no tests pass.
    """
    first = bench.run(tests, seconds, reach=True)
    second = bench.run(tests, seconds)
    passing = [name for name, outcome in first.outcomes.items() if outcome == second.outcomes.get(name) == "passed"]
    passing = own_names(passing, first.outcomes)
    if not passing:
        raise TaskError(f"{source}: {_why_nothing_passes(first, second)}")
    wanted = set(passing)
    everyone = tuple(passing)
    reached = {
        place: everyone if "" in names else tuple(name for name in names if name in wanted)
        for place, names in first.reached.items()
    }
    return Suite(everyone, {place: names for place, names in reached.items() if names}, second.seconds)


def own_names(names: Sequence[str], outcomes: Collection[str]) -> list[str]:
    """The tests that a log tells apart from all others: names in a log end at the first blank."""
    several = Counter(map(log_name, outcomes))
    return [name for name in names if several[log_name(name)] == 1]


def log_name(node_id: str) -> str:
    """What swebench's parser of pytest logs reads of a test's name.

    >>> log_name("tests/test_a.py::test_b[a b]")
    'tests/test_a.py::test_b[a'
    """
    return node_id.split()[0]


def file_of(node_id: str) -> str:
    """The file of a test."""
    return node_id.split("::")[0]


def _why_nothing_passes(first: Record, second: Record) -> str:
    remedy = "give what they need with --requirements or --extras, or the place of the tests with --tests"
    problem = first.problem or second.problem
    if problem == "hangs":
        return "its tests did not end in time: give --suite-seconds"
    if problem:
        return f"pytest fails: {problem.removeprefix('crashes: ').strip()}\n{remedy}"
    if first.errors:
        name, said = first.errors[0]
        return f"{len(first.errors)} of its test files cannot be imported, the first is {name}: {said}\n{remedy}"
    if not first.outcomes:
        return f"pytest finds no tests in it: {remedy}"
    return f"none of its {len(first.outcomes)} tests passes twice: {remedy}"
