"""How an agent works: what it edits, whether it checks its edits by running something, and whether it changes its mind.

The paper calls it interleaved planning and self-verification. It is read off the commands alone, so that base and trained
models are measured alike, whatever they think aloud.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from swe_srl.rewards.shell.normal import Normal, Unit, normalise
from swe_srl.rewards.shell.programs import FILES, RUN, TEST
from swe_srl.types import Action, Turn

WORKDIR = "/testbed"
_WRITES = (">", ">>", "&>")
_COMPLAINS = re.compile(
    r"^(?:FAILED\b|Traceback \(most recent call last\):|\w*(?:Error|Exception): )|\b[1-9]\d* failed\b", re.MULTILINE
)


class Event(Enum):
    """What a command does, as far as it is counted."""

    EDIT = "edit"
    PASSED = "a run that passed"
    FAILED = "a run that failed"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Counts over episodes.

    Args:
        episodes: how many.
        edits: changes of files.
        verified: those after which something is run before the next edit and before the end.
        failed_checks: verifying runs that failed: by their exit code, or by what they print.
        revised: those of them after which the agent edits again.
        unread: commands that could not be parsed, and count for nothing.
    """

    episodes: int = 0
    edits: int = 0
    verified: int = 0
    failed_checks: int = 0
    revised: int = 0
    unread: int = 0

    @property
    def verified_share(self) -> float | None:
        """Share of the edits that are verified; None without an edit."""
        return self.verified / self.edits if self.edits else None

    @property
    def revised_share(self) -> float | None:
        """Share of the failed checks after which the agent edits again; None without one."""
        return self.revised / self.failed_checks if self.failed_checks else None


def behaviour_of(episodes: Iterable[Sequence[Turn]]) -> Behaviour:
    """The counts over the turns of some episodes.

    >>> turns = [Turn(Action("sed -i s/a/b/ x.py")), Turn(Action("pytest -q"), exit_code=1), Turn(Action("sed -i s/b/c/ x.py"))]
    >>> found = behaviour_of([turns])
    >>> found.edits, found.verified, found.failed_checks, found.revised
    (2, 1, 1, 1)
    """
    count = edits = verified = failed = revised = unread = 0
    for turns in episodes:
        count += 1
        read = [events_of(turn) for turn in turns]
        unread += sum(events is None for events in read)
        flow = [event for events in read for event in events or ()]
        for index, event in enumerate(flow):
            if event is not Event.EDIT:
                continue
            edits += 1
            check = flow[index + 1] if index + 1 < len(flow) else Event.EDIT
            verified += check is not Event.EDIT
            if check is Event.FAILED:
                failed += 1
                revised += Event.EDIT in flow[index + 2 :]
    return Behaviour(count, edits, verified, failed, revised, unread)


def events_of(turn: Turn) -> tuple[Event, ...] | None:
    """What a turn's command does, in order; None when it could not be parsed. A malformed turn does nothing."""
    if not isinstance(turn.action, Action):
        return ()
    units = normalise(turn.action.command, WORKDIR)
    return None if units is None else tuple(_events(units, turn))


def _events(units: Sequence[Unit], turn: Turn) -> Iterator[Event]:
    failed = turn.killed or bool(turn.exit_code) or _COMPLAINS.search(turn.observation) is not None
    for unit in units:
        if any(_changes(stage) for stage in unit.stages):
            yield Event.EDIT
        elif any(stage.kind in (TEST, RUN) for stage in unit.stages):
            yield Event.FAILED if failed else Event.PASSED


def _changes(stage: Normal) -> bool:
    writes = any(operator in _WRITES and not target.startswith("/dev/") for operator, target in stage.redirects)
    return stage.edit is not None or stage.kind == FILES or writes or stage.program in ("git apply", "patch")
