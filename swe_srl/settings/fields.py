"""What a settings dataclass declares: its fields with their help, choices and flags."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Sequence
from typing import Any

from swe_srl.errors import ConfigError, suggest


def setting(default: Any, help: str, choices: Sequence[str] = (), flag: str = "") -> Any:
    """A dataclass field that is also a command-line setting.

    Args:
        default: the default value; a mutable one is copied through a factory. The annotation decides the parser.
        help: one or two sentences: what it is, its unit, what it is good for.
        choices: the only values allowed, when not empty.
        flag: the flag's name when it differs from the field's (`--n-samples` is made from `n_samples`).
    """
    metadata = {"help": help, "choices": tuple(choices), "flag": flag}
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def check_at_least(settings: Any, **bounds: float) -> None:
    """Check numbers against their lower bounds; None (a setting that was not given) passes.

    Raises:
        ConfigError: names the setting, the bound and the value.
    """
    for name, bound in bounds.items():
        value = getattr(settings, name)
        if value is not None and value < bound:
            raise ConfigError(f"{name} must be at least {bound}, not {value}")


def check_finite(settings: Any) -> None:
    """Check that numbers are numbers: one set in Python has not been through the checks of files and flags.

    Raises:
        ConfigError: infinite, or not a number; the message names the setting.
    """
    for name in settings_of(type(settings)):
        value = getattr(settings, name)
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{name} must be a finite number, not {value}")


def check_choices(settings: Any) -> None:
    """Check the settings that have choices: one made in Python has not been through the checks of files and flags.

    Raises:
        ConfigError: a value that is not among its choices; the message suggests the nearest.
    """
    for name, item in settings_of(type(settings)).items():
        value = getattr(settings, name)
        if item.choices and value not in item.choices and not (value is None and item.default() is None):
            raise ConfigError(f"{name}: {suggest(str(value), item.choices, 'value')}")


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """One field of a settings dataclass, with its annotation resolved to a type."""

    name: str
    annotation: Any
    help: str
    choices: tuple[str, ...]
    flag: str  # with its dashes: --learning-rate
    field: dataclasses.Field[Any]

    def default(self) -> Any:
        """The default value; a factory makes a new one each time."""
        if self.field.default_factory is not dataclasses.MISSING:
            return self.field.default_factory()
        return self.field.default


def settings_of(kind: type[Any]) -> dict[str, Setting]:
    """The settings of a dataclass by name, in order of declaration.

    Raises:
        TypeError: `kind` is no dataclass, or a field has no default (a defect of the class, not of the user's input).
    """
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise TypeError(f"{kind!r} is not a settings dataclass")
    hints = typing.get_type_hints(kind)
    return {field.name: _describe(kind, field, hints[field.name]) for field in dataclasses.fields(kind) if field.init}


def _describe(kind: type[Any], field: dataclasses.Field[Any], annotation: Any) -> Setting:
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
        raise TypeError(f"{kind.__name__}.{field.name} has no default: every setting has one")
    choices: tuple[str, ...] = tuple(field.metadata.get("choices", ()))
    if typing.get_origin(annotation) is typing.Literal:
        choices, annotation = choices or typing.get_args(annotation), str
    flag = "--" + (field.metadata.get("flag") or field.name).lstrip("-").replace("_", "-")
    return Setting(field.name, annotation, field.metadata.get("help", ""), choices, flag, field)


def is_settings(annotation: Any) -> bool:
    """Whether an annotation is itself a settings dataclass."""
    return isinstance(annotation, type) and dataclasses.is_dataclass(annotation)
