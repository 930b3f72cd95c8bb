"""Episodes as rlvr trains on them, and where they are kept until a checkpoint holds what came of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from swe_srl.files import append_jsonl, read_jsonl, write_jsonl

Key = tuple[str, int]  # task and sample
VERDICT = ("reward", "status", "official", "error", "similarity")  # what grading adds to an episode


@dataclass(frozen=True)
class SampledTurn:
    """One turn of an episode as the model saw and wrote it.

    Args:
        context: token ids.
        token_ids: of the completion, as sampled.
        logprobs: of these tokens when they were sampled, at temperature 1; at the sampling temperature once `rescored`.
        malformed: why it is no action, or "".
    """

    context: tuple[int, ...]
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    text: str
    malformed: str = ""


@dataclass(frozen=True)
class SampledEpisode:
    """One episode with its verdict. `error` is not empty when the infrastructure failed: then it counts for nothing.

    `status` is "" while it is not graded.
    """

    task_id: str
    sample: int
    reward: float
    status: str  # a VerdictStatus
    official: bool
    stop: str  # a StopReason, or ""
    patch: str
    turns: tuple[SampledTurn, ...]
    error: str = ""
    similarity: float = 0.0  # mean similarity of its commands to the expert's, when that is asked for

    @property
    def key(self) -> Key:
        """Task and sample."""
        return self.task_id, self.sample

    @property
    def tokens(self) -> int:
        """Of all completions."""
        return sum(len(turn.token_ids) for turn in self.turns)

    def row(self) -> dict[str, Any]:
        """As JSON data; `from_row` reads it back. Tokens are not copied."""
        own = {one.name: getattr(self, one.name) for one in fields(self)}
        return own | {"turns": [{one.name: getattr(turn, one.name) for one in fields(turn)} for turn in self.turns]}

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> SampledEpisode:
        """An episode from `row`."""
        turns = tuple(
            SampledTurn(tuple(t["context"]), tuple(t["token_ids"]), tuple(t["logprobs"]), t["text"], t["malformed"])
            for t in row["turns"]
        )
        return cls(**{**row, "turns": turns})

    def verdict_row(self) -> dict[str, Any]:
        """What grading added, as JSON data."""
        return {name: getattr(self, name) for name in ("task_id", "sample", *VERDICT)}


Keep = Callable[[SampledEpisode], None]


class EpisodeStore:
    """The episodes of the updates since the last checkpoint, one file per update: each as it ends, and then its verdict.

    Failures are kept too, so that a repeated update draws the same tasks.

    Args:
        folder: of the stage; made when needed.
        process: that keeps its episodes; each has a file of its own, and reads those of all.
    """

    def __init__(self, folder: Path, process: int = 0) -> None:
        self.folder, self.process = folder, process

    def keep(self, update: int, episode: SampledEpisode) -> None:
        """Keep an episode that was sampled for this update; when it was kept ungraded before, only its verdict."""
        only_verdict = episode.status and not episode.error
        own = self.folder / (f"{update:06d}.{self.process}.jsonl" if self.process else f"{update:06d}.jsonl")
        append_jsonl(own, episode.verdict_row() if only_verdict else episode.row())

    def load(self, update: int) -> dict[Key, SampledEpisode]:
        """The episodes kept for an update."""
        found: dict[Key, SampledEpisode] = {}
        rows = [row for file in self._files(update) for row in read_jsonl(file)]
        for row in sorted(
            rows, key=lambda row: "turns" not in row
        ):  # a verdict may be in another file than its episode
            key = str(row["task_id"]), int(row["sample"])
            if "turns" in row:
                found[key] = SampledEpisode.from_row(row)
            else:
                found[key] = replace(found[key], **{name: row[name] for name in VERDICT if name in row})
        return found

    def forget_failures(self, update: int) -> None:
        """Drop the failed episodes of an update: they are to be sampled again."""
        files = {file: list(read_jsonl(file)) for file in self._files(update)}
        failed = {(row["task_id"], row["sample"]) for rows in files.values() for row in rows if row["error"]}
        for file, rows in files.items():
            write_jsonl(file, [row for row in rows if (row["task_id"], row["sample"]) not in failed])

    def forget(self, update: int) -> None:
        """Remove the episodes of this and of earlier updates: a checkpoint holds what came of them."""
        for file in self.folder.glob("*.jsonl"):
            if int(file.name.split(".")[0]) <= update:
                file.unlink()

    def _files(self, update: int) -> list[Path]:
        """Those that there are, of all processes."""
        return sorted(self.folder.glob(f"{update:06d}.*jsonl"))
