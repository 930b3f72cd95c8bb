"""One call from a patch to a verdict: run, judge, retry what the infrastructure broke, remember the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from swe_srl.grading.answers import grade_answer
from swe_srl.grading.cache import VerdictCache
from swe_srl.grading.flaky import combine
from swe_srl.grading.judge import judge
from swe_srl.grading.runner import GradingSettings, run_tests
from swe_srl.grading.workshop import HardenedReport
from swe_srl.tasks.problems import is_problem
from swe_srl.types import Task, TestRun, Verdict, VerdictStatus


def grade(
    task: Task,
    patch: str,
    settings: GradingSettings | None = None,
    cache: VerdictCache | None = None,
    keep: Callable[[TestRun], None] | None = None,
    retries: int = 1,
) -> Verdict:
    """The verdict on one patch; with `settings.times` above 1 that of several gradings.

    Args:
        task: a row with `eval_script`, `log_parser`, and an image or a source; or a problem with an answer.
        patch: a diff against the base commit; an empty one is not run. Of a problem, the solution's text: settings, cache and
            `keep` do not count then.
        settings: sandbox and limits.
        cache: verdicts known already, by patch, row, image and settings; None grades anew.
        keep: is handed what the tests left behind, to save the log; called for each grading, and not for an empty or
            remembered patch.
        retries: further tries after an infrastructure failure.

    Returns:
        The verdict; an infrastructure failure that lasts has the status INFRASTRUCTURE and its reason.

    Raises:
        TaskError: the row lacks what grading needs.
        GradingError: the answer of a problem cannot be compared here.
    """
    if is_problem(task):
        return grade_answer(task, patch)
    chosen = settings or GradingSettings()
    if not patch.strip():
        return judge(task, patch, TestRun("", None, applied=True))
    known = cache.get(task, patch, chosen) if cache else None
    if known is not None:
        return known
    verdicts: list[Verdict] = []
    lasting = True
    for _ in range(chosen.times):
        run, verdict = _once(task, patch, chosen, retries)
        if keep is not None:
            keep(run)
        verdicts.append(verdict)
        lasting = lasting and is_lasting(run, verdict)
        if verdict.status is VerdictStatus.PATCH_FAILED:
            break
    combined = combine(verdicts) if len(verdicts) > 1 else verdicts[0]
    if cache is not None and lasting:
        cache.put(task, patch, chosen, combined)
    return combined


def _once(task: Task, patch: str, settings: GradingSettings, retries: int) -> tuple[TestRun, Verdict]:
    begun = time.monotonic()
    for _ in range(1 + retries):
        run = run_tests(task, patch, settings)
        if not run.error:
            break
    return run, replace(judge(task, patch, run), seconds=time.monotonic() - begun)


def is_lasting(run: TestRun, verdict: Verdict) -> bool:
    """Whether the verdict would be the same at another time: both runs came to an end of their own."""
    if verdict.status is VerdictStatus.PATCH_FAILED:
        return True
    if verdict.status not in (VerdictStatus.RESOLVED, VerdictStatus.UNRESOLVED) or run.exit_code is None:
        return False
    report = HardenedReport.from_text(run.report) if run.report else None
    return report is None or (report.exit_code is not None and not report.timed_out)
