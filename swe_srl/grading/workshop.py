"""What happens inside the grading sandbox: the patch, the official script, and the hardened run."""

from __future__ import annotations

import json
import random
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from swe_srl.errors import GradingError
from swe_srl.grading.bench import Bench, BrokenRunError, Ran
from swe_srl.grading.canaries import make_canaries
from swe_srl.grading.harness import official_script, split_script
from swe_srl.grading.protection import Protection, graded_paths, names_internals, patch_paths
from swe_srl.grading.tester import TesterContainer
from swe_srl.protocols import Sandbox
from swe_srl.tasks.planting import PLANT, is_planted, withheld_list
from swe_srl.types import Task

_STEP_SECONDS = 300.0  # for the steps around the tests
_LASTING = "the patch edits protected files that git does not know, so that they cannot be put back: {paths}"
_STATUS = re.compile("[0-9]{1,3}")
_NOT_APPLIED = 97
_NOT_RESTORED = 98
_GIT_TOUCHED = 99
_TRUST = "GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'"  # whoever owns the repository
_SAFE = (  # and runs nothing that the repository's configuration names
    "GIT_CONFIG_COUNT=3 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' GIT_CONFIG_KEY_1=core.hooksPath "
    "GIT_CONFIG_VALUE_1=/dev/null GIT_CONFIG_KEY_2=core.fsmonitor GIT_CONFIG_VALUE_2=false"
)
_APPLY = '(export {trust}; apply_patch "$here/patch.diff") >"$here/apply.log" 2>&1'
# Untracked before, changed as git says, untracked after, files of the base commit, changed in any byte (attributes of the patch
# make git read files otherwise).
_LISTS = ("before", "tracked", "after", "base", "changed")
_PLANTING = f"""{PLANT}
plant "$here/setup.diff" "$here/withheld" / >"$here/plant.log" 2>&1 && exit 0
cat "$here/plant.log"
exit 1
"""
_APPLY_AND_LIST = f"""
set -e
mygit() {{ {_SAFE} git -c core.fileMode=false "$@"; }}
internals() {{
  find .git -path .git/objects -prune -o ! -path .git ! -path .git/index -printf '%p %y %m %s %C@ %l\\0' | sort -z
}}
sums() {{
  {{
    find . -path ./.git -prune -o -type f -print0 | xargs -0 -r sha256sum -z
    find . -path ./.git -prune -o -type l -printf '%i-%C@  ./%P\\0'
  }} | sort -z
}}
mygit ls-files --others -z >"$here/before"
sums >"$here/contents"
internals >"$here/internals"
{_APPLY.format(trust=_SAFE)} || exit {_NOT_APPLIED}
internals | cmp -s - "$here/internals" || exit {_GIT_TOUCHED}
sums | sort -z - "$here/contents" | uniq -z -u | sed -z 's,^[^ ]*  [.]/,,' >"$here/changed"
mygit diff --name-only --no-renames -z HEAD -- >"$here/tracked"
mygit ls-files --others -z >"$here/after"
mygit ls-tree -r --name-only -z HEAD >"$here/base"
"""
_PREPARE = f"""
xargs -0 -r rm -rf -- <"$here/remove"
(export {_SAFE}; xargs -0 -r git checkout HEAD -- <"$here/restore") || exit {_NOT_RESTORED}
if [ -d "$here/canaries" ]; then cp -r "$here/canaries/." .; fi
bash "$here/prelude.sh" >"$here/prelude" 2>&1
"""
_TESTS = """
collect "$here/log" bash -c '. "$1/variables"; . "$1/command"' bash "$here"
status=$?
sha256sum --check --quiet "$here/sums" >"$here/changed" 2>/dev/null
exit $status
"""
_CHECK = 'sha256sum --check --quiet "$here/sums" 2>/dev/null'


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a script ended: its log, the test command's own exit status (None when unknown), whether it was killed."""

    log: str
    exit_code: int | None
    timed_out: bool = False
    applied: bool = True


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
        self._bench = Bench(sandbox, workdir)

    def official(self, patch: str, timeout: float) -> Outcome:
        """Apply the patch, unless it is empty, and run the evaluation script as the harness does.

        Raises:
            SandboxError, GradingError: the sandbox failed before the patch was run.
            BrokenRunError: it failed afterwards.
        """
        self._plant()
        files = {"eval.sh": official_script(self._task, f"{self._bench.here}/status")}
        body = 'collect "$here/log" bash "$here/eval.sh"'
        if patch.strip():
            files["patch.diff"] = patch
            body = f"{_APPLY.format(trust=_TRUST)} || exit {_NOT_APPLIED}\n{body}"
        ran = self._bench.run(body, timeout, files, ("log", "status", "apply.log"))
        log = ran.file("log")
        if ran.timed_out:
            return Outcome(f"{log}\n\nTimeout error: {timeout:g} seconds exceeded.", None, timed_out=True)
        if ran.exit_code == _NOT_APPLIED and not log:
            return Outcome(f">>>>> Patch Apply Failed:\n{ran.file('apply.log')}", None, applied=False)
        status = ran.file("status").strip()  # the tests may have written anything there
        return Outcome(log, int(status) if _STATUS.fullmatch(status) else None)

    def hardened(self, patch: str, timeout: float) -> HardenedReport:
        """Apply the patch without its edits to protected files, and run the tests beside canaries.

        Raises:
            SandboxError, GradingError: the sandbox failed before the patch was run.
            BrokenRunError: it failed afterwards.
        """
        prelude, command = split_script(self._task)
        if prelude is None:
            return HardenedReport(problem="the evaluation script has no markers around its test command")
        if names_internals(patch):
            return HardenedReport(problem="the patch names a path in .git")
        self._plant()
        applied = self._bench.run(_APPLY_AND_LIST, _STEP_SECONDS, {"patch.diff": patch}, ("apply.log", *_LISTS))
        if applied.exit_code == _NOT_APPLIED:
            return HardenedReport(applied.file("apply.log"), problem="the patch does not apply")
        if applied.exit_code == _GIT_TOUCHED:
            return HardenedReport(problem="the patch writes into .git")
        if applied.exit_code != 0:
            raise GradingError(f"{self._task.instance_id}: git failed in the sandbox: {applied.output.strip()[-500:]}")
        dropped = self._dropped(Protection(self._task, command), patch, applied)
        if lasting := sorted(
            dropped.keys() & applied.paths("changed") & applied.paths("before") - applied.paths("base")
        ):
            return HardenedReport(dropped=dropped, problem=_LASTING.format(paths=", ".join(lasting[:3])))
        canaries = make_canaries(self._task, command, random.SystemRandom())
        files = {f"canaries/{path}": source for path, source in canaries.files.items()} | self._restoring(
            dropped, applied
        )
        files["prelude.sh"] = self._prelude(prelude, sorted({*graded_paths(self._task), *canaries.files}))
        run = self._tests_apart if isinstance(self._sandbox, TesterContainer) else self._tests_here
        ran, changed = run(canaries.command, files, timeout)
        if ran.exit_code == _NOT_RESTORED and not ran.log:
            return HardenedReport(
                dropped=dropped, problem="the protected files that the patch edits cannot be put back"
            )
        return HardenedReport(
            log=ran.log,
            exit_code=ran.exit_code,
            timed_out=ran.timed_out,
            canaries=dict(canaries.expected),
            dropped=dropped,
            changed=tuple(line.rsplit(":", 1)[0] for line in changed.splitlines() if ": FAILED" in line),
            separate_user=isinstance(self._sandbox, TesterContainer),
        )

    def _plant(self) -> None:
        """Plant the task's bug, when that is not in its image."""
        if not is_planted(self._task):
            return
        files = {"setup.diff": self._task.setup_patch, "withheld": withheld_list(self._task)}
        try:
            ran = Bench(self._sandbox, self._workdir).run(_PLANTING, _STEP_SECONDS, files)
        except BrokenRunError as error:  # nothing of the patch was run yet
            raise GradingError(str(error)) from error
        if ran.exit_code != 0:
            said = ran.output.strip()[-500:]
            raise GradingError(
                f"{self._task.instance_id}: its bug cannot be planted in the image {self._task.image}: {said}"
            )

    def _tests_here(self, command: str, files: Mapping[str, str], timeout: float) -> tuple[Outcome, str]:
        """Prepare and run the tests as the sandbox's only user; with what `sha256sum` says afterwards."""
        kept = ("prelude", "log", "changed")
        ran = self._bench.run(f"{_PREPARE}\n{_TESTS}", timeout, {**files, "command": f"{command}\n"}, kept)
        log = ran.file("log") or ran.file("prelude")
        return Outcome(log, ran.exit_code, ran.timed_out), ran.file("changed")

    def _tests_apart(self, command: str, files: Mapping[str, str], timeout: float) -> tuple[Outcome, str]:
        """Prepare as root, run the tests as the tester; with what `sha256sum` says afterwards."""
        assert isinstance(self._sandbox, TesterContainer)
        ready = self._bench.run(_PREPARE, timeout, files, ("prelude", "variables"))
        if ready.timed_out or ready.exit_code != 0:
            return Outcome(ready.file("prelude"), ready.exit_code, ready.timed_out), ""
        tests = Outcome(*self._sandbox.run_as_tester(f"{ready.file('variables')}\n{command}\n", timeout))
        if tests.exit_code is None and not tests.timed_out:
            raise BrokenRunError("the test command was lost with the sandbox", tests.log)
        checked = self._bench.run(_CHECK, _STEP_SECONDS)
        if checked.timed_out:
            raise BrokenRunError("the test files could not be compared in time", tests.log)
        changed = checked.output
        return replace(tests, log=tests.log or ready.file("prelude")), changed

    def _prelude(self, lines: list[str], watched: list[str]) -> str:
        """The row's own preparation; then the environment it made is kept, and sums of the files to watch."""
        here, listed = self._bench.here, " ".join(shlex.quote(path) for path in watched)
        return "\n".join(
            [
                "#!/bin/bash",
                "set -uxo pipefail",
                *lines,
                "set +xu",
                f"{{ export -p; printf 'cd %q\\n' \"$PWD\"; }} >{here}/variables",
                f'cd {self._workdir}; for file in {listed}; do [ -f "$file" ] && sha256sum -- "$file"; done >{here}/sums',
                "exit 0",
            ]
        )

    def _dropped(self, protection: Protection, patch: str, applied: Ran) -> dict[str, str]:
        """The patch's edits to protected files, by path, each with the reason."""
        added = applied.paths("after") - applied.paths("before")
        touched = applied.paths("tracked") | applied.paths("changed") | added | set(patch_paths(patch))
        return protection.reasons(touched, frozenset(touched - applied.paths("base")))

    def _restoring(self, dropped: Mapping[str, str], applied: Ran) -> dict[str, str]:
        """Lists of the files to put back and to remove. What the image had and git does not know stays as it is."""
        base, before = applied.paths("base"), applied.paths("before")
        restore = [path for path in dropped if path in base]
        remove = [path for path in dropped if path not in base and path not in before and _is_inside(path)]
        return {"restore": "".join(f"{path}\0" for path in restore), "remove": "".join(f"{path}\0" for path in remove)}


def _is_inside(path: str) -> bool:
    return not path.startswith("/") and ".." not in PurePosixPath(path).parts
