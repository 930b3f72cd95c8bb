"""Which mutations are bugs: a mutation counts when the tests, run in a sandbox, notice it, and not all of them do."""

from __future__ import annotations

import json
import random
import shlex
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from swe_srl.errors import TaskError
from swe_srl.protocols import Sandbox
from swe_srl.tasks.synthesis.issue import Example, double_quoted
from swe_srl.tasks.synthesis.mutations import Mutation
from swe_srl.tasks.synthesis.suite import TEST_COMMAND, TestMethod, log_outcomes

_PROBE = """\
import json, sys
found = []
for importing, expression in json.loads(sys.argv[1]):
    names = {}
    try:
        exec(importing, names)
        found.append([False, repr(eval(expression, names))])
    except Exception as error:
        found.append([True, f"{type(error).__name__}: {error}"])
print(json.dumps(found))
"""


@dataclass(frozen=True, slots=True)
class Bug:
    """A mutation that tests notice.

    Args:
        path: the mutated file.
        mutation: what was changed.
        failing: names of the tests that fail, in the suite's order; all of one test file.
        test_path: that file.
        examples: failing expressions that call the mutated function; never empty.
    """

    path: str
    mutation: Mutation
    failing: tuple[str, ...]
    test_path: str
    examples: tuple[Example, ...]


def preference(candidates: Sequence[Mutation], availability: Counter[str], stream: random.Random) -> list[Mutation]:
    """The order in which to try the mutations of one function: every kind once, then again; rare kinds rather first.

    Args:
        candidates: mutations of one function.
        availability: how many mutations of each kind the whole repository has.
        stream: seeded source of chance.
    """
    waiting: dict[str, list[Mutation]] = {}
    for mutation in candidates:
        waiting.setdefault(mutation.kind, []).append(mutation)
    kinds = sorted(waiting, key=lambda kind: stream.expovariate(1.0) * availability[kind] ** 0.75)
    for kind in kinds:
        stream.shuffle(waiting[kind])
    rounds = max(map(len, waiting.values()), default=0)
    return [waiting[kind][turn] for turn in range(rounds) for kind in kinds if turn < len(waiting[kind])]


def baseline(sandbox: Sandbox, timeout: float, source: str) -> list[str]:
    """The names of the tests that pass as the repository is.

    Raises:
        TaskError: there are no tests, or some do not pass.
    """
    statuses = log_outcomes(sandbox.run(TEST_COMMAND, timeout).output)
    bad = [name for name, status in statuses.items() if status in {"FAIL", "ERROR"}]
    if bad or not statuses:
        reason = f"{len(bad)} of its tests fail, the first is {bad[0]}" if bad else f"`{TEST_COMMAND}` finds no tests"
        raise TaskError(f"{source}: {reason}: new tasks are made from a repository whose tests pass")
    return [name for name, status in statuses.items() if status == "ok"]


@dataclass
class Search:
    """The search for bugs in one function, which can be taken up again.

    Args:
        path, pristine: the function's file and its content.
        candidates: mutations still to try, in order.
        tries: how many of them may still be run.
    """

    path: str
    pristine: str
    candidates: deque[Mutation]
    tries: int
    kinds: set[str] = field(default_factory=set)
    lines: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Screen:
    """Runs mutations of one file in one sandbox.

    Args:
        sandbox: holds the repository as it is; every try puts the file back.
        tests: the repository's test methods by name.
        passing: names of the tests that pass without a bug.
        timeout: seconds the suite may take.
    """

    sandbox: Sandbox
    tests: dict[str, TestMethod]
    passing: Sequence[str]
    timeout: float

    def next_bug(self, search: Search) -> Bug | None:
        """The next bug of a function, of another kind and on another line than those before; None when there is none."""
        while search.candidates and search.tries > 0:
            mutation = search.candidates.popleft()
            if mutation.kind in search.kinds or mutation.line in search.lines:
                continue
            search.tries -= 1
            bug = self._try(search.path, search.pristine, mutation)
            if bug is not None:
                search.kinds.add(mutation.kind)
                search.lines.add(mutation.line)
                return bug
        return None

    def _try(self, path: str, pristine: str, mutation: Mutation) -> Bug | None:
        self.sandbox.write_file(path, mutation.source.encode())
        try:
            failing = self._failing()
            if not failing:
                return None
            examples = self._examples([self.tests[name] for name in failing], mutation.function)
        finally:
            self.sandbox.write_file(path, pristine.encode())
        if not examples:
            return None
        return Bug(path, mutation, tuple(failing), self.tests[failing[0]].path, tuple(examples))

    def _failing(self) -> list[str]:
        """The tests that fail with the bug; none unless all are of one file in which another test still passes."""
        result = self.sandbox.run(TEST_COMMAND, self.timeout)
        if result.timed_out or result.rebuilt or result.truncated:
            return []
        statuses = log_outcomes(result.output)
        failing = [name for name in self.passing if statuses.get(name) in {"FAIL", "ERROR"}]
        vanished = [name for name in self.passing if name not in statuses]
        paths = {self.tests[name].path for name in failing if name in self.tests}
        if vanished or len(paths) != 1 or any(name not in self.tests for name in failing):
            return []
        visible = [name for name in self.passing if name in self.tests and self.tests[name].path in paths]
        return failing if len(failing) < len(visible) else []

    def _examples(self, failing: Sequence[TestMethod], function: str) -> list[Example]:
        """What the failing expressions give; those whose outcome changes from run to run are left out."""
        usable = [test for test in failing if test.calls(function.rpartition(".")[2])]
        request = json.dumps([[test.importing, test.expression] for test in usable])
        command = f"python3 -c {shlex.quote(_PROBE)} {shlex.quote(request)}"
        outputs = {self.sandbox.run(command, self.timeout).output for _ in range(2)} if usable else set()
        if len(outputs) != 1:
            return []
        try:
            outcomes = json.loads(outputs.pop())
        except ValueError:  # the tested code prints, or died
            return []
        examples = [
            Example(test.importing, test.expression, test.expected, wrong if raised else double_quoted(wrong), raised)
            for test, (raised, wrong) in zip(usable, outcomes, strict=True)
        ]
        return [example for example in examples if example.wrong != example.expected]
