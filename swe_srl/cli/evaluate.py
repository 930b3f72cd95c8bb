"""`swe-srl eval`: let an agent work on tasks, grade its patches, report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swe_srl.cli.console import Console

if TYPE_CHECKING:
    from swe_srl.evaluation import EvalSettings


def run(settings: EvalSettings, console: Console) -> int:
    """Evaluate; the exit code is 1 when not a single sample could be graded, or when `--check` finds broken tasks."""
    if settings.check:
        return run_check(settings, console)
    from swe_srl.evaluation import evaluate
    from swe_srl.evaluation.markdown import report_markdown

    console.resumable(settings.folder)
    console.sweep()
    report = evaluate(settings, console.progress(), watch=console.watch())
    console.markdown(report_markdown(report))
    console.say(f"run folder: {settings.folder}")
    return 0 if report.samples else 1


def run_check(settings: EvalSettings, console: Console) -> int:
    """Check a sample of the tasks."""
    from swe_srl.evaluation.checking import BROKEN, check, check_folder

    folder = check_folder(settings)
    console.resumable(folder)
    console.sweep()
    report = check(settings, settings.check_sample, console.progress())
    for one in report.checked:
        for text in (*one.problems, *(f"(only a warning) {warning}" for warning in one.warnings)):
            console.say(f"{one.task_id}: {text}")
    console.tell_unavailable(report.unavailable)
    sound = len(report.checked) - len(report.broken) - len(report.lost)
    console.say(
        f"{sound} of {len(report.checked)} checked tasks are sound, {len(report.broken)} are broken, nothing is known of "
        f"{len(report.lost)}; the sample is of {report.tasks} tasks"
    )
    if report.broken:
        console.say(f"leave the broken ones out: --exclude {folder / BROKEN}")
    return 1 if report.broken or report.lost else 0


def plan(settings: EvalSettings, console: Console) -> None:
    """Load everything the settings name but the model, and say what would be done."""
    if settings.check:
        plan_check(settings, console)
        return
    from swe_srl.evaluation.policies import alike
    from swe_srl.evaluation.running import check_run
    from swe_srl.generation.source import is_hub_id

    if warning := alike(settings):
        console.say(warning)
    selection, agent, resumes = check_run(settings, console.progress())
    console.tell_unavailable(selection.unavailable)
    episodes = len(selection.tasks) * settings.samples
    console.say(f"would run {episodes} episodes: {len(selection.tasks)} tasks, {settings.samples} samples of each")
    unchecked = " (not looked for on the hub)" if not settings.is_endpoint and is_hub_id(settings.policy) else ""
    console.say(
        f"policy {settings.policy}{unchecked}, agent {settings.agent_name}, at most {agent.max_turns} turns an episode"
    )
    console.say(f"run folder: {settings.folder}{' (exists: would go on)' if resumes else ''}")


def plan_check(settings: EvalSettings, console: Console) -> None:
    """Say which tasks would be checked."""
    from swe_srl.evaluation.checking import check_folder, check_resumes, sampled

    selection, count = sampled(settings, settings.check_sample)
    resumes = check_resumes(settings, settings.check_sample)
    console.tell_unavailable(selection.unavailable)
    console.say(
        f"would grade the gold and the empty patch on {len(selection.tasks)} of {count} tasks; no episode is run"
    )
    console.say(f"findings: {check_folder(settings)}{' (exists: would go on)' if resumes else ''}")
