"""The house's rules, checked on the source: which way imports go, what is public, what starts light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "swe_srl"
DATA = PACKAGE / "data"

# Lower layers first: a module imports from its own part and from lower layers only.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"types", "errors"}),
    frozenset({"protocols"}),
    frozenset(
        {
            "definitions",
            "settings",
            "files",
            "hub",
            "plain",
            "progress",
            "seeds",
            "provenance",
            "python_source",
            "runs",
            "testing",
            "launched",
        }
    ),
    frozenset({"rewards"}),
    frozenset({"sandboxes"}),
    frozenset({"trajectories"}),
    frozenset({"tasks"}),
    frozenset({"grading", "generation"}),
    frozenset({"envs"}),
    frozenset({"agents"}),
    frozenset({"training", "evaluation"}),
    frozenset({"viewer", "studies"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
SIDE_BY_SIDE = LAYERS[2]  # the foundation: its modules may use one another
TORCH = {"torch", "transformers", "accelerate", "safetensors", "tokenizers", "peft"}
LONGEST_FILE = 300

PUBLIC = {
    "swe_srl": {
        "Action", "CommandResult", "Score", "Step", "SweSrlError", "Task", "Trajectory", "Turn", "Verdict",
        "__version__",
    },
    "swe_srl.settings": {
        "Draft", "Setting", "as_mapping", "as_yaml", "check_at_least", "check_choices", "check_finite", "from_mapping", "setting",
        "settings_of",
    },
    "swe_srl.cli": {"main"},
}  # fmt: skip


def sources() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if DATA not in path.parents)


def part_of(path: Path) -> str:
    """The part of the package that a file belongs to: `envs`, `types`, …; "" for the package itself."""
    first = path.relative_to(PACKAGE).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Absolute names of everything a file imports, at its top or late."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}, line {node.lineno}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_part_has_a_layer() -> None:
    assert {part_of(path) for path in sources()} - {""} <= LEVEL.keys()


def test_imports_go_downwards() -> None:
    wrong = []
    for path in sources():
        part = part_of(path)
        for name in imports(path):
            words = name.split(".")
            if words[0] != "swe_srl" or not part or len(words) < 2 or words[1] == part or words[1] not in LEVEL:
                continue
            beside = part in SIDE_BY_SIDE and words[1] in SIDE_BY_SIDE
            if LEVEL[words[1]] >= LEVEL[part] and not beside:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_the_fakes_need_only_the_words() -> None:
    testing = PACKAGE / "testing.py"
    used = {name.split(".")[1] for name in imports(testing) if name.startswith("swe_srl.")}
    assert used <= {"types", "protocols", "errors"}


def test_torch_is_used_by_training_and_generation_alone() -> None:
    for path in sources():
        used = {name.split(".")[0] for name in imports(path)} & TORCH
        assert not used or part_of(path) in {"training", "generation"}, f"{path.relative_to(ROOT)} imports {used}"


LIGHT = (
    "swe_srl", "swe_srl.agents", "swe_srl.cli", "swe_srl.envs", "swe_srl.evaluation", "swe_srl.generation",
    "swe_srl.grading", "swe_srl.rewards", "swe_srl.sandboxes", "swe_srl.studies", "swe_srl.tasks", "swe_srl.testing",
    "swe_srl.training", "swe_srl.trajectories", "swe_srl.viewer",
)  # fmt: skip


@pytest.mark.parametrize("module", LIGHT)
def test_packages_start_light(module: str) -> None:
    heavy = {"torch", "transformers", "datasets", "swebench", "pandas", "pyarrow", "modal", "huggingface_hub"}
    probe = f"import sys, {module}; print(*sorted({heavy!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=240, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "", f"importing {module} loads {done.stdout}"


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names(module: str) -> None:
    loaded = __import__(module, fromlist=["__all__"])
    assert set(loaded.__all__) == PUBLIC[module]
    assert all(hasattr(loaded, name) for name in loaded.__all__)


def test_only_the_command_line_prints() -> None:
    for path in sources():
        if part_of(path) == "cli":
            continue
        calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
        printing = [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
        assert not printing, f"{path.relative_to(ROOT)} prints at lines {printing}"


def test_files_can_be_read_in_one_sitting() -> None:
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources()}
    assert not {name: lines for name, lines in long.items() if lines > LONGEST_FILE}


@pytest.mark.parametrize("folder", ["envs", "agents", "recipes", "studies", "docker"])
def test_definition_folders_hold_no_python(folder: str) -> None:
    files = [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    assert files and not [path for path in files if path.suffix == ".py"]


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_no_file_names_a_place_of_one_machine() -> None:
    forbidden = re.compile(r"(?<![\w.])/(?:work|opt/wheels|opt/pypi[\w-]*)/")
    wrong = []
    for path in tracked():
        if path.is_symlink() or not path.is_file() or DATA in path.parents:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        wrong += [f"{path.relative_to(ROOT)}: {hit.group()}" for hit in forbidden.finditer(text)]
    assert not wrong, "\n".join(wrong)


def test_no_archive_is_in_the_repository() -> None:
    assert not [str(path) for path in tracked() if path.name.endswith((".tar.gz", ".tgz", ".zip", ".whl", ".tar"))]
