"""A shell command as pipelines of simple commands, by tree-sitter's bash grammar."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

LONGEST = 20_000  # characters of a command that is parsed

_HERE = re.compile(r"(?<!<)<<(?!<)(-?)[ \t]*(['\"]?)([A-Za-z_]\w*)\2")
_HERE_FILE = "/dev/here-document"
_ESCAPED = re.compile(r'\\([$`"\\\n])')
_BACKSLASH = re.compile(r"\\(.)", re.DOTALL)
_WORDS = frozenset(
    {"word", "number", "raw_string", "string", "concatenation", "simple_expansion", "expansion", "command_substitution"}
    | {"ansi_c_string", "process_substitution", "arithmetic_expansion", "translated_string", "extglob_pattern", "regex"}
    | {"brace_expression"}
)
_COMPOUNDS = frozenset(
    {"for_statement", "c_style_for_statement", "while_statement", "if_statement", "case_statement"}
    | {"function_definition", "test_command"}
)


@dataclass(frozen=True, slots=True)
class Redirect:
    """`descriptor operator target`; the descriptor is "" where the command names none."""

    operator: str
    target: str
    descriptor: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """One simple command: its words without their quotes. `body` is a here-document's text, or a compound's own text."""

    words: tuple[str, ...]
    assignments: tuple[str, ...] = ()
    redirects: tuple[Redirect, ...] = ()
    body: str | None = None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stages joined by `|`, and the connector (`&&`, `||`, `;`, `&`) to the pipeline before; "" for the first."""

    stages: tuple[Stage, ...]
    connector: str = ""


class _Unparsable(Exception):
    """The text is not a whole bash command, or is beyond what is compared by its parts."""


@lru_cache(maxsize=1)
def _parser() -> Parser:
    import tree_sitter
    import tree_sitter_bash

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))


def parse(command: str) -> tuple[Pipeline, ...] | None:
    """The pipelines of a command in order; None when it is not valid bash or too long.

    >>> [stage.words for stage in parse("cd src && grep -rn 'a b' . | head")[1].stages]
    [('grep', '-rn', 'a b', '.'), ('head',)]
    >>> parse("if then") is None
    True
    """
    if len(command) > LONGEST:
        return None
    text, bodies = _take_here_documents(command)
    back: dict[int, str] = {}
    if not text.isascii():
        stand_ins = _stand_ins(text)
        if stand_ins is None:
            return None
        text, back = text.translate(stand_ins), {ord(new): chr(old) for old, new in stand_ins.items()}
    tree = _parser().parse(text.encode("utf-8", errors="replace"))
    if tree.root_node.has_error:
        return None
    try:
        pipelines = list(_statements(tree.root_node))
    except (_Unparsable, RecursionError):
        return None
    pipelines = _translated(pipelines, back) if back else pipelines
    return (
        tuple(
            replace(pipeline, stages=tuple(_with_body(stage, bodies) for stage in pipeline.stages))
            for pipeline in pipelines
        )
        or None
    )


def _stand_ins(text: str) -> dict[int, str] | None:
    """Letters below U+0100, not in the text, for its characters above; None when there are too many of those.

    The grammar's scanner looks characters up in a table of that size and may end the process on others.
    """
    high = sorted({ord(char) for char in text if ord(char) > 0xFF})
    free = [chr(code) for code in range(0xC0, 0x100) if chr(code) not in text]
    return dict(zip(high, free, strict=False)) if len(high) <= len(free) else None


def _translated(value: Any, table: dict[int, str]) -> Any:
    """The same records with every string in them translated."""
    if isinstance(value, str):
        return value.translate(table)
    if isinstance(value, list | tuple):
        return type(value)(_translated(one, table) for one in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: _translated(getattr(value, one.name), table) for one in fields(value)})
    return value


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", errors="replace")


def _statements(node: Node, connector: str = "") -> Iterator[Pipeline]:
    """The pipelines among a node's children; the first takes `connector`."""
    for child in node.children:
        if child.type == "&":
            connector = "&"
        if not child.is_named or child.type == "comment":
            continue
        for pipeline in _statement(child):
            yield replace(pipeline, connector=pipeline.connector or connector)
            connector = ";"


def _statement(node: Node) -> list[Pipeline]:
    kind = node.type
    if kind == "list":
        left, right = node.named_children[0], node.named_children[-1]
        operator = next((child.type for child in node.children if child.type in ("&&", "||")), "&&")
        return [*_statement(left), *_joined(_statement(right), operator)]
    if kind == "pipeline":
        return [_piped(node)]
    if kind == "redirected_statement":
        return _redirected(node)
    if kind in ("subshell", "compound_statement"):
        return list(_statements(node))
    if kind == "negated_command":
        return [pipeline for child in node.named_children for pipeline in _statement(child)]
    return [Pipeline((_stage(node),))]


