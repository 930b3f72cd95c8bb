"""What the agent changed: a patch against the base commit, whatever was done to index, branches and ignore rules."""

from __future__ import annotations

import re
import shlex

from swe_srl.errors import SandboxError
from swe_srl.protocols import Sandbox
from swe_srl.sandboxes.output import decode

SECONDS = 300.0
KILLED = 128  # exit codes above it: ended by a signal
FOLDER = "/tmp/.swe-srl-patch"
CLEAN = (
    "exec /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/nonexistent LC_ALL=C /bin/bash --noprofile --norc -c"
)
# A fresh index of the base commit takes the working tree's tracked files as they are, and new files unless the repository's
# own .gitignore files exclude them or they were there from the start. Nested repositories count as plain files. Of the
# agent's git directory nothing but the objects is used: no index, configuration, attributes or hooks.
_SCRIPT = """
set -e
cd -- {workdir}
mkdir -p {folder}
rm -rf {folder}/git {folder}/index {folder}/index.lock
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_ATTR_NOSYSTEM=1
base={base}
if ((${{#base}} > 40)); then format=--object-format=sha256; fi
git init -q --bare --template= ${{format-}} {folder}/git
mkdir -p {folder}/git/objects/info {folder}/git/info
printf '%s\\n' {workdir}/.git/objects >{folder}/git/objects/info/alternates
export GIT_DIR={folder}/git GIT_WORK_TREE={workdir} GIT_INDEX_FILE={folder}/index
g() {{ git -c safe.directory='*' -c core.fsmonitor=false -c core.hooksPath=/dev/null -c core.excludesFile=/dev/null \\
  -c core.autocrlf=false -c core.fileMode=true -c core.sparseCheckout=false -c core.quotePath=true "$@"; }}
g read-tree {base}
g add --update -- .
g ls-files -z --others --exclude-per-directory=.gitignore -- . >{folder}/new
declare -A known
if [[ -s {folder}/known ]]; then while IFS= read -r -d '' path; do known[$path]=1; done <{folder}/known; fi
while IFS= read -r -d '' path; do
  if [[ ${{known[$path]-}} ]]; then continue; fi
  if [[ $path == */ ]]; then find "$path" -name .git -prune -o '(' -type f -o -type l ')' -print0
  else printf '%s\\0' "$path"; fi
done <{folder}/new | g update-index --add -z --stdin
if [[ -s {folder}/binary ]]; then cp {folder}/binary "$GIT_DIR/info/attributes"; fi
diff() {{
  g diff-index --cached --no-ext-diff --no-textconv --no-color --no-renames --src-prefix=a/ --dst-prefix=b/ "$@" {base}
}}
diff --binary --full-index -p >{folder}/patch
diff --name-only -z >{folder}/names
"""
# Whether everything of the base commit is there: writes nothing itself.
_USABLE = """
set -o pipefail
cd -- {workdir} && export GIT_DIR={workdir}/.git GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null &&
g() {{ git -c safe.directory='*' -c core.fsmonitor=false "$@"; }} &&
g ls-tree -r {base} | while read -r mode kind object path; do [[ $kind == blob ]] && echo "$object"; done |
  g cat-file --batch-check | {{ ! grep -q missing; }}
"""
_SECTION = re.compile(rb"^diff --git ", re.MULTILINE)


def untracked_files(sandbox: Sandbox, workdir: str) -> bytes:
    """Files that an image's repository does not track (a build's traces), each ended by NUL: no work of the agent's.

    Raises:
        SandboxError: the sandbox failed, or holds no git repository at `workdir`.
    """
    listing = "git -c safe.directory='*' ls-files -z --others --exclude-per-directory=.gitignore -- ."
    script = f"mkdir -p {FOLDER} && cd -- {shlex.quote(workdir)} && {listing} >{FOLDER}/new"
    if _run_clean(sandbox, script)[0] != 0:
        raise SandboxError(f"there is no usable git repository at {workdir}")
    found = sandbox.read_file(f"{FOLDER}/new")
    _run_clean(sandbox, f"rm -rf {FOLDER}")
    return found


def take_patch(sandbox: Sandbox, workdir: str, base_commit: str, untracked: bytes = b"") -> str:
    """The diff of the working tree against the base commit, new files included, as `git apply` takes it.

    Args:
        sandbox: where the agent worked.
        workdir: the repository.
        base_commit: what it was at the start.
        untracked: what `untracked_files` found at the start: those files stay out, whatever became of them.

    Files that are not UTF-8 are given as binary, so that the text stands for their very bytes. An agent that destroyed the
    repository's `.git` has no patch: the result is "".

    Raises:
        SandboxError: the sandbox failed, or the patch cannot be taken although the repository is usable (a full disk).
    """
    try:
        return _take(sandbox, workdir, base_commit, untracked)
    except OSError as error:
        raise SandboxError(f"the patch cannot be taken: {error}") from error


def _take(sandbox: Sandbox, workdir: str, base_commit: str, untracked: bytes) -> str:
    _run_clean(sandbox, f"rm -rf {FOLDER}")
    if untracked:
        sandbox.write_file(f"{FOLDER}/known", untracked)
    patch = _diff(sandbox, workdir, base_commit)
    if not _is_text(patch):
        starts = [match.start() for match in _SECTION.finditer(patch)]
        sections = [patch[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]
        names = sandbox.read_file(f"{FOLDER}/names").rstrip(b"\0").split(b"\0")
        binary = [name for name, section in zip(names, sections, strict=True) if not _is_text(section)]
        sandbox.write_file(f"{FOLDER}/binary", b"".join(_attribute_line(name) for name in binary))
        patch = _diff(sandbox, workdir, base_commit)
    _run_clean(sandbox, f"rm -rf {FOLDER}")
    return patch.decode("utf-8", errors="replace")


def _diff(sandbox: Sandbox, workdir: str, base_commit: str) -> bytes:
    names = {"workdir": shlex.quote(workdir), "base": shlex.quote(base_commit)}
    code, said = _run_clean(sandbox, _SCRIPT.format(folder=FOLDER, **names))
    if code == 0:
        return sandbox.read_file(f"{FOLDER}/patch")
    _run_clean(sandbox, f"rm -rf {FOLDER}")
    if _run_clean(sandbox, _USABLE.format(**names))[0] == 0:
        raise SandboxError(f"the patch cannot be taken: {said[-500:] or f'exit code {code}'}")
    return b""


def _run_clean(sandbox: Sandbox, script: str) -> tuple[int, str]:
    """Run a script in a fresh bash that nothing of the session reaches; its exit code and what it printed.

    When it is killed, by whatever the agent left running, everything is ended and it is tried again.

    Raises:
        SandboxError: it did not end in time, or was lost with the sandbox.
    """
    code, said = sandbox.run_clean(f"{CLEAN} {shlex.quote(script)}", SECONDS)
    if code is None or code > KILLED:
        sandbox.restart()
        code, said = sandbox.run_clean(f"{CLEAN} {shlex.quote(script)}", SECONDS)
    text = decode(said).strip()
    if code is None:
        raise SandboxError(
            f"the sandbox was lost while the patch was taken, or that took {SECONDS:g} seconds: {text[-300:]}"
        )
    return code, text


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _attribute_line(name: bytes) -> bytes:
    """A line of a git attributes file that makes one path binary."""
    return b'"/' + b"".join(b"\\%03o" % byte for byte in name) + b'" -diff\n'
