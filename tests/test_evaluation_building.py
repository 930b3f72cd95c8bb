"""Builds whose Dockerfile does not mean well, against an engine that is none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import ImageNotFound

from swe_srl.evaluation import building
from swe_srl.tasks.dockerfiles import built_name


def build(folder: Path, told: Iterator[dict[str, str]], sought: list[str]) -> str:
    """What the error of a build says whose engine tells that; `sought` are the layers that were to be removed."""

    def get(layer: str) -> None:
        sought.append(layer)
        raise ImageNotFound("none")

    api = SimpleNamespace(hooks={"response": []}, build=lambda **_: told)
    client: Any = SimpleNamespace(api=api, info=lambda: {"SystemTime": ""}, images=SimpleNamespace(get=get))
    file = folder / "Dockerfile"
    file.write_text("FROM scratch\n")
    with pytest.raises(building.BuildError) as error:
        building.build(client, built_name(file), str(file), threading.Event(), tidy=True)
    return str(error.value)


def test_a_build_that_prints_layers_without_end_is_tidied_up_after_soon(tmp_path: Path) -> None:
    told = [{"stream": f" ---> {number:012x}\n"} for number in range(3 * building.MOST_LAYERS)]
    sought: list[str] = []
    build(tmp_path, iter([*told, {"error": "failed"}]), sought)
    assert sought == [f"{number:012x}" for number in reversed(range(building.MOST_LAYERS))]
    sought.clear()
    build(tmp_path, iter([*(100 * told[:3]), {"error": "failed"}]), sought)
    assert sought == ["000000000002", "000000000001", "000000000000"]


def test_a_build_that_does_not_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "BUILD_SECONDS", 0.0)
    ended = threading.Event()

    def told() -> Iterator[dict[str, str]]:
        yield {"stream": "begun"}
        ended.wait()

    assert "did not end within 0 hours" in build(tmp_path, told(), [])
    ended.set()
