"""The patch of an episode: everything the agent changed, whatever it did to git; and places made of images."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from swe_srl.agents.showing import file_names
from swe_srl.envs import SweEnv
from swe_srl.envs.patch import take_patch, untracked_files
from swe_srl.errors import SandboxError
from swe_srl.sandboxes import make_sandbox
from swe_srl.sandboxes.docker_sandbox import BASE_IMAGE
from swe_srl.sandboxes.image_roots import image_root
from swe_srl.sandboxes.repository import git, prepare_repository
from swe_srl.testing import FakeSandbox
from swe_srl.types import Limits, SandboxSpec, Task
from tests.sandbox_support import KINDS, sandbox_of, write_tree

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> list[Task]:
    tree = write_tree(tmp_path_factory.mktemp("patch") / "tree")
    (tree / ".gitignore").write_text("*.log\nbuild/\n")
    (tree / "logo.bin").write_bytes(bytes(range(256)))
    (tree / "latin.txt").write_bytes("d\u00e9j\u00e0 vu\n".encode("latin-1"))
    (tree / "crlf.txt").write_bytes(b"one\r\ntwo\r\n")
    (tree / "run.sh").write_text("#!/bin/sh\n")
    return [Task("tiny-1", "me/tiny", "0" * 40, "Fix it", source=f"dir:{tree}")]


@pytest.fixture(scope="module", params=KINDS)
def env(request: pytest.FixtureRequest, tasks: list[Task]) -> Iterator[SweEnv]:
    made = SweEnv(tasks, sandbox=sandbox_of(request.param), max_turns=0)
    made.reset()
    yield made
    made.close()


@pytest.fixture
def fresh(env: SweEnv) -> SweEnv:
    """A repository as at the start, without a new sandbox."""
    base = env._place.base_commit if env._place else ""
    env.step(
        f"cd /testbed && rm -f .git/info/* .git/index; git checkout -q -f -B main {base} && git clean -qxffd; git reset -q --hard"
    )
    assert env.patch() == ""
    return env


def test_the_patch_of_a_fork_is_the_forks(fresh: SweEnv) -> None:
    fresh.step("echo ours > ours.txt")
    assert fresh.sandbox is not None
    snapshot = fresh.sandbox.snapshot()
    with fresh.sandbox.fork(snapshot) as fork:
        fork.run("rm ours.txt; echo theirs > theirs.txt")
        assert "+theirs" in fresh.patch(fork) and "ours.txt" not in fresh.patch(fork)
    snapshot.discard()
    assert "+ours" in fresh.patch() and "theirs.txt" not in fresh.patch()


def applied(patch: str, tasks: list[Task], folder: Path) -> Path:
    """A fresh copy of the base with the patch applied, as grading would."""
    prepared = prepare_repository(tasks[0].source)
    copy = folder / "copy"
    subprocess.run(["cp", "-a", str(prepared.path), str(copy)], check=True)
    git("apply", "--whitespace=nowarn", "-", cwd=copy, stdin=patch.encode())
    return copy


def test_every_kind_of_change(fresh: SweEnv, tasks: list[Task], tmp_path: Path) -> None:
    commands = [
        "echo more >> README.md; rm src/gone/old.txt; chmod +x run.sh; mkdir -p new/deep; printf 'no newline' > new/deep/file",
        "git mv src/tool.py src/renamed.py; echo 'x = 1' >> src/renamed.py",
        "printf '\\000\\001\\377' > blob; printf '\\001' | dd of=logo.bin bs=1 seek=7 conv=notrunc status=none",
        "printf 'encore \\351t\\351\\n' >> latin.txt; printf 'three\\r\\n' >> crlf.txt",
        "ln -s README.md link; touch empty 'odd \"name\" \u00e9.txt'; echo x > '*.txt'",
    ]
    for command in commands:
        assert fresh.step(command)[4]["exit_code"] == 0
    patch = fresh.patch()
    patch.encode()
    copy = applied(patch, tasks, tmp_path)
    sandbox = fresh.sandbox
    assert sandbox is not None
    names = fresh.step("git ls-files -co --exclude-standard -z | xargs -0 -n1 | LC_ALL=C sort")[0]
    paths = [name for name in names.splitlines() if name not in ("src/tool.py", "src/gone/old.txt")]
    assert len(paths) > 10
    for path in paths:
        assert (copy / path).read_bytes() == sandbox.read_file(path), path
    assert not (copy / "src/gone").exists() and not (copy / "src/tool.py").exists()
    assert (copy / "link").is_symlink() and (copy / "run.sh").stat().st_mode & 0o100


@pytest.mark.parametrize(
    "trick",
    [
        "git add -A && git commit -q -m mine",
        "git add -A && git stash -q && git stash apply -q",
        "git checkout -q --orphan other && git rm -q -r --cached . && git add -A && git commit -q -m all",
        "git update-index --assume-unchanged README.md; git update-index --skip-worktree README.md",
        "echo '*' > .git/info/exclude; git config core.excludesFile /tmp/all; echo '*' > /tmp/all",
        "git config diff.noprefix true; git config diff.external /bin/true; git config color.ui always",
        "echo '*.md -diff' > .git/info/attributes; rm .git/info/attributes",
        "rm .git/index; rm -rf .git/hooks",
        "export GIT_DIR=/nowhere GIT_INDEX_FILE=/nowhere PATH=/nowhere; cd /; git() { /bin/true; }; set -eu",
        "trap 'echo noise' DEBUG; exec 2>/dev/null; readonly LC_ALL",
        "ulimit -n 30",
        "shopt -s extdebug; trap '[[ $BASH_COMMAND != */bin/env* ]] || { rm -rf /tmp/.swe-srl-patch-*; false; }' DEBUG",
        "export BASH_ENV=/tmp/evil LD_PRELOAD=/nowhere.so",
        "git config filter.f.clean 'echo SMUGGLED'; echo '*.md filter=f' > .git/info/attributes; chmod 500 .git/objects",
        "(while :; do pkill -9 git; done) &",
        "(while :; do rm -f /tmp/.swe-srl-patch*/index; done) &",
        "(while :; do (while :; do cp .gitignore /tmp/.swe-srl-patch*/index; done) & sleep 0.05; kill $!; done) &>/dev/null &",
    ],
)
def test_tricks_with_git_change_nothing(fresh: SweEnv, trick: str) -> None:
    fresh.step("echo more >> README.md; echo new > new.txt")
    wanted = fresh.patch()
    assert "+more" in wanted and "+++ b/new.txt" in wanted
    fresh.step(trick)
    assert fresh.patch() == wanted
    fresh.step("exit")
    assert fresh.sandbox is not None
    fresh.sandbox.restart()  # ends what the trick left running
    fresh.step("unset GIT_DIR GIT_INDEX_FILE BASH_ENV LD_PRELOAD; export PATH=/usr/local/bin:/usr/bin:/bin")
    for name in ("diff.external", "core.excludesFile", "filter.f.clean"):
        fresh.step(f"cd /testbed; chmod 755 .git/objects; git config --unset-all {name}")
    if "readonly" in trick:  # it is exported, so a new shell has it too
        fresh.reset()


def test_a_file_that_becomes_a_link_beside_one_that_is_not_text(
    fresh: SweEnv, tasks: list[Task], tmp_path: Path
) -> None:
    fresh.step("rm README.md; ln -s latin.txt README.md; printf 'caf\\xe9\\n' > latin.txt; echo new > new.txt")
    copy = applied(fresh.patch(), tasks, tmp_path)
    assert (copy / "README.md").readlink() == Path("latin.txt")
    assert (copy / "latin.txt").read_bytes() == b"caf\xe9\n" and (copy / "new.txt").read_text() == "new\n"


def test_a_link_to_nowhere_beside_a_file_that_cannot_be_read(fresh: SweEnv, tasks: list[Task], tmp_path: Path) -> None:
    """What is in the way of a strict patch takes no link out of it."""
    fresh.step(
        "ln -s /nowhere link; ln -s locked/x other; mkdir locked; echo new > locked/x; chmod 0 README.md locked/x"
    )
    copy = applied(fresh.patch(), tasks, tmp_path)
    assert (copy / "link").readlink() == Path("/nowhere") and (copy / "other").readlink() == Path("locked/x")
    assert (copy / "locked" / "x").read_text() == "new\n"


def test_a_claimed_encoding_makes_no_patch_impossible(fresh: SweEnv) -> None:
    fresh.step("echo more >> README.md; printf abc > new.txt")
    wanted = fresh.patch()
    fresh.step(
        "echo '*.txt working-tree-encoding=UTF-16' > src/.gitattributes; printf abc > src/new.txt; echo 1 > src/x.py"
    )
    patch = fresh.patch()
    assert wanted in patch and "+++ b/src/new.txt" in patch and "+++ b/src/x.py" in patch


@pytest.mark.parametrize("name", ["big", "README.md"])
def test_a_large_file_is_left_out_and_told(fresh: SweEnv, name: str, caplog: pytest.LogCaptureFixture) -> None:
    fresh.step("echo 'VALUE = 2' > src/tool.py; echo new > new.txt")
    wanted = fresh.patch()
    assert "+VALUE = 2" in wanted and "+++ b/new.txt" in wanted
    fresh.step(f"truncate -s 8T {name} 2>/dev/null || truncate -s 900M {name}")
    assert fresh.patch() == wanted
    assert f"left out of the patch of /testbed, being larger than 32768 KB: {name}" in caplog.text


def test_a_file_whose_path_is_too_long_is_left_out_and_told(fresh: SweEnv, caplog: pytest.LogCaptureFixture) -> None:
    fresh.step(
        "name=$(printf 'a%.0s' {1..250}); for n in {1..16}; do mkdir $name; cd $name; done; echo x >short; cd /testbed"
    )
    assert "/short" in fresh.patch() and not caplog.text
    fresh.step("for n in {1..16}; do cd $name; done; mkdir $name; cd $name; echo x >deep; echo x >low; cd /testbed")
    assert "/short" in (patch := fresh.patch()) and "/deep" not in patch
    assert "left out of the patch of /testbed, having paths of 4096 bytes and more: aaa" in caplog.text
    assert "aaa/deep, aaa" in caplog.text or "aaa/low, aaa" in caplog.text
    assert "aaa/deep" in caplog.text and "aaa/low" in caplog.text
    fresh.step("rm -rf $name")


def test_names_that_git_refuses_are_told(fresh: SweEnv, caplog: pytest.LogCaptureFixture) -> None:
    fresh.step(
        "mkdir .GIT src/'git~1'; echo x >.GIT/a; echo x >src/'git~1/b'; ln -s x .gitmodules; echo more >>README.md"
    )
    patch = fresh.patch()
    assert "+more" in patch and patch.count("diff --git") == 1
    assert "having names that git refuses: .GIT/a, .gitmodules, src/git~1/b" in caplog.text


def test_a_repositorys_watcher_does_not_run_where_its_files_are_listed(fresh: SweEnv) -> None:
    """One that takes its time held up a reset for minutes."""
    fresh.step("printf '#!/bin/sh\\ntouch /tmp/watched\\n' >/tmp/watch; chmod +x /tmp/watch; echo x >new")
    fresh.step("git config core.fsmonitor /tmp/watch; git update-index --fsmonitor; rm -f /tmp/watched")
    assert fresh.sandbox is not None
    assert untracked_files(fresh.sandbox, "/testbed") == b"new\0"
    assert "README.md" in file_names(fresh.sandbox, fresh.task, 1000)
    shown = fresh.step("ls /tmp/watched; git config --unset core.fsmonitor; rm /tmp/watch")[0]
    assert "No such file" in shown


def test_a_patch_is_bounded(fresh: SweEnv, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swe_srl.envs.patch.PATCH_BYTES", 10_000)
    fresh.step("echo new > new.txt; head -c 2000000 /dev/urandom > two-megabytes; head -c 50000 /dev/urandom > fifty")
    patch = fresh.patch()
    assert "+++ b/new.txt" in patch and "two-megabytes" not in patch and "fifty" not in patch
    assert "larger than 16 KB: " in caplog.text
    fresh.step("head -c 16000 /dev/urandom > sixteen")
    assert fresh.patch() == "" and "is larger than 10000 bytes, and counts as none" in caplog.text


@pytest.mark.parametrize(
    "trick",
    [
        "mv .git /tmp/real; echo 'gitdir: /tmp/real' > .git",
        "mv .git build; echo 'gitdir: build' > .git",
        "mv .git /tmp/real; ln -s /tmp/real .git",
        "git worktree add -q /tmp/other; mv .git /tmp/real; sed s,/testbed/.git,/tmp/real, /tmp/other/.git > .git",
        "mkfifo .git/objects/info/alternates",
        "mkfifo src/.gitignore src/.gitattributes",
        "cd .git/objects && mkdir -p info/commit-graphs && mkfifo pack/multi-pack-index info/commit-graphs/commit-graph-chain",
        "ln -s /tmp/real .git/objects/info/commit-graph; mkfifo /tmp/real",
        "mkdir -p /tmp/real/info; mkfifo /tmp/real/info/alternates; echo /tmp/real >.git/objects/info/alternates",
        "mkdir src/.git; mkfifo src/.git/HEAD; echo $PWD/.git >src/.git/commondir",
        "git init -q /tmp/real; rm /tmp/real/.git/HEAD; mkfifo /tmp/real/.git/HEAD; ln -s /tmp/real/.git src",
        """mkdir -p /tmp/real/info; mkfifo /tmp/real/info/alternates; echo '"/tmp/real"' >.git/objects/info/alternates""",
        "mkdir -p $'/tmp/real/a\nb/'{refs,objects}; mkfifo $'/tmp/real/a\nb/HEAD'; printf 'gitdir: /tmp/real/a\nb' >src/.git",
    ],
)
def test_what_git_would_read_elsewhere(env: SweEnv, trick: str) -> None:
    env.reset()
    env.step("echo more >> README.md; echo new > new.txt")
    wanted = env.patch()
    assert "+more" in wanted and "+++ b/new.txt" in wanted
    assert env.step(f"rm -rf /tmp/real; {trick}")[4]["exit_code"] == 0
    assert env.patch() == wanted
    env.reset()


LINKS = """
import os
for folder in (".git", "src/.git"):
    os.makedirs(folder, exist_ok=True)
    for number in range(1000):
        os.symlink("/", f"{folder}/link{number}")
