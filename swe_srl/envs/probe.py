"""What a command would do to a sandbox: tried in a fork of its state. The probe that the similarity `effect` asks."""

from __future__ import annotations

import re
import secrets
import shlex
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from swe_srl.envs.clean import CLEAN
from swe_srl.envs.git_objects import PIPES
from swe_srl.envs.spaces import clean_text
from swe_srl.errors import SandboxError
from swe_srl.protocols import Sandbox, Snapshot
from swe_srl.rewards.effect import Effect
from swe_srl.sandboxes.output import decode
from swe_srl.trajectories.replay import settled

if TYPE_CHECKING:
    from swe_srl.grading import OpenSandboxes

SECONDS = 120.0
_MARK = "--- swe-srl: the changes ---\n"  # after the state, whose lines hold no spaces but one: no file can imitate it
# A git directory of its own sees the files of the working directory as they are; the repository's is only read. The index
# is made once and travels with the snapshot: forks have other inodes and times of change, so those are not looked at.
# Named pipes that git would read go: it would wait for what nobody writes.
_GIT = (
    """
set -e
cd -- {workdir}
"""
    + PIPES
    + """
find . -path ./.git -prune -o '(' -name .git -o -name .gitignore -o -name .gitattributes ')' -type p -exec rm -f {{}} + \\
  2>/dev/null || :
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_ATTR_NOSYSTEM=1
state() {{
  git -c safe.directory='*' -c core.fsmonitor=false "$@" 2>/dev/null || echo none
}}
g() {{
  GIT_DIR={folder}/git GIT_WORK_TREE={workdir} git -c core.fsmonitor=false -c core.hooksPath=/dev/null \\
    -c core.excludesFile=/dev/null -c core.autocrlf=false -c core.fileMode=true -c core.checkStat=minimal \\
    -c core.trustctime=false -c core.bigFileThreshold=1m -c advice.addEmbeddedRepo=false "$@"
}}
"""
)
_PREPARE = """
mkdir -p {folder}
git init -q --bare --template= {folder}/git
g add -A --ignore-errors -- . 2>/dev/null || true
g write-tree >{folder}/base
"""
_ADD = """
g add -A --ignore-errors -- . 2>/dev/null || true
"""
_DIFF = """
printf %s {mark}
g diff-index --cached -p --full-index --no-ext-diff --no-textconv --no-color --no-renames "$(cat {folder}/base)"
"""
_STATE = """
state symbolic-ref -q HEAD
state rev-parse -q --verify 'HEAD^{{tree}}'
state rev-parse -q --verify 'refs/stash^{{tree}}'
state ls-files -s | sha256sum
"""
_SECTION = re.compile(r"^diff --git ", re.MULTILINE)


class SandboxProbe:
    """Tries commands in forks of a sandbox's present state. Implements `swe_srl.rewards.Probe`; a context manager.

    The state is frozen at the first command that is tried and freed by `close`; every effect is remembered, so a target that
    many commands are compared with runs once. The sandbox itself is not touched. What is seen: the output, the exit code,
    the files in the working directory that `.gitignore` does not exclude, the repository's head, stash and index, and
    the shell's directory. What a command leaves in other folders and in variables is not seen.

    Args:
        sandbox: whose state commands are tried in; it must hold `git`.
        workdir: the directory whose files are compared.
        timeout: seconds for a command; None for the sandbox's own limit.
        open: knows the fork in use, so that it can be ended from outside; None where nobody will.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        workdir: str = "/testbed",
        timeout: float | None = None,
        open: OpenSandboxes | None = None,
    ) -> None:
        self._sandbox, self._workdir, self._timeout, self._open = sandbox, workdir, timeout, open
        self._start: Snapshot | None = None
        self._state = ""
        self._folder = f"/tmp/.swe-srl-probe-{secrets.token_hex(16)}"  # no command before can have made anything there
        self._known: dict[str, Effect] = {}

    def effect(self, command: str) -> Effect:
        """What `command` does in a fork of the state.

        Raises:
            SandboxError: the sandbox failed, or has no git to compare files with.
        """
        if command not in self._known:
            with self._fork(self._frozen()) as fork:
                self._known[command] = self._try(fork, command)
        return self._known[command]

    def close(self) -> None:
        """Free the frozen state. Idempotent."""
        start, self._start = self._start, None
        self._known.clear()
        if start is not None:
            start.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _fork(self, state: Snapshot) -> AbstractContextManager[Sandbox]:
        fork = self._sandbox.fork(state)
        return self._open.holding(fork) if self._open is not None else fork

    def _frozen(self) -> Snapshot:
        """The state with the probe's own index of its files, made in a fork."""
        if self._start is None:
            bare = self._sandbox.snapshot()
            try:
                with self._fork(bare) as fork:
                    code, said = self._script(fork, _PREPARE + _STATE)
                    if code != 0:
                        raise SandboxError(f"the effect of commands cannot be seen at {self._workdir}: {said[-300:]}")
                    self._state = said + _directory(fork)
                    self._start = fork.snapshot()
            finally:
                bare.discard()
        return self._start

    def _try(self, fork: Sandbox, command: str) -> Effect:
        result = fork.run(command, self._timeout)
        output = settled(clean_text(result.output))
        if result.exit_code is None:
            return Effect(output, None)
        directory = _directory(fork)
        code, said = self._script(fork, _ADD + _STATE + _DIFF)
        state, mark, diff = said.partition(_MARK)
        if code != 0 or not mark:  # the command destroyed what the comparison needs
            return Effect(output, result.exit_code, {"": "the files cannot be compared any more"}, said[-300:], True)
        state += directory
        return Effect(output, result.exit_code, _changes(diff), state, state != self._state)

    def _script(self, fork: Sandbox, script: str) -> tuple[int | None, str]:
        names = {"workdir": shlex.quote(self._workdir), "folder": self._folder, "mark": shlex.quote(_MARK)}
        code, said = fork.run_clean(f"{CLEAN} {shlex.quote((_GIT + script).format(**names))}", SECONDS)
        return code, decode(said)


def _directory(fork: Sandbox) -> str:
    return fork.run("builtin pwd -P").output


def _changes(diff: str) -> dict[str, str]:
    """By the paths of a section's first line, its text."""
    sections = _SECTION.split(diff)[1:]
    return {section.partition("\n")[0]: section for section in sections}
