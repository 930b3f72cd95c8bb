"""A similarity of the user's own, by its name: `FILE.py:FUNCTION` or `package.module:FUNCTION`."""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, SupportsFloat

from swe_srl.errors import ConfigError
from swe_srl.types import Score


@dataclass(frozen=True, slots=True)
class OwnSimilarity:
    """Calls the function `(predicted, target)` of that name, which returns a number in [0, 1] or a `Score`. Picklable.

    Args:
        name: `FILE.py:FUNCTION` (a path from the current directory) or `package.module:FUNCTION`.
    """

    name: str

    def __call__(self, predicted: str, target: str) -> Score:
        try:
            found = load_function(self.name)(predicted, target)
            value = _number(found.value if isinstance(found, Score) else found)
        except Exception as error:  # the user's code may raise anything
            raise ConfigError(
                f"similarity {self.name} failed with {type(error).__name__}: {error} "
                f"(predicted {predicted[:80]!r}, target {target[:80]!r})"
            ) from error
        if not 0.0 <= value <= 1.0:  # nan too
            raise ConfigError(
                f"similarity {self.name} returned {found!r}: a similarity is a number from 0 to 1, or a swe_srl.Score with one "
                f"(predicted {predicted[:80]!r}, target {target[:80]!r})"
            )
        return replace(found, value=value) if isinstance(found, Score) else Score(value)


def _number(value: object) -> float:
    """As a Python number, which can be written down, also of numpy's and torch's."""
    return float(value) if isinstance(value, SupportsFloat) else math.nan


@lru_cache(maxsize=64)
def load_function(name: str) -> Callable[[str, str], Any]:
    """The function of that name.

    Raises:
        ConfigError: no such file, module or function, or it cannot be imported.
    """
    place, _, attribute = name.rpartition(":")
    module = _file_module(place) if place.endswith(".py") else _named_module(place)
    function = getattr(module, attribute, None)
    if not callable(function):
        names = ", ".join(sorted(key for key, value in vars(module).items() if callable(value) and key[:1] != "_"))
        raise ConfigError(f"similarity {name}: {place} has no function {attribute!r} (it has {names or 'none'})")
    found: Callable[[str, str], Any] = function
    return found


def source_of(name: str) -> Path | None:
    """The file that the function is in; None when it has none of its own."""
    file = getattr(sys.modules.get(load_function(name).__module__), "__file__", None)
    return Path(file) if file else None


def _file_module(place: str) -> ModuleType:
    path = Path(place).resolve()
    if not path.is_file():
        raise ConfigError(f"similarity: {place}: no such file (looked at {path})")
    key = f"swe_srl_similarity_{sha256(str(path).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(key, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[key] = module  # dataclasses and pickle look classes up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's code may raise anything
        del sys.modules[key]
        raise ConfigError(f"similarity: {place} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _named_module(place: str) -> ModuleType:
    try:
        return importlib.import_module(place)
    except Exception as error:  # the user's code may raise anything
        raise ConfigError(
            f"similarity: the module {place!r} cannot be imported ({type(error).__name__}: {error}); a file is named with its "
            "ending: my_rewards.py:function"
        ) from error
