"""From a settings dataclass to command-line arguments and back."""

from __future__ import annotations

import argparse
import re
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from swe_srl.cli.commands import Command
from swe_srl.definitions import definition_names, load_definition
from swe_srl.errors import ConfigError, suggest
from swe_srl.settings import Draft, Setting, settings_of
from swe_srl.settings.fields import is_settings
from swe_srl.settings.values import element_of, expectation, optional_of, split_list

OVERRIDES = "KEY=VALUE sets any setting by its dotted key, after the flags: stages.0.learning_rate=1e-4"


@dataclass(frozen=True, slots=True)
class Parsed:
    """What the arguments of one command say."""

    settings: Any
    print_config: bool = False
    dry_run: bool = False
    estimate: bool = False
    verbose: bool = False


@dataclass(frozen=True, slots=True)
class _Flag:
    key: str  # dotted key of the setting
    name: str  # with its dashes
    item: Setting


class _Parser(argparse.ArgumentParser):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._negative_number_matcher = re.compile(r"-\.?\d")  # any number with a unit or an exponent is a value, too

    def error(self, message: str) -> NoReturn:
        raise ConfigError(message)


def parse(command: Command, arguments: Sequence[str]) -> Parsed:
    """The settings of one command: defaults, then `--config`, then flags, then dotted overrides.

    Raises:
        ConfigError: an unknown flag, key or file (the nearest is suggested), or a value that does not fit.
        SystemExit: `--help` was asked for and printed.
    """
    kind = command.settings_class()
    flags = list(_flags(kind))
    parser = _parser(command, kind, flags)
    known, rest = parser.parse_known_args(list(arguments))
    values = vars(known)
    draft: Draft[Any] = Draft(kind)
    if values["config"] is not None:
        _fill_from_file(draft, command, values["config"])
    given = [values[_positional(name)] for name in command.positionals]
    words = [value for value in given if value is not None] + rest
    plain = [word for word in words if not word.startswith("-") and not _is_override(kind, word)]
    for position, (name, value) in enumerate(zip(command.positionals, plain, strict=False)):
        taken = plain[position:] if _takes_all(kind, name) else [value]
        draft.set(name, taken if _takes_all(kind, name) else value, name.upper())
        for word in taken:
            words.remove(word)
    for flag in flags:
        if (value := values.get(flag.name)) is not None:
            draft.set(flag.key, _together(value) if isinstance(value, list) else value, flag.name)
    for argument in words:
        _apply_override(draft, argument, command, parser)
    dry_run, estimate = bool(values.get("dry_run")), bool(values.get("estimate"))
    parsed = Parsed(draft.build(), values["print_config"], dry_run, estimate, values["verbose"])
    if not parsed.print_config:
        _check_positionals(command, parsed.settings)
    return parsed


def _together(given: Sequence[str]) -> str | list[str]:
    """What a list's flag is given, once or several times: `--package A --package B` is `--package A,B`."""
    return given[0] if len(given) == 1 else [part for one in given for part in split_list(one) if part]


def _is_override(kind: type[Any], argument: str) -> bool:
    """Whether an argument without a flag is KEY=VALUE of a setting, and no file of that name."""
    key, equals, _ = argument.partition("=")
    return bool(equals) and key.split(".")[0] in settings_of(kind) and not Path(argument).exists()


def _check_positionals(command: Command, settings: Any) -> None:
    given = ""
    for name in command.positionals:
        value = getattr(settings, name)
        if name not in command.optional and value in ("", None, ()):
            item = settings_of(type(settings))[name]
            raise ConfigError(f"{name.upper()} is missing{given}: {item.help}")
        given = f" ({name.upper()} is {value!r})"


def _fill_from_file(draft: Draft[Any], command: Command, name: str) -> None:
    is_path = "/" in name or name.endswith((".yaml", ".yml"))
    if not command.recipes and not is_path:
        raise ConfigError(f"--config: expected the path of a YAML file (ending in .yaml), got {name!r}")
    if is_path and not Path(name).is_file():
        raise ConfigError(f"--config: no such file: {name}")
    content = load_definition(command.recipes or "config", name)
    if "description" not in settings_of(draft.kind):
        content = {key: value for key, value in content.items() if key != "description"}
    draft.update(content, name if is_path else f"{command.recipes}/{name}.yaml")


def _apply_override(draft: Draft[Any], argument: str, command: Command, parser: argparse.ArgumentParser) -> None:
    key, equals, value = argument.partition("=")
    if argument.startswith("-"):
        if inside := _list_with(draft.kind, key.lstrip("-").replace("-", "_")):
            name = key.lstrip("-").replace("-", "_")
            raise ConfigError(
                f"unknown flag {key!r}: it is a setting of each of {inside}: give {inside}.0.{name}=VALUE"
            )
        if command.recipes and key == f"--{command.recipes.removesuffix('s')}":
            raise ConfigError(f"unknown flag {key!r}: give --config FILE|NAME")
        if "." in key and key.lstrip("-").split(".")[0] in settings_of(draft.kind):
            raise ConfigError(
                f"unknown flag {key!r}: a setting within another has no dashes: give {key.lstrip('-')}=VALUE"
            )
        known = [name for action in parser._actions for name in action.option_strings if name.startswith("--")]
        raise ConfigError(suggest(key, known, "flag"))
    if not equals:
        named = command.recipes and argument in definition_names(command.recipes)
        hint = f"to take it as the recipe of that name, --config {argument}" if named else OVERRIDES
        raise ConfigError(f"unexpected argument {argument!r}: {hint}")
    draft.set(key, value, argument)


