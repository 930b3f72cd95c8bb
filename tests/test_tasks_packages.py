"""Tasks from packages: examples, issues and edits, and the whole way on a small repository with a pytest suite."""

from __future__ import annotations

import ast
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from swe_srl.cli import main
from swe_srl.errors import ConfigError, TaskError
from swe_srl.progress import SilentProgress
from swe_srl.tasks.packages import dependencies, origin
from swe_srl.tasks.packages.dependencies import install_needs, offered_extras
from swe_srl.tasks.packages.example import example_script, failing_statement, find_test
from swe_srl.tasks.packages.expert import Edit, edit_command, edit_of
from swe_srl.tasks.packages.needs import Needs
from swe_srl.tasks.packages.origin import export_commit, fetch_package, parse_package
from swe_srl.tasks.packages.origins import JOURNALS, origins
from swe_srl.tasks.packages.pipeline import Referee, synthesise_packages
from swe_srl.tasks.packages.project import _examined
from swe_srl.tasks.packages.record import Failure, Record, why_nothing_passes
from swe_srl.tasks.packages.row import Project
from swe_srl.tasks.packages.statement import UNNAMED, names_the_fix, shortened, write_statement
from swe_srl.tasks.packages.suite import Suite, own_names
from swe_srl.tasks.packages.trial import Trial, _excerpt
from swe_srl.tasks.synthesis.mutations import ALL_KINDS, mutations
from swe_srl.tasks.synthesis.rewrites import KINDS
from swe_srl.tasks.synthesis.settings import SynthesiseSettings
from swe_srl.tasks.synthesis.withholding import file_diff
from swe_srl.types import Task
from tests.package_support import make_repository

BRANCHES = """def f(a):
    if a < 0:
        return -1
    if a == 0:
        x = 1
    elif a == 1:
        x = 2
    else:
        x = 3
    return x
"""


def removed(source: str) -> list[str]:
    return [m.source for m in mutations(source, ALL_KINDS) if m.kind == "branch"]


def test_every_branch_can_be_missing() -> None:
    sources = removed(BRANCHES)
    assert len(sources) == 3
    assert any("return -1" not in source and "x = 3" in source for source in sources)
    assert any("elif" not in source and "x = 3" in source for source in sources)
    assert any("else" not in source and "x = 2" in source for source in sources)
    for source in sources:
        compile(source, "f", "exec")


def test_the_only_statement_of_a_function_is_no_branch_to_remove() -> None:
    assert removed("def f(a):\n    if a:\n        return 1\n") == []


def test_attributes_are_mixed_up_with_their_like() -> None:
    source = (
        "class A:\n    def f(self, m):\n        self.low = self.high\n        return self.low + m.start() - m.end()\n"
    )
    changed = {m.new.strip() for m in mutations(source, ("attribute",))}
    assert changed == {
        "self.low = self.low",
        "return self.high + m.start() - m.end()",
        "return self.low + m.end() - m.end()",
        "return self.low + m.start() - m.start()",
    }


def test_kinds_and_special_methods_are_asked_for() -> None:
    source = "class A:\n    def __len__(self):\n        return self.n + 1\n"
    assert mutations(source) == []
    assert {m.kind for m in mutations(source, special=True)} <= set(KINDS)
    assert {m.kind for m in mutations(BRANCHES)} <= set(KINDS)
    assert {m.kind for m in mutations(BRANCHES, ("branch",))} == {"branch"}


SUITE = '''"""Tests."""
import unittest
import pytest
from shapes import area, clamp

LIMIT = 3


def helper(x):
    return clamp(x, 0, LIMIT)


def test_plain():
    """Says what it does."""
    a = 1
    assert helper(a) == 1
    assert helper(9) == 3
    assert a == 2


@pytest.mark.parametrize("x", [1, 2])
def test_values(x):
    assert clamp(x, 0, 1) == 1


def test_fixture(tmp_path):
    assert area(tmp_path) == 1


class TestMore(unittest.TestCase):
    def test_method(self):
        self.assertEqual(area(2, 3), 6)

    def test_own(self):
        self.check(1)
'''
TREE = ast.parse(SUITE)


def script_of(name: str, line: int, **values: str) -> str:
    test = find_test(TREE, f"tests/test_a.py::{name}")
    assert test is not None
    return example_script(SUITE, TREE, test, line, values)


def line_of(text: str) -> int:
    return SUITE.split("\n").index(text) + 1


def test_a_script_holds_what_the_failing_line_needs_and_no_more() -> None:
    script = script_of("test_plain", line_of("    assert helper(9) == 3"))
    assert script.split("\n") == [
        "from shapes import clamp",
        "LIMIT = 3",
        "def helper(x):",
        "    return clamp(x, 0, LIMIT)",
        "a = 1",
        "assert helper(a) == 1",
        "assert helper(9) == 3",
    ]


