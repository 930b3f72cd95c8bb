"""From what a user wrote (YAML value, or text of a flag) to the value that a setting's annotation asks for."""

from __future__ import annotations

import itertools
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from swe_srl.errors import ConfigError, suggest

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_NONE = frozenset({"", "none", "null"})
_BETWEEN = re.compile(r",(?!\s*(?:[<>=!]|~=))")  # what follows is no further version of a requirement
_IN_BRACKETS = re.compile(r"\[[^\[\]]*\]")


def optional_of(annotation: Any) -> Any | None:
    """X of `X | None`; None for every other annotation."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(annotation) if member is not type(None)]
        if len(members) == 1:
            return members[0]
        raise TypeError(f"unsupported annotation of a setting: {annotation}")
    return None


def element_of(annotation: Any) -> Any | None:
    """X of `list[X]` or `tuple[X, ...]`; None for every other annotation."""
    if typing.get_origin(annotation) in (list, tuple):
        return typing.get_args(annotation)[0]
    return None


def expectation(annotation: Any, choices: Sequence[str] = ()) -> str:
    """What a value must be, in words.

    >>> expectation(int), expectation(list[str]), expectation(float | None)
    ('a whole number', 'a list, each text', 'a number, or none')
    """
    inner, element = optional_of(annotation), element_of(annotation)
    if inner is not None:
        return f"{expectation(inner, choices)}, or none"
    if element is not None:
        return f"a list, each {expectation(element, choices)}"
    if choices:
        return f"one of {', '.join(choices)}"
    if typing.get_origin(annotation) is dict:
        return "a mapping"
    words = {str: "text", int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}
    if annotation in words:
        return words[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return f"one of {', '.join(str(member.value) for member in annotation)}"
    raise TypeError(f"unsupported annotation of a setting: {annotation}")


def convert(value: Any, annotation: Any, choices: Sequence[str], where: str) -> Any:
    """`value` as the annotation's type.

    Args:
        value: what YAML gave, or the text of a flag. A list may be given as text: `a,b`, or a YAML list in brackets.
        annotation: str, int, float, bool, Path, an Enum, `X | None`, `list[X]`, `tuple[X, ...]`, `dict[str, X]`.
        choices: the only texts allowed (of each element, for a list).
        where: the flag or the file and key, for the message.

    Raises:
        ConfigError: naming `where`, the value and what was expected.
    """
    inner, element = optional_of(annotation), element_of(annotation)
    if inner is not None:
        if value is None or (isinstance(value, str) and value.lower() in _NONE and value not in choices):
            return None
        return convert(value, inner, choices, where)
    if element is not None:
        items = _items(value, where, expectation(annotation, choices))
        converted = [convert(item, element, choices, where) for item in items]
        return tuple(converted) if typing.get_origin(annotation) is tuple else converted
    if typing.get_origin(annotation) is dict:
        return _mapping(value, typing.get_args(annotation)[1], where)
    result = _scalar(value, annotation)
    if result is None:
        raise ConfigError(
            f"{where}: expected {expectation(annotation, choices)}, got {_shown(value)}{_hint(value, annotation)}"
        )
    if choices and result not in choices:
        raise ConfigError(f"{where}: {suggest(str(result), [str(choice) for choice in choices], 'value')}")
    return result


def _scalar(value: Any, annotation: Any) -> Any:
    """The converted value, or None when it does not fit."""
    if annotation is str:
        return value if isinstance(value, str) else None
    if annotation is bool:
        return _boolean(value)
    if annotation is int or annotation is float:
        return _number(value, annotation)
    if annotation is Path:
        return Path(value).expanduser() if isinstance(value, (str, Path)) and str(value) else None
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return next((member for member in annotation if value in (member, member.value)), None)
    raise TypeError(f"unsupported annotation of a setting: {annotation}")


def _boolean(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    return None


def _number(value: Any, kind: type[int] | type[float]) -> int | float | None:
    """YAML 1.1 reads `1e-4` as text, so numbers are accepted as text from files too."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    if kind is int and isinstance(value, float):
        return None
    try:
        number = kind(value)
    except ValueError:
        return None
    return number if kind is int or math.isfinite(number) else None


def split_list(text: str) -> list[str]:
    """The items of a list written with commas. A requirement is one item: `pytest>=6,<8`, `requests[socks,security]`."""
    if not text.strip():
        return []
    hidden = _IN_BRACKETS.sub(lambda found: " " * len(found[0]), text)
    starts = [0, *(found.end() for found in _BETWEEN.finditer(hidden))]
    return [text[start : end - 1].strip() for start, end in itertools.pairwise([*starts, len(text) + 1])]


def _items(value: Any, where: str, expected: str) -> Sequence[Any]:
    if isinstance(value, str):
        if not value.startswith("["):
            return split_list(value)
        value = parse_yaml(value, where)
    if isinstance(value, (list, tuple)):
        return value
    raise ConfigError(f"{where}: expected {expected}, got {_shown(value)}")


def _mapping(value: Any, element: Any, where: str) -> dict[str, Any]:
    mapping = parse_yaml(value, where) if isinstance(value, str) else value
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{where}: expected a mapping, got {_shown(value)}")
    return {str(key): convert(item, element, (), f"{where}.{key}") for key, item in mapping.items()}


def parse_yaml(text: str, where: str) -> Any:
    """The value of a YAML text.

    Raises:
        ConfigError: the text is not YAML.
    """
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: not valid YAML: {error}") from error


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return f"{value!r}" if isinstance(value, str) else f"{value!r} ({type(value).__name__})"


def _hint(value: Any, annotation: Any) -> str:
    if annotation is float and _is_infinite(value):
        return "; it must be finite"
    return "; quote it to make it text" if annotation is str else ""


def _is_infinite(value: Any) -> bool:
    try:
        return not math.isfinite(float(value))
    except (TypeError, ValueError):
        return False