"""


@pytest.mark.sandbox
def test_links_in_git_directories_are_not_followed(tasks: list[Task], monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for named pipes through thousands of them took minutes."""
    monkeypatch.setattr("swe_srl.envs.clean.SECONDS", 50)
    with_links = SweEnv(tasks, sandbox="local", max_turns=0)
    with_links.reset()
    with_links.step("echo more >>README.md")
    wanted = with_links.patch()
    assert with_links.step(f"python3 -c {shlex.quote(LINKS)}")[4]["exit_code"] == 0
    assert with_links.patch() == wanted
    with_links.close()


@pytest.mark.sandbox
@pytest.mark.parametrize(
    "trick",
    [
        "mkfifo /tmp/pipe; git -C sub config include.path /tmp/pipe",
        "mkdir -p .git/modules/sub/refs/heads/a/b/c; mkfifo .git/modules/sub/refs/heads/a/b/c/d; "
        "echo ref: refs/heads/a/b/c/d >.git/modules/sub/HEAD",
        "chmod 000 code.py",  # git fails then, and it is asked whether the repository has all its objects
    ],
)
def test_submodules_hold_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trick: str) -> None:
    monkeypatch.setattr("swe_srl.envs.clean.SECONDS", 50)
    top, upstream = tmp_path / "top", tmp_path / "upstream"
    for folder in (top, upstream):
        folder.mkdir()
        (folder / "code.py").write_text("VALUE = 1\n")
        git("init", "--quiet", cwd=folder)
        git("add", "--all", cwd=folder)
        git("commit", "--quiet", "--message=one", cwd=folder)
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(upstream), "sub", cwd=top)
    git("commit", "--quiet", "--message=two", cwd=top)
    base = git("rev-parse", "HEAD", cwd=top).strip()
    with make_sandbox("local", SandboxSpec(repository=str(top))) as sandbox:
        done = sandbox.run(f"echo more >>sub/code.py; echo new >new; {trick}")
        assert done.exit_code == 0, done.output
        patch = take_patch(sandbox, "/testbed", base)
        assert "+++ b/new" in patch and "sub" not in patch
        sandbox.run("mv sub gone")
        assert "-Subproject commit" in take_patch(sandbox, "/testbed", base)


