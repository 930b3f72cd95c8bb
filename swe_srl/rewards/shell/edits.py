"""What a command writes: the file, the text it takes out, the text it puts in, whichever tool does it."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass

from swe_srl.python_source import parse_python
from swe_srl.rewards.shell.python_shape import shape_of

_SUBSTITUTION = re.compile(r"\A(?P<where>[^s]*)s(?P<mark>[^\w\s\\])")
_WRITES = re.compile(r"\.write\(|write_text\(|write_bytes\(|writelines\(")
_FLAGS = re.compile(r"\A[gpIiMme0-9]*\Z")
_EXTENDED = re.compile(r"[+?|(){}]")  # mean something else with -E
_ESCAPE = re.compile(r"\\([nt\\])")
_LOOKS = frozenset({"check", "stat", "numstat", "summary", "dry-run"})  # with which a patch is not applied
_APPENDS = frozenset({"a", "a+", "ab"})
_HUGE = 10**18
_REVERSE = frozenset({"R", "reverse"})
_SUFFIX = re.compile(r"\A[\w./~@+-]+\Z")


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of files.

    Args:
        files: the files changed, sorted.
        old: text taken out, "" when it is not named.
        new: text put in; the script itself when it cannot be told.
        whole: the file is written anew rather than changed.
        place: the lines that the change is limited to, and what else is said of it, as the tool writes them.
        every: whether each occurrence is changed or the first of a line; None where the tool has other ways.
        regex: the text taken out as the regular expression that it was written as, "" for none.
        code: the program that makes the change, without its strings and the names it gives; "" for no program.
        sound: no name in that program is read that nothing sets.
        rest: what else that program says: its other texts, and its numbers above 1.
    """

    files: tuple[str, ...]
    old: str
    new: str
    whole: bool = False
    place: str = ""
    every: bool | None = None
    regex: str = ""
    code: str = ""
    sound: bool = True
    rest: str = ""


def edit_of(
    program: str,
    options: Mapping[str, str],
    pattern: str,
    operands: tuple[str, ...],
    redirects: tuple[tuple[str, str], ...],
    body: str,
) -> Edit | None:
    """The change that a simple command makes to files, or None when it makes none (or is of no known form).

    >>> edit = edit_of("sed", {"i": ""}, "s/a/b/", ("x.py",), (), "")
    >>> edit.files, edit.old, edit.new
    (('x.py',), 'a', 'b')
    """
    written = [(operator, target) for operator, target in redirects if operator in (">", ">>")]
    if program == "sed" and "i" in options:
        return _sed(pattern, operands, options)
    if program == "python" and pattern and _WRITES.search(pattern):
        return _python(pattern)
    if program == "cat" and (options or operands not in ((), ("-",))):
        return None  # shows other files, or the text in another form
    if program in ("cat", "echo", "printf") and len(written) == 1 and (body or program != "cat"):
        operator, target = written[0]
        text = body or _printed(program, options, operands)
        return Edit((target,), "", text, whole=operator == ">")
    if program == "head" and options.get("c") == "-1" and body and len(written) == 1:
        return Edit((written[0][1],), "", body.removesuffix("\n"), whole=True)
    if program == "tee" and operands and body:
        return Edit(tuple(sorted(operands)), "", body, whole="a" not in options)
    if program in ("patch", "git apply") and body and not _LOOKS.intersection(options):
        return _patch(body, reverse=not _REVERSE.isdisjoint(options))
    return None


def _printed(program: str, options: Mapping[str, str], operands: tuple[str, ...]) -> str:
    """What `echo` or `printf` prints; a format with fields as it is."""
    text = " ".join(operands)
    if program == "printf":
        return _escapes(text) if len(operands) == 1 and "%" not in text else text
    return (_escapes(text) if "e" in options else text) + ("" if "n" in options else "\n")


def _escapes(text: str) -> str:
    return _ESCAPE.sub(lambda found: {"n": "\n", "t": "\t"}.get(found.group(1), found.group(1)), text)


def _sed(script: str, files: tuple[str, ...], options: Mapping[str, str]) -> Edit:
    files = tuple(sorted(files))
    how = [name for name in ("n", "s", "z") if name in options] + ["copy"] * bool(options["i"])
    found = _SUBSTITUTION.match(script)
    parts: list[str] = []
    if found is not None:
        mark = found.group("mark")
        parts = re.split(rf"(?<!\\){re.escape(mark)}", script[found.end() :])
    if found is None or len(parts) < 2:
        return Edit(files, "", script, place=" ".join(how))
    regex = parts[0].replace(f"\\{mark}", mark)
    old, new = (_unescaped(part, mark) for part in parts[:2])
    flags = mark.join(parts[2:]).strip()
    every = "g" in flags if _FLAGS.match(flags) else None
    place = " ".join(filter(None, (found.group("where"), flags if every is None else flags.replace("g", ""), *how)))
    if "E" in options and _EXTENDED.search(regex):
        regex = f"(extended) {regex}"
    return Edit(files, old, new, place=place, every=every, regex=regex)


def _unescaped(text: str, mark: str) -> str:
    text = text.replace(f"\\{mark}", mark).replace("\\n", "\n")
    return re.sub(r"\\([.*\[\]^$/()])", r"\1", text)


def _python(code: str) -> Edit:
    """File, old and new text out of the string literals of a small program, in the order they are written."""
    try:
        tree = parse_python(code)
    except SyntaxError:
        return Edit((), "", code)
    texts = _literals(tree)
    shape, sound = shape_of(tree)
    files = [text for text in texts if _SUFFIX.match(text) and ("/" in text or "." in text) and len(text) < 200]
    others = [
        text for text in texts if text not in files[:1] and text not in ("r", "w", "a", "r+", "utf-8", "utf8", "\n")
    ]
    longest = sorted(others, key=len, reverse=True)[:2]
    named = [text for text in others if text in longest][:2]
    if not files or not named:
        return Edit(tuple(files[:1]), "", code, code=shape, sound=sound)
    rest = "\n".join((*(text for text in others if text not in named), *_numbers(tree)))
    if len(named) == 1:
        whole = "replace(" not in code and not _APPENDS.intersection(texts)
        return Edit((files[0],), "", named[0], whole=whole, code=shape, sound=sound, rest=rest)
    return Edit((files[0],), named[0], named[1], code=shape, sound=sound, rest=rest)


def _numbers(tree: ast.Module) -> list[str]:
    """Its numbers but 0 and 1, which count and limit more often than they say where; "huge" for those that are long to write."""
    values = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return sorted(str(value) if value < _HUGE else "huge" for value in values if type(value) is int and value > 1)


def _literals(tree: ast.Module) -> list[str]:
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [str(node.value) for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset))]


def _patch(body: str, reverse: bool) -> Edit:
    """The lines that a patch takes out and puts in; where it takes none out, the lines around them say where."""
    files: list[str] = []
    old: list[str] = []
    new: list[str] = []
    around: list[str] = []
    for line in body.split("\n"):
        if line.startswith("+++ "):
            files.append(line[4:].split("\t")[0].removeprefix("b/"))
        elif line.startswith("-") and not line.startswith("---"):
            old.append(line[1:])
        elif line.startswith("+"):
            new.append(line[1:])
        elif line.startswith(" "):
            around.append(line)
    place = "" if old and new else "\n".join(around)
    if reverse:
        old, new, place = new, old, " ".join(filter(None, (place, "reverse")))
    return Edit(tuple(sorted(files)), "\n".join(old), "\n".join(new), place=place)