def test_a_script_names_the_values_of_a_parametrised_test() -> None:
    script = script_of("test_values[2]", line_of("    assert clamp(x, 0, 1) == 1"), x="2")
    assert script == "from shapes import clamp\nx = 2\nassert clamp(x, 0, 1) == 1"


def test_a_method_that_only_asserts_becomes_a_script() -> None:
    script = script_of("TestMore::test_method", line_of("        self.assertEqual(area(2, 3), 6)"))
    assert script.endswith("import unittest\nself = unittest.TestCase()\nself.assertEqual(area(2, 3), 6)")


def test_what_needs_a_fixture_or_a_helper_of_its_class_is_no_script() -> None:
    assert script_of("test_fixture", line_of("    assert area(tmp_path) == 1"), tmp_path="PosixPath('/tmp')") == ""
    assert script_of("TestMore::test_own", line_of("        self.check(1)")) == ""


def test_tests_that_are_not_spelt_out_are_not_found() -> None:
    assert find_test(TREE, "tests/test_a.py::test_inherited") is None
    assert find_test(TREE, "tests/test_a.py::TestOther::test_method") is None
    found = find_test(TREE, "tests/test_a.py::test_values[1]")
    assert found is not None
    assert SUITE.split("\n")[found.first_line - 1].startswith("@pytest")
    statement = failing_statement(found, line_of("    assert clamp(x, 0, 1) == 1"))
    assert isinstance(statement, ast.Assert)


def test_the_issue_tells_the_failure_and_not_the_fix() -> None:
    texts = {
        write_statement("clamp", "AssertionError", "assert 3 == 2", "assert clamp(3) == 2", True, random.Random(seed))
        for seed in range(20)
    }
    assert len(texts) > 3
    assert all("`clamp`" in text and "assert 3 == 2" in text and "```python" in text for text in texts)
    unnamed = {write_statement(UNNAMED, "KeyError", "KeyError: 1", "a[1]", True, random.Random(n)) for n in range(20)}
    assert {text.split("\n")[0] for text in unnamed} == {
        "This code raises `KeyError`",
        "`KeyError` from this code",
        "This code: unexpected `KeyError`",
    }
    raising = write_statement("clamp", "TypeError", "TypeError: no", "clamp()", False, random.Random(0))
    assert "`TypeError`" in raising.split("\n")[0]
    assert names_the_fix("x\nreturn  max(low, value)", ["    return max(low, value)"])
    assert not names_the_fix("else:", ["    else:"])
    assert len(shortened("line\n" * 40).split("\n")) == 13


def test_no_example_names_a_failing_test(tmp_path: Path) -> None:
    text, name = "def test_f():\n    assert f(2) == 1\n", "t.py::test_f"
    (tmp_path / "t.py").write_text(text)
    test = find_test(ast.parse(text), name)
    assert test is not None
    bench: Any = None
    trial = Trial(bench, Suite((), {}, 1.0), tmp_path, 1.0, 0)
    for message, count in (("no file /tmp/test_f0/x", 0), ("assert 2 == 1", 1)):
        failures = {name: Failure(2, "AssertionError", message, {})}
        assert len(trial._examples([name], {name: test}, failures, random.Random(0))) == count