def test_ignored_files_stay_out(fresh: SweEnv) -> None:
    fresh.step("mkdir build; echo x > build/out; echo x > debug.log; echo changed >> .gitignore; echo x > kept.txt")
    patch = fresh.patch()
    assert "build/out" not in patch and "debug.log" not in patch and "kept.txt" in patch and "+changed" in patch


def test_nested_repository_counts_as_files(fresh: SweEnv) -> None:
    fresh.step("mkdir sub && cd sub && git init -q . && echo x > inner && git add . && git commit -q -m x; cd ..")
    patch = fresh.patch()
    assert "+++ b/sub/inner" in patch and "Subproject" not in patch and "sub/.git" not in patch


def test_a_file_that_has_become_a_repository_counts_as_files(fresh: SweEnv) -> None:
    """Its commit was in the patch, as a submodule's, instead of what it holds."""
    fresh.step("rm README.md; git init -q README.md; cd README.md; echo x >inner; git add .; git commit -qm x; cd ..")
    patch = fresh.patch()
    assert "+++ b/README.md/inner" in patch and "-hello" in patch and "Subproject" not in patch


def test_a_process_of_any_name_runs_nothing_where_the_patch_is_taken(fresh: SweEnv) -> None:
    """What follows a line end in the name stood where a number is expected, and was evaluated."""
    named = r"(printf ') 1 a[`./x`]\n' >/proc/self/comm; : >/tmp/named; sleep 1000; :) &"
    fresh.step(f"printf '#!/bin/bash\\ntouch /tmp/ran\\n' >x; chmod +x x; {named} until [ -e /tmp/named ]; do :; done")
    assert "+++ b/x" in fresh.patch()
    assert fresh.step("kill %%; rm /tmp/named; ls /tmp/ran")[4]["exit_code"] == 2


