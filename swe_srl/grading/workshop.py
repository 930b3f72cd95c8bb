"""What happens inside the grading sandbox: the patch, the official script, and the hardened run."""

from __future__ import annotations

import json
import random
import shlex
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import PurePosixPath
from typing import Any

from swe_srl.errors import GradingError
from swe_srl.grading.canaries import make_canaries
from swe_srl.grading.harness import official_script, split_script
from swe_srl.grading.protection import Protection, graded_paths, patch_paths
from swe_srl.grading.tester import TesterContainer
from swe_srl.protocols import Sandbox
from swe_srl.types import Task

_STEP_SECONDS = 300.0  # for the steps around the tests
_TRUST = "GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'"  # whoever owns the repository


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a script ended: its log, the test command's own exit status (None when unknown) and whether it was killed."""

    log: str
    exit_code: int | None
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class HardenedReport:
    """What the hardened run saw; it travels as JSON in `TestRun.report`.

    Args:
        log: what the test command wrote.
        exit_code: its exit status, told by the sandbox and not by the log.
        timed_out: it outran its limit.
        canaries: by name, whether the canary must pass; empty when the runner is not known.
        dropped: edits of the patch that were put back before the tests ran, by path, each with its reason.
        changed: test files that changed while the tests ran.
        separate_user: whether the tests ran as another user than the one who owns the repository and the log.
        problem: why the run could not be made, when the patch is to blame.
    """

    log: str = ""
    exit_code: int | None = None
    timed_out: bool = False
    canaries: dict[str, bool] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    separate_user: bool = False
    problem: str = ""

    def as_text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> HardenedReport:
        """Raises GradingError when the text is not such a report."""
        try:
            raw: dict[str, Any] = json.loads(text)
            return cls(**{**raw, "changed": tuple(raw.get("changed", ()))})
        except (ValueError, TypeError) as error:
            raise GradingError(f"the saved report of a hardened run cannot be read: {error}") from error


