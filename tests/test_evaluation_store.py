"""Images that are pulled when they are needed and removed when there is no room: with a real engine and a real registry."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from registry_support import Engine, Registry, own_engine

import docker
from swe_srl.cli import main
from swe_srl.errors import ConfigError, SandboxError, SandboxUnavailableError
from swe_srl.evaluation import EvalSettings
from swe_srl.evaluation.building import BuildError
from swe_srl.evaluation.pulling import BackOff, PullError, PullStoppedError, is_passing
from swe_srl.evaluation.settings import parse_size
from swe_srl.evaluation.store import ImageStore
from swe_srl.files import write_jsonl
from swe_srl.tasks.dockerfiles import built_name
from tests.sandbox_support import wait_until

MB = 1 << 20
pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0, reason="starts a Docker daemon of its own, which needs root"),
]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with own_engine() as made:
        yield made


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()
    yield made
    made.close()


@pytest.fixture
def client(engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[docker.DockerClient]:
    monkeypatch.setenv("DOCKER_HOST", engine.socket)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = docker.DockerClient.from_env()
    yield made
    for container in made.containers.list(all=True):
        container.remove(force=True)
    for image in made.images.list(all=True):
        made.images.remove(image.id, force=True)
    made.close()


def store(**more: object) -> ImageStore:
    values = {"pull": True, "back_off": BackOff(first=0.05, longest=0.2), **more}
    return ImageStore(**values)  # type: ignore[arg-type]


def names(client: docker.DockerClient) -> set[str]:
    return {tag for image in client.images.list() for tag in image.tags}


def test_an_image_is_pulled_once_and_only_when_asked_for(client: docker.DockerClient, registry: Registry) -> None:
    image = registry.add("org/a")
    with pytest.raises(SandboxUnavailableError, match="or --pull"), store(pull=False).holding(image):
        pass
    for _ in range(2):
        with store().holding(image):
            assert names(client) == {image}
    blobs = {kind: count for kind, count in registry.asked.items() if kind.startswith("blob")}
    assert set(blobs.values()) == {1}
    assert [one.name for one in store().pulled()] == [image]
    assert store().total() >= MB
    with store().holding(""):
        pass


def test_a_rate_limit_is_waited_out_and_a_missing_image_is_not(client: docker.DockerClient, registry: Registry) -> None:
    image, told = registry.add("org/a"), []
    registry.limited = 5  # the engine itself asks more than once a pull
    with store(back_off=BackOff(first=0.05, longest=0.1, note=told.append)).holding(image):
        pass
    assert len(told) >= 2 and all("trying again in" in text and image in text for text in told)
    before = registry.asked["manifest"]
    missing = f"{registry.address}/org/none:latest"
    with pytest.raises(PullError, match=r"none.* cannot be pulled: .*(unknown|not found)"), store().holding(missing):
        pass
    assert registry.asked["manifest"] - before <= 2, "asked for once (the engine may ask twice)"
    other = registry.add("org/b")
    registry.limited = 100
    with (
        pytest.raises(PullError, match="could not be pulled in 3 tries: "),
        store(back_off=BackOff(0.01, 0.02, 3)).holding(other),
    ):
        pass


@pytest.mark.slow
def test_a_broken_download_is_taken_up_again(client: docker.DockerClient, registry: Registry) -> None:
    image = registry.add("org/a", size=3 * MB)
    registry.broken = 2
    with store().holding(image):
        assert names(client) == {image}


@pytest.mark.parametrize("where", ["mute", "stalled"])
def test_a_pull_that_falls_silent_is_broken_off_and_tried_again(
    client: docker.DockerClient, registry: Registry, where: str
) -> None:
    image, told = registry.add("org/a", size=3 * MB), []
    setattr(registry, where, 1)
    with store(back_off=BackOff(first=0.05, longest=0.1, note=told.append, silence=5.0)).holding(image):
        assert names(client) == {image}
    assert len(told) == 1 and "timed out: no byte in 5 seconds; trying again" in told[0]
    assert getattr(registry, where) == 0


def test_a_silent_pull_is_given_up_at_once(client: docker.DockerClient, registry: Registry) -> None:
    image = registry.add("org/a", size=3 * MB)
    registry.stalled = 1
    stopped = threading.Event()

    def stop() -> None:
        wait_until(lambda: not registry.stalled)  # it is silent now
        stopped.set()

    stopping = threading.Thread(target=stop)
    stopping.start()
    with pytest.raises(PullStoppedError), store(back_off=BackOff(silence=600.0)).holding(image, stopped):
        pass
    stopping.join()
    with store().holding(image):  # the engine has let go of the silent one too
        assert names(client) == {image}


class Warm:
    """A pool that keeps a container of an image ready."""

    def __init__(self, client: docker.DockerClient, image: str) -> None:
        self.container = client.containers.create(image, ["/noise"])

    def let_go(self, image: str) -> None:
        if image == self.container.image.tags[0]:
            self.container.remove(force=True)


def test_what_a_warm_pool_keeps_ready_makes_room(client: docker.DockerClient, registry: Registry) -> None:
    a, b = registry.add("org/a", size=4 * MB), registry.add("org/b", size=4 * MB)
    with store().holding(a):
        warm = Warm(client, a)
    with pytest.raises(SandboxUnavailableError, match="have containers"), store(budget=4 * MB).holding(b):
        pass
    with store(budget=6 * MB, let_go=warm.let_go).holding(b):
        assert names(client) == {b}


def dockerfile(folder: Path, text: str, size: int = MB) -> tuple[str, str]:
    """A folder with a Dockerfile and a file of random bytes: the image's name, and the Dockerfile."""
    folder.mkdir()
    (folder / "Dockerfile").write_text(text)
    (folder / "noise").write_bytes(os.urandom(size))
    return built_name(folder / "Dockerfile"), str(folder / "Dockerfile")


