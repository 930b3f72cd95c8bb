"""What a person sees: lines and tables on standard output, progress on standard error."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from swe_srl.cli.bars import PlainProgress, RichProgress
from swe_srl.plain import plain
from swe_srl.progress import Watch

PIPE_WIDTH = 200
CUT_TEXT = 4  # characters of a column of text, at least, where numbers have room
SOME_TEXT = 40  # the same where they have none, so that lines are longer than the terminal
REASONS = 10  # told one by one


class Console:
    """The one place that prints.

    Args:
        typed: the command as typed, for the hint after an interrupt.
    """

    def __init__(self, typed: str = "swe-srl") -> None:
        self.typed = typed
        self.resume_hint = ""
        self._progress: RichProgress | PlainProgress | None = None

    def say(self, text: str = "") -> None:
        """One text on standard output: as it is, but on a terminal nothing in it does something to that."""
        self.pause()
        print(plain(text) if sys.stdout.isatty() else text)

    def tell_unavailable(self, reasons: Mapping[str, str]) -> None:
        """Why tasks (by instance) cannot be run here: the first ones, and how many there are."""
        for reason in list(reasons.values())[:REASONS]:
            self.say(f"cannot be run here: {reason}")
        if len(reasons) > REASONS:
            self.say(f"and {len(reasons) - REASONS} more: {len(reasons)} tasks in all cannot be run here")

    def json(self, value: Any) -> None:
        """A value as JSON on standard output."""
        self.say(json.dumps(value, indent=2))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
        """A table on standard output. Columns whose name begins with `>` are right-aligned.

        On a narrow terminal text is cut. The first column, which names the row, and right-aligned ones, which are numbers, stay
        whole: where they have no room, lines are longer than the terminal, which breaks them.
        """
        import rich.box
        from rich.console import Console as RichConsole
        from rich.table import Table

        self.pause()
        table = Table(title=title or None, title_justify="left", box=rich.box.SIMPLE_HEAD, title_style="bold")
        terminal = RichConsole(file=sys.stdout, highlight=False)
        width = _table_width(columns, rows, terminal.width) if sys.stdout.isatty() else PIPE_WIDTH
        for place, column in enumerate(columns):
            right = column.startswith(">")
            justify: Literal["left", "right"] = "right" if right else "left"
            header = column.removeprefix(">").replace(" ", "\n" if right and width < PIPE_WIDTH else " ")
            table.add_column(header, justify=justify, no_wrap=right or place == 0)
        for row in rows:
            table.add_row(*(_cell(value) for value in row))
        if sys.stdout.isatty():
            terminal.width = width
            terminal.print(table, crop=False)
            return
        text = io.StringIO()
        RichConsole(file=text, width=PIPE_WIDTH, highlight=False).print(table)
        print("\n".join(line.rstrip() for line in text.getvalue().splitlines()))

    def markdown(self, text: str) -> None:
        """Markdown on standard output: formatted on a terminal, as it is elsewhere."""
        if not sys.stdout.isatty():
            self.say(text.rstrip("\n"))
            return
        from rich.console import Console as RichConsole
        from rich.markdown import Markdown

        self.pause()
        RichConsole(file=sys.stdout, highlight=False).print(Markdown(plain(text)))

    def progress(self) -> RichProgress | PlainProgress:
        """Where long work reports: bars on a terminal, plain lines elsewhere. Closed by `close`."""
        if self._progress is None:
            draws = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
            self._progress = RichProgress() if draws else PlainProgress(sys.stderr)
        return self._progress

    def watch(self) -> Watch | None:
        """Where episodes tell what they are at: a table above the bars on a terminal, nowhere elsewhere."""
        progress = self.progress()
        return progress if isinstance(progress, RichProgress) else None

    def resumable(self, folder: object) -> None:
        """Remember how to go on after an interrupt: the same command, which finds its run in `folder`."""
        self.resume_hint = f"What is finished is kept in {folder}; go on with: {self.typed}"

    def sweep(self) -> None:
        """Remove the sandboxes that killed runs left behind, and say how many."""
        from swe_srl.sandboxes import sweep

        count = sweep()
        if count:
            self.progress().note(f"removed {count} sandboxes that killed runs left behind")

    def pause(self) -> None:
        """End the bars (a later report starts them anew), so that other text does not run into them."""
        if self._progress is not None:
            self._progress.stop()

    def close(self) -> None:
        """End the bars. Idempotent."""
        self.pause()
        self._progress = None


def _table_width(columns: Sequence[str], rows: Sequence[Sequence[object]], terminal: int) -> int:
    """The terminal's, or, where its first column and its numbers have no room in that, what they and some of its text need."""
    whole, text = 1, []
    for place, column in enumerate(columns):
        cells = [len("" if row[place] is None else str(row[place])) for row in rows]
        needed = 3 + max([*cells, *(len(word) for word in column.removeprefix(">").split())], default=0)
        if place == 0 or column.startswith(">"):
            whole += needed
        else:
            text.append(needed)
    if whole + sum(min(3 + CUT_TEXT, one) for one in text) <= terminal:
        return terminal
    return max(terminal, whole + sum(min(3 + SOME_TEXT, one) for one in text))


def _cell(value: object) -> Any:
    from rich.text import Text

    return Text("" if value is None else plain(str(value)))
