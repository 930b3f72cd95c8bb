"""The bundled tasks are what they say: reproducible, separate, and sound when run."""

from __future__ import annotations

import ast
import importlib.util
import json
import random
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from swe_srl.grading import GradingSettings, log_parser_statuses, run_tests
from swe_srl.sandboxes.repository import prepare_repository
from swe_srl.tasks import load_tasks, validate
from swe_srl.tasks.difficulty import bundled
from swe_srl.tasks.expert import expert_actions
from swe_srl.tasks.synthesis.difficulty import apart
from swe_srl.tasks.synthesis.issue import MAX_CHARACTERS
from swe_srl.tasks.synthesis.pipeline import synthesise
from swe_srl.tasks.synthesis.quickstart import SPLITS, quickstart_settings
from swe_srl.tasks.synthesis.rewrites import KINDS
from swe_srl.tasks.synthesis.suite import methods_of
from swe_srl.trajectories import read_trajectories
from swe_srl.types import Task, TestRun

DATA = Path(str(resources.files("swe_srl"))) / "data" / "quickstart"
REPOSITORIES = sorted(path.name for path in (DATA / "repos").iterdir() if path.is_dir())
TASKS = {split: load_tasks(f"quickstart-{split}") for split in SPLITS}
ALL = [task for tasks in TASKS.values() for task in tasks]
SAMPLE = random.Random(7).sample(ALL, 6)


def functions_of(path: Path) -> list[ast.FunctionDef]:
    tree = ast.parse(path.read_text())
    methods = [member for node in tree.body if isinstance(node, ast.ClassDef) for member in node.body]
    found = [node for node in [*tree.body, *methods] if isinstance(node, ast.FunctionDef)]
    return [function for function in found if function.name != "__init__"]


def modules_of(name: str) -> list[Path]:
    return sorted(path for path in (DATA / "repos" / name / name).glob("*.py") if path.name != "__init__.py")


