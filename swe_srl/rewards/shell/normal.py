"""Commands in a form that leaves out what does not matter: quoting, flag order, `cd`, useless `cat`, aliases."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from swe_srl.rewards.shell import programs as known
from swe_srl.rewards.shell.edits import Edit, edit_of
from swe_srl.rewards.shell.options import own_folder, program_words, read_words, variables
from swe_srl.rewards.shell.parse import Pipeline, Redirect, Stage, parse, with_redirects
from swe_srl.rewards.shell.quoting import Quoted
from swe_srl.rewards.shell.reached import reached
from swe_srl.rewards.shell.views import with_views

_PATH = re.compile(r"\A(?:\.{1,2}\Z|[\w@.+~-]*/|[\w@+-]+\.\w{1,5}\Z)")
_DESCRIPTOR = re.compile(r"\A[0-9]*-?\Z")


@dataclass(frozen=True, slots=True)
class Normal:
    """One simple command.

    Args:
        program: name without directory, version and alias; a sub-command belongs to it (`git diff`).
        kind: what the program is used for (`programs.KINDS`).
        options: (name, value) in sorted order; the value is "" for a switch.
        pattern: the pattern, script, code or module that is not a path; "" when there is none.
        operands: the other words, paths resolved against the directory.
        directory: where it runs, relative to the known directory ("." there).
        redirects: where its output goes (its input is an operand).
        body: text of its here-document, "" for none.
        edit: what it writes, when it writes a file.
        variables: those that it is given, `NAME=VALUE`, sorted.
        quoted: its texts in which quotes matter.
        weight: how much it counts in its pipeline.
    """

    program: str
    kind: str
    options: tuple[tuple[str, str], ...] = ()
    pattern: str = ""
    operands: tuple[str, ...] = ()
    directory: str = "."
    redirects: tuple[tuple[str, str], ...] = ()
    body: str = ""
    edit: Edit | None = None
    variables: tuple[str, ...] = ()
    quoted: tuple[Quoted, ...] = ()
    weight: float = 1.0

    @property
    def info(self) -> known.Program:
        """What is known of the program."""
        return known.PROGRAMS.get(self.program.split(" ")[0], known.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Unit:
    """One pipeline, its connector to the one before, and whether `!` and `&` stand around it."""

    stages: tuple[Normal, ...]
    connector: str = ""
    negated: bool = False
    background: bool = False

    @property
    def weight(self) -> float:
        """Sum of the stages' weights."""
        return sum(stage.weight for stage in self.stages)


@lru_cache(maxsize=8192)
def normalise(command: str, directory: str) -> tuple[Unit, ...] | None:
    """The units of a command, or None when it cannot be parsed.

    Args:
        command: bash text.
        directory: where the shell is known to start; paths below it become relative.

    >>> (unit,) = normalise("cd /testbed && grep -n -r 'x' ./src/", "/testbed")
    >>> unit.stages[0].operands, unit.stages[0].options
    (('src',), (('n', ''), ('r', '')))
    """
    pipelines = parse(command)
    if pipelines is None:
        return None
    units: list[Unit] = []
    places: dict[tuple[int, ...], str] = {(): "."}  # by subshell: what it changes to is forgotten with it
    before: dict[tuple[int, ...], str] = {}  # where `cd -` goes
    moved = False
    for pipeline in reached(_unwrapped(pipelines)):
        first = pipeline.stages[0]
        shell = pipeline.shells
        place = next(places[shell[:depth]] for depth in range(len(shell), -1, -1) if shell[:depth] in places)
        if moved and pipeline.connector == "||" and first.words[:1] and first.words[0] in known.ENDS:
            continue  # `cd DIR || exit`
        moved = first.words[:1] == ("cd",) and len(pipeline.stages) == 1 and not pipeline.background
        if moved:
            target = _target(first)
            places[shell] = before.get(shell, place) if target == "-" else resolve(target, place, directory)
            before[shell] = place
            if not _does_more(first):
                continue
        connector = pipeline.connector if units or pipeline.connector == "||" else ""
        stages = _stages(pipeline, place, directory)
        units.append(Unit(stages, connector, pipeline.negated, pipeline.background))
    place = places[()]
    return tuple(units) or (Unit((Normal("cd", known.OTHER, operands=(place,), directory=place),)),)


def _target(stage: Stage) -> str:
    """Where a `cd` goes."""
    words = [word for word in stage.words[1:] if word not in ("--", "-P", "-L", "-e")]
    return words[0] if words else "~"


def _does_more(stage: Stage) -> bool:
    """Whether a `cd` also empties a file, or runs other commands."""
    files = (target for operator, target in _redirects(stage.redirects, ".", "/nowhere") if not operator.endswith("&"))
    return any(not file.startswith("/dev/") for file in files) or any(
        "$(" in word or "`" in word for word in stage.words
    )


def _unwrapped(pipelines: Iterable[Pipeline]) -> Iterable[Pipeline]:
    """The pipelines, with `bash -c TEXT` replaced by what the text holds, with its variables and redirections."""
    for number, pipeline in enumerate(pipelines, start=1):
        stage = pipeline.stages[0]
        inner = _script(stage) if len(pipeline.stages) == 1 else None
        if inner is None:
            yield pipeline
            continue
        given = variables(stage)
        for one in inner:
            first = one is inner[0]
            stages = tuple(replace(part, assignments=(*given, *part.assignments)) for part in one.stages)
            yield replace(
                with_redirects(replace(one, stages=stages), stage.redirects),
                connector=pipeline.connector if first else one.connector,
                negated=one.negated != (pipeline.negated and one is inner[-1]),
                background=one.background or (pipeline.background and one is inner[-1]),
                shells=(*pipeline.shells, -number, *one.shells),
                groups=(*pipeline.groups, *(((-number, *inside), joint) for inside, joint in one.groups)),
            )


