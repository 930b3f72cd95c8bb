"""Ports for servers that are told theirs."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress


def free_port() -> int:
    """A port that nobody listens at, below those that the system gives to whoever asks for any."""
    while True:
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", secrets.choice(range(10_000, 30_000))))
            return int(free.getsockname()[1])
