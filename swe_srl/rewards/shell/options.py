"""The words of a simple command as program, options, pattern and operands."""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace

from swe_srl.rewards.shell import programs as known
from swe_srl.rewards.shell.parse import Stage

_VERSIONED = re.compile(r"\A(python|pip)3?(\.\d+)+\Z")
_COUNT = re.compile(r"\A-(\d+)\Z")
_NAME_TESTS = frozenset({"name", "iname", "path", "ipath", "wholename", "regex"})  # of `find`
_ASSIGNMENT = re.compile(r"\A\w+\+?=")
_WRAPPERS_VALUES = {"env": "uC", "sudo": "ughp", "timeout": "sk", "stdbuf": "ioe", "time": "fo", "exec": "a"}

Words = tuple[list[tuple[str, str]], str, list[str]]  # options with their values, pattern, operands


def program_words(stage: Stage) -> tuple[str, ...]:
    """The words from the program on: wrappers dropped, the program by its usual name, its sub-command part of the name.

    >>> program_words(Stage(("sudo", "/usr/bin/python3", "-m", "pytest", "-x")))
    ('pytest', '-x')
    """
    words, _ = _unwrapped(stage.words)
    if not words:
        return ()
    name = words[0].rpartition("/")[2] if words[0].startswith(("/usr/", "/bin/", "/opt/")) else words[0]
    if versioned := _VERSIONED.match(name):
        name = versioned.group(1)
    words = [*known.ALIASES.get(name, (name,)), *words[1:]]
    if words[0] == "python":
        return _python_module(tuple(words))
    return _sub_command(tuple(words)) if words[0] in ("git", "pip") else tuple(words)


def variables(stage: Stage) -> tuple[str, ...]:
    """The variables that a command is given, `NAME=VALUE`, sorted; without those that only change how output looks.

    >>> variables(Stage(("env", "A=1", "-u", "B", "ls"), assignments=("PAGER=cat", "C=2")))
    ('-u B', 'A=1', 'C=2')
    """
    _, wrapped = _unwrapped(stage.words)
    given = (*stage.assignments, *wrapped)
    return tuple(sorted(one for one in given if one.partition("=")[0] not in known.LOOKS))