def _script(stage: Stage) -> list[Pipeline] | None:
    """What the text of a `bash -c TEXT` without input of its own holds; None for other commands."""
    words = program_words(stage)
    if words[:1] != ("bash",) or len(words) != 3 or words[1] not in ("-c", "-lc"):
        return None
    if stage.body is not None or any(one.operator.startswith("<") for one in stage.redirects):
        return None
    inner = parse(words[2])
    return None if inner is None else list(_unwrapped(inner))


def resolve(path: str, place: str, directory: str) -> str:
    """A path as seen from the known directory: relative when below it, absolute elsewhere.

    >>> resolve("../a.py", "src", "/testbed"), resolve("/testbed/a/../b", ".", "/testbed"), resolve("/etc", ".", "/testbed")
    ('a.py', 'b', '/etc')
    """
    if path.startswith(("~", "$")):
        return path
    joined = posixpath.normpath(posixpath.join(directory, place, path))
    if joined == directory:
        return "."
    prefix = directory.rstrip("/") + "/"
    return joined[len(prefix) :] if joined.startswith(prefix) else joined


def _stages(pipeline: Pipeline, place: str, directory: str) -> tuple[Normal, ...]:
    stages = [_normal(stage, place, directory) for stage in pipeline.stages]
    stages = with_views(_without_useless_cat(stages))
    return tuple(
        replace(stage, weight=_weight(stage, first=index == 0, alone=len(stages) == 1))
        for index, stage in enumerate(stages)
    )


def _weight(stage: Normal, first: bool, alone: bool) -> float:
    if stage.edit is None and stage.program in known.IDLE | known.ENDS:
        return 0.25
    if not first and not alone and stage.program in known.TRIMMERS:
        return 0.35
    return 1.0


def _without_useless_cat(stages: list[Normal]) -> list[Normal]:
    """`cat FILE | grep x` is `grep x FILE`; with the lines' numbers (`cat -n`, `nl -ba`) before a cut it is the cut, numbered."""
    if len(stages) < 2:
        return stages
    cat, reader = stages[0], stages[1]
    if cat.program not in ("cat", "nl") or len(cat.operands) != 1 or cat.redirects or cat.body:
        return stages
    if reader.program not in known.READS_STANDARD_INPUT or reader.operands:
        return stages
    if cat.program == "cat" and not cat.options:
        return [replace(reader, operands=cat.operands), *stages[2:]]
    numbered = cat.options == ((("n", ""),) if cat.program == "cat" else (("b", "a"),))
    if not numbered or reader.program not in known.CUTS or reader.edit is not None:
        return stages
    options = tuple(sorted((*reader.options, known.NUMBERED)))
    return [replace(reader, operands=cat.operands, options=options), *stages[2:]]


def _normal(stage: Stage, place: str, directory: str) -> Normal:
    redirects = tuple(_redirects(stage.redirects, place, directory))
    inside, folder = own_folder(stage)
    place = resolve(folder, place, directory) if folder else place
    words = program_words(inside)
    name = words[0] if words else ""
    info = known.PROGRAMS.get(name.split(" ")[0], known.UNKNOWN)
    options, pattern, operands = read_words(words, info)
    operands = [*operands, *(one.target for one in stage.redirects if one.operator == "<")]
    shown = (
        one if one.text in operands else replace(one, globs=0) for one in stage.quoted
    )  # patterns seldom match files
    normal = Normal(
        program=name,
        kind=info.kind,
        options=tuple(sorted({(option, _value(text, place, directory)) for option, text in options})),
        pattern=pattern,
        operands=tuple(_operand(word, info, place, directory) for word in operands),
        directory=place,
        redirects=redirects,
        body=stage.body or "",
        variables=variables(stage),
        quoted=tuple(sorted(shown, key=lambda one: one.text)),
    )
    if not normal.operands and info.default_path and not (name in ("grep", "rg") and pattern == ""):
        normal = replace(normal, operands=(place,))
    if name == "grep" and not normal.operands and any(option == "r" for option, _ in options):
        normal = replace(normal, operands=(place,))
    if name == "python" and not pattern and stage.body and normal.operands[:1] in ((), ("-",)):
        normal = replace(normal, pattern=stage.body.rstrip("\n"), body="", operands=normal.operands[1:])
    edit = edit_of(normal.program, dict(normal.options), normal.pattern, normal.operands, normal.redirects, normal.body)
    return replace(normal, edit=edit, kind=known.EDIT) if edit is not None else normal


def _operand(word: str, info: known.Program, place: str, directory: str) -> str:
    if not info.paths and not _PATH.match(word):
        return word
    base, separator, test = word.partition("::")  # a test's id after its file
    return resolve(base, place, directory) + separator + test


def _value(text: str, place: str, directory: str) -> str:
    return resolve(text, place, directory) if _PATH.match(text) and "*" not in text else text


def _redirects(redirects: Iterable[Redirect], place: str, directory: str) -> Iterable[tuple[str, str]]:
    for redirect in redirects:
        if redirect.operator in (">", ">>", ">|", "&>", "&>>"):
            name = ("2" if redirect.descriptor == "2" else "") + redirect.operator.replace(">|", ">")
            yield name, resolve(redirect.target, place, directory)
        elif redirect.operator == ">&" and not _DESCRIPTOR.match(redirect.target):
            yield "&>", resolve(redirect.target, place, directory)
        elif redirect.operator.endswith("&"):
            yield redirect.descriptor + redirect.operator, redirect.target
