"""From sources to one-commit repositories, and stripping the history of those that have one."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import socket
import tarfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from swe_srl.errors import TaskError
from swe_srl.sandboxes import repository as repository_module
from swe_srl.sandboxes.archives import BoundedTar, extract_archive
from swe_srl.sandboxes.launch import owner_name
from swe_srl.sandboxes.repository import PreparedRepository, git, prepare_repository, strip_history
from swe_srl.sandboxes.source_files import copy_files, files_of
from tests.sandbox_support import FILES, write_tree

PATCH = """\
--- a/src/tool.py
+++ b/src/tool.py
@@ -1 +1 @@
-VALUE = 1
+VALUE = 2
--- a/src/gone/old.txt
+++ /dev/null
@@ -1 +0,0 @@
-old
"""


def prepare(source: str, tmp_path: Path, patch: str = "") -> PreparedRepository:
    return prepare_repository(source, patch, tmp_path / "cache")


def objects(repository: Path) -> set[str]:
    listing = git("cat-file", "--batch-all-objects", "--batch-check", cwd=repository)
    return {line.split()[0] for line in listing.splitlines()}


def reachable(repository: Path) -> set[str]:
    return {line.split()[0] for line in git("rev-list", "--objects", "HEAD", cwd=repository).splitlines()}


def test_one_commit_and_nothing_else(tmp_path: Path) -> None:
    write_tree(tmp_path / "tree")
    (tmp_path / "tree/.gitignore").write_text("*.txt\n")
    (tmp_path / "tree/run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "tree/run.sh").chmod(0o700)
    (tmp_path / "tree/link").symlink_to("README.md")
    (tmp_path / "tree/__pycache__").mkdir()
    (tmp_path / "tree/__pycache__/x.pyc").write_bytes(b"x")
    made = prepare(f"dir:{tmp_path}/tree", tmp_path)
    tracked = set(git("ls-files", cwd=made.path).split())
    assert tracked == {*FILES, ".gitignore", "run.sh", "link"}  # ignored files too, byte code not
    assert git("status", "--porcelain", "--ignored", cwd=made.path) == ""
    assert git("rev-parse", "HEAD", cwd=made.path).strip() == made.base_commit
    assert git("rev-list", "--all", "--count", cwd=made.path) == "1\n"
    assert git("remote", cwd=made.path) == git("reflog", "--all", cwd=made.path) == git("tag", cwd=made.path) == ""
    assert objects(made.path) == reachable(made.path)
    assert git("ls-files", "--stage", "run.sh", cwd=made.path).startswith("100755")
    assert not (made.path / ".git/hooks").exists()


def test_commit_is_the_same_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the clock, the umask, the user's git settings and the place."""
    first = prepare(f"dir:{write_tree(tmp_path / 'one')}", tmp_path)
    assert first.base_commit == "b0f52ba320b1da0e70ea00113f0d82efbfc7da17"
    settings = tmp_path / "home/.gitconfig"
    settings.parent.mkdir()
    settings.write_text("[user]\nname = Somebody\n[core]\nautocrlf = true\n[commit]\ngpgsign = true\n")
    monkeypatch.setenv("HOME", str(settings.parent))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    old = os.umask(0o077)
    try:
        second = prepare_repository(f"dir:{write_tree(tmp_path / 'two')}", cache=tmp_path / "other-cache")
    finally:
        os.umask(old)
    assert second.base_commit == first.base_commit and second.path != first.path


def test_setup_patch(tmp_path: Path) -> None:
    source = f"dir:{write_tree(tmp_path / 'tree')}"
    plain, patched = prepare(source, tmp_path), prepare(source, tmp_path, PATCH)
    assert plain.base_commit != patched.base_commit
    assert (patched.path / "src/tool.py").read_text() == "VALUE = 2\n"
    assert not (patched.path / "src/gone").exists()
    assert git("rev-list", "--all", "--count", cwd=patched.path) == "1\n"
    blobs = "".join(git("cat-file", "-p", sha, cwd=patched.path) for sha in objects(patched.path))
    assert "VALUE = 1" not in blobs
    with pytest.raises(TaskError, match=r"setup patch of source 'dir:.*does not apply"):
        prepare(source, tmp_path, PATCH.replace("VALUE = 1", "VALUE = 7"))


