"""What the agent changed: a patch against the base commit, whatever was done to index, branches and ignore rules."""

from __future__ import annotations

import contextlib
import logging
import re
import secrets
import shlex
from collections.abc import Mapping

from swe_srl.envs.clean import LateError, run_clean
from swe_srl.envs.git_objects import GIT_DIR, HOLD, NESTED, OBJECTS
from swe_srl.errors import SandboxError
from swe_srl.protocols import Sandbox
from swe_srl.sandboxes.output import decode

# Files beyond this size are left out: beyond the next one when the patch itself is larger than PATCH_BYTES.
LARGEST_KB = (32 << 10, 1 << 10, 16)
PATCH_BYTES = 64 << 20
LONG = 4096  # bytes of a path that no program can open
PLACE = "/tmp"
# A fresh index of the base commit, and of what the image had changed in it, takes the working tree's tracked files as they are,
# and new files unless the repository's own .gitignore files exclude them or they were there from the start. Nested repositories
# count as plain files, as their .gitignore files and the repository's own say; the base commit's submodules count as unchanged,
# unless they are no folders any more. Named pipes that git would read go. Files larger than `largest` (KB) are left out: a new
# one is none, a tracked one counts as unchanged. Of the agent's git directory nothing but the objects is used (those that a
# `.git` which is a file points to, too): no index, configuration, attributes or hooks. Meanwhile all that the agent has left
# running stands still. With `mend`, what cannot be read is made readable, what is no file (a named pipe in a file's place) counts
# as unchanged, and no file is read in the encoding that attributes claim.
_SCRIPT = (
    HOLD
    + """
set -e
mend={mend}
cd -- {workdir}
mkdir -p {folder}
if [[ $mend ]]; then chmod -R u+rwX -- . 2>/dev/null || :; fi
rm -rf {folder}/git {folder}/stores {folder}/index {folder}/index.lock
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_ATTR_NOSYSTEM=1
base={base}
if ((${{#base}} > 40)); then format=--object-format=sha256; fi
"""
    + NESTED
    + OBJECTS
    + """
find . -path ./.git -prune -o '(' -name .gitignore -o -name .gitattributes ')' -type p -exec rm -f {{}} + 2>/dev/null || :
[[ ! $mend ]] || echo '* !working-tree-encoding' >{folder}/git/info/attributes
export GIT_WORK_TREE={workdir} GIT_INDEX_FILE={folder}/index
g() {{ git -c safe.directory='*' -c core.fsmonitor=false -c core.hooksPath=/dev/null -c core.excludesFile=/dev/null \\
  -c core.autocrlf=false -c core.fileMode=true -c core.sparseCheckout=false -c core.quotePath=true "$@"; }}
g read-tree {base}
if [[ -s {folder}/start ]]; then
  g apply --cached --whitespace=nowarn {folder}/start
  base=$(g write-tree)
fi
if [[ $repositories ]]; then # git would run in submodules, by what their configuration says, and take others for submodules
  top=$(pwd -P)
  : >{folder}/unchanged >{folder}/gone
  while IFS= read -r -d '' path; do
    mode=$path path=${{path#*$'\t'}}
    if [[ ! -d $path || -L $path ]] || ! cd -P -- "$path"; then continue; fi
    if [[ $PWD == "$top/$path" ]]; then # no link leads there
      if [[ $mode == 160000* ]]; then printf '%s\\0' "$path" >>{folder}/unchanged
      else printf '%s\\0' "$path" >>{folder}/gone; fi
    fi
    cd -- "$top"
  done < <(g ls-files -z --stage)
  g update-index --skip-worktree -z --stdin <{folder}/unchanged
  g update-index --force-remove -z --stdin <{folder}/gone
fi
find . -mindepth 16 ! -path './.git/*' '(' -type f -o -type l ')' -print0 2>/dev/null | while IFS= read -r -d '' path; do
  ((${{#path}} < {long} + 2)) || printf '%s\\0' "${{path:2:60}}…${{path: -60}}" # git cannot open it
done >{folder}/long
declare -A large
while IFS= read -r -d '' path; do
  large[${{path#./}}]=1
done < <(find . -path ./.git -prune -o -type f -size +{largest}k -print0 2>/dev/null)
if ((${{#large[@]}})); then
  g ls-files -z >{folder}/tracked
  while IFS= read -r -d '' path; do
    if [[ ${{large[$path]-}} ]]; then printf '%s\\0' "$path"; fi
  done <{folder}/tracked >{folder}/left
  g update-index --assume-unchanged -z --stdin <{folder}/left
else : >{folder}/left; fi
if [[ $mend ]]; then g add --update --ignore-errors -- . || (($? == 1)); else g add --update -- .; fi
g ls-files -z --others --exclude-per-directory=.gitignore -- . >{folder}/new
nested() {{ # nested FOLDER...: `find` fails at folders that it may not read
  local path
  local -A ignored=()
  (($#)) || return 0
  find "$@" -name .git -prune -o '(' -type l -o -type f ! -size +{largest}k ')' -print0 >{folder}/nested || :
  while IFS= read -r -d '' path; do ignored[$path]=1; done < <(g check-ignore -z --no-index --stdin <{folder}/nested)
  while IFS= read -r -d '' path; do [[ ${{ignored[$path]-}} ]] || printf '%s\\0' "$path"; done <{folder}/nested
}}
declare -A known
if [[ -s {folder}/known ]]; then while IFS= read -r -d '' path; do known[$path]=1; done <{folder}/known; fi
{{
  inner=()
  while IFS= read -r -d '' path; do
    if [[ ${{known[$path]-}} ]]; then continue; fi
    if [[ $mend && ! -r $path && ! -L $path ]]; then continue; fi
    if [[ ${{large[$path]-}} ]]; then printf '%s\\0' "$path" >>{folder}/left; continue; fi
    if [[ $path == */ ]]; then inner+=("./$path"); else printf '%s\\0' "$path"; fi
    if ((${{#inner[@]}} == 100)); then nested "${{inner[@]}}"; inner=(); fi
  done <{folder}/new
  nested "${{inner[@]}}"
}} | g update-index --add -z --stdin
((PIPESTATUS[0] == 0))
if [[ -s {folder}/binary ]]; then cat {folder}/binary >>"$GIT_DIR/info/attributes"; fi
diff() {{
  g diff-index --cached --no-ext-diff --no-textconv --no-color --no-renames --src-prefix=a/ --dst-prefix=b/ "$@" "$base"
}}
printf %s {mark}
diff --binary --full-index -p | head -c $(({bytes} + 1))
((PIPESTATUS[0] == 0 || PIPESTATUS[0] == 141))
printf %s {mark}
diff --name-status -z
printf %s {mark}
head -c 2000 {folder}/left
printf %s {mark}
head -c 2000 {folder}/long
printf %s {mark}
"""
)
# Whether everything of the base commit is there: of submodules, which are other repositories, nothing has to be.
_USABLE = (
    """
set -o pipefail
cd -- {workdir} || exit
base={base}
if ((${{#base}} > 40)); then format=--object-format=sha256; fi
export GIT_NO_REPLACE_OBJECTS=1 GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
"""
    + GIT_DIR
    + OBJECTS
    + """
[[ ! $full ]] || exit 0
g() {{ git -c safe.directory='*' -c core.fsmonitor=false "$@"; }}
g ls-tree -r {base} | while read -r mode kind object path; do [[ $kind != blob ]] || echo "$object"; done |
  g cat-file --batch-check | {{ ! grep -q missing; }}
"""
)
log = logging.getLogger(__name__)
_SECTION = re.compile(rb"^diff --git ", re.MULTILINE)
_REFUSED = re.compile(rb"^Ignoring path (.+)$", re.MULTILINE)


