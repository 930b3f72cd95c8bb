"""Evaluation scripts for rows that have none, as the harnesses of their data sets write them.

Two of them are forks of SWE-bench's of before version 5, which made the script from the row: SWE-rebench's takes the test
command from the row's `install_config`, SWE-Gym's from a table by repository. SWE-smith's runs the files of the FAIL_TO_PASS
tests, and counts no others. SWE-bench's own rows have their script.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from swe_srl.errors import TaskError
from swe_srl.tasks.planting import WITH_TESTS, is_planted, withheld
from swe_srl.types import Task

WORKDIR = "/testbed"
PYTEST, PYTEST_COLOURED = "parse_log_pytest", "parse_log_pytest_v2"
SWE_GYM_IMAGES = "xingyaoww/"
OTHER_IMAGES = ("swerebenchv2/",)  # their repositories are elsewhere, and have other parsers
_ENVIRONMENT = ("source /opt/miniconda3/bin/activate", "conda activate testbed")
_HEREDOC = "EOF_114329324912"
_NO_TESTS = (".json", ".png", "csv", ".txt", ".md", ".jpg", ".jpeg", ".pkl", ".yml", ".yaml", ".toml")
_NEW_SIDE = re.compile(r"^diff --git a/.* b/(.*)$", re.MULTILINE)
_CASE = re.compile(r"\[case ([^\]]+)\]")  # how mypy's tests are named


@dataclass(frozen=True, slots=True)
class HowTested:
    """How a task's tests are run.

    Args:
        command: the test command; the files of the test patch are put behind it.
        log_parser: of swebench.
        install: commands that install the repository once more, after the patch was applied.
        before: commands before anything else.
        by_case: whether the command takes the names of mypy's test cases in place of files.
    """

    command: str
    log_parser: str = PYTEST
    install: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    by_case: bool = False


SWE_GYM: Mapping[str, HowTested] = {  # without the installation: it needs a network, and the images have it
    "bokeh/bokeh": HowTested("pytest -rA -n0"),
    "conan-io/conan": HowTested("pytest -n0 -rA", before=("export PYTHONPATH=${PYTHONPATH:-}:$(pwd)",)),
    "dask/dask": HowTested("pytest -n0 -rA --color=no"),
    "facebookresearch/hydra": HowTested("pytest -rA --tb=long"),
    "getmoto/moto": HowTested("pytest -n0 -rA"),
    "iterative/dvc": HowTested("pytest -rA"),
    "modin-project/modin": HowTested("pytest -n0 -rA"),
    "pandas-dev/pandas": HowTested("pytest -rA --tb=long"),
    "project-monai/monai": HowTested("pytest -rA"),
    "pydantic/pydantic": HowTested(
        "pytest -rA --tb=short -vv -o console_output_style=classic --no-header", PYTEST_COLOURED
    ),
    "python/mypy": HowTested("pytest -rA -k", by_case=True),
}


PYTEST_FILES = (".py", ".rst", ".md", ".txt")  # tests, and documents with examples
SWE_SMITH = "pytest --disable-warnings --color=no --tb=no --verbose -rA"
SWE_SMITH_OWN: Mapping[str, HowTested] = {  # by the beginning of the repository's name
    "swesmith/mido__mido.": HowTested(f"{SWE_SMITH} -c /dev/null"),
    "swesmith/pydantic__pydantic.": HowTested(f"/root/.local/bin/uv run {SWE_SMITH}"),
    "swesmith/python__mypy.": HowTested("pytest --color=no -rA -k", by_case=True),
}


def with_script(task: Task) -> Task:
    """As `scripted`; a task whose row is not usable stays as it is (so that others of its set can be run)."""
    try:
        return scripted(task)
    except TaskError:
        return task


def scripted(task: Task) -> Task:
    """The task with an evaluation script and log parser: the row's own, else what the harness of its data set makes of it.

    A row with `install_config` is SWE-rebench's, one with an image of SWE-Gym is SWE-Gym's, one of a repository `swesmith/…`
    SWE-smith's. Others stay as they are.

    Raises:
        TaskError: the row's `install_config` is not usable.
    """
    if task.eval_script:
        return task
    if task.repo.startswith("swesmith/"):
        return _smith(task)
    if not task.test_patch:
        return task
    recipe = recipe_of(task)
    if recipe is None:
        return task
    return replace(task, eval_script=script(task, recipe), log_parser=task.log_parser or recipe.log_parser)


def recipe_of(task: Task) -> HowTested | None:
    """How the tests of a row without a script are run; None when its data set is not known.

    Raises:
        TaskError: its `install_config` is not usable.
    """
    if any(name in task.image for name in OTHER_IMAGES):
        return None
    config = json.loads(task.extra).get("install_config")
    if config:
        return _configured(config, task.instance_id)
    return SWE_GYM.get(task.repo.lower()) if task.image.startswith(SWE_GYM_IMAGES) else None


def script(task: Task, recipe: HowTested) -> str:
    """The evaluation script: reset the test files, apply the test patch, run the tests, reset them again."""
    files = changed_files(task.test_patch)
    reset = (f"git checkout {task.base_commit} {' '.join(files)}",) if files else ()
    lines = [
        "#!/bin/bash",
        "set -uxo pipefail",
        *_ENVIRONMENT,
        f"cd {WORKDIR}",
        *recipe.before,
        f"git config --global --add safe.directory {WORKDIR}",
        f"cd {WORKDIR}",
        "git status",
        "git show",
        f"git -c core.fileMode=false diff {task.base_commit}",
        *_ENVIRONMENT,
        *recipe.install,
        *reset,
        f"git apply -v - <<'{_HEREDOC}'\n{task.test_patch}\n{_HEREDOC}",
        ": '>>>>> Start Test Output'",
        " ".join((recipe.command, *directives(task.test_patch, recipe.by_case))),
        ": '>>>>> End Test Output'",
        *reset,
    ]
    return "\n".join(lines) + "\n"


def _smith(task: Task) -> Task:
    """A SWE-smith task with its script. Its PASS_TO_PASS tests are those in the files that are run, as its harness counts them.

    Tests of two of its Python repositories, and of other languages, are not pytest's; those tasks stay as they are.
    """
    files = withheld(task)
    pytests = all("::" in name for name in task.fail_to_pass) and all(path.endswith(PYTEST_FILES) for path in files)
    if not is_planted(task) or not files or not pytests:
        return task
    how = next((how for name, how in SWE_SMITH_OWN.items() if task.repo.lower().startswith(name)), HowTested(SWE_SMITH))
    named = " or ".join(name.rsplit("::", 1)[-1] for name in task.fail_to_pass)
    listed = " ".join(map(shlex.quote, files))
    lines = [
        "#!/bin/bash",
        "set -uxo pipefail",
        *_ENVIRONMENT,
        f"cd {WORKDIR}",
        f"git config --global --add safe.directory {WORKDIR}",
        f"git checkout {WITH_TESTS} -- {listed}",
        ": '>>>>> Start Test Output'",
        f'{how.command} "{named}"' if how.by_case else f"{how.command} {listed}",
        ": '>>>>> End Test Output'",
    ]
    counted = tuple(name for name in task.pass_to_pass if name.split("::")[0] in files and not how.by_case)
    return replace(
        task,
        eval_script="\n".join(lines) + "\n",
        log_parser=task.log_parser or how.log_parser,
        pass_to_pass=counted,
    )


def changed_files(patch: str) -> list[str]:
    """The files that a patch changes and does not add, by their names before it."""
    found, heading = [], False
    for line in patch.splitlines():
        if line.startswith("diff --git "):
            heading = True
        elif line.startswith("@@ "):
            heading = False
        elif heading and line.startswith("--- a/"):
            found.append(line.removeprefix("--- a/").split("\t")[0])
    return found


def directives(test_patch: str, by_case: bool = False) -> list[str]:
    """What the test command is told to run: the test patch's files but for data, or the names of its test cases.

    >>> directives("diff --git a/t/test_a.py b/t/test_a.py\\ndiff --git a/t/x.json b/t/x.json\\n")
    ['t/test_a.py']
    """
    if by_case:
        return [f'"{" or ".join(_CASE.findall(test_patch))}"']
    return [path for path in _NEW_SIDE.findall(test_patch) if not path.endswith(_NO_TESTS)]


def _configured(config: Any, where: str) -> HowTested:
    if isinstance(config, str):
        try:
            config = json.loads(config)
        except ValueError as error:
            raise TaskError(f"{where}: column install_config is no JSON: {error}") from error
    if not isinstance(config, Mapping):
        raise TaskError(f"{where}: column install_config is {type(config).__name__}, an object was expected")
    command = _lines(config.get("test_cmd"), "test_cmd", where)
    if not command:
        raise TaskError(f"{where}: column install_config has no test_cmd: nothing tells how its tests are run")
    parser = config.get("log_parser") or PYTEST
    if not isinstance(parser, str):
        raise TaskError(f"{where}: column install_config: log_parser is {type(parser).__name__}, a name was expected")
    return HowTested(
        command="\n".join(command),
        log_parser=parser,
        install=_lines(config.get("install"), "install", where),
        before=_lines(config.get("eval_commands"), "eval_commands", where),
    )


def _lines(value: Any, name: str, where: str) -> tuple[str, ...]:
    """One command or a list of them."""
    if value is None or value == "":
        return ()
    lines: Sequence[Any] = [value] if isinstance(value, str) else value
    if not isinstance(lines, Sequence) or not all(isinstance(line, str) for line in lines):
        raise TaskError(f"{where}: column install_config: {name} is neither a command nor a list of commands")
    return tuple(line for line in lines if line.strip())
