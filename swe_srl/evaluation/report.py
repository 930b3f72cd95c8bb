"""What an evaluation run found: figures with their intervals, and what was left out of them."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from swe_srl.agents.policies import CUT
from swe_srl.evaluation.behaviour import Behaviour, behaviour_of
from swe_srl.evaluation.patches import PatchStatistics, patch_statistics
from swe_srl.evaluation.pipeline import Attempt, Failure
from swe_srl.evaluation.statistics import Estimate, bootstrap_mean, pass_at_k, wilson
from swe_srl.grading import flaky_flags
from swe_srl.protocols import Similarity
from swe_srl.tasks.difficulty import difficulty_of
from swe_srl.tasks.problems import is_problem
from swe_srl.trajectories.steps import commands_of
from swe_srl.types import Action, FormatError, Task, Trajectory, VerdictStatus

RIGHT = "right answers"


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one run.

    Args:
        title: split and policy.
        tasks: tasks with at least one graded sample: the denominator.
        samples: graded samples.
        asked: samples that the run was asked for.
        resolved: graded samples that the official rules call resolved.
        hardened: those that the hardened rules call resolved too; None when no hardened runs were made.
        resolve_rate: of the samples, by the official rules: Wilson's interval when there is one sample per task, else an
            interval by bootstrap over tasks.
        hardened_rate: the same by the hardened rules; None when no hardened runs were made.
        pass_at_k: chance that one of k samples is resolved, mean over the tasks with at least k samples, by k.
        statuses: graded samples by the verdict's status.
        exit_reasons: graded samples by the reason the episode ended.
        turns: mean turns of an episode.
        format_error_rate: share of all turns whose completion was malformed.
        cut_rate: share of all turns whose completion was malformed since the token limit cut it.
        tokens: mean per turn, by kind: "prompt", "completion", "thought", "command". Empty when no tokens were counted.
        similarity: mean similarity to the expert's command of the same turn, over episodes; None when no expert is known.
        seconds: mean wall time of an episode.
        grading_seconds: mean time of a grading.
        by_repository: resolved and graded samples of each repository.
        by_difficulty: the same by difficulty (Verified's rows tell it, and the bundled and synthesised tasks); empty where
            nothing does.
        per_episode: mean tokens of an episode by kind ("context" is all its prompts together), and its "cost" at the
            prices given; empty when no tokens were counted.
        behaviour: edits, how many of them are verified by a run, and how often a failed check leads to another edit.
        patches: sizes of the patches, and which files they touch.
        flaky: samples whose gradings differ, with the votes and the tests that differ.
        excluded: instances left out by name: they count for nothing.
        differing: samples where the official and the hardened verdict differ, with the reason.
        flagged: samples whose patch or run was flagged, with the flags.
        failures: samples that the infrastructure kept from a result: they count for nothing.
        unavailable: tasks that cannot be run here, with the reason: they count for nothing.
        answers: of problems with an answer, what their resolve rate is called, as "Avg@4"; "" for tasks of repositories.
    """

    title: str
    tasks: int
    samples: int
    asked: int
    resolved: int
    hardened: int | None
    resolve_rate: Estimate
    hardened_rate: Estimate | None
    pass_at_k: Mapping[int, float]
    statuses: Mapping[str, int]
    exit_reasons: Mapping[str, int]
    turns: float
    format_error_rate: float
    tokens: Mapping[str, float]
    similarity: float | None
    seconds: float
    grading_seconds: float
    by_repository: Mapping[str, tuple[int, int]]
    behaviour: Behaviour
    patches: PatchStatistics
    cut_rate: float = 0.0
    by_difficulty: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    per_episode: Mapping[str, float] = field(default_factory=dict)
    flaky: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    excluded: tuple[str, ...] = ()
    differing: Mapping[str, str] = field(default_factory=dict)
    flagged: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    unavailable: Mapping[str, str] = field(default_factory=dict)
    answers: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; a rate of nothing is null."""
        plain: dict[str, Any] = _plain(dataclasses.asdict(self))
        return plain


def make_report(
    title: str,
    attempts: Sequence[Attempt],
    failures: Sequence[Failure],
    unavailable: Mapping[str, str],
    asked: int,
    experts: Mapping[str, Trajectory],
    similarity: Similarity | None,
    hardened: bool = True,
    tasks: Mapping[str, Task] | None = None,
    prices: tuple[float, float] = (0.0, 0.0),
    excluded: Sequence[str] = (),
    answers: str = RIGHT,
) -> Report:
    """The figures of a run.

    Args:
        title: what was evaluated.
        attempts: graded samples.
        failures: samples without a result.
        unavailable: tasks that were not run, with the reason.
        asked: samples the run was asked for.
        experts: expert trajectories by task.
        similarity: compares a command with the expert's; None leaves the figure out.
        hardened: whether hardened runs were made; otherwise nothing is told of the hardened rules.
        tasks: by instance: their gold patches and difficulties.
        prices: of a million prompt tokens and of a million completion tokens.
        excluded: instances that were left out by name.
        answers: what the resolve rate is called where all tasks are problems with an answer. No hardened rules are told of then.
    """
    known = tasks or {}
    problems = bool(known) and all(map(is_problem, known.values()))
    hardened = hardened and not problems
    official = _by_task(attempts, lambda attempt: attempt.verdict.official)
    kept = _by_task(attempts, lambda attempt: attempt.verdict.hardened)
    turns = [turn for attempt in attempts for turn in attempt.trajectory.turns]
    scores = [s for attempt in attempts if (s := _similarity_of(attempt, experts, similarity)) is not None]
    return Report(
        title=title,
        tasks=len(official),
        samples=len(attempts),
        asked=asked,
        resolved=sum(attempt.verdict.official for attempt in attempts),
        hardened=sum(attempt.verdict.hardened for attempt in attempts) if hardened else None,
        resolve_rate=rate(official),
        hardened_rate=rate(kept) if hardened else None,
        pass_at_k=_pass_at(official),
        statuses=dict(Counter(attempt.verdict.status.value for attempt in attempts)),
        exit_reasons=dict(Counter(_exit_reason(attempt) for attempt in attempts)),
        turns=_mean([len(attempt.trajectory.turns) for attempt in attempts]),
        format_error_rate=_mean([not isinstance(turn.action, Action) for turn in turns]),
        cut_rate=_mean([isinstance(turn.action, FormatError) and turn.action.reason.startswith(CUT) for turn in turns]),
        tokens=_tokens(attempts),
        similarity=fmean(scores) if scores else None,
        seconds=_mean([attempt.seconds for attempt in attempts]),
        grading_seconds=_mean([attempt.verdict.seconds for attempt in attempts if attempt.verdict.seconds]),
        by_repository=_by(attempts, lambda attempt: attempt.trajectory.repo),
        behaviour=behaviour_of(attempt.trajectory.turns for attempt in attempts),
        patches=patch_statistics(((a.task_id, a.trajectory.patch) for a in attempts), known),
        by_difficulty=_by(
            attempts, lambda attempt: difficulty_of(known[attempt.task_id]) if attempt.task_id in known else ""
        ),
        per_episode=_per_episode(attempts, prices),
        flaky={_name(a): found for a in attempts if (found := flaky_flags(a.verdict.flags))},
        excluded=tuple(sorted(excluded)),
        differing={
            _name(a): a.verdict.reason for a in attempts if hardened and a.verdict.official != a.verdict.hardened
        },
        flagged={_name(a): flags for a in attempts if (flags := _telling(a.verdict.flags))},
        failures=tuple(failures),
        unavailable=dict(unavailable),
        answers=answers if problems else "",
    )


def rate(by_task: Mapping[str, Sequence[float]]) -> Estimate:
    """Resolve rate with its interval: Wilson's for one sample per task, bootstrap over tasks for more."""
    if all(len(values) == 1 for values in by_task.values()):
        return wilson(int(sum(values[0] for values in by_task.values())), len(by_task))
    return bootstrap_mean(by_task)


