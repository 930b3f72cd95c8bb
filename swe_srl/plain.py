"""Text of others (commands, outputs, names in data) made harmless for a terminal."""

from __future__ import annotations

import unicodedata

BREAK = "↵"  # stands for a line break where there is one line
UNSHOWN = "?"  # stands for what does something to a terminal instead of being shown
LONGEST = 600  # characters of one line that are looked at: more than any terminal shows
_PICTURES = "\U0001f000"  # from here on there are emoji, flags and rare writings
_MARKS = 2  # combining marks on one character, at most


def plain(text: str) -> str:
    """The text with nothing in it that moves the cursor, colours, hides, reorders or sends anything. Line breaks stay, tabs are
    spaces to the same column.

    >>> plain("a\\x1b[2Jb\\u202ec\\n")
    'a?[2Jbc\\n'
    >>> plain("+\\tx")
    '+       x'
    """
    return "\n".join(map(_shown, text.expandtabs().splitlines())) + ("\n" if text.endswith("\n") else "")


def one_line(text: str) -> str:
    """The same in one line, cut where no terminal goes on.

    >>> one_line("cat <<EOF\\nx\\tz\\nEOF\\n")
    'cat <<EOF↵x z↵EOF'
    """
    return BREAK.join(map(_shown, text[:LONGEST].strip().splitlines()))


def width(text: str) -> int:
    """Columns that a plain text takes at most, on whatever terminal: they differ over emoji, flags and the like.

    >>> width("a漢"), width("🇩🇪")
    (3, 4)
    """
    return sum(map(_columns, text))


def cut(text: str, columns: int) -> str:
    """A plain text that takes so many columns at most; what is missing is marked.

    >>> cut("漢字漢字", 6), cut("abc", 3)
    ('漢字…', 'abc')
    """
    if width(text) <= columns:
        return text
    taken, end = 0, 0
    while end < len(text) and taken + _columns(text[end]) <= columns - 1:
        taken += _columns(text[end])
        end += 1
    return f"{text[:end]}…"[: max(0, columns)]


def _columns(sign: str) -> int:
    if unicodedata.category(sign) in ("Mn", "Me"):
        return 0
    return 2 if sign >= _PICTURES or unicodedata.east_asian_width(sign) in "WF" else 1


def _shown(line: str) -> str:
    found: list[str] = []
    marks = 0
    for sign in unicodedata.normalize("NFC", line):
        kind = unicodedata.category(sign)
        marks = marks + 1 if kind[0] == "M" else 0
        if sign == "\t" or kind[0] == "Z":
            found.append(" ")
        elif (
            kind == "Cf" or marks > _MARKS or "\ufe00" <= sign <= "\ufe0f"
        ):  # no width of their own, but change others'
            continue
        else:
            found.append(UNSHOWN if kind[0] == "C" else sign)
    return "".join(found)
