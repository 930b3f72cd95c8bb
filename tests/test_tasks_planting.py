"""The two commits that plant a task's bug in a repository."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from swe_srl.tasks.planting import PLANT, WITH_TESTS, is_planted, withheld, withheld_list
from swe_srl.types import Task
from tests.sandbox_support import is_root

BUG = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-good = 1\n+good = 2\n"
TASK = Task("i", "swesmith/a__b.1", "", "", fail_to_pass=("tests/test a.py::test_1", "new.py::test_2"), setup_patch=BUG)


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=x", "-c", "user.email=x")
    return subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True).stdout


def plant(folder: Path, patch: str = BUG, root: Path | None = None, age: str = "") -> int:
    (folder.parent / "setup").write_text(patch)
    (folder.parent / "list").write_text(withheld_list(TASK))
    return subprocess.run(
        ["bash", "-c", f"{PLANT}\nplant ../setup ../list {root or folder} {age}"], cwd=folder, check=False
    ).returncode


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


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


def test_what_was_changed_is_as_old_as_the_rest(repository: Path) -> None:
    """`ls -lt` would show where the bug is."""
    write(repository, {"pkg/b.py": "right = 1\n", "pkg/c.py": "other = 1\n", "fast.pyx": "good = 1\n"})
    git(repository, "add", ".")
    git(repository, "commit", "-q", "--no-verify", "--no-gpg-sign", "-m", "sound")
    write(repository.parent / "site", {"pkg/b.py": "right = 1\n"})
    there = [repository, *(path for path in repository.rglob("*") if ".git" not in path.parts)]
    for path in (*there, repository.parent / "site/pkg/b.py"):
        os.utime(path, (1_500_000_000, 1_500_000_000))
    patch = BUG + BUG.replace("a.py", "pkg/b.py").replace("good", "right")
    patch += BUG.replace("a.py", "fast.pyx")
    assert plant(repository, patch, repository.parent, "age") == 0
    assert (repository / "fast.pyx").stat().st_mtime > 1_500_000_000, "it is built again"
    there.remove(repository / "fast.pyx")
    assert (repository.parent / "site/pkg/b.py").read_text() == "right = 2\n"
    left = [path for path in (*there, repository.parent / "site/pkg/b.py") if path.exists()]
    assert {path.stat().st_mtime for path in left} == {1_500_000_000.0} and len(left) >= 5
    assert git(repository, "diff-files", "--name-only") == "", "git knows them as they are"


def test_what_was_changed_keeps_its_rights(repository: Path) -> None:
    """git writes a file anew, with rights of its own: `ls -l` would show where the bug is."""
    write(repository, {"b c.py": "good = 1\n", "run.py": "good = 1\n"})
    git(repository, "add", ".")
    git(repository, "commit", "-q", "--no-verify", "--no-gpg-sign", "-m", "sound")
    rights = {"a.py": 0o664, "b c.py": 0o600, "run.py": 0o660}
    for name, mode in rights.items():
        (repository / name).chmod(mode)
        if is_root():
            os.chown(repository / name, 1234, 1235)
    executable = BUG.replace("a.py", "run.py").replace("--- a", "old mode 100644\nnew mode 100755\n--- a")
    assert plant(repository, BUG + BUG.replace("a.py", "b c.py") + executable) == 0
    for name, mode in rights.items():
        found = (repository / name).stat()
        assert (repository / name).read_text() == "good = 2\n"
        if name == "run.py":
            assert found.st_mode & 0o100, "what the patch says of it holds"
        else:
            assert found.st_mode & 0o777 == mode
            assert (found.st_uid, found.st_gid) == ((1234, 1235) if is_root() else (os.getuid(), os.getgid()))


def test_a_patch_that_does_not_fit_changes_nothing(repository: Path) -> None:
    before = git(repository, "rev-parse", "HEAD")
    assert plant(repository, BUG.replace("good = 1", "else = 1")) != 0
    assert git(repository, "rev-parse", "HEAD") == before and git(repository, "status", "--short") == ""


def test_what_an_image_holds_of_the_sound_files_besides_is_cleared(repository: Path) -> None:
    sound, test = "def good():\n    return 1\n" * 30, "import a\n"
    write(repository, {"a.py": sound, "pkg/b.py": "right = 1\n", "tests/test a.py": test, "twin.py": sound})
    git(repository, "add", ".")
    git(repository, "commit", "-q", "--no-verify", "--no-gpg-sign", "-m", "sound")
    patch = ""
    for path, old, new in (("a.py", "def good", "def evil"), ("pkg/b.py", "right = 1", "right = 2")):
        text = (repository / path).read_text()
        (repository / path).write_text(text.replace(old, new, 1))
        patch += git(repository, "diff", path)
        (repository / path).write_text(text)
    site = repository.parent / "site-packages"
    cleared = {
        repository / "__pycache__/a.cpython-311.pyc": "code",
        repository / "tests/__pycache__/test a.cpython-311-pytest-8.pyc": "code",
        repository / "a.pyc": "code",
        repository / "a.py.orig": "what it was",
        repository / "pkg/.b.py.swp": "what it was",
        repository / "dist/a-1.tar.gz": "archive",
        repository / ".pytest_cache/v/cache/nodeids": "tests/test a.py::test_1",
        site / "tests/test a.py": test,
        site / "__pycache__/a.cpython-311.opt-1.pyc": "code",
        site / "gone/pkg/b.pyc": "code",
    }
    replaced = {site / "a.py": "a.py", site / "pkg/b.py": "pkg/b.py", repository / "build/lib/pkg/b.py": "pkg/b.py"}
    replaced |= {site.parent / "home/what I saved": "a.py"}
    kept = {
        site / "other/b.py": "right = 1\n",
        site / "other/pkg/b.py": "another one\n",
        repository / "build/b.so": "x",
    }
    kept |= {site / "other/pkg/__pycache__/b.cpython-311.pyc": "code of another one", repository / "twin.py": sound}
    for path, text in (cleared | kept).items():
        write(path.parent, {path.name: text})
    for path, own in replaced.items():
        write(path.parent, {path.name: (repository / own).read_text()})
    assert plant(repository, patch, repository.parent) == 0
    assert [path for path in cleared if path.exists()] == []
    assert "evil" in (repository / "a.py").read_text() and "right = 2" in (repository / "pkg/b.py").read_text()
    for path, own in replaced.items():
        assert path.read_text() == (repository / own).read_text(), path
    assert {path: path.read_text() for path in kept} == kept


def test_what_lists_the_files_of_an_installation_tells_of_none(repository: Path) -> None:
    """Sums that do not fit, names of files that are not there, and the few modules without byte code would."""
    write(
        repository, {"pkg/__init__.py": "", "pkg/b.py": "right = 1\n", "pkg/test_b.py": "import b\n", "pkg/c.py": "c\n"}
    )
    git(repository, "add", ".")
    git(repository, "commit", "-q", "--no-verify", "--no-gpg-sign", "-m", "sound")
    patch = BUG.replace("a.py", "pkg/b.py").replace("good", "right") + (
        "diff --git a/pkg/test_b.py b/pkg/test_b.py\ndeleted file mode 100644\n--- a/pkg/test_b.py\n+++ /dev/null\n"
        "@@ -1 +0,0 @@\n-import b\n"
    )
    site = repository.parent / "site"
    names = ("pkg/__init__.py", "pkg/b.py", "pkg/c.py", "pkg/test_b.py")
    write(site, {name: (repository / name).read_text() for name in names})
    codes = [f"pkg/__pycache__/{name}.cpython-311.pyc" for name in ("__init__", "b", "c", "test_b")]
    write(
        site, dict.fromkeys((*codes, "pkg/sub/__pycache__/d.cpython-311.pyc", "x/__pycache__/d.cpython-311.pyc"), "x")
    )
    record, sources = site / "pkg-1.dist-info" / "RECORD", repository / "pkg.egg-info" / "SOURCES.txt"
    listed = [f"{name},{recorded(site / name)}" for name in names]
    tail = ["pkg-1.dist-info/RECORD,,"]
    write(record.parent, {"RECORD": "\r\n".join([*listed, *(f"{code},," for code in codes), *tail, ""])})
    write(sources.parent, {"SOURCES.txt": "a.py\ntests/test a.py\npkg/test_b.py\nmore/tests/test a.py\n"})
    for path in (record, site / "pkg"):
        os.utime(path, (1_500_000_000, 1_500_000_000))
    assert plant(repository, patch, repository.parent, "age") == 0
    now = [f"{name},{recorded(site / name)}" for name in names[:3]]
    assert "right = 2" in (site / "pkg/b.py").read_text() and not (site / "pkg/test_b.py").exists()
    assert record.read_bytes().decode().split("\r\n") == [*now, *(f"{code},," for code in codes[:3]), *tail, ""]
    assert record.stat().st_mtime == (site / "pkg").stat().st_mtime == 1_500_000_000.0
    assert sources.read_text() == "a.py\nmore/tests/test a.py\n"
    assert list(site.rglob("*.pyc")) == [site / "x/__pycache__/d.cpython-311.pyc"]


def recorded(path: Path) -> str:
    """Sum and size as a wheel's RECORD has them."""
    data = path.read_bytes()
    return f"sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')},{len(data)}"


def test_which_tasks_are_planted() -> None:
    assert withheld(TASK) == ["new.py", "tests/test a.py"]
    assert not is_planted(TASK) and is_planted(replace(TASK, image="i"))
    assert not is_planted(replace(TASK, image="i", source="dir:/x")), "it is planted when the source is prepared"
    assert not is_planted(replace(TASK, image="i", setup_patch=""))
