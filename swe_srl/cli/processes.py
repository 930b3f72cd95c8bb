"""Starting a command as several processes of one run, and ending all of them when one fails."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

PARENT_DEATH_SIGNAL = 1  # of prctl(2)
POLL_SECONDS = 0.1
GRACE_SECONDS = 60.0  # that processes have to end by themselves: they say what went wrong, and write a checkpoint


def run_many(arguments: Sequence[str], count: int) -> int:
    """Run `swe-srl ARGUMENTS` as `count` processes on this machine.

    Returns:
        0 when all ended well, else the first one's exit code, or that of the first that failed.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
    }
    shared.setdefault(
        "OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // count))
    )
    command = [sys.executable, "-m", "swe_srl", *arguments]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for index in range(count):
            place = {"RANK": str(index), "LOCAL_RANK": str(index)}
            # A session of its own: Ctrl-C reaches this process alone, which tells the others once.
            started.append(
                subprocess.Popen(
                    command, env={**os.environ, **shared, **place}, start_new_session=True, preexec_fn=_end_with_parent
                )
            )
        while any(one.poll() is None for one in started) and not any(one.returncode for one in started):
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        _send(started, signal.SIGTERM)  # the first process says it
    try:
        _wait(started)
    except BaseException:
        _send(started, signal.SIGKILL)
        raise
    codes = [one.returncode for one in started]
    return codes[0] or next((code for code in codes if code), 0)


def _end_with_parent() -> None:
    """Where the system can: a killed parent takes this process with it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)


def _wait(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Let processes end; those that do not are told to, and then killed."""
    for send in (None, signal.SIGTERM, signal.SIGKILL):
        if send is not None:
            _send(processes, send)
        until = time.monotonic() + GRACE_SECONDS
        while any(one.poll() is None for one in processes) and time.monotonic() < until:
            time.sleep(POLL_SECONDS)


def _send(processes: Sequence[subprocess.Popen[bytes]], number: signal.Signals) -> None:
    for one in processes:
        if one.poll() is None:
            one.send_signal(number)
