"""What this machine can do: tests that need more are skipped with the reason, or fail when `SWE_SRL_REQUIRE` names it.

SWE_SRL_REQUIRE=docker,sandbox   a missing capability of this list fails its tests instead of skipping them
SWE_SRL_SHARED=FOLDER            where the real-input data is (default: `../shared` beside the checkout)
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run, for a suite that passes once is to pass always, and as long for each as a busy machine takes.
# Others are looked for by `--hypothesis-profile=searching`.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", _PATIENT, derandomize=True)
settings.register_profile("searching", _PATIENT)
settings.load_profile("repeatable")

ROOT = Path(__file__).resolve().parent.parent
BASE_IMAGE = os.environ.get("SWE_SRL_BASE_IMAGE", "swe-srl-base:bookworm")

DOCKER_HOST = os.environ.get("DOCKER_HOST")

# Threads of torch, here and in the commands that tests start: as many as this process's share of the cores, at most two.
THREADS = max(1, min(2, (os.cpu_count() or 1) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))))
os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
for _name in ("COLUMNS", "LINES", "FORCE_COLOR", "CLICOLOR_FORCE"):  # what is shown is as wide and plain as in a pipe
    os.environ.pop(_name, None)


def shared_root() -> Path:
    """Folder of the real-input data (read by `shared` tests)."""
    return (ROOT / os.environ.get("SWE_SRL_SHARED", "../shared")).resolve()


def _run(*command: str) -> str:
    """'' when the command succeeds, else why it does not."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]


def _missing_sandbox() -> str:
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed (apt-get install bubblewrap)"
    problem = _run("unshare", "--user", "--map-root-user", "--mount", "true")
    return f"no user namespaces: {problem}" if problem else ""


def _missing_docker() -> str:
    if shutil.which("docker") is None:
        return "no docker client (apt-get install docker.io)"
    problem = _run("docker", "version", "--format", "{{.Server.Version}}")
    if problem:
        return f"no Docker engine answers: {problem}"
    problem = _run("docker", "image", "inspect", BASE_IMAGE)
    return f"no base image {BASE_IMAGE} (docker/make-base-image.sh makes it)" if problem else ""


def _missing_podman() -> str:
    if shutil.which("podman") is None:
        return "no podman (apt-get install podman)"
    if os.geteuid() != 0:
        return "only root's Podman is tested"
    problem = _run("podman", "image", "exists", f"localhost/{BASE_IMAGE}")
    return f"no base image {BASE_IMAGE} in Podman (docker save {BASE_IMAGE} | podman load)" if problem else ""


