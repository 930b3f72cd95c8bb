"""What is known of common programs: which options take values, what else they are called, what their operands mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

VIEW, SEARCH, EDIT, TEST, RUN, FILES, VCS, PACKAGE, OTHER = (
    "view",
    "search",
    "edit",
    "test",
    "run",
    "files",
    "vcs",
    "package",
    "other",
)


@dataclass(frozen=True, slots=True)
class Program:
    """How a program's words are read.

    Args:
        kind: what it is used for.
        clusters: `-rn` means `-r -n`.
        values: options (without dashes) that take a value.
        same: other spellings of an option.
        pattern: the first operand is a pattern or script, not a path (unless an option of `pattern_options` gives it).
        paths: its operands are paths.
        ordered: the order of its operands matters.
        noise: options that change only how the result looks; they weigh little.
        lax: options that weigh little where only one command has them.
        default_path: the operand it works on when none is given; "" when that is not the directory.
        attached: letters whose value, if any, is the rest of their word (`-i.bak`).
    """

    kind: str = OTHER
    clusters: bool = False
    values: frozenset[str] = frozenset()
    same: Mapping[str, str] = field(default_factory=dict)
    pattern: bool = False
    pattern_options: frozenset[str] = frozenset()
    paths: bool = False
    ordered: bool = True
    noise: frozenset[str] = frozenset()
    lax: frozenset[str] = frozenset()
    default_path: str = ""
    attached: str = ""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_GREP_SAME = {
    "R": "r",
    "recursive": "r",
    "dereference-recursive": "r",
    "line-number": "n",
    "ignore-case": "i",
    "files-with-matches": "l",
    "word-regexp": "w",
    "extended-regexp": "E",
    "fixed-strings": "F",
    "perl-regexp": "P",
    "invert-match": "v",
    "count": "c",
    "only-matching": "o",
    "regexp": "e",
    "max-count": "m",
    "after-context": "A",
    "before-context": "B",
    "context": "C",
    "with-filename": "H",
    "no-filename": "h",
    "quiet": "q",
    "no-messages": "s",
}
_GREP = Program(
    SEARCH,
    clusters=True,
    values=_names("e f m A B C include exclude exclude-dir"),
    same=_GREP_SAME,
    pattern=True,
    pattern_options=_names("e f"),
    paths=True,
    ordered=False,
    noise=_names("color colour H s"),
)
_PYTEST = Program(
    TEST,
    clusters=True,
    values=_names("k m n p o W c r maxfail tb durations timeout rootdir ignore deselect"),
    same={"verbose": "v", "quiet": "q", "exitfirst": "x", "capture": "s", "vv": "v", "vvv": "v"},
    paths=True,
    ordered=False,
    noise=_names("v q s x tb color no-header durations p W"),
    default_path=".",
)
_LINES = Program(VIEW, clusters=True, values=_names("n c"), same={"lines": "n", "bytes": "c"}, paths=True)
_FILES = Program(FILES, clusters=True, paths=True, same={"recursive": "r", "R": "r", "force": "f", "parents": "p"})

PROGRAMS: Mapping[str, Program] = {
    "grep": _GREP,
    "rg": Program(
        SEARCH,
        clusters=True,
        values=_names("e g t A B C m glob type"),
        same={"glob": "g", "type": "t"},
        pattern=True,
        pattern_options=_names("e"),
        paths=True,
        ordered=False,
        noise=_names("n color"),
        default_path=".",
    ),
    "cat": Program(VIEW, clusters=True, paths=True, same={"number": "n"}, noise=_names("n")),
    "nl": Program(VIEW, clusters=True, paths=True, values=_names("b"), noise=_names("b a ba")),
    "less": Program(VIEW, clusters=True, paths=True),
    "head": _LINES,
    "tail": _LINES,
    "wc": Program(VIEW, clusters=True, paths=True, same={"lines": "l", "words": "w"}),
    "sed": Program(
        VIEW,
        clusters=True,
        values=_names("e f"),
        same={"quiet": "n", "silent": "n", "in-place": "i", "r": "E", "regexp-extended": "E", "expression": "e"},
        pattern=True,
        pattern_options=_names("e"),
        paths=True,
        attached="i",
    ),
    "awk": Program(VIEW, values=_names("F v f"), pattern=True, paths=True),
    "ls": Program(
        SEARCH,
        clusters=True,
        paths=True,
        ordered=False,
        same={"all": "a", "recursive": "R", "A": "a"},
        noise=_names("l a h t 1 F color"),
        default_path=".",
    ),
    "tree": Program(SEARCH, values=_names("L I P"), paths=True, ordered=False, default_path="."),
    "find": Program(SEARCH, paths=True, ordered=False, lax=_names("type"), default_path="."),
    "pytest": _PYTEST,
    "unittest": Program(TEST, values=_names("k s p t"), ordered=False, noise=_names("v verbose q f"), default_path="."),
    "tox": Program(TEST, values=_names("e"), default_path="."),
    "python": Program(RUN, paths=True, noise=_names("u B W")),
    "bash": Program(RUN, clusters=True, paths=True),
    "make": Program(RUN, values=_names("C f j")),
    "pip": Program(PACKAGE, values=_names("r c e i index-url"), ordered=False, noise=_names("q v quiet no-cache-dir")),
    "git": Program(VCS, values=_names("m C n"), noise=_names("no-pager color no-color")),
    "rm": _FILES,
    "cp": _FILES,
    "mv": _FILES,
    "mkdir": _FILES,
    "touch": _FILES,
    "chmod": Program(FILES, clusters=True),
    "diff": Program(VIEW, clusters=True, paths=True, values=_names("U"), noise=_names("u")),
    "sort": Program(VIEW, clusters=True, values=_names("k t o"), paths=True),
    "uniq": Program(VIEW, clusters=True, paths=True),
    "cut": Program(VIEW, values=_names("d f c"), paths=True),
    "xargs": Program(RUN, values=_names("n I P d")),
    "which": Program(SEARCH, ordered=False),
    "echo": Program(OTHER, clusters=True),
    "printf": Program(OTHER),
    "tee": Program(EDIT, clusters=True, paths=True),
    "patch": Program(EDIT, values=_names("p i"), paths=True),
}
UNKNOWN = Program()
ALIASES: Mapping[str, tuple[str, ...]] = {
    "egrep": ("grep", "-E"),
    "fgrep": ("grep", "-F"),
    "python3": ("python",),
    "python2": ("python",),
    "pip3": ("pip",),
    "py.test": ("pytest",),
    "sh": ("bash",),
    "more": ("less",),
    "bat": ("cat",),
    "ll": ("ls", "-l"),
    "gsed": ("sed",),
    "gawk": ("awk",),
}
WRAPPERS = frozenset({"sudo", "nohup", "command", "time", "env", "stdbuf", "exec"})
MODULES = frozenset({"pytest", "unittest", "pip", "tox"})  # `python -m NAME` is the program NAME
TRIMMERS = frozenset({"head", "tail", "sort", "uniq", "wc", "less", "cut", "tee", "cat", "column", "tr"})
IDLE = frozenset({"echo", "printf", "true", "false", ":", "sleep", "pwd", "export", "set", "unset", "clear", "date"})
ENDS = frozenset({"exit", "return"})  # what follows them does not run
LOOKS = frozenset(  # variables that change only how output looks
    {"PAGER", "GIT_PAGER", "MANPAGER", "LESS", "TERM", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CLICOLOR"}
    | {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONWARNINGS", "DEBIAN_FRONTEND"}
)
NUMBERED = ("numbered", "")  # the option of a cut whose lines come with their numbers
CUTS = frozenset({"sed", "head", "tail"})
ASKS = frozenset({"version", "help"})  # options with which a program does nothing else
READS_STANDARD_INPUT = frozenset({"grep", "sed", "awk", "head", "tail", "wc", "sort", "uniq", "cut", "nl", "less"})
