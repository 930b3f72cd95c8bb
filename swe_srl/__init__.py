"""swe-srl: Supervised Reinforcement Learning for software-engineering agents.

The public names are few; everything else is imported from its own package (`swe_srl.envs`, `swe_srl.agents`, …).

After `import gymnasium, swe_srl` gymnasium knows the environment `swe_srl/Repo-v0`; so it does after `import swe_srl.envs`.
"""

import sys

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

if "gymnasium" in sys.modules:  # not imported for its own sake: the command line starts without it
    from swe_srl.envs import register_envs

    register_envs()