class Workshop:
    """One fresh sandbox in which one patch is graded.

    Args:
        sandbox: fresh, with the task's repository at `workdir`.
        task: what is graded.
        workdir: absolute path of the repository inside.
    """

    def __init__(self, sandbox: Sandbox, task: Task, workdir: str) -> None:
        self._sandbox = sandbox
        self._task = task
        self._workdir = workdir
        made = sandbox.run('mktemp -d "${TMPDIR:-/tmp}/grading.XXXXXXXX"', _STEP_SECONDS)
        self._folder = made.output.strip()
        if made.exit_code != 0 or not self._folder.startswith("/"):
            raise GradingError(f"{task.instance_id}: no temporary folder in the sandbox: {made.output.strip()[-300:]}")
        self._put("collect.bash", resources.files("swe_srl.grading").joinpath("collect.bash").read_text())

    def apply(self, patch: str) -> tuple[bool, str]:
        """Apply the patch by the harness's attempts; returns whether it applied, and what the attempts wrote."""
        self._put("patch.diff", patch)
        body = f"cd {self._workdir} && export {_TRUST} && apply_patch {self._folder}/patch.diff"
        outcome = self._run("apply", body, _STEP_SECONDS)
        return outcome.exit_code == 0, outcome.log

    def official(self, timeout: float) -> Outcome:
        """Run the evaluation script as the harness does."""
        self._put("eval.sh", official_script(self._task, f"{self._folder}/status"))
        outcome = self._run(
            "eval", f"cd {self._workdir} && collect {self._folder}/log bash {self._folder}/eval.sh", timeout
        )
        log = self._get("log")
        if outcome.timed_out:
            return Outcome(f"{log}\n\nTimeout error: {timeout:g} seconds exceeded.", None, timed_out=True)
        status = self._get("status").strip()
        return Outcome(log, int(status) if status.lstrip("-").isdigit() else None)

    def hardened(self, patch: str, timeout: float) -> HardenedReport:
        """Apply the patch without its edits to protected files, and run the tests beside canaries."""
        prelude, command = split_script(self._task)
        if prelude is None:
            return HardenedReport(problem="the evaluation script has no markers around its test command")
        before = self._untracked()
        applied, log = self.apply(patch)
        if not applied:
            return HardenedReport(log, problem="the patch does not apply")
        protection = Protection(self._task, command)
        dropped = self._put_back(protection, patch, before)
        canaries = make_canaries(self._task, command, random.SystemRandom())
        for path, source in canaries.files.items():
            self._sandbox.write_file(str(PurePosixPath(self._workdir, path)), source.encode())
        self._put("prelude.sh", self._prelude(prelude, sorted({*graded_paths(self._task), *canaries.files})))
        prepared = self._run("prelude", f"cd {self._workdir} && bash {self._folder}/prelude.sh", timeout)
        if prepared.timed_out:
            return HardenedReport(self._get("prelude"), timed_out=True, dropped=dropped)
        separate = isinstance(self._sandbox, TesterContainer)
        tests = self._tests(canaries.command, timeout)
        check = f"cd {self._workdir} && sha256sum --check --quiet {self._folder}/sums 2>/dev/null"
        changed = self._run("check", check, _STEP_SECONDS).log
        return HardenedReport(
            log=tests.log or self._get("prelude"),
            exit_code=tests.exit_code,
            timed_out=tests.timed_out,
            canaries=dict(canaries.expected),
            dropped=dropped,
            changed=tuple(line.rsplit(":", 1)[0] for line in changed.splitlines() if ": FAILED" in line),
            separate_user=separate,
        )

    def _prelude(self, lines: list[str], watched: list[str]) -> str:
        """The row's own preparation; then the environment it made is kept, and sums of the files to watch."""
        listed = " ".join(shlex.quote(path) for path in watched)
        return "\n".join(
            [
                "#!/bin/bash",
                "set -uxo pipefail",
                f"exec >{self._folder}/prelude 2>&1",
                *lines,
                "set +xu",
                f"{{ export -p; printf 'cd %q\\n' \"$PWD\"; }} >{self._folder}/variables",
                f'cd {self._workdir}; for file in {listed}; do [ -f "$file" ] && sha256sum -- "$file"; done >{self._folder}/sums',
                "exit 0",
            ]
        )

    def _tests(self, command: str, timeout: float) -> Outcome:
        """Run the test command in the environment of the preparation; its status comes from outside the command."""
        script = f"{self._get('variables')}\n{command}\n"
        if isinstance(self._sandbox, TesterContainer):
            return Outcome(*self._sandbox.run_as_tester(script, timeout))
        self._put("tests.sh", script)
        outcome = self._run("tests", f"collect {self._folder}/log bash {self._folder}/tests.sh", timeout)
        return Outcome(self._get("log"), outcome.exit_code, outcome.timed_out)

    def _put_back(self, protection: Protection, patch: str, before: frozenset[str]) -> dict[str, str]:
        """Undo the patch's edits to protected files; returns them with the reasons."""
        tracked = self._listed("diff --name-only --no-renames -z HEAD --")
        added = self._untracked() - before
        touched = tracked | added | set(patch_paths(patch))
        base = self._listed("ls-tree -r --name-only -z HEAD")
        dropped = protection.reasons(touched, frozenset(touched - base))
        if dropped:
            self._put("restore", "".join(f"{path}\0" for path in dropped if path in base))
            self._put("remove", "".join(f"{path}\0" for path in dropped if path not in base and path not in before))
            body = (
                f"cd {self._workdir} && export {_TRUST} && xargs -0 -r git checkout HEAD -- <{self._folder}/restore && "
                f"xargs -0 -r rm -rf -- <{self._folder}/remove"
            )
            outcome = self._run("put-back", body, _STEP_SECONDS)
            if outcome.exit_code != 0:
                raise GradingError(
                    f"{self._task.instance_id}: protected files could not be put back:\n{outcome.log[-500:]}"
                )
        return dropped

    def _untracked(self) -> frozenset[str]:
        return self._listed("ls-files --others -z")

    def _listed(self, arguments: str) -> frozenset[str]:
        """The NUL-separated paths that a git command prints."""
        body = f"cd {self._workdir} && {_TRUST} git -c core.fileMode=false {arguments} >{self._folder}/list"
        outcome = self._run("list", body, _STEP_SECONDS)
        if outcome.exit_code != 0:
            raise GradingError(
                f"{self._task.instance_id}: `git {arguments}` failed in the sandbox:\n{outcome.log[-500:]}"
            )
        return frozenset(self._get("list").split("\0")) - {""}

    def _run(self, name: str, body: str, timeout: float) -> Outcome:
        """Run a body of bash in a process of its own, so that nothing it does stays in the sandbox's shell."""
        self._put(f"{name}.bash", f". {self._folder}/collect.bash\n{body}\n")
        result = self._sandbox.run(f"bash {self._folder}/{name}.bash", timeout)
        return Outcome(result.output, result.exit_code, result.timed_out)

    def _put(self, name: str, text: str) -> None:
        self._sandbox.write_file(f"{self._folder}/{name}", text.encode(errors="surrogateescape"))

    def _get(self, name: str) -> str:
        """Text of one of the files the scripts made; "" when there is none."""
        try:
            return self._sandbox.read_file(f"{self._folder}/{name}").decode(errors="replace")
        except FileNotFoundError:
            return ""
