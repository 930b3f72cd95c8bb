"""Studies: several trainings from one base model, evaluated on the same tasks and compared. Importing this needs no torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swe_srl.studies.definition import Arm, Study
    from swe_srl.studies.rounds import self_improve
    from swe_srl.studies.rounds_settings import RoundsSettings
    from swe_srl.studies.running import plan_of, reproduce
    from swe_srl.studies.settings import ReproduceSettings

_HOMES = {
    "Arm": "definition",
    "ReproduceSettings": "settings",
    "RoundsSettings": "rounds_settings",
    "Study": "definition",
    "plan_of": "running",
    "reproduce": "running",
    "self_improve": "rounds",
}
__all__ = ["Arm", "ReproduceSettings", "RoundsSettings", "Study", "plan_of", "reproduce", "self_improve"]


def __getattr__(name: str) -> Any:
    """Load a public name on first use: `swe_srl.studies.settings` alone is needed for the command line's help."""
    if name in _HOMES:
        return getattr(import_module(f"swe_srl.studies.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
