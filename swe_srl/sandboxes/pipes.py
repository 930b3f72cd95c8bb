"""The pipes of a local sandbox: reading what waits in them, and the sinks of commands' output."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from dataclasses import dataclass

from swe_srl.sandboxes.transport import Chunk

READ_BYTES = 1 << 18


@dataclass
class Sink:
    """A named pipe for the output of one command at a time. While `hold` is open, reading does not end."""

    name: str
    path: str
    reading: int = -1
    hold: int = -1

    def close(self) -> None:
        """Close what is open. One that was interrupted may be repeated: nothing that an interrupt could come in is between
        forgetting a descriptor and closing it."""
        if self.hold >= 0:
            hold, self.hold = self.hold, -1
            os.close(hold)
        if self.reading >= 0:
            reading, self.reading = self.reading, -1
            os.close(reading)


def chunk(stream: str, descriptor: int) -> Iterator[Chunk]:
    """What waits in a pipe, if anything does."""
    try:
        data = os.read(descriptor, READ_BYTES)
    except BlockingIOError:
        return
    if data:
        yield Chunk("output" if stream == "output" else "control", data)


def is_finished(descriptor: int) -> bool:
    """Drop what waits in a pipe (at most one read of it): whether nobody writes to it any more."""
    try:
        return not os.read(descriptor, READ_BYTES) or not os.read(descriptor, READ_BYTES)
    except BlockingIOError:
        return False


def wait_for(descriptor: int, event: int, seconds: float) -> None:
    """Wait until a descriptor is ready (of any number, unlike `select.select`)."""
    poll = select.poll()
    poll.register(descriptor, event)
    poll.poll(seconds * 1000)