def untracked_files(sandbox: Sandbox, workdir: str) -> bytes:
    """Files that an image's repository does not track (a build's traces), each ended by NUL: no work of the agent's.

    Raises:
        SandboxError: the sandbox failed, or holds no git repository at `workdir`.
    """
    listing = (
        "git -c safe.directory='*' -c core.fsmonitor=false ls-files -z --others --exclude-per-directory=.gitignore -- ."
    )
    folder = _folder()
    script = f"mkdir -p {folder} && cd -- {shlex.quote(workdir)} && {listing} >{folder}/new"
    if run_clean(sandbox, script)[0] != 0:
        raise SandboxError(f"there is no usable git repository at {workdir}")
    found = sandbox.read_file(f"{folder}/new")
    run_clean(sandbox, f"rm -rf {folder}")
    return found


def take_patch(sandbox: Sandbox, workdir: str, base_commit: str, untracked: bytes = b"", start: str = "") -> str:
    """The diff of the working tree against the base commit, new files included, as `git apply` takes it.

    Args:
        sandbox: where the agent worked.
        workdir: the repository.
        base_commit: what it was at the start.
        untracked: what `untracked_files` found at the start: those files stay out, whatever became of them.
        start: the patch that was taken at the start: of an image whose tracked files are not as in that commit.

    Files that are not UTF-8 are given as binary, so that the text stands for their very bytes. An agent that destroyed the
    repository's `.git` has no patch: the result is "". Files larger than 32 MB, and those whose path has 4,096 bytes and more,
    are left out, which a warning tells; smaller ones, too, when the patch would have more than 64 MB. One that has so much of
    files of 16 KB is "", and a warning.

    Raises:
        SandboxError: the sandbox failed, or the patch cannot be taken although the repository is usable (a full disk), or not
            in time.
    """
    try:
        return _take(sandbox, workdir, base_commit, {"known": untracked, "start": start.encode()})
    except OSError as error:
        raise SandboxError(f"the patch cannot be taken: {error}") from error


