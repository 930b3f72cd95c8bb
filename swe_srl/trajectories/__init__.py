"""HOW AN EXPERT SOLVED IT: readers, steps, filters, replay, export."""

from swe_srl.trajectories.contamination import Contamination, ContaminationIndex, contaminated
from swe_srl.trajectories.inspect import Inspection, inspect_trajectories
from swe_srl.trajectories.read import READERS, format_names, read_trajectories
from swe_srl.trajectories.report import ReadReport
from swe_srl.trajectories.rows import (
    is_step_file,
    read_steps,
    step_from_row,
    step_to_row,
    trajectory_from_row,
    trajectory_to_row,
    write_steps,
    write_trajectories,
)
from swe_srl.trajectories.steps import StepSettings, choose_steps, make_steps

__all__ = [
    "READERS",
    "Contamination",
    "ContaminationIndex",
    "Inspection",
    "ReadReport",
    "StepSettings",
    "choose_steps",
    "contaminated",
    "format_names",
    "inspect_trajectories",
    "is_step_file",
    "make_steps",
    "read_steps",
    "read_trajectories",
    "step_from_row",
    "step_to_row",
    "trajectory_from_row",
    "trajectory_to_row",
    "write_steps",
    "write_trajectories",
]