def test_a_dockerfile_is_built_once_and_makes_room(
    client: docker.DockerClient, registry: Registry, tmp_path: Path
) -> None:
    image, file = dockerfile(tmp_path / "a", "FROM scratch\nCOPY noise /noise\n", 4 * MB)
    shared, lock = store(pull=False), threading.Barrier(4)

    def use(number: int) -> str:
        lock.wait()
        with shared.holding(image, dockerfile=file):
            return str(client.images.get(image).id)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(use, range(4)))) == 1
    assert [(one.name, one.size >= 4 * MB) for one in store().pulled()] == [(image, True)]
    pulled = registry.add("org/b", size=4 * MB)
    with store(budget=6 * MB).holding(pulled):
        assert names(client) == {pulled}, "the built one made room, and is built again when it is wanted"
    with store(budget=6 * MB).holding(image, dockerfile=file):
        assert names(client) == {image}


def test_a_dockerfile_that_fails_says_why_and_is_not_tried_again(client: docker.DockerClient, tmp_path: Path) -> None:
    text = "FROM scratch\nCOPY noise /noise\nCOPY nothing /nothing\n"
    image, file = dockerfile(tmp_path / "a", text)
    one, said = store(budget=100 * MB), r"(?s)a/Dockerfile: the image could not be built.*Step 3/3.*nothing"
    for _ in range(2):
        with pytest.raises(BuildError, match=said), one.holding(image, dockerfile=file):
            pass
    assert client.images.list(all=True) == [], "nor does it leave layers behind, where room is short"
    (tmp_path / "a" / "Dockerfile").write_text("FROM scratch\nCOPY noise /noise\n")
    with (
        pytest.raises(BuildError, match="have changed since the tasks were read"),
        store().holding(image, dockerfile=file),
    ):
        pass


def test_so_many_pulls_at_a_time_and_none_twice(client: docker.DockerClient, registry: Registry) -> None:
    images = [registry.add(f"org/a{number}", size=1000) for number in range(6)]
    registry.slow = 0.1
    shared = store(pulls=1)

    def use(image: str) -> None:
        with shared.holding(image):
            time.sleep(0.05)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(use, images * 2))
    # An engine loads an image's configuration and its layer side by side: two blobs of one image at most.
    assert registry.most <= 2
    assert all(count == 1 for kind, count in registry.asked.items() if kind.startswith("blob"))


def test_the_budget_evicts_the_longest_unused_and_never_one_in_use(
    client: docker.DockerClient, registry: Registry
) -> None:
    a, b, c, d = (registry.add(f"org/{name}", size=4 * MB) for name in "abcd")
    small = store(budget=13 * MB)
    with small.holding(a):
        for image in (b, c):
            with small.holding(image):
                pass
        with small.holding(d):  # b goes: it was used before c, and a is in use
            assert names(client) == {a, c, d}
            assert small.total() <= 13 * MB
    client.containers.create(c, ["/noise"])
    with small.holding(b):  # c has a container: a, though used later
        assert c in names(client) and b in names(client) and a not in names(client)
    client.images.pull(registry.add("org/foreign", size=MB))
    assert not small.remove(f"{registry.address}/org/foreign:latest"), "not ours"


