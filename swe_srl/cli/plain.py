"""Text of others (commands, outputs, names in data) made harmless for a terminal."""

from __future__ import annotations

import unicodedata

BREAK = "↵"  # stands for a line break where there is one line
UNSHOWN = "?"  # stands for what does something to a terminal instead of being shown
LONGEST = 600  # characters of one line that are looked at: more than any terminal shows
_MARKS = 2  # combining marks on one character, at most


def plain(text: str) -> str:
    """The text with nothing in it that moves the cursor, colours, hides, reorders or sends anything. Line breaks stay.

    >>> plain("a\\x1b[2Jb\\u202ec\\n")
    'a?[2Jbc\\n'
    """
    return "\n".join(map(_shown, text.splitlines())) + ("\n" if text.endswith("\n") else "")


def one_line(text: str) -> str:
    """The same in one line, cut where no terminal goes on.

    >>> one_line("cat <<EOF\\nx\\tz\\nEOF\\n")
    'cat <<EOF↵x z↵EOF'
    """
    return BREAK.join(map(_shown, text[:LONGEST].strip().splitlines()))


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
