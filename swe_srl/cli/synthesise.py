"""`swe-srl tasks synthesise`: new tasks from packages, from a commit of the user's, or from a small unittest suite."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from swe_srl.cli.console import Console

if TYPE_CHECKING:
    from swe_srl.tasks.packages.outcomes import Count
    from swe_srl.tasks.synthesis.settings import SynthesiseSettings


def run(settings: SynthesiseSettings, console: Console) -> int:
    """Plant bugs and keep those that tests notice; the exit code is 1 when none was kept."""
    from swe_srl.agents.demonstration import referee
    from swe_srl.tasks.packages.pipeline import synthesise_packages
    from swe_srl.tasks.synthesis.pipeline import synthesise_to_file

    settings.check()
    console.sweep()
    judge = referee()
    if settings.source:
        tasks = synthesise_to_file(settings, judge.run_tests, judge.statuses, console.progress(), judge.end)
        console.say(f"{len(tasks)} tasks written to {settings.file}")
        return 0 if tasks else 1
    console.resumable(settings.folder)
    begun = time.monotonic()
    counts = synthesise_packages(settings, judge, console.progress())
    tell(counts, console)
    kept = sum(one.by_reason()["kept"] for one in counts)
    minutes = (time.monotonic() - begun) / 60
    console.say(f"{kept} tasks, each with the expert's trajectory, in {settings.folder} ({minutes:.1f} minutes)")
    return 0 if kept else 1


def tell(counts: Sequence[Count], console: Console) -> None:
    """What became of the mutations: by reason for each repository, and kept of tried by kind."""
    reasons = list(dict.fromkeys(reason for one in counts for reason in one.by_reason()))
    columns = ("mutations", *(f">{one.name}" for one in counts))
    rows: list[Sequence[object]] = [("tried", *(sum(one.by_reason().values()) for one in counts))]
    rows += [(reason, *(one.by_reason().get(reason, 0) for one in counts)) for reason in reasons]
    console.table(columns, rows)
    kinds = sorted({kind for one in counts for kind in one.by_kind()})
    shares = [[one.by_kind().get(kind) for one in counts] for kind in kinds]
    columns = ("kept of tried", *(f">{one.name}" for one in counts))
    console.table(
        columns,
        [
            (kind, *("" if found is None else f"{found[1]} of {found[0]}" for found in several))
            for kind, several in zip(kinds, shares, strict=True)
        ],
    )
