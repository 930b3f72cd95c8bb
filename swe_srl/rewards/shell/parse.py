"""A shell command as pipelines of simple commands, by tree-sitter's bash grammar."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from swe_srl.rewards.shell.characters import stand_ins, translated
from swe_srl.rewards.shell.here_documents import HereDocument, take_here_documents
from swe_srl.rewards.shell.quoting import Quoted, quoted

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

LONGEST = 20_000  # characters of a command that is parsed
MOST_NODES = 5_000  # of its tree, which tells how long it takes
DEEPEST = 50  # groups and subshells in one another

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
    quoted: Quoted | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """One simple command: its words without their quotes. `body` is a here-document's text, or a compound's own text.

    `quoted` holds those words, and that text, in which quotes matter.
    """

    words: tuple[str, ...]
    assignments: tuple[str, ...] = ()
    redirects: tuple[Redirect, ...] = ()
    body: str | None = None
    quoted: tuple[Quoted, ...] = ()


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stages joined by `|`.

    Args:
        stages: in order.
        connector: `&&`, `||` or `;` between the pipeline before and this one; "" for the first.
        negated: with `!` before it.
        background: with `&` after it.
        shells: the subshells that it is in, outermost first, each by a number of its own.
        groups: the right sides of `&&` and `||` that it is in, outermost first: what tells it from others, and the connector.
    """

    stages: tuple[Stage, ...]
    connector: str = ""
    negated: bool = False
    background: bool = False
    shells: tuple[int, ...] = ()
    groups: tuple[tuple[tuple[int, ...], str], ...] = ()


class _Unparsable(Exception):
    """The text is not a whole bash command, or is beyond what is compared by its parts."""


@lru_cache(maxsize=1)
def _parser() -> Parser:
    import tree_sitter
    import tree_sitter_bash

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))


def parse(command: str) -> tuple[Pipeline, ...] | None:
    """The pipelines of a command in order; None when it is not valid bash, too long or nested too deeply.

    >>> [stage.words for stage in parse("cd src && grep -rn 'a b' . | head")[1].stages]
    [('grep', '-rn', 'a b', '.'), ('head',)]
    >>> parse("if then") is None
    True
    """
    if len(command) > LONGEST or "\0" in command:
        return None
    text, documents = take_here_documents(command)
    back: dict[int, str] = {}
    if not text.isascii():
        letters = stand_ins(text)
        if letters is None:
            return None
        text, back = text.translate(letters), {ord(new): chr(old) for old, new in letters.items()}
    tree = _parser().parse(text.encode("utf-8", errors="replace"))
    if tree.root_node.has_error or tree.root_node.descendant_count > MOST_NODES:
        return None
    try:
        pipelines = _statements(tree.root_node)
    except (_Unparsable, RecursionError):
        return None
    pipelines = translated(pipelines, back) if back else pipelines
    return (
        tuple(
            replace(pipeline, stages=tuple(_with_body(stage, documents) for stage in pipeline.stages))
            for pipeline in pipelines
        )
        or None
    )


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", errors="replace")


def _statements(node: Node) -> list[Pipeline]:
    """The pipelines among a node's children."""
    found: list[Pipeline] = []
    for child in node.children:
        if child.type == "&" and found:
            found[-1] = replace(found[-1], background=True)
        if not child.is_named or child.type == "comment":
            continue
        for pipeline in _statement(child):
            found.append(replace(pipeline, connector=pipeline.connector or (";" if found else "")))
    return found


def _statement(node: Node) -> list[Pipeline]:
    kind = node.type
    if kind == "list":
        left, right = node.named_children[0], node.named_children[-1]
        operator = next((child.type for child in node.children if child.type in ("&&", "||")), "&&")
        return [*_statement(left), *_joined(_statement(right), operator, right.start_byte)]
    if kind == "pipeline":
        return [_piped(node)]
    if kind == "redirected_statement":
        return _redirected(node)
    if kind == "subshell":
        inside = _statements(node)
        _check_depth(inside)
        return [replace(one, shells=(node.start_byte, *one.shells)) for one in inside]
    if kind == "compound_statement":
        return _statements(node)
    if kind == "negated_command":
        inner = [pipeline for child in node.named_children for pipeline in _statement(child)]
        return [*inner[:-1], replace(inner[-1], negated=not inner[-1].negated)] if inner else []
    return [Pipeline((_stage(node),))]


def _joined(pipelines: list[Pipeline], operator: str, number: int) -> list[Pipeline]:
    _check_depth(pipelines)
    grouped = [replace(one, groups=(((number,), operator), *one.groups)) for one in pipelines]
    return [replace(grouped[0], connector=operator), *grouped[1:]] if grouped else []