def _unwrapped(stage_words: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """The words after the wrappers, and the variables that `env` and `sudo` set or take away."""
    words, variables = list(stage_words), []
    while words:
        name = words[0]
        if name == "command" and words[1:2] in (["-v"], ["-V"]):
            words = ["which", *words[2:]]
        elif name in known.WRAPPERS or name == "timeout":
            words = words[1:]
            while words and (_ASSIGNMENT.match(words[0]) or words[0].startswith("-")):
                word = words.pop(0)
                valued = len(word) == 2 and word[1] in _WRAPPERS_VALUES.get(name, "") and words
                if name == "env" and word.startswith(("-i", "-u")):
                    variables.append(f"{word} {words[0]}" if valued else word)
                elif not word.startswith("-"):
                    variables.append(word)
                if valued:
                    words.pop(0)
            if name == "timeout" and words and words[0][:1].isdigit():
                words.pop(0)
        else:
            break
    return words, variables


def own_folder(stage: Stage) -> tuple[Stage, str]:
    """A command of `git -C FOLDER` or `make -C FOLDER` without that, and the folder; "" for the shell's own.

    >>> own_folder(Stage(("git", "-C", "src", "diff")))[0].words, own_folder(Stage(("git", "diff", "-C")))[1]
    (('git', 'diff'), '')
    """
    words, _ = _unwrapped(stage.words)
    if words[:1] not in (["git"], ["make"]):
        return stage, ""
    folder, at = "", 1
    while at + 1 < len(words) and words[at].startswith("-"):
        if words[at] == "-C":
            folder = posixpath.join(folder, words[at + 1])
            del words[at : at + 2]
        else:
            at += 2 if words[at] == "-c" else 1
    return (replace(stage, words=tuple(words)), folder) if folder else (stage, "")


def _python_module(words: tuple[str, ...]) -> tuple[str, ...]:
    for index, word in enumerate(words[1:], start=1):
        if word == "-m" and index + 1 < len(words):
            module = words[index + 1]
            return (module if module in known.MODULES else f"python -m {module}", *words[index + 2 :])
        if not word.startswith("-"):
            break
    return words


def _sub_command(words: tuple[str, ...]) -> tuple[str, ...]:
    rest = list(words[1:])
    skipped: list[str] = []
    while rest and rest[0].startswith("-"):
        skipped.append(rest.pop(0))
        if skipped[-1] in ("-C", "-c") and rest:
            skipped.append(rest.pop(0))
    if not rest:
        return words
    return (f"{words[0]} {rest[0]}", *[word for word in skipped if word != "--no-pager"], *rest[1:])


def read_words(words: tuple[str, ...], info: known.Program) -> Words:
    """Options, pattern and operands, by what is known of the program."""
    if words[:1] == ("find",):
        return _find_words(words[1:])
    name, words = words[0] if words else "", words[1:]
    options: list[tuple[str, str]] = []
    operands: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            operands.extend(rest)
            break
        if name == "python" and word == "-c" and rest:
            return options, rest.pop(0), [*operands, *rest]
        if count := _COUNT.match(word):
            options.append(("n", count.group(1)))
        elif word.startswith("--") and len(word) > 2:
            option, _, value = word[2:].partition("=")
            if not value and option in info.values and rest:
                value = rest.pop(0)
            options.append((info.same.get(option, option), value))
        elif word.startswith("-") and len(word) > 1:
            options.extend(_short(word[1:], info, rest))
        else:
            operands.append(word)
            if name == "python":
                operands.extend(rest)
                break
    pattern = ""
    if info.pattern:
        given = [value for option, value in options if option in info.pattern_options]
        options = [(option, value) for option, value in options if option not in info.pattern_options]
        pattern = "\n".join(given) if given else operands.pop(0) if operands else ""
    return options, pattern, operands


def _short(letters: str, info: known.Program, rest: list[str]) -> list[tuple[str, str]]:
    if not info.clusters:
        name = info.same.get(letters, letters)
        if letters in info.values and rest:
            return [(name, rest.pop(0))]
        if letters[0] in info.values and len(letters) > 1:
            return [(info.same.get(letters[0], letters[0]), letters[1:].removeprefix("="))]
        return [(name, "")]
    options: list[tuple[str, str]] = []
    for index, letter in enumerate(letters):
        name = info.same.get(letter, letter)
        if letter in info.attached:
            return [*options, (name, letters[index + 1 :])]
        if letter in info.values:
            value = letters[index + 1 :] or (rest.pop(0) if rest else "")
            return [*options, (name, value)]
        options.append((name, ""))
    return options


def _find_words(words: tuple[str, ...]) -> Words:
    """`find`'s paths, the names it looks for as the pattern, and its other tests and actions as options with their values."""
    paths: list[str] = []
    rest = list(words)
    while rest and not rest[0].startswith(("-", "(", "!")):
        paths.append(rest.pop(0))
    options: list[tuple[str, str]] = []
    names: list[str] = []
    negated = ""
    while rest:
        word = rest.pop(0)
        if word in ("!", "-not"):
            negated = "!"
        elif word.startswith("-") and word not in ("-o", "-or", "-a", "-and"):
            values = []
            while rest and not rest[0].startswith("-") and rest[0] not in ("!", "(", ")"):
                values.append(rest.pop(0))
            name = negated + word.lstrip("-")
            if name in _NAME_TESTS:
                names.append(" ".join(values))
                values = []
            options.append((name, " ".join(values)))
            negated = ""
        elif word in ("-o", "-or"):
            options.append(("o", ""))
    return options, "\n".join(sorted(names)), paths