def _take(sandbox: Sandbox, workdir: str, base_commit: str, given: Mapping[str, bytes]) -> str:
    """Strictly at first; then, when the repository is usable all the same, past what is in the way."""
    names = {"workdir": shlex.quote(workdir), "base": shlex.quote(base_commit)}
    said = ""
    for mend in ("", "1"):
        if mend:
            run_clean(sandbox, f"chmod u+rwx {PLACE}")
        folder = _folder()
        try:
            patch, said = _bounded(sandbox, {**names, "folder": folder, "mend": mend}, given)
        except SandboxError as error:
            if mend or isinstance(error, LateError):
                raise
            patch, said = None, str(error)
        run_clean(sandbox, f"rm -rf {folder}")
        if patch is not None:
            return patch
        folder = _folder()
        usable = run_clean(sandbox, _USABLE.format(**names, folder=folder))[0] == 0
        run_clean(sandbox, f"rm -rf {folder}")
        if not usable:
            return ""
    raise SandboxError(f"the patch cannot be taken: {said[-500:]}")


def _bounded(sandbox: Sandbox, names: dict[str, str], given: Mapping[str, bytes]) -> tuple[str | None, str]:
    """The patch without the largest files, as many as make it small enough; or None and what was said instead."""
    for largest in LARGEST_KB:
        names |= {"largest": str(largest), "bytes": str(PATCH_BYTES), "long": str(LONG)}
        with contextlib.suppress(_TooLargeError):
            return _patch(sandbox, _SCRIPT, names, given)
    log.warning("the patch of %s is larger than %d bytes, and counts as none", names["workdir"], PATCH_BYTES)
    return "", ""


class _TooLargeError(Exception):
    """The patch has more than `PATCH_BYTES`."""


def _patch(sandbox: Sandbox, script: str, names: dict[str, str], given: Mapping[str, bytes]) -> tuple[str | None, str]:
    """The patch, or None and what was said instead."""
    folder = names["folder"]
    for name in filter(given.get, given):
        sandbox.write_file(f"{folder}/{name}", given[name])
    for last in (False, True):
        mark = secrets.token_hex(16)  # what is printed is read as it was printed; a file could be another one by then
        code, printed = run_clean(sandbox, script.format(**names, mark=mark))
        parts = printed.split(mark.encode())
        if code != 0 or len(parts) != 6:
            return None, decode(printed).strip() or f"exit code {code}"
        patch = parts[1]
        if len(patch) > PATCH_BYTES:
            raise _TooLargeError
        if last or _is_text(patch):
            break
        starts = [match.start() for match in _SECTION.finditer(patch)]
        sections = [patch[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]
        binary = [
            path for path, section in zip(_section_paths(parts[2]), sections, strict=True) if not _is_text(section)
        ]
        sandbox.write_file(f"{folder}/binary", b"".join(_attribute_line(path) for path in dict.fromkeys(binary)))
    told = (
        (parts[3], f"being larger than {names['largest']} KB"),
        (parts[4], f"having paths of {LONG} bytes and more"),
        (b"\0".join(_REFUSED.findall(parts[0]))[:2000], "having names that git refuses"),
    )
    for left, why in told:
        if left:
            names_left = decode(left.rstrip(b"\0").replace(b"\0", b", "))
            log.warning("left out of the patch of %s, %s: %s", names["workdir"], why, names_left)
    return patch.decode("utf-8", errors="replace"), ""


def _section_paths(listing: bytes) -> list[bytes]:
    """The path of each section: a file that has become a link, or the reverse (`T`), has two."""
    fields = listing.split(b"\0")
    return [path for status, path in zip(fields[::2], fields[1::2], strict=False) for _ in range(1 + (status == b"T"))]


def _folder() -> str:
    """A new one: no command of the agent's can have made anything there."""
    return f"{PLACE}/.swe-srl-patch-{secrets.token_hex(16)}"


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _attribute_line(name: bytes) -> bytes:
    """A line of a git attributes file that makes one path binary."""
    return b'"/' + b"".join(b"\\%03o" % byte for byte in name) + b'" -diff\n'
