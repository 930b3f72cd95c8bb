"""Data as scripts: pages opened from a disk may load scripts, but read no other file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def script_text(name: str, value: Any) -> str:
    """A script that hands `value` to the pages under `name`: pure ASCII, and nothing in it can end a script or open a tag.

    >>> script_text("a", ["</script>", "\\u2028"])
    'sweSrl.receive("a", ["\\\\u003c/script\\\\u003e", "\\\\u2028"]);\\n'
    """
    return f"sweSrl.receive({_json(name)}, {_json(value)});\n"


def write_script(folder: Path, name: str, value: Any) -> None:
    """Write `<folder>/<name>.js`."""
    path = folder / f"{name}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script_text(name, value), encoding="ascii")


def _json(value: Any) -> str:
    try:
        text = json.dumps(value, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), allow_nan=False)
    for character, escape in _ESCAPED.items():
        text = text.replace(character, escape)
    return text


def _finite(value: Any) -> Any:
    """Without the numbers that JSON does not know: they become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