@lru_cache
def podman_socket() -> str:
    """Address of a `podman system service` of this process's own."""
    folder = Path(tempfile.mkdtemp(prefix="swe-srl-podman-"))
    # Podman raises these two limits of a container far above its own, which a root without CAP_SYS_RESOURCE may not do.
    (folder / "containers.conf").write_text('[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=8192:8192"]\n')
    socket = folder / "podman.sock"
    with (folder / "log").open("w") as log:
        service = subprocess.Popen(
            ["podman", "system", "service", "--time=0", f"unix://{socket}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,  # conmon writes a file there when a container runs out of memory
            env={**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf")},
        )

    def end() -> None:
        service.terminate()
        service.wait()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    for _ in range(1200):
        if socket.exists():
            break
        time.sleep(0.1)
    return f"unix://{socket}"


def _missing_gpu() -> str:
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed"
    import torch

    return "" if torch.cuda.is_available() else "no CUDA GPU"


def _missing_hub() -> str:
    return "" if os.environ.get("SWE_SRL_HUB") else "the hub is asked only when SWE_SRL_HUB is set"


def _missing_browser() -> str:
    from browser import browser_path

    path = browser_path()
    if not path:
        return "no Chromium is installed (apt-get install chromium)"
    return _run(path, "--version")


def _missing_ray() -> str:
    return "" if importlib.util.find_spec("ray") else "ray is not installed (pip install 'swe-srl[ray]')"


def _missing_shared() -> str:
    return "" if shared_root().is_dir() else f"no real-input data at {shared_root()} (set SWE_SRL_SHARED)"


MISSING: dict[str, Callable[[], str]] = {
    "sandbox": lru_cache(_missing_sandbox),
    "docker": lru_cache(_missing_docker),
    "podman": lru_cache(_missing_podman),
    "gpu": lru_cache(_missing_gpu),
    "hub": lru_cache(_missing_hub),
    "shared": lru_cache(_missing_shared),
    "browser": lru_cache(_missing_browser),
    "ray": lru_cache(_missing_ray),
}


@lru_cache
def required() -> frozenset[str]:
    """Capabilities that must be here, from SWE_SRL_REQUIRE."""
    names = frozenset(part.strip() for part in os.environ.get("SWE_SRL_REQUIRE", "").split(",") if part.strip())
    unknown = names - MISSING.keys()
    if unknown:
        raise pytest.UsageError(f"SWE_SRL_REQUIRE: unknown {sorted(unknown)}; known: {', '.join(sorted(MISSING))}")
    return names


def pytest_configure(config: pytest.Config) -> None:
    required()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background of a shell without job control
        signal.signal(signal.SIGINT, signal.default_int_handler)


SECONDS = {
    "slow": 20.0,
    "browser": 3.0,
    "docker": 2.0,
    "podman": 2.0,
    "sandbox": 0.7,
}  # about what a test with this marker takes


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A junit report tells which capabilities each test needed ("needs"), and for lack of which it was skipped ("lacks").

    Several processes begin with the files that take longest, for else the last of these runs alone at the end (this order is kept
    with `--no-loadscope-reorder`).
    """
    for item in items:
        item.user_properties += [("needs", name) for name in MISSING if item.get_closest_marker(name)]
    if "PYTEST_XDIST_WORKER" in os.environ:
        seconds: defaultdict[Path, float] = defaultdict(float)
        for item in items:
            seconds[item.path] += max([0.2, *(SECONDS[name] for name in SECONDS if item.get_closest_marker(name))])
        items.sort(key=lambda item: -seconds[item.path])


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A required capability comes first: what another one lacks does not hide its loss."""
    wanted = [name for name in MISSING if item.get_closest_marker(name)]
    for name in sorted(wanted, key=lambda name: name not in required()):
        if reason := MISSING[name]():
            if name in required():
                pytest.fail(f"SWE_SRL_REQUIRE has {name}, but the test would be skipped: {reason}", pytrace=False)
            item.user_properties.append(("lacks", name))
            pytest.skip(f"{name}: {reason}")
    _use_engine(podman="podman" in wanted)


def _use_engine(podman: bool) -> None:
    """Before the fixtures of a test: which engine the Docker sandbox finds."""
    if podman:
        os.environ["DOCKER_HOST"] = podman_socket()
    elif os.environ.get("DOCKER_HOST") != DOCKER_HOST:
        os.environ.pop("DOCKER_HOST", None)
        if DOCKER_HOST is not None:
            os.environ["DOCKER_HOST"] = DOCKER_HOST


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip is a failure when the test needs a capability that SWE_SRL_REQUIRE names.

    Tests that declare another condition (`skipif`: only for root, only for others; a capability that nobody requires) may
    still be skipped by it.
    """
    report = yield
    needed = sorted(name for name in required() if item.get_closest_marker(name))
    excused = item.get_closest_marker("skipif") or any(name == "lacks" for name, _ in item.user_properties)
    if report.skipped and needed and not hasattr(report, "wasxfail") and not excused:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"SWE_SRL_REQUIRE has {', '.join(needed)}, but the test was skipped: {reason}"
    return report


@pytest.fixture(autouse=True)
def _few_threads() -> None:
    """Torch, where a test uses it, takes two threads at most: more only slow a small machine down."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(THREADS)


@pytest.fixture
def shared_data() -> Path:
    """Folder of the real-input data; its test needs the `shared` marker."""
    return shared_root() / "data"


@pytest.fixture
def run_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory, so that a run folder made with default settings lands in a temporary place."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
