"""The check of settings that have choices."""

from __future__ import annotations

from typing import Any

from swe_srl.errors import ConfigError, suggest
from swe_srl.settings import settings_of


def check_choices(settings: Any) -> None:
    """Check the settings that have choices: one made in Python has not been through the checks of files and flags.

    Raises:
        ConfigError: a value that is not among its choices; the message suggests the nearest.
    """
    for name, item in settings_of(type(settings)).items():
        value = getattr(settings, name)
        if item.choices and value not in item.choices and not (value is None and item.default() is None):
            raise ConfigError(f"{name}: {suggest(str(value), item.choices, 'value')}")
