"""Which characters of a word bash would act on and does not, because they are quoted: `'$x'` is not `"$x"`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

LITERAL_DOLLAR = re.compile(r"\$(?=[A-Za-z_0-9{(@*#?!$-])|`")
_GLOB = re.compile(r"[*?\[]|\{[^{}\s]*(?:,|\.\.)[^{}\s]*\}")
_ESCAPE = re.compile(r"\\(?P<dollar>\$(?=[A-Za-z_0-9{(@*#?!$-])|`)|\\(?P<glob>[*?\[])|\\.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Quoted:
    """A text with characters that bash acts on where they are not quoted, and how many of them are.

    Args:
        text: the text without its quotes.
        dollars: `$` and backquotes that are not expanded.
        globs: `*`, `?`, `[` and `{a,b}` that match no files.
    """

    text: str
    dollars: int = 0
    globs: int = 0


def expands(text: str) -> bool:
    """Whether bash acts on something in a text that is not quoted."""
    return LITERAL_DOLLAR.search(text) is not None or _GLOB.search(text) is not None


def quoted(node: Node, text: str) -> Quoted | None:
    """What is quoted of a word, given its node and its text without quotes; None where there is nothing to quote."""
    return Quoted(text, *_counts(node)) if expands(text) else None


def _counts(node: Node) -> tuple[int, int]:
    kind, text = node.type, (node.text or b"").decode("utf-8", errors="replace")
    if kind in ("raw_string", "ansi_c_string"):
        return len(LITERAL_DOLLAR.findall(text[1:-1])), len(_GLOB.findall(text[1:-1]))
    if kind == "string":
        escapes = list(_ESCAPE.finditer(text[1:-1]))
        return sum(found["dollar"] is not None for found in escapes), len(_GLOB.findall(text[1:-1]))
    if kind == "word":
        escapes = list(_ESCAPE.finditer(text))
        return sum(found["dollar"] is not None for found in escapes), sum(
            found["glob"] is not None for found in escapes
        )
    if kind in ("concatenation", "command_name"):
        parts = [_counts(child) for child in node.named_children]
        return sum(dollars for dollars, _ in parts), sum(globs for _, globs in parts)
    return 0, 0


def quoted_alike(first: Iterable[Quoted], second: Iterable[Quoted]) -> tuple[bool, bool]:
    """Whether the texts that both have are quoted alike: their `$`, and the characters that match files."""
    ours = {one.text: one for one in first}
    both = [(ours[other.text], other) for other in second if other.text in ours]
    return all(one.dollars == other.dollars for one, other in both), all(
        one.globs == other.globs for one, other in both
    )