def _by_task(attempts: Sequence[Attempt], outcome: Any) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for attempt in attempts:
        found.setdefault(attempt.task_id, []).append(float(outcome(attempt)))
    return found


def _pass_at(by_task: Mapping[str, Sequence[float]]) -> dict[int, float]:
    most = max((len(values) for values in by_task.values()), default=0)
    found: dict[int, float] = {}
    powers = {2**power for power in range(most.bit_length()) if 2**power <= most}
    for k in sorted(powers | {most} - {0}):
        chances = [pass_at_k(len(v), int(sum(v)), k) for v in by_task.values() if len(v) >= k]
        found[k] = fmean(chances)
    return found


def _tokens(attempts: Sequence[Attempt]) -> dict[str, float]:
    turns = [turn for attempt in attempts for turn in attempt.trajectory.turns]
    if not any(turn.completion_tokens for turn in turns):
        return {}
    return {
        "prompt": _mean([turn.prompt_tokens for turn in turns]),
        "completion": _mean([turn.completion_tokens for turn in turns]),
        "thought": _mean([turn.thought_tokens for turn in turns]),
        "command": _mean([turn.completion_tokens - turn.thought_tokens for turn in turns]),
    }


def _similarity_of(attempt: Attempt, experts: Mapping[str, Trajectory], similarity: Similarity | None) -> float | None:
    """Mean similarity of an episode's commands to the expert's of the same turn; a malformed turn has 0."""
    expert = experts.get(attempt.task_id)
    if expert is None or similarity is None:
        return None
    scores = [
        similarity(own.action.command, shown).value if isinstance(own.action, Action) else 0.0
        for own, shown in zip(attempt.trajectory.turns, commands_of(expert), strict=False)
    ]
    return fmean(scores) if scores else None


