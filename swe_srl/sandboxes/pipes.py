"""Reading and writing pipes without blocking."""

from __future__ import annotations

import os
import select

from swe_srl.sandboxes.transport import TransportClosedError

READ_BYTES = 1 << 18


def read(descriptor: int) -> bytes | None:
    """What is there now: b"" at the end, None for nothing yet."""
    try:
        return os.read(descriptor, READ_BYTES)
    except BlockingIOError:
        return None


def rest_of(descriptor: int) -> tuple[bytes, bool]:
    """What waits in a pipe (at most one read of it), and whether nobody writes to it any more."""
    rest = read(descriptor)
    return rest or b"", rest == b"" or (rest is not None and read(descriptor) == b"")


def write(descriptor: int, data: memoryview) -> memoryview:
    """Write what there is room for; what is left."""
    try:
        return data[os.write(descriptor, data) :]
    except BlockingIOError:
        return data
    except OSError as error:
        raise TransportClosedError(f"the sandbox's supervisor is gone: {error}") from error


def wait_for(descriptor: int, event: int, seconds: float) -> None:
    """Wait until a descriptor is ready (of any number, unlike `select.select`)."""
    poll = select.poll()
    poll.register(descriptor, event)
    poll.poll(seconds * 1000)
