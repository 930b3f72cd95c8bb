"""HOW AN EXPERT SOLVED IT: readers, steps, filters, replay, export."""

from swe_srl.trajectories.read import READERS, format_names, read_trajectories
from swe_srl.trajectories.report import ReadReport
from swe_srl.trajectories.rows import (
    read_steps,
    step_from_row,
    step_to_row,
    trajectory_from_row,
    trajectory_to_row,
    write_steps,
    write_trajectories,
)

__all__ = [
    "READERS",
    "ReadReport",
    "format_names",
    "read_steps",
    "read_trajectories",
    "step_from_row",
    "step_to_row",
    "trajectory_from_row",
    "trajectory_to_row",
    "write_steps",
    "write_trajectories",
]