def _per_episode(attempts: Sequence[Attempt], prices: tuple[float, float]) -> dict[str, float]:
    turns = [turn for attempt in attempts for turn in attempt.trajectory.turns]
    if not any(turn.completion_tokens for turn in turns):
        return {}
    prompt, completion, thought = (
        sum(getattr(turn, f"{kind}_tokens") for turn in turns) / len(attempts)
        for kind in ("prompt", "completion", "thought")
    )
    found = {"context": prompt, "thought": thought, "command": completion - thought}
    if any(prices):
        found["cost"] = (prompt * prices[0] + completion * prices[1]) / 1e6
    return found


def _by(attempts: Sequence[Attempt], group: Callable[[Attempt], str]) -> dict[str, tuple[int, int]]:
    """Resolved and graded samples of each group, sorted; those of no group ("") are left out."""
    found: dict[str, tuple[int, int]] = {}
    for attempt in attempts:
        resolved, graded = found.get(group(attempt), (0, 0))
        found[group(attempt)] = (resolved + attempt.verdict.official, graded + 1)
    return {name: found[name] for name in sorted(found) if name}


def _telling(flags: Sequence[str]) -> tuple[str, ...]:
    """Flags about the patch or the log; what only tells how the hardened run was made is left to the verdict, what tells of
    flaky tests to its own list."""
    flaky = flaky_flags(flags)
    return tuple(flag for flag in flags if flag not in ("same-user", "no-canaries", *flaky))


def _exit_reason(attempt: Attempt) -> str:
    stop = attempt.trajectory.stop_reason
    return stop.value if stop else "unknown"


def _name(attempt: Attempt) -> str:
    return f"{attempt.task_id}#{attempt.sample}" if attempt.sample else attempt.task_id


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, VerdictStatus):
        return value.value
    return None if isinstance(value, float) and math.isnan(value) else value