FORGER = """
builtin read -r -N 32 -u 190 nonce; printf %s "$nonce"; printf 'D%s 0\\0%s\\0%s.\\0' "$nonce" "$PWD" "$(export -p)" >&191
while :; do for new in /tmp/.swe-srl-patch-*/new; do [[ ! -s $new ]] || : >"$new"; done; done
"""


def test_a_shell_that_goes_on_after_its_command_stands_still_too(fresh: SweEnv) -> None:
    """It emptied the list of new files."""
    fresh.step("for n in {1..50}; do echo x >new$n; done")
    wanted = fresh.patch()
    assert fresh.step(FORGER)[4]["exit_code"] == 0
    assert fresh.patch() == wanted
    fresh.sandbox.restart()  # type: ignore[union-attr]


def test_ignored_files_of_a_nested_repository_stay_out(fresh: SweEnv) -> None:
    fresh.step(
        "git init -q sub; cd sub; mkdir build; touch build/made noise.log 'a b.o' kept; echo '*.o' >.gitignore; cd .."
    )
    patch = fresh.patch()
    assert "b/sub/kept" in patch and "b/sub/.gitignore" in patch
    assert "made" not in patch and "noise" not in patch and "a b.o" not in patch


def test_nested_repositories_have_any_name(fresh: SweEnv) -> None:
    """One that is an option of `find` was missing from the patch, and nothing said so."""
    fresh.step("for name in -delete '(' $'a\\nb'; do git init -q \"./$name\"; echo x >\"./$name/inner\"; done")
    patch = fresh.patch()
    assert all(name in patch for name in ("b/-delete/inner", "b/(/inner", r"b/a\nb/inner"))


