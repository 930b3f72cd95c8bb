"""Is a mutation a bug worth a task: some tests notice it, the others pass as before, and an issue can be written of it."""

from __future__ import annotations

import ast
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from swe_srl.python_source import parse_python
from swe_srl.tasks.packages.example import (
    FoundTest,
    called_names,
    example_script,
    failing_statement,
    find_test,
)
from swe_srl.tasks.packages.expert import example_command
from swe_srl.tasks.packages.record import Failure
from swe_srl.tasks.packages.statement import UNNAMED, names_a_test, names_the_fix, shortened, write_statement
from swe_srl.tasks.packages.suite import Suite, TestBench, file_of
from swe_srl.tasks.synthesis.mutations import Mutation

LARGEST_SHARE = 0.5  # of the tests in the same files: a bug that breaks more is none that anybody would ship
TRIED_EXAMPLES = 4
EXAMPLE_SECONDS = 10.0
EXCERPT_LINES = 12

SURVIVES = "no test fails"
HANGS = "the tests hang"
CRASHES = "the tests crash"
TOO_MANY = "too many tests fail"
VANISH = "tests vanish"
NOT_SPELT_OUT = "a failing test cannot be withheld"
NO_ISSUE = "no issue can be written"
GIVEN_AWAY = "the issue would name the fix"
NOT_VALIDATED = "validation fails"
EXPERT_FAILS = "the expert fails"
OTHER_DIFFICULTY = "another difficulty"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A mutation to try.

    Args:
        path: the mutated file.
        mutation: what is done to it.
        tests: node ids of the tests that run the mutated function.
    """

    path: str
    mutation: Mutation
    tests: tuple[str, ...]

    @property
    def key(self) -> str:
        """Names the candidate in a journal."""
        return f"{self.path}:{self.mutation.line}:{self.mutation.kind}:{self.mutation.new.strip()}"


@dataclass(frozen=True, slots=True)
class PackageBug:
    """A mutation that tests notice.

    Args:
        path, mutation: what is planted.
        failing: node ids of the tests that fail with it.
        withheld: lines of the functions that these are, by test file.
        subject: what the issue is about: a name that the failing code calls.
        script: shows the bug by itself, or "".
        statement: the issue.
    """

    path: str
    mutation: Mutation
    failing: tuple[str, ...]
    withheld: Mapping[str, tuple[tuple[int, int], ...]]
    subject: str
    script: str
    statement: str


class Trial:
    """Tries mutations in one sandbox; every try puts the file back.

    Args:
        bench: its sandbox holds the repository as it is.
        suite: what the tests do without a bug.
        root: the repository on the host, to read.
        seconds: of processor time that the tests may take with a bug in.
        seed: of the choice of words and examples.
    """

    def __init__(self, bench: TestBench, suite: Suite, root: Path, seconds: float, seed: int) -> None:
        self._bench = bench
        self._suite = suite
        self._root = root
        self._seconds = seconds
        self._seed = seed

    def close(self) -> None:
        """Close the sandbox. Idempotent."""
        self._bench.sandbox.close()

    def attempt(self, candidate: Candidate) -> PackageBug | str:
        """The bug, or why the mutation is none."""
        files = sorted({file_of(name) for name in candidate.tests})
        pristine = source_text(self._root / candidate.path)
        self._bench.sandbox.write_file(candidate.path, candidate.mutation.source.encode())
        try:
            record = self._bench.run(files, self._seconds, candidate.tests)
            if record.problem:
                return HANGS if record.problem == "hangs" else CRASHES
            failing = tuple(name for name in candidate.tests if record.outcomes.get(name) == "failed")
            if record.errors or any(record.outcomes.get(name) not in ("passed", "failed") for name in candidate.tests):
                return VANISH
            if not failing:
                return SURVIVES
            if len(failing) > LARGEST_SHARE * sum(file_of(name) in files for name in self._suite.passing):
                return TOO_MANY
            found = self._found(failing)
            if found is None:
                return NOT_SPELT_OUT
            stream = random.Random(f"{self._seed}:{candidate.key}")
            examples = list(self._examples(failing, found, record.failures, stream))
            chosen = next((example for example in examples if example.script and self._fails(example)), None)
        finally:
            self._bench.sandbox.write_file(candidate.path, pristine.encode())
        if chosen is not None and not self._passes(chosen):
            chosen = None
        chosen = chosen or next((example for example in examples if example.excerpt), None)
        if chosen is None:
            return NO_ISSUE
        script = chosen.script if chosen.verified else ""
        code = script or chosen.excerpt
        message = shortened(chosen.failure.message)
        statement = write_statement(chosen.subject, chosen.failure.error, message, code, bool(script), stream)
        if names_the_fix(statement, candidate.mutation.old.splitlines()):
            return GIVEN_AWAY
        withheld: dict[str, tuple[tuple[int, int], ...]] = {}
        for name in failing:
            spans = {*withheld.get(file_of(name), ()), (found[name].first_line, found[name].last_line)}
            withheld[file_of(name)] = tuple(sorted(spans))
        return PackageBug(candidate.path, candidate.mutation, failing, withheld, chosen.subject, script, statement)

    def _found(self, failing: Sequence[str]) -> dict[str, FoundTest] | None:
        """The functions of the failing tests; None when one of them is not spelt out."""
        trees: dict[str, ast.Module] = {}
        found: dict[str, FoundTest] = {}
        for name in failing:
            path = file_of(name)
            if path not in trees:
                text = source_text(self._root / path)
                if not has_plain_lines(text):
                    return None
                trees[path] = parse_python(text)
            test = find_test(trees[path], name)
            if test is None:
                return None
            found[name] = test
        return found

    def _examples(
        self,
        failing: Sequence[str],
        found: Mapping[str, FoundTest],
        failures: Mapping[str, Failure],
        stream: random.Random,
    ) -> list[_Example]:
        tests = {test.function.name for test in found.values()}
        told = [name for name in failing if name in failures]
        examples = []
        for name in stream.sample(told, min(len(told), TRIED_EXAMPLES)):
            text, test, failure = source_text(self._root / file_of(name)), found[name], failures[name]
            statement = failing_statement(test, failure.line)
            if statement is None:
                continue
            script = example_script(text, parse_python(text), test, failure.line, failure.values)
            example = _Example(failure, script, _excerpt(text, test, statement), _subject(statement))
            if not names_a_test("\n".join((shortened(failure.message), script, example.excerpt)), tests):
                examples.append(example)
        return examples

    def _fails(self, example: _Example) -> bool:
        """Whether the script fails with the bug in, the same way each time."""
        results = [self._bench.sandbox.run(example_command(example.script), EXAMPLE_SECONDS) for _ in range(2)]
        last = (results[0].output.strip().splitlines() or [""])[-1]
        example.verified = (
            results[0].exit_code == results[1].exit_code == 1
            and results[0].output == results[1].output
            and " at 0x" not in results[0].output
            and example.failure.error in last
        )
        return example.verified

    def _passes(self, example: _Example) -> bool:
        """Whether the script runs without the bug."""
        example.verified = self._bench.sandbox.run(example_command(example.script), EXAMPLE_SECONDS).exit_code == 0
        return example.verified


@dataclass(slots=True)
class _Example:
    """How one failing test can be told of. `excerpt` is its code, which need not run by itself."""

    failure: Failure
    script: str
    excerpt: str
    subject: str
    verified: bool = False


def source_text(path: Path) -> str:
    """A source file with its line ends as they are."""
    return path.read_bytes().decode()


def has_plain_lines(text: str) -> bool:
    """Whether Python, diffs and this module agree where the lines of a file end."""
    return text.splitlines() == text.removesuffix("\n").split("\n")


def _excerpt(text: str, test: FoundTest, statement: ast.stmt) -> str:
    """The last lines of a test up to the failing statement, as far to the left as they go; "" when that calls what the test
    defines further up, which nobody sees."""
    last = statement.end_lineno or statement.lineno
    first = max(test.function.body[0].lineno, last - EXCERPT_LINES + 1)
    defined = (node for node in ast.walk(test.function) if isinstance(node, _DEFINITIONS) and node is not test.function)
    if {node.name for node in defined if node.lineno < first} & set(called_names(statement)):
        return ""
    lines = text.split("\n")[first - 1 : last]
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[margin:] for line in lines).strip("\n")


def _subject(statement: ast.stmt) -> str:
    """What a failing statement is about: the innermost thing that it calls, assertions apart."""
    names = [name for name in called_names(statement) if not name.startswith("assert") and name not in _PLAIN]
    return names[-1] if names else UNNAMED


_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_PLAIN = frozenset(
    {"list", "tuple", "set", "dict", "sorted", "len", "repr", "str", "raises", "next", "iter", "isinstance"}
)
