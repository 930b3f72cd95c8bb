"""Settings as plain data and as commented YAML: what `--print-config` shows and a run folder keeps."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from swe_srl.settings.fields import Setting, settings_of

COMMENT_WIDTH = 110


def as_mapping(settings: Any) -> dict[str, Any]:
    """A settings object as plain data (str, int, float, bool, None, list, dict); `from_mapping` reads it back."""
    return {name: _plain(getattr(settings, name)) for name in settings_of(type(settings))}


def as_yaml(settings: Any, comments: bool = True) -> str:
    """A settings object as YAML, each key under its help text; reading it back gives equal settings."""
    return "\n".join(_lines(settings, comments)) + "\n"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return as_mapping(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def _lines(settings: Any, comments: bool) -> list[str]:
    lines: list[str] = []
    for name, item in settings_of(type(settings)).items():
        if comments:
            lines += _comment(item)
        lines += _entry(name, getattr(settings, name), comments)
    return lines


def _comment(item: Setting) -> list[str]:
    text = item.help + (f" One of: {', '.join(item.choices)}." if item.choices else "")
    return [f"# {line}" for line in textwrap.wrap(text, COMMENT_WIDTH)]


def _entry(name: str, value: Any, comments: bool) -> list[str]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [f"{name}:", *_indented(_lines(value, comments))]
    if isinstance(value, (list, tuple)) and value and all(dataclasses.is_dataclass(element) for element in value):
        return [f"{name}:", *(line for element in value for line in ("  -", *_indented(_lines(element, comments), 4)))]
    return [f"{name}: {_scalar(_plain(value))}"]


def _indented(lines: list[str], by: int = 2) -> list[str]:
    return [" " * by + line for line in lines]


def _scalar(value: Any) -> str:
    """One YAML value on one line. Text with control characters is escaped, other text stays readable."""
    readable = repr(value).isprintable() and "\\" not in repr(value)
    flow = yaml.safe_dump([value], default_flow_style=True, width=float("inf"), allow_unicode=readable).strip()
    return flow[1:-1]
