"""What to say of a task id that is not in its set."""

from __future__ import annotations

from collections.abc import Iterable

from swe_srl.errors import suggest
from swe_srl.tasks.sources import BUNDLED, load_tasks


def unknown_task(name: str, known: Iterable[str], source: str = "") -> str:
    """A sentence for an id that is none of `known`: the bundled set that it is in, or else the nearest.

    Args:
        source: the name of the set or file that was searched, if it has one.

    >>> unknown_task("quickstart__coins-3", ["quickstart__loans-1"], "quickstart")
    "quickstart: unknown task 'quickstart__coins-3': it is in the task set 'quickstart-train'"
    """
    ids = set(known)
    begin = f"{source}: " if source else ""
    for bundled in BUNDLED:
        if bundled != source and any(name == task.instance_id for task in load_tasks(bundled)):
            return f"{begin}unknown task {name!r}: it is in the task set {bundled!r}"
    listed = f"; `swe-srl tasks list {source}` shows all {len(ids)}" if source and len(ids) > 1 else ""
    return f"{begin}{suggest(name, ids, 'task')}{listed}"
