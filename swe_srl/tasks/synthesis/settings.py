"""Settings of `swe-srl tasks synthesise`."""

from __future__ import annotations

from dataclasses import dataclass

from swe_srl.errors import ConfigError
from swe_srl.settings import check_at_least, setting


@dataclass(frozen=True)
class SynthesiseSettings:
    """Make new tasks from a repository with a unittest suite."""

    source: str = setting("", "Folder of the repository, or a source such as `git:<folder>@<commit>`.")
    output: str = setting("tasks.jsonl", "File to write: SWE-bench rows, one JSON object a line.")
    repo: str = setting("", "Name of the repository in the rows, `owner/name`; empty for `local/<folder>`.")
    limit: int = setting(50, "How many tasks to make at most.")
    per_function: int = setting(2, "How many tasks to make of one function at most.")
    attempts: int = setting(12, "How many mutations of one function to try at most.")
    timeout: float = setting(10.0, "Seconds the test suite may take with a bug in it; a slower bug is left out.")
    seed: int = setting(0, "Seed of the choice of mutations: the same seed gives the same tasks.")
    workers: int = setting(2, "How many sandboxes run tests at the same time.")

    def check(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigError: names the setting.
        """
        if not self.source:
            raise ConfigError("source is missing: give the folder of a repository")
        check_at_least(self, limit=1, per_function=1, attempts=1, workers=1)
        if self.timeout <= 0:
            raise ConfigError(f"--timeout must be more than 0 seconds, not {self.timeout}")