def _list_with(kind: type[Any], name: str) -> str:
    """The list setting whose elements have this setting, or ""."""
    elements = {key: element_of(item.annotation) for key, item in settings_of(kind).items()}
    return next((key for key, one in elements.items() if one and is_settings(one) and name in settings_of(one)), "")


def _flags(kind: type[Any], key: str = "", prefix: str = "--") -> list[_Flag]:
    """Flags of single values and lists of them; nested settings get their parent's name before them."""
    flags: list[_Flag] = []
    for name, item in settings_of(kind).items():
        inner = optional_of(item.annotation) or item.annotation
        flag = prefix + item.flag.removeprefix("--")
        if is_settings(inner):
            flags += _flags(inner, f"{key}{name}.", f"{flag}-")
        elif not is_settings(element_of(item.annotation)):
            flags.append(_Flag(f"{key}{name}", flag, item))
    return flags


def _takes_all(kind: type[Any], name: str) -> bool:
    """Whether a positional setting is a list: it takes all words that are left."""
    return element_of(settings_of(kind)[name].annotation) is not None


def _positional(name: str) -> str:
    return f"positional {name}"


def _parser(command: Command, kind: type[Any], flags: list[_Flag]) -> argparse.ArgumentParser:
    settings = settings_of(kind)
    needed = {name for name in command.positionals if settings[name].default() in ("", None, ())}
    needed -= set(command.optional)
    words = {name: f"{name.upper()}{' ...' if _takes_all(kind, name) else ''}" for name in command.positionals}
    shown = " ".join(words[name] if name in needed else f"[{words[name]}]" for name in command.positionals)
    parser = _Parser(
        prog=f"swe-srl {command.name}",
        usage=f"swe-srl {command.name} {f'{shown} ' if shown else ''}[flags] [KEY=VALUE ...]",
        description=_capital(command.summary),
        epilog=_epilog(kind),
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in command.positionals:
        parser.add_argument(_positional(name), metavar=name.upper(), nargs="?", help=_positional_help(settings[name]))
    group = parser.add_argument_group("settings")
    for flag in flags:
        if flag.key not in command.positionals:
            _add_flag(group, flag, [f"-{letter}" for letter, key in command.letters if key == flag.key])
    common = parser.add_argument_group("common")
    what = "FILE|NAME" if command.recipes else "FILE"
    by_name = f", or the name of a packaged definition of {command.recipes}" if command.recipes else ""
    common.add_argument("--config", metavar=what, help=f"YAML file of settings{by_name}; flags go before it")
    common.add_argument("--print-config", action="store_true", help="print the resolved settings as YAML and stop")
    if command.plan:
        dry = "check the settings and what they name, say what would be done, and stop"
        common.add_argument("--dry-run", action="store_true", help=dry)
    if command.estimate:
        probe = "do a few steps of the work elsewhere, say what time, memory and disk all of it would take, and stop"
        common.add_argument("--estimate", action="store_true", help=probe)
    common.add_argument("--verbose", action="store_true", help="log what happens, and show where an error comes from")
    return parser


def _add_flag(group: Any, flag: _Flag, letters: Sequence[str]) -> None:
    if bool in (flag.item.annotation, optional_of(flag.item.annotation)):
        group.add_argument(flag.name, dest=flag.name, action=argparse.BooleanOptionalAction, help=_help(flag.item))
        return
    metavar = flag.item.name.upper() if not flag.item.choices else "{" + ",".join(flag.item.choices) + "}"
    action = "append" if element_of(flag.item.annotation) else "store"
    group.add_argument(*letters, flag.name, dest=flag.name, metavar=metavar, action=action, help=_help(flag.item))


def _help(item: Setting) -> str:
    default = item.default()
    shown = ",".join(str(element) for element in default) if isinstance(default, (list, tuple)) else default
    tail = "" if shown in ("", None) or (item.annotation is bool and not default) else f" (default: {shown})"
    kind = expectation(item.annotation) if element_of(item.annotation) else ""
    return f"{item.help}{f' [{kind}, with commas, or the flag again]' if kind else ''}{tail}".replace("%", "%%")


def _positional_help(item: Setting) -> str:
    """A list's elements are words of their own here, and not joined with commas."""
    return item.help.replace("%", "%%") if element_of(item.annotation) else _help(item)


def _epilog(kind: type[Any]) -> str:
    elements = {name: element_of(item.annotation) for name, item in settings_of(kind).items()}
    lists = {name: element for name, element in elements.items() if element is not None and is_settings(element)}
    fill = partial(
        textwrap.fill,
        width=max(shutil.get_terminal_size().columns - 2, 11),
        break_long_words=False,
        break_on_hyphens=False,
    )
    text = fill(OVERRIDES if lists else OVERRIDES.split(":")[0])
    for name, element in lists.items():
        keys = "\n".join(
            fill(f"{name}.0.{key}: {_help(item)}", initial_indent="  ", subsequent_indent=" " * 6)
            for key, item in settings_of(element).items()
        )
        text += f"\n\neach of {name}:\n{keys}"
    return text.replace("%", "%%")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
