"""One verdict of several gradings of the same patch: the majority decides, and what differs is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from swe_srl.types import Verdict, VerdictStatus

_VOTES, _TEST = "flaky:", "flaky-test:"
_NAMED = 20  # tests of one verdict


def combine(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on a patch that was graded several times.

    It is resolved when more than half of the gradings say so, by either rules. The rest (status, reason, tests) is that of the
    first grading that agrees with the majority. Gradings that the infrastructure broke do not vote; when all were broken, so
    is the verdict.

    Where gradings differ, flags say so: `flaky:official 2/3`, `flaky:hardened 1/3`, and `flaky-test:NAME` for every test that
    passed in one and failed in another.

    Args:
        verdicts: at least one, all of the same patch on the same task.
    """
    voting = [verdict for verdict in verdicts if verdict.status is not VerdictStatus.INFRASTRUCTURE]
    if not voting:
        return verdicts[0]
    official = 2 * sum(verdict.official for verdict in voting) > len(voting)
    hardened = official and 2 * sum(verdict.hardened for verdict in voting) > len(voting)
    agreeing = [v for v in voting if (v.official, v.hardened) == (official, hardened)]
    chosen = next(iter(agreeing or [v for v in voting if v.official == official]))
    flags = tuple(dict.fromkeys(flag for verdict in voting for flag in verdict.flags))
    seconds = sum(verdict.seconds for verdict in verdicts)
    return replace(chosen, official=official, hardened=hardened, flags=(*flags, *_differences(voting)), seconds=seconds)


def flaky_flags(flags: Sequence[str]) -> tuple[str, ...]:
    """Those flags that tell of gradings that differ."""
    return tuple(flag for flag in flags if flag.startswith((_VOTES, _TEST)))


def _differences(verdicts: Sequence[Verdict]) -> list[str]:
    found = []
    for rule in ("official", "hardened"):
        count = sum(getattr(verdict, rule) for verdict in verdicts)
        if 0 < count < len(verdicts):
            found.append(f"{_VOTES}{rule} {count}/{len(verdicts)}")
    passed = {name for v in verdicts for name in (*v.fail_to_pass_passed, *v.pass_to_pass_passed)}
    failed = {name for v in verdicts for name in (*v.fail_to_pass_failed, *v.pass_to_pass_failed)}
    return found + [f"{_TEST}{name}" for name in sorted(passed & failed)[:_NAMED]]
