"""The wheel, installed outside the repository, is the whole product: commands, definitions, data, the environment."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import gymnasium
import pytest

from swe_srl.definitions import KINDS

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.slow

ORIGIN = "import pathlib, swe_srl; print(pathlib.Path(swe_srl.__file__).resolve())"
DEFINITIONS = """
from swe_srl.definitions import KINDS, definition_names, definition_root, load_definition
for kind in KINDS:
    for name in definition_names(kind):
        load_definition(kind, name)
    for entry in definition_root(kind).iterdir():
        print(f"{kind}/{entry.name}")
"""
QUICKSTART = """
from importlib import resources
from swe_srl.tasks import load_tasks
from swe_srl.trajectories import read_trajectories
data = resources.files("swe_srl") / "data" / "quickstart"
sizes = [len(load_tasks(f"quickstart-{split}")) for split in ("train", "validation", "test")]
expert = sum(1 for _ in read_trajectories(str(data / "trajectories-train.jsonl")))
assert sizes[0] >= 200 and sizes[1] > 0 and sizes[2] >= 50 and expert >= 200, (sizes, expert)
assert (data / "model" / "config.json").is_file()
"""
RUN = """
from swe_srl.runs import RunFolder
with RunFolder.start("run", "train", {"model": "quickstart"}) as run:
    run.append("metrics", {"stage": 0, "method": "srl", "update": 1, "reward_mean": 0.5})
"""
MAKE = """
import gymnasium, swe_srl
env = gymnasium.make("swe_srl/Repo-v0", tasks="quickstart")
print(type(env.unwrapped).__name__)
env.close()
"""
EPISODE = """
import gymnasium, swe_srl
env = gymnasium.make("swe_srl/Repo-v0", tasks="quickstart", sandbox="local")
issue, info = env.reset(seed=0)
assert issue and info["task_id"], (issue, info)
shown, reward, terminated, truncated, info = env.step("echo from the $((40 + 2)) sandbox")
assert "from the 42 sandbox" in shown and info["exit_code"] == 0, (shown, info)
env.close()
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)], cwd=ROOT, check=True)
    (built,) = out.glob("*.whl")
    return built


class Installed:
    """An environment that holds the wheel; what the wheel depends on is borrowed from the running environment."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        venv.create(folder / "venv", with_pip=False, symlinks=True)
        self.bin = folder / "venv" / "bin"
        install = ["install", "--quiet", "--no-index", "--no-deps", str(wheel)]
        subprocess.run([sys.executable, "-m", "pip", "--python", str(self.bin / "python"), *install], check=True)
        (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
        dependencies = Path(gymnasium.__file__).parent.parent
        (site / "dependencies.pth").write_text(f"{dependencies}\n")  # one plain path: its own .pth files are not read

    def run(self, *command: str) -> str:
        env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        env["PATH"] = f"{self.bin}:{env['PATH']}"
        program = str(self.bin / command[0])
        done = subprocess.run(
            [program, *command[1:]], cwd=self.folder, env=env, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, f"{command}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("elsewhere"), wheel)


def test_the_wheel_is_what_runs(installed: Installed) -> None:
    origin = Path(installed.run("python", "-c", ORIGIN).strip())
    assert installed.folder.resolve() in origin.parents
    assert ROOT not in origin.parents


def test_the_wheel_brings_one_import_name(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} - {"swe_srl"} == {f"{wheel.name.rsplit('-', 3)[0]}.dist-info"}
    assert "swe_srl/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assets = {f"swe_srl/viewer/assets/{path.name}" for path in (ROOT / "swe_srl/viewer/assets").iterdir()}
    assert "swe_srl/viewer/assets/index.html" in assets and assets <= set(names)


def test_commands(installed: Installed) -> None:
    assert "usage: swe-srl" in installed.run("swe-srl", "--help")
    assert "bubblewrap" in installed.run("swe-srl", "doctor")
    assert "seed:" in installed.run("swe-srl", "train", "--config", "quickstart", "--print-config")


def test_every_definition_is_found(installed: Installed) -> None:
    found = set(installed.run("python", "-c", DEFINITIONS).split())
    assert found == {f"{kind}/{path.name}" for kind in KINDS for path in (ROOT / kind).iterdir()}
    assert {"agents/shell.yaml", "envs/default.yaml", "recipes/quickstart.yaml"} <= found


def test_pages_are_written(installed: Installed) -> None:
    installed.run("python", "-c", RUN)
    assert "index.html in a browser" in installed.run("swe-srl", "view", "run", "--output", "pages")
    there = {path.name for path in (installed.folder / "pages").rglob("*")}
    assert {"index.html", "app.js", "base.css", "index.js"} <= there


def test_quickstart_data_is_found(installed: Installed) -> None:
    installed.run("python", "-c", QUICKSTART)


def test_gymnasium_makes_the_environment(installed: Installed) -> None:
    assert installed.run("python", "-c", MAKE).strip() == "SweEnv"


@pytest.mark.sandbox
def test_an_episode_runs(installed: Installed) -> None:
    installed.run("python", "-c", EPISODE)
