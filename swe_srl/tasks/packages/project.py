"""From an archive to a project whose tests run in sandboxes: unpacked, its needs installed, its suite examined."""

from __future__ import annotations

import json
from pathlib import Path

from swe_srl.errors import SandboxError, TaskError
from swe_srl.files import write_atomic
from swe_srl.progress import Progress
from swe_srl.sandboxes import LocalSandbox
from swe_srl.sandboxes.repository import prepare_repository
from swe_srl.tasks.packages.dependencies import install_needs, offered_extras
from swe_srl.tasks.packages.origin import Origin
from swe_srl.tasks.packages.record import WALL
from swe_srl.tasks.packages.row import Project
from swe_srl.tasks.packages.suite import Suite, TestBench, examine
from swe_srl.tasks.surroundings import PACKAGES
from swe_srl.tasks.synthesis.settings import SynthesiseSettings
from swe_srl.types import Limits, SandboxSpec

WORKDIR = "/testbed"
_VERSION = "python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'"


def make_project(origin: Origin, settings: SynthesiseSettings, progress: Progress) -> Project:
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
    packages = install_needs(
        origin, settings.folder / "packages", said.output.strip(), settings.extras, settings.requirements
    )
    left = [extra for extra in offered_extras(packages) if extra not in settings.extras]
    if left:
        progress.note(
            f"{origin.name}: offers extras that are not installed: {', '.join(left)}; --extras brings those its tests need"
        )
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


def known_suite(file: Path, project: Project, settings: SynthesiseSettings, progress: Progress) -> Suite:
    """What the project's tests do: read from `file`, or found out and kept there. `progress` is told which tests do not count.

    Raises:
        TaskError: none of its tests passes, or a place that `settings.tests` gives is not there.
    """
    if file.is_file():
        suite = Suite.from_row(json.loads(file.read_text()))
        _tell(suite, project.name, progress)
        return suite
    for name in settings.tests:
        if not (project.root / name.partition("::")[0]).exists():
            raise TaskError(f"--tests {name}: {project.name} has no such file or folder")
    progress.note(f"{project.name}: running all its tests twice")
    bench = open_bench(project, settings)
    with bench.sandbox:
        suite = examine(bench, settings.tests, settings.suite_seconds, project.name)
    write_atomic(file, json.dumps(suite.as_row()))
    _tell(suite, project.name, progress)
    return suite


def _tell(suite: Suite, name: str, progress: Progress) -> None:
    for reason in suite.left_out:
        progress.note(f"{name}: left out: {reason}")
