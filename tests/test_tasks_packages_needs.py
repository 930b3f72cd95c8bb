"""What a project itself says that its tests need, and that it is installed where the tests do not run without."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from swe_srl.errors import TaskError
from swe_srl.progress import SilentProgress
from swe_srl.tasks.packages import project
from swe_srl.tasks.packages.needs import Needs, declared_needs
from swe_srl.tasks.packages.origin import Origin, PipError, export_commit
from swe_srl.tasks.packages.project import examined_project
from swe_srl.tasks.packages.suite import Suite
from swe_srl.tasks.synthesis.settings import SynthesiseSettings
from tests.package_support import copy_pytest, make_repository


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        place = folder / name.replace("__", "/").replace("_txt", ".txt").replace("_toml", ".toml")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return folder


def test_extras_groups_and_files_for_tests_are_what_tests_need(tmp_path: Path) -> None:
    groups = '[dependency-groups]\ntest = ["numpy>=1", {include-group = "more"}]\nmore = ["attrs", {include-group = "test"}]\n'
    lines = "# for tests\nhypothesis==6.1  # pinned\n-r other.txt\n--index-url http://x\n-e .\nfoo @ http://x/foo.whl\n./x\n\n"
    tree = write(tmp_path, pyproject_toml=groups, requirements__test_txt=lines, tests__requirements_txt="attrs\n")
    needs = declared_needs(tree, ("docs", "Tests"))
    assert needs == Needs(
        ("Tests",),
        ("numpy>=1", "attrs", "hypothesis==6.1"),
        "extra Tests, dependency group test, requirements/test.txt, tests/requirements.txt",
    )
    assert needs.unpinned().requirements == ("numpy", "attrs", "hypothesis")
    marked = Needs((), ("a[x,y]>1; python_version < '3'", "a[y,x]")).unpinned()
    assert marked.requirements == ('a[x,y]; python_version < "3"', "a[x,y]")


def test_what_development_needs_counts_where_nothing_is_said_of_tests_alone(tmp_path: Path) -> None:
    tree = write(tmp_path, requirements_dev_txt="", **{"requirements-dev_txt": "numpy\n"})
    assert declared_needs(tree, ("docs",)) == Needs((), ("numpy",), "requirements-dev.txt")
    assert declared_needs(tree, ("docs", "test")) == Needs(("test",), (), "extra test")
    for wrong in ("[dependency-groups", "dependency-groups = 3", "[dependency-groups]\ntest = 3\n"):
        assert declared_needs(write(tmp_path / "wrong", pyproject_toml=wrong), ("docs",)) is None


def test_a_project_that_is_made_to_be_read_for_ever_is_read_at_once(tmp_path: Path) -> None:
    chain = "".join(f"g{n} = [{{include-group = 'G.{n + 1}'}}, {{include-group = 'g_{n + 1}'}}]\n" for n in range(2000))
    chain = chain.replace("g_", "g-").replace("\ng", "\ng-").replace("g0 =", "g-0 =")
    write(
        tmp_path, pyproject_toml=f"[dependency-groups]\ntest = [{{include-group = 'G_0'}}]\n{chain}g-2000 = ['numpy']\n"
    )
    start = time.process_time()
    assert declared_needs(tmp_path, ()) == Needs((), ("numpy",), "dependency group test")
    write(tmp_path, **{"requirements-test_txt": "numpy==1\n" * 1_000_000}, pyproject_toml="x = " + "[" * 20_000)
    write(tmp_path / "elsewhere", test_txt="numpy\n")
    (tmp_path / "requirements").symlink_to(tmp_path / "elsewhere")
    assert declared_needs(tmp_path, ()) is None
    assert time.process_time() - start < 5


class Told(SilentProgress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class Index:
    """Stands for pip: each requirement brings the module of its name, and every folder has pytest."""

    def __init__(self, place: Path, refused: Sequence[str] = ()) -> None:
        self.place, self.refused, self.asked = place, refused, list[tuple[str, ...]]()
        copy_pytest(place)

    def install(
        self, origin: Origin, folder: Path, python: str, extras: Sequence[str], requirements: Sequence[str]
    ) -> Path:
        self.asked.append((*extras, *requirements))
        if any(one in self.refused for one in requirements):
            raise PipError("install", ["WARNING: somewhere", "ERROR: there is no such version"])
        target = folder / f"needs-{len(self.asked)}"
        shutil.copytree(self.place, target)
        for one in (*extras, *requirements):
            (target / f"needed_{one.split('=')[0].split('<')[0]}.py").write_text("")
        target.with_name(f"{target.name}.extras").write_text("docs\n")
        return target.resolve()


def project_with(folder: Path, **files: str) -> Origin:
    repository = make_repository(folder / "shop")
    write(repository, **files)
    git = ("git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@localhost")
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "needs"], check=True)
    return export_commit(str(repository), "HEAD", "", folder)


NEEDY = "import needed_numpy\n\ndef test_more():\n    from ranges import mean\n    assert mean([1, 3]) == 2\n"


@pytest.mark.sandbox
def test_what_the_project_declares_is_installed_when_tests_cannot_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, told = Index(tmp_path / "pytest", refused=["numpy==0.1"]), Told()
    monkeypatch.setattr(project, "install_needs", index.install)
    origin = project_with(tmp_path, **{"tests__test_needy.py": NEEDY, "requirements-test_txt": "numpy==0.1\n"})
    settings = SynthesiseSettings(package=("shop==1",), output=str(tmp_path / "out"))
    made, suite = examined_project(origin, settings, tmp_path / "suite.json", told)
    assert index.asked == [(), ("numpy==0.1",), ("numpy",)]
    assert "tests/test_needy.py::test_more" in suite.passing and suite.unimportable == 0
    assert (suite.extras, suite.requirements) == ((), ("numpy",))
    assert (made.packages / "needed_numpy.py").is_file()
    said = "\n".join(told.notes)
    assert "1 of its test files cannot be imported; once more with requirements-test.txt" in said
    assert "requirements-test.txt cannot be installed: ERROR: there is no such version" in said
    assert "cannot be imported; once more with requirements-test.txt, in any version" in said
    again, known = examined_project(origin, settings, tmp_path / "suite.json", told)
    assert known == suite and index.asked[-1] == ("numpy",) and (again.packages / "needed_numpy.py").is_file()


@pytest.mark.sandbox
def test_what_the_user_asks_for_is_all_that_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index(tmp_path / "pytest")
    monkeypatch.setattr(project, "install_needs", index.install)
    origin = project_with(tmp_path, **{"tests__test_needy.py": NEEDY, "requirements-test_txt": "numpy\n"})
    settings = SynthesiseSettings(package=("shop==1",), output=str(tmp_path / "out"), requirements=("attrs",))
    _, suite = examined_project(origin, settings, tmp_path / "suite.json", SilentProgress())
    assert index.asked == [("attrs",)]
    assert suite.unimportable == 1 and suite.requirements == ("attrs",)


@pytest.mark.sandbox
def test_a_suite_of_an_earlier_version_has_the_packages_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Index(tmp_path / "pytest")
    monkeypatch.setattr(project, "install_needs", index.install)
    origin = project_with(tmp_path, **{"tests__test_needy.py": NEEDY})
    file = tmp_path / "suite.json"
    file.write_text(json.dumps({"passing": ["a"], "reached": {"m.py:1": [0]}, "seconds": 1.0, "left_out": []}))
    settings = SynthesiseSettings(
        package=("shop==1",), output=str(tmp_path / "out"), extras=("all",), requirements=("numpy",)
    )
    _, suite = examined_project(origin, settings, file, SilentProgress())
    assert index.asked == [("all", "numpy")]
    assert (suite.extras, suite.requirements) == (("all",), ("numpy",))


@pytest.mark.sandbox
def test_an_older_pytest_is_tried_where_pytest_itself_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index, told = Index(tmp_path / "pytest"), Told()
    monkeypatch.setattr(project, "install_needs", index.install)
    origin = project_with(tmp_path, **{"conftest.py": "import needed_pytest\n"})
    settings = SynthesiseSettings(package=("shop==1",), output=str(tmp_path / "out"))
    _, suite = examined_project(origin, settings, tmp_path / "suite.json", told)
    assert index.asked == [(), ("pytest<8",)]
    assert suite.requirements == ("pytest<8",) and suite.passing
    assert any("pytest fails; once more with pytest<8" in note for note in told.notes)


@pytest.mark.sandbox
def test_a_project_that_nothing_helps_is_told_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index(tmp_path / "pytest")
    monkeypatch.setattr(project, "install_needs", index.install)
    origin = project_with(tmp_path, **{"conftest.py": "import nowhere\n", "requirements-test_txt": "numpy\n"})
    settings = SynthesiseSettings(package=("shop==1",), output=str(tmp_path / "out"))
    with pytest.raises(TaskError, match=r"(?s)pytest fails:.*nowhere"):
        examined_project(origin, settings, tmp_path / "suite.json", SilentProgress())
    assert index.asked == [(), ("numpy",), ("numpy", "pytest<8")]
    assert not (tmp_path / "suite.json").exists()


def test_a_suite_of_an_earlier_version_is_read() -> None:
    row = {"passing": ["a"], "reached": {"m.py:1": [0]}, "seconds": 1.0}
    assert Suite.from_row(row) == Suite(("a",), {"m.py:1": ("a",)}, 1.0)
