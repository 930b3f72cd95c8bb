"""The environment: a repository with an issue, acted on by shell commands, as a `gymnasium.Env`.

Importing it registers `swe_srl/Repo-v0` with gymnasium; so does `import swe_srl` after `import gymnasium`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swe_srl.envs.definition import EnvironmentDefinition
    from swe_srl.envs.environment import SweEnv
    from swe_srl.envs.probe import SandboxProbe
    from swe_srl.envs.rewards import ExpertSimilarity, Resolved
    from swe_srl.envs.spaces import TerminalText
    from swe_srl.envs.vector import ThreadedVectorEnv, make_vec

__all__ = [
    "EnvironmentDefinition",
    "ExpertSimilarity",
    "Resolved",
    "SandboxProbe",
    "SweEnv",
    "TerminalText",
    "ThreadedVectorEnv",
    "make_vec",
    "register_envs",
]

ENV_ID = "swe_srl/Repo-v0"
_PLACES = {
    "EnvironmentDefinition": "definition",
    "SweEnv": "environment",
    "ExpertSimilarity": "rewards",
    "Resolved": "rewards",
    "SandboxProbe": "probe",
    "TerminalText": "spaces",
    "ThreadedVectorEnv": "vector",
    "make_vec": "vector",
}


def register_envs() -> None:
    """Register `swe_srl/Repo-v0` with gymnasium. Idempotent."""
    from gymnasium.envs.registration import register, registry

    if ENV_ID not in registry:
        # Without the passive checker: when the first reset fails (no sandbox here), it fails itself and hides the reason.
        register(
            id=ENV_ID,
            entry_point="swe_srl.envs.environment:SweEnv",
            nondeterministic=True,
            disable_env_checker=True,
        )


def __getattr__(name: str) -> object:
    if name in _PLACES:
        return getattr(importlib.import_module(f"swe_srl.envs.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, for `help` and completion: they are imported when asked for."""
    return sorted({*globals(), *__all__})


register_envs()
