"""Agent definitions (`agents/*.yaml`): prompts, action format, context window, limits, sampling."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Self

from swe_srl.definitions import definition_place, load_definition
from swe_srl.errors import ConfigError, suggest
from swe_srl.trajectories.prompting import Prompting
from swe_srl.types import Sampling

GOLD_FILES, FILES = "gold_files", "files"
SHOWN = ("", GOLD_FILES, FILES)


@dataclass(frozen=True, slots=True)
class AgentDefinition:
    """How a policy is shown its task and how long it may work.

    Args:
        name: packaged name or path it was loaded from.
        prompting: how issue, commands and observations become chat messages.
        submit: the reserved command that ends the episode.
        max_turns: actions per episode, malformed ones included.
        max_format_errors: malformed completions in a row after which the episode stops.
        max_tokens: completion tokens per episode; 0 is unlimited.
        max_seconds: wall time per episode; 0 is unlimited.
        show: what stands behind the issue at the start: "gold_files" (the files that the gold patch changes: an oracle),
            "files" (the names of the repository's files), or "" for nothing.
        shown_chars: of what is shown; longer texts lose their middle.
        sampling: how completions are drawn.
    """

    name: str = "shell"
    description: str = ""
    prompting: Prompting = field(default_factory=Prompting)
    submit: str = "submit"
    max_turns: int = 50
    max_format_errors: int = 3
    max_tokens: int = 0
    max_seconds: float = 0.0
    show: str = ""
    shown_chars: int = 200_000
    sampling: Sampling = field(default_factory=Sampling)

    def __post_init__(self) -> None:
        if self.show not in SHOWN:
            raise ConfigError(f"show must be one of {', '.join(SHOWN[1:])}, or empty, not {self.show!r}")

    @classmethod
    def load(cls, name: str) -> Self:
        """The definition of that packaged name or path.

        Raises:
            DefinitionNotFoundError: no such definition.
            ConfigError: an unknown key (the nearest is suggested) or a value of the wrong type.
        """
        raw = load_definition("agents", name)
        nested: dict[str, type[Any]] = {"prompting": Prompting, "sampling": Sampling}
        own = {f.name for f in dataclasses.fields(cls)} - set(nested) - {"name"}
        keys = {key: {f.name for f in dataclasses.fields(kind)} for key, kind in nested.items()}
        values: dict[str, Any] = {"name": name}
        parts: dict[str, dict[str, Any]] = {key: {} for key in nested}
        for key, value in raw.items():
            home = next((part for part in nested if key in keys[part]), "")
            if home:
                parts[home][key] = value
            elif key in own:
                values[key] = value
            else:
                raise ConfigError(
                    f"{definition_place('agents', name)}: {suggest(str(key), own.union(*keys.values()), 'key')}"
                )
        for part, kind in nested.items():
            values[part] = _build(kind, parts[part], name)
        built = _build(cls, values, name)
        assert isinstance(built, cls)
        return built


def _build(kind: type[Any], values: dict[str, Any], name: str) -> Any:
    """A dataclass from YAML values, each checked against the type of the field's default."""
    for f in dataclasses.fields(kind):
        if f.name not in values or f.default is dataclasses.MISSING:
            continue
        value, expected = values[f.name], type(f.default)
        fits = isinstance(value, expected) and (expected is bool or not isinstance(value, bool))
        if expected is float and isinstance(value, int) and not isinstance(value, bool):
            values[f.name] = float(value)
        elif not fits:
            raise ConfigError(
                f"{definition_place('agents', name)}: {f.name} must be {expected.__name__}, not {value!r}"
            )
    try:
        return kind(**values)
    except ValueError as error:
        raise ConfigError(f"{definition_place('agents', name)}: {error}") from error
