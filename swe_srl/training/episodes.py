"""Groups of whole episodes for rlvr: G episodes per task, rewarded by the hidden tests, and dynamic sampling.

A finished episode is kept on disk with its exact tokens at once, so that a killed run does not sample it again.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from swe_srl.agents import EpisodeJob
from swe_srl.agents.policies import CUT
from swe_srl.training.dynamic import GroupSampler
from swe_srl.training.processes import ALONE, Processes
from swe_srl.training.sampled import EpisodeStore, Keep, Key, SampledEpisode
from swe_srl.training.settings import StageSettings
from swe_srl.types import Task, VerdictStatus


@dataclass(frozen=True)
class EpisodeGroup:
    """The episodes of one task that count."""

    task_id: str
    episodes: tuple[SampledEpisode, ...]
    rescored: bool = False

    @property
    def rewards(self) -> tuple[float, ...]:
        """By episode."""
        return tuple(episode.reward for episode in self.episodes)

    @property
    def spread(self) -> float:
        """Sample standard deviation of the rewards."""
        return statistics.stdev(self.rewards) if len(set(self.rewards)) > 1 else 0.0

    @property
    def reasons(self) -> tuple[str, ...]:
        """Of every turn: why its completion is malformed, or ""."""
        return tuple(turn.malformed for episode in self.episodes for turn in episode.turns)

    def row(self) -> dict[str, Any]:
        """As JSON data; `from_row` reads it back."""
        episodes = [episode.row() for episode in self.episodes]
        return {"task_id": self.task_id, "episodes": episodes, "rescored": self.rescored}

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> EpisodeGroup:
        """A group from `row`."""
        return cls(row["task_id"], tuple(map(SampledEpisode.from_row, row["episodes"])), row["rescored"])


@dataclass
class EpisodeBatch:
    """The groups of one update, and what it took to get them."""

    kept: list[EpisodeGroup]
    drawn: list[EpisodeGroup] = field(default_factory=list)
    failed: list[SampledEpisode] = field(default_factory=list)
    too_long: int = 0  # episodes whose first context was refused
    rounds: int = 0

    @property
    def forward_tokens(self) -> int:
        """The context and the completion of every turn, also what was kept from the turn before: the same on every machine."""
        turns = (turn for group in self.drawn for episode in group.episodes for turn in episode.turns)
        return sum(len(turn.context) + len(turn.token_ids) for turn in turns)

    def metrics(self, epsilon: float, dynamic: bool = True, experts: bool = False) -> dict[str, float]:
        """Means over every episode that was sampled for the update, in groups that are kept or not.

        Args:
            epsilon, dynamic: of dynamic sampling; without it all groups are kept.
            experts: whether episodes were compared with the expert's.
        """
        episodes = [episode for group in self.drawn for episode in group.episodes]
        row: dict[str, float] = {
            "drawn_groups": len(self.drawn),
            "kept_groups": len(self.kept),
            "sampling_rounds": self.rounds,
            "episodes": len(episodes),
            "failed_episodes": len(self.failed),
            "too_long_episodes": self.too_long,
        }
        if not episodes:
            return row
        alike = sum(group.spread <= epsilon for group in self.drawn) / len(self.drawn)
        return row | {
            "group_spread": statistics.fmean(group.spread for group in self.drawn),
            "alike_share": alike,
            "skipped_share": alike if dynamic else 0.0,
            **episode_metrics(episodes, experts),
        }


def episode_metrics(episodes: Sequence[SampledEpisode], experts: bool = False) -> dict[str, float]:
    """What is worth knowing of finished episodes (at least one); `experts`: they were compared with the expert's."""
    turns = [turn for episode in episodes for turn in episode.turns]
    row = {
        "reward_mean": statistics.fmean(episode.reward for episode in episodes),
        "reward_std": statistics.pstdev(episode.reward for episode in episodes),
        "official_only": sum(episode.official and not episode.reward for episode in episodes) / len(episodes),
        "empty_patches": sum(episode.status == VerdictStatus.EMPTY_PATCH.value for episode in episodes) / len(episodes),
        "turns": len(turns) / len(episodes),
        "format_errors": sum(bool(turn.malformed) for turn in turns) / max(1, len(turns)),
        "unfinished": sum(turn.malformed.startswith(CUT) for turn in turns) / max(1, len(turns)),
        "completion_tokens": sum(episode.tokens for episode in episodes) / max(1, len(turns)),
        "sampled_tokens": float(sum(episode.tokens for episode in episodes)),
    }
    if experts:
        row["expert_similarity"] = statistics.fmean(episode.similarity for episode in episodes)
    stops = Counter(episode.stop for episode in episodes)
    return row | {f"stop/{stop}": count / len(episodes) for stop, count in sorted(stops.items()) if stop}