def test_an_excerpt_calls_nothing_that_stands_above_it() -> None:
    above = "def test_f():\n    def check(x):\n        assert f(x)\n" + "    y = 1\n" * 12 + "    check(2)\n"
    for text, shown in ((above, "check(2)"), (above.replace("check(2)", "f(2)"), "f(2)")):
        test = find_test(ast.parse(text), "t.py::test_f")
        assert test is not None
        statement = failing_statement(test, 16)
        assert statement is not None
        assert _excerpt(text, test, statement).endswith(shown) is (shown == "f(2)")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a\nb\nc\n", "a\nB\nc\n"),
        ("a\nc\n", "a\n    if b == '\\\\n':\n\n        return \"b\"\nc\n"),
        ("c\n", "\ta\n  b\nc\n"),
        ("a\nb\nc\n", "a\nc\n"),
        ("a\nx\ny\nc\n", "a\n    1\n\n    2\nc\n"),
    ],
)
def test_the_expert_makes_any_one_change(before: str, after: str, tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(before)
    task = Task("a__b-1", "a/b", "c", "…", patch=file_diff("m.py", before, after))
    subprocess.run(["bash", "-c", edit_command(edit_of(task))], cwd=tmp_path, check=True)
    assert (tmp_path / "m.py").read_text() == after


def test_the_expert_refuses_two_changes() -> None:
    before = "".join(f"{number}\n" for number in range(40))
    after = before.replace("3\n", "x\n", 1).replace("30\n", "y\n")
    with pytest.raises(TaskError, match="one change, this patch has"):
        edit_of(Task("a__b-1", "a/b", "c", "…", patch=file_diff("m.py", before, after)))
    assert edit_command(Edit("a.py", 2, 1, ("x",))) == "sed -i '2i\\x' a.py"


def test_tests_that_a_log_cannot_tell_apart_do_not_count() -> None:
    names = ["t.py::a[x 1]", "t.py::a[x 2]", "t.py::b[y 1]", "t.py::c"]
    assert own_names(names, names) == ["t.py::b[y 1]", "t.py::c"]
    suite = Suite(("a", "b"), {"m.py:1": ("b",), "m.py:9": ("a", "b")}, 1.5, ("one is skipped",))
    assert Suite.from_row(json.loads(json.dumps(suite.as_row()))) == suite


def test_why_no_test_can_be_used_is_told_with_what_to_do() -> None:
    none = Record()
    built = Record(errors=(("t.py", "ImportError\nE   ModuleNotFoundError: No module named 'fast._core'"),))
    assert "No module named 'fast._core'; what they need" in why_nothing_passes(built, none, 300.0)
    assert "what a build would make" in why_nothing_passes(built, none, 300.0)
    missing = Record(errors=(("t.py", "E   ModuleNotFoundError: No module named 'numpy'"),))
    assert "what a build would make" not in why_nothing_passes(missing, none, 300.0)
    assert "source archive holds none, make the tasks from a clone with --repo" in why_nothing_passes(none, none, 1.0)
    hangs = Record(problem="hangs")
    assert "300 seconds of processor time, or 1200 on the clock" in why_nothing_passes(hangs, hangs, 300.0)
    crashed = why_nothing_passes(Record(problem="crashes: " + "frame\n" * 30 + "Error: old conftest\n"), none, 1.0)
    assert crashed.count("\n") == 5 and "Error: old conftest\n" in crashed and "--requirements 'pytest<8'" in crashed
    failing = Record(outcomes={"a": "failed", "b": "passed", "c": "skipped"})
    again = Record(outcomes={"a": "failed", "b": "failed", "c": "skipped"})
    said = why_nothing_passes(failing, again, 1.0)
    assert "1 of its tests fail, the first is a; 1 of its tests pass now and then, the first is b; 1 of its" in said


def test_tests_that_are_not_there_are_refused_before_anything_runs(tmp_path: Path) -> None:
    project = Project("pypi/shop", "1", "", tmp_path, tmp_path, ())
    settings = SynthesiseSettings(package=("shop==1",), output=str(tmp_path / "o"), tests=("test.py::test_a",))
    with pytest.raises(TaskError, match=r"--tests test.py::test_a: pypi/shop has no such file or folder"):
        _examined(project, Needs(), settings, SilentProgress())


def test_extras_that_are_not_installed_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pip(*arguments: str, unversioned: bool = False) -> None:
        if "--report" in arguments:
            own = {"name": "shop", "version": "1", "provides_extra": ["tests", "docs"]}
            item = {"metadata": own, "download_info": {"dir_info": {}}}
            Path(arguments[arguments.index("--report") + 1]).write_text(json.dumps({"install": [item]}))

    monkeypatch.setattr(dependencies, "run_pip", pip)
    repository = make_repository(tmp_path / "shop")
    archive = export_commit(str(repository), "HEAD", "", tmp_path)
    packages = install_needs(archive, tmp_path / "packages", "3.11")
    assert offered_extras(packages) == ("tests", "docs")
    assert offered_extras(tmp_path) == ()


def test_a_package_has_a_version(tmp_path: Path) -> None:
    assert parse_package("more-itertools==10.1.0") == ("more-itertools", "10.1.0")
    for wrong in ("toolz", "toolz>=1", "./toolz==1", "-r==1"):
        with pytest.raises(ConfigError, match="say which version"):
            parse_package(wrong)


def test_a_package_that_cannot_be_had_is_an_error_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An index of one package in a folder, with versions for this Python and for a later one."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    index = tmp_path / "index" / "toolz"
    index.mkdir(parents=True)
    files = [f"0.{number}.0" for number in range(12)]
    links = "".join(f'<a href="toolz-{version}.tar.gz">toolz-{version}.tar.gz</a>' for version in files)
    later = '<a href="toolz-9.0.tar.gz" data-requires-python="&gt;=9">toolz-9.0.tar.gz</a>'
    (index / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}{later}</body></html>")
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {(tmp_path / 'index').as_uri()}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    told = {
        "toolz==1.0.0": r"there is no source archive of version 1.0.0. pip finds 0.2.0, .*, 0.11.0 and 2 older ones: as in "
        r"--package toolz==0.11.0",
        "toolz==9.0": r"this version needs Python >=9, and this is 3\.",
        "tolz==1.0.0": r"pip finds no source archive of any version of tolz. .*spelt.*pip config list.*--repo",
    }
    for spec, message in told.items():
        with pytest.raises(TaskError, match=f"--package {spec}: {message}"):
            fetch_package(spec, tmp_path / "repositories")
    assert not list(tmp_path.glob("repositories/*"))
    assert main(["tasks", "synthesise", "--package", "tolz==1.0.0", "--output", str(tmp_path / "o")]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if "killed runs left behind" not in line]
    assert len(said) == 2 and said[0].startswith("tolz==1.0.0: fetching") and "ERROR" not in said[1]


def test_an_index_that_cannot_be_reached_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(
        TaskError, match=r"--package toolz==1.0.0: pip cannot reach a package index.*NewConnectionError"
    ):
        fetch_package("toolz==1.0.0", tmp_path / "repositories")


def test_a_full_disk_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = (
        "ERROR: Could not install packages due to an OSError: [('a', 'b', \"[Errno 28] No space left on device: 'a'\")]"
    )
    monkeypatch.setattr(origin, "_PIP", (sys.executable, "-c", f"import sys; sys.exit({said!r})"))
    assert main(["tasks", "synthesise", "--package", "toolz==1.0.0", "--output", str(tmp_path / "o")]) == 1
    message = capsys.readouterr().err.splitlines()[-1]  # what is told before may be of sandboxes that were swept
    assert "pip download: the disk is full, that of --output or that of TMPDIR" in message


def test_a_repository_has_the_commit(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        export_commit(str(tmp_path / "none"), "HEAD", "", tmp_path)
    with pytest.raises(ConfigError, match="not a git repository"):
        export_commit(str(tmp_path), "HEAD", "", tmp_path)
    inside = make_repository(tmp_path / "shop") / "src" / "ranges"
    with pytest.raises(ConfigError, match=r"it is the folder src/ranges of the git repository .*/shop: give that one"):
        export_commit(str(inside), "HEAD", "", tmp_path)


def test_a_repository_whose_commit_moves_and_whose_files_change(tmp_path: Path) -> None:
    """A folder with tasks goes on with their commit; files that are not committed are named."""
    repository = tmp_path / "shop"
    make_repository(repository)
    (repository / "uncommitted.py").unlink()
    settings = SynthesiseSettings(repo=str(repository), output=str(tmp_path / "out"))
    told = Told()
    (first,) = origins(settings, told)
    assert told.notes == []
    (repository / "src" / "ranges" / "numbers.py").write_text("changed = 1\n")
    (repository / "new file.py").write_text("")
    assert list(origins(settings, told)) == [first]
    (note,) = told.notes
    assert "new file.py" in note and "src/ranges/numbers.py" in note and f"not as in commit {first.version}" in note
    run = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*run, "add", "-A"], cwd=repository, check=True)
    subprocess.run([*run, "commit", "-qm", "more"], cwd=repository, check=True)
    (moved,) = origins(settings, Told())  # nothing has come of the former commit
    assert moved.version != first.version
    journals = settings.folder / JOURNALS
    journals.mkdir()
    (journals / f"{first.label}.jsonl").write_text("{}\n")
    again = Told()
    assert list(origins(settings, again)) == [first]
    (note,) = again.notes
    assert f"HEAD is commit {moved.version} now" in note and f"has tasks of {first.version}: going on" in note