def test_sources_agree(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "project-1.0")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tree, arcname="project-1.0")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        for name in FILES:
            zipped.write(tree / name, f"project-1.0/{name}")
    upstream = tmp_path / "upstream"
    write_tree(upstream)
    git("init", "--quiet", cwd=upstream)
    git("add", ".", cwd=upstream)
    git("commit", "--quiet", "--message=first", cwd=upstream)
    first = git("rev-parse", "HEAD", cwd=upstream).strip()
    (upstream / "src/tool.py").write_text("FIX = 1\n")
    git("commit", "--quiet", "--all", "--message=the fix", cwd=upstream)
    sources = [f"dir:{tree}", f"archive:{tmp_path}/a.tar.gz", f"archive:{tmp_path}/a.zip", f"git:{upstream}@{first}"]
    made = {prepare(source, tmp_path) for source in sources}
    assert len(made) == 1
    assert "FIX" not in "".join(path.read_text() for path in made.pop().path.rglob("*.py"))


@pytest.mark.parametrize("missing", [False, True])
def test_nothing_that_a_repositorys_configuration_names_is_run(tmp_path: Path, missing: bool) -> None:
    """Hooks, filters, the file system monitor, and a remote that would be asked for missing objects."""
    upstream = write_tree(tmp_path / "upstream")
    (upstream / ".gitattributes").write_text("*.py filter=evil\n")
    git("init", "--quiet", cwd=upstream)
    git("add", ".", cwd=upstream)
    git("commit", "--quiet", "--message=first", cwd=upstream)
    sha = git("rev-parse", "HEAD:README.md", cwd=upstream).strip()
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("post-index-change", "post-checkout", "reference-transaction"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran-hook\n")
        (hooks / name).chmod(0o755)
    settings = {
        "filter.evil.smudge": f"touch {tmp_path}/ran-filter; cat",
        "core.fsmonitor": f"touch {tmp_path}/ran-monitor; true",
        "core.hooksPath": str(hooks),
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "evil",
        "remote.evil.url": f"ext::touch {tmp_path}/ran-remote",
        "remote.evil.promisor": "true",
        "protocol.ext.allow": "always",
    }
    for name, value in settings.items():
        git("config", name, value, cwd=upstream)
    if missing:
        (upstream / ".git/objects" / sha[:2] / sha[2:]).unlink()
        with pytest.raises(TaskError, match=r"README\.md"):
            prepare(f"git:{upstream}@HEAD", tmp_path)
        with pytest.raises(TaskError, match=r"it has no commit '1{40}'"):
            prepare(f"git:{upstream}@{'1' * 40}", tmp_path)
    else:
        assert (prepare(f"git:{upstream}@HEAD", tmp_path).path / "README.md").read_text() == FILES["README.md"]
    assert not list(tmp_path.glob("ran-*"))


def test_pipes_and_sockets_are_no_files(tmp_path: Path) -> None:
    first = prepare(f"dir:{write_tree(tmp_path / 'one')}", tmp_path)
    tree = write_tree(tmp_path / "two")
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(tree):
        server.bind("socket")
    assert prepare(f"dir:{tree}", tmp_path) == first


def test_packaged_source(tmp_path: Path) -> None:
    from importlib import resources

    root = resources.files("swe_srl") / "data" / "quickstart" / "repos"
    name = sorted(entry.name for entry in root.iterdir() if entry.is_dir())[0]
    made = prepare(f"packaged:quickstart/repos/{name}", tmp_path)
    assert list(made.path.rglob("*.py"))


def test_many_at_once(tmp_path: Path) -> None:
    source = f"dir:{write_tree(tmp_path / 'tree')}"
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: prepare(source, tmp_path), range(16)))
    assert len(made) == 1
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [made.pop().path.parent.name]


@pytest.mark.parametrize("spoilt", ["base_commit", "repository/.git/refs/heads/main"])
def test_an_entry_of_the_cache_that_is_not_whole_is_made_again(spoilt: str, tmp_path: Path) -> None:
    """As a machine that went down leaves it. With a commit that was cut short every patch would be empty."""
    source = f"dir:{write_tree(tmp_path / 'tree')}"
    made = prepare(source, tmp_path)
    file = made.path.parent / spoilt
    for spoil in (lambda: file.write_text(""), lambda: file.write_text(made.base_commit[:7]), file.unlink):
        spoil()
        assert prepare(source, tmp_path) == made
        assert git("rev-parse", "HEAD", cwd=made.path).strip() == made.base_commit
    assert list((tmp_path / "cache").iterdir()) == [made.path.parent]


