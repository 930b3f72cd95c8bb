"""A shell's state as a script: what a snapshot keeps, and what a rebuilt shell gets back."""

from __future__ import annotations

import re
import shlex

_OWN_FUNCTION = re.compile(rb"^__swe_\w+ \(\) *\n\{.*?^\}\n(?:declare -\S+ __swe_\w+\n)?", re.DOTALL | re.MULTILINE)
# Variables that bash or the worker sets itself; assigning to some of them would end the script.
_OWN_VARIABLE = re.compile(
    rb"declare -\S+ (BASH|BASHOPTS|BASHPID|BASH_(ALIASES|ARG\w+|CMDS|COMMAND|EXECUTION_STRING|LINENO|LOADABLES_PATH|SOURCE|"
    rb"SUBSHELL|VERSINFO|VERSION)|DIRSTACK|EPOCH\w+|EUID|FUNCNAME|GROUPS|HISTCMD|LINENO|PIPESTATUS|PPID|S?RANDOM|SECONDS|"
    rb"SHELLOPTS|SHLVL|UID|_|__swe_\w+)(=|$)"
)
_COMPATIBLE = re.compile(
    rb'^declare -\S+ BASH_COMPAT="[\d.]*"$', re.MULTILINE
)  # options (compat40) spell its value anew

_POSIX = re.compile(
    rb"^declare -\S+ POSIXLY_CORRECT(?:=.*)?$", re.MULTILINE
)  # turns that mode on, in which fewer names are functions'


def dump_command(mark: str) -> str:
    """A command that prints, each after a `mark`: a script of variables, aliases, the file mask and functions; a function named
    `declare`; and a script of options.

    The functions' own script says `declare`, so one of that name comes after all others. Aliases may have the name of
    anything: they are turned off by a first line, before the next one is read, and how that was is told last.
    """
    off = (
        "\\builtin shopt -q expand_aliases && __swe_aliases=-s || __swe_aliases=-u\n\\builtin shopt -u expand_aliases\n"
    )
    on = '\nbuiltin shopt "$__swe_aliases" expand_aliases; builtin unset -v __swe_aliases'
    begin = f"builtin printf {mark};"
    state = "builtin declare -p; builtin alias -p; builtin umask -p;"
    others = "(builtin unset -f declare; builtin declare -fp)"
    functions = f"if builtin declare -F declare >/dev/null; then {others}; else builtin declare -fp; fi;"
    options = 'builtin shopt -p; builtin set +o; builtin echo "shopt $__swe_aliases expand_aliases";'
    # In a condition, `set -e` and traps do not see it fail.
    last = f"{begin} builtin declare -fp declare; {begin} {options}"
    return f"{off}if {{ {begin} {state} {functions} {last} }} 2>/dev/null; then builtin :; fi{on}"


def restore_script(directory: bytes, dump: bytes, mark: bytes) -> str:
    """A script that sets the directory and everything `dump_command` printed after its marks.

    Functions may have the name of anything: what comes after them (one line for each option) says `builtin`.
    """
    rest, _, options = dump.partition(mark)[2].rpartition(mark)  # the command, and so its marks, is in variables too
    state, _, function = rest.rpartition(mark)
    others = _POSIX.sub(b"", _OWN_FUNCTION.sub(b"", state))
    lines = [line for line in others.split(b"\n") if not _OWN_VARIABLE.match(line)]
    body, _, attributes = function.rstrip(b"\n").rpartition(b"\n")
    lines += [body, b"builtin " + attributes] if attributes.startswith(b"declare -") else [function]
    lines += [
        b"builtin " + line for line in [*options.splitlines(), *_COMPATIBLE.findall(state), *_POSIX.findall(state)]
    ]
    return _text(_change_directory(directory) + b"{\n" + b"\n".join(lines) + b"\n} 2>/dev/null")


def reduced_script(directory: bytes, exports: bytes) -> str:
    """A script that sets the exported variables (as `export -p` prints them) and the directory; its exit code is that of `cd`."""
    return _text(exports + b"\n" + _change_directory(directory))


def _change_directory(directory: bytes) -> bytes:
    return f"cd -- {shlex.quote(_text(directory))}\n".encode("utf-8", "surrogateescape")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