class Told(SilentProgress):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_settings_name_one_origin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for given in ({}, {"source": "x", "repo": "y"}, {"package": ("a==1",), "repo": "y"}):
        with pytest.raises(ConfigError, match="source is"):
            SynthesiseSettings(**given).check()  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="--name"):
        SynthesiseSettings(package=("a==1",), name="a/b").check()
    assert main(["tasks", "synthesise"]) == 2
    assert main(["tasks", "synthesise", "--package", "toolz", "--output", str(tmp_path / "out")]) == 2
    assert "say which version" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_start_that_comes_to_nothing_leaves_its_folder_free(tmp_path: Path) -> None:
    settings = SynthesiseSettings(repo=str(tmp_path / "nope"), output=str(tmp_path / "out"))
    with pytest.raises((ConfigError, TaskError), match="nope"):
        synthesise_packages(settings, Referee(*[_never] * 3))
    assert not (tmp_path / "out").exists()


def _never(*arguments: object) -> Any:
    raise AssertionError("nothing is to be judged")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"package": ("a==1",), "commit": "abc"}, "--commit: it is for --repo"),
        ({"source": ".", "tests": ("x",)}, "--tests: it is for --package and --repo"),
        ({"repo": ".", "name": "../../evil"}, "owner/name"),
        ({"repo": ".", "name": "bad"}, "owner/name"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SynthesiseSettings(**wrong).check()
