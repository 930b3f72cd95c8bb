"""From a task's source to a git repository with exactly one commit, the same everywhere.

The repository holds nothing but the tree at the base commit: no remotes, reflogs, tags, stashes, hooks or other objects. It is
kept in a cache that is addressed by content and shared between processes, and is only ever read: sandboxes put an overlay
over it, or copy it.
"""

from __future__ import annotations

import hashlib
import io
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from swe_srl.errors import TaskError, suggest
from swe_srl.sandboxes.archives import CHUNK_BYTES, extract_archive
from swe_srl.sandboxes.making import default_cache, made_beside, put, sweep_half_made
from swe_srl.sandboxes.source_files import copy_files, files_of, mode_of

FORMAT = "2"  # changes when the same source would make another repository
MOMENT = 946_684_800  # of the commit and of every file: 2000-01-01 UTC
_DATE = f"{MOMENT} +0000"
_GIT = {
    "GIT_AUTHOR_NAME": "swe-srl",
    "GIT_AUTHOR_EMAIL": "swe-srl@localhost",
    "GIT_AUTHOR_DATE": _DATE,
    "GIT_COMMITTER_NAME": "swe-srl",
    "GIT_COMMITTER_EMAIL": "swe-srl@localhost",
    "GIT_COMMITTER_DATE": _DATE,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
# Somebody else's repository may be read; nothing is fetched for it, by whatever program its configuration names.
_FOREIGN = {
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
}
# The stat data that an overlay or a copy keeps is enough to tell whether a file changed: no slow first `git status`.
_CONFIG = {"core.checkStat": "minimal", "core.trustctime": "false", "core.logAllRefUpdates": "false", "gc.auto": "0"}
KINDS = ("archive", "dir", "git", "packaged")


@dataclass(frozen=True, slots=True)
class PreparedRepository:
    """A repository in the cache: never write to `path`."""

    path: Path
    base_commit: str


def prepare_repository(source: str, setup_patch: str = "", cache: Path | None = None) -> PreparedRepository:
    """The one-commit repository of a task's source.

    Args:
        source: `packaged:<path below swe_srl/data>`, `dir:<folder>`, `git:<folder>@<commit>` or `archive:<tar or zip file>`.
        setup_patch: a diff applied before the commit is made, or "".
        cache: where prepared repositories are kept; by default `$XDG_CACHE_HOME/swe-srl/repositories` (`~/.cache/…`).

    Raises:
        TaskError: the source is malformed or missing, the patch does not apply, or git is not installed.
    """
    kind, _, rest = source.partition(":")
    if kind not in KINDS or not rest:
        raise TaskError(f"source {source!r}: {suggest(kind, KINDS, 'kind of source')}, each as `kind:place`")
    cache = cache or default_cache()
    try:
        with made_beside(cache) as folder:
            tree = _unpacked(kind, rest, folder)
            place = cache / _fingerprint(tree, setup_patch, plain_modes=kind == "packaged")
            if not _commit_at(place):
                sweep_half_made(cache)
                made = folder / "made"
                _make(tree, made, setup_patch, source, plain_modes=kind == "packaged")
                put(made, place, lambda: _commit_at(place) != "")
            commit = _commit_at(place)
    except OSError as error:
        raise TaskError(f"source {source!r} cannot be prepared in {cache}: {error}") from error
    return PreparedRepository(place / "repository", commit)


def _commit_at(place: Path) -> str:
    """The commit of a prepared repository; "" where there is none, or it is not whole."""
    files = (place / "base_commit", place / "repository" / ".git" / "refs" / "heads" / "main")
    said = {file.read_text(errors="replace").strip() if file.is_file() else "" for file in files}
    return said.pop() if len(said) == 1 else ""


def git(*arguments: str, cwd: Path, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
    """Run git untouched by the user's and the system's configuration.

    Raises:
        TaskError: git is not installed, or it failed.
    """
    variables = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), **_GIT, **(env or {})}
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=cwd, input=stdin, capture_output=True, env=variables, check=False
        )
    except FileNotFoundError as error:
        raise TaskError("git is not installed: install it with your package manager") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise TaskError(f"git {arguments[0]} failed in {cwd}: {said[-2000:]}")
    return done.stdout.decode(errors="replace")