RunJobs = Callable[[Sequence[EpisodeJob], Sequence[SampledEpisode], Keep], None]


class EpisodeSampler(GroupSampler[EpisodeGroup]):
    """Draws the batches of an rlvr stage.

    Args:
        tasks: the training tasks.
        stage: group size and dynamic sampling; `batch_steps` counts tasks.
        seed: of the order of the tasks.
        run: runs and grades episodes, and grades episodes that have ended; hands each one over when it ends and when it
            is graded.
        store: where finished episodes are kept.
        processes: each runs its share of the episodes.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        stage: StageSettings,
        seed: int,
        run: RunJobs,
        store: EpisodeStore,
        processes: Processes = ALONE,
    ) -> None:
        super().__init__(len(tasks), stage, seed, EpisodeGroup.from_row)
        self.tasks, self.run, self.store, self.processes = tasks, run, store, processes

    def batch(self, update: int) -> EpisodeBatch:
        """The groups of this update: `batch_steps` of them, or fewer when the bound on resampling is reached first."""
        known, batch = self.processes.from_main(lambda: self.store.load(update)), EpisodeBatch([])
        batch.kept = self.fill(lambda count: self._groups(batch, count, update, known))
        return batch

    def _groups(
        self, batch: EpisodeBatch, count: int, update: int, known: dict[Key, SampledEpisode]
    ) -> list[EpisodeGroup]:
        """The groups of the next tasks; one without two episodes that count is none."""
        size, jobs = self.stage.group_size, []
        for epoch, index in self.stream.take(count):
            jobs += [EpisodeJob(self.tasks[index], sample) for sample in range(epoch * size, (epoch + 1) * size)]

        keys = [(job.task.instance_id, job.sample) for job in jobs]
        ungraded = [known[key] for key in keys if key in known and not known[key].status]
        missing = [job for job, key in zip(jobs, keys, strict=True) if key not in known]
        for share in self.processes.each(lambda: self._share(missing, ungraded, update)):
            known.update(share)
        groups = []
        for start in range(0, len(jobs), size):
            episodes = [known[key] for key in keys[start : start + size]]
            batch.failed += [episode for episode in episodes if episode.error]
            batch.too_long += sum(not episode.error and not episode.turns for episode in episodes)
            counted = tuple(episode for episode in episodes if not episode.error and episode.turns)
            if len(counted) > 1:
                groups.append(EpisodeGroup(jobs[start].task.instance_id, counted))
        batch.drawn += groups
        batch.rounds += 1
        return groups

    def _share(
        self, missing: Sequence[EpisodeJob], ungraded: Sequence[SampledEpisode], update: int
    ) -> dict[Key, SampledEpisode]:
        """Run and grade this process's share."""
        ended: dict[Key, SampledEpisode] = {}

        def keep(episode: SampledEpisode) -> None:
            self.store.keep(update, episode)
            ended[episode.key] = episode

        index, count = self.processes.index, self.processes.count
        self.run(missing[index::count], ungraded[index::count], keep)
        return ended


def with_logprobs(group: EpisodeGroup, found: Iterable[Sequence[float]]) -> EpisodeGroup:
    """The group with other log-probabilities, one row for each turn in order."""
    rows = iter(found)
    episodes = tuple(
        replace(episode, turns=tuple(replace(turn, logprobs=tuple(next(rows))) for turn in episode.turns))
        for episode in group.episodes
    )
    return replace(group, episodes=episodes, rescored=True)
