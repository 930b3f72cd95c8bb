"""`swe-srl train --estimate`: what a run would take, from a few real updates."""

from __future__ import annotations

from swe_srl.cli.console import Console
from swe_srl.errors import ConfigError
from swe_srl.launched import launched
from swe_srl.training.estimate import PAPER_STEPS, Estimate, StageEstimate, estimate
from swe_srl.training.settings import TrainSettings


def run(settings: TrainSettings, console: Console) -> None:
    """Probe the run in a folder that is removed again, and say what all of it would take."""
    from swe_srl.training.data import load_steps
    from swe_srl.training.run import check_processes, check_start
    from swe_srl.training.tasks import load_task_data

    if launched().count > 1:
        raise ConfigError("--estimate probes one process: start it without a launcher")
    check_processes(settings, settings.processes)
    check_start(settings, load_steps(settings), load_task_data(settings))
    found = estimate(settings, console.progress())
    columns = ["stage", ">updates", ">per update", ">validation", ">whole stage", ">skipped", ">sharing", "by phase"]
    console.table(columns, [_row(number, one) for number, one in enumerate(found.stages)])
    for number, one in enumerate(found.stages):
        if one.no_pivot:
            console.say(
                f"stage {number}: none of the steps that the probe looked at is a pivot. The run looks at more, and stops if "
                "none of them is; the updates here are those of all of them"
            )
        if one.sharing_ratio is None:
            console.say(
                f"stage {number}: the probe had no usable group, so the time of the updates themselves is missing here; "
                "probe it with a model that writes the agent's format"
            )
    _totals(found, console)


def _row(number: int, one: StageEstimate) -> list[str]:
    shown = {**one.phases, **({"pivots (once)": one.pivot_seconds} if one.pivot_seconds else {})}
    return [
        f"{number} ({one.method})",
        str(one.updates),
        duration(one.update_seconds),
        duration(one.validation_seconds),
        duration(one.seconds),
        "" if one.skipped_share is None else f"{one.skipped_share:.0%}",
        "" if one.sharing_ratio is None else f"{one.sharing_ratio:.1f}×",
        ", ".join(f"{name} {duration(seconds)}" for name, seconds in shown.items()),
    ]


def _totals(found: Estimate, console: Console) -> None:
    console.say(f"time     {duration(found.seconds)} on {found.device}")
    console.say(f"memory   {found.memory_mb / 1024:.1f} GiB at its peak")
    short = "" if found.disk_mb < found.free_mb else "  (not enough: lower keep, or choose another output)"
    console.say(
        f"disk     {found.disk_mb / 1024:.1f} GiB of {found.free_mb / 1024:.1f} GiB free; a checkpoint has "
        f"{found.checkpoint_mb:.0f} MiB{short}"
    )
    if found.paper_hours is not None:
        unit = "GPU-hours" if found.device.startswith("cuda") else "hours of this CPU"
        console.say(
            f"paper    one pass over {PAPER_STEPS:,} steps, 8 completions each, would take {found.paper_hours:,.1f} {unit} "
            "with this model and these contexts; how many passes the paper made is not published"
        )


def duration(seconds: float) -> str:
    """For people.

    >>> duration(3.25), duration(150), duration(9000)
    ('3.2 s', '2 min 30 s', '2 h 30 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
