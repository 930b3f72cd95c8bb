"""Validated tasks per minute that `swe-srl tasks synthesise --package` makes, and the share kept of each kind of mutation.

python benchmarks/synthesis.py [--packages A==1,B==2] [--count 10] [--workers 2] [--output FOLDER]

Fetching packages, installing what their tests need and examining their suites is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from swe_srl.agents.demonstration import referee
from swe_srl.errors import SweSrlError
from swe_srl.progress import SilentProgress
from swe_srl.tasks.packages.outcomes import Count
from swe_srl.tasks.packages.pipeline import synthesise_packages
from swe_srl.tasks.synthesis.settings import SynthesiseSettings

PACKAGES = "inflection==0.5.1,toolz==1.0.0,cachetools==5.5.0,more-itertools==10.5.0,parse==1.20.2"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", default=PACKAGES)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for spec in arguments.packages.split(","):
            output = (arguments.output or Path(folder)) / spec.replace("==", "-")
            settings = SynthesiseSettings(
                package=(spec,),
                output=str(output),
                count=arguments.count,
                workers=arguments.workers,
                seed=arguments.seed,
            )
            try:
                rows.append(measure(settings))
            except SweSrlError as error:
                print(f"{spec} is left out: {error}", flush=True)
                continue
            print(tell(rows[-1:]), flush=True)
        print(f"\n{len(os.sched_getaffinity(0))} cores, {arguments.workers} workers, load {os.getloadavg()[2]:.1f}\n")
        print(tell(rows))
        print()
        print(tell_kinds([count for _, count, _, _ in rows]))


class Clock(SilentProgress):
    """Knows when the first mutation was tried."""

    begun = 0.0

    def track(self, name: str, total: int | None = None, done: int = 0) -> None:
        self.begun = time.monotonic()


def measure(settings: SynthesiseSettings) -> tuple[str, Count, int, float]:
    """The package, what became of its mutations, how many tests it has, and seconds."""
    output = settings.folder
    clock = Clock()
    (count,) = synthesise_packages(settings, referee(), clock)
    seconds = time.monotonic() - clock.begun
    (suite,) = (output / "journals").glob("*.suite.json")
    return settings.package[0], count, len(json.loads(suite.read_text())["passing"]), seconds


def tell(rows: Sequence[tuple[str, Count, int, float]]) -> str:
    """A table of packages in Markdown."""
    lines = ["| package | tests | tried | kept | minutes | tasks a minute | rejected |", "| --- " * 7 + "|"]
    for spec, count, tests, seconds in rows:
        reasons = count.by_reason()
        kept = reasons.pop("kept")
        tried = kept + sum(reasons.values())
        said = ", ".join(f"{number} {reason}" for reason, number in reasons.items())
        minutes = seconds / 60
        lines.append(f"| {spec} | {tests} | {tried} | {kept} | {minutes:.1f} | {kept / minutes:.1f} | {said} |")
    return "\n".join(lines)


def tell_kinds(counts: Sequence[Count]) -> str:
    """A table of kinds in Markdown: kept of tried."""
    kinds = sorted({kind for count in counts for kind in count.by_kind()})
    names = [count.name.partition("/")[2] for count in counts]
    lines = [f"| kind | {' | '.join(names)} | all |", "| --- " * (len(names) + 2) + "|"]
    for kind in kinds:
        found = [count.by_kind().get(kind, (0, 0)) for count in counts]
        cells = [f"{kept}/{tried}" if tried else "" for tried, kept in found]
        tried, kept = (sum(column) for column in zip(*found, strict=True))
        lines.append(f"| {kind} | {' | '.join(cells)} | {kept / tried:.0%} of {tried} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
