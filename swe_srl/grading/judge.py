"""From what the tests left behind to a verdict. Pure: saved runs can be judged again without a sandbox."""

from __future__ import annotations

from swe_srl.grading.evidence import objection_to
from swe_srl.grading.harness import ERRORED_MARKER, OfficialReport, official_report
from swe_srl.grading.workshop import HardenedReport
from swe_srl.types import Task, TestRun, Verdict, VerdictStatus


def judge(task: Task, patch: str, run: TestRun) -> Verdict:
    """The verdict on a patch, by the official rules and by the hardened ones.

    A patch is `hardened` when the official rules accept it and nothing in the hardened run speaks against it; `reason` and
    `flags` tell where the two differ and what was noticed.

    Raises:
        TaskError: the row names no log parser that swebench has.
        GradingError: the run's saved report cannot be read, or its log not be handed to the harness's rules.
    """
    if run.error:
        return _refused(task, VerdictStatus.INFRASTRUCTURE, run.error)
    if not patch.strip():
        return _refused(task, VerdictStatus.EMPTY_PATCH, "the patch is empty")
    if not run.applied:
        return _refused(task, VerdictStatus.PATCH_FAILED, _why_not_applied(run.log))
    if run.timed_out:
        return _refused(task, VerdictStatus.TIMEOUT, run.log.rstrip().rsplit("\n", 1)[-1])
    official = official_report(task, run.log)
    flags = [f"suspected-fault:{official.fault}"] if official.fault else []
    objection = ""
    if official.resolved:
        objection, noticed = _hardened(task, run)
        flags += noticed
    return Verdict(
        task_id=task.instance_id,
        status=VerdictStatus.RESOLVED if official.resolved else VerdictStatus.UNRESOLVED,
        official=official.resolved,
        hardened=official.resolved and not objection,
        reason=objection or _why_not_resolved(official, run),
        fail_to_pass_passed=official.fail_to_pass_passed,
        fail_to_pass_failed=official.fail_to_pass_failed,
        pass_to_pass_passed=official.pass_to_pass_passed,
        pass_to_pass_failed=official.pass_to_pass_failed,
        flags=tuple(flags),
    )


def _hardened(task: Task, run: TestRun) -> tuple[str, list[str]]:
    """What speaks against a patch that the official rules accept, and what was noticed besides."""
    if not run.report:
        return "not hardened: no hardened run was made", []
    report = HardenedReport.from_text(run.report)
    objection = objection_to(task, report)
    flags = [f"{reason}:{path}" for path, reason in report.dropped.items()]
    flags += [] if report.canaries else ["no-canaries"]
    flags += [] if report.separate_user else ["same-user"]
    return f"not hardened: {objection}" if objection else "", flags


def _refused(task: Task, status: VerdictStatus, reason: str) -> Verdict:
    return Verdict(task.instance_id, status, official=False, hardened=False, reason=reason)


def _why_not_applied(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip().startswith(("error:", "patch:", "fatal:"))]
    return f"the patch does not apply: {lines[0] if lines else log.strip()[-200:]}"


def _why_not_resolved(official: OfficialReport, run: TestRun) -> str:
    if official.resolved:
        return ""
    if not official.parsed:
        last = run.log.rstrip().rsplit("\n", 1)[-1]
        if run.exit_code is None and last.startswith(ERRORED_MARKER):
            return last.removeprefix(f"{ERRORED_MARKER}: ")
        return official.problem or "the log holds no usable test results"
    wanted, kept = len(official.fail_to_pass_failed), len(official.pass_to_pass_failed)
    return f"{wanted} FAIL_TO_PASS and {kept} PASS_TO_PASS tests do not pass"
