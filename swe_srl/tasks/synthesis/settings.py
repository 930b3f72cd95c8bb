"""Settings of `swe-srl tasks synthesise`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from swe_srl.errors import ConfigError, suggest
from swe_srl.settings import check_at_least, setting
from swe_srl.tasks.difficulty import LEVELS


@dataclass(frozen=True)
class SynthesiseSettings:
    """Make new tasks from a repository: of a package, of a commit of yours, or a folder with a small unittest suite."""

    source: str = setting(
        "", "Folder of a repository with a unittest suite, or a source such as `git:<folder>@<commit>`."
    )
    package: tuple[str, ...] = setting(
        (), "Packages to fetch with pip, each as NAME==VERSION; pytest runs their tests."
    )
    repo: str = setting("", "Folder of a git repository; pytest runs its tests.")
    commit: str = setting("HEAD", "Commit, branch or tag of --repo.")
    output: str = setting(
        "",
        "What to write. Of --package and --repo a folder, which the same command goes on with (empty: runs/tasks); of a "
        "SOURCE a file of tasks (empty: tasks.jsonl).",
    )
    name: str = setting("", "Name of the repository in the rows, `owner/name`; empty for `local/<folder>`.")
    count: int = setting(50, "How many tasks to make of a repository at most.")
    per_function: int = setting(
        2,
        "How many tasks to make of one function at most; those of a package or a repository are each of another line and kind of "
        "bug.",
    )
    difficulty: tuple[str, ...] = setting(
        (),
        "Make tasks of these difficulties only: by how many one-piece edits of the places that the issue leaves open could be "
        "the fix. Empty: all.",
        LEVELS,
    )
    attempts: int = setting(12, "How many mutations of one function to try at most.")
    timeout: float = setting(10.0, "Seconds the test suite may take with a bug in it; a slower bug is left out.")
    seed: int = setting(0, "Seed of the choice of mutations: the same seed gives the same tasks.")
    workers: int = setting(2, "How many sandboxes run tests at the same time.")
    tests: tuple[str, ...] = setting((), "Files or folders of the tests; empty for what pytest finds.")
    requirements: tuple[str, ...] = setting((), "What the tests need beside pytest and the package's own dependencies.")
    extras: tuple[str, ...] = setting((), "Extras of the package that its tests need, such as `test`.")
    suite_seconds: float = setting(300.0, "Seconds of processor time that all tests may take without a bug.")

    @property
    def folder(self) -> Path:
        """What `output` names, of --package and --repo."""
        return Path(self.output or "runs/tasks")

    @property
    def file(self) -> Path:
        """What `output` names, of a source."""
        return Path(self.output or "tasks.jsonl")

    def check(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigError: names the setting.
        """
        given = [bool(self.source), bool(self.package), bool(self.repo)]
        if sum(given) != 1:
            what = "is missing" if not any(given) else "is one thing"
            raise ConfigError(
                f"source {what}: give the folder of a repository, --package NAME==VERSION, or --repo FOLDER"
            )
        if self.package and self.name:
            raise ConfigError("--name: the tasks of a package are named after it")
        if self.name and not re.fullmatch(r"[\w.-]*\w[\w.-]*/[\w.-]*\w[\w.-]*", self.name):
            raise ConfigError(f"--name: a repository's name is owner/name, not {self.name!r}")
        if self.commit != "HEAD" and not self.repo:
            raise ConfigError("--commit: it is for --repo")
        for name in ("tests", "requirements", "extras"):
            if self.source and getattr(self, name):
                raise ConfigError(f"--{name}: it is for --package and --repo")
        for name in self.difficulty:
            if name not in LEVELS:
                raise ConfigError(f"--difficulty: {suggest(name, LEVELS, 'difficulty')}")
        check_at_least(self, count=1, per_function=1, attempts=1, workers=1)
        for name, value in (("timeout", self.timeout), ("suite-seconds", self.suite_seconds)):
            if value <= 0:
                raise ConfigError(f"--{name} must be more than 0 seconds, not {value}")
