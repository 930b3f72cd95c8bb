"""Recipes of images that are made without a registry."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from grading_support import tiny_task

from swe_srl.errors import ConfigError, TaskError
from swe_srl.evaluation.images import Recipe, adapt, make_instances, recipe_names

ROOT = Path(__file__).resolve().parent.parent


def test_the_packaged_recipes() -> None:
    assert recipe_names() == ["pallets__flask-4992", "pallets__flask-5063", "psf__requests-6028"]
    for name in recipe_names():
        recipe = Recipe.load(name)
        assert recipe.instance_id == name and "==" in recipe.source and recipe.install
        repository, tag = recipe.tag.split(":")
        assert repository == f"swe-srl-eval/{name}" and len(tag) == 12


def test_the_tag_changes_with_the_recipe_and_not_with_its_description() -> None:
    recipe = Recipe.load("psf__requests-6028")
    assert replace(recipe, description="other").tag == recipe.tag
    assert replace(recipe, requirements=("pytest",)).tag != recipe.tag


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
    from swe_srl.files import write_jsonl

    write_jsonl(tmp_path / "rows.jsonl", [tiny_task(tmp_path, prepare=False).row()])
    with pytest.raises(TaskError, match="no row of this instance"):
        make_instances([str(tmp_path / "rows.jsonl")], ["psf__requests-6028"], tmp_path / "out.jsonl")


@pytest.mark.parametrize(
    "script", ["docker/make-base-image.sh", "docker/make-swebench-images.sh", "docker/swebench/install.sh"]
)
def test_scripts_are_valid_bash(script: str) -> None:
    assert subprocess.run(["bash", "-n", str(ROOT / script)], capture_output=True).returncode == 0
    assert (ROOT / script).stat().st_mode & 0o111
