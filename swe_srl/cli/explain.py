"""`swe-srl explain`: the samples of one step, what they earned, and what the update did to them."""

from __future__ import annotations

import shutil

from swe_srl.cli.console import PIPE_WIDTH, Console
from swe_srl.training.explain import ExplainSettings
from swe_srl.training.explained import (
    AnswerExplanation,
    EpisodesExplanation,
    Explained,
    ExplainedTurn,
    Explanation,
    Sample,
)

NUMBERS = 66  # columns that the table needs beside the commands
LEAST = 24
CONTEXT_LINES = 12  # of the context's end, unless --full
PIECES = 12  # tokens of an answer whose loss changed the most, unless --full


def run(settings: ExplainSettings, console: Console) -> None:
    """Explain a step as a table, or as JSON."""
    from swe_srl.training.explain import explain

    found = explain(settings)
    if settings.json:
        console.json(found.as_dict())
    elif isinstance(found, EpisodesExplanation):
        _episodes(found, settings.full, console)
    elif isinstance(found, AnswerExplanation):
        _answer(found, settings.full, console)
    else:
        _samples(found, settings.full, console)


def _samples(found: Explanation, full: bool, console: Console) -> None:
    _head(found, console)
    console.say(f"rewards  mean {found.mean:.3f}, spread {found.spread:.3f}")
    console.say(f"models   before: {found.before}; after: {found.after}")
    _table(found, console)
    unknown = "no log-probabilities were recorded (--resample computes them)"
    _moved(found, console, all(one.change is None for one in found.completions), unknown)
    for number, one in enumerate(found.completions if full else (), start=1):
        console.say(f"\n── {number}: reward {one.reward:.3f}\n{one.text}")


def _head(found: Explanation | AnswerExplanation, console: Console) -> None:
    where = f"stage {found.stage}" + (f", update {found.update}" if found.update is not None else "")
    how = "as the trainer sampled it" if found.sampled == "recorded" else "sampled again for this"
    console.say(f"step     {found.step_id}  ({where}; {how})")
    console.say("target   " + _indented(found.target))


def _indented(text: str) -> str:
    return text.replace("\n", "\n         ")


def _table(found: Explanation, console: Console) -> None:
    names = sorted({name for one in found.completions for name in one.parts})
    columns = [">#", ">reward", *(f">{name}" for name in names), ">advantage", ">log p before", ">after", ">Δ/token"]
    width = _width(NUMBERS + 11 * len(names))
    rows = [
        [
            number,
            f"{one.reward:.3f}",
            *(_number(one.parts.get(name)) for name in names),
            f"{one.advantage:+.2f}",
            _number(one.before, 2),
            _number(one.after, 2),
            _change(one.change),
            _said(one, width),
        ]
        for number, one in enumerate(found.completions, start=1)
    ]
    console.table([*columns, "command"], rows)


def _width(taken: int) -> int:
    return max(LEAST, shutil.get_terminal_size((PIPE_WIDTH, 24)).columns - taken)


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _change(value: float | None) -> str:
    return "" if value is None else f"{value:+.4f}"


def _said(one: Explained | ExplainedTurn, width: int) -> str:
    text = f"✗ {one.malformed}" if one.malformed else one.command
    line = text.replace("\n", "⏎")
    return line if len(line) <= width else line[: width - 1] + "…"


def _moved(found: Explanation | EpisodesExplanation, console: Console, missing: bool, unknown: str) -> None:
    better, worse = found.moved(True), found.moved(False)
    if better is None and worse is None:
        reason = unknown if missing else "the rewards are all equal"
        console.say(f"What the update did to them is not known: {reason}.")
        return
    said = [
        f"{what} became {factor:.3f} times as likely a token"
        for what, factor in (("those better than the mean", better), ("those worse than it", worse))
        if factor is not None
    ]
    kind = "episodes" if isinstance(found, EpisodesExplanation) else "completions"
    console.say(f"Of these {kind}, {', '.join(said)}.")


def _answer(found: AnswerExplanation, full: bool, console: Console) -> None:
    _head(found, console)
    lines = found.context.splitlines()
    shown = lines if full else lines[-CONTEXT_LINES:]
    console.say("context  " + ("" if len(shown) == len(lines) else "…\n         ") + _indented("\n".join(shown)))
    console.say(f"models   before: {found.before}; after: {found.after}")
    console.say(
        f"loss     {found.loss_before:.4f} a token before, {found.loss_after:.4f} after, over {len(found.pieces)} tokens"
    )
    numbered = list(enumerate(found.pieces, start=1))
    if not full and len(numbered) > PIECES:
        largest = sorted(numbered, key=lambda item: -abs(item[1].after - item[1].before))[:PIECES]
        numbered = sorted(largest, key=lambda item: item[0])
        console.say(f"The {PIECES} tokens whose loss changed the most (--full: all of them):")
    rows = [
        [place, repr(one.text), f"{-one.before:.4f}", f"{-one.after:.4f}", f"{one.before - one.after:+.4f}"]
        for place, one in numbered
    ]
    console.table([">#", "token", ">loss before", ">after", ">Δ"], rows)
    _written("what the model then writes here", found.own, full, console)
    if found.held_out is not None:
        _written(f"and at the held-out step {found.held_out.step_id}", found.held_out, full, console)


def _written(where: str, sample: Sample, full: bool, console: Console) -> None:
    console.say(f"{where}: similarity {sample.similarity:.3f}")
    if full:
        console.say(sample.text)
        return
    console.say(f"  target   {_short(sample.target)}")
    console.say(f"  command  {'✗ ' + sample.malformed if sample.malformed else _short(sample.command)}")


def _short(text: str) -> str:
    line, width = text.replace("\n", "⏎"), _width(11)
    return line if len(line) <= width else line[: width - 1] + "…"


def _episodes(found: EpisodesExplanation, full: bool, console: Console) -> None:
    console.say(f"task     {found.task_id}  (stage {found.stage}, update {found.update}; as the trainer sampled it)")
    columns = [">sample", ">reward", ">advantage", "verdict", "official", "stop", ">turns", ">log p before", ">after"]
    rows = [
        [
            one.sample,
            f"{one.reward:.3f}",
            "" if one.advantage is None else f"{one.advantage:+.2f}",
            one.verdict.replace("_", " "),
            "yes" if one.official else "no",
            one.stop.replace("_", " "),
            len(one.turns),
            _number(one.before, 2),
            _number(one.after, 2),
            _change(one.change),
        ]
        for one in found.episodes
    ]
    console.table([*columns, ">Δ/token"], rows)
    missing = all(one.change is None for one in found.episodes)
    _moved(
        found, console, missing, "this run's samples.jsonl has no log-probabilities of them (a new run records them)"
    )
    for one in found.episodes:
        console.say(f"\n── sample {one.sample}: {one.verdict.replace('_', ' ')}, reward {one.reward:.3f}")
        if full:
            for number, turn in enumerate(one.turns, start=1):
                console.say(f"turn {number}\n{turn.text}")
            console.say(one.patch or "(empty patch)")
            continue
        width = _width(30)
        rows = [
            [number, _number(turn.before, 2), _number(turn.after, 2), _said(turn, width)]
            for number, turn in enumerate(one.turns, start=1)
        ]
        console.table([">turn", ">log p before", ">after", "command"], rows)
