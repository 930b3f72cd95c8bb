"""The Gymnasium contract, on both sandboxes and on a fake one."""

from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import RecordEpisodeStatistics, TimeLimit

from swe_srl.envs import EnvironmentDefinition, SweEnv, TerminalText, ThreadedVectorEnv, make_vec, register_envs
from swe_srl.envs import places as places_module
from swe_srl.errors import ConfigError, DefinitionNotFoundError, SandboxError, TaskError
from swe_srl.testing import FakeSandbox
from swe_srl.types import Action, CommandResult, SandboxSpec, Task
from tests.sandbox_support import KINDS, is_running, sandbox_of, wait_until, write_tree

pytestmark = pytest.mark.timeout(120)


def task(folder: Path, name: str = "tiny-1", **fields: str) -> Task:
    source = f"dir:{write_tree(folder / 'tree')}"
    return Task(name, "me/tiny", "0" * 40, f"Fix {name}", source=source, **fields)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[FakeSandbox]]:
    """Environments get fake sandboxes; yields them in order."""
    made: list[FakeSandbox] = []

    def make(kind: str, spec: SandboxSpec) -> FakeSandbox:
        killed = CommandResult("[killed]", None, 9.0, timed_out=True, rebuilt=True)
        made.append(FakeSandbox({"ls": "README.md\n", "hang": killed, "die": SandboxError("gone")}))
        return made[-1]

    monkeypatch.setattr(places_module, "make_sandbox", make)
    yield made
    assert all(sandbox.closed for sandbox in made)


@pytest.mark.parametrize("kind", KINDS)
def test_check_env(kind: str, tmp_path: Path) -> None:
    register_envs()
    env = SweEnv([task(tmp_path)], sandbox=sandbox_of(kind), render_mode="ansi")
    check_env(env)
    env.close()


@pytest.mark.sandbox
@pytest.mark.parametrize("bound", [0, 5_000_000])
def test_what_an_observation_cannot_hold_is_cut_and_told(bound: int, tmp_path: Path) -> None:
    (tmp_path / "large.yaml").write_text(f"limits: {{output_bytes: {bound}}}\n")
    env = SweEnv([task(tmp_path)], str(tmp_path / "large.yaml"), "local")
    env.reset()
    shown, _, _, _, info = env.step("head -c 3000000 /dev/zero | tr '\\0' x; echo the end; exit 3")
    env.close()
    assert shown in env.observation_space and info["truncated_output"] and info["rebuilt"]
    assert " bytes of output cut here]" in shown and "the end\n[the shell ended with exit code 3" in shown


def test_made_by_gymnasium(tmp_path: Path, faked: list[FakeSandbox]) -> None:
    register_envs()
    register_envs()
    env = gymnasium.make("swe_srl/Repo-v0", tasks=[task(tmp_path)], max_turns=5, render_mode="ansi")
    check_env(env.unwrapped)
    observation, info = env.reset(seed=1)
    assert (observation, info["task_id"], info["turn"]) == ("Fix tiny-1", "tiny-1", 0)
    observation, reward, terminated, truncated, info = env.step("ls")
    assert (observation, reward, terminated, truncated) == ("README.md\n", 0.0, False, False)
    assert {key: info[key] for key in info if key != "duration"} == {
        "task_id": "tiny-1", "turn": 1, "exit_code": 0, "timed_out": False, "truncated_output": False, "rebuilt": False,
    }  # fmt: skip
    observation, reward, terminated, truncated, info = env.step(" submit\n")
    assert (observation, terminated, truncated, info["stop_reason"]) == ("", True, False, "submitted")
    assert env.render() == "# tiny-1\nFix tiny-1\n$ ls\nREADME.md\n$  submit\n\n"
    env.close()


def test_quickstart_by_default(faked: list[FakeSandbox]) -> None:
    register_envs()
    env = gymnasium.make("swe_srl/Repo-v0", tasks="quickstart")
    ids = {env.reset(seed=seed)[1]["task_id"] for seed in range(6)}
    assert len(ids) > 1 and ids <= set(env.unwrapped.tasks)  # type: ignore[attr-defined]
    env.close()


