"""`swe-srl explain`: the samples of one step, what they earned, and what the update did to them."""

from __future__ import annotations

import shutil

from swe_srl.cli.console import PIPE_WIDTH, Console
from swe_srl.training.explain import Explained, ExplainSettings, Explanation

NUMBERS = 66  # columns that the table needs beside the commands
LEAST = 24


def run(settings: ExplainSettings, console: Console) -> None:
    """Explain a step as a table, or as JSON."""
    from swe_srl.training.explain import explain

    found = explain(settings)
    if settings.json:
        console.json(found.as_dict())
        return
    _head(found, console)
    _table(found, console)
    _moved(found, console)
    if settings.full:
        for number, one in enumerate(found.completions, start=1):
            console.say(f"\n── {number}: reward {one.reward:.3f}\n{one.text}")


def _head(found: Explanation, console: Console) -> None:
    where = f"stage {found.stage}" + (f", update {found.update}" if found.update is not None else "")
    how = "as the trainer sampled it" if found.sampled == "recorded" else "sampled again for this"
    console.say(f"step     {found.step_id}  ({where}; {how})")
    console.say("target   " + found.target.replace("\n", "\n         "))
    console.say(f"rewards  mean {found.mean:.3f}, spread {found.spread:.3f}")
    console.say(f"models   before: {found.before}; after: {found.after}")


def _table(found: Explanation, console: Console) -> None:
    names = sorted({name for one in found.completions for name in one.parts})
    columns = [">#", ">reward", *(f">{name}" for name in names), ">advantage", ">log p before", ">after", ">Δ/token"]
    width = max(LEAST, shutil.get_terminal_size((PIPE_WIDTH, 24)).columns - NUMBERS - 11 * len(names))
    rows = [
        [
            number,
            f"{one.reward:.3f}",
            *(_number(one.parts.get(name)) for name in names),
            f"{one.advantage:+.2f}",
            _number(one.before, 2),
            _number(one.after, 2),
            f"{one.change:+.4f}" if one.change is not None else "",
            _said(one, width),
        ]
        for number, one in enumerate(found.completions, start=1)
    ]
    console.table([*columns, "command"], rows)


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _said(one: Explained, width: int) -> str:
    text = f"✗ {one.malformed}" if one.malformed else one.command
    line = text.replace("\n", "⏎")
    return line if len(line) <= width else line[: width - 1] + "…"


def _moved(found: Explanation, console: Console) -> None:
    better, worse = found.moved(True), found.moved(False)
    if better is None and worse is None:
        missing = all(one.change is None for one in found.completions)
        reason = (
            "no log-probabilities were recorded (--resample computes them)" if missing else "the rewards are all equal"
        )
        console.say(f"What the update did to them is not known: {reason}.")
        return
    said = [
        f"{what} became {factor:.3f} times as likely a token"
        for what, factor in (("those better than the mean", better), ("those worse than it", worse))
        if factor is not None
    ]
    console.say(f"Of these completions, {', '.join(said)}.")
