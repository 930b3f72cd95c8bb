"""Which longer evaluation may go on in a shorter one's folder: one that would make all the episodes that there are, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from swe_srl.evaluation.selection import is_unpinned, rows_fingerprint, select_tasks
from swe_srl.evaluation.settings import EvalSettings
from swe_srl.settings.lengths import NOT_SHORTER, Lengths, LengthsOf, longer


def lengths_of(settings: EvalSettings) -> LengthsOf:
    """How long an evaluation is, beside the one in its folder.

    An episode's seed is made of the run's, the task and the number of the sample. So more samples, and more of the tasks in
    the order of their source, leave those before as they are; parts of more tasks are dealt out anew.

    Args:
        settings: of this start.
    """

    def found(was: Mapping[str, Any], now: Mapping[str, Any]) -> Lengths:
        ends = {"limit": True, "samples": False}  # whether 0 is no bound
        changed = [name for name in ends if was[name] != now[name]]
        grown = [name for name in changed if longer(was[name], now[name], endless=ends[name])]
        refused = "" if grown == changed else NOT_SHORTER
        if "limit" in grown and now["shard"]:
            grown.remove("limit")
            refused = (
                refused or "Tasks are dealt out to parts anew when there are more: a part cannot get a higher limit"
            )
        data = {}
        if "limit" in grown and is_unpinned(settings):
            data["rows"] = rows_fingerprint(select_tasks(replace(settings, limit=int(was["limit"]))))
        here, before = ({name: of[name] for name in ends} for of in (now, was))
        return Lengths(here, before, tuple(grown), refused, data)

    return found