def _unpacked(kind: str, rest: str, folder: Path) -> Path:
    """The source's tree as a folder on disk, which is only read."""
    if kind == "packaged":
        place = resources.files("swe_srl") / "data"
        for part in rest.split("/"):
            place = place / part
        tree = Path(str(place))
    elif kind == "dir":
        tree = Path(rest).expanduser()
    elif kind == "git":
        return checked_out(rest, folder / "tree")
    else:
        return extract_archive(Path(rest).expanduser(), folder / "tree")
    if not tree.is_dir():
        raise TaskError(f"source {kind}:{rest}: there is no folder {tree}")
    return tree


def checked_out(rest: str, tree: Path) -> Path:
    """The files of `<folder>@<commit>` in the new folder `tree`, whatever attributes say of exports.

    Of the repository nothing but its objects is used: no hooks, filters or other programs that its configuration names, and
    no remote that it would fetch missing objects from.

    Raises:
        TaskError: no such repository or commit.
    """
    place, _, commit = rest.rpartition("@")
    if not place or not commit:
        raise TaskError(f"source git:{rest}: say which commit, as in git:<folder>@<commit>")
    repository = Path(place).expanduser()
    if not repository.is_dir():
        raise TaskError(f"source git:{rest}: there is no folder {repository}")
    sha = commit_of(repository, commit)
    tree.mkdir()
    env = _borrowed(repository, sha, tree.parent / "own.git", tree)
    git("checkout-index", "--all", "--force", cwd=tree, env=env)
    return tree


def _borrowed(repository: Path, sha: str, own: Path, tree: Path) -> dict[str, str]:
    """Variables for a git that knows a repository's objects and nothing of its configuration; its index is the commit's."""
    objects = repository / git("rev-parse", "--git-path", "objects", cwd=repository, env=_FOREIGN).rstrip("\n")
    kind = ["--object-format=sha256"] if len(sha) == 64 else []
    git("init", "--quiet", "--bare", "--template=", *kind, str(own), cwd=tree)
    (own / "objects" / "info" / "alternates").write_text(f"{objects.resolve()}\n")
    env = {"GIT_DIR": str(own), "GIT_WORK_TREE": str(tree)}
    git("read-tree", sha, cwd=tree, env=env)
    return env


def uncommitted(repository: Path, sha: str) -> tuple[str, ...]:
    """Files of a repository's work tree that are not as in a commit, or not in it and not ignored; none of a bare one.

    As for `checked_out`, no program that its configuration names is run.

    Raises:
        TaskError: git failed.
    """
    if git("rev-parse", "--is-inside-work-tree", cwd=repository, env=_FOREIGN).strip() != "true":
        return ()
    top = Path(git("rev-parse", "--show-toplevel", cwd=repository, env=_FOREIGN).rstrip("\n"))
    with tempfile.TemporaryDirectory() as folder:
        env = _borrowed(repository, sha, Path(folder) / "own.git", top)
        said = git("status", "--porcelain", "-z", "--no-renames", "--ignore-submodules", cwd=top, env=env)
    return tuple(line[3:] for line in said.split("\0") if line[1:2].strip())


def commit_of(repository: Path, name: str) -> str:
    """The full sha of a commit by any name that git understands.

    Raises:
        TaskError: not a git repository, or no such commit.
    """
    git("rev-parse", "--git-dir", cwd=repository, env=_FOREIGN)
    try:
        return git("rev-parse", "--quiet", "--verify", f"{name}^{{commit}}", cwd=repository, env=_FOREIGN).strip()
    except TaskError as error:
        none = name == "HEAD" and not git("rev-list", "--all", "--max-count=1", cwd=repository, env=_FOREIGN)
        why = "nothing has been committed in it yet" if none else f"it has no commit {name!r}"
        raise TaskError(f"the git repository {repository}: {why}") from error


