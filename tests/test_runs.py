"""Run folders: what they record, what they refuse, how they resume."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from swe_srl.errors import ConfigError, SweSrlError
from swe_srl.provenance import environment, fingerprint, git_state, package_state
from swe_srl.runs import RunFolder

SETTINGS = {"model": "m", "stages": [{"method": "srl", "learning_rate": 1e-4}], "progress": "a"}


def test_a_new_run_records_settings_data_and_environment(tmp_path: Path) -> None:
    with RunFolder.start(tmp_path / "run", "train", SETTINGS, {"steps": "sha256:1"}) as run:
        assert not run.resumed
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert (record["kind"], record["data"]) == ("train", {"steps": "sha256:1"})
    assert yaml.safe_load((tmp_path / "run/settings.yaml").read_text()) == SETTINGS
    (session,) = run.rows("sessions")
    assert session["versions"]["swe-srl"] and session["python"] == sys.version.split()[0]


def test_a_link_to_a_folder_is_followed_and_one_to_nothing_is_named(tmp_path: Path) -> None:
    place, link = tmp_path / "disk", tmp_path / "run"
    link.symlink_to(place)
    for begin in (RunFolder.check, RunFolder.start):
        with pytest.raises(ConfigError, match="run is not a folder, nor a link to one"):
            begin(link, "train", SETTINGS)
    place.mkdir()
    assert not RunFolder.check(link, "train", SETTINGS)
    with RunFolder.start(link, "train", SETTINGS):
        assert (place / "run.json").is_file()
    assert RunFolder.check(link, "train", SETTINGS)


def test_the_same_run_resumes_and_reads_back(tmp_path: Path) -> None:
    with RunFolder.start(tmp_path, "train", SETTINGS) as run:
        run.append("metrics", {"update": 1})
    with RunFolder.start(tmp_path, "train", SETTINGS) as run:
        assert run.resumed
        assert list(run.rows("metrics")) == [{"update": 1}]
        assert len(list(run.rows("sessions"))) == 2
    read = RunFolder.read(tmp_path)
    assert (read.kind, read.settings) == ("train", SETTINGS)


def test_other_settings_are_refused_by_name_unless_free(tmp_path: Path) -> None:
    RunFolder.start(tmp_path, "train", SETTINGS).close()
    other = {**SETTINGS, "stages": [{"method": "srl", "learning_rate": 1e-5}]}
    with pytest.raises(ConfigError, match=r"stages\.0\.learning_rate: was 0\.0001, is 1e-05"):
        RunFolder.start(tmp_path, "train", other)
    with pytest.raises(ConfigError, match="progress"):
        RunFolder.start(tmp_path, "train", {**SETTINGS, "progress": "b"})
    assert RunFolder.start(tmp_path, "train", {**SETTINGS, "progress": "b"}, free=("progress",)).resumed


def test_other_data_and_other_kinds_are_refused(tmp_path: Path) -> None:
    RunFolder.start(tmp_path, "train", SETTINGS, {"steps": "a"}).close()
    with pytest.raises(ConfigError, match=r"data\.steps"):
        RunFolder.start(tmp_path, "train", SETTINGS, {"steps": "b"})
    with pytest.raises(ConfigError, match="kind 'train'"):
        RunFolder.start(tmp_path, "eval", SETTINGS, {"steps": "a"})


def test_a_folder_with_foreign_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match=r"thesis\.tex"):
        RunFolder.start(tmp_path, "train", SETTINGS)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(ConfigError, match="not a folder"):
        RunFolder.start(tmp_path / "thesis.tex", "train", SETTINGS)
    with pytest.raises(ConfigError, match="not a run folder"):
        RunFolder.read(tmp_path)


def test_two_writers_are_refused_and_a_dead_one_is_not_in_the_way(tmp_path: Path) -> None:
    run = RunFolder.start(tmp_path, "train", SETTINGS)
    with pytest.raises(SweSrlError, match="another process"):
        RunFolder.start(tmp_path, "train", SETTINGS)
    run.close()
    start = f"RunFolder.start({str(tmp_path)!r}, 'train', {SETTINGS!r})"
    script = f"import os; from swe_srl.runs import RunFolder; {start}; os._exit(9)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    RunFolder.start(tmp_path, "train", SETTINGS).close()


def test_rewind_drops_rows_newer_than_the_checkpoint(tmp_path: Path) -> None:
    with RunFolder.start(tmp_path, "train", SETTINGS) as run:
        for update in range(4):
            run.append("metrics", {"update": update})
        run.rewind("metrics", 2)
        run.append("metrics", {"update": 9})
        assert [row["update"] for row in run.rows("metrics")] == [0, 1, 9]
        with pytest.raises(SweSrlError, match="3 rows, the checkpoint knows of 5"):
            run.rewind("metrics", 5)


def test_fingerprints_see_names_and_bytes(tmp_path: Path) -> None:
    for name, files in {"a": {"x": "1"}, "b": {"x": "1"}, "c": {"y": "1"}, "d": {"x": "2"}}.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
    a, b, c, d = (fingerprint(tmp_path / name) for name in "abcd")
    assert a == b and len({a, c, d, fingerprint(tmp_path / "a/x")}) == 4


def test_git_state_is_empty_outside_a_repository(tmp_path: Path) -> None:
    assert git_state(tmp_path) == {}


def test_the_package_has_a_git_state_where_it_is_tracked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is installed into an environment within somebody's repository is not part of it."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    assert git_state(package) and package_state(package) == {}
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "second"], check=True)
    assert package_state(package) == git_state(tmp_path) != {}
    monkeypatch.chdir(tmp_path / "package")
    assert environment()["git"] == git_state(tmp_path) and environment()["package_git"] == package_state()


def test_a_folder_from_before_a_nested_setting_goes_on(tmp_path: Path) -> None:
    """A stage's settings are in a list: what an old folder does not know has the default there too."""
    defaults = {"seed": 0, "stages": [{"updates": 0, "new": 1}]}
    with RunFolder.start(tmp_path / "run", "train", {"seed": 0, "stages": [{"updates": 3}, {"updates": 4}]}, {}, ()):
        pass
    stages = [{"updates": 3, "new": 1}, {"updates": 4, "new": 1}]
    with RunFolder.start(tmp_path / "run", "train", {"seed": 0, "stages": stages}, {}, (), defaults):
        pass
    stages[1]["new"] = 2
    with pytest.raises(ConfigError, match=r"stages\.1\.new: was 1, is 2"):
        RunFolder.start(tmp_path / "run", "train", {"seed": 0, "stages": stages}, {}, (), defaults)
