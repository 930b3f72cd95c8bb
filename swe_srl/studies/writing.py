"""Writes what a study found: results.json, results.md, figures."""

from __future__ import annotations

import json
from pathlib import Path

from swe_srl.files import write_atomic
from swe_srl.progress import Progress
from swe_srl.studies.figures import MISSING, can_draw, draw
from swe_srl.studies.markdown import results_markdown
from swe_srl.studies.results import Results


def write_results(results: Results, progress: Progress, last: bool = True) -> Path:
    """Write the results into the study's folder; returns the page.

    Args:
        results: of the study.
        progress: is told when figures cannot be drawn.
        last: whether the study is over; before, there are tables alone.
    """
    folder, wanted = results.runs.settings.folder, results.runs.settings.figures
    figures: list[str] = []
    if last and wanted is not False and can_draw():
        figures = draw(results)
    elif last and wanted is not False:
        progress.note(MISSING)
    write_atomic(folder / "results.json", json.dumps(results.as_dict(), indent=2) + "\n")
    page: Path = folder / "results.md"
    write_atomic(page, results_markdown(results, figures))
    return page
