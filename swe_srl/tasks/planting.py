"""Tasks whose bug is planted in their image: SWE-smith's images hold the sound repository, and the row the patch that breaks it.

A fresh sandbox gets two commits: the bug, and then the files of the FAIL_TO_PASS tests taken away. The agent starts from the
second one. What the image holds of those files besides (byte code, builds, installed copies, backups) is cleared. Grading makes
the same two, and the evaluation script brings the tests back from the first.
"""

from __future__ import annotations

from pathlib import Path

from swe_srl.types import Task

WITH_TESTS = "HEAD~1"  # where the withheld tests are, seen from the planted base commit
_WHO = "swe-srl"
PLANT = f"""
plant() (  # plant PATCH LIST ROOT [AGE]: in the repository of the current folder; LIST names the files to withhold, each ended
  # by NUL; ROOT is where copies of what is changed may be; with AGE, what was changed gets the time of another file
  export GIT_CONFIG_COUNT=4 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' GIT_CONFIG_KEY_1=core.hooksPath \\
    GIT_CONFIG_VALUE_1=/dev/null GIT_CONFIG_KEY_2=commit.gpgSign GIT_CONFIG_VALUE_2=false \\
    GIT_CONFIG_KEY_3=core.fileMode GIT_CONFIG_VALUE_3=false
  export GIT_AUTHOR_NAME={_WHO} GIT_AUTHOR_EMAIL={_WHO} GIT_COMMITTER_NAME={_WHO} GIT_COMMITTER_EMAIL={_WHO} \\
    GIT_AUTHOR_DATE=2000-01-01T00:00:00Z GIT_COMMITTER_DATE=2000-01-01T00:00:00Z
  git update-index -q --refresh  # what it knows of the files is of the machine that made the image
  while IFS= read -r -d '' path && [[ ! -f $path ]]; do :; done < <(git ls-files -z)
  touch -r "$path" -- "$2.time" || exit 1
  declare -A rights=()
  while IFS= read -r -d '' path; do
    path=${{path#*$'\t'*$'\t'}}
    [[ ! -f $path || -L $path ]] || rights[$path]=$(rights_of "$path")
  done < <(git apply --numstat -z "$1" 2>/dev/null)
  git apply --index --whitespace=nowarn "$1" && git commit -q --no-verify -m 'The state of the issue' || exit 1
  for path in "${{!rights[@]}}"; do give "$path" ${{rights[$path]}}; done
  sound=$(git rev-parse HEAD~1) || exit 1
  xargs -0 -r git rm -q -f --ignore-unmatch -- <"$2" && git commit -q --no-verify --allow-empty -m 'The base commit' || exit 1
  [[ -z ${{4-}} ]] || age "$2.time" < <(git diff-tree -r -z --name-only --no-renames "$sound" HEAD)
  git update-index -q --refresh
  clear_copies "$sound" "$3"
)
rights_of() {{ stat -c '%u:%g %a' -- "$1"; }}
give() {{  # give FILE OWNER MODE: as it had, but for what the patch itself makes executable or no longer so
  [[ -f $1 && ! -L $1 && $(rights_of "$1") != "$2 $3" ]] || return 0
  (((8#$3 & 8#111 ? 1 : 0) == (8#$(stat -c %a -- "$1") & 8#111 ? 1 : 0))) || return 0
  chown -- "$2" "$1" 2>/dev/null  # a user who may not has not made it another's, or cannot say whose it was
  chmod -- "$3" "$1"
}}
age() {{  # age FILE: what is named on standard input, and the folders above it, were changed when FILE was; not what is compiled:
  # a build would not see that it was changed
  while IFS= read -r -d '' path; do
    [[ $path != *.py ]] || touch -c -h -r "$1" -- "$path"
    while [[ $path == */* ]]; do path=${{path%/*}} && touch -c -r "$1" -- "$path"; done
  done
  touch -r "$1" .
}}
{Path(__file__).with_name("clear_copies.bash").read_text("utf-8")}"""


def is_planted(task: Task) -> bool:
    """Whether the task's bug has to be planted in its image. (That of a task with a source is planted when that is prepared.)"""
    return bool(task.image and task.setup_patch and not task.source)


def withheld(task: Task) -> list[str]:
    """The files of the FAIL_TO_PASS tests, which a task's agent does not see.

    >>> withheld(Task("i", "r", "", "", fail_to_pass=("t/test_b.py::test_2", "t/test_b.py::test_1")))
    ['t/test_b.py']
    """
    return sorted({name.split("::")[0] for name in task.fail_to_pass if "::" in name})


def withheld_list(task: Task) -> str:
    """`withheld` as PLANT takes it."""
    return "".join(f"{path}\0" for path in withheld(task))