def _check_depth(pipelines: list[Pipeline]) -> None:
    if any(len(one.groups) + len(one.shells) >= DEEPEST for one in pipelines):
        raise _Unparsable


def _piped(node: Node) -> Pipeline:
    stages: list[Stage] = []
    negated = False
    for child in node.children:
        if child.type == "|&":
            stages[-1] = replace(stages[-1], redirects=(*stages[-1].redirects, Redirect(">&", "1", "2")))
        if not child.is_named or child.type == "comment":
            continue
        inner = _statement(child)
        if len(inner) != 1:
            stages.append(Stage(("{",), body=_text(child)))  # a group whose output is piped on
        else:
            stages.extend(inner[0].stages)
            negated = negated or inner[0].negated
    return Pipeline(tuple(stages), negated=negated)


def _redirected(node: Node) -> list[Pipeline]:
    """A statement with redirections: they belong to its last command, those of a group to the last of each pipeline."""
    body = node.child_by_field_name("body")
    pipelines = (_statement(body) if body is not None else []) or [Pipeline((Stage(()),))]
    redirects = []
    for child in node.named_children:
        if child.type in ("file_redirect", "herestring_redirect"):
            redirects.append(_redirect(child))
        elif child != body:
            raise _Unparsable
    group = body is not None and body.type in ("subshell", "compound_statement")
    return [
        with_redirects(one, redirects) if group or index == len(pipelines) - 1 else one
        for index, one in enumerate(pipelines)
    ]


def with_redirects(pipeline: Pipeline, redirects: Iterable[Redirect]) -> Pipeline:
    """The pipeline with more redirections of its last stage."""
    last = pipeline.stages[-1]
    return replace(pipeline, stages=(*pipeline.stages[:-1], replace(last, redirects=(*last.redirects, *redirects))))


def _redirect(node: Node) -> Redirect:
    operator = next((child.type for child in node.children if not child.is_named), ">")
    descriptor = node.child_by_field_name("descriptor")
    targets = [child for child in node.named_children if child.type in _WORDS]
    target = _word(targets[-1]) if targets else ""
    special = quoted(targets[-1], target) if targets else None
    return Redirect(operator, target, _text(descriptor) if descriptor is not None else "", special)


def _stage(node: Node) -> Stage:
    kind = node.type
    if kind in _COMPOUNDS:
        return Stage((kind,), body=_text(node))
    if kind in ("variable_assignment", "variable_assignments"):
        nodes = [node] if kind == "variable_assignment" else node.named_children
        return Stage((), assignments=tuple(map(_assignment, nodes)))
    if kind in ("declaration_command", "unset_command"):
        return Stage(tuple(_text(node).split()))
    if kind != "command":
        raise _Unparsable
    words: list[str] = []
    assignments: list[str] = []
    redirects: list[Redirect] = []
    specials: list[Quoted | None] = []
    for child in node.named_children:
        if child.type == "command_name":
            words.append(_word(child.named_children[0]) if child.named_children else _text(child))
        elif child.type == "variable_assignment":
            assignments.append(_assignment(child))
        elif child.type in ("file_redirect", "herestring_redirect"):
            redirects.append(_redirect(child))
        else:
            words.append(_word(child))
            specials.append(quoted(child, words[-1]))
    return Stage(tuple(words), tuple(assignments), tuple(redirects), quoted=tuple(filter(None, specials)))


def _assignment(node: Node) -> str:
    """`NAME=VALUE`, the value without its quotes."""
    text, value = _text(node), node.child_by_field_name("value")
    if value is None or value.type not in _WORDS:
        return text
    name = (node.text or b"")[: value.start_byte - node.start_byte].decode("utf-8", errors="replace")
    return name + _word(value)


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


def _with_body(stage: Stage, documents: Mapping[str, HereDocument]) -> Stage:
    """The stage with what it reads as its body instead of a redirection."""
    redirects = []
    body, special = stage.body, None
    for redirect in stage.redirects:
        if redirect.target in documents:
            body, special = documents[redirect.target].text, documents[redirect.target].quoted
        elif redirect.operator == "<<<":
            body, special = redirect.target + "\n", redirect.quoted
            special = replace(special, text=body) if special is not None else None
        else:
            redirects.append(redirect)
    specials = stage.quoted if special is None else (*stage.quoted, special)
    return replace(stage, redirects=tuple(redirects), body=body, quoted=specials)
