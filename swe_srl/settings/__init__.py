"""Settings are dataclass fields: one source of default, help text, YAML key, command-line flag and check.

>>> from dataclasses import dataclass
>>> @dataclass(frozen=True)
... class Example:
...     turns: int = setting(10, "Turns an episode may take.")
>>> from_mapping(Example, {"turns": 5}, "example.yaml")
Example(turns=5)
>>> from_mapping(Example, {"turn": 5}, "example.yaml")
Traceback (most recent call last):
...
swe_srl.errors.ConfigError: example.yaml: unknown setting 'turn': did you mean 'turns'? Known: turns
"""

from swe_srl.settings.draft import Draft, from_mapping
from swe_srl.settings.fields import Setting, check_at_least, check_choices, check_finite, setting, settings_of
from swe_srl.settings.text import as_mapping, as_yaml

__all__ = [
    "Draft",
    "Setting",
    "as_mapping",
    "as_yaml",
    "check_at_least",
    "check_choices",
    "check_finite",
    "from_mapping",
    "setting",
    "settings_of",
]