@pytest.mark.slow
def test_another_processs_image_is_in_use_until_it_is_killed(client: docker.DockerClient, registry: Registry) -> None:
    a, b = registry.add("org/a", size=4 * MB), registry.add("org/b", size=4 * MB)
    code = (
        "import sys, time; from swe_srl.evaluation.store import ImageStore\n"
        "with ImageStore(pull=True).holding(sys.argv[1]): print('held', flush=True); time.sleep(600)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, a], stdout=subprocess.PIPE, env=os.environ)
    assert other.stdout is not None and other.stdout.readline() == b"held\n"
    assert not store().remove(a)
    got = threading.Event()

    def use() -> None:
        with store(budget=6 * MB).holding(b):
            got.set()

    waiting = threading.Thread(target=use)
    waiting.start()
    assert not got.wait(2.0), "there is no room as long as the other process holds its image"
    other.kill()
    other.wait()
    assert got.wait(60)
    waiting.join()
    assert names(client) == {b}


def test_waiting_can_be_given_up(client: docker.DockerClient, registry: Registry) -> None:
    image = registry.add("org/a")
    registry.limited = 1000
    stopped, ended = threading.Event(), []

    def use() -> None:
        try:
            with store(back_off=BackOff(first=60.0)).holding(image, stopped):
                pass
        except PullStoppedError as error:
            ended.append(str(error))

    waiting = threading.Thread(target=use)
    waiting.start()
    while not registry.asked["manifest"]:
        time.sleep(0.02)
    stopped.set()
    waiting.join(60)
    assert ended and "was interrupted" in ended[0]


def test_images_of_others_may_leave_no_room(client: docker.DockerClient, registry: Registry) -> None:
    client.images.pull(registry.add("org/foreign", size=4 * MB))
    image = registry.add("org/a")
    full = pytest.raises(SandboxUnavailableError, match=r"images that swe-srl did not bring.*allow more")
    with full, store(budget=2 * MB).holding(image):
        pass
    assert names(client) == {f"{registry.address}/org/foreign:latest"}


def test_another_platform_is_said(client: docker.DockerClient, registry: Registry) -> None:
    image = registry.add("org/arm", size=1000, architecture="arm64")
    with (
        pytest.raises(
            SandboxUnavailableError, match=r"is for arm64, this machine's engine is for amd64.*--platform linux/arm64"
        ),
        store().holding(image),
    ):
        pass
    with store(platform="linux/arm64").holding(image):
        assert image in names(client)


def test_the_commands(
    client: docker.DockerClient, registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [registry.add(f"org/t{number}", size=2 * MB) for number in range(3)]
    row = {"repo": "a/b", "problem_statement": "x", "base_commit": "0" * 40}
    write_jsonl(
        tmp_path / "rows.jsonl", [{**row, "instance_id": f"a__b-{i}", "image": name} for i, name in enumerate(images)]
    )
    rows = str(tmp_path / "rows.jsonl")
    assert main(["images", "list", rows]) == 0
    assert capsys.readouterr().out.count("missing") >= 3
    assert main(["images", "pull", rows, "--limit", "2", "--dry-run"]) == 0
    assert "would pull 2 images" in capsys.readouterr().out and not names(client)
    assert main(["images", "pull", rows, "--limit", "2"]) == 0
    assert names(client) == set(images[:2])
    assert main(["images", "pull", rows, "--disk-budget", "5MB"]) == 1
    assert "no room for 1" in capsys.readouterr().out and names(client) == set(images[:2])
    assert main(["images", "list", rows, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["here"] for entry in listed["images"]] == [True, True, False] and listed["total"] >= 4 * MB
    client.containers.create(images[0], ["/noise"])
    assert main(["images", "prune", "--dry-run"]) == 0
    assert main(["images", "prune"]) == 0
    assert "removed 1 images" in capsys.readouterr().out and names(client) == {images[0]}
    write_jsonl(
        tmp_path / "rows.jsonl", [{**row, "instance_id": "a__b-1", "image": f"{registry.address}/org/none:latest"}]
    )
    assert main(["images", "pull", rows]) == 1
    assert "cannot be pulled" in capsys.readouterr().out


def test_sizes_and_settings() -> None:
    assert parse_size("60GB") == 60 * 10**9
    for wrong in ("60 apples", "-1GB", "0"):
        with pytest.raises(ConfigError, match="60GB was expected"):
            EvalSettings(disk_budget=wrong)
    assert is_passing("Get https://registry-1.docker.io/v2/: net/http: TLS handshake timeout")
    assert not is_passing("pull access denied for x, repository does not exist or may require 'docker login'")
    assert issubclass(PullError, SandboxError)
