"""Settings being filled: defaults, then a file, then flags, then dotted overrides; checked once, when built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from swe_srl.errors import ConfigError, suggest
from swe_srl.settings.fields import Setting, is_settings, settings_of
from swe_srl.settings.values import convert, element_of, optional_of, parse_yaml

T = TypeVar("T")
Node = dict[str, Any]  # converted values by name; nested settings are nodes, lists of settings are lists of nodes


class Draft(Generic[T]):
    """A settings object that is still being filled. Later writes win; each names where it came from when it is wrong.

    >>> from swe_srl.settings.fields import setting
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Example:
    ...     rate: float = setting(0.1, "Learning rate.")
    >>> draft = Draft(Example)
    >>> draft.update({"rate": "1e-3"}, "example.yaml")
    >>> draft.set("rate", "1e-4", "--rate")
    >>> draft.build()
    Example(rate=0.0001)
    """

    def __init__(self, kind: type[T]) -> None:
        self.kind = kind
        self._root = _defaults(kind)

    def update(self, values: Mapping[str, Any], where: str) -> None:
        """Fill from a mapping (a YAML file). Nested settings are merged; lists are replaced.

        Raises:
            ConfigError: an unknown key (the nearest is suggested) or a value that does not fit.
        """
        _merge(self._root, self.kind, values, where, "")

    def set(self, key: str, value: Any, where: str) -> None:
        """Set one value by its dotted key: `seed`, `sampling.temperature`, `stages.0.learning_rate`.

        Raises:
            ConfigError: no such key (the nearest is suggested), no such list element, or a value that does not fit.
        """
        *parents, name = key.split(".")
        node, kind = self._root, self.kind
        position = 0
        while position < len(parents):
            node, kind, used = _descend(node, kind, parents[position:], where)
            position += used
        item = _known(kind, name, where, ".".join(parents))
        node[name] = _fit(item, value, where, "", node[name])

    def build(self) -> T:
        """The finished settings.

        Raises:
            ConfigError: from the dataclass's own checks (`__post_init__`).
        """
        built: T = _build(self.kind, self._root)
        return built


def from_mapping(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """Settings from one mapping over the defaults; `where` names its origin in errors (see `Draft`)."""
    draft = Draft(kind)
    draft.update(values, where)
    return draft.build()


def _nested(item: Setting) -> Any | None:
    """The settings dataclass inside a setting's annotation (`X`, `X | None`), or None."""
    inner = optional_of(item.annotation) or item.annotation
    return inner if is_settings(inner) else None


def _listed(item: Setting) -> Any | None:
    """The settings dataclass that a list setting holds, or None."""
    element = element_of(item.annotation)
    return element if is_settings(element) else None


def _defaults(kind: type[Any]) -> Node:
    return {name: _as_node(item, item.default()) for name, item in settings_of(kind).items()}


def _as_node(item: Setting, value: Any) -> Any:
    nested, listed = _nested(item), _listed(item)
    if nested is not None and value is not None:
        return _dissolve(nested, value)
    return [_dissolve(listed, element) for element in value] if listed is not None else value


def _dissolve(kind: type[Any], value: Any) -> Node:
    return {name: _as_node(item, getattr(value, name)) for name, item in settings_of(kind).items()}


def _label(where: str, path: str) -> str:
    return f"{where}: {path}" if path else where


def _known(kind: type[Any], name: str, where: str, path: str = "") -> Setting:
    settings = settings_of(kind)
    if name not in settings:
        raise ConfigError(f"{_label(where, path)}: {suggest(name, settings, 'setting')}")
    return settings[name]


def _merge(node: Node, kind: type[Any], values: Any, where: str, path: str) -> Node:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{_label(where, path)}: expected a mapping of settings, got {values!r}")
    for key, value in values.items():
        item = _known(kind, str(key), where, path)
        node[item.name] = _fit(item, value, where, f"{path}.{item.name}" if path else item.name, node[item.name])
    return node


def _fit(item: Setting, value: Any, where: str, path: str, current: Any) -> Any:
    """`value` in the form the tree holds for this setting; nested settings are merged into `current`."""
    nested, listed, label = _nested(item), _listed(item), _label(where, path)
    if isinstance(value, str) and (nested is not None or listed is not None):
        value = parse_yaml(value, label)
    if nested is not None:
        if value is None and optional_of(item.annotation) is not None:
            return None
        return _merge(_defaults(nested) if current is None else dict(current), nested, value, where, path)
    if listed is None:
        return convert(value, item.annotation, item.choices, label)
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{label}: expected a list of mappings, got {value!r}")
    return [_merge(_defaults(listed), listed, row, where, f"{path}.{i}") for i, row in enumerate(value)]


def _descend(node: Node, kind: type[Any], parents: list[str], where: str) -> tuple[Node, type[Any], int]:
    """One level down a dotted key: the node, its dataclass, and how many parts of the key that took."""
    item = _known(kind, parents[0], where)
    nested, listed = _nested(item), _listed(item)
    if nested is not None:
        if node[item.name] is None:
            node[item.name] = _defaults(nested)
        return node[item.name], nested, 1
    if listed is None:
        raise ConfigError(f"{where}: {item.name} is a single value, it has no settings inside")
    nodes: list[Node] = node[item.name]
    index = parents[1] if len(parents) > 1 else ""
    if not index.isdigit() or int(index) >= len(nodes):
        raise ConfigError(
            f"{where}: {item.name} has {len(nodes)} elements; address one as {item.name}.0.NAME"
            + (f" to {item.name}.{len(nodes) - 1}.NAME" if len(nodes) > 1 else "")
        )
    return nodes[int(index)], listed, 2


def _build(kind: type[Any], node: Node) -> Any:
    return kind(**{name: _finish(item, node[name]) for name, item in settings_of(kind).items()})


def _finish(item: Setting, value: Any) -> Any:
    nested, listed = _nested(item), _listed(item)
    if nested is not None and value is not None:
        return _build(nested, value)
    if listed is not None:
        built = [_build(listed, element) for element in value]
        return built if getattr(item.annotation, "__origin__", None) is list else tuple(built)
    return value
