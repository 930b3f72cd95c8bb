"""Finds environment, agent, recipe, study and docker definitions by name: at a path, in the checkout, or in the wheel."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from swe_srl.errors import ConfigError, DefinitionNotFoundError, suggest
from swe_srl.types import Task

SINGULAR = {"envs": "environment", "agents": "agent", "recipes": "recipe", "studies": "study", "docker": "docker"}
KINDS = tuple(SINGULAR)
PACKAGED = "_definitions"  # where the wheel puts the top-level folders (see pyproject.toml, force-include)


def definition_root(kind: str) -> Traversable:
    """The folder of packaged definitions of one kind; in an editable install, the checkout's top-level folder."""
    packaged = resources.files("swe_srl") / PACKAGED / kind
    if packaged.is_dir():
        return packaged
    return Path(__file__).resolve().parent.parent / kind


def definition_names(kind: str) -> list[str]:
    """Names of all packaged definitions of one kind, sorted."""
    root = definition_root(kind)
    names = (entry.name for entry in root.iterdir()) if root.is_dir() else iter(())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


class _Loader(yaml.SafeLoader):
    """YAML in which a key may occur once only: PyYAML lets the last one win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is not None and name != "<<" and name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {name!r} occurs twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def read_yaml(text: str) -> Any:
    """The value of a YAML text in which no mapping has a key twice.

    Raises:
        yaml.YAMLError: it is not YAML, or a key occurs twice.
    """
    return yaml.load(text, Loader=_Loader)


def load_definition(kind: str, name: str) -> dict[str, Any]:
    """The mapping of one YAML definition.

    Args:
        kind: one of `KINDS`.
        name: a packaged name (`shell`), or a path to a user's own file (anything with a slash or ending in .yaml).

    Raises:
        DefinitionNotFoundError: no such name or file; the message suggests the nearest.
        ConfigError: the file is not a YAML mapping.
    """
    if "/" in name or name.endswith((".yaml", ".yml")):
        path: Traversable = Path(name)
        if not path.is_file():
            raise DefinitionNotFoundError(f"no {SINGULAR[kind]} definition at {name}: no such file")
    else:
        path = definition_root(kind) / f"{name}.yaml"
        if not path.is_file() and Path(name).is_file():
            raise DefinitionNotFoundError(f"{name} is no {SINGULAR[kind]} definition: a file of one ends in .yaml")
        if not path.is_file():
            raise DefinitionNotFoundError(suggest(name, definition_names(kind), f"{SINGULAR[kind]} definition"))
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text: {error}") from error
    except yaml.YAMLError as error:
        said = str(error).replace('"<unicode string>"', str(path))
        raise ConfigError(f"{path}: not valid YAML: {said}") from error
    if not isinstance(content, dict):
        what = (
            "the file is empty"
            if content is None
            else "this is a list"
            if isinstance(content, list)
            else "this is a value"
        )
        raise ConfigError(f"{path}: a definition is a mapping of keys to values, and {what}")
    return content


def definition_place(kind: str, name: str) -> str:
    """Where the definition of that name or path is, for messages.

    >>> definition_place("agents", "shell"), definition_place("agents", "mine/shell.yaml")
    ('agents/shell.yaml', 'mine/shell.yaml')
    """
    return name if "/" in name or name.endswith((".yaml", ".yml")) else f"{kind}/{name}.yaml"


def environment_for(task: Task, sandbox: str, bundled: bool) -> str:
    """The packaged environment definition that a task is worked on in when none is named.

    Args:
        sandbox: "local", "docker" or "auto".
        bundled: whether it is one of the quickstart tasks.
    """
    if task.image and not (sandbox == "local" and task.source):
        return "swebench"
    return "quickstart" if bundled else "default"
