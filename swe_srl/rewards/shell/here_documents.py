"""Here-documents: taken out of a command before it is parsed, and put back as the text that the program reads."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from swe_srl.rewards.shell.quoting import LITERAL_DOLLAR, Quoted, expands

_HERE = re.compile(
    r"(?<!<)<<(?!<)(?P<tabs>-?)[ \t]*"
    r"(?:(?P<mark>['\"])(?P<quoted>[^'\"\n]+)(?P=mark)|(?P<slash>\\?)(?P<plain>[A-Za-z_]\w*))"
)
_HERE_FILE = "/dev/here-document"
_ESCAPED = re.compile(r"\\([$`\\\n])")


@dataclass(frozen=True, slots=True)
class HereDocument:
    """The text that the program reads, but for expansions; `quoted` tells how many of its `$` are none.

    Args:
        text: the lines, each with its end.
        quoted: as for a word.
    """

    text: str
    quoted: Quoted | None = None


def take_here_documents(command: str) -> tuple[str, dict[str, HereDocument]]:
    """The command with its here-documents taken out, each replaced by a redirection from a made-up file, and their texts.

    The grammar's own handling of them fails on common forms (`<<EOF 2>&1 | head`, expansions in the body). The texts are
    keyed by the made-up files, whose names occur nowhere in the command.
    """
    made_up = _HERE_FILE
    while made_up in command:
        made_up += "_"
    lines = command.split("\n")
    kept: list[str] = []
    documents: dict[str, HereDocument] = {}
    places = _Places(lines)
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        for found in list(_HERE.finditer(line)):
            tabs, word = bool(found["tabs"]), found["quoted"] or found["plain"]
            end = places.next(at, word, tabs)
            if end is None:
                continue
            file = f"{made_up}/{len(documents)}"
            line = line.replace(found.group(0), f"< {file}", 1)
            inner = [one.lstrip("\t") for one in lines[at:end]] if tabs else lines[at:end]
            documents[file] = _document("".join(f"{one}\n" for one in inner), bool(found["mark"] or found["slash"]))
            at = end + 1
        kept.append(line)
    return "\n".join(kept), documents


class _Places:
    """Where each line is found, as it is and without the tabs before it."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._plain: dict[str, list[int]] = {}
        self._bare: dict[str, list[int]] = {}
        for index, line in enumerate(lines):
            self._plain.setdefault(line, []).append(index)
            self._bare.setdefault(line.lstrip("\t"), []).append(index)

    def next(self, start: int, line: str, tabs: bool) -> int | None:
        """The first place from `start` on."""
        places = (self._bare if tabs else self._plain).get(line, [])
        found = bisect_left(places, start)
        return places[found] if found < len(places) else None


def _document(body: str, literal: bool) -> HereDocument:
    """A quoted delimiter leaves the text alone; after another one `$` expands and `\\` quotes it."""
    if literal:
        text, dollars = body, len(LITERAL_DOLLAR.findall(body))
    else:
        text = _ESCAPED.sub(lambda found: "" if found.group(1) == "\n" else found.group(1), body)
        escaped = (found for found in _ESCAPED.finditer(body) if found.group(1) in "$`")
        dollars = sum(LITERAL_DOLLAR.match(body, found.start(1)) is not None for found in escaped)
    return HereDocument(text, Quoted(text, dollars) if expands(text) else None)
