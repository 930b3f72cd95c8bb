"""What the project knows of a trajectory and another tool's form has no field for: kept under one key, and taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from swe_srl.errors import TrajectoryError
from swe_srl.types import StopReason, Trajectory

KEY = "swe_srl"
_TEXTS = ("trajectory_id", "task_id", "problem_statement", "system_prompt", "repo", "base_commit", "patch", "extra")


def metadata_of(trajectory: Trajectory) -> dict[str, Any]:
    """The trajectory's fields other than its turns, as JSON data."""
    row: dict[str, Any] = {key: getattr(trajectory, key) for key in _TEXTS}
    row["resolved"] = trajectory.resolved
    row["stop_reason"] = None if trajectory.stop_reason is None else trajectory.stop_reason.value
    return row


def restored(trajectory: Trajectory, record: Mapping[str, Any]) -> Trajectory:
    """The trajectory with the fields that an export of this project left in its record; unchanged when there are none.

    Raises:
        TrajectoryError: such a field has the wrong type.
    """
    extra = record.get("extra")
    row = record.get(KEY) or (extra.get(KEY) if isinstance(extra, Mapping) else None)
    if not isinstance(row, Mapping):
        return trajectory
    texts = {key: row[key] for key in _TEXTS if key in row}
    if not all(isinstance(value, str) for value in texts.values()) or not isinstance(
        row.get("resolved"), (bool, type(None))
    ):
        raise TrajectoryError(f"a field under {KEY} has the wrong type")
    stop = row.get("stop_reason")
    try:
        reason = None if stop is None else StopReason(stop)
    except ValueError as error:
        raise TrajectoryError(f"{KEY}: {error}") from error
    return replace(trajectory, **texts, resolved=row.get("resolved"), stop_reason=reason)
