"""`swe-srl trajectories rewrite`: a teacher restates free-form solutions as numbered steps with titles."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from swe_srl.cli.console import Console

if TYPE_CHECKING:
    from swe_srl.evaluation.rewrite_settings import RewriteSettings


def run(settings: RewriteSettings, console: Console) -> int:
    """Rewrite; the exit code is 1 when no record is in steps."""
    from swe_srl.evaluation.rewriting import DROPPED, rewrite
    from swe_srl.trajectories.read import OWN_FILE

    console.resumable(settings.output)
    found = rewrite(settings, console.progress())
    rows: list[tuple[object, ...]] = [("had steps already", found.taken), ("rewritten", found.rewritten)]
    rows += [(f"dropped: {reason}", count) for reason, count in found.reasons.items()]
    rows += [(f"not read: {reason}", entry.count) for reason, entry in found.unread.records.items()]
    if found.refused:
        rows.append(("refused by the endpoint", len(found.refused)))
    console.table(("records", ">count"), rows)
    tokens = f"{found.prompt_tokens} prompt and {found.completion_tokens} completion tokens"
    console.say(f"{found.answers} answers of the teacher, {tokens}")
    if found.dropped:
        console.say(f"the dropped ones, each with its reason: {settings.output / DROPPED}")
    if found.refused:
        record, reason = next(iter(found.refused.items()))
        console.say(f"refused, as {record}: {reason}\nthe same command asks for these again")
    kept = found.taken + found.rewritten
    console.say(f"{kept} solutions in steps written to {settings.output / OWN_FILE}")
    return 0 if kept else 1


def plan(settings: RewriteSettings, console: Console) -> None:
    """What would be asked for."""
    from swe_srl.evaluation.rewriting import check_rewrite
    from swe_srl.generation.source import is_hub_id

    found, resumes = check_rewrite(settings)
    taken = len(found.solutions) - len(found.asked) - len(found.unfit)
    rows: list[tuple[object, ...]] = [("have steps already", taken), ("would be asked for", len(found.asked))]
    rows += [(f"cannot be rewritten: {reason}", count) for reason, count in Counter(found.unfit.values()).most_common()]
    rows += [(f"not read: {reason}", entry.count) for reason, entry in found.unread.records.items()]
    console.table(("records", ">count"), rows)
    unchecked = (
        " (not looked for on the hub)" if not settings.teacher.is_endpoint and is_hub_id(settings.policy) else ""
    )
    console.say(f"teacher {settings.policy}{unchecked}, at most {settings.tries + 1} tries for each")
    console.say(f"run folder: {settings.output}{' (exists: would go on)' if resumes else ''}")
