"""What a project itself says its tests need: an extra, a dependency group (PEP 735) or a file of requirements for them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

MOST_BYTES = 200_000  # of a project's file that is read
_FOR_TESTS = ("test", "tests", "testing", "pytest")
_FOR_ALL = (
    "dev",
    "develop",
    "development",
)  # with much that tests do not need: only where nothing is said of them alone
_FILES = (
    *(
        "requirements-{}.txt",
        "requirements_{}.txt",
        "{}-requirements.txt",
        "{}_requirements.txt",
        "requirements/{}.txt",
    ),
    *("requirements.{}.txt", "{}/requirements.txt"),
)


@dataclass(frozen=True, slots=True)
class Needs:
    """What is installed for tests beside pytest and the project's own dependencies.

    Args:
        extras: of the project.
        requirements: as pip takes them.
        said: where the project says so; "" for what the user asks for.
    """

    extras: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    said: str = ""

    def unpinned(self) -> Needs:
        """The same packages in any version."""
        names = (_parsed(line) for line in self.requirements)
        bare = (f"{one.name}{_extras(one)}{_marker(one)}" for one in names if one is not None)
        requirements = tuple(dict.fromkeys(bare))
        return (
            self
            if requirements == self.requirements
            else replace(self, requirements=requirements, said=f"{self.said}, in any version")
        )

    def joined(self, requirement: str) -> Needs:
        """With one more requirement."""
        return replace(self, requirements=(*self.requirements, requirement))


def declared_needs(tree: Path, offers: Sequence[str]) -> Needs | None:
    """What the project says of its tests, else of its development; None when it says nothing.

    Requirements are names with versions: options, addresses and paths in a project's files are left out, and so are links and
    files above 200 kB.

    Args:
        tree: the project's files.
        offers: the extras that it offers.
    """
    for names in (_FOR_TESTS, _FOR_ALL):
        extras = tuple(extra for extra in offers if extra.lower() in names)
        requirements: dict[str, None] = {}
        said = [f"extra {extra}" for extra in extras]
        for place, lines in (*_groups(tree, names), *_files(tree, names)):
            kept = [str(one) for one in map(_parsed, lines) if one is not None and one.url is None]
            if kept:
                said.append(place)
                requirements.update(dict.fromkeys(kept))
        if said:
            return Needs(extras, tuple(requirements), ", ".join(said))
    return None


def _groups(tree: Path, names: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    try:
        content = tomllib.loads(_read(tree, "pyproject.toml"))
    except (ValueError, RecursionError):
        return
    given: Any = content.get("dependency-groups")
    groups = {canonicalize_name(name): lines for name, lines in given.items()} if isinstance(given, dict) else {}
    for name in given if groups else ():
        if name.lower() in names:
            yield f"dependency group {name}", list(_members(groups, canonicalize_name(name)))


def _members(groups: Mapping[NormalizedName, Any], name: NormalizedName) -> Iterator[str]:
    """The lines of a group and of those that it includes, each group once."""
    seen: set[NormalizedName] = set()
    left: list[Any] = [{"include-group": name}]
    while left:
        line = left.pop()
        if isinstance(line, str):
            yield line
        elif isinstance(line, dict) and isinstance(line.get("include-group"), str):
            included = canonicalize_name(line["include-group"])
            lines = groups.get(included) if included not in seen else None
            seen.add(included)
            left.extend(reversed(lines) if isinstance(lines, list) else ())


def _files(tree: Path, names: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    for place in (pattern.format(name) for pattern in _FILES for name in names):
        yield place, [re.sub(r"(^|\s)#.*", "", line).strip() for line in _read(tree, place).splitlines()]


def _read(tree: Path, name: str) -> str:
    """A file's text; "" where there is none, or one that is reached by a link or too long to be written by hand."""
    file = tree.resolve() / name
    if file.resolve() != file or not file.is_file() or file.stat().st_size > MOST_BYTES:
        return ""
    return file.read_text(encoding="utf-8", errors="replace")


def _parsed(line: str) -> Requirement | None:
    try:
        return Requirement(line)
    except InvalidRequirement:
        return None


def _extras(requirement: Requirement) -> str:
    return f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""


def _marker(requirement: Requirement) -> str:
    return f"; {requirement.marker}" if requirement.marker else ""
