"""Settings as plain values, beside those that were recorded: what differs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml


def differences(old: Any, new: Any, name: str = "") -> list[str]:
    """One line per leaf that differs between two plain values.

    >>> differences({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}})
    ['b.c: was 2, is 3']
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = list(dict.fromkeys([*old, *new]))
        return [
            line
            for key in keys
            for line in differences(old.get(key), new.get(key), f"{name}.{key}" if name else str(key))
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            line for i, pair in enumerate(zip(old, new, strict=True)) for line in differences(*pair, name=f"{name}.{i}")
        ]
    return [] if old == new else [f"{name}: was {old!r}, is {new!r}"]


def filled(settings: Any, defaults: Any) -> Any:
    """Settings with the defaults of those that are missing, nested ones too; a list's items have its default's first one.

    >>> filled({"stages": [{"a": 2}]}, {"seed": 0, "stages": [{"a": 1, "b": 3}]})
    {'seed': 0, 'stages': [{'a': 2, 'b': 3}]}
    """
    if isinstance(settings, Mapping) and isinstance(defaults, Mapping):
        return {**defaults, **{key: filled(value, defaults.get(key)) for key, value in settings.items()}}
    if isinstance(settings, list) and isinstance(defaults, list) and defaults:
        return [filled(item, defaults[0]) for item in settings]
    return settings


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they are read back from YAML: mappings, lists, numbers, text."""
    content: dict[str, Any] = yaml.safe_load(yaml.safe_dump(json.loads(json.dumps(settings, default=str))))
    return content
