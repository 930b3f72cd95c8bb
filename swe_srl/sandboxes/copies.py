"""The owner's side of copying a sandbox's files, which the launcher begins: nobody but the copy's own thread waits for it."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Mapping

from swe_srl.errors import SandboxError
from swe_srl.sandboxes.descriptors import descriptor_errors
from swe_srl.sandboxes.forks import Connected, making_connections
from swe_srl.sandboxes.launch import Helper
from swe_srl.sandboxes.output import OutputBuffer
from swe_srl.sandboxes.pipes import READ_BYTES, wait_for

COPY_SECONDS = 120.0
COMPLAINT_BYTES = 400  # kept of what is said of paths that are too long, or of many files


def copy_layer(helper: Helper, owner: Connected, request: Mapping[str, object]) -> None:
    """Copy a layer's files as `request` says (see `Launcher.copy`).

    Raises:
        SandboxError: not all could be copied, or not within `COPY_SECONDS`: what runs in the sandbox can hold a copy up.
    """
    complaints = OutputBuffer(COMPLAINT_BYTES)
    with contextlib.ExitStack() as ours:
        try:
            with descriptor_errors():
                said = _begin(helper, owner, request, ours)
            ended = _listen(said, complaints)
            done = helper.ask({"do": "end_copy", "to": request["to"], "ending": ended})
        except BaseException:
            _give_up(helper, request)
            raise
    if not ended:
        raise SandboxError(
            f"the sandbox's files could not be copied within {COPY_SECONDS:g} seconds: what runs in it changes them meanwhile, "
            "or they are too many; end its background jobs, or have fewer files"
        )
    if not done["copied"]:
        raise SandboxError(f"copying the sandbox's files: {complaints.text().strip()}")


def _begin(helper: Helper, owner: Connected, request: Mapping[str, object], ours: contextlib.ExitStack) -> int:
    """Begin the copy; the pipe that is open until it ends. No process that is forked meanwhile holds its other end."""
    with making_connections(owner), contextlib.ExitStack() as theirs:
        said, complaints = os.pipe()
        ours.callback(os.close, said)
        theirs.callback(os.close, complaints)
        os.set_blocking(said, False)
        helper.ask({"do": "copy", **request}, [complaints])
    return said


def _listen(said: int, complaints: OutputBuffer) -> bool:
    """Take in what the copy says, until it ends (True) or time is up."""
    until = time.monotonic() + COPY_SECONDS
    while (left := until - time.monotonic()) > 0:
        wait_for(said, select.POLLIN, left)
        with contextlib.suppress(BlockingIOError):
            if not (data := os.read(said, READ_BYTES)):
                return True
            complaints.add(data)
    return False


def _give_up(helper: Helper, request: Mapping[str, object]) -> None:
    """End the copy, however far it has begun."""
    with contextlib.suppress(SandboxError):
        helper.ask({"do": "end_copy", "to": request["to"], "ending": False})
