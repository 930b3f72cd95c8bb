"""Shell text with the same effect as an editor's: quoting, here-documents, small Python programs."""

from __future__ import annotations

import ast
import shlex

from swe_srl.python_source import parse_expression

quote = shlex.quote


def heredoc(command: str, body: str, word: str) -> str:
    """`command` with `body` on its standard input. The body gets a final newline; the word is one no line of it equals.

    >>> print(heredoc("cat > a.txt", "one\\ntwo\\n", "EOF"))
    cat > a.txt <<'EOF'
    one
    two
    EOF
    """
    lines = set(body.split("\n"))
    delimiter, number = word, 0
    while delimiter in lines:
        number += 1
        delimiter = f"{word}{number}"
    body = body if body.endswith("\n") or not body else body + "\n"
    return f"{command} <<'{delimiter}'\n{body}{delimiter}"


def write_file(path: str, text: str) -> str:
    """A command that makes the file with exactly this text; its folder must exist.

    >>> write_file("a.txt", "")
    ': > a.txt'
    """
    target = quote(path)
    if not text:
        return f": > {target}"
    if text.endswith("\n"):
        return heredoc(f"cat > {target}", text, "EOF")
    return heredoc(f"head -c -1 > {target}", text, "EOF")


def edit_file(path: str, statements: str) -> str:
    """A command that changes the text of a file; `statements` are Python lines that turn `text` into the new `text`."""
    program = (
        f"from pathlib import Path\n\npath = Path({path!r})\ntext = path.read_text()\n"
        f"{statements}\npath.write_text(text)\n"
    )
    return heredoc("python3 -", program, "PY")


def replace_once(path: str, old: str, new: str) -> str:
    """A command that replaces the only occurrence of `old`, and fails without a change when there is none or several."""
    return edit_file(
        path, f"old = {literal(old)}\nnew = {literal(new)}\nassert text.count(old) == 1\ntext = text.replace(old, new)"
    )


def replace_all(path: str, old: str, new: str) -> str:
    """A command that replaces every occurrence of `old`, and fails without a change when there is none."""
    return edit_file(
        path, f"old = {literal(old)}\nnew = {literal(new)}\nassert old in text\ntext = text.replace(old, new)"
    )


def replace_lines(path: str, start: int, stop: int, new: str) -> str:
    """A command that puts `new` in the place of lines start to stop (from 1, inclusive); "" deletes them."""
    lines = f"{literal(new)}.split('\\n')" if new else "[]"
    return edit_file(path, f"lines = text.split('\\n')\nlines[{start - 1}:{stop}] = {lines}\ntext = '\\n'.join(lines)")


def literal(text: str) -> str:
    """A Python string literal of `text`: readable where it can be, always exact.

    >>> literal("a b")
    "'a b'"
    >>> ast.literal_eval(literal("one\\n\\\\two'''")) == "one\\n\\\\two'''"
    True
    """
    if "\n" not in text:
        return repr(text)
    prefix = "r" if "\\" in text else ""
    for quotes in ("'''", '"""'):
        candidate = f"{prefix}{quotes}{text}{quotes}"
        if _means(candidate, text):
            return candidate
    return repr(text)


def _means(candidate: str, text: str) -> bool:
    try:
        return bool(ast.literal_eval(parse_expression(candidate)) == text)
    except (SyntaxError, ValueError):
        return False
