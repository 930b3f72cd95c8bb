"""The soak itself: a few dozen episodes leave nothing behind, and growth is noticed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.soak import MEMORY_MB, Counts, count, grown, lasting, soak
from swe_srl.sandboxes.launch import new_folder
from swe_srl.sandboxes.removal import remove_folder
from tests.sandbox_support import KINDS, new_sandbox, repository, sandbox_of

pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize("kind", KINDS[:2])
def test_a_few_dozen_episodes(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "repository").mkdir()
    episodes = 24 if kind == "local" else 6
    shown: list[int] = []
    new_sandbox(kind, repository(tmp_path)).close()  # what the first one makes for all of them stays
    before = lasting(sandbox_of(kind))
    warm, last = soak(
        tmp_path / "repository", sandbox_of(kind), episodes, 10, lambda number, counts, seconds: shown.append(number)
    )
    assert grown(warm, last) == []
    assert (last.containers, last.folders, last.groups) == (before.containers, before.folders, before.groups)
    assert shown[-1] == episodes


def test_growth_is_told() -> None:
    counts = Counts(processes=2, containers=0, mounts=1, descriptors=11, folders=0, groups=0, memory_mb=50)
    assert grown(counts, replace(counts, memory_mb=50 + MEMORY_MB, processes=1)) == []
    assert grown(counts, replace(counts, memory_mb=51 + MEMORY_MB, descriptors=12)) == [
        "descriptors: 11 after the warm-up, 12 at the end",
        f"memory_mb: 50 after the warm-up, {51 + MEMORY_MB} at the end",
    ]


def test_what_is_left_is_counted() -> None:
    before = lasting("local")
    folder = new_folder("sandbox")
    descriptor = os.open(os.devnull, os.O_RDONLY)
    after = count("local")
    os.close(descriptor)
    remove_folder(folder)
    assert (after.folders - before.folders, after.descriptors - before.descriptors) == (1, 1)
