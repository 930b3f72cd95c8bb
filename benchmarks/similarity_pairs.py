"""Rewrites and corruptions of shell commands: what makes the pairs that `benchmarks/similarity.py` labels by execution.

Each function takes a command and yields changed ones; whether a change matters is for the sandbox to say.
"""

from __future__ import annotations

import random
import re
import shlex
from collections.abc import Callable, Iterator, Sequence

from swe_srl.trajectories.tools.shell import replace_once

Rewrite = Callable[[str, random.Random, Sequence[str]], Iterator[str]]

_PATH = re.compile(r"(?<![\w/.=-])((?:\./)?(?:[\w.-]+/)*[\w-]+\.(?:py|rst|txt|cfg|toml|md|pyi))(?![\w/])")
_HERE = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")
_SED_EDIT = re.compile(r"^sed -i (['\"])s/((?:[^/\\\n]|\\.)+)/((?:[^/\\\n]|\\.)*)/(g?)\1 (\S+)$")
_SED_VIEW = re.compile(r"sed -n (['\"])(\d+),(\d+)p\1 (\S+)")
_HEAD = re.compile(r"\bhead -(?:n ?)?(\d+)\b")
_GREP_FLAGS = re.compile(r"\bgrep -([a-zA-Z]{2,5})(?= )")
_GREP_FLAG = re.compile(r"\bgrep -([nril])(?= )")
_GREP_FILE = re.compile(r"^grep ((?:-\w+ )*)(['\"][^'\"]+['\"]) (\S+\.py)$")
_QUOTED = re.compile(r"'([\w .:()=,-]+)'")
_DOUBLE = re.compile(r'"([\w .:()=,-]+)"')
_LONG = {"n": "--line-number", "r": "--recursive", "i": "--ignore-case", "l": "--files-with-matches"}


