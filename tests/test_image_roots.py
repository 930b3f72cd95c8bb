"""Images without an engine: unpacked from archives or from the engine, and run by the local sandbox."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import io
import json
import lzma
import os
import shlex
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from swe_srl.cli import main
from swe_srl.envs import SweEnv
from swe_srl.envs import places as places_module
from swe_srl.errors import ConfigError, SandboxError, SandboxUnavailableError
from swe_srl.files import write_jsonl
from swe_srl.sandboxes import archives, image_roots, image_unpack, make_sandbox, making
from swe_srl.sandboxes.launch import owner_name
from swe_srl.sandboxes.making import alone
from swe_srl.tasks import load_tasks
from swe_srl.types import SandboxSpec, Task
from tests.sandbox_support import is_root

NAME = "example/flask:1"
PROGRAMS = (
    "bash",
    "cat",
    "ls",
    "git",
    "mkdir",
    "ln",
    "rm",
    "find",
    "base64",
    "wc",
    "head",
    "awk",
    "cp",
    "readlink",
    "dirname",
    "env",
)
ENV = {"PATH": "/opt/tool/bin:/usr/bin:/bin", "COLOUR": "blue", "PAGER": "less"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no engine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere.sock")
    image_roots.image_root.cache_clear()
    return image_roots.image_cache()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system that can run a shell and git, with a repository of two commits at /testbed."""
    root = tmp_path_factory.mktemp("system")
    for folder in ("usr/bin", "usr/lib/git-core", "etc", "tmp", "opt/tool/bin", "testbed"):
        (root / folder).mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    files = set()
    for program in PROGRAMS:
        path = str(Path(f"/usr/bin/{program}").resolve())
        listing = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        files |= {f"/usr/bin/{program}", *(word for word in listing.split() if word.startswith("/"))}
    files |= {str(path) for path in Path("/usr/lib/locale").glob("C.*")}
    subprocess.run(["cp", "-rL", "--parents", *sorted(files), str(root)], check=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\nworker:x:1234:1235::/home/worker:/bin/bash\n")
    (root / "opt/tool/bin/hello").write_text("#!/bin/bash\necho hello from the image\n")
    (root / "opt/tool/bin/hello").chmod(0o755)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(root / "testbed")]
    subprocess.run([*git, "init", "-q"], check=True)
    for text in ("the fix is here\n", "broken\n"):
        (root / "testbed/code.txt").write_text(text)
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "-qm", text], check=True)
    (root / "testbed/built.o").write_text("a build's trace\n")
    return root


def tar_of(entries: Mapping[str, bytes | str | None], folder: Path | None = None) -> bytes:
    """A tar file of a folder, and of entries: bytes are files, text is a link's target, None is a folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        if folder is not None:
            tar.add(folder, arcname=".")
        for name, content in entries.items():
            member = tarfile.TarInfo(name)
            member.mode = 0o755
            if isinstance(content, bytes):
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
                continue
            member.type = tarfile.SYMTYPE if content else tarfile.DIRTYPE
            member.linkname = content or ""
            tar.addfile(member)
    return buffer.getvalue()


def saved(path: Path, layers: list[bytes], user: str = "") -> tuple[Path, str]:
    """An archive as `docker save` writes it, and its image's id."""
    config = json.dumps({"config": {"Env": [f"{name}={value}" for name, value in ENV.items()], "User": user}}).encode()
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [NAME], "Layers": names}]).encode()
    entries = {"manifest.json": manifest, "config.json": config, **dict(zip(names, layers, strict=True))}
    path.write_bytes(tar_of(entries))
    return path, f"sha256:{hashlib.sha256(config).hexdigest()}"


def image_task() -> Task:
    return Task("a__b-1", "a/b", "0" * 40, "Mend it.", image=NAME)


