"""A folder of our own in a grading sandbox: scripts go in with the command that runs them, results come back in one read."""

from __future__ import annotations

import base64
import io
import secrets
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources

from swe_srl.protocols import Sandbox


@dataclass(frozen=True, slots=True)
class Ran:
    """How a script ended, and the files it left that were asked for (missing ones are left out)."""

    output: str
    exit_code: int | None
    timed_out: bool
    files: Mapping[str, str] = field(default_factory=dict)

    def file(self, name: str) -> str:
        """Text of a file, "" when the script left none."""
        return self.files.get(name, "")

    def paths(self, name: str) -> frozenset[str]:
        """The NUL-separated paths in a file."""
        return frozenset(self.file(name).split("\0")) - {""}


class Bench:
    """Runs scripts in one sandbox with `$here` as their folder, which nobody else can read.

    Args:
        sandbox: where.
        workdir: where scripts start.
    """

    def __init__(self, sandbox: Sandbox, workdir: str) -> None:
        self._sandbox = sandbox
        self._workdir = workdir
        self.here = f"/tmp/grading-{secrets.token_hex(8)}"

    def run(self, body: str, timeout: float, files: Mapping[str, str] | None = None, keep: Sequence[str] = ()) -> Ran:
        """Run a script in a bash process of its own, so that nothing it does stays in the sandbox's shell.

        Args:
            body: bash, with the functions of collect.bash and `$here`.
            timeout: seconds.
            files: written into the folder first.
            keep: files of the folder to bring back, also after a time-out.

        Raises:
            SandboxError: the sandbox failed.
        """
        library = resources.files("swe_srl.grading").joinpath("collect.bash").read_text(encoding="utf-8")
        script = f"here={self.here}\ncd {self._workdir}\n{library}\n{body}\n"
        packed = _pack({**(files or {}), "script": script})
        command = (
            f"mkdir -p -m 700 {self.here} && base64 -d <<'END' | tar -xf - -C {self.here} && bash {self.here}/script\n"
            f"{packed}\nEND"
        )
        result = self._sandbox.run(command, timeout)
        return Ran(result.output, result.exit_code, result.timed_out, self._bring(keep) if keep else {})

    def _bring(self, names: Sequence[str]) -> dict[str, str]:
        listed = " ".join(names)
        self._sandbox.run(f"tar -C {self.here} --ignore-failed-read -cf {self.here}/kept {listed} 2>/dev/null", 300.0)
        try:
            data = self._sandbox.read_file(f"{self.here}/kept")
        except FileNotFoundError:
            return {}
        found: dict[str, str] = {}
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                if content is not None:
                    found[member.name] = content.read().decode(errors="replace")
        return found


def _pack(files: Mapping[str, str]) -> str:
    """A tar of the files as base64 text."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            data = text.encode(errors="surrogateescape")
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return base64.encodebytes(buffer.getvalue()).decode()
