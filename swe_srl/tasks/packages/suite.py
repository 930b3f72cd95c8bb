"""A repository's tests as pytest runs them in a sandbox: which pass, and which functions each of them runs."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

from swe_srl.errors import TaskError
from swe_srl.protocols import Sandbox
from swe_srl.tasks.packages.record import WALL, Failure, Record, left_out, why_nothing_passes

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


@dataclass(frozen=True, slots=True)
class Suite:
    """The tests of a repository as it is.

    Args:
        passing: node ids of the tests that pass in two runs and whose names in a log are their own.
        reached: of each function (`path:first line`), those of them that run it.
        seconds: that all of them take.
        left_out: what is not among them and why, in words.
        unimportable: how many test files cannot be imported.
        extras, requirements: what was installed for it.
    """

    passing: tuple[str, ...]
    reached: Mapping[str, tuple[str, ...]]
    seconds: float
    left_out: tuple[str, ...] = ()
    unimportable: int = 0
    extras: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()

    def as_row(self) -> dict[str, Any]:
        numbers = {name: number for number, name in enumerate(self.passing)}
        row = asdict(self)
        row["reached"] = {place: [numbers[name] for name in names] for place, names in self.reached.items()}
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Suite:
        passing = tuple(row["passing"])
        reached = {place: tuple(passing[number] for number in numbers) for place, numbers in row["reached"].items()}
        lists = {name: tuple(row.get(name, ())) for name in ("left_out", "extras", "requirements")}
        return cls(passing, reached, float(row["seconds"]), unimportable=int(row.get("unimportable", 0)), **lists)


class NothingPassesError(TaskError):
    """No test of a project passes twice.

    Args:
        message: why, and what to do.
        crashed: pytest itself failed.
    """

    def __init__(self, message: str, crashed: bool = False) -> None:
        super().__init__(message)
        self.crashed = crashed


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
        NothingPassesError: no tests pass.
    """
    first = bench.run(tests, seconds, reach=True)
    second = bench.run(tests, seconds)
    passing = [name for name, outcome in first.outcomes.items() if outcome == second.outcomes.get(name) == "passed"]
    passing = own_names(passing, first.outcomes)
    if not passing:
        crashed = first.problem.startswith("crashes")
        raise NothingPassesError(f"{source}: {why_nothing_passes(first, second, seconds)}", crashed)
    wanted = set(passing)
    everyone = tuple(passing)
    reached = {
        place: everyone if "" in names else tuple(name for name in names if name in wanted)
        for place, names in first.reached.items()
    }
    reached = {place: names for place, names in reached.items() if names}
    reasons = tuple(left_out(first, second, wanted))
    return Suite(everyone, reached, second.seconds, reasons, unimportable=len(first.errors))


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
