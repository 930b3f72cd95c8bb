"""`swe-srl compare`: two evaluation runs, task by task."""

from __future__ import annotations

from dataclasses import dataclass

from swe_srl.cli.console import Console
from swe_srl.settings import setting


@dataclass(frozen=True)
class CompareSettings:
    """Settings of `swe-srl compare`."""

    before: str = setting("", "Run folder of the first evaluation.")
    after: str = setting("", "Run folder of the second evaluation.")
    common: bool = setting(False, "Compare the common tasks when the runs graded different ones.")
    hardened: bool = setting(False, "Compare by the hardened verdicts.")
    json: bool = setting(False, "Print the comparison as JSON.")


def run(settings: CompareSettings, console: Console) -> None:
    """Rates of both runs over their common tasks, and the difference with its paired interval."""
    from swe_srl.evaluation import compare

    comparison = compare(settings.before, settings.after, settings.common, settings.hardened)
    if settings.json:
        console.json(comparison.as_dict())
    else:
        console.markdown(comparison.as_markdown())
