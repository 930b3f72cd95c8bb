"""Folder trees are removed whatever an agent made of them."""

from __future__ import annotations

import gc
import os
import shlex
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from swe_srl.errors import SandboxError
from swe_srl.sandboxes import make_sandbox
from swe_srl.sandboxes.local import LocalSandbox
from swe_srl.sandboxes.removal import remove_folder
from swe_srl.types import Limits, SandboxSpec
from tests.conftest import BASE_IMAGE
from tests.sandbox_support import make_deep


def test_a_deep_tree_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    make_deep(folder)
    gc.collect()  # what other tests have left open closes now
    before = len(list(Path("/proc/self/fd").iterdir()))
    remove_folder(folder)
    assert not folder.exists()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_unreadable_folders_links_and_names_of_any_bytes_are_removed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("stays")
    folder = tmp_path / "folder"
    inner = folder / "a" / "b" / "c"
    inner.mkdir(parents=True)
    (inner / "link").symlink_to(kept)
    (folder / "link").symlink_to(kept)
    os.mkfifo(inner / "pipe")
    Path(os.fsdecode(os.fsencode(inner) + b"/\xff\n-rf")).mkdir()
    for place, mode in ((inner, 0o000), (inner.parent, 0o400), (inner.parent.parent, 0o100)):
        place.chmod(mode)
    remove_folder(folder)
    assert not folder.exists() and (kept / "file").read_text() == "stays"


def test_what_is_no_folder_or_not_there_is_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (tmp_path / "link").symlink_to(kept)
    remove_folder(tmp_path / "nothing")
    with pytest.raises(NotADirectoryError):
        remove_folder(tmp_path / "link")
    assert kept.is_dir()


def test_several_may_remove_one_tree(tmp_path: Path) -> None:
    """The folder above it keeps its mode: sandboxes of root are not root, and pass through it."""
    above = tmp_path / "above"
    above.mkdir()
    above.chmod(0o711)
    folder = above / "folder"
    for number in range(30):
        (folder / f"{number}" / "a" / "b").mkdir(parents=True)
        (folder / f"{number}" / "a" / "file").write_text("")
    with ThreadPoolExecutor(4) as pool:
        for one in [pool.submit(remove_folder, folder) for _ in range(4)]:
            one.result()
    assert not folder.exists() and above.stat().st_mode & 0o777 == 0o711


DEEPER = """\
import os
for number in range(1200):
    os.mkdir("folder")
    os.chdir("folder")
"""


@pytest.mark.parametrize(
    "kind", [pytest.param("local", marks=pytest.mark.sandbox), pytest.param("docker", marks=pytest.mark.docker)]
)
def test_an_agents_deep_tree_hinders_nothing(kind: str) -> None:
    spec = SandboxSpec(image=BASE_IMAGE if kind == "docker" else "", limits=Limits(command_seconds=120.0))
    with make_sandbox(kind, spec) as sandbox:
        sandbox.write_file("deeper.py", DEEPER.encode())
        assert sandbox.run("python3 deeper.py").exit_code == 0
        if kind == "local":
            with pytest.raises(SandboxError, match="File name too long") as caught:
                sandbox.snapshot()
            assert len(str(caught.value)) < 600
        assert sandbox.run("ls").output.split() == ["deeper.py", "folder"]


@pytest.mark.sandbox
def test_a_snapshot_of_deep_folders_is_discarded() -> None:
    with LocalSandbox(SandboxSpec()) as sandbox:
        deeper = "import os\nos.chdir('/tmp')\nfor _ in range(1100): os.mkdir('d'); os.chdir('d')"
        assert sandbox.run(f"python3 -c {shlex.quote(deeper)}").output == ""
        snapshot = sandbox.snapshot()
        snapshot.discard()
        assert not snapshot.folder.exists()