def test_a_folder_that_cannot_be_read_in_a_nested_repository_costs_no_other_file(fresh: SweEnv) -> None:
    """What came after it was not in the patch, and nothing said so."""
    fresh.step("git init -q nested; mkdir nested/closed; touch nested/inner zoo; git init -q other; touch other/more")
    fresh.step("chmod 000 nested/closed")
    patch = fresh.patch()
    fresh.step("chmod 755 nested/closed")
    assert all(f"b/{path}" in patch for path in ("nested/inner", "zoo", "other/more"))


def test_replaced_objects_make_no_repository_unusable(fresh: SweEnv) -> None:
    """The patch was empty when a file could not be read, too."""
    fresh.step("tree=$(git rev-parse 'HEAD^{tree}'); mkdir -p .git/refs/replace; echo $tree >.git/refs/replace/$tree")
    fresh.step("echo more >>src/tool.py; chmod 111 README.md")
    patch = fresh.patch()
    fresh.step("rm -r .git/refs/replace")
    assert "+more" in patch


def test_patch_leaves_the_work_as_it_is(fresh: SweEnv) -> None:
    fresh.step(
        "echo more >> README.md; echo staged > staged.txt; git add staged.txt; printf '\\377\\n' > latin2; cd src"
    )
    state = "git status --short; git -C /testbed stash list; ls -A /tmp; pwd; ls .git/info /testbed/.git/info 2>&1"
    before = fresh.step(state)[0]
    fresh.patch()
    assert fresh.step(state)[0] == before


