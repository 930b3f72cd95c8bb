"""The project's own trajectories, as `write_trajectories` writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swe_srl.trajectories.rows import FORMAT, trajectory_from_row
from swe_srl.types import Trajectory

NAME = "swe-srl"


def recognises(value: object) -> bool:
    """Whether a record is of this format."""
    return isinstance(value, Mapping) and value.get("format") == FORMAT


def convert(row: Mapping[str, Any], label: str) -> Trajectory:
    """The trajectory exactly as it was written.

    Raises:
        TrajectoryError: a field is missing or of the wrong type.
    """
    del label
    return trajectory_from_row(row)
