"""The two commits that plant a task's bug in a repository."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from swe_srl.tasks.planting import PLANT, WITH_TESTS, is_planted, withheld, withheld_list
from swe_srl.types import Task

BUG = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-good = 1\n+good = 2\n"
TASK = Task("i", "swesmith/a__b.1", "", "", fail_to_pass=("tests/test a.py::test_1", "new.py::test_2"), setup_patch=BUG)


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=x", "-c", "user.email=x")
    return subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True).stdout


def plant(folder: Path, patch: str = BUG) -> int:
    (folder.parent / "setup").write_text(patch)
    (folder.parent / "list").write_text(withheld_list(TASK))
    return subprocess.run(["bash", "-c", f"{PLANT}\nplant ../setup ../list"], cwd=folder, check=False).returncode


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Sound, with a hook that refuses commits and a configuration that would sign them."""
    folder = tmp_path / "repository"
    (folder / "tests").mkdir(parents=True)
    (folder / "a.py").write_text("good = 1\n")
    (folder / "tests" / "test a.py").write_text("")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "Initial commit", "--date", "2020-01-01T00:00:00Z")
    hook = folder / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    git(folder, "config", "commit.gpgsign", "true")
    return folder


def test_the_bug_is_there_and_its_tests_are_a_commit_behind(repository: Path) -> None:
    (repository / "build").write_text("git does not know it")
    (repository / "a.py").touch()  # newer than what the index knows of it
    assert plant(repository) == 0
    assert (repository / "a.py").read_text() == "good = 2\n" and (repository / "build").exists()
    assert git(repository, "ls-tree", "-r", "--name-only", "HEAD").split() == ["a.py"]
    assert not (repository / "tests" / "test a.py").exists()
    assert git(repository, "status", "--short") == "?? build\n"
    git(repository, "checkout", WITH_TESTS, "--", "tests/test a.py")
    assert (repository / "tests" / "test a.py").exists()


def test_the_same_sandbox_gives_the_same_commits(repository: Path) -> None:
    other = repository.parent / "other"
    subprocess.run(["cp", "-r", str(repository), str(other)], check=True)
    assert plant(repository) == plant(other) == 0
    assert git(repository, "rev-parse", "HEAD") == git(other, "rev-parse", "HEAD")


def test_a_patch_that_does_not_fit_changes_nothing(repository: Path) -> None:
    before = git(repository, "rev-parse", "HEAD")
    assert plant(repository, BUG.replace("good = 1", "else = 1")) != 0
    assert git(repository, "rev-parse", "HEAD") == before and git(repository, "status", "--short") == ""


def test_which_tasks_are_planted() -> None:
    assert withheld(TASK) == ["new.py", "tests/test a.py"]
    assert not is_planted(TASK) and is_planted(replace(TASK, image="i"))
    assert not is_planted(replace(TASK, image="i", source="dir:/x")), "it is planted when the source is prepared"
    assert not is_planted(replace(TASK, image="i", setup_patch=""))
