"""What published images are called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from swe_srl.errors import ConfigError
from swe_srl.tasks import load_tasks, task_from_row
from swe_srl.tasks.images import IMAGE_RULES, image_name, with_image
from swe_srl.tasks.sources import HUB_SETS
from swe_srl.types import Task


def row(instance_id: str, repo: str = "", **more: object) -> Task:
    return task_from_row({"instance_id": instance_id, "repo": repo or instance_id.split("-")[0], **more})


@pytest.mark.parametrize(
    ("rule", "task", "image"),
    [
        ("swe-bench", row("astropy__astropy-12907"), "swebench/sweb.eval.x86_64.astropy_1776_astropy-12907:latest"),
        ("swe-gym", row("Project-MONAI__MONAI-1832"), "xingyaoww/sweb.eval.x86_64.project-monai_s_monai-1832:latest"),
        ("swe-rebench", row("tox-dev__tox-3846"), "swerebench/sweb.eval.x86_64.tox-dev_1776_tox-3846:latest"),
        (
            "swe-smith",
            row("oauthlib__oauthlib.1fd52536.combine_file__09vlzwgc", "swesmith/oauthlib__oauthlib.1fd52536"),
            "jyangballin/swesmith.x86_64.oauthlib_1776_oauthlib.1fd52536:latest",
        ),
    ],
)
def test_every_data_set_has_its_rule(rule: str, task: Task, image: str) -> None:
    assert image_name(task, rule) == image
    assert with_image(task, rule).image == image


@pytest.mark.shared
@pytest.mark.parametrize("name", ["Lite__test", "Lite__dev", "Verified__test"])
def test_the_rule_gives_every_published_rows_own_image(shared_data: Path, name: str) -> None:
    tasks = load_tasks(str(shared_data / "swebench" / f"SWE-bench_{name}.parquet"))
    assert len(tasks) >= 23 and all(task.image for task in tasks)
    assert {image_name(task, "swe-bench") for task in tasks} == {task.image for task in tasks}


def test_a_rows_own_image_comes_first() -> None:
    assert with_image(row("a__b-1", image="mine:1"), "swe-gym").image == "mine:1"
    assert with_image(row("a__b-1", image_name="mine:2"), "swe-gym").image == "mine:2"
    assert with_image(row("a__b-1", docker_image="mine:3"), "swe-gym").image == "mine:3"


def test_a_file_of_rows_does_not_tell_its_data_set() -> None:
    plain = row("a__b-1", eval_script="true")
    assert with_image(plain).image == "" and with_image(plain, "none").image == ""
    smith = replace(plain, repo="swesmith/a__b.12345678")
    assert with_image(smith).image == "jyangballin/swesmith.x86_64.a_1776_b.12345678:latest"
    assert with_image(smith, "none").image == ""


def test_wrong_rules_and_repositories() -> None:
    with pytest.raises(ConfigError, match="did you mean 'swe-gym'"):
        image_name(row("a__b-1"), "swegym")
    with pytest.raises(ConfigError, match=r"is swesmith/OWNER__NAME\.COMMIT, not 'a__b'"):
        image_name(row("a__b-1"), "swe-smith")


def test_every_set_of_the_hub_is_pinned_and_has_a_rule() -> None:
    for name, known in HUB_SETS.items():
        assert len(known.revision) == 40 and known.images in IMAGE_RULES, name
    assert HUB_SETS["swe-rebench"].images == "swe-rebench"