def test_plain_gymnasium_finds_the_environment(tmp_path: Path) -> None:
    """The entry point's function needs nothing but gymnasium itself, and no torch."""
    code = (
        "import gymnasium, sys, swe_srl.envs; swe_srl.envs.register_envs(); gymnasium.spec('swe_srl/Repo-v0'); "
        "assert not {'torch', 'transformers', 'docker', 'datasets', 'swebench'} & set(sys.modules)"
    )
    root = str(Path(__file__).resolve().parent.parent)
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=tmp_path, env={"PYTHONPATH": f"{root}:{':'.join(sys.path)}"}
    )


def test_ends(tmp_path: Path, faked: list[FakeSandbox]) -> None:
    env = SweEnv([task(tmp_path)], max_turns=2)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step("ls")
    with pytest.raises(gymnasium.error.ResetNeeded):
        _ = env.task
    env.reset()
    assert env.step("ls")[2:4] == (False, False)
    *_, terminated, truncated, info = env.step("hang")
    assert (terminated, truncated, info["stop_reason"]) == (False, True, "turn_limit")
    assert "exit_code" not in info and info["timed_out"] and info["rebuilt"]
    assert [(turn.action, turn.exit_code) for turn in env.turns] == [(Action("ls"), 0), (Action("hang"), None)]
    env.reset()
    env.step("ls")
    assert env.step("submit")[2:4] == (True, False)  # submitting at the last turn is no truncation
    with pytest.raises(gymnasium.error.ResetNeeded, match="has ended \\(submitted\\)"):
        env.step("ls")
    assert len(env.turns) == 2
    with pytest.raises(SandboxError, match="gone"):
        env.reset()
        env.step("die")
    env.close()
    env.close()
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.patch()


def test_time_limit(tmp_path: Path, faked: list[FakeSandbox]) -> None:
    (tmp_path / "short.yaml").write_text("max_seconds: 0.000001\nmax_turns: 0\n")
    env = SweEnv([task(tmp_path)], definition=str(tmp_path / "short.yaml"))
    env.reset()
    *_, truncated, info = env.step("ls")
    assert truncated and info["stop_reason"] == "time_limit"
    env.close()


def test_choice_of_tasks(tmp_path: Path, faked: list[FakeSandbox]) -> None:
    env = SweEnv([task(tmp_path, f"tiny-{number}") for number in range(9)])
    assert env.reset(options={"task": "tiny-7"})[0] == "Fix tiny-7" and env.task.instance_id == "tiny-7"
    with pytest.raises(TaskError, match="did you mean 'tiny-7'"):
        env.reset(options={"task": "tiny7"})

    def drawn(seed: int) -> list[str]:
        first = env.reset(seed=seed)[0]
        return [first, *(env.reset()[0] for _ in range(4))]

    assert drawn(3) == drawn(3) != drawn(4)
    env.close()


def test_arguments_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least one task"):
        SweEnv([])
    with pytest.raises(ConfigError, match="did you mean 'human'"):
        SweEnv([task(tmp_path)], render_mode="humn")
    with pytest.raises(DefinitionNotFoundError, match="did you mean 'default'"):
        SweEnv([task(tmp_path)], definition="defualt")
    with pytest.raises(TaskError, match="neither an image nor a source"):
        SweEnv([Task("x", "r", "c", "p")]).reset()
    with pytest.raises(ConfigError, match="did you mean 'docker'"):
        SweEnv([task(tmp_path)], sandbox="dokcer")
    with pytest.raises(ConfigError, match="Known: auto, docker, local \\(bubblewrap is 'local'\\)"):
        SweEnv([task(tmp_path)], sandbox="bubblewrap")
    with pytest.raises(ConfigError, match="unknown argument of the environment 'taks': did you mean 'tasks'"):
        gymnasium.make("swe_srl/Repo-v0", taks="quickstart")
    with pytest.raises(ConfigError, match="unknown argument of the environment 'max_turn'"):
        make_vec(2, tasks=[task(tmp_path)], max_turn=3)
    with pytest.raises(ConfigError, match=r"wrap: expected a function .*not 'Resolved'"):
        make_vec(2, wrap="Resolved", tasks=[task(tmp_path)])  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="options of reset: a dict"):
        SweEnv([task(tmp_path)]).reset(options="tiny-1")  # type: ignore[arg-type]
    with pytest.raises(
        TaskError, match=r"quickstart: unknown task 'quickstart__coins-3': it is in .* 'quickstart-train'"
    ):
        SweEnv().reset(options={"task": "quickstart__coins-3"})
    with pytest.raises(TaskError, match=r"none of 60 is near.*tasks list quickstart"):
        SweEnv().reset(options={"task": "~"})
    for tasks in (["tiny-1"], 5):
        with pytest.raises(ConfigError, match="one task of a set is chosen by reset"):
            SweEnv(tasks)  # type: ignore[arg-type]
    for turns in ("5", -1):
        with pytest.raises(ConfigError, match="max_turns must be a whole number"):
            SweEnv([task(tmp_path)], max_turns=turns)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="did you mean 'task'"):
        SweEnv([task(tmp_path)]).reset(options={"tsk": "tiny-1"})