def skeleton(function: ast.FunctionDef) -> str:
    """A function without its name, its docstring and the names of its variables."""
    function = ast.parse(ast.unparse(function)).body[0]  # type: ignore[assignment]
    body = function.body[1:] if ast.get_docstring(function) else function.body
    names: dict[str, str] = {}
    local = {argument.arg for argument in function.args.args}
    local |= {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node.id in local:
            node.id = names.setdefault(node.id, f"v{len(names)}")
    return "\n".join(ast.dump(statement) for statement in body)


def test_counts_and_sizes() -> None:
    assert {split: len(tasks) for split, tasks in TASKS.items()} == {"train": 280, "validation": 24, "test": 60}
    assert load_tasks("quickstart") == TASKS["test"]
    assert all(path.stat().st_size < 3_000_000 for path in DATA.glob("*.jsonl"))
    assert len({task.instance_id for task in ALL}) == len(ALL)


def test_splits_share_no_repository() -> None:
    assert sorted(name for split in SPLITS.values() for name in split.repositories) == REPOSITORIES
    for split, tasks in TASKS.items():
        assert {task.repo for task in tasks} == {f"quickstart/{name}" for name in SPLITS[split].repositories}


def test_no_function_of_another_split_is_a_training_function_under_another_name() -> None:
    skeletons = {
        split: {skeleton(f) for name in chosen.repositories for path in modules_of(name) for f in functions_of(path)}
        for split, chosen in SPLITS.items()
    }
    assert not skeletons["train"] & skeletons["test"]
    assert not skeletons["train"] & skeletons["validation"]


def test_training_data_does_not_name_held_out_repositories() -> None:
    for file in ("tasks-train.jsonl", "trajectories-train.jsonl"):
        text = (DATA / file).read_text()
        assert not [
            name for name in SPLITS["test"].repositories if f"quickstart/{name}" in text or f"{name}/{name}" in text
        ]


def test_kinds_are_many_and_balanced() -> None:
    for split, least in [("train", 12), ("test", 9)]:
        kinds = [json.loads(task.extra)["kind"] for task in TASKS[split]]
        assert set(kinds) <= set(KINDS)
        assert len(set(kinds)) >= least
        assert max(kinds.count(kind) for kind in KINDS) <= len(kinds) // 4


@pytest.mark.parametrize("task", ALL, ids=lambda task: task.instance_id)
def test_a_row_is_complete_and_gives_nothing_away(task: Task) -> None:
    extra = json.loads(task.extra)
    assert set(extra) >= {"kind", "function", "module", "line", "example", "expected", "wrong", "import", "eval_type"}
    assert 0 < len(task.problem_statement) <= MAX_CHARACTERS
    assert f"`{extra['example']}`" in task.problem_statement
    fixed = [
        line[1:].strip() for line in task.patch.splitlines() if line.startswith("+") and not line.startswith("+++")
    ]
    assert len(fixed) == 1
    assert fixed[0] not in task.problem_statement
    assert "test" not in task.problem_statement.replace(extra["function"], "").lower()
    assert task.base_commit in task.eval_script
    assert f"{task.test_patch}\n" in task.eval_script
    assert not set(task.fail_to_pass) & set(task.pass_to_pass)
    assert task.source == f"packaged:{task.repo.replace('/', '/repos/')}"


@pytest.mark.parametrize("split", ["train", "validation"])
def test_every_task_has_one_demonstration_that_resolves_it(split: str) -> None:
    shown = list(read_trajectories(DATA / f"trajectories-{split}.jsonl"))
    assert [trajectory.task_id for trajectory in shown] == [task.instance_id for task in TASKS[split]]
    for task, trajectory in zip(TASKS[split], shown, strict=True):
        assert trajectory.resolved
        assert (trajectory.base_commit, trajectory.problem_statement) == (task.base_commit, task.problem_statement)
        assert [turn.action for turn in trajectory.turns] == expert_actions(task)
        assert changed_lines(trajectory.patch) == changed_lines(task.patch)


def changed_lines(patch: str) -> list[str]:
    return [line for line in patch.splitlines() if line[:1] in {"-", "+"}]


@pytest.mark.parametrize("task", SAMPLE, ids=lambda task: task.instance_id)
def test_patches_lead_from_the_base_commit_to_the_original(task: Task, tmp_path: Path) -> None:
    prepared = prepare_repository(task.source, task.setup_patch, cache=tmp_path / "cache")
    assert prepared.base_commit == task.base_commit
    work = tmp_path / "work"
    shutil.copytree(prepared.path, work)
    base_tests = {test.identifier for path in work.glob("tests/test_*.py") for test in read(work, path)}
    assert base_tests == set(task.pass_to_pass)
    for patch in (task.test_patch, task.patch):
        subprocess.run(["git", "apply", "-"], input=patch, text=True, cwd=work, check=True)
    original = DATA / "repos" / task.repo.split("/")[1]
    for path in original.rglob("*.py"):
        assert (work / path.relative_to(original)).read_bytes() == path.read_bytes()
    all_tests = {test.identifier for path in work.glob("tests/test_*.py") for test in read(work, path)}
    assert all_tests == {*task.pass_to_pass, *task.fail_to_pass}


def read(root: Path, path: Path) -> list[object]:
    return list(methods_of(path.relative_to(root).as_posix(), path.read_text()))


@pytest.mark.parametrize("name", REPOSITORIES)
def test_repositories_are_small_and_regular(name: str) -> None:
    root = DATA / "repos" / name
    assert len((root / "README.md").read_text().splitlines()) == 2
    functions = [function for path in modules_of(name) for function in functions_of(path)]
    assert len({function.name for function in functions}) == len(functions) >= 20
    assert all(2 <= (function.end_lineno or 0) - function.lineno + 1 <= 8 for function in functions)
    assert all("\n" not in (ast.get_docstring(function) or "") for function in functions)
    for path in modules_of(name):
        assert 8 <= len(functions_of(path)) <= 14
        text = (root / "tests" / f"test_{path.stem}.py").read_text()
        assert text.startswith(f"from {name}.{path.stem} import *\nimport unittest\n")
        tests = methods_of("t.py", text)
        assert all(test.expression and test.expected for test in tests)
        for function in functions_of(path):
            assert sum(test.name.startswith(f"test_{function.name}_") for test in tests) >= 3


@pytest.mark.parametrize("name", REPOSITORIES)
def test_repositories_pass_their_tests(name: str) -> None:
    command = [sys.executable, "-B", "-m", "unittest"]
    done = subprocess.run(command, cwd=DATA / "repos" / name, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def run_locally(task: Task, patch: str) -> TestRun:
    return run_tests(task, patch, GradingSettings(sandbox="local", hardened=False))


@pytest.mark.sandbox
@pytest.mark.parametrize("task", SAMPLE, ids=lambda task: task.instance_id)
def test_shipped_tasks_are_sound_when_run(task: Task) -> None:
    assert validate(task, run_locally, log_parser_statuses).problems == ()


@pytest.mark.sandbox
@pytest.mark.slow
def test_the_same_tasks_come_out_again() -> None:
    name = SPLITS["validation"].repositories[0]
    settings = quickstart_settings(name, 3, workers=3)
    again = list(synthesise(settings, run_locally, log_parser_statuses))
    found = [apart(task) for task in again]
    assert [task for task, _ in found] == [task for task in TASKS["validation"] if task.repo == f"quickstart/{name}"][
        :3
    ]
    assert all(said == bundled()[task.instance_id] for task, said in found)


@pytest.mark.sandbox
def test_the_same_demonstrations_come_out_again() -> None:
    place = Path(__file__).parent.parent / "scripts" / "make_quickstart.py"
    spec = importlib.util.spec_from_file_location("make_quickstart", place)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    shipped = list(read_trajectories(DATA / "trajectories-validation.jsonl"))[:2]
    assert script.demonstrate(TASKS["validation"][:2], workers=2) == shipped
