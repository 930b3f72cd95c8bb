"""From a bug in a package to a task: withheld tests, patches, eval script, the SWE-bench row."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from swe_srl.python_source import parse_python
from swe_srl.sandboxes.repository import prepare_repository
from swe_srl.tasks.packages.expert import MARK
from swe_srl.tasks.packages.suite import LOG_PARSER, TEST_COMMAND, Suite, file_of, log_name
from swe_srl.tasks.packages.trial import PackageBug, source_text
from swe_srl.tasks.synthesis.build import eval_script
from swe_srl.tasks.synthesis.difficulty import measured
from swe_srl.tasks.synthesis.mutations import functions
from swe_srl.tasks.synthesis.suite import module_paths
from swe_srl.tasks.synthesis.withholding import file_diff, tree_diff, without_lines
from swe_srl.types import Task


@dataclass(frozen=True)
class Project:
    """The repository that tasks are made of.

    Args:
        name: in the rows, `owner/name`.
        version: in the rows.
        source: `Task.source` of the repository without a bug.
        root: the same, unpacked, to read.
        packages: folder of the installed packages that it needs.
        variables: of the sandboxes.
    """

    name: str
    version: str
    source: str
    root: Path
    packages: Path
    variables: tuple[tuple[str, str], ...]

    @cached_property
    def modules(self) -> Mapping[str, str]:
        """The Python files that are no tests, by path; those that are no text are left out."""
        found = {}
        for path in module_paths(self.root):
            with suppress(UnicodeDecodeError):
                found[path] = source_text(self.root / path)
        return found


def package_task(
    bug: PackageBug, project: Project, suite: Suite, tests: tuple[str, ...], seconds: float
) -> Task | None:
    """The task that asks for the bug's fix, its number still to be given; None when its tests cannot be withheld.

    Args:
        bug: what to plant.
        project: where.
        suite: its tests without the bug.
        tests: those that run the mutated function; the task's tests are all those of the same files.
        seconds: that its tests may take on the clock.
    """
    pristine = {path: source_text(project.root / path) for path in (bug.path, *bug.withheld)}
    withheld = {path: without_lines(pristine[path], spans) for path, spans in bug.withheld.items()}
    if not all(map(_parses, withheld.values())):
        return None
    base = {bug.path: bug.mutation.source, **withheld}
    setup_patch = tree_diff(pristine, base)
    test_patch = tree_diff(withheld, {path: pristine[path] for path in withheld})
    commit = prepare_repository(project.source, setup_patch).base_commit
    files = sorted({file_of(name) for name in tests})
    failing = set(bug.failing)
    kept = [name for name in suite.passing if file_of(name) in set(files) and name not in failing]
    first, last = function_lines(bug.mutation.source, bug.mutation.function)
    extra = {
        "synthesis": MARK,
        "kind": bug.mutation.kind,
        "function": bug.mutation.function,
        "module": bug.path,
        "line": bug.mutation.line,
        "function_first": first,
        "function_last": last,
        "subject": bug.subject,
        "script": bug.script,
        "test_files": files,
        "packages": str(project.packages),
        "variables": dict(project.variables),
        "eval_type": "pass_and_fail",
        "test_seconds": seconds,
        **measured(project.modules, bug.path, bug.mutation, bug.statement),
    }
    restored = shlex.join(sorted(withheld))
    command = f"{TEST_COMMAND} {shlex.join(files)}"
    return Task(
        instance_id=f"{project.name.replace('/', '__')}-0",
        repo=project.name,
        base_commit=commit,
        problem_statement=bug.statement,
        patch=file_diff(bug.path, bug.mutation.source, pristine[bug.path]),
        test_patch=test_patch,
        fail_to_pass=tuple(map(log_name, bug.failing)),
        pass_to_pass=tuple(map(log_name, kept)),
        version=project.version,
        eval_script=eval_script(commit, restored, test_patch, command),
        log_parser=LOG_PARSER,
        source=project.source,
        setup_patch=setup_patch,
        extra=json.dumps(extra),
    )


def function_lines(source: str, name: str) -> tuple[int, int]:
    """First and last line of a function that a mutation names."""
    for found, node in functions(parse_python(source), special=True):
        if found == name:
            return node.lineno, node.end_lineno or node.lineno
    raise ValueError(f"no function {name}")


def _parses(text: str) -> bool:
    try:
        parse_python(text)
    except SyntaxError:
        return False
    return True