def test_destroyed_git_is_an_empty_patch(tasks: list[Task], env: SweEnv) -> None:
    env.reset()
    env.step("echo more >> README.md; rm -rf .git")
    assert env.patch() == ""
    env.step("git init -q . && git add -A && git commit -q -m mine")
    assert env.patch() == ""
    env.reset()


def test_a_repository_without_its_objects_is_an_empty_patch(env: SweEnv) -> None:
    env.reset()
    env.step("echo more >> README.md; rm -rf .git/objects/* .git/config; mkfifo .git/config")
    assert env.patch() == ""
    env.reset()


def test_a_lost_sandbox_is_no_empty_patch() -> None:
    class Lost(FakeSandbox):
        def run_clean(self, script: str, timeout: float) -> tuple[int | None, bytes]:
            return (None, b"[the shell was lost]") if "read-tree" in script else (0, b"")

    with pytest.raises(SandboxError, match="was lost while the patch was taken"):
        take_patch(Lost(), "/testbed", "0" * 40)


def test_a_patch_that_is_not_there_is_infrastructure() -> None:
    class Gone(FakeSandbox):
        def run_clean(self, script: str, timeout: float) -> tuple[int | None, bytes]:
            return 0, b""

    with pytest.raises(SandboxError, match="the patch cannot be taken"):
        take_patch(Gone(), "/testbed", "0" * 40)


@pytest.mark.sandbox
def test_a_full_disk_is_said_when_the_patch_is_taken(tasks: list[Task]) -> None:
    prepared = prepare_repository(tasks[0].source)
    limits = replace(Limits(), disk_mb=32)
    with make_sandbox("local", SandboxSpec(repository=str(prepared.path), limits=limits)) as sandbox:
        sandbox.run("cd /testbed; head -c 300000 /dev/urandom >new.bin; cat /dev/zero >/tmp/full; echo x >>/tmp/full")
        with pytest.raises(SandboxError, match=r"(?i)space"):
            take_patch(sandbox, "/testbed", prepared.base_commit)


def image_with_history(name: str, commands: str, changes: tuple[str, ...] = ()) -> str:
    """An image whose /testbed is a git repository with a past and a future."""
    import docker

    client = docker.from_env()
    container = client.containers.create(BASE_IMAGE, entrypoint=["bash", "-c", commands], network_mode="none")
    container.start()
    assert container.wait()["StatusCode"] == 0, container.logs()
    tag = f"{name}-{os.getpid()}"  # others may run these tests, too
    container.commit(repository="swe-srl-test-history", tag=tag, changes=list(changes))
    container.remove(force=True)
    client.close()
    return f"swe-srl-test-history:{tag}"


HISTORY = """
set -e
git config --global user.name x; git config --global user.email x@y
mkdir -p /testbed && cd /testbed && git init -q -b main .
for n in 1 2 3; do echo $n > count; git add .; git commit -q -m "commit $n"; done
echo THE-FIX > count; git commit -q -a -m "the fix"; git tag v2; git branch future
git reset -q --hard HEAD~1; git remote add origin https://example.org/x.git
echo generated > untracked.cfg
"""


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    import docker

    name = image_with_history("past", HISTORY)
    yield name
    client = docker.from_env()
    client.images.remove(name, force=True)
    client.close()


