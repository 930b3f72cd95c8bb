"""Why a step was learnt as it was: what was sampled or shown there, what it earned, and what the update did to it.

What the trainer recorded (`samples.jsonl`) is read as it is. Any other step of an srl or sft stage is sampled again from a
checkpoint and scored by a later one; only that needs torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from swe_srl.agents.definition import AgentDefinition
from swe_srl.errors import ConfigError
from swe_srl.runs import RunFolder
from swe_srl.settings import as_mapping, from_mapping, setting
from swe_srl.training.explained import (
    AnswerExplanation,
    EpisodesExplanation,
    Explained,
    ExplainedEpisode,
    ExplainedTurn,
    Explanation,
    Piece,
    Sample,
)
from swe_srl.training.method_settings import STEPS
from swe_srl.training.settings import TrainSettings
from swe_srl.trajectories.action_format import parse_action
from swe_srl.types import Action

LAST = "last"
LISTED = 12  # recorded steps named in a message


@dataclass(frozen=True)
class ExplainSettings:
    """Settings of `swe-srl explain`."""

    run: str = setting("", "Run folder of a training run.")
    step: str = setting(
        LAST,
        "A recorded update's number, the id of a step (of rlvr: of a recorded task), or last (what was recorded last).",
    )
    resample: bool = setting(False, "Sample the step again, even if it is recorded (srl, sft).")
    stage: int = setting(
        -1,
        "Stage of the run, from 0; -1: that of the newest record, and of what is not recorded the last srl or sft stage.",
    )
    before: int = setting(
        -1, "Sample again with the checkpoint of this update; -1: with the model the stage started with."
    )
    after: int = setting(
        -1, "Compare with the checkpoint of this update; -1: the stage's result, or its newest checkpoint."
    )
    full: bool = setting(False, "Print the completions whole.")
    json: bool = setting(False, "Print it as JSON.")


AnyExplanation = Explanation | AnswerExplanation | EpisodesExplanation


def explain(settings: ExplainSettings) -> AnyExplanation:
    """What became of a step (srl, sft) or of a task's episodes (rlvr) in a run.

    Raises:
        ConfigError: no training run there, no such step or update, or no such checkpoint.
    """
    run = RunFolder.read(settings.run, ("train",))
    trained = from_mapping(TrainSettings, {**as_mapping(TrainSettings()), **run.settings}, settings.run)
    if settings.stage >= len(trained.stages):
        stages = ", ".join(f"{index} ({stage.method})" for index, stage in enumerate(trained.stages))
        raise ConfigError(f"--stage {settings.stage}: this run has no such stage; it has {stages}")
    rows = [row for row in run.rows("samples") if settings.stage < 0 or row["stage"] == settings.stage]
    found = [row for row in rows if settings.step in (LAST, str(row["update"]), _name(row))]
    if found and not settings.resample:
        return _recorded(found[-1], AgentDefinition.load(trained.agent_name).prompting.action_format)
    if not found and (settings.step == LAST or settings.step.isdigit()):
        raise ConfigError(
            f"{settings.run} has nothing recorded of update {settings.step}; {_listed(rows)}. A run records its last update "
            f"(unless compute_tokens ended it) and every samples_every before it (here {trained.samples_every}; another run can "
            "set it to 1). A step of srl or sft by its id, which is its trajectory's, a colon and the turn (as TASK#expert:3), "
            "is sampled again"
        )
    stage = found[-1]["stage"] if found else _stage(trained, settings.stage, rows)
    if trained.stages[stage].method not in STEPS:
        raise ConfigError(f"--resample: episodes of rlvr are not sampled again; without it, {_name(found[-1])} is told")
    from swe_srl.training.explain_again import sampled_again

    return sampled_again(run, trained, stage, _name(found[-1]) if found else settings.step, settings)


def _name(row: dict[str, Any]) -> str:
    """The id of the step or the task that a row tells of."""
    return str(row["task_id"] if "episodes" in row else row["step_id"])


def _stage(trained: TrainSettings, asked: int, rows: Sequence[dict[str, Any]]) -> int:
    """The stage of a step that is not recorded."""
    stages = [index for index, stage in enumerate(trained.stages) if stage.method in STEPS]
    if (asked >= 0 and asked not in stages) or not stages:
        raise ConfigError(
            f"STEP: of an rlvr stage only recorded episodes can be told, and these are not recorded; {_listed(rows)}. Set "
            f"samples_every (here {trained.samples_every}) to 1 to record a task of every update"
        )
    return asked if asked >= 0 else stages[-1]


def _listed(rows: Sequence[dict[str, Any]]) -> str:
    shown = [f"{row['update']} ({_name(row)})" for row in rows[-LISTED:]]
    return f"recorded updates (with their steps or tasks): {', '.join(shown)}" if shown else "none is recorded yet"


def command_of(text: str, form: str) -> str:
    """The command of a completion, or "" when it is malformed."""
    action = parse_action(text, form)
    return action.command if isinstance(action, Action) else ""


def _recorded(row: dict[str, Any], form: str) -> AnyExplanation:
    if "episodes" in row:
        episodes = tuple(_episode(one, form) for one in row["episodes"])
        return EpisodesExplanation(row["stage"], row["update"], row["task_id"], episodes)
    return _answer(row, form) if "answer" in row else _samples(row, form)


def _samples(row: dict[str, Any], form: str) -> Explanation:
    completions = tuple(
        Explained(
            one["text"],
            command_of(one["text"], form),
            one["malformed"],
            one.get("parts", {}),
            one["reward"],
            one["advantage"],
            one["tokens"],
            sum(one["logprobs"]) if "logprobs" in one else None,
            sum(one["logprobs_after"]) if "logprobs_after" in one else None,
        )
        for one in row["completions"]
    )
    update = row["update"]
    before, after = "the model that sampled it", f"the model after update {update}"
    return Explanation(row["stage"], update, row["step_id"], row["target"], "recorded", before, after, completions)


def _answer(row: dict[str, Any], form: str) -> AnswerExplanation:
    answer, update, held = row["answer"], row["update"], row.get("held_out")
    pieces = map(Piece, answer["pieces"], answer["logprobs"], answer["logprobs_after"])
    return AnswerExplanation(
        row["stage"],
        update,
        row["step_id"],
        row["target"],
        "recorded",
        f"the model before update {update}",
        f"the model after update {update}",
        row["context"],
        tuple(pieces),
        _sample(row, form),
        _sample(held, form) if held else None,
    )


def _sample(row: dict[str, Any], form: str) -> Sample:
    (one,) = row["completions"]
    command = command_of(one["text"], form)
    return Sample(row["step_id"], row["target"], one["text"], command, one["malformed"], one["parts"]["similarity"])


def _episode(one: dict[str, Any], form: str) -> ExplainedEpisode:
    texts = one["completions"]
    unknown = [None] * len(texts)
    turns = zip(
        texts,
        one.get("malformed", [""] * len(texts)),
        *(one.get(name, unknown) for name in ("tokens", "logprobs", "logprobs_after")),
        strict=True,
    )
    return ExplainedEpisode(
        one["sample"],
        one["reward"],
        one.get("advantage"),
        one.get("similarity"),
        one["verdict"],
        one["official"],
        one["stop"],
        one["patch"],
        tuple(
            ExplainedTurn(text, command_of(text, form), malformed, tokens, before, after)
            for text, malformed, tokens, before, after in turns
        ),
    )
