"""What becomes of a grading whose sandbox breaks: who is blamed, and for what."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from grading_support import GOLD, calc_prepend, new_file, tiny_task

from swe_srl.errors import FileTooLargeError, GradingError, SandboxError
from swe_srl.grading import GradingSettings, OpenSandboxes, grade, run_tests
from swe_srl.grading import runner as runner_module
from swe_srl.grading.bench import Bench, BrokenRunError
from swe_srl.grading.protection import names_internals
from swe_srl.protocols import Sandbox
from swe_srl.sandboxes import make_sandbox
from swe_srl.sandboxes.descriptors import NoDescriptorsError
from swe_srl.testing import FakeSandbox
from swe_srl.types import CommandResult, Limits, SandboxSpec, Task, TestRun, VerdictStatus

LOST = CommandResult("[the shell was lost]", None, 1.0, rebuilt=True)
FULL = """import os
with open('/tmp/full', 'wb', 0) as out:
    try:
        while True: out.write(b'x' * 65536)
    except OSError:
        while True:
            try: out.write(b'x')
            except OSError: break"""


class Scripted(FakeSandbox):
    """A fake whose commands all succeed, but for those that a test answers itself."""

    def __init__(self, answer: Callable[[str], CommandResult | None]) -> None:
        super().__init__()
        self.answer = answer

    def run(self, command: str, timeout: float | None = None) -> CommandResult:
        self.commands.append(command)
        return self.answer(command) or CommandResult("", 0, 0.0)


def test_a_script_is_written_to_the_sandbox_however_large_it_is() -> None:
    sandbox = Scripted(lambda command: None)
    Bench(sandbox, "/testbed").run("true", 5.0, {"patch.diff": "x" * 30_000_000})
    assert sum(len(data) for data in sandbox.files.values()) > 30_000_000
    assert max(len(command) for command in sandbox.commands) < 10_000


def test_what_cannot_be_put_into_a_fresh_sandbox_is_infrastructure() -> None:
    refused = Scripted(lambda command: CommandResult("No space left", 2, 0.0) if command.startswith("tar") else None)
    with pytest.raises(GradingError, match="No space left") as caught:
        Bench(refused, "/testbed").run("true", 5.0)
    assert not isinstance(caught.value, BrokenRunError)
    assert not any("script" in command for command in refused.commands)


def test_a_lost_shell_and_a_full_disk_are_told_apart_from_an_end() -> None:
    lost = Bench(Scripted(lambda command: LOST if "/script" in command else None), "/testbed")
    with pytest.raises(BrokenRunError, match="the sandbox was lost while the patch was graded"):
        lost.run("true", 5.0)
    full = Scripted(lambda command: CommandResult("", 1, 0.0) if "/room" in command else None)
    bench = Bench(full, "/testbed")
    full.files[f"{bench.here}/log"] = b"half a l"
    with pytest.raises(BrokenRunError, match="disk is full") as caught:
        bench.run("true", 5.0, keep=("log", "status"))
    assert caught.value.log == "half a l"
    late = Bench(full, "/testbed")
    late._used = True
    full.answer = lambda command: CommandResult("", 2, 0.0) if command.startswith("tar") else None
    with pytest.raises(BrokenRunError, match="nothing can be written"):
        late.run("true", 5.0)


def test_a_sandbox_that_is_not_to_be_brought_back_after_the_patch_was_run_is_lost() -> None:
    """Neither by the command that runs it nor by reading what it left. A want of this process's own is no loss."""

    def dead(command: str) -> None:
        if "/script" in command:
            raise SandboxError("the container's shell ended")

    with pytest.raises(BrokenRunError, match="lost while the patch was graded: the container's shell ended"):
        Bench(Scripted(dead), "/testbed").run("true", 5.0)

    class Dying(Scripted):
        def read_file(self, path: str) -> bytes:
            if path.endswith("status"):
                raise SandboxError("the container's shell ended")
            return b"half a l"

    with pytest.raises(BrokenRunError, match="the container's shell ended") as caught:
        Bench(Dying(lambda command: None), "/testbed").run("true", 5.0, keep=("log", "status"))
    assert caught.value.log == "half a l"

    def starved(command: str) -> None:
        if "/script" in command:
            raise NoDescriptorsError("Too many open files")

    with pytest.raises(NoDescriptorsError):
        Bench(Scripted(starved), "/testbed").run("true", 5.0)


