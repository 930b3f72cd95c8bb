"""A folder of our own in a grading sandbox: scripts go in before the command that runs them, results are read one by one."""

from __future__ import annotations

import io
import secrets
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources

from swe_srl.errors import FileTooLargeError, GradingError, SandboxError
from swe_srl.protocols import Sandbox
from swe_srl.sandboxes.descriptors import NoDescriptorsError

_PUT_SECONDS = 300.0
_PROBE = "head -c 65536 /dev/zero >{here}/room && rm {here}/room"  # what is left behind takes no room
_LOST = "the sandbox was lost while the patch was graded: {said}"
_NO_RESULT = (
    FileNotFoundError,
    IsADirectoryError,
    PermissionError,
    FileTooLargeError,
)  # unreadable or leading out, too


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


class BrokenRunError(GradingError):
    """The sandbox was lost or its disk was full after something of the patch ran in it: nobody knows yet who is to blame.

    Args:
        reason: in words.
        log: what the tests wrote until then.
    """

    def __init__(self, reason: str, log: str = "") -> None:
        super().__init__(reason)
        self.log = log


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
        self._used = False

    def run(self, body: str, timeout: float, files: Mapping[str, str] | None = None, keep: Sequence[str] = ()) -> Ran:
        """Run a script in a bash process of its own, so that nothing it does stays in the sandbox's shell.

        Args:
            body: bash, with the functions of collect.bash and `$here`.
            timeout: seconds.
            files: written into the folder first, however large.
            keep: files of the folder to bring back, also after a time-out.

        Raises:
            NoDescriptorsError: this process has no file descriptor left.
            GradingError: the files cannot be put into the sandbox, so the script was not run.
            BrokenRunError: the script was lost with the sandbox or its shell, or left the disk full; or there is no room for the
                files after an earlier script.
        """
        library = resources.files("swe_srl.grading").joinpath("collect.bash").read_text(encoding="utf-8")
        script = f"here={self.here}\ncd {self._workdir}\n{library}\n{body}\n"
        self._put({**(files or {}), "script": script})
        self._used = True
        found: dict[str, str] = {}
        try:
            result = self._sandbox.run(f"bash -p {self.here}/script", timeout)
            self._bring(keep, found)
            full = (
                not result.timed_out and self._sandbox.run(_PROBE.format(here=self.here), _PUT_SECONDS).exit_code == 1
            )
        except NoDescriptorsError:  # this process's own want
            raise
        except SandboxError as error:  # what the script left running may kill every shell that is started
            raise BrokenRunError(_LOST.format(said=error), found.get("log", "")) from error
        if result.exit_code is None and not result.timed_out:
            raise BrokenRunError(_LOST.format(said=result.output.strip()[-300:]), found.get("log", ""))
        if full:
            raise BrokenRunError("the sandbox's disk is full", found.get("log", ""))
        return Ran(result.output, result.exit_code, result.timed_out, found)

    def _put(self, files: Mapping[str, str]) -> None:
        packed, problem = f"{self.here}/packed", ""
        try:
            self._sandbox.run(f"mkdir -p -m 700 {self.here}", _PUT_SECONDS)  # before the file: nobody else may read it
            self._sandbox.write_file(packed, _pack(files))
            result = self._sandbox.run(f"tar -xf {packed} -C {self.here} && rm {packed}", _PUT_SECONDS)
            problem = "" if result.exit_code == 0 else result.output.strip()[-300:] or f"exit code {result.exit_code}"
        except (OSError, SandboxError) as error:
            problem = str(error)
        if problem:
            kind = BrokenRunError if self._used else GradingError
            raise kind(f"nothing can be written in the grading sandbox: {problem}")

    def _bring(self, names: Sequence[str], found: dict[str, str]) -> None:
        """Read the files, as far as they are regular ones: what the patch put in their places is nobody's result."""
        for name in names:
            try:
                found[name] = self._sandbox.read_file(f"{self.here}/{name}").decode(errors="replace")
            except _NO_RESULT:
                continue


def _pack(files: Mapping[str, str]) -> bytes:
    """A tar of the files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            data = text.encode(errors="surrogateescape")
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
