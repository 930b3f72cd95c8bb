"""Environment definitions (`envs/*.yaml`): the sandbox's make-up and limits, and when an episode ends."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Self

from swe_srl.definitions import definition_place, load_definition
from swe_srl.errors import ConfigError, suggest
from swe_srl.types import Limits


@dataclass(frozen=True, slots=True)
class EnvironmentDefinition:
    """What every episode of an environment has in common.

    Args:
        name: packaged name or path it was loaded from.
        submit: the reserved command that ends an episode.
        max_turns: actions an episode may take; 0 is unlimited.
        max_seconds: wall time an episode may take; 0 is unlimited. Checked after each command.
        workdir: where the repository is and where the shell starts.
        user: user inside, or "" for the sandbox's unprivileged default.
        network: whether commands reach the network.
        pool_size: sandboxes that wait ready for the next resets, for all environments of the process together; 0 is none.
        pool_rate: sandboxes started for the pool in a second, at most; 0 is as many as the machine starts.
        strip_history: whether an image's repository loses its history, remotes and reflogs at reset.
        variables: environment variables of the shell.
        limits: bounds on the sandbox and its commands.
    """

    name: str = "default"
    description: str = ""
    submit: str = "submit"
    max_turns: int = 50
    max_seconds: float = 0.0
    workdir: str = "/testbed"
    user: str = ""
    network: bool = False
    pool_size: int = 0
    pool_rate: float = 2.0
    strip_history: bool = True
    variables: tuple[tuple[str, str], ...] = ()
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def load(cls, name: str) -> Self:
        """The definition of that packaged name or path.

        Raises:
            DefinitionNotFoundError: no such definition.
            ConfigError: an unknown key (the nearest is suggested) or a value of the wrong type.
        """
        values, place = load_definition("envs", name), definition_place("envs", name)
        variables = values.pop("variables", None) or {}
        if not isinstance(variables, dict):
            raise ConfigError(f"{place}: variables must be a mapping, not {variables!r}")
        limits = _build(Limits, values.pop("limits", None) or {}, f"{place}: limits")
        own = _checked(cls, values, place)
        pairs = tuple((str(key), str(value)) for key, value in variables.items())
        return cls(**{**own, "name": name, "variables": pairs, "limits": limits})


def _build(kind: type[Limits], values: Any, where: str) -> Limits:
    if not isinstance(values, dict):
        raise ConfigError(f"{where} must be a mapping, not {values!r}")
    return kind(**_checked(kind, values, where))


def _checked(kind: type[Any], values: dict[str, Any], where: str) -> dict[str, Any]:
    """The values, each of the type of its field's default (a whole number may stand for a float)."""
    defaults = {f.name: f.default for f in dataclasses.fields(kind) if isinstance(f.default, (str, int, float))}
    for key, value in values.items():
        if key not in defaults or key == "name":
            raise ConfigError(f"{where}: {suggest(str(key), defaults.keys() - {'name'}, 'key')}")
        wanted = type(defaults[key])
        if wanted is float and type(value) is int:
            values = {**values, key: float(value)}
        elif type(value) is not wanted:
            raise ConfigError(f"{where}: {key} must be {wanted.__name__}, not {value!r}")
        if wanted in (int, float) and value < 0:
            raise ConfigError(f"{where}: {key} must be at least 0, not {value!r}")
    return values
