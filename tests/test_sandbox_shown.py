"""Folders of the host that a sandbox shows read-only."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from swe_srl.errors import ConfigError, TaskError
from swe_srl.sandboxes import LocalSandbox, docker_sandbox, host_view, local
from swe_srl.tasks.surroundings import surroundings
from swe_srl.types import SandboxSpec, Task


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """A folder that root's sandboxes, which are not root, can enter; /tmp is their own."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.sandbox
def test_a_shown_folder_can_be_read_and_not_written(tmp_path: Path) -> None:
    """Also when only its owner may enter the folders above it, and after the shell was started again."""
    folder = tmp_path / "private" / "packages"
    folder.mkdir(parents=True)
    (folder / "module.py").write_text("name = 'shown'\n")
    (tmp_path / "private").chmod(0o700)
    spec = SandboxSpec(shown=((str(folder), "/opt/packages"),), env=(("PYTHONPATH", "/opt/packages"),))
    with LocalSandbox(spec) as sandbox:
        assert sandbox.run("python3 -c 'import module; print(module.name)'").output.strip() == "shown"
        for command in ("touch /opt/packages/new", "rm /opt/packages/module.py", "echo x >>/opt/packages/module.py"):
            assert sandbox.run(command).exit_code != 0
        sandbox.restart()
        assert sandbox.run("cat /opt/packages/module.py").output.strip() == "name = 'shown'"
    assert [path.name for path in folder.iterdir()] == ["module.py"]


@pytest.mark.sandbox
def test_the_bundled_tasks_are_not_among_the_hosts_packages(everybodys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their patches and tests are in this package, which may be installed where all is shown."""
    installed = everybodys / "lib" / "swe_srl"
    (installed / "data" / "quickstart").mkdir(parents=True)
    (installed / "data" / "quickstart" / "tasks.jsonl").write_text("the patch\n")
    (installed / "__init__.py").write_text("x = 1\n")
    monkeypatch.setattr(host_view, "extra_python", lambda: str(everybodys))
    monkeypatch.setattr(host_view.resources, "files", lambda _: installed)
    with LocalSandbox(SandboxSpec()) as sandbox:
        found = sandbox.run(f"cat {installed}/__init__.py; ls -A {installed}/data; touch {installed}/data/x")
    assert found.output.startswith("x = 1\ntouch: ") and found.exit_code == 1


def test_what_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="shown must be folders"):
        local.check_spec(SandboxSpec(shown=((str(tmp_path / "none"), "/opt/packages"),)))
    with pytest.raises(ConfigError, match="use the local sandbox"):
        docker_sandbox.check_spec(SandboxSpec(image="x", shown=((str(tmp_path), "/opt/packages"),)))


def test_variables_that_hold_a_nul_are_refused() -> None:
    """What followed it was an option of bubblewrap's."""
    hostile = "x\0--bind\0/\0/host"
    for variable in (("NAME", hostile), (hostile, "value")):
        with pytest.raises(ConfigError, match="have no NUL"):
            local.check_spec(SandboxSpec(env=(variable,)))
        task = Task("t-1", "a/b", "0" * 40, "Mend it.", extra=json.dumps({"variables": dict([variable])}))
        with pytest.raises(TaskError, match="column variables has a NUL"):
            surroundings(task)
