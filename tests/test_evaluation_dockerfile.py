"""Rows whose image is a Dockerfile, from the rows to the report, in a real engine."""

from __future__ import annotations

import json
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import BASE_IMAGE

import docker
from swe_srl.cli import main
from swe_srl.files import write_jsonl
from swe_srl.sandboxes.repository import prepare_repository
from swe_srl.tasks import load_tasks

pytestmark = [pytest.mark.docker, pytest.mark.sandbox]


def test_tasks_with_dockerfiles_are_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two tasks: an image that is built, and a build that fails. Then the image is unpacked for the local sandbox."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    task = load_tasks("quickstart")[0]
    for name, broken in (("good", ""), ("bad", "RUN echo made so far; exit 7\n")):
        folder = tmp_path / "images" / name
        shutil.copytree(prepare_repository(task.source, task.setup_patch).path, folder / "repository", symlinks=True)
        text = f"FROM {BASE_IMAGE}\nLABEL one={uuid.uuid4().hex}\nCOPY repository /testbed\n{broken}WORKDIR /testbed\n"
        (folder / "Dockerfile").write_text(text)
    row = {key: value for key, value in task.row().items() if key not in ("source", "setup_patch")}
    good = [{**row, "instance_id": f"quick__good-{number}", "image": "images/good/"} for number in (1, 2)]
    bad = {**row, "instance_id": "quick__bad-1", "image": "./images/bad/Dockerfile"}
    file = tmp_path / "rows.jsonl"
    write_jsonl(file, [*good, bad])
    (image,) = {one.image for one in load_tasks(str(file)) if "good" in one.instance_id}
    client = docker.DockerClient.from_env()
    words = ["eval", "--tasks", str(file), "--policy", "gold", "--no-hardened", "--disk-budget", "9TB", "--output"]
    try:
        assert main([*words, str(tmp_path / "run"), "--workers", "3"]) == 0
        report = json.loads((tmp_path / "run" / "report.json").read_text())
        assert (report["resolved"], report["samples"], report["asked"]) == (2, 2, 3)
        (failure,) = report["failures"]
        assert failure["task_id"] == "quick__bad-1" and failure["stage"] == "episode"
        assert "made so far" in failure["reason"] and "code: 7" in failure["reason"]
        capsys.readouterr()
        assert main(["images", "list", str(file)]) == 0
        assert f"built from {tmp_path}/images/good/Dockerfile" in capsys.readouterr().out
        assert main([*words, str(tmp_path / "local"), "--sandbox", "local", "--instances", "quick__good-1"]) == 0
        assert json.loads((tmp_path / "local" / "report.json").read_text())["resolved"] == 1
        with (tmp_path / "images" / "good" / "repository" / "NOTES").open("w") as notes:
            notes.write("another image")
        assert main([*words, str(tmp_path / "run")]) == 2
        assert "dockerfiles" in capsys.readouterr().err, "a run is not mixed from two images"
        capsys.readouterr()
        assert main(["images", "prune"]) == 0
        assert "removed 1 images" in capsys.readouterr().out
        with pytest.raises(docker.errors.ImageNotFound):
            client.images.get(image)
    finally:
        with suppress(docker.errors.ImageNotFound):
            client.images.remove(image, force=True)
        client.close()