@pytest.mark.sandbox
def test_a_saved_image_is_run_as_a_container_would(system: Path, tmp_path: Path) -> None:
    changes = tar_of(
        {
            "etc/.wh.motd": b"",
            "old/.wh..wh..opq": b"",
            "old/new.txt": b"new",
            "dev/evil": b"",
            "fresh/": None,
            "fresh/.wh..wh..opq": b"",
            "fresh/file": b"x",
        }
    )
    layers = [
        tar_of({"etc/motd": b"gone", "old/old.txt": b"old", "usr/lib/dev/kept": b"x"}, system),
        gzip.compress(changes),
    ]
    archive, image_id = saved(tmp_path / "image.tar", layers)
    assert image_roots.unpack(NAME, archive).id == image_id
    with make_sandbox("local", SandboxSpec(image=NAME)) as sandbox:
        assert (
            sandbox.run("hello; echo $COLOUR $PAGER $HOME $UID; pwd").output
            == "hello from the image\nblue cat /root 0\n/testbed\n"
        )
        assert sandbox.run("ls /old /usr/lib/dev; ls /etc").output.split() == [
            "/old:", "new.txt", "/usr/lib/dev:", "kept", "hostname", "hosts", "passwd", "resolv.conf",
        ]  # fmt: skip
        assert sandbox.run("echo changed > /etc/passwd; cat /etc/passwd").output == "changed\n"
    with make_sandbox("local", SandboxSpec(image=NAME)) as sandbox:
        assert "worker" in sandbox.run("cat /etc/passwd").output, "the root file system is shared, and only read"


@pytest.mark.sandbox
def test_a_layer_changes_what_is_there_and_replaces_what_is_of_another_kind(tmp_path: Path) -> None:
    below = {
        "shared/": None, "shared/old": b"x", "folder/": None, "folder/deep/": None, "folder/deep/old": b"x",
        "was/": None, "was/old": b"x", "seen/": None, "seen/here/": None, "seen/here/old": b"x", "link": "seen", "file": b"x",
        "kept": "shared",
    }  # fmt: skip
    above = {
        "shared/": None, "shared/new": b"x", "folder": b"x", "was": "shared", "link/": None, "link/here": b"x",
        "file/": None, "file/new": b"x", "kept/through": b"x",
    }  # fmt: skip
    root = image_roots.unpack(NAME, saved(tmp_path / "image.tar", [tar_of(below), tar_of(above)])[0]).path
    found = {str(path.relative_to(root)) for path in root.rglob("*")} - {"dev", "proc", "sys", "tmp", "etc"}
    assert {path for path in found if not path.startswith("etc/")} == {
        "shared", "shared/old", "shared/new", "shared/through", "folder", "was", "kept", "link", "link/here",
        "seen", "seen/here", "seen/here/old", "file", "file/new",
    }  # fmt: skip
    assert (root / "folder").is_file() and (root / "was").is_symlink() and (root / "kept").is_symlink()
    assert (root / "link/here").is_file() and not (root / "link").is_symlink()


@pytest.mark.sandbox
def test_what_a_layer_hides_behind_a_link(tmp_path: Path) -> None:
    """It stayed there in silence where the link names a path from the root, which leads to nothing of the image here."""
    for number, (link, leads_out) in enumerate({"d": False, "../d": False, "/x/d": True, "../../d": True}.items()):
        below = tar_of({"x/": None, "x/d/": None, "x/d/old": b"x", "d/": None, "d/old": b"x", "x/link": link})
        archive, _ = saved(tmp_path / "image.tar", [below, tar_of({"x/link/.wh.old": b""})])
        tree = tmp_path / f"{number}"
        tree.mkdir()
        if leads_out:
            with pytest.raises(SandboxError, match="what it hides is behind a link that leads out"):
                image_unpack.unpack_archive(archive, tree)
        else:
            image_unpack.unpack_archive(archive, tree)
            assert not (tree / "x/link/old").exists()


def test_a_layer_of_another_compression_is_named(tmp_path: Path) -> None:
    frame = b"\x28\xb5\x2f\xfd"  # how what zstd writes begins
    archive, _ = saved(tmp_path / "image.tar", [frame + bytes(600)])
    tree = tmp_path / "tree"
    tree.mkdir()
    with pytest.raises(SandboxError, match="compressed by zstd: save the image with gzip, or uncompressed"):
        image_unpack.unpack_archive(archive, tree)


