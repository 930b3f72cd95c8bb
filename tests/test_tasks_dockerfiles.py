"""Rows whose image is a Dockerfile: which image that is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swe_srl.errors import TaskError
from swe_srl.files import write_jsonl
from swe_srl.tasks import load_tasks
from swe_srl.tasks.dockerfiles import built_name, is_dockerfile
from swe_srl.tasks.sources import built_images
from swe_srl.types import Task


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "images" / "flask"
    made.mkdir(parents=True)
    (made / "Dockerfile").write_text("FROM scratch\nCOPY run /run\n")
    (made / "Dockerfile.other").write_text("FROM scratch\n")
    (made / "run").write_text("true\n")
    return made


def rows(folder: Path, *images: str) -> list[Task]:
    row = {"repo": "a/b", "base_commit": "0" * 40, "problem_statement": "x"}
    file = folder / "rows.jsonl"
    write_jsonl(file, [{**row, "instance_id": f"a__b-{n}", "image": image} for n, image in enumerate(images)])
    return load_tasks(str(file))


def test_what_is_a_path_and_what_a_name() -> None:
    for path in (".", "./a", "../a", "/a/b", "a/", "Dockerfile", "a/Dockerfile", "a/Dockerfile.py39", "x.Dockerfile"):
        assert is_dockerfile(path), path
    for name in ("", "a", "a/b", "a:1", "localhost:5000/a/b:latest", "dockerfile", "a@sha256:0"):
        assert not is_dockerfile(name), name


def test_a_path_is_relative_to_the_rows_and_names_an_image_by_content(folder: Path, tmp_path: Path) -> None:
    found = rows(tmp_path, "./images/flask", "images/flask/", "images/flask/Dockerfile", "org/plain:1")
    assert len({task.image for task in found[:3]}) == 1 and found[0].image.startswith("swe-srl-built:")
    assert {task.image_source for task in found[:3]} == {str(folder / "Dockerfile")}
    assert (found[3].image, found[3].image_source) == ("org/plain:1", "")
    assert found[0].row()["image_source"] == str(folder / "Dockerfile")
    assert built_images(tmp_path / "rows.jsonl") == {found[0].image}
    (other,) = rows(tmp_path, "images/flask/Dockerfile.other")
    assert other.image != found[0].image


def test_the_name_changes_with_whatever_is_sent(folder: Path) -> None:
    file = folder / "Dockerfile"
    names = [built_name(file)]

    def changes() -> bool:
        names.append(built_name(file))
        return names[-1] not in names[:-1]

    (folder / "run").write_text("false\n")
    assert changes()
    (folder / "run").chmod(0o755)
    assert changes()
    (folder / "run").rename(folder / "start")
    assert changes()
    (folder / "link").symlink_to("start")
    assert changes()
    (folder / ".dockerignore").write_text("# not sent\nnotes\n")
    assert changes()
    (folder / "notes").write_text("ignored")
    os.utime(folder / "start", (0, 0))
    assert not changes()


def test_a_wrong_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"a__b-0: image: there is no Dockerfile at .*images/none/?"):
        rows(tmp_path, "./images/none")
