"""A Ray cluster of several nodes on this machine, gone without a trace afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
QUICK = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 4}

NODE = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}


@contextmanager
def ray_cluster() -> Iterator[Any]:
    """A `ray.cluster_utils.Cluster` of two nodes: its head, which drivers connect to, and another one."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    folder = Path(tempfile.mkdtemp(prefix="swe-srl-ray-", dir="/tmp"))  # short: Ray's sockets are in it
    paths = os.environ.get("PYTHONPATH", "")
    changed = {
        "RAY_TMPDIR": str(folder),
        "RAY_worker_niceness": "0",  # by default Ray's processes come last on a busy machine
        "PYTHONPATH": os.pathsep.join(part for part in (str(ROOT), str(ROOT / "tests"), paths) if part),
    }
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    (folder / "ray").mkdir()
    cluster = None
    try:
        cluster = Cluster(initialize_head=True, head_node_args={**NODE, "_system_config": QUICK})
        cluster.add_node(**NODE)
        yield cluster
    finally:
        ray.shutdown()
        if cluster is not None:
            cluster.shutdown()
        end_processes(str(folder))
        shutil.rmtree(folder, ignore_errors=True)
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def processes(word: str) -> list[int]:
    """The processes with this word in their command line."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if word.encode() in file.read_bytes() and int(file.parent.name) != os.getpid():
                found.append(int(file.parent.name))
    return found


def end_processes(word: str) -> None:
    """Wait until no process with this word in its command line is left; kill those that stay."""
    deadline = time.monotonic() + 10
    while left := processes(word):
        if time.monotonic() > deadline:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