def test_actions_that_cannot_be(tmp_path: Path, faked: list[FakeSandbox]) -> None:
    env = SweEnv([task(tmp_path)])
    env.reset()
    for action in (None, 3, b"ls", ["ls"]):
        with pytest.raises(ConfigError, match="an action is a shell command"):
            env.step(action)  # type: ignore[arg-type]
    assert env.step(np.str_("ls"))[2:4] == (False, False)  # what a numpy array of actions holds
    env.close()


def test_the_reason_of_a_failing_first_reset_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(kind: str, spec: SandboxSpec) -> FakeSandbox:
        raise SandboxError("no bubblewrap here")

    monkeypatch.setattr(places_module, "make_sandbox", fail)
    env = gymnasium.make("swe_srl/Repo-v0", tasks=[task(tmp_path)])
    for _ in range(2):
        with pytest.raises(SandboxError, match="no bubblewrap here"):
            env.reset()


def test_help_finds_the_public_names() -> None:
    import pydoc

    import swe_srl.envs

    text = pydoc.render_doc(swe_srl.envs, renderer=pydoc.plaintext)
    assert "class SweEnv" in text and "teacher_forced" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_turn: 3\n", "did you mean 'max_turns'"),
        ("limits: {memory: 3}\n", "did you mean 'memory_mb'"),
        ("max_turns: three\n", "max_turns must be int"),
        ("max_turns: true\n", "max_turns must be int"),
        ("limits: 3\n", "limits must be a mapping"),
        ("limits: {processes: -1}\n", "at least 0"),
        ("variables: [a]\n", "variables must be a mapping"),
        ("- a\n", "a definition is a mapping"),
    ],
)
def test_definitions_that_cannot_be(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        EnvironmentDefinition.load(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize("name", ["default", "quickstart", "swebench"])
def test_packaged_definitions(name: str) -> None:
    definition = EnvironmentDefinition.load(name)
    assert definition.submit == "submit" and definition.workdir == "/testbed" and not definition.network
    assert definition.strip_history and definition.max_turns > 0


def test_own_definition(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("max_seconds: 5\nvariables: {A: 1}\nlimits: {command_seconds: 3}\n")
    definition = EnvironmentDefinition.load(str(tmp_path / "mine.yaml"))
    assert definition.max_seconds == 5.0 and definition.variables == (("A", "1"),)
    assert definition.limits.command_seconds == 3.0 and definition.limits.processes == 256


def test_space_holds_every_terminal_text() -> None:
    space = TerminalText(seed=1)
    for text in ("", "a\n", "\x1b[31mred\x07", "\u00e9\u20ac\U0001f600\ufffd", "\x00\x7f\u2028", "x" * 1_000_000):
        assert text in space
    for wrong in ("\ud800", 3, None, b"x", "x" * (space.max_length + 1)):
        assert wrong not in space
    assert space == TerminalText() and pickle.loads(pickle.dumps(space)) == space
    assert len(pickle.dumps(space)) < 10_000
    samples = [space.sample() for _ in range(50)]
    assert all(sample in space for sample in samples) and len(set(samples)) > 40
    assert [TerminalText(seed=5).sample() for _ in range(3)] == [TerminalText(seed=5).sample() for _ in range(3)]


def test_issue_with_lone_surrogates(tmp_path: Path, faked: list[FakeSandbox]) -> None:
    odd = Task("odd", "r", "c", "a\ud800b", source=task(tmp_path).source)
    env = SweEnv([odd])
    assert env.reset()[0] == "a\ufffdb"
    env.step("echo \udcff")
    env.close()


@pytest.mark.parametrize("pool_size", [0, 1])
def test_closed_by_another_thread_in_mid_reset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool_size: int) -> None:
    """The sandbox that was being made does not stay, nor the earlier one; a later reset works."""
    made: list[FakeSandbox] = []
    starting, go_on = threading.Event(), threading.Event()
    go_on.set()

    def make(kind: str, spec: SandboxSpec) -> FakeSandbox:
        if not threading.current_thread().name.startswith("warm-pool"):
            starting.set()
            assert go_on.wait(60)
        made.append(FakeSandbox({":": ""}))
        return made[-1]

    monkeypatch.setattr(places_module, "make_sandbox", make)
    monkeypatch.setattr("swe_srl.envs.pool._is_well", lambda place: False)
    definition = tmp_path / "own.yaml"
    definition.write_text(f"pool_size: {pool_size}\n")
    env = SweEnv([task(tmp_path)], definition=str(definition))
    env.reset()
    go_on.clear()
    starting.clear()
    with ThreadPoolExecutor(1) as threads:
        resetting = threads.submit(env.reset)
        assert starting.wait(60)
        env.close()
        go_on.set()
        with pytest.raises(gymnasium.error.ClosedEnvironmentError, match="closed while it was reset"):
            resetting.result(60)
    assert env.sandbox is None and made and all(sandbox.closed for sandbox in made)
    env.reset()
    assert env.step("ls")[4]["turn"] == 1
    env.close()
    assert all(sandbox.closed for sandbox in made)


def test_reset_by_another_thread_in_mid_reset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The later one's episode counts, whole; the sandbox of the earlier one does not stay."""
    made: list[FakeSandbox] = []
    starting, go_on = threading.Event(), threading.Event()

    def make(kind: str, spec: SandboxSpec) -> FakeSandbox:
        if not starting.is_set():
            starting.set()
            assert go_on.wait(60)
        made.append(FakeSandbox({"ls": "a\n"}))
        return made[-1]

    monkeypatch.setattr(places_module, "make_sandbox", make)
    one = task(tmp_path)
    env = SweEnv([one, task(tmp_path, "other")])
    with ThreadPoolExecutor(1) as threads:
        resetting = threads.submit(env.reset, options={"task": one.instance_id})
        assert starting.wait(60)
        env.reset(options={"task": "other"})
        go_on.set()
        with pytest.raises(gymnasium.error.ClosedEnvironmentError, match="reset again"):
            resetting.result(60)
    assert env.task.instance_id == "other" and env.sandbox is made[0]
    assert env.step("ls")[0] == "a\n" and [sandbox.closed for sandbox in made] == [False, True]
    env.close()
    assert made[0].closed


def test_a_step_that_ends_after_a_reset_is_no_turn_of_the_new_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after Ctrl-C in a vector environment of threads: its commands run on while it is reset."""
    running, go_on = threading.Event(), threading.Event()

    def slow(command: str) -> str:
        running.set()
        assert go_on.wait(60)
        return "late\n"

    monkeypatch.setattr(places_module, "make_sandbox", lambda kind, spec: FakeSandbox({"slow": slow, "ls": "a\n"}))
    env = SweEnv([task(tmp_path)], max_turns=1)
    env.reset()
    with ThreadPoolExecutor(1) as threads:
        step = threads.submit(env.step, "slow")
        assert running.wait(60)
        env.reset()
        go_on.set()
        with pytest.raises(SandboxError, match="another thread"):
            step.result()
    assert env.turns == [] and env.step("ls")[0] == "a\n"


def test_human_rendering(tmp_path: Path, faked: list[FakeSandbox], capsys: pytest.CaptureFixture[str]) -> None:
    env = SweEnv([task(tmp_path)], render_mode="human")
    env.reset()
    env.step("ls")
    env.step("nosuch")
    env.step("hang")
    assert env.render() is None
    env.close()
    assert capsys.readouterr().out == (
        "# tiny-1\nFix tiny-1\n$ ls\nREADME.md\n$ nosuch\nbash: line 1: nosuch: command not found\n[exit code 127]\n"
        "$ hang\n[killed]\n[killed]\n"
    )


def test_human_rendering_does_nothing_to_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as to fill its clipboard, or to have it type an answer; and what it cannot show breaks no step."""
    shown = "\x1b]52;c;ZXZpbA==\x07\x1b[6n caf\u00e9 \u20ac\n"
    monkeypatch.setattr(places_module, "make_sandbox", lambda kind, spec: FakeSandbox({"ls": shown}))
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1"))
    env = SweEnv([task(tmp_path)], render_mode="human")
    env.reset()
    assert env.step("ls")[0] == shown
    env.close()
    assert written.getvalue().decode("latin-1").splitlines()[-1] == "?]52;c;ZXZpbA==??[6n caf\u00e9 ?"


def test_wrappers_compose(tmp_path: Path, faked: list[FakeSandbox]) -> None:
    env = RecordEpisodeStatistics(TimeLimit(SweEnv([task(tmp_path)]), max_episode_steps=2))
    env.reset()
    env.step("ls")
    *_, truncated, info = env.step("ls")
    assert truncated and info["episode"]["l"] == 2
    env.close()


def test_pickling_keeps_the_configuration(tmp_path: Path, faked: list[FakeSandbox]) -> None:
    env = SweEnv([task(tmp_path)], max_turns=3, render_mode="ansi")
    env.reset()
    env.step("ls")
    copy = pickle.loads(pickle.dumps(env))
    assert copy.max_turns == 3 and copy.render_mode == "ansi" and copy.tasks == env.tasks
    assert copy.sandbox is None and copy.turns == []
    assert copy.reset()[0] == "Fix tiny-1"
    env.close()
    copy.close()


@pytest.mark.sandbox
@pytest.mark.parametrize("mode", ["threads", "sync", "async"])
def test_each_environment_of_a_vector_gets_its_task(mode: str, tmp_path: Path) -> None:
    names = ("tiny-1", "tiny-2", "tiny-3")
    vec = make_vec(3, mode=mode, tasks=[task(tmp_path, name) for name in names], sandbox="local")
    try:
        for wanted in (["tiny-3", "tiny-1", "tiny-3"], ("tiny-2", "tiny-2", "tiny-1")):
            issues, infos = vec.reset(seed=1, options={"task": wanted})
            assert list(infos["task_id"]) == list(wanted)
            assert list(issues) == [f"Fix {name}" for name in wanted]
        assert list(vec.reset(options={"task": "tiny-2"})[1]["task_id"]) == ["tiny-2"] * 3
        drawn = vec.reset(seed=1, options={"task": ["tiny-1", None, "tiny-1"]})[1]["task_id"]
        assert drawn[1] in names and drawn[0] == drawn[2] == "tiny-1"
        _, _, ended, _, _ = vec.step(["submit", "true", "true"])
        assert list(ended) == [True, False, False]
        assert vec.step(["true"] * 3)[4]["task_id"][1] == drawn[1], "only the first one starts again"
    finally:
        vec.close()


@pytest.mark.sandbox
@pytest.mark.slow
def test_thirty_two_at_a_time(tmp_path: Path) -> None:
    names = [f"tiny-{number}" for number in range(32)]
    vec = make_vec(
        32, tasks=[task(tmp_path, name) for name in names], sandbox="local", autoreset=AutoresetMode.DISABLED
    )
    try:
        _, infos = vec.reset(options={"task": names})
        assert list(infos["task_id"]) == names
        vec.step([f"echo {number} > mine.txt; cd src; x={number}" for number in range(32)])
        shown, _, _, _, infos = vec.step(["cat ../mine.txt; echo $x; pwd"] * 32)
        assert list(shown) == [f"{number}\n{number}\n/testbed/src\n" for number in range(32)]
        assert not any(infos["exit_code"]) and not any(infos["rebuilt"])
    finally:
        vec.close()


def test_lists_of_tasks_that_cannot_be(tmp_path: Path, faked: list[FakeSandbox]) -> None:
    vec = make_vec(2, tasks=[task(tmp_path)])
    with pytest.raises(ConfigError, match="task lists 1 ids for 2 environments"):
        vec.reset(options={"task": ["tiny-1"]})
    with pytest.raises(TaskError, match="did you mean 'tiny-1'"):
        vec.reset(options={"task": ["tiny-1", "tiny-"]})
    vec.close()


@pytest.mark.sandbox
@pytest.mark.parametrize("mode", ["threads", "sync", "async"])
def test_vector_environments(mode: str, tmp_path: Path) -> None:
    tasks = [task(tmp_path, f"tiny-{number}") for number in range(3)]
    envs = make_vec(3, mode, tasks=tasks, sandbox="local", max_turns=2)
    assert isinstance(envs, {"threads": ThreadedVectorEnv, "sync": SyncVectorEnv, "async": AsyncVectorEnv}[mode])
    try:
        first, infos = envs.reset(seed=7)
        again, _ = envs.reset(seed=7)
        assert first == again and all(text in envs.single_observation_space for text in first)
        assert list(infos["task_id"]) == [text.removeprefix("Fix ") for text in first]
        observations, rewards, terminated, truncated, infos = envs.step(
            ["echo '\u00e9\u20ac'; cat README.md", "exit 3", "submit"]
        )
        assert observations[0] == "\u00e9\u20ac\nhello\n" and "exit code 3" in observations[1] and observations[2] == ""
        assert list(terminated) == [False, False, True] and not truncated.any() and not rewards.any()
        assert list(infos["exit_code"]) == [0, 3, 0]
        observations, _, terminated, truncated, infos = envs.step(["sleep 600 & kill -9 $$", "pwd", "never run"])
        assert observations[1] == "/testbed\n" and observations[2].startswith("Fix tiny-")
        assert list(truncated) == [True, True, False] and not terminated.any()
        assert list(infos["turn"]) == [2, 2, 0]
    finally:
        envs.close()


def test_threads_do_the_same_as_sync(tmp_path: Path, faked: list[FakeSandbox]) -> None:
    tasks = [task(tmp_path, f"tiny-{number}") for number in range(5)]

    def story(mode: str, autoreset: AutoresetMode) -> list[object]:
        envs = make_vec(3, mode, tasks=tasks, max_turns=3, autoreset=autoreset)
        told: list[object] = [envs.reset(seed=[1, 2, 3])[0]]
        for actions in (["ls", "submit", "x"], ["ls", "ls", "hang"], ["submit", "x", "ls"], ["ls"] * 3, ["submit"] * 3):
            observations, rewards, terminated, truncated, infos = envs.step(actions)
            told += [observations, list(rewards), list(terminated), list(truncated), list(infos["turn"])]
        envs.close()
        return told

    for autoreset in (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP):
        assert story("threads", autoreset) == story("sync", autoreset)


def test_threads_run_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    meeting = threading.Barrier(4, timeout=60)

    def meet(command: str) -> str:
        meeting.wait()
        return command

    monkeypatch.setattr(places_module, "make_sandbox", lambda kind, spec: FakeSandbox({"meet": meet}))
    envs = make_vec(4, tasks=[task(tmp_path)])
    envs.reset(seed=0)
    assert envs.step(["meet"] * 4)[0] == ("meet",) * 4
    envs.close()


def test_vector_arguments_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="did you mean 'threads'"):
        make_vec(2, "thread")
    with pytest.raises(ConfigError, match="at least one"):
        make_vec(0)


def test_actions_of_vectors_that_cannot_be(tmp_path: Path, faked: list[FakeSandbox]) -> None:
    envs = make_vec(2, tasks=[task(tmp_path)])
    envs.reset(seed=0)
    for actions in ("ls", ["ls"], ["ls"] * 3):
        with pytest.raises(ConfigError, match="2 environments take a list of 2 commands"):
            envs.step(actions)
    with pytest.raises(ConfigError, match="not int \\(environment 1 of 2\\)"):
        envs.step(["ls", 3])
    assert all(not sandbox.commands for sandbox in faked)
    envs.close()
    for call in (envs.reset, lambda: envs.step(["ls", "ls"])):
        with pytest.raises(gymnasium.error.ClosedEnvironmentError, match="make another one"):
            call()


def test_one_failing_environment_is_told(tmp_path: Path, faked: list[FakeSandbox]) -> None:
    envs = make_vec(2, tasks=[task(tmp_path)])
    envs.reset(seed=0)
    with pytest.raises(SandboxError, match="gone"):
        envs.step(["ls", "die"])
    envs.close()


def test_a_failure_leaves_nothing_for_the_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing, ended = threading.Event(), list[str]()

    def late(command: str) -> str:
        failing.wait()
        time.sleep(0.3)  # until the failure has been told, were it told at once
        ended.append(command)
        return "late\n"

    def fail(command: str) -> str:
        failing.set()
        raise SandboxError("gone")

    answers = {"late": late, "die": fail, "ls": "README.md\n"}
    monkeypatch.setattr(places_module, "make_sandbox", lambda kind, spec: FakeSandbox(answers))
    envs = make_vec(2, tasks=[task(tmp_path)])
    envs.reset(seed=0)
    with pytest.raises(SandboxError, match="gone"):
        envs.step(["die", "late"])
    assert ended == ["late"]
    assert envs.step(["ls", "ls"])[0] == ("README.md\n",) * 2
    envs.close()


def test_processes_that_were_interrupted_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is told to all of them, and `close` is what their owner calls then."""

    class Closing(FakeSandbox):
        def close(self) -> None:
            (tmp_path / f"closed-{os.getpid()}").touch()
            super().close()

    def interrupted(command: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(places_module, "make_sandbox", lambda kind, spec: Closing({"stop": interrupted}))
    envs = make_vec(2, mode="async", tasks=[task(tmp_path)])
    envs.reset(seed=0)
    processes = envs.processes  # type: ignore[attr-defined]
    envs.step_async(["stop", "stop"])  # type: ignore[attr-defined]
    envs.close()
    assert {path.name for path in tmp_path.glob("closed-*")} == {f"closed-{process.pid}" for process in processes}
    assert [process.exitcode for process in processes] == [0, 0]


OWNER = """
import sys, threading
from swe_srl.envs import make_vec
envs = make_vec(2, mode="async", tasks="quickstart", definition=sys.argv[1], sandbox="local")
envs.reset(seed=1)
envs.step_async(["sleep 1000", "sleep 1000"])
print(*[process.pid for process in envs.processes], flush=True)
threading.Event().wait()
"""


@pytest.mark.sandbox
def test_processes_end_with_their_owner_in_the_midst_of_a_command(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("limits: {command_seconds: 1000}\n")
    root = str(Path(__file__).resolve().parent.parent)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path])}
    command = [sys.executable, "-c", OWNER, str(tmp_path / "own.yaml")]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, env=env, text=True)
    try:
        assert owner.stdout is not None
        pids = owner.stdout.readline().split()
    finally:
        owner.kill()
        owner.wait()
    assert len(pids) == 2
    wait_until(lambda: not any(is_running(int(pid)) for pid in pids))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("when", ["between", "while it steps", "while it resets"])
def test_a_process_that_was_killed_is_told(when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the others are closed."""

    def die(command: str) -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        return ""

    closed = tmp_path / "closed"

    class Closing(FakeSandbox):
        def close(self) -> None:
            closed.write_text("yes")
            super().close()

    monkeypatch.setattr(
        places_module, "make_sandbox", lambda kind, spec: Closing({"die": die, "slow": lambda _: time.sleep(0.5) or ""})
    )
    envs = make_vec(2, mode="async", tasks=[task(tmp_path)])
    envs.reset(seed=0)
    processes = envs.processes  # type: ignore[attr-defined]
    actions = ["die", "slow"]
    if when == "between":
        processes[0].kill()
        processes[0].join()
    told = r"process of environment 0 of 2 \(exit code -9\) has ended.*make another one"
    if when == "while it resets":
        os.kill(processes[0].pid, signal.SIGSTOP)
        envs.reset_async()  # type: ignore[attr-defined]
        processes[0].kill()
        with pytest.raises(SandboxError, match=told):
            envs.reset_wait()  # type: ignore[attr-defined]
    else:
        with pytest.raises(SandboxError, match=told):
            envs.step(actions)
    for call in (envs.reset, lambda: envs.step(actions), lambda: envs.call("render")):
        with pytest.raises(SandboxError, match=told):
            call()
    closed.unlink(missing_ok=True)
    envs.close()
    envs.close()
    assert closed.exists() and not any(process.is_alive() for process in processes)


@pytest.mark.timeout(240)
def test_a_process_that_an_error_ended_is_told(tmp_path: Path, faked: list[FakeSandbox]) -> None:
    envs = make_vec(2, mode="async", tasks=[task(tmp_path)])
    envs.reset(seed=0)
    with pytest.raises(SandboxError, match="gone"):
        envs.step(["ls", "die"])
    with pytest.raises(SandboxError, match=r"process of environment 1 of 2 .* by an error that was raised before"):
        envs.step(["ls", "ls"])
    envs.close()
    assert not any(process.is_alive() for process in envs.processes)  # type: ignore[attr-defined]
    with pytest.raises(gymnasium.error.ClosedEnvironmentError):
        envs.step(["ls", "ls"])


def test_rewards_are_floats(tmp_path: Path, faked: list[FakeSandbox]) -> None:
    env = SweEnv([task(tmp_path)])
    env.reset()
    assert type(env.step("ls")[1]) is float and np.isfinite(env.step("ls")[1])
    env.close()
