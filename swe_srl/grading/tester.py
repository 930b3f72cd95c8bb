"""A grading container in which tests run as another user than the repository's owner, watched from outside."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field

from swe_srl.sandboxes.container_transport import engine_errors
from swe_srl.sandboxes.docker_sandbox import DockerSandbox

USER = "65534:65534"
LOG_BYTES = 64 << 20
_GRACE = 2.0  # seconds that children left behind may still write
_PREPARE = """
find {workdir} -path {workdir}/.git -prune -o -type d -exec chmod 1777 {{}} +
mkdir -m 1777 -p {home}
"""


@dataclass
class _Stream:
    """What the engine hands over of a process's output."""

    chunks: list[bytes] = field(default_factory=list)
    size: int = 0

    def take(self, chunk: bytes) -> None:
        kept = chunk[: max(0, LOG_BYTES - self.size)]
        self.size += len(kept)
        if kept:
            self.chunks.append(kept)


class TesterContainer(DockerSandbox):
    """A Docker sandbox, run as root, that can also run one command as the tester.

    The tester can read the repository and add files to it, but change or remove none that is there (folders get the sticky
    bit), and reaches no descriptor of the commands that root runs. Output and exit status come from the engine.
    """

    def run_as_tester(self, script: str, timeout: float) -> tuple[str, int | None, bool]:
        """Run a bash script as the tester, in the workdir.

        Args:
            script: passed as one argument: at most 128 KB.
            timeout: seconds; every process of the tester is killed then.

        Returns:
            Output (bounded), exit status (None when it was killed), and whether it outran the timeout.

        Raises:
            SandboxError: the engine failed.
        """
        home = "/tmp/tester-home"
        self.run(_PREPARE.format(workdir=self.spec.workdir, home=home))
        trust = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
        command = ["/bin/bash", "-c", f"export HOME={home}\n{script}"]
        api = self._client.api
        with engine_errors("running the tests"):
            made = api.exec_create(self._container.id, command, user=USER, workdir=self.spec.workdir, environment=trust)
            output = api.exec_start(made["Id"], stream=True)
        stream = _Stream()
        reader = threading.Thread(target=_read, args=(output, stream), daemon=True)
        reader.start()
        timed_out = not self._wait(made["Id"], time.monotonic() + timeout)
        self._kill_tester()
        reader.join(_GRACE)
        with engine_errors("running the tests"):
            status = api.exec_inspect(made["Id"])["ExitCode"]
        text = b"".join(stream.chunks).decode(errors="replace")
        return text, None if timed_out or status is None else int(status), timed_out

    def _wait(self, exec_id: str, deadline: float) -> bool:
        """Whether the process ended before the deadline."""
        pause = 0.02
        while time.monotonic() < deadline:
            with engine_errors("running the tests"):
                if not self._client.api.exec_inspect(exec_id)["Running"]:
                    return True
            time.sleep(pause)
            pause = min(0.5, pause * 1.5)
        return False

    def _kill_tester(self) -> None:
        """Kill what is left of the tester's processes: only the tester may."""
        with engine_errors("ending the tests"):
            api = self._client.api
            made = api.exec_create(self._container.id, ["/bin/bash", "-c", "kill -9 -1"], user=USER)
            api.exec_start(made["Id"], detach=True)


def _read(output: object, stream: _Stream) -> None:
    """Take chunks until the stream ends; a connection that is closed under it ends it too."""
    with contextlib.suppress(OSError, ValueError):
        for chunk in output:  # type: ignore[attr-defined]
            stream.take(chunk)
