"""Scripts of our own in a sandbox, in a shell that nothing of its session reaches."""

from __future__ import annotations

import shlex
import time

from swe_srl.errors import SandboxError
from swe_srl.protocols import Sandbox
from swe_srl.sandboxes.output import decode

SECONDS = 180.0  # for each of the few scripts that take a patch
KILLED = 128  # exit codes above it: ended by a signal
CLEAN = (
    "exec /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/nonexistent LC_ALL=C /bin/bash --noprofile --norc -c"
)


class LateError(SandboxError):
    """The sandbox's programs do not end in time."""


def run_clean(sandbox: Sandbox, script: str) -> tuple[int, bytes]:
    """Run a script in a fresh bash that nothing of the session reaches; its exit code and what it printed.

    When it is killed, by whatever the agent left running, everything is ended and it is tried again.

    Raises:
        LateError: it did not end in time.
        SandboxError: it was lost with the sandbox.
    """
    for again in (False, True):
        began = time.monotonic()
        try:
            code, said = sandbox.run_clean(f"{CLEAN} {shlex.quote(script)}", SECONDS)
        except SandboxError as error:
            if time.monotonic() - began < SECONDS:
                raise
            code, said = None, str(error).encode()
        if code is not None and (again or code <= KILLED):
            return code, said
        late = time.monotonic() - began >= SECONDS
        if not again:
            sandbox.restart()
    if late:
        raise LateError(
            f"the patch cannot be taken: git, find or bash of the sandbox did not end within {SECONDS:g} seconds, twice "
            f"(the agent replaced it, or the repository is too large): {decode(said).strip()[-300:]}"
        )
    raise SandboxError(f"the sandbox was lost while the patch was taken: {decode(said).strip()[-300:]}")
