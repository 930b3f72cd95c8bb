"""From a patch to what its tests left behind: fresh sandboxes, the official run, and the hardened run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from swe_srl.errors import GradingError, SandboxError
from swe_srl.grading.bench import BrokenRunError
from swe_srl.grading.harness import ERRORED_MARKER, official_report
from swe_srl.grading.workshop import HardenedReport, Workshop
from swe_srl.protocols import Sandbox
from swe_srl.sandboxes.closing import close_all, close_or_tell
from swe_srl.tasks.surroundings import surroundings
from swe_srl.types import Limits, SandboxSpec, Task, TestRun

WORKDIR = "/testbed"
PATCH_BYTES = 64 << 20
GRADING_LIMITS = Limits(memory_mb=4096, processes=512, open_files=4096)
_T = TypeVar("_T")
INTERRUPTED = "grading was interrupted"
MakeSandbox = Callable[[str, SandboxSpec], Sandbox]


class OpenSandboxes:
    """The sandboxes of gradings in progress: an interrupted run ends them at once instead of waiting. Thread-safe."""

    def __init__(self) -> None:
        self.ended = False
        self._lock = threading.Lock()
        self._open: list[Sandbox] = []

    @contextmanager
    def holding(self, sandbox: Sandbox) -> Iterator[Sandbox]:
        """Use a sandbox, and close it.

        Raises:
            SandboxError: `end` was called.
        """
        with sandbox:
            with self._lock:
                self._open.append(sandbox)
            try:
                if self.ended:
                    raise SandboxError(INTERRUPTED)
                yield sandbox
            finally:
                with self._lock:
                    self._open.remove(sandbox)

    def end(self) -> None:
        """Close every sandbox; their gradings fail, and later ones fail at once.

        All are closed at a time: neither one that cannot be closed nor an interrupt meanwhile leaves another one running.
        """

        def begin() -> list[Callable[[], None]]:
            with self._lock:
                self.ended = True
                return [partial(close_or_tell, sandbox) for sandbox in self._open]

        close_all(begin)


@dataclass(frozen=True, slots=True)
class GradingSettings:
    """How patches are graded.

    Args:
        sandbox: "local" (an image's root file system is unpacked for it), "docker", or "auto" (Docker when the task has an
            image).
        timeout: seconds the evaluation script may take, each time it is run; the harness's own default is 1800. A row's
            own `test_seconds` counts when it is less.
        limits: of the grading sandbox; None: the defaults, with more memory and processes in a container.
        hardened: whether a patch that the official rules accept is run a second time, hardened.
        times: gradings of a patch; of several the majority decides (see `swe_srl.grading.flaky`).
        make_sandbox: makes the sandbox; None for `swe_srl.sandboxes.make_sandbox`.
        open: knows the sandboxes in use, so that they can be ended from outside; None where nobody will.
    """

    sandbox: str = "auto"
    timeout: float = 1800.0
    limits: Limits | None = None
    hardened: bool = True
    times: int = 1
    make_sandbox: MakeSandbox | None = None
    open: OpenSandboxes | None = None


def sandbox_spec(task: Task, settings: GradingSettings) -> SandboxSpec:
    """What a grading sandbox of this task is made of: its image, run as root as the harness does, or its prepared source.

    A task that has both uses its image, unless the local sandbox is asked for.

    Raises:
        GradingError: the task has neither an image nor a source.
        TaskError: the source cannot be prepared.
    """
    if task.image and not (settings.sandbox == "local" and task.source):
        return SandboxSpec(image=task.image, workdir=WORKDIR, user="0:0", limits=settings.limits or GRADING_LIMITS)
    if not task.source:
        raise GradingError(f"{task.instance_id}: the row has neither an image nor a source: there is nothing to run in")
    from swe_srl.sandboxes.repository import prepare_repository

    prepared, beside = prepare_repository(task.source, task.setup_patch), surroundings(task)
    return SandboxSpec(
        workdir=WORKDIR,
        repository=str(prepared.path),
        limits=settings.limits or Limits(),
        env=beside.variables,
        shown=beside.shown,
    )


def run_tests(task: Task, patch: str, settings: GradingSettings | None = None) -> TestRun:
    """Run a task's tests on a patch in a fresh sandbox and keep what they left behind.

    An empty patch runs the tests on the base commit. A patch that the official rules accept is run again, hardened, in
    another fresh sandbox (see `swe_srl.grading.workshop.HardenedReport`). When the sandbox is lost or its disk is full after the
    patch was run, a fresh one is tried; when that ends the same way, the patch is to blame, and the run says so.

    Args:
        task: a row with `eval_script`, `log_parser`, and an image or a source.
        patch: a diff against the base commit; one of more than PATCH_BYTES is not applied.
        settings: sandbox and limits.

    Returns:
        The run. An infrastructure failure is told in its `error` and not raised.

    Raises:
        TaskError: the row lacks what grading needs.
    """
    chosen = settings or GradingSettings()
    try:
        size = len(patch.encode(errors="surrogateescape"))
    except UnicodeEncodeError:  # as JSON can say it
        return TestRun("error: it holds half a character (a lone surrogate), which no file does", None, applied=False)
    if size > PATCH_BYTES:
        return TestRun(f"error: it has {size} bytes, more than {PATCH_BYTES}", None, applied=False)
    try:
        run = _official_run(task, patch, chosen)
        if not chosen.hardened or not run.applied or run.timed_out or not official_report(task, run.log).resolved:
            return run
        report = _hardened_run(task, patch, chosen)
        return TestRun(log=run.log, exit_code=run.exit_code, applied=True, report=report)
    except (SandboxError, GradingError) as error:
        return TestRun(log="", exit_code=None, applied=False, error=str(error) or type(error).__name__)


def seconds_for_tests(task: Task, settings: GradingSettings) -> float:
    """Seconds that the tests of this task may take."""
    own = task.row().get("test_seconds")
    return min(settings.timeout, float(own)) if isinstance(own, int | float) and own > 0 else settings.timeout


def _official_run(task: Task, patch: str, settings: GradingSettings) -> TestRun:
    def once() -> TestRun:
        with _open(task, settings) as sandbox:
            outcome = Workshop(sandbox, task, WORKDIR).official(patch, seconds_for_tests(task, settings))
        return TestRun(outcome.log, outcome.exit_code, outcome.applied, outcome.timed_out)

    try:
        return _twice(once)
    except BrokenRunError as error:
        return TestRun(f"{error.log}\n\n{ERRORED_MARKER}: {_again(error, settings)}", None, applied=True)


def _hardened_run(task: Task, patch: str, settings: GradingSettings) -> str:
    def once() -> HardenedReport:
        with _open(task, settings, separate=True) as sandbox:
            return Workshop(sandbox, task, WORKDIR).hardened(patch, seconds_for_tests(task, settings))

    try:
        return _twice(once).as_text()
    except BrokenRunError as error:
        return HardenedReport(error.log, problem=_again(error, settings)).as_text()


def _twice(run: Callable[[], _T]) -> _T:
    """A run; when it broke, once more in a fresh sandbox."""
    try:
        return run()
    except BrokenRunError:
        return run()


def _again(error: BrokenRunError, settings: GradingSettings) -> str:
    """What the patch is blamed for.

    Raises:
        SandboxError: the sandboxes were ended meanwhile, so that nobody knows.
    """
    if settings.open and settings.open.ended:
        raise SandboxError(INTERRUPTED) from error
    return f"{' '.join(str(error).split())} (in each of two fresh sandboxes)"


def _open(task: Task, settings: GradingSettings, separate: bool = False) -> AbstractContextManager[Sandbox]:
    """A fresh sandbox to use and close; with `separate`, one in which tests can run as another user (in containers)."""
    sandbox = _make(task, settings, separate)
    return settings.open.holding(sandbox) if settings.open else sandbox


def _make(task: Task, settings: GradingSettings, separate: bool) -> Sandbox:
    spec = sandbox_spec(task, settings)
    if settings.make_sandbox is not None:
        return settings.make_sandbox(settings.sandbox, spec)
    if separate and settings.sandbox != "local" and (spec.image or settings.sandbox == "docker"):
        from swe_srl.grading.tester import TesterContainer

        return TesterContainer(spec)
    from swe_srl.sandboxes import make_sandbox

    return make_sandbox(settings.sandbox, spec)
