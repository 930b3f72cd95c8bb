"""Recipes of images that are made without a registry."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from docker.errors import ImageNotFound
from grading_support import tiny_task

from swe_srl.errors import ConfigError, GradingError, TaskError
from swe_srl.evaluation import images
from swe_srl.evaluation.images import Recipe, adapt, make_image, make_instances, recipe_names
from swe_srl.files import write_jsonl
from swe_srl.sandboxes.docker_sandbox import owner_labels

ROOT = Path(__file__).resolve().parent.parent


def test_the_packaged_recipes() -> None:
    assert recipe_names() == [
        "pallets__flask-4992",
        "pallets__flask-5014",
        "pallets__flask-5063",
        "psf__requests-6028",
    ]
    for name in recipe_names():
        recipe = Recipe.load(name)
        assert recipe.instance_id == name and "==" in recipe.source and recipe.install
        repository, tag = recipe.tag.split(":")
        assert repository == f"swe-srl-eval/{name}" and len(tag) == 12


def test_the_tag_changes_with_the_recipe_and_not_with_its_description() -> None:
    recipe = Recipe.load("psf__requests-6028")
    assert replace(recipe, description="other").tag == recipe.tag
    assert replace(recipe, requirements=("pytest",)).tag != recipe.tag


@pytest.mark.parametrize(("name", "undone"), [("pallets__flask-5014", True), ("psf__requests-6028", False)])
def test_a_fixed_source_has_its_patches_taken_back(
    name: str, undone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(folder: Path, *arguments: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "archive.tar").touch()

    monkeypatch.setattr(images, "_pip_download", download)
    seen = []
    monkeypatch.setattr(images, "make_image", lambda recipe, undone: seen.append((recipe, undone)) or "1" * 40)
    task = replace(tiny_task(tmp_path, prepare=False), instance_id=name, patch="the fix", test_patch="its tests\n")
    write_jsonl(tmp_path / "rows.jsonl", [task.row()])
    make_instances([str(tmp_path / "rows.jsonl")], [name], tmp_path / "out.jsonl")
    context = io.BytesIO(images._context(*seen[0], tmp_path / "context"))
    with tarfile.open(fileobj=context) as tar:
        member = tar.extractfile("build/undo.patch")
        assert member is not None and member.read() == (b"the fix\nits tests\n" if undone else b"")


def test_unknown_recipes_and_keys(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'psf__requests-6028'"):
        Recipe.load("psf__requests-602")
    own = tmp_path / "own.yaml"
    own.write_text("instance_id: a\nsource: x==1\nrequirement: [pytest]\ninstall: [.]\n")
    with pytest.raises(ConfigError, match="did you mean 'requirements'"):
        Recipe.load(str(own))
    own.write_text("instance_id: a\nsource: x==1\ninstall: [.]\n")
    with pytest.raises(ConfigError, match="requirements is missing"):
        Recipe.load(str(own))
    own.write_text("instance_id: a\nsource: x==1\nrequirements: [pytest]\ninstall: [.]\nenvironment: {A: b}\n")
    assert Recipe.load(str(own)).environment == (("A", "b"),)


def test_a_row_is_adapted_to_its_image(tmp_path: Path) -> None:
    task = tiny_task(tmp_path, prepare=False)
    commit = "1" * 40
    adapted = adapt(task, "local:tag", commit)
    assert (adapted.image, adapted.base_commit) == ("local:tag", commit)
    assert task.base_commit not in adapted.eval_script and commit in adapted.eval_script
    with pytest.raises(TaskError, match="does not name its base_commit"):
        adapt(replace(task, eval_script=""), "local:tag", commit)


def test_an_instance_without_a_row_is_refused(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "rows.jsonl", [tiny_task(tmp_path, prepare=False).row()])
    with pytest.raises(TaskError, match="no row of this instance"):
        make_instances([str(tmp_path / "rows.jsonl")], ["psf__requests-6028"], tmp_path / "out.jsonl")


@pytest.mark.parametrize(
    "script", ["docker/make-base-image.sh", "docker/make-swebench-images.sh", "docker/swebench/install.sh"]
)
def test_scripts_are_valid_bash(script: str) -> None:
    assert subprocess.run(["bash", "-n", str(ROOT / script)], capture_output=True).returncode == 0
    assert (ROOT / script).stat().st_mode & 0o111


class Container:
    """A container that records what becomes of it; `wait` ends as `outcome` says."""

    def __init__(self, outcome: int | BaseException) -> None:
        self.outcome = outcome
        self.options: dict[str, Any] = {}
        self.changes: list[str] = []
        self.removed = False

    def create(self, image: str, command: list[str], **options: Any) -> Container:
        self.options = {"command": command, **options}
        return self

    def wait(self, timeout: float) -> dict[str, int]:
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return {"StatusCode": self.outcome}

    def put_archive(self, path: str, data: bytes) -> None: ...

    def start(self) -> None: ...

    def logs(self) -> bytes:
        return b"installing\nabc123"

    def commit(self, name: str, tag: str, changes: list[str]) -> None:
        self.changes = changes

    def remove(self, force: bool) -> None:
        self.removed = True


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | BaseException], Container]:
    """Makes the Docker engine one that has no images, and whose container ends as told."""

    def make(outcome: int | BaseException) -> Container:
        def missing(name: str) -> None:
            raise ImageNotFound("none")

        container = Container(outcome)
        client = SimpleNamespace(containers=container, images=SimpleNamespace(get=missing), close=lambda: None)
        monkeypatch.setattr("docker.client.DockerClient.from_env", lambda timeout: client)
        monkeypatch.setattr(images, "_context", lambda recipe, undone, folder: b"")
        return container

    return make


def test_the_building_container_has_an_owner_and_an_end(engine: Callable[[int], Container]) -> None:
    container = engine(0)
    assert make_image(Recipe.load("psf__requests-6028")) == "abc123"
    assert container.removed and container.options["command"][0] == "timeout"
    assert owner_labels().items() <= container.options["labels"].items()
    (labels,) = [change for change in container.changes if change.startswith("LABEL")]
    assert all(f'{name}=""' in labels for name in owner_labels())  # containers of the image are not ours to sweep


@pytest.mark.parametrize("outcome", [124, requests.ReadTimeout("read timed out"), requests.ConnectionError("gone")])
def test_an_installation_without_end_is_a_failure(engine: Callable[..., Container], outcome: int | Exception) -> None:
    container = engine(outcome)
    with pytest.raises(GradingError, match=r"took more than|read timed out|gone"):
        make_image(Recipe.load("psf__requests-6028"))
    assert container.removed


def test_termination_is_an_interrupt_of_the_script(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, swe_srl.evaluation.images as images\n"
        "images.make_instances = lambda *_: os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    env = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    command = [str(ROOT / "docker/make-swebench-images.sh"), "--rows", "rows", "--out", "out"]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 130 and "interrupted" in done.stderr and "Traceback" not in done.stderr