def test_files_that_the_setup_patch_changes_are_not_told_from_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By their inodes, or when they were made (`stat -c %w`): all are written in one go, after the patch was applied."""
    written: dict[Path, int] = {}

    def copy(tree: Path, target: Path, plain_modes: bool) -> None:
        copy_files(tree, target, plain_modes)
        written.clear()
        written.update({path.relative_to(target): path.lstat().st_ino for path in files_of(target)})

    monkeypatch.setattr(repository_module, "copy_files", copy)
    made = prepare(f"dir:{write_tree(tmp_path / 'tree')}", tmp_path, PATCH)
    assert (made.path / "src/tool.py").read_text() == "VALUE = 2\n" and not (made.path / "src/gone").exists()
    assert {path.relative_to(made.path): path.lstat().st_ino for path in files_of(made.path)} == written


def test_what_a_killed_process_was_preparing_is_swept(tmp_path: Path) -> None:
    here = "-".join(owner_name().split("-")[2:])
    for owner in (f"4000000-123-{here}", owner_name()):
        (tmp_path / "cache" / f".making-{owner}-0123" / "tree").mkdir(parents=True)
    prepare(f"dir:{write_tree(tmp_path / 'tree')}", tmp_path)
    left = [path.name for path in (tmp_path / "cache").glob(".making-*")]
    assert left == [f".making-{owner_name()}-0123"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "kind of source"),
        ("dri:/x", "did you mean 'dir'"),
        ("dir:/nowhere/at/all", "there is no folder"),
        ("packaged:quickstart/repos/nothing", "there is no folder"),
        ("git:/tmp", "say which commit"),
        ("git:/nowhere@abc", "there is no folder"),
        ("archive:/nowhere.tar", "No such file"),
    ],
)
def test_sources_that_cannot_be(tmp_path: Path, source: str, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        prepare(source, tmp_path)


def test_a_git_repository_without_that_commit(tmp_path: Path) -> None:
    git("init", "--quiet", cwd=tmp_path)
    with pytest.raises(TaskError, match="nothing has been committed in it yet"):
        prepare(f"git:{tmp_path}@HEAD", tmp_path / "cache")
    git("commit", "--quiet", "--allow-empty", "--message=first", cwd=tmp_path)
    with pytest.raises(TaskError, match=r"it has no commit 'v1\.0'"):
        prepare(f"git:{tmp_path}@v1.0", tmp_path / "cache")


def test_broken_archive(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"no archive")
    with pytest.raises(TaskError, match="not a readable archive"):
        prepare(f"archive:{tmp_path}/x.tar", tmp_path)
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        (tmp_path / "file").write_text("x")
        archive.add(tmp_path / "file", arcname="../../escaped")
    with pytest.raises(TaskError, match="not a readable archive"):
        prepare(f"archive:{tmp_path}/evil.tar", tmp_path)
    assert not (tmp_path.parent / "escaped").exists()


def linked(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    "members",
    [
        [linked("a", tarfile.LNKTYPE, "nothing")],
        [linked("a", tarfile.SYMTYPE, "b"), linked("b", tarfile.SYMTYPE, "a"), tarfile.TarInfo("a/x")],
        [linked("a", tarfile.SYMTYPE, "b"), linked("b", tarfile.SYMTYPE, "c"), linked("c", tarfile.LNKTYPE, "a")],
    ],
)
def test_an_archive_whose_links_lead_nowhere(tmp_path: Path, members: list[tarfile.TarInfo]) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for member in members:
            archive.addfile(member)
    with pytest.raises(TaskError, match="not a readable archive"):
        prepare(f"archive:{tmp_path}/x.tar", tmp_path)


def test_an_archive_that_was_spoilt_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(range(256)) * 1000)
    with tarfile.open(tmp_path / "whole.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "file", arcname="file")
    whole = (tmp_path / "whole.tar.gz").read_bytes()
    for spoilt in (whole[: len(whole) // 2], whole[:-8] + bytes(4) + whole[-4:]):  # cut; with another sum
        (tmp_path / "x.tar.gz").write_bytes(spoilt)
        with pytest.raises(TaskError):
            prepare(f"archive:{tmp_path}/x.tar.gz", tmp_path)
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name in ("a", "b"):
            archive.addfile(tarfile.TarInfo(name))
    (tmp_path / "x.tar").write_bytes((tmp_path / "x.tar").read_bytes()[: tarfile.BLOCKSIZE])  # cut between two members
    with pytest.raises(TaskError, match="its end is missing"):
        prepare(f"archive:{tmp_path}/x.tar", tmp_path)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as zipped:
        zipped.writestr("file", "x" * 1000)
    data = bytearray((tmp_path / "x.zip").read_bytes())
    data[6] = data[data.index(b"PK\1\2") + 8] = 1  # says that it is encrypted
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(TaskError, match="encrypted"):
        prepare(f"archive:{tmp_path}/x.zip", tmp_path)


@pytest.mark.parametrize("where", ["member", "after", "zip"])
def test_an_archive_of_endless_zeros_fills_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setattr("swe_srl.sandboxes.archives.LARGEST_BYTES", 1 << 22)
    path = tmp_path / "x"
    if where == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
            zipped.writestr("file", bytes(1 << 23))
    else:
        with gzip.open(path, "w") as packed:
            with tarfile.open(fileobj=packed, mode="w") as archive:
                member = tarfile.TarInfo("file")
                member.size = 1 << 23 if where == "member" else 0
                archive.addfile(member, io.BytesIO(bytes(member.size)))
            packed.write(bytes(1 << 23))
    with pytest.raises(TaskError, match=r"it holds more than 4 MB .*: unpack it"):
        prepare(f"archive:{path}", tmp_path)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_an_archive_of_endless_files_fills_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr("swe_srl.sandboxes.archives.LARGEST_BYTES", 1 << 20)
    path = tmp_path / "x"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as zipped:
            for number in range(300):
                zipped.writestr(f"{number}", b"")
    else:
        with tarfile.open(path, "w:gz") as archive:
            for number in range(300):
                archive.addfile(tarfile.TarInfo(f"{number}"))
    with pytest.raises(TaskError, match=r"it holds more than 1 MB .*: unpack it"):
        prepare(f"archive:{path}", tmp_path)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_an_archive_of_endless_names_fills_no_memory(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("names")
    member.type, member.size = kind, 1 << 40
    (tmp_path / "x").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(TaskError, match="names, attributes or holes of a member in more than"):
        prepare(f"archive:{tmp_path / 'x'}", tmp_path)


def headers(kind: str) -> bytes:
    """What comes before a member without ever being a large piece: attributes, or maps of holes."""
    if kind == "attributes":
        attributes = b"600000 comment=" + b"x" * 599_984 + b"\n"
        member = tarfile.TarInfo("attributes")
        member.type, member.size = tarfile.XHDTYPE, len(attributes)
        return 2 * (member.tobuf(tarfile.GNU_FORMAT) + attributes + bytes(-len(attributes) % 512))
    member = tarfile.TarInfo("sparse")
    member.type = tarfile.GNUTYPE_SPARSE
    first = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    first[482] = 1  # more of the map follows
    first[148:156] = b" " * 8
    first[148:156] = b"%06o\0 " % sum(first)
    return bytes(first) + (b"00000000001\0" * 42 + b"\1" + bytes(7)) * 3000


@pytest.mark.parametrize("kind", ["attributes", "holes"])
def test_an_archive_of_endless_headers_fills_no_memory(tmp_path: Path, kind: str) -> None:
    with gzip.open(tmp_path / "x.tar.gz", "wb") as packed:
        packed.write(headers(kind) + tarfile.TarInfo("file").tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(TaskError, match="names, attributes or holes of a member in more than"):
        prepare(f"archive:{tmp_path}/x.tar.gz", tmp_path)


def test_nothing_of_an_archives_members_is_kept(tmp_path: Path) -> None:
    def write(attributes: Callable[[int], dict[str, str]]) -> Path:
        with (tmp_path / "x.tar").open("wb") as file:
            for number in range(200):
                file.write(tarfile.TarInfo.create_pax_global_header(attributes(number)))
                file.write(tarfile.TarInfo(f"{number}").tobuf(tarfile.PAX_FORMAT))
            file.write(bytes(1024))
        return tmp_path / "x.tar"

    with BoundedTar.open(write(lambda number: {"comment": f"{number}"})) as archive:
        assert [(member.name, len(archive.members)) for member in archive.each()][-1] == ("199", 0)
    with pytest.raises(TaskError, match="more than 100 attributes of all members"):
        prepare(f"archive:{write(lambda number: {f'a{number}': 'x'})}", tmp_path)


def test_hard_links_are_copies_of_what_was_extracted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not sought in the archive each time: of many links that takes for ever."""
    sought = []
    extract = BoundedTar.extractfile
    monkeypatch.setattr(BoundedTar, "extractfile", lambda tar, member: sought.append(member) or extract(tar, member))
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        member = tarfile.TarInfo("a")
        member.size, member.mode = 4, 0o755
        archive.addfile(member, io.BytesIO(b"text"))
        for name, target in (("b", "a"), ("c", "b"), ("a", "c"), ("a", "a")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.LNKTYPE, target
            archive.addfile(member)
    tree = extract_archive(tmp_path / "x.tar", tmp_path / "tree")
    assert {path.name: (path.read_bytes(), path.stat().st_mode & 0o777) for path in tree.iterdir()} == dict.fromkeys(
        "abc", (b"text", 0o755)
    )
    assert len(sought) == 1


def make_history(folder: Path) -> str:
    """A repository whose HEAD is followed, in every way git knows, by a fix; returns HEAD."""
    write_tree(folder)
    git("init", "--quiet", "--initial-branch=master", cwd=folder)
    for number in range(3):
        (folder / "count").write_text(f"{number}\n")
        git("add", ".", cwd=folder)
        git("commit", "--quiet", f"--message=commit {number}", cwd=folder)
    head = git("rev-parse", "HEAD", cwd=folder).strip()
    (folder / "count").write_text("THE FIX\n")
    git("commit", "--quiet", "--all", "--message=fix", cwd=folder)
    for place in ("branch", "tag"):
        git(place, f"{place}-of-the-fix", cwd=folder)
    git("update-ref", "refs/remotes/origin/main", "HEAD", cwd=folder)
    git("remote", "add", "origin", "https://example.org/x.git", cwd=folder)
    git("pack-refs", "--all", cwd=folder)
    git("repack", "-a", "-d", "-q", cwd=folder)
    git("reset", "--quiet", "--hard", head, cwd=folder)
    (folder / "count").write_text("THE FIX AGAIN\n")
    git("stash", cwd=folder)
    git("hash-object", "-w", "--stdin", cwd=folder, stdin=b"THE FIX dangling\n")
    git("notes", "add", "-m", "THE FIX is noted", cwd=folder)
    (folder / "untracked").write_text("kept\n")
    return head


def test_history_is_stripped(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    head = make_history(folder)
    assert strip_history(folder) == head
    assert git("rev-parse", "HEAD", cwd=folder).strip() == head
    assert git("rev-list", "--all", "--count", cwd=folder) == "1\n"
    assert git("log", "--all", "--reflog", "--format=%s", cwd=folder) == "commit 2\n"
    for question in (["remote"], ["stash", "list"], ["tag"], ["reflog", "--all"]):
        assert git(*question, cwd=folder) == ""
    assert objects(folder) == reachable(folder)
    assert git("fsck", "--unreachable", "--lost-found", cwd=folder) == ""
    everything = "".join(git("cat-file", "-p", sha, cwd=folder) for sha in objects(folder))
    assert "THE FIX" not in everything and "commit 1" not in everything
    assert not [path for path in (folder / ".git").rglob("*") if path.is_file() and b"THE FIX" in path.read_bytes()]
    assert git("status", "--porcelain", cwd=folder) == "?? untracked\n"
    before = sorted((path, path.stat().st_mtime_ns) for path in (folder / ".git").rglob("*"))
    assert strip_history(folder) == head  # nothing more to do
    assert sorted((path, path.stat().st_mtime_ns) for path in (folder / ".git").rglob("*")) == before


@pytest.mark.parametrize("bare", [False, True])
def test_a_linked_working_tree_is_stripped(tmp_path: Path, bare: bool) -> None:
    main, folder = tmp_path / "main", tmp_path / "linked"
    main.mkdir()
    head = make_history(main)
    git("worktree", "add", "--quiet", "--detach", str(folder), head, cwd=main)
    git("checkout", "--quiet", "--force", "--detach", "tag-of-the-fix", cwd=main)
    if bare:
        git("config", "core.bare", "true", cwd=main)
    assert strip_history(folder) == strip_history(folder) == head
    assert git("rev-list", "--all", "HEAD", "--count", cwd=folder) == "1\n"
    assert objects(folder) == reachable(folder)
    everything = "".join(git("cat-file", "-p", sha, cwd=folder) for sha in objects(folder))
    assert "THE FIX" not in everything and git("status", "--porcelain", cwd=folder) == ""
    assert not [path for path in (main / ".git").rglob("*") if path.is_file() and b"THE FIX" in path.read_bytes()]


@pytest.mark.parametrize("stripped", [False, True])
def test_what_merges_and_rebases_leave_is_stripped(tmp_path: Path, stripped: bool) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    make_history(folder)
    if stripped:
        strip_history(folder)
    names = "MERGE_MSG SQUASH_MSG COMMIT_EDITMSG AUTO_MERGE gitk.cache rebase-apply/patch rebase-merge/x sequencer/x BISECT_LOG"
    for path in (folder / ".git" / name for name in names.split()):
        path.parent.mkdir(exist_ok=True)
        path.write_text("THE FIX\n")
    strip_history(folder)
    assert not [path for path in (folder / ".git").rglob("*") if path.is_file() and b"THE FIX" in path.read_bytes()]
    assert git("status", "--porcelain", cwd=folder) == "?? untracked\n"


@pytest.mark.parametrize("stripped", [False, True])
@pytest.mark.parametrize("way", ["staged", "conflict", "resolved", "removed"])
def test_what_only_the_index_holds_is_stripped(tmp_path: Path, way: str, stripped: bool) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    head = make_history(folder)
    if stripped:
        strip_history(folder)
    blob = git("hash-object", "-w", "--stdin", cwd=folder, stdin=b"THE FIX is here\n").strip()
    staged = f"100644 {blob} 1\tcount\n100644 {blob} 2\tcount\n100644 {blob} 3\tcount\n".encode()
    if way == "staged":
        git("update-index", "--add", "--cacheinfo", f"100644,{blob},count", cwd=folder)
        git("update-index", "--add", "--cacheinfo", f"100644,{blob},fresh", cwd=folder)
    elif way == "removed":
        git("update-index", "--force-remove", "count", cwd=folder)
    else:
        git("update-index", "--index-info", cwd=folder, stdin=f"0 {'0' * 40}\tcount\n".encode() + staged)
    if way == "resolved":  # as `git add` after a merge: git remembers what was in conflict
        git("add", "count", cwd=folder)
    assert strip_history(folder) == head
    assert objects(folder) == reachable(folder)
    assert git("ls-files", "--stage", cwd=folder).split() == [
        word
        for line in git("ls-tree", "-r", head, cwd=folder).splitlines()
        for word in (line.split()[0], line.split()[2], "0", line.split()[3])
    ]
    assert git("status", "--porcelain", cwd=folder) == "?? untracked\n"


@pytest.mark.parametrize("linked", [False, True])
def test_what_an_index_in_two_parts_said_is_stripped(tmp_path: Path, linked: bool) -> None:
    main = tmp_path / "main"
    main.mkdir()
    head = make_history(main)
    folder = tmp_path / "linked" if linked else main
    if linked:
        git("worktree", "add", "--quiet", "--detach", str(folder), head, cwd=main)
    blob = git("hash-object", "-w", "--stdin", cwd=folder, stdin=b"THE FIX is here\n").strip()
    git("update-index", "--add", "--cacheinfo", f"100644,{blob},of_the_fix.py", cwd=folder)
    git("update-index", "--split-index", cwd=folder)
    git("update-index", "--force-remove", "of_the_fix.py", cwd=folder)
    assert [path for path in (main / ".git").rglob("sharedindex.*") if b"of_the_fix" in path.read_bytes()]
    assert strip_history(folder) == strip_history(folder) == head
    assert not [path for path in (main / ".git").rglob("*") if path.is_file() and b"of_the_fix" in path.read_bytes()]
    assert git("status", "--porcelain", cwd=folder) == ("" if linked else "?? untracked\n")


@pytest.mark.parametrize("stripped", [False, True])
def test_what_is_said_of_branches_and_servers_is_stripped(tmp_path: Path, stripped: bool) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    head = make_history(folder)
    if stripped:
        strip_history(folder)
    config = folder / ".git" / "config"
    config.write_text(
        config.read_text()
        + '[branch "fix.1 \\"a\\""]\n\tdescription = THE FIX\n\tmerge = refs/pull/1/head\n'
        + '[http "https://example.org/"]\n\textraheader = AUTHORIZATION: THE FIX\n[user]\n\tname = me\n'
    )
    for name in ("description", "info/left", "refs/left", "refs/heads/deep/left"):
        (folder / ".git" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / ".git" / name).write_text("THE FIX\n")
    (folder / ".git" / "info" / "exclude").write_text("untracked\n")
    assert strip_history(folder) == head
    assert not [path for path in (folder / ".git").rglob("*") if path.is_file() and b"THE FIX" in path.read_bytes()]
    assert git("config", "user.name", cwd=folder) == "me\n" and "branch" not in config.read_text()
    assert git("status", "--porcelain", cwd=folder) == ""
    assert git("rev-list", "--all", cwd=folder) == f"{head}\n"


def test_programs_of_a_repository_are_not_run_when_it_is_stripped(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    head = make_history(folder)
    hook = folder / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/run\nexit 1\n")
    hook.chmod(0o755)
    git("config", "core.fsmonitor", f"touch {tmp_path}/run;", cwd=folder)
    (folder / "count").write_text("staged\n")
    git("-c", "core.fsmonitor=false", "add", "count", cwd=folder)
    assert strip_history(folder) == head and not (tmp_path / "run").exists()
    assert git("config", "core.fsmonitor", cwd=folder) and hook.exists(), "they are the repository's own"


def test_locks_that_a_killed_git_left_are_no_hindrance(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    head = make_history(folder)
    for name in (
        "index",
        "config",
        "HEAD",
        "packed-refs",
        "shallow",
        "refs/heads/main",
        "refs/heads/branch-of-the-fix",
    ):
        (folder / ".git" / f"{name}.lock").touch()
    assert strip_history(folder) == head
    assert objects(folder) == reachable(folder) and not list((folder / ".git").rglob("*.lock"))


@pytest.mark.parametrize("stripped", [False, True])
def test_what_is_half_fetched_or_half_packed_is_stripped(tmp_path: Path, stripped: bool) -> None:
    """What git was killed over stays among the objects under names of its own, which git itself never looks at."""
    folder = tmp_path / "project"
    folder.mkdir()
    make_history(folder)
    (tmp_path / "all").mkdir()
    git("pack-objects", "--all", str(tmp_path / "all" / "pack"), cwd=folder)
    (pack,) = (tmp_path / "all").glob("*.pack")
    if stripped:
        strip_history(folder)
    objects = folder / ".git" / "objects"
    left = [
        "pack/tmp_pack_1",
        "pack/other.pack",
        "pack/.tmp-1-pack-2.pack",
        "tmp_objdir-incoming-1/pack/a.pack",
        "old/a.pack",
    ]
    for path in (objects / name for name in left):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pack.read_bytes())
    (objects / "ab").mkdir(exist_ok=True)
    (objects / "ab" / "tmp_obj_1").write_bytes(pack.read_bytes())
    strip_history(folder)
    assert not [name for name in [*left, "ab/tmp_obj_1"] if (objects / name).exists()]
    assert git("fsck", "--full", cwd=folder) == "" and git("status", "--porcelain", cwd=folder) == "?? untracked\n"


@pytest.mark.parametrize("absorbed", [True, False])
def test_submodules_are_stripped(tmp_path: Path, absorbed: bool) -> None:
    """Also inner ones, with git directories below modules/ or in the working tree, and one that is not checked out."""
    deep, middle, gone, folder = (tmp_path / name for name in ("deep", "middle", "gone", "project"))
    heads = {}
    for one in (deep, middle, gone, folder):
        one.mkdir()
        heads[one.name] = make_history(one)
    allow = ["-c", "protocol.file.allow=always"]
    for outer, inner in ((middle, deep), (folder, middle), (folder, gone)):
        git(*allow, "submodule", "--quiet", "add", "--force", str(inner), f"sub/{inner.name} x", cwd=outer)
        git("commit", "--quiet", f"--message=with {inner.name}", cwd=outer)
    git(*allow, "submodule", "--quiet", "update", "--init", "--recursive", cwd=folder)
    inside = folder / "sub" / "middle x"
    if not absorbed:
        for place in (inside / "sub" / "deep x", inside):
            own = Path(git("rev-parse", "--absolute-git-dir", cwd=place).strip())
            (place / ".git").unlink()
            own.rename(place / ".git")
            git("config", "--file", str(place / ".git" / "config"), "--unset", "core.worktree", cwd=tmp_path)
    git("submodule", "--quiet", "deinit", "--force", "sub/gone x", cwd=folder)
    before, head = git("status", "--porcelain", cwd=folder), git("rev-parse", "HEAD", cwd=folder).strip()
    assert fixes(folder)
    assert strip_history(folder) == strip_history(folder) == head
    assert git("status", "--porcelain", cwd=folder) == before
    assert not fixes(folder)
    for place in (folder, inside, inside / "sub" / "deep x"):
        assert git("rev-list", "--all", "--count", cwd=place) == "1\n" and git("fsck", "--full", cwd=place) == ""
        assert objects(place) == reachable(place) and git("remote", cwd=place) == ""
    assert git("rev-parse", "HEAD:sub/middle x", cwd=folder) == git("rev-parse", "HEAD", cwd=inside)


@pytest.mark.parametrize("within", ["", "module"])
def test_references_that_are_no_files_are_refused(tmp_path: Path, within: str) -> None:
    folder = tmp_path / "project"
    for one in (folder, folder / "module") if within else (folder,):
        one.mkdir()
        make_history(one)
    if within:
        git("add", within, cwd=folder)
        git("commit", "--quiet", "--message=with a module", cwd=folder)
    config = str(folder / within / ".git" / "config")
    git("config", "--file", config, "core.repositoryFormatVersion", "1", cwd=tmp_path)
    git("config", "--file", config, "extensions.refStorage", "reftable", cwd=tmp_path)
    with pytest.raises(TaskError, match=r"references of .*\.git are in git's format reftable.*git refs migrate"):
        strip_history(folder)


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_ALTERNATE_OBJECT_DIRECTORIES"])
def test_variables_that_lead_to_another_repository_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """An image's: that one was stripped instead, or kept what commands then see."""
    folder, other = tmp_path / "project", tmp_path / "other"
    for one in (folder, other):
        one.mkdir()
        make_history(one)
    place = other / ".git" / ("objects" if "OBJECT" in name else "")
    monkeypatch.setattr(repository_module, "_GIT", {**repository_module._GIT, name: str(place)})
    with pytest.raises(TaskError, match=f"{name}=.* leads git away from .*project"):
        strip_history(folder)


def fixes(folder: Path) -> list[Path]:
    """Files below a folder that hold the fix of `make_history`, also as a git object."""
    found = [path for path in folder.rglob("*") if path.is_file() and b"THE FIX" in path.read_bytes()]
    stores = [path.parent for path in folder.rglob("objects") if (path.parent / "HEAD").is_file()]
    for store in stores:
        shas = git("cat-file", "--batch-check=%(objectname)", "--batch-all-objects", cwd=store).split()
        found += [store / sha for sha in shas if "THE FIX" in git("cat-file", "-p", sha, cwd=store)]
    return found


@pytest.mark.parametrize("colours", ["auto", "always"])
def test_large_files_of_other_commits_are_stripped(tmp_path: Path, colours: str) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    make_history(folder)
    git("config", "color.ui", colours, cwd=folder)
    lfs, annex = folder / ".git" / "lfs", folder / ".git" / "annex"
    stored: dict[str, list[Path]] = {"now": [], "THE FIX": []}
    for content, letter in (("now", "a"), ("THE FIX", "b")):
        oid, linked, pointed = letter * 64, f"SHA256E-s3--{letter}1.bin", f"SHA256E-s3--{letter}2.bin"
        stored[content].append(lfs / "objects" / oid[:2] / oid[2:4] / oid)
        stored[content] += [annex / "objects" / "x1" / "Yz" / key / key for key in (linked, pointed)]
        if content == "now":
            (folder / "large").write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 3\n")
            (folder / "linked").symlink_to(f".git/annex/objects/x1/Yz/{linked}/{linked}")
            (folder / "pointed").write_text(f"/annex/objects/{pointed}\n")
        for path in stored[content]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            path.parent.chmod(0o555)
    (lfs / "tmp").mkdir()
    (lfs / "tmp" / "part").write_text("THE FIX")
    git("add", "large", "linked", "pointed", cwd=folder)
    git("commit", "--quiet", "--message=large", cwd=folder)
    for _ in range(2):
        strip_history(folder)
        assert [path.read_text() for path in stored["now"]] == ["now"] * 3 and not fixes(folder)
    assert git("status", "--porcelain", cwd=folder) == "?? untracked\n"


def test_one_empty_commit_below_head_is_left(tmp_path: Path) -> None:
    write_tree(tmp_path)
    git("init", "--quiet", cwd=tmp_path)
    git("config", "core.logAllRefUpdates", "false", cwd=tmp_path)
    git("commit", "--quiet", "--allow-empty", "--message=empty", cwd=tmp_path)
    git("add", ".", cwd=tmp_path)
    git("commit", "--quiet", "--message=base", cwd=tmp_path)
    strip_history(tmp_path)
    assert git("rev-list", "--all", "--count", cwd=tmp_path) == "2\n"


def test_stripping_what_is_no_repository(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="could not be stripped"):
        strip_history(tmp_path)
