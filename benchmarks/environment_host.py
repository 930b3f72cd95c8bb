"""The local sandbox's session on the host itself, without a sandbox: what the two shells and their reports take alone."""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
from pathlib import Path

from swe_srl.sandboxes.local_transport import LocalTransport
from swe_srl.sandboxes.session import ShellSession
from swe_srl.sandboxes.transport import SHELL_VARIABLES, SUPERVISOR, supervisor_variables
from swe_srl.types import Limits, SandboxSpec


class HostTransport(LocalTransport):
    """Pipes to a supervisor on the host. For the benchmark alone: nothing is confined, and killed is the supervisor alone."""

    def start(self) -> None:
        if not self._made:
            self.folder = (
                Path(tempfile.gettempdir()) / f"host-session-{os.getpid()}"
            )  # a message has room for a short path
            self._make_folder()
        stdin, self._stdin = os.pipe()
        self._control, control = os.pipe()
        variables = {**SHELL_VARIABLES, **supervisor_variables(self._spec.workdir, False, "")}
        self._shell = subprocess.Popen(
            SUPERVISOR, stdin=stdin, stdout=subprocess.DEVNULL, stderr=control, env={**os.environ, **variables}
        )
        os.close(stdin)
        os.close(control)
        os.set_blocking(self._stdin, False)
        os.set_blocking(self._control, False)
        self._poll.register(self._control, select.POLLIN)

    def open_sink(self) -> tuple[str, bytes]:
        header, mark = super().open_sink()
        return f"{self.folder}/io/{header.rpartition('/')[2]}", mark

    def kill(self) -> None:
        self._shell.kill()
        self._shell.wait()


def host_session(repository: str) -> ShellSession:
    """A session whose shells run on the host in a folder."""
    session = ShellSession(HostTransport(SandboxSpec(repository=repository, workdir=repository)), Limits())
    session.start()
    return session
