"""`swe-srl trajectories`: what files of trajectories hold, and the training steps they make."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swe_srl.cli.console import Console
from swe_srl.settings import check_at_least, setting
from swe_srl.trajectories.steps import StepSettings

if TYPE_CHECKING:
    from swe_srl.trajectories import ReadReport
    from swe_srl.types import Step

PATH = (
    "A file or folder of trajectories of any known format, a data set owner/name[@split[@revision]] of the hub, or "
    "quickstart."
)
FORMAT = "Read this format only; empty detects it record by record."
CONTEXT_CHARACTERS = 1500


@dataclass(frozen=True, slots=True)
class InspectSettings(StepSettings):
    """Settings of `swe-srl trajectories inspect`."""

    path: str = setting("", PATH)
    format: str = setting("", FORMAT)
    against: str = setting("", "Task set that no step may come from; such steps are counted as contaminated.")
    json: bool = setting(False, "Print the report as JSON.")


@dataclass(frozen=True, slots=True)
class StepsSettings(StepSettings):
    """Settings of `swe-srl trajectories steps`."""

    path: str = setting("", PATH)
    format: str = setting("", FORMAT)
    agent: str = setting("shell", "Agent definition that renders the contexts, by name or path.")
    limit: int = setting(3, "How many steps to show.")
    output: Path | None = setting(
        None, "Write every step to this file, one JSON object a line, instead of showing some."
    )

    def __post_init__(self) -> None:
        StepSettings.__post_init__(self)
        check_at_least(self, limit=1)


def inspect(settings: InspectSettings, console: Console) -> int:
    """Every turn of a file is counted as a step, or under the reason why it is none; exit code 1 when nothing is a trajectory."""
    from swe_srl.tasks import load_tasks
    from swe_srl.trajectories import inspect_trajectories

    tasks = load_tasks(settings.against) if settings.against else ()
    found = inspect_trajectories(settings.path, settings=settings, evaluation=tasks, format=settings.format)
    data = found.as_dict()
    empty = not data["trajectories"]
    if settings.json:
        console.json(data)
        return int(empty)
    if empty:
        console.say(f"{settings.path}: no trajectory in {data['files']} files; the formats are in docs/trajectories.md")
        tell_report(found.report, console, (settings.path,))
        return 1
    formats = ", ".join(f"{count} {name}" for name, count in data["formats"].items())
    console.say(f"{data['files']} files, {data['trajectories']} trajectories ({formats or 'none'})")
    console.say(f"turns per trajectory: {_spread(data['turns_per_trajectory'])}")
    console.say(f"target characters: {_spread(data['target_characters'])}")
    tell_report(found.report, console, (settings.path,))
    return 0


def steps(settings: StepsSettings, console: Console) -> int:
    """Make the steps; show a few, or write them all. The exit code is 1 when there is none."""
    from swe_srl.agents import AgentDefinition
    from swe_srl.trajectories import ReadReport, make_steps, read_trajectories, write_steps

    agent = AgentDefinition.load(settings.agent)
    report = ReadReport()
    read = read_trajectories(settings.path, report, settings.format)
    made = make_steps(read, agent.prompting, report, settings, submit=agent.submit)
    if settings.output is not None:
        write_steps(settings.output, made)
        console.say(f"{report.steps} steps written to {settings.output}")
        tell_report(report, console, (settings.path,))
        return 0 if report.steps else 1
    shown = 0
    for step in islice(made, settings.limit):
        show_step(step, console)
        shown += 1
    if not shown:
        tell_report(report, console, (settings.path,))
    return 0 if shown else 1


def show_step(step: Step, console: Console) -> None:
    """One step: what the policy sees last, and what the expert did."""
    size = sum(len(message.content) for message in step.context)
    last = step.context[-1].content
    shown = last if len(last) <= CONTEXT_CHARACTERS else f"… {last[-CONTEXT_CHARACTERS:]}"
    console.say(f"=== {step.step_id}: turn {step.index}, {len(step.context)} messages, {size} characters")
    console.say(f"{shown}\n--- thought (not rewarded)\n{step.thought}\n--- target\n{step.target}\n")


def tell_report(report: ReadReport, console: Console, places: Sequence[str | Path] = ()) -> None:
    """Turns read, steps made, and a row per reason for the rest; files are named as from those of the places that hold them."""
    data = report.as_dict()
    console.say(f"{data['turns_read']} turns: {data['steps']} steps, {data['reported']} reported")
    rows = _reasons("turn", data["turns"], places) + _reasons("record", data["records"], places)
    if rows:
        console.table(("what", "reason", ">count", "first example"), rows)


def _reasons(what: str, entries: Sequence[Mapping[str, Any]], places: Sequence[str | Path]) -> list[tuple[object, ...]]:
    return [(what, entry["reason"], entry["count"], _example(entry, places)) for entry in entries]


def _example(entry: Mapping[str, Any], places: Sequence[str | Path]) -> str:
    file = Path(entry["file"])
    name = next((file.relative_to(one) for one in places if file != Path(one) and file.is_relative_to(one)), file.name)
    turn = "" if entry["turn"] is None else f", turn {entry['turn']}"
    text = json.dumps(entry["text"][:60], ensure_ascii=False) if entry["text"] else ""
    return f"{name}, record {entry['record']}{turn} {text}".rstrip()


def _spread(values: Mapping[str, int]) -> str:
    return f"median {values['median']}, 90% up to {values['p90']}, at most {values['max']}"