@pytest.mark.sandbox
def test_an_exported_image_and_its_user(system: Path, tmp_path: Path) -> None:
    (tmp_path / "export.tar.gz").write_bytes(gzip.compress(tar_of({}, system)))
    image_roots.unpack("exported", tmp_path / "export.tar.gz")
    with make_sandbox("local", SandboxSpec(image="exported")) as sandbox:
        assert sandbox.run("/opt/tool/bin/hello; cat code.txt").output == "hello from the image\nbroken\n"
    archive, _ = saved(tmp_path / "image.tar", [tar_of({"home/worker/mine": b"my own\n"}, system)], user="worker")
    root = image_roots.unpack(NAME, archive)
    assert (root.user, dict(root.env)["HOME"]) == ("1234:1235", "/home/worker")
    with make_sandbox("local", SandboxSpec(image=NAME)) as sandbox:
        assert sandbox.run("echo $UID; cat /home/worker/mine").output == "1234\nmy own\n"
        if is_root():  # to an ordinary user's sandbox all files of an image that it unpacked are its own
            assert sandbox.run("echo x >/usr/bin/x").output.startswith("bash: ")


@pytest.mark.sandbox
def test_a_user_that_the_image_does_not_have_is_refused(system: Path, tmp_path: Path) -> None:
    """It would be root otherwise; an engine refuses to start it, too."""
    archive, _ = saved(tmp_path / "image.tar", [tar_of({}, system)], user="nobody-here")
    with pytest.raises(SandboxError, match=r"runs as user 'nobody-here', whom its /etc/passwd does not have"):
        image_roots.unpack(NAME, archive)
    for user in ("\u00b2", "9999999999"):  # no numbers of users
        archive, _ = saved(tmp_path / "odd.tar", [tar_of({}, system)], user=user)
        with pytest.raises(SandboxError, match=f"runs as user '{user}', whom its /etc/passwd does not have"):
            image_roots.unpack(NAME, archive)
    archive, _ = saved(tmp_path / "numbered.tar", [tar_of({}, system)], user="4321")
    assert image_roots.unpack(NAME, archive).user == "4321:0"


@pytest.mark.sandbox
def test_an_episode_in_an_image_without_an_engine(system: Path, tmp_path: Path) -> None:
    image_roots.unpack(NAME, saved(tmp_path / "image.tar", [tar_of({}, system)])[0])
    env = SweEnv([image_task()], sandbox="local")
    commits = []
    for _ in range(2):  # the second reset finds the repository stripped
        env.reset()
        shown, *_ = env.step(
            "git log --all --oneline | wc -l; git fsck --lost-found 2>&1; git rev-parse HEAD; ls; cat code.txt"
        )
        count, commit, *rest = shown.split("\n")
        assert count == "1" and rest == ["built.o", "code.txt", "broken", ""]
        commits.append(commit)
        env.step("git cat-file --batch-all-objects --batch-check | wc -l")
        assert env.turns[-1].observation == "3\n", "a commit, a tree, a file"
        env.step("echo mended > code.txt; echo x > new.txt; echo more >> built.o")
        assert env.patch().count("diff --git") == 2 and "+mended" in env.patch()
    assert commits[0] == commits[1]
    assert "the fix is here" in subprocess.run(
        ["git", "-c", "safe.directory=*", "log", "--all", "--format=%s"],
        cwd=image_roots.image_root(NAME).path / "testbed", capture_output=True, text=True, check=True,
    ).stdout, "the unpacked image itself is as it was"  # fmt: skip
    env.close()


