"""A teacher restates free-form solutions as numbered steps with titles; what cannot be used is counted, with the reason."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from swe_srl.errors import SweSrlError
from swe_srl.evaluation.policies import check_policy
from swe_srl.evaluation.rewrite_answers import Answers, key_of
from swe_srl.evaluation.rewrite_check import numbered_text, own_answer, unfit
from swe_srl.evaluation.rewrite_settings import RUNTIME, RewriteSettings
from swe_srl.files import write_atomic, write_jsonl
from swe_srl.grading.answers import check_answers
from swe_srl.progress import Progress, SilentProgress
from swe_srl.protocols import Generator
from swe_srl.provenance import fingerprint
from swe_srl.runs import RunFolder
from swe_srl.settings import as_mapping
from swe_srl.trajectories import ReadReport
from swe_srl.trajectories.read import OWN_FILE
from swe_srl.trajectories.solutions import Solution, read_solutions

KIND = "rewrite"
DROPPED = "dropped.jsonl"
REPORT = "report.json"


@dataclass(frozen=True, slots=True)
class Source:
    """The records of a source, by what is to be done with them.

    Args:
        solutions: all problems with a solution, in order.
        asked: those that the teacher is asked for.
        unfit: reasons of those that cannot be rewritten, by key.
        unread: the records that are none, by reason.
    """

    solutions: tuple[Solution, ...]
    asked: tuple[Solution, ...]
    unfit: dict[str, str]
    unread: ReadReport

    @property
    def fingerprint(self) -> str:
        """Of everything that decides what is asked for and what is kept."""
        digest = hashlib.sha256()
        for one in self.solutions:
            digest.update(json.dumps([one.number, one.name, one.problem, one.text, own_answer(one.row)]).encode())
        return f"sha256:{digest.hexdigest()}"


@dataclass
class Rewriting:
    """What became of the records.

    Args:
        taken: had steps already.
        rewritten: are in steps now.
        dropped: rows of `dropped.jsonl`: `file`, `record`, `id`, `reason`, `detail`.
        unread: records that hold no problem with a solution, by reason.
        refused: the endpoint refused their request, for another reason than its length; the next start asks again.
        answers: of the teacher, in all starts of the run.
        prompt_tokens, completion_tokens: of these answers.
    """

    taken: int = 0
    rewritten: int = 0
    dropped: list[dict[str, Any]] = field(default_factory=list)
    unread: ReadReport = field(default_factory=ReadReport)
    refused: dict[str, str] = field(default_factory=dict)
    answers: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def reasons(self) -> dict[str, int]:
        """How many records were dropped for each reason, the most frequent first."""
        return dict(Counter(row["reason"] for row in self.dropped).most_common())

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON data."""
        unread = self.unread.as_dict()["records"]
        return {
            "records": self.taken
            + self.rewritten
            + len(self.dropped)
            + len(self.refused)
            + sum(r["count"] for r in unread),
            "taken": self.taken,
            "rewritten": self.rewritten,
            "dropped": self.reasons,
            "refused": self.refused,
            "unread": unread,
            "answers": self.answers,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
        }


def sort_records(settings: RewriteSettings) -> Source:
    """Read the source, and see what is to be done with every record.

    Raises:
        TrajectoryError: no such file, folder or data set.
    """
    unread = ReadReport()
    solutions = tuple(islice(read_solutions(settings.source, unread), settings.limit or None))
    free = [solution for solution in solutions if not solution.has_steps]
    reasons = {key_of(solution): reason for solution in free if (reason := unfit(solution))}
    return Source(solutions, tuple(one for one in free if key_of(one) not in reasons), reasons, unread)


def check_rewrite(settings: RewriteSettings) -> tuple[Source, bool]:
    """Look at everything a run needs but the model, and write nothing.

    Returns:
        The records, and whether the folder holds this run already.

    Raises:
        SweSrlError: as `rewrite` would.
    """
    check_answers()
    check_policy(settings.teacher, scripted=())
    found = sort_records(settings)
    data, usual = _data(settings, found), as_mapping(RewriteSettings())
    return found, RunFolder.check(settings.output, KIND, as_mapping(settings), data, RUNTIME, usual)


def rewrite(
    settings: RewriteSettings, progress: Progress | None = None, generator: Generator | None = None
) -> Rewriting:
    """Ask the teacher for every solution without steps, and write what can be used beside the solutions that had them.

    Every answer is kept in the run folder at once: the same call goes on where a killed one stopped. To be called in the
    main thread, as answers are compared.

    Args:
        settings: of the run.
        progress: is told of the records.
        generator: the teacher in place of the one that `settings.policy` names, which then is only a name.

    Returns:
        The report; it is also in the folder as report.json, beside trajectories.jsonl and dropped.jsonl.

    Raises:
        ConfigError: settings that cannot be used, or the folder holds another run.
        TrajectoryError: the source cannot be read.
        GradingError: math-verify is not installed.
        GenerationError: the model or endpoint failed; what was answered is kept.
    """
    check_answers()
    if generator is None:
        check_policy(settings.teacher, scripted=())
    found = sort_records(settings)
    data, usual = _data(settings, found), as_mapping(RewriteSettings())
    with RunFolder.start(settings.output, KIND, as_mapping(settings), data, RUNTIME, usual) as run:
        answers = Answers(run, found.asked, settings)
        try:
            answers.ask(generator, progress or SilentProgress())
        except SweSrlError:
            if not answers.any:
                run.abandon()  # a teacher that is not there must not keep the folder from a second, better start
            raise
        rewriting = _result(found, answers)
        write_jsonl(run.path / OWN_FILE, _rows(settings, found, answers))
        write_jsonl(run.path / DROPPED, rewriting.dropped)
        write_atomic(run.path / REPORT, json.dumps(rewriting.as_dict(), indent=2) + "\n")
    return rewriting


def _result(found: Source, answers: Answers) -> Rewriting:
    result = Rewriting(unread=found.unread, refused=answers.refused)
    result.answers = sum(map(len, answers.checked.values()))
    result.prompt_tokens, result.completion_tokens = answers.prompt_tokens, answers.completion_tokens
    for solution in found.solutions:
        key = key_of(solution)
        row = {"file": solution.file, "record": solution.number, "id": solution.name}
        if key in found.unfit:
            result.dropped.append({**row, "reason": found.unfit[key], "detail": ""})
        elif key not in answers.checked:
            result.taken += 1
        elif answers.steps(key):
            result.rewritten += 1
        elif key not in answers.refused:
            last = answers.checked[key][-1]
            result.dropped.append({**row, "reason": last.reason, "detail": last.detail})
    return result


def _rows(settings: RewriteSettings, found: Source, answers: Answers) -> list[dict[str, Any]]:
    """The records in steps, in the source's order, with all their columns; a rewritten one keeps its solution as it was."""
    rows = []
    teacher = f"{settings.endpoint_model} at {settings.policy}" if settings.endpoint_model else settings.policy
    for solution in found.solutions:
        key, steps = key_of(solution), answers.steps(key_of(solution))
        if key in found.unfit or (key in answers.checked and not steps):
            continue
        row: dict[str, Any] = json.loads(json.dumps(dict(solution.row), default=str))
        if row.get("id") is None:
            row["id"] = solution.name
        if steps:
            row |= {"solution": numbered_text(steps), "solution_before": solution.text, "rewritten_by": teacher}
        rows.append(row)
    return rows


def _data(settings: RewriteSettings, found: Source) -> dict[str, str]:
    model = {"policy": fingerprint(settings.policy)} if Path(settings.policy).exists() else {}
    return {"records": found.fingerprint, **model}