def place_inside(repository: Path) -> str:
    """Where a folder lies below the top of its git repository; "" for the top itself and for a bare repository.

    Raises:
        TaskError: not a git repository.
    """
    return git("rev-parse", "--show-prefix", cwd=repository, env=_FOREIGN).strip().rstrip("/")


def _fingerprint(tree: Path, setup_patch: str, plain_modes: bool) -> str:
    digest = hashlib.sha256(f"{FORMAT}\n{len(setup_patch)}\n{setup_patch}\n".encode())
    for path in files_of(tree):
        kind = "link" if path.is_symlink() else oct(mode_of(path, plain_modes))
        with io.BytesIO(os.fsencode(path.readlink())) if kind == "link" else path.open("rb") as content:
            size = content.seek(0, os.SEEK_END)
            digest.update(os.fsencode(path.relative_to(tree)) + f"\0{kind}\0{size}\0".encode())
            content.seek(0)
            while data := content.read(CHUNK_BYTES):  # it may be larger than the memory
                digest.update(data)
    return digest.hexdigest()[:40]


def _make(tree: Path, made: Path, setup_patch: str, source: str, plain_modes: bool) -> None:
    if setup_patch.strip():
        # In a copy of its own: when a file was made, and its inode, would tell which ones the patch has changed.
        patched = made.with_name("patched")
        copy_files(tree, patched, plain_modes)
        git("init", "--quiet", "--template=", cwd=patched)
        try:
            git("apply", "--whitespace=nowarn", "-", cwd=patched, stdin=setup_patch.encode())
        except TaskError as error:
            raise TaskError(f"the setup patch of source {source!r} does not apply: {error}") from error
        tree, plain_modes = patched, False
    repository = made / "repository"
    copy_files(tree, repository, plain_modes)
    git("init", "--quiet", "--initial-branch=main", "--template=", cwd=repository)
    for key, value in _CONFIG.items():
        git("config", key, value, cwd=repository)
    commit = commit_everything(repository)
    (made / "base_commit").write_text(commit + "\n")


def commit_everything(repository: Path) -> str:
    """Make the one commit, drop everything else that git left, and set every file's time to one moment; returns the sha."""
    for path in files_of(repository):
        os.utime(path, (MOMENT, MOMENT), follow_symlinks=False)
    git("add", "--all", "--force", ".", cwd=repository)
    git("commit", "--quiet", "--allow-empty", "--no-verify", "--message=base", cwd=repository)
    git("repack", "-a", "-d", "--quiet", cwd=repository)
    git("prune", "--expire=now", cwd=repository)
    for name in ("COMMIT_EDITMSG", "logs", "hooks", "branches", "description"):
        left = repository / ".git" / name
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)
    return git("rev-parse", "HEAD", cwd=repository).strip()


def strip_history_script(folder: str) -> str:
    """A bash script that leaves the git repository at `folder` with HEAD alone, under its own sha, and prints that sha.

    Remotes, other refs, reflogs, stashes, parents, what is staged and unreachable objects go; the working tree stays as it is.
    """
    return f"repository={shlex.quote(folder)}\n" + Path(__file__).with_name("strip_history.bash").read_text("utf-8")


def strip_history(folder: Path) -> str:
    """Strip a git repository on this machine (see `strip_history_script`); returns the sha of its only commit.

    Raises:
        TaskError: it is not a git repository, or it could not be stripped.
    """
    variables = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), **_GIT}
    script = strip_history_script(str(folder))
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, env=variables, check=False)
    if done.returncode:
        raise TaskError(f"the history of {folder} could not be stripped: {done.stderr.strip()[-2000:]}")
    return done.stdout.strip()