@pytest.mark.sandbox
def test_a_repository_that_another_script_stripped_is_stripped_again(
    system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an earlier release of the package kept beside the image may hold what it did not find."""
    image_roots.unpack(NAME, saved(tmp_path / "image.tar", [tar_of({}, system)])[0])

    def commits() -> str:
        env = SweEnv([image_task()], sandbox="local")
        try:
            env.reset()
            return env.step("git log --all --oneline | wc -l")[0]
        finally:
            env.close()

    with monkeypatch.context() as earlier:
        earlier.setattr(places_module, "strip_history_script", lambda folder: f"git -C {folder} rev-parse HEAD")
        assert int(commits()) > 1
    assert commits() == "1\n"


@pytest.mark.sandbox
def test_what_a_process_left_half_made_when_it_was_killed_goes(system: Path, tmp_path: Path) -> None:
    """In the cache and among an image's places; what a living process is making stays."""
    here = "-".join(owner_name().split("-")[2:])
    places = image_roots.unpack(NAME, saved(tmp_path / "image.tar", [tar_of({}, system)])[0]).folder / "places"
    for owner in (f"4000000-123-{here}", owner_name()):
        (places / f".making-{owner}-0123" / "root.upper").mkdir(parents=True)
    env = SweEnv([image_task()], sandbox="local")
    env.reset()
    env.close()
    assert [path.name for path in places.glob(".making-*")] == [f".making-{owner_name()}-0123"]


@pytest.mark.sandbox
@pytest.mark.parametrize("cut", ["", '{"id": "sha', "{}"])
def test_what_was_cut_short_in_the_cache_is_made_again(
    cut: str, system: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive, _ = saved(tmp_path / "image.tar", [tar_of({}, system)])
    folder = image_roots.unpack(NAME, archive).folder
    for _ in range(2):
        env = SweEnv([image_task()], sandbox="local")
        env.reset()
        env.step("echo x > new.txt")
        assert env.patch().count("diff --git") == 1
        env.close()
        (kept,) = folder.glob("places/*/place.json")
        said = kept.read_text()
        kept.write_text(cut)
    env.reset()
    env.close()
    assert kept.read_text() == said

    (folder / "image.json").write_text(cut)
    assert main(["images", "unpacked"]) == 0 and NAME not in capsys.readouterr().out
    assert image_roots.unpack(NAME, archive).folder == folder
    assert main(["images", "unpacked"]) == 0 and NAME in capsys.readouterr().out
    assert not list(image_roots.image_cache().glob("**/.making*"))


@pytest.mark.sandbox
def test_snapshots_and_forks_over_a_stripped_image(system: Path, tmp_path: Path) -> None:
    image_roots.unpack(NAME, saved(tmp_path / "image.tar", [tar_of({}, system)])[0])
    env = SweEnv([image_task()], sandbox="local")
    env.reset()
    env.reset()
    assert env.sandbox is not None
    env.step("echo a > a.txt; rm code.txt; f() { echo f $1; }; cd /opt; x=1")
    snapshot = env.sandbox.snapshot()
    with env.sandbox.fork(snapshot) as fork:
        assert (
            fork.run("f $x; pwd; ls /testbed; git -C /testbed log --all --oneline | wc -l").output
            == "f 1\n/opt\na.txt\nbuilt.o\n1\n"
        )
    snapshot.discard()
    env.close()


@pytest.mark.sandbox
@pytest.mark.parametrize("way", ["link", "name", "hidden"])
def test_layers_cannot_lead_out(way: str, system: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    first = tar_of({"trap": str(outside), "up": "../" * 20 + str(outside)})
    second = {
        "link": {"trap/written": b"x", "up/written": b"x"},
        "name": {"../../../../../written": b"x", f"{outside}/written": b"x"},
        "hidden": {"trap/.wh.kept": b"", "up/.wh..wh..opq": b""},
    }[way]
    try:
        image_roots.unpack(NAME, saved(tmp_path / "image.tar", [first, tar_of(second)])[0])
    except SandboxError as error:
        assert "could not be unpacked" in str(error) or "leads out" in str(error)
        assert not list(image_roots.image_cache().glob(".making*")), "nothing half-made is left"
    assert sorted(path.name for path in outside.iterdir()) == ["kept"]
    assert not (tmp_path / "written").exists()


@pytest.mark.sandbox
@pytest.mark.parametrize(("folder", "network"), [("run", False), ("etc", True)])
def test_links_in_the_way_of_what_is_mounted_lead_nowhere(
    folder: str, network: bool, system: Path, tmp_path: Path
) -> None:
    """Where they lead, bubblewrap made folders and files of the host when the sandbox, or a fork, was started."""
    inside = {folder: "inside", "inside/resolv.conf": b""}
    image_roots.unpack(NAME, saved(tmp_path / "image.tar", [tar_of({}, system), tar_of(inside)])[0])
    with tempfile.TemporaryDirectory(dir="/tmp") as outside:  # which everybody may enter
        Path(outside).chmod(0o777)
        try:
            with make_sandbox("local", SandboxSpec(image=NAME, network=network)) as sandbox:
                assert sandbox.run(f"rm /{folder} && ln -s ../oldroot{outside} /{folder}").exit_code == 0
                snapshot = sandbox.snapshot()
                sandbox.fork(snapshot).close()
                snapshot.discard()
        except SandboxError as error:
            assert "/etc of the sandbox's files is a link" in str(error)
        assert not list(Path(outside).iterdir())


@pytest.mark.sandbox
@pytest.mark.parametrize("where", ["variable", "home"])
def test_an_image_gives_bubblewrap_no_options(
    where: str, system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A NUL ended the variable: what followed was an option of bubblewrap's, such as one that shows all files of the host."""
    options = f"x\0--bind\0/\0/\0--setenv\0supervisor\0cat {tmp_path}/secret >&2\0--"
    (tmp_path / "secret").write_text("the host's secret")
    if where == "variable":
        monkeypatch.setitem(ENV, "COLOUR", options)
    passwd = f"root:x:0:0::{options if where == 'home' else '/root'}:/bin/bash\n".encode()
    archive, _ = saved(tmp_path / "image.tar", [tar_of({}, system), tar_of({"etc/passwd": passwd})])
    with pytest.raises(SandboxError, match="has a NUL, which no program can be given"):
        image_roots.unpack(NAME, archive)
        make_sandbox("local", SandboxSpec(image=NAME)).close()


@pytest.mark.sandbox
def test_an_image_that_another_process_works_with_is_not_discarded(system: Path, tmp_path: Path) -> None:
    """Its programs would go in the midst of an episode, and its patch be empty for want of a git."""
    archive, _ = saved(tmp_path / "image.tar", [tar_of({}, system)])
    discard = [sys.executable, "-m", "swe_srl", "images", "discard", NAME]
    for begin in (lambda: image_roots.unpack(NAME, archive), lambda: image_roots.image_root(NAME)):
        root = begin()
        done = subprocess.run(discard, capture_output=True, text=True, check=False)
        assert done.returncode == 1 and "in use by another process" in done.stderr
        assert (root.path / "testbed").is_dir() and NAME in image_roots.unpacked_images()
        os.close(making._locks(root.folder.parent / ".in-use"))  # as when a process ends
        making._locks.cache_clear()
        image_roots.image_root.cache_clear()
    done = subprocess.run(discard, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not root.folder.exists(), done.stderr


@pytest.mark.sandbox
@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_lock_goes_although_a_process_was_forked_meanwhile(tmp_path: Path, kind: str) -> None:
    """A data loader's, while another thread unpacks: nobody waits until that ends."""
    place = tmp_path if kind == "folder" else tmp_path / "lock"
    waits, ends = os.pipe()
    with alone(place):
        child = os.fork()
        if child == 0:
            os.close(ends)
            os.read(waits, 1)
            os._exit(0)
    handle = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(handle)
        os.close(ends)
        os.close(waits)
        os.waitpid(child, 0)


def test_list_and_remove(system: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], cache: Path) -> None:
    archive, image_id = saved(tmp_path / "image.tar", [tar_of({}, system)])
    for name in (NAME, "another/name"):
        assert main(["images", "unpack", name, "--archive", str(archive)]) == 0
    assert cache.stat().st_mode & 0o077 == 0, "its set-uid programs are out of others' reach"
    capsys.readouterr()
    assert main(["images", "unpacked", "--json"]) == 0
    assert [(row["image"], row["id"]) for row in json.loads(capsys.readouterr().out)] == [
        ("another/name", image_id), (NAME, image_id),
    ]  # fmt: skip
    root = image_roots.image_root(NAME)
    assert main(["images", "discard", "another/name"]) == 0 and root.path.is_dir()
    assert main(["images", "discard", NAME]) == 0 and not root.folder.exists()
    assert main(["images", "discard", NAME]) == 2
    assert "no image is unpacked under the name" in capsys.readouterr().err


@pytest.mark.sandbox
def test_what_cannot_be_unpacked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.tar").write_text("no archive")
    with pytest.raises(SandboxError, match="not an archive of one image"):
        image_roots.unpack(NAME, tmp_path / "text.tar")
    with pytest.raises(ConfigError, match="there is no file"):
        image_roots.unpack(NAME, tmp_path / "nothing.tar")
    with pytest.raises(SandboxUnavailableError, match="images unpack example/flask:1 --archive"):
        image_roots.image_root(NAME)
    for config in (b"{", b"[]", b'{"config": {"Env": [1]}}', b"[" * 100_000):
        manifest = json.dumps([{"Config": "config.json", "Layers": []}]).encode()
        (tmp_path / "odd.tar").write_bytes(tar_of({"manifest.json": manifest, "config.json": config}))
        with pytest.raises(SandboxError, match="not an archive of one image"):
            image_roots.unpack(NAME, tmp_path / "odd.tar")
    damaged = bytearray(lzma.compress(tar_of({"a": os.urandom(1 << 16), "b": b"x"})))
    damaged[1 << 15 : (1 << 15) + 16] = bytes(16)
    (tmp_path / "odd.tar").write_bytes(damaged)
    with pytest.raises(SandboxError, match="not an archive of one image"):
        image_roots.unpack(NAME, tmp_path / "odd.tar")
    assert main(["images", "unpack"]) == 2


@pytest.mark.sandbox
def test_an_archive_that_was_cut_or_is_of_another_kind_is_no_export(tmp_path: Path) -> None:
    """Cut between two members it looks as if that were all: files were missing, or an image's layers taken for its files."""
    archive, _ = saved(tmp_path / "whole.tar", [tar_of({"a": b"a"})])
    entries = {
        "export": tar_of({"a": b"a", "b": b"b"}),
        "image": tar_of({"0/layer.tar": tar_of({"a": b"a"}), "manifest.json": b"[]"}),
    }
    for name, data in entries.items():
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            second = tar.getmembers()[1].offset
        for end in (second, second + 100):
            (tmp_path / f"{name}.tar").write_bytes(data[:end])
            with pytest.raises(SandboxError, match="its end is missing"):
                image_roots.unpack(name, tmp_path / f"{name}.tar")
    (tmp_path / "oci.tar").write_bytes(tar_of({"oci-layout": b"{}", "index.json": b"{}", "blobs/": None}))
    with pytest.raises(SandboxError, match=r"an OCI archive without a manifest\.json"):
        image_roots.unpack("oci", tmp_path / "oci.tar")
    assert (image_roots.unpack(NAME, archive).path / "a").read_text() == "a"


@pytest.mark.sandbox
def test_unpacking_that_is_broken_off_leaves_no_process(tmp_path: Path) -> None:
    """A damaged layer, or an interrupt, comes while bubblewrap starts: when that was killed, its child waited for ever."""

    def damaged() -> Iterator[bytes]:
        yield b"x"
        raise tarfile.ReadError("damaged")

    for _ in range(20):
        with pytest.raises(tarfile.ReadError):
            image_unpack._contained("cat", tmp_path, damaged(), "image x")
    assert not processes_with(str(tmp_path))


@pytest.mark.sandbox
def test_an_interrupt_of_the_terminal_reaches_nothing_that_unpacks(tmp_path: Path) -> None:
    """It comes to the owner's whole session, and would kill a bubblewrap as it starts."""
    sessions: list[int] = []

    def looking() -> Iterator[bytes]:
        sessions.extend(map(os.getsid, processes_with(str(tmp_path))))
        yield b"x"

    image_unpack._contained("cat", tmp_path, looking(), "image x")
    assert sessions and os.getsid(0) not in sessions


def processes_with(word: str) -> list[int]:
    """The processes that have a word in their command line."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if word.encode() in file.read_bytes():
                found.append(int(file.parent.name))
    return found


@pytest.mark.sandbox
def test_a_full_disk_is_told_in_one_line(tmp_path: Path) -> None:
    complaints = "tar: a: Cannot write: No space left on device\ntar: b: Cannot write: No space left on device"
    with pytest.raises(SandboxError) as told:
        image_unpack._contained(f"printf '%s' {shlex.quote(complaints)} >&2; exit 2", tmp_path, (), "image x")
    assert str(told.value) == (
        "image x could not be unpacked: No space left on device: free some, or set XDG_CACHE_HOME to a folder that has more"
    )
    with pytest.raises(SandboxError, match=r"^image x could not be unpacked: one; two$"):
        image_unpack._contained("printf 'one\n\ntwo\n' >&2; exit 2", tmp_path, (), "image x")


@pytest.mark.docker
@pytest.mark.sandbox
def test_a_task_with_an_image_is_evaluated_without_an_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The image comes from the engine once; then the engine is gone."""
    monkeypatch.delenv("DOCKER_HOST")
    task = load_tasks("quickstart")[0]
    image = f"swe-srl-test-image:{os.getpid()}"
    from swe_srl.sandboxes.docker_sandbox import BASE_IMAGE
    from swe_srl.sandboxes.repository import prepare_repository

    repository = prepare_repository(task.source, task.setup_patch).path
    build = f"FROM {BASE_IMAGE}\nENV COLOUR=blue\nCOPY . /testbed\nWORKDIR /testbed\n"
    (tmp_path / "Dockerfile").write_text(build)
    quiet = {"check": True, "capture_output": True, "env": {**os.environ, "DOCKER_BUILDKIT": "0"}}
    subprocess.run(["docker", "build", "-q", "-t", image, "-f", tmp_path / "Dockerfile", repository], **quiet)
    try:
        assert main(["images", "unpack", image]) == 0
    finally:
        subprocess.run(["docker", "rmi", "-f", image], **quiet)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere.sock")
    image_roots.image_root.cache_clear()
    row = {**task.row(), "image": image}
    row.pop("source")
    row.pop("setup_patch", None)
    write_jsonl(tmp_path / "rows.jsonl", [row])
    with make_sandbox("local", SandboxSpec(image=image)) as sandbox:
        assert sandbox.run("echo $COLOUR; command -v python3").output == "blue\n/usr/bin/python3\n"
    arguments = ["--tasks", str(tmp_path / "rows.jsonl"), "--policy", "gold", "--sandbox", "local"]
    capsys.readouterr()
    assert main(["eval", *arguments, "--output", str(tmp_path / "run")]) == 0
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert (report["resolved"], report["hardened"], report["samples"]) == (1, 1, 1)


@pytest.mark.sandbox
def test_what_an_image_holds_does_not_fill_the_owners_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Endless users, endless complaints, endless words of its own, endless members."""
    monkeypatch.setattr(image_unpack, "WORDS_BYTES", 1000)
    monkeypatch.setattr(image_unpack, "COMPLAINT_BYTES", 100)
    (tmp_path / "tree" / "etc").mkdir(parents=True)
    with (tmp_path / "tree" / "etc" / "passwd").open("wb") as passwd:
        passwd.truncate(1 << 22)
    assert len(image_unpack._facts("id", {}, tmp_path / "tree").passwd) == image_unpack.USERS_BYTES
    with pytest.raises(SandboxError, match="bytes of output cut here"):
        image_unpack._contained("printf %0300d 0 >&2; exit 2", tmp_path, (), "x")
    (tmp_path / "image.tar").write_bytes(tar_of({"manifest.json": b" " * 1001}))
    with pytest.raises(SandboxError, match="has more than 1000 bytes"):
        image_unpack.unpack_archive(tmp_path / "image.tar", tmp_path / "tree")
    monkeypatch.setattr(archives, "KEPT_BYTES", 1 << 14)
    many = {f"{number}": b"" for number in range(100)}
    (tmp_path / "image.tar").write_bytes(tar_of({**many, "manifest.json": b"[]"}))
    with pytest.raises(SandboxError, match="names, attributes and holes of all members in more than 16384 bytes"):
        image_unpack.unpack_archive(tmp_path / "image.tar", tmp_path / "tree")
    (tmp_path / "export.tar").write_bytes(tar_of(many))
    image_unpack.unpack_archive(tmp_path / "export.tar", tmp_path / "tree")
    assert (tmp_path / "tree" / "99").is_file(), "of an export none is kept"