@pytest.mark.parametrize("error", [IsADirectoryError, PermissionError, FileNotFoundError, FileTooLargeError])
def test_a_result_that_is_no_file_is_left_out(error: type[Exception]) -> None:
    class Odd(Scripted):
        def read_file(self, path: str) -> bytes:
            raise error(path)

    assert Bench(Odd(lambda command: None), "/testbed").run("true", 5.0, keep=("log",)).files == {}


def test_paths_in_git_are_recognised() -> None:
    assert names_internals(new_file(".git/hooks/post-checkout", "x"))
    assert names_internals("*** a/.git/config\n--- b/.git/config\n")
    assert names_internals("Index: sub/.git/config\n")
    assert names_internals('--- /dev/null\n+++ "b/.gi\\164/config"\n')
    assert not names_internals(GOLD + new_file(".gitignore", "x") + new_file("a.git/.github/x", "see .git/config"))


def losing(times: int, made: list[Sandbox]) -> GradingSettings:
    """Settings whose first sandboxes are lost when they run the tests."""

    def make(kind: str, spec: SandboxSpec) -> Sandbox:
        sandbox = make_sandbox(kind, spec)
        if len(made) < times:
            real = sandbox.run
            sandbox.run = lambda command, timeout=None: LOST if "/script" in command else real(command, timeout)
        made.append(sandbox)
        return sandbox

    return GradingSettings(make_sandbox=make)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return tiny_task(tmp_path_factory.mktemp("bench") / "calc")


@pytest.mark.sandbox
def test_a_lost_sandbox_is_not_the_patchs_fault_unless_a_fresh_one_is_lost_too(task: Task) -> None:
    made: list[Sandbox] = []
    verdict = grade(task, GOLD, losing(1, made))
    assert verdict.official and verdict.hardened and len(made) == 3, verdict.reason
    made.clear()
    verdict = grade(task, GOLD, losing(2, made))
    assert verdict.status is VerdictStatus.UNRESOLVED and len(made) == 2
    assert verdict.reason == (
        "the sandbox was lost while the patch was graded: [the shell was lost] (in each of two fresh sandboxes)"
    )


def test_an_interrupted_grading_blames_nobody(task: Task) -> None:
    """Ending the sandboxes of gradings looks to them like a loss; one that is lost in its second try, too, has no verdict."""
    opened, made = OpenSandboxes(), list[Sandbox]()

    def lost(command: str) -> None:
        if "/script" in command:
            if len(made) == 2:
                opened.end()
            raise SandboxError("the sandbox is closed")

    def make(kind: str, spec: SandboxSpec) -> Sandbox:
        made.append(Scripted(lost))
        return made[-1]

    run = run_tests(task, GOLD, GradingSettings(make_sandbox=make, open=opened))
    assert len(made) == 2 and run.error == "grading was interrupted" and not run.applied


@pytest.mark.timeout(60)
def test_neither_an_interrupt_nor_a_sandbox_that_cannot_be_closed_leaves_another_one_open() -> None:
    opened, closing, closed = OpenSandboxes(), threading.Event(), threading.Event()

    class Stubborn(Scripted):
        def close(self) -> None:
            if self.closed:
                return
            self.closed = True
            assert closing.wait(10)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            raise SandboxError("the engine is away")

    class Other(Scripted):
        def close(self) -> None:
            closing.set()
            closed.set()

    with contextlib.ExitStack() as stack:
        for kind in (Stubborn, Other):
            stack.enter_context(opened.holding(kind(lambda command: None)))
        with pytest.raises(KeyboardInterrupt):
            opened.end()
        assert closed.wait(10)


@pytest.mark.sandbox
def test_tests_that_fill_the_disk_fail_with_that_reason(task: Task) -> None:
    kept: list[TestRun] = []
    settings = GradingSettings(limits=replace(Limits(), disk_mb=48))
    verdict = grade(task, calc_prepend(FULL, fixed=True), settings, keep=kept.append)
    assert verdict.status is VerdictStatus.UNRESOLVED
    assert verdict.reason == "the sandbox's disk is full (in each of two fresh sandboxes)"
    assert "Start Test Output" in kept[0].log


@pytest.mark.sandbox
def test_a_large_patch_is_run(task: Task) -> None:
    large = new_file("large.txt", f"{'x' * 1023}\n" * 16_000)
    verdict = grade(task, GOLD + large, GradingSettings(hardened=False))
    assert verdict.official, verdict.reason


def test_a_patch_above_the_bound_is_refused_with_the_bound(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "PATCH_BYTES", 100)
    assert not run_tests(task, GOLD).applied
    verdict = grade(task, GOLD)
    assert verdict.status is VerdictStatus.PATCH_FAILED and "more than 100" in verdict.reason
