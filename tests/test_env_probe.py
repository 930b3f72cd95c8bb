"""What commands do to a real sandbox, tried in forks of it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from swe_srl.envs import ExpertSimilarity, SandboxProbe, SweEnv
from swe_srl.envs.probe import _MARK
from swe_srl.errors import SandboxError
from swe_srl.rewards import get_similarity
from swe_srl.sandboxes import DockerSandbox
from swe_srl.sandboxes.base import SessionSandbox
from swe_srl.testing import FakeSandbox
from swe_srl.types import Action, Task, Trajectory, Turn
from tests.sandbox_support import KINDS, opened, output, repository, write_tree

PYTHON_EDIT = """python3 - <<'PY'
from pathlib import Path

path = Path("src/tool.py")
path.write_text(path.read_text().replace("VALUE = 1", "VALUE = 2"))
PY"""
SED_EDIT = "sed -i 's/VALUE = 1/VALUE = 2/' src/tool.py"


@pytest.fixture(params=KINDS)
def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SessionSandbox]:
    with opened(request.param, repository(tmp_path)) as made:
        yield made


def test_equal_effects_by_other_means_are_worth_one(sandbox: SessionSandbox) -> None:
    output(sandbox, "cd src && echo work > new.txt")
    with SandboxProbe(sandbox) as probe:
        similarity = get_similarity("effect", probe, reserved="submit")
        pairs = {  # commands: whether their effects are equal
            ("cat < tool.py", "cat tool.py"): True,
            ("cat ../README.md", "cat tool.py"): False,
            (PYTHON_EDIT.replace("src/", ""), "sed -i 's/VALUE = 1/VALUE = 2/' tool.py"): True,
            ("sed -i 's/VALUE = 1/VALUE = 3/' tool.py", "sed -i 's/VALUE = 1/VALUE = 2/' tool.py"): False,
            ("rm tool.py", "sed -i 's/VALUE = 1/VALUE = 2/' tool.py"): False,
            ("printf 'more\\n' >> new.txt", "echo more >> new.txt"): True,
            ("cd /testbed", "cd .."): True,
            ("cd /testbed/src/gone", "cd .."): False,
            ("git add new.txt", "git add -A"): True,
            ("git add tool.py", "git add -A"): False,
            ("rm -rf /testbed/.git /tmp/.swe-srl-probe*", "cat tool.py"): False,
        }
        if isinstance(sandbox, DockerSandbox):  # seconds a fork
            pairs = dict(list(pairs.items())[1:3])
        for (predicted, target), equal in pairs.items():
            score = similarity(predicted, target)
            assert score.parts["method"] == "effect"
            assert (score.value == 1.0) == equal, (predicted, target, score)
            assert equal or score.value < 0.7
    assert output(sandbox, "pwd; cat new.txt tool.py; git status --short; ls -A /tmp") == (
        "/testbed/src\nwork\nVALUE = 1\n?? new.txt\n"
    )


def test_an_earlier_command_cannot_hide_effects(sandbox: SessionSandbox) -> None:
    prepare = "for place in /tmp/.swe-srl-probe{,-}; do git init -q --bare $place/git; echo '*' >$place/git/info/exclude; done"
    output(sandbox, prepare)
    with SandboxProbe(sandbox) as probe:
        score = get_similarity("effect", probe, reserved="submit")("rm README.md", SED_EDIT)
    assert score.parts["method"] == "effect" and score.value < 0.7


@pytest.mark.sandbox
@pytest.mark.parametrize("line", [line.removeprefix("-").rstrip() for line in _MARK.strip("\n").split("\n")])
def test_no_file_ends_the_changes(tmp_path: Path, line: str) -> None:
    """Removed, a line that begins like the mark between changes and state would be one."""
    with opened("local", repository(tmp_path)) as sandbox:
        output(sandbox, f"printf '%s\\n' {shlex.quote(line)} >README.md")
        with SandboxProbe(sandbox) as tried:
            effect = tried.effect(f"rm README.md; {SED_EDIT}")
    assert set(effect.changes) == {"a/README.md b/README.md", "a/src/tool.py b/src/tool.py"} and not effect.moved


def test_named_pipes_that_git_would_read_hold_nothing_up(sandbox: SessionSandbox) -> None:
    output(sandbox, "mkfifo .gitattributes")
    with SandboxProbe(sandbox) as probe:
        assert not probe.effect("ls src").moved
        effect = probe.effect("echo more >>README.md; rm .git/index; mkfifo .gitignore src/.gitignore .git/index")
    assert effect.moved and any("README.md" in paths for paths in effect.changes), effect


@pytest.mark.sandbox
def test_links_in_a_git_directory_hold_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for named pipes through thousands of them took minutes."""
    monkeypatch.setattr("swe_srl.envs.probe.SECONDS", 50)
    links = "import os; [os.symlink('/', f'.git/link{number}') for number in range(2000)]"
    with opened("local", repository(tmp_path)) as sandbox:
        output(
            sandbox, "mkdir /tmp/tags && mkfifo /tmp/tags/one && rmdir .git/refs/tags && ln -s /tmp/tags .git/refs/tags"
        )
        output(sandbox, f'python3 -c "{links}"')
        with SandboxProbe(sandbox) as probe:
            assert not probe.effect("git tag").moved
            assert "+more" in str(probe.effect("echo more >>README.md").changes)


@pytest.mark.sandbox
def test_a_target_runs_once_and_what_is_frozen_is_freed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened("local", repository(tmp_path)) as sandbox:
        forks: list[object] = []
        fork = sandbox.fork
        monkeypatch.setattr(sandbox, "fork", lambda snapshot: forks.append(snapshot) or fork(snapshot))
        probe = SandboxProbe(sandbox, timeout=6)
        similarity = get_similarity("effect", probe)
        values = [
            similarity(predicted, "ls src").value for predicted in ("ls -1 src", "ls ./src/", "sleep 60 | ls src")
        ]
        assert values == [1.0, 1.0, 0.0]
        assert len(forks) == 5  # one to prepare, the target, three others
        folder = forks[-1].folder  # type: ignore[attr-defined]
        assert folder.is_dir()
        probe.close()
        probe.close()
        assert not folder.exists()


def test_a_sandbox_without_git_is_a_failure_of_the_infrastructure() -> None:
    with pytest.raises(SandboxError, match="the effect of commands cannot be seen"):
        SandboxProbe(FakeSandbox({"ls": "a.py\n"})).effect("ls")


@pytest.mark.sandbox
def test_the_environment_rewards_effects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    task = Task("tiny", "me/tiny", "0" * 40, "Fix.", source=f"dir:{write_tree(tmp_path / 'tree')}")
    commands = ("cd src", SED_EDIT.replace("src/", ""), "cat tool.py", "submit")
    expert = Trajectory("t", "tiny", tuple(Turn(Action(command)) for command in commands))
    with ExpertSimilarity(SweEnv([task], sandbox="local"), expert, similarity="effect") as env:
        env.reset()
        assert env.step("cd /testbed/src")[1] == 1.0
        assert env.step(PYTHON_EDIT.replace("src/", ""))[1] == 1.0
        observation, reward, *_, info = env.step("sed -n 1,5p /testbed/src/tool.py")
        assert (observation, reward, info["similarity_method"]) == ("VALUE = 2\n", 1.0, "effect")
        *_, info = env.step("ls")
        assert (info["similarity"], info["similarity_method"]) == (0.0, "shell: submit is no shell command")
