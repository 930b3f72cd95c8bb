"""Which pipelines of a command plainly never run."""

from __future__ import annotations

from collections.abc import Iterable

from swe_srl.rewards.shell.parse import Pipeline
from swe_srl.rewards.shell.programs import ENDS

_SUCCEEDS = frozenset({"true", ":", "echo"})
_FAILS = frozenset({"false"})


def reached(pipelines: Iterable[Pipeline]) -> Iterable[Pipeline]:
    """The pipelines without those that plainly never run: after `exit`, `false &&`, `true ||`.

    An `exit` behind `||` ends the command only where what stands before it plainly fails, one in a subshell ends that. In a
    pipeline or with `&` behind it it ends nothing, nor does an `exec` of nothing but redirections.
    """
    status: bool | None = None  # of the pipeline before, where it is plain
    skipped: set[tuple[int, ...]] = set()  # right sides of `&&` and `||` that are not reached
    sure: set[tuple[int, ...]] = set()  # and those of `||` that are
    ended: set[tuple[int, ...]] = set()  # subshells that have ended
    for pipeline in pipelines:
        if any(number in skipped for number, _ in pipeline.groups):
            continue
        if any(pipeline.shells[:depth] in ended for depth in range(len(pipeline.shells) + 1)):
            continue
        if (pipeline.connector == "||" and status is True) or (pipeline.connector == "&&" and status is False):
            skipped.update(number for number, _ in pipeline.groups[-1:])
            continue
        if pipeline.connector == "||" and status is False:
            sure.update(number for number, _ in pipeline.groups[-1:])
        yield pipeline
        words = pipeline.stages[-1].words
        name = next(iter(words), "")
        certain = all(operator != "||" or number in sure for number, operator in pipeline.groups)
        certain = certain and len(pipeline.stages) == 1 and not pipeline.background
        if certain and (name in ENDS or (name == "exec" and len(words) > 1)):
            ended.add(pipeline.shells)
        if pipeline.background:
            name = ":"
        status = True if name in _SUCCEEDS else False if name in _FAILS else None
        if status is not None and pipeline.negated:
            status = not status
