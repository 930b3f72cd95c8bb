"""swe-srl: Supervised Reinforcement Learning for software-engineering agents.

The public names are few; everything else is imported from its own package (`swe_srl.envs`, `swe_srl.agents`, …).
"""

from swe_srl.errors import SweSrlError
from swe_srl.types import Action, CommandResult, Score, Step, Task, Trajectory, Turn, Verdict

__version__ = "0.1.0"

__all__ = [
    "Action",
    "CommandResult",
    "Score",
    "Step",
    "SweSrlError",
    "Task",
    "Trajectory",
    "Turn",
    "Verdict",
    "__version__",
]
