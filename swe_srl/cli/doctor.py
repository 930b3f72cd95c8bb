"""`swe-srl doctor`: what this machine can do, and how to get what is missing."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata, resources
from importlib.util import find_spec
from pathlib import Path

from swe_srl.cli.console import Console
from swe_srl.settings import setting

HUB_SECONDS = 5.0
GIGABYTE = 1 << 30
ENOUGH_DISK = 20  # GiB: a dozen SWE-bench images
EXTRAS = ("peft", "ray", "tensorboard", "wandb", "trackio", "matplotlib", "math-verify")
GPU_PROBE = "import torch; print(torch.cuda.is_available() and torch.cuda.get_device_name(0) or '')"


@dataclass(frozen=True)
class DoctorSettings:
    """Settings of `swe-srl doctor`."""

    json: bool = setting(False, "Print the findings as JSON.")
    hub: bool = setting(False, "Ask the Hugging Face hub too, with a time-out of 5 seconds.")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing this machine has or lacks. `remedy` says how to get it, and is "" when nothing is to do."""

    area: str
    name: str
    available: bool
    detail: str
    remedy: str = ""


def run(settings: DoctorSettings, console: Console) -> int:
    """Look, and tell. The exit code is 0 whatever is missing: it is an answer, not a failure."""
    findings = list(examine(ask_hub=settings.hub))
    if settings.json:
        console.json([asdict(finding) for finding in findings])
        return 0
    rows = [(f.area, f.name, "yes" if f.available else "no", f.detail) for f in findings]
    console.table(("area", "what", "here", "detail"), rows)
    missing = [finding for finding in findings if not finding.available and finding.remedy]
    if missing:
        console.say("How to get what is missing:")
    for finding in missing:
        console.say(f"  {finding.name}: {finding.remedy}")
    return 0


def examine(ask_hub: bool = False) -> Iterator[Finding]:
    """Everything the doctor looks at."""
    yield _python()
    yield _packages()
    yield _quickstart()
    yield _git()
    yield from _sandboxes()
    yield _gpu()
    yield _memory()
    yield from _disks()
    if ask_hub:
        yield _hub()
    yield from _extras()


def _python() -> Finding:
    version = platform.python_version()
    return Finding("python", "python", sys.version_info >= (3, 11), version, "install Python 3.11 or later")


def _packages() -> Finding:
    lines = [line for line in metadata.requires("swe-srl") or () if "extra ==" not in line]
    names = [re.split(r"[^\w.-]", line)[0] for line in lines]
    missing = [name for name in names if not _version(name)]
    shown = ", ".join(f"{name} {_version(name)}" for name in ("torch", "transformers", "gymnasium", "swebench"))
    detail = f"missing: {', '.join(missing)}" if missing else shown
    return Finding(
        "python", "required packages", not missing, detail, f"pip install {' '.join(missing)}" if missing else ""
    )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _quickstart() -> Finding:
    root = resources.files("swe_srl") / "data" / "quickstart"
    wanted = ("tasks-train.jsonl", "tasks-test.jsonl", "trajectories-train.jsonl", "model")
    missing = [name for name in wanted if not ((root / name).is_file() or (root / name).is_dir())]
    detail = f"missing: {', '.join(missing)}" if missing else "bundled tasks, trajectories and model"
    return Finding("python", "quickstart data", not missing, detail, "install swe-srl again: the package is not whole")


def _git() -> Finding:
    path = shutil.which("git")
    return Finding("system", "git", path is not None, path or "not found", "apt-get install git")


def _sandboxes() -> Iterator[Finding]:
    from swe_srl.sandboxes import capabilities

    for item in capabilities():
        yield Finding("sandboxes", item.name, item.available, item.detail, item.remedy)


def _gpu() -> Finding:
    remedy = (
        "install the GPU's driver, and the build of torch for it (https://pytorch.org); everything runs on a CPU too"
    )
    if not (shutil.which("nvidia-smi") or Path("/dev/nvidia0").exists() or Path("/dev/kfd").exists()):
        return Finding("compute", "GPU", False, "no device; small models train on the CPU", remedy)
    done = subprocess.run([sys.executable, "-c", GPU_PROBE], capture_output=True, text=True, check=False)
    name = done.stdout.strip()
    return Finding(
        "compute", "GPU", bool(name), name or f"a device is here, torch {_version('torch')} cannot use it", remedy
    )


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIGABYTE
    return Finding("compute", "CPU and memory", True, f"{os.cpu_count()} cores, {total:.0f} GiB")


def _disks() -> Iterator[Finding]:
    places = {"here": Path.cwd(), "cache": Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")}
    for name, place in places.items():
        there = next(folder for folder in (place, *place.parents) if folder.exists())
        free = shutil.disk_usage(there).free / GIGABYTE
        remedy = "free some space, or work elsewhere; SWE-bench images take 1 to 3 GiB each"
        yield Finding("disk", f"space ({name})", free >= ENOUGH_DISK, f"{free:.0f} GiB free at {there}", remedy)


def _hub() -> Finding:
    address = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    remedy = "check the network; without the hub, give local files: --tasks FILE, --model FOLDER"
    try:
        with urllib.request.urlopen(f"{address}/api/models?limit=1", timeout=HUB_SECONDS) as answer:
            return Finding("network", "hub", True, f"{address} answers {answer.status}")
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        return Finding("network", "hub", False, f"{address}: {error}", remedy)


def _extras() -> Iterator[Finding]:
    for name in EXTRAS:
        found = find_spec(name.replace("-", "_")) is not None
        yield Finding("optional", name, found, _version(name) if found else "not installed", f"pip install {name}")
