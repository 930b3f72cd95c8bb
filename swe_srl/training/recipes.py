"""Recipes: packaged or written by the user, the settings of whole runs."""

from __future__ import annotations

from typing import Any

from swe_srl.definitions import definition_place, load_definition
from swe_srl.settings import Draft
from swe_srl.training.settings import TrainSettings


def load_recipe(name: str, **overrides: Any) -> TrainSettings:
    """The settings of a packaged recipe, or of a recipe file, with some of them replaced.

    Raises:
        ConfigError: no such recipe, an unknown setting, or a value that does not fit.
    """
    content = {key: value for key, value in load_definition("recipes", name).items() if key != "description"}
    draft = Draft(TrainSettings)
    draft.update(content, definition_place("recipes", name))
    for key, value in overrides.items():
        draft.set(key, value, key)
    return draft.build()