def _joined(pipelines: list[Pipeline], operator: str) -> list[Pipeline]:
    return [replace(pipelines[0], connector=operator), *pipelines[1:]] if pipelines else []


def _piped(node: Node) -> Pipeline:
    stages: list[Stage] = []
    for child in node.named_children:
        if child.type == "comment":
            continue
        inner = _statement(child)
        if len(inner) != 1:
            stages.append(Stage(("{",), body=_text(child)))  # a group whose output is piped on
        else:
            stages.extend(inner[0].stages)
    return Pipeline(tuple(stages))


def _redirected(node: Node) -> list[Pipeline]:
    """A statement with redirections: they belong to its last command."""
    body = node.child_by_field_name("body")
    pipelines = (_statement(body) if body is not None else []) or [Pipeline((Stage(()),))]
    redirects = []
    for child in node.named_children:
        if child.type in ("file_redirect", "herestring_redirect"):
            redirects.append(_redirect(child))
        elif child != body:
            raise _Unparsable
    last = pipelines[-1]
    stage = replace(last.stages[-1], redirects=(*last.stages[-1].redirects, *redirects))
    return [*pipelines[:-1], replace(last, stages=(*last.stages[:-1], stage))]


def _redirect(node: Node) -> Redirect:
    operator = next((child.type for child in node.children if not child.is_named), ">")
    descriptor = node.child_by_field_name("descriptor")
    targets = [child for child in node.named_children if child.type in _WORDS]
    target = _word(targets[-1]) if targets else ""
    return Redirect(operator, target, _text(descriptor) if descriptor is not None else "")


def _stage(node: Node) -> Stage:
    kind = node.type
    if kind in _COMPOUNDS:
        return Stage((kind,), body=_text(node))
    if kind in ("variable_assignment", "variable_assignments"):
        return Stage((), assignments=(_text(node),))
    if kind in ("declaration_command", "unset_command"):
        return Stage(tuple(_text(node).split()))
    if kind != "command":
        raise _Unparsable
    words: list[str] = []
    assignments: list[str] = []
    redirects: list[Redirect] = []
    for child in node.named_children:
        if child.type == "command_name":
            words.append(_word(child.named_children[0]) if child.named_children else _text(child))
        elif child.type == "variable_assignment":
            assignments.append(_text(child))
        elif child.type in ("file_redirect", "herestring_redirect"):
            redirects.append(_redirect(child))
        else:
            words.append(_word(child))
    return Stage(tuple(words), tuple(assignments), tuple(redirects))


def _word(node: Node) -> str:
    """A word without its quotes; expansions keep their text."""
    kind, text = node.type, _text(node)
    if kind == "raw_string":
        return text[1:-1]
    if kind == "string":
        return _ESCAPED.sub(lambda found: "" if found.group(1) == "\n" else found.group(1), text[1:-1])
    if kind == "concatenation":
        return "".join(_word(child) for child in node.named_children) if node.named_children else text
    if kind == "word":
        return _BACKSLASH.sub(r"\1", text)
    return text


def _take_here_documents(command: str) -> tuple[str, dict[str, str]]:
    """The command with its here-documents taken out, each replaced by a redirection from a made-up file, and their bodies.

    The grammar's own handling of them fails on common forms (`<<EOF 2>&1 | head`, expansions in the body). The bodies are
    keyed by the made-up files, whose names occur nowhere in the command.
    """
    made_up = _HERE_FILE
    while made_up in command:
        made_up += "_"
    lines = command.split("\n")
    kept: list[str] = []
    bodies: dict[str, str] = {}
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        for found in list(_HERE.finditer(line)):
            end = _end_of_body(lines, at, found.group(3), bool(found.group(1)))
            if end is None:
                continue
            file = f"{made_up}/{len(bodies)}"
            line = line.replace(found.group(0), f"< {file}", 1)
            bodies[file] = "".join(f"{inner}\n" for inner in lines[at:end])
            at = end + 1
        kept.append(line)
    return "\n".join(kept), bodies


def _end_of_body(lines: list[str], start: int, word: str, tabs: bool) -> int | None:
    for index in range(start, len(lines)):
        if (lines[index].lstrip("\t") if tabs else lines[index]) == word:
            return index
    return None


def _with_body(stage: Stage, bodies: Mapping[str, str]) -> Stage:
    redirects = []
    body = stage.body
    for redirect in stage.redirects:
        if redirect.target in bodies:
            body = bodies[redirect.target]
        elif redirect.operator == "<<<":
            body = redirect.target + "\n"
        else:
            redirects.append(redirect)
    return replace(stage, redirects=tuple(redirects), body=body)
