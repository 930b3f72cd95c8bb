"""From an archive to a project whose tests run in sandboxes: unpacked, its needs installed, its suite examined."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from swe_srl.errors import SandboxError, TaskError
from swe_srl.files import write_atomic
from swe_srl.progress import Progress
from swe_srl.sandboxes import LocalSandbox
from swe_srl.sandboxes.repository import prepare_repository
from swe_srl.tasks.packages.dependencies import install_needs, offered_extras
from swe_srl.tasks.packages.needs import Needs, declared_needs
from swe_srl.tasks.packages.origin import Origin, PipError
from swe_srl.tasks.packages.record import WALL
from swe_srl.tasks.packages.row import Project
from swe_srl.tasks.packages.suite import NothingPassesError, Suite, TestBench, examine
from swe_srl.tasks.surroundings import PACKAGES
from swe_srl.tasks.synthesis.settings import SynthesiseSettings
from swe_srl.types import Limits, SandboxSpec

WORKDIR = "/testbed"
OLDER = "pytest<8"  # what a project that is some years old may need
_VERSION = "python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'"


def make_project(origin: Origin, settings: SynthesiseSettings, needs: Needs, progress: Progress) -> Project:
    """Unpack a project and install what its tests need; `progress` is told before what may take long.

    Raises:
        TaskError: the archive cannot be read, or pip fails.
        SandboxError: the local sandbox does not work, or has no Python.
    """
    source = f"archive:{origin.archive}"
    root = prepare_repository(source).path
    with LocalSandbox(SandboxSpec(workdir=WORKDIR, repository=str(root))) as sandbox:
        said = sandbox.run(_VERSION, 60.0)
    if said.exit_code != 0:
        raise SandboxError(f"the sandbox has no python3: {said.output.strip()[-200:]}")
    progress.note(f"{origin.name}: installing what its tests need, unless it is there")
    folder = settings.folder / "packages"
    packages = install_needs(origin, folder, said.output.strip(), needs.extras, needs.requirements)
    code = f"{WORKDIR}/src" if (root / "src").is_dir() else WORKDIR
    variables = (
        ("PYTHONPATH", f"{code}:{PACKAGES}"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("PYTHONHASHSEED", "0"),  # what the tests print is the same each time
    )
    return Project(origin.name, origin.version, source, root, packages, variables)


def open_bench(project: Project, settings: SynthesiseSettings) -> TestBench:
    """A fresh sandbox with the project in it."""
    limits = Limits(command_seconds=max(settings.suite_seconds, settings.timeout) * WALL, output_bytes=64_000)
    spec = SandboxSpec(
        workdir=WORKDIR,
        repository=str(project.root),
        limits=limits,
        env=project.variables,
        shown=((str(project.packages), PACKAGES),),
    )
    return TestBench(LocalSandbox(spec))


def examined_project(
    origin: Origin, settings: SynthesiseSettings, file: Path, progress: Progress
) -> tuple[Project, Suite]:
    """A project and what its tests do: read from `file`, or found out and kept there.

    Where some of its tests cannot be imported, or none passes, and the settings do not say what they need, what the project
    itself says of them is installed, and what serves more tests is kept. `progress` is told, also which tests do not count.

    Raises:
        TaskError: the archive cannot be read, pip fails, a place that `settings.tests` gives is not there, or no test passes.
        SandboxError: the local sandbox does not work, or has no Python.
    """
    if file.is_file():
        row = json.loads(file.read_text())
        suite = Suite.from_row(row)
        if "extras" not in row:  # of a version that installed what the settings say, and no more
            suite = replace(suite, extras=settings.extras, requirements=settings.requirements)
        project = make_project(origin, settings, Needs(suite.extras, suite.requirements), progress)
    else:
        asked = Needs(settings.extras, settings.requirements)
        project = make_project(origin, settings, asked, progress)
        found = _examined(project, asked, settings, progress)
        if not asked.extras and not asked.requirements and (isinstance(found, TaskError) or found.unimportable):
            project, found = _with_declared(origin, project, found, settings, progress)
        if isinstance(found, TaskError):
            raise found
        suite = found
        write_atomic(file, json.dumps(suite.as_row()))
    left = [extra for extra in offered_extras(project.packages) if extra not in suite.extras]
    if left and (suite.left_out or not suite.extras):
        progress.note(
            f"{origin.name}: offers extras that are not installed: {', '.join(left)}; --extras brings those its tests need"
        )
    for reason in suite.left_out:
        progress.note(f"{origin.name}: left out: {reason}")
    return project, suite


def _examined(
    project: Project, needs: Needs, settings: SynthesiseSettings, progress: Progress
) -> Suite | NothingPassesError:
    for name in settings.tests:
        if not (project.root / name.partition("::")[0]).exists():
            raise TaskError(f"--tests {name}: {project.name} has no such file or folder")
    progress.note(f"{project.name}: running all its tests twice")
    bench = open_bench(project, settings)
    with bench.sandbox:
        try:
            suite = examine(bench, settings.tests, settings.suite_seconds, project.name)
        except NothingPassesError as error:
            return error
    return replace(suite, extras=needs.extras, requirements=needs.requirements)


def _with_declared(
    origin: Origin,
    project: Project,
    found: Suite | NothingPassesError,
    settings: SynthesiseSettings,
    progress: Progress,
) -> tuple[Project, Suite | NothingPassesError]:
    """The project and its suite with what it says that its tests need, or as they are where that serves no more tests."""
    declared = declared_needs(project.root, offered_extras(project.packages))
    plans = list(dict.fromkeys((declared, declared.unpinned()))) if declared else []
    plans.append((plans[-1] if plans else Needs()).joined(OLDER))
    for needs in plans:
        older = OLDER in needs.requirements
        if older and not _crashed(found):
            break
        said = ", ".join(filter(None, (needs.said, OLDER if older else "")))
        progress.note(f"{origin.name}: {_short(found)}; once more with {said}")
        try:
            other = make_project(origin, settings, needs, progress)
        except TaskError as error:
            progress.note(f"{origin.name}: {said} cannot be installed: {_reason(error)}")
            continue
        result = _examined(other, needs, settings, progress)
        if _serves(result) > _serves(found):
            project, found = other, result
        if not _crashed(result):
            break
    return project, found


def _reason(error: TaskError) -> str:
    """pip's last word: warnings come first."""
    lines = error.said if isinstance(error, PipError) and error.said else str(error).splitlines()
    return lines[-1].strip()[:300]


def _crashed(found: Suite | NothingPassesError) -> bool:
    return isinstance(found, NothingPassesError) and found.crashed


def _short(found: Suite | NothingPassesError) -> str:
    if isinstance(found, NothingPassesError):
        return "pytest fails" if found.crashed else "none of its tests passes"
    return f"{found.unimportable} of its test files cannot be imported"


def _serves(found: Suite | NothingPassesError) -> int:
    """How many tests count."""
    return 0 if isinstance(found, NothingPassesError) else len(found.passing)
