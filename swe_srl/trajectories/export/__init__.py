"""Trajectories in the forms other tools read: mini-swe-agent, chat messages, ATIF."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from swe_srl.errors import TrajectoryError, suggest
from swe_srl.files import write_atomic, write_jsonl
from swe_srl.trajectories.export.atif import to_atif
from swe_srl.trajectories.export.messages import to_messages
from swe_srl.trajectories.export.mini_swe_agent import to_mini_swe_agent
from swe_srl.trajectories.rows import write_trajectories
from swe_srl.types import Trajectory

__all__ = ["EXPORTS", "export_trajectories", "to_atif", "to_messages", "to_mini_swe_agent"]

EXPORTS = ("swe-srl", "messages", "mini-swe-agent", "atif")
_DOCUMENTS: dict[str, tuple[Callable[[Trajectory], dict[str, Any]], str]] = {
    "mini-swe-agent": (to_mini_swe_agent, ".traj.json"),
    "atif": (to_atif, ".trajectory.json"),
}


def export_trajectories(path: str | Path, trajectories: Iterable[Trajectory], format: str) -> int:
    """Write trajectories in another tool's form, and return how many.

    Args:
        path: a JSON lines file (`swe-srl`, `messages`), or a folder that receives one document each (the others).
        trajectories: what to write.
        format: one of `EXPORTS`.

    Raises:
        TrajectoryError: no such format.
    """
    path = Path(path)
    count = 0

    def counted() -> Iterable[Trajectory]:
        nonlocal count
        for trajectory in trajectories:
            count += 1
            yield trajectory

    if format == "swe-srl":
        write_trajectories(path, counted())
    elif format == "messages":
        write_jsonl(path, map(to_messages, counted()))
    elif format in _DOCUMENTS:
        convert, suffix = _DOCUMENTS[format]
        for trajectory in counted():
            name = f"{count:06d}-{re.sub(r'[^A-Za-z0-9_.-]', '_', trajectory.trajectory_id)[:100]}"
            write_atomic(path / f"{name}{suffix}", json.dumps(convert(trajectory), indent=2) + "\n")
    else:
        raise TrajectoryError(suggest(format, EXPORTS, "export format"))
    return count