def quoting(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    if _HERE.search(command):
        return
    yield _QUOTED.sub(r'"\1"', command)
    yield _DOUBLE.sub(r"'\1'", command)


def flag_grouping(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    def shuffled(found: re.Match[str]) -> str:
        letters = list(found.group(1))
        source.shuffle(letters)
        return "grep " + " ".join(f"-{letter}" for letter in letters)

    yield _GREP_FLAGS.sub(shuffled, command)
    yield _GREP_FLAGS.sub(lambda found: f"grep -{found.group(1)[::-1]}", command)
    yield re.sub(r"\bls -la\b", "ls -a -l", command)


def long_flags(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    yield _GREP_FLAG.sub(lambda found: f"grep {_LONG[found.group(1)]}", command)


def directory_prefix(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    yield (
        command.removeprefix("cd /testbed && ")
        if command.startswith("cd /testbed && ")
        else f"cd /testbed && {command}"
    )


def path_spelling(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    if not _HERE.search(command):
        yield _PATH.sub(r"./\1", command, count=1)
        yield _PATH.sub(r"/testbed/\1", command, count=1)


def white_space(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    yield re.sub(r" (?=[-\w./]+$)", "   ", command.split("\n")[0]) + command[len(command.split("\n")[0]) :]
    yield re.sub(r" && (?=\w)", " &&\n", command, count=1)


def useless_cat(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    if found := _GREP_FILE.match(command):
        yield f"cat {found.group(3)} | grep {found.group(1)}{found.group(2)}"
    if re.match(r"^cat \S+$", command):
        yield f"cat < {command[4:]}"


def heads(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    yield _HEAD.sub(r"head -n \1", command)
    yield _HEAD.sub(r"head -\1", command)
    if found := _SED_VIEW.search(command):
        first, last, file = int(found.group(2)), int(found.group(3)), found.group(4)
        yield command.replace(found.group(0), f"head -n {last} {file} | tail -n +{first}")
        yield command.replace(found.group(0), f"awk 'NR>={first} && NR<={last}' {file}")
        if first == 1:
            yield command.replace(found.group(0), f"head -{last} {file}")


def interpreter(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    yield re.sub(
        r"\bpython3?\b(?! -m)", lambda found: "python" if found.group(0)[-1] == "3" else "python3", command, count=1
    )


def here_documents(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    if found := _HERE.search(command):
        word = found.group(2)
        if word != "END_OF_TEXT":
            yield re.sub(rf"\b{word}\b", "END_OF_TEXT", command)
    if found := re.match(r"^cat <<\s*(['\"]?\w+['\"]?) > (\S+)\n", command):
        rest = command[found.end() :]
        yield f"cat > {found.group(2)} <<{found.group(1)}\n{rest}"
        yield f"tee {found.group(2)} <<{found.group(1)} > /dev/null\n{rest}"


def edit_tools(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    if found := _SED_EDIT.match(command):
        quote, old, new, every, file = found.groups()
        if "|" not in old + new:
            yield f"sed -i {quote}s|{old}|{new}|{every}{quote} {file}"
        plain = re.sub(r"\\(.)", r"\1", old), re.sub(r"\\(.)", r"\1", new)
        yield replace_once(file, *plain)
        yield f"sed -i -e {quote}s/{old}/{new}/{every}{quote} {file}"


def joining(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    if not _HERE.search(command) and " && " in command:
        first, _, rest = command.partition(" && ")
        yield f"{first}; {rest}"
        if " && " not in rest and not first.startswith("cd "):
            yield f"{rest} && {first}"
    if not _HERE.search(command) and "|" not in command:
        yield f"{command} 2>&1"
        yield f"({command})"


def finding(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    if found := re.search(r"find (\S+) -name (\S+)(?= |$)", command):
        yield command.replace(found.group(0), f"find {found.group(1)} -type f -name {found.group(2)}")
    yield command.replace("find . ", "find ", 1)


def other_file(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    found = _PATH.search(command)
    if found and files:
        folder = found.group(1).rpartition("/")[0]
        siblings = [file for file in files if file.rpartition("/")[0] == folder and file != found.group(1)] or list(
            files
        )
        yield command.replace(found.group(1), source.choice(siblings))
        yield command.replace(found.group(1), source.choice(list(files)))


def other_lines(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    if found := _SED_VIEW.search(command):
        first, last = int(found.group(2)), int(found.group(3))
        for shift in (source.randint(1, 9), source.randint(40, 90)):
            yield command.replace(f"{first},{last}p", f"{first + shift},{last + shift}p")
    yield _HEAD.sub(lambda found: f"head -n {int(found.group(1)) + 5}", command)


def other_pattern(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    found = re.search(r"(?:grep|find)\b.*?(['\"])([A-Za-z_][\w .*]+)\1", command)
    if found:
        text = found.group(2)
        yield command.replace(text, source.choice(["import", "class", "return", "def __init__", "raise", "self"]))
        yield command.replace(text, text[:-1])
        yield command.replace(text, text[0].swapcase() + text[1:])


def other_flags(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    if found := _GREP_FLAGS.search(command):
        letters = found.group(1)
        dropped = source.choice(letters)
        yield command.replace(found.group(0), f"grep -{letters.replace(dropped, '')}")
    yield re.sub(r"\bgrep (?=[-'\"])", f"grep -{source.choice('lcvw')} ", command, count=1)
    yield re.sub(r"\bls -la?\b", "ls", command)
    yield re.sub(r"\bls(?= |$)", "ls -R", command, count=1)


def other_program(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    first, _, rest = command.partition(" ")
    choices = {"cat": ("wc -l", "rm", "head -3"), "ls": ("rm -rf", "find"), "grep": ("grep -c",), "sed": ("cat",)}
    for other in choices.get(first, ()):
        yield f"{other} {rest}"


def other_text(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    if found := _SED_EDIT.match(command):
        quote, old, new, every, file = found.groups()
        yield (
            f"sed -i {quote}s/{old}/{new}_{every}/{quote} {file}"
            if not every
            else f"sed -i {quote}s/{old}//g{quote} {file}"
        )
        yield f"sed -i {quote}s/{old[: max(2, len(old) // 2)]}/{new}/{every}{quote} {file}"
    if _HERE.search(command):
        lines = command.split("\n")
        inner = [index for index in range(1, len(lines) - 1) if lines[index].strip()]
        if len(inner) > 2:
            cut = source.choice(inner)
            yield "\n".join(line for index, line in enumerate(lines) if index != cut)
            yield re.sub(r"\b(True|False|None|0|1)\b", "2", command, count=1)
            yield re.sub(r"==", "!=", command, count=1)


def less_done(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    if _HERE.search(command):
        return
    for joint in (" && ", " | ", "; "):
        if joint in command and not command.startswith("cd "):
            yield command.rpartition(joint)[0]
    yield f"{command} > out.txt"


def dangerous(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    if files:
        yield f"rm -f {shlex.quote(source.choice(list(files)))}; {command}"


def other_conditions(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    """The same words with other quotes, conditions and variables around them."""
    yield _HERE.sub(
        lambda found: f"<<{found.group(2)}" if found.group(1) else f"<<'{found.group(2)}'", command, count=1
    )
    if _HERE.search(command):
        return
    yield re.sub(r"'([^'\n]*\$[\w{(][^'\n]*)'", r'"\1"', command, count=1)
    yield re.sub(r"'([\w./-]*\*[\w./*-]*)'", r"\1", command, count=1)
    yield command.replace(" && ", " || ", 1)
    yield f"! {command}"
    yield f"LC_ALL=C {command}" if not command.startswith("cd ") else f"A=1; {command}"
    yield f"{command} > /dev/null"
    if found := _SED_EDIT.match(command):
        quote, old, new, every, file = found.groups()
        yield f"sed -i {quote}s/{old}/{new}/{'' if every else 'g'}{quote} {file}"
        yield f"sed -i {quote}1s/{old}/{new}/{every}{quote} {file}"
        yield f"sed -n -i {quote}s/{old}/{new}/{every}{quote} {file}"


def broken_program(command: str, source: random.Random, files: Sequence[str]) -> Iterator[str]:
    """A Python program with one name or call changed."""
    if re.search(r"\bpython3?\b", command) and _HERE.search(command):
        yield re.sub(r"\b(\w+)(?=\.replace\()", r"\1_", command, count=1)
        yield re.sub(r"(?m)^(\w+)(?= = )", r"\1_", command, count=1)
        yield re.sub(r"\.write_text\(|\.write\(", ".strip(", command, count=1)


REWRITES: tuple[Rewrite, ...] = (
    *(
        quoting,
        flag_grouping,
        long_flags,
        directory_prefix,
        path_spelling,
        white_space,
        useless_cat,
        heads,
        interpreter,
    ),
    *(here_documents, edit_tools, joining, finding),
)
CORRUPTIONS: tuple[Rewrite, ...] = (
    *(other_file, other_lines, other_pattern, other_flags, other_program, other_text, less_done, dangerous),
    *(other_conditions, broken_program),
)


def variants(command: str, source: random.Random, files: Sequence[str]) -> list[tuple[str, str]]:
    """(name of the rewrite, changed command), without repetitions and without the command itself."""
    found: dict[str, str] = {}
    for rewrite in (*REWRITES, *CORRUPTIONS):
        for changed in rewrite(command, source, files):
            if changed != command and changed.strip():
                found.setdefault(changed, rewrite.__name__)
    return [(name, changed) for changed, name in found.items()]