@pytest.mark.docker
def test_image_is_stripped_to_one_commit(image: str) -> None:
    task = Task("img-1", "me/img", "0" * 40, "Fix it", image=image)
    env = SweEnv([task], definition="swebench")
    try:
        env.reset()
        assert (
            env.step("git log --all --reflog --format=%s; git tag; git remote; git branch | cat")[0]
            == "commit 3\n* main\n"
        )
        assert env.step("git fsck --unreachable --lost-found")[0] == ""
        search = (
            "git cat-file --batch-all-objects --batch-check --unordered | cut -d' ' -f1 | xargs -n1 git cat-file -p"
        )
        assert "THE-FIX" not in env.step(search)[0]
        assert env.step("cat count; ls; id -u")[0] == "3\ncount\nuntracked.cfg\n0\n"
        assert env.step("grep -c . /proc/self/status; capsh --print 2>/dev/null; grep CapEff /proc/self/status")[
            0
        ].endswith("CapEff:\t0000000000000000\n")
        assert env.patch() == ""  # what the image leaves untracked is no work of the agent's
        env.step("echo 4 > count; echo changed >> untracked.cfg; echo new > new.cfg")
        patch = env.patch()
        assert "+4" in patch and "-3" in patch and "+++ b/new.cfg" in patch and "untracked.cfg" not in patch
    finally:
        env.close()


@pytest.mark.docker
def test_what_an_image_declares_does_not_reach_the_patch_or_a_fork() -> None:
    """Its health check does not run; a fork without the files of its volumes would be another state."""
    import docker

    changes = ("VOLUME /testbed", "HEALTHCHECK --interval=1s CMD echo well >>/testbed/count")
    image = image_with_history("declares", HISTORY, changes)
    env = SweEnv([Task("img-3", "me/img", "0" * 40, "Fix it", image=image)], definition="swebench", sandbox="docker")
    try:
        env.reset()
        assert env.step("sleep 3; cat count")[0] == "3\n" and env.patch() == ""
        assert env.sandbox is not None
        with pytest.raises(SandboxError, match=r"declares volumes \(/testbed\): a snapshot would lack their files"):
            env.sandbox.snapshot()
    finally:
        env.close()
        client = docker.from_env()
        client.images.remove(image, force=True)
        client.close()


@pytest.mark.docker
@pytest.mark.parametrize("kind", ["docker", pytest.param("local", marks=pytest.mark.sandbox)])
def test_what_an_image_has_changed_is_no_work_of_the_agents(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was in every patch, none of which applied to the image that it is graded in."""
    import docker

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    changed = "echo built >>count; printf one >made; printf two >gone; git add made gone; git commit -qm more; echo x >>made\n"
    image = image_with_history(f"changed-{kind}", f"{HISTORY}{changed}chmod 755 count; rm gone; echo built >>count\n")
    env = SweEnv([Task("img-4", "me/img", "0" * 40, "Fix it", image=image)], definition="swebench", sandbox=kind)
    try:
        for _ in range(2):  # the second time, what is kept of the first one serves
            env.reset()
            assert env.patch() == ""
            env.step("cd /testbed; echo mine >>count; printf one >made; printf two >gone; git gc -q --prune=now")
            patch = env.patch()
            assert "+mine" in patch and "+built" not in patch and "mode 100755\n+++" not in patch
            assert "-onex" in patch and "+++ b/gone" in patch
    finally:
        env.close()
        client = docker.from_env()
        client.images.remove(image, force=True)
        client.close()
        image_root.cache_clear()


@pytest.mark.docker
def test_image_without_a_repository_is_infrastructure() -> None:
    env = SweEnv([Task("img-2", "me/img", "0" * 40, "Fix it", image=BASE_IMAGE)], definition="swebench")
    with pytest.raises(SandboxError, match="no usable git repository at /testbed"):
        env.reset()


@pytest.mark.sandbox
def test_task_with_image_and_source_in_the_local_sandbox(tasks: list[Task]) -> None:
    env = SweEnv([replace(tasks[0], image="swe-srl-nowhere:1")], sandbox="local")
    env.reset()
    assert env.step(f"echo {shlex.quote('x')}")[0] == "x\n"
    env.close()
