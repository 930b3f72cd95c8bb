"""From a bug to a task: withheld tests, patches, issue, eval script, the SWE-bench row."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

from swe_srl.sandboxes.repository import prepare_repository
from swe_srl.tasks.synthesis.difficulty import measured
from swe_srl.tasks.synthesis.issue import Example, write_issue
from swe_srl.tasks.synthesis.screening import Bug
from swe_srl.tasks.synthesis.suite import TEST_COMMAND, TEST_SECONDS, module_paths
from swe_srl.tasks.synthesis.withholding import file_diff, tree_diff, withhold
from swe_srl.types import Task

LOG_PARSER = "parse_log_django"  # swebench's parser of `unittest -v` logs
_WORKDIR = "/testbed"
_HEREDOC = "EOF_114329324912"  # the delimiter that SWE-bench's own scripts use
_EVAL_SCRIPT = """\
#!/bin/bash
set -uxo pipefail
cd {workdir}
git config --global --add safe.directory {workdir}
cd {workdir}
git status
git -c core.fileMode=false diff {commit}
git checkout {commit} {test_path}
git apply -v - <<'{heredoc}'
{test_patch}
{heredoc}
: '>>>>> Start Test Output'
{command}
: '>>>>> End Test Output'
git checkout {commit} {test_path}
"""


def build_task(bug: Bug, repo: str, source: str, root: Path, passing: Sequence[str], seed: int) -> Task | None:
    """The task that asks for the bug's fix, its number still to be given; None when no example makes a short issue.

    Args:
        bug: what to plant.
        repo: name of the repository in the row.
        source: where the repository comes from (`Task.source`).
        root: the unpacked repository without the bug.
        passing: names of all tests that pass without the bug.
        seed: of the choice of example and wording.
    """
    stream = random.Random(f"{seed}:{bug.path}:{bug.mutation.line}:{bug.mutation.new}")
    function = bug.mutation.function
    issue, example = _choose_issue(bug, function, stream)
    if example is None:
        return None
    pristine = {path: (root / path).read_text() for path in (bug.path, bug.test_path)}
    withheld = withhold(bug.test_path, pristine[bug.test_path], bug.failing)
    base = {bug.path: bug.mutation.source, bug.test_path: withheld}
    setup_patch = tree_diff(pristine, base)
    test_patch = file_diff(bug.test_path, withheld, pristine[bug.test_path])
    commit = prepare_repository(source, setup_patch).base_commit
    extra = {
        "kind": bug.mutation.kind,
        "function": function,
        "module": bug.path,
        "line": bug.mutation.line,
        "example": example.expression,
        "expected": example.expected,
        "wrong": example.wrong,
        "import": example.importing,
        "eval_type": "pass_and_fail",
        "test_seconds": TEST_SECONDS,
        **measured({path: (root / path).read_text() for path in module_paths(root)}, bug.path, bug.mutation, issue),
    }
    return Task(
        instance_id=f"{repo.replace('/', '__')}-0",
        repo=repo,
        base_commit=commit,
        problem_statement=issue,
        patch=file_diff(bug.path, bug.mutation.source, pristine[bug.path]),
        test_patch=test_patch,
        fail_to_pass=bug.failing,
        pass_to_pass=tuple(name for name in passing if name not in bug.failing),
        version="1.0",
        eval_script=eval_script(commit, bug.test_path, test_patch),
        log_parser=LOG_PARSER,
        source=source,
        setup_patch=setup_patch,
        extra=json.dumps(extra),
    )


def eval_script(commit: str, test_path: str, test_patch: str, command: str = TEST_COMMAND) -> str:
    """The script that grading runs, in swebench 5's layout: restore the tests, run them between the markers.

    Args:
        commit: the base commit.
        test_path: the files of the test patch, as words of bash.
        test_patch: brings the withheld tests back.
        command: runs the tests.
    """
    return _EVAL_SCRIPT.format(
        workdir=_WORKDIR,
        commit=commit,
        test_path=test_path,
        test_patch=test_patch,
        heredoc=_HEREDOC,
        command=command,
    )


def _choose_issue(bug: Bug, function: str, stream: random.Random) -> tuple[str, Example | None]:
    """A problem statement and its example: one that gives a wrong value if there is one, else one that raises."""
    examples = stream.sample(bug.examples, len(bug.examples))
    for example in sorted(examples, key=lambda example: example.raised):
        issue = write_issue(function, example, stream)
        if issue:
            return issue, example
    return "", None
