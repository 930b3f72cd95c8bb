"""Settings are dataclass fields: one source of default, help text, YAML key, command-line flag and check."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any


def setting(default: Any, help: str, choices: Sequence[str] = (), flag: str = "") -> Any:
    """A dataclass field that is also a command-line setting.

    Args:
        default: the default value; a mutable one is copied through a factory. Its field's annotation decides the parser.
        help: one or two sentences: what it is, its unit, what it is good for.
        choices: the only values allowed, when not empty.
        flag: the flag's name when it differs from the field's (`--n-samples` is made from `n_samples`).
    """
    metadata = {"help": help, "choices": tuple(choices), "flag": flag}
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)
