"""RLVR: GRPO on the tests' verdict over whole episodes in sandboxes (arXiv 2402.03300; the reward is the hardened verdict)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from swe_srl.agents import EpisodeJob
from swe_srl.errors import TrainingError
from swe_srl.seeds import derive_seed
from swe_srl.training.episodes import EpisodeBatch, EpisodeGroup, EpisodeSampler, episode_metrics, with_logprobs
from swe_srl.training.experts import StepRewards, expert_commands, require_experts
from swe_srl.training.forward import TokenGroup
from swe_srl.training.journal import Clock
from swe_srl.training.method import BaseMethod
from swe_srl.training.objective import group_advantages
from swe_srl.training.rollouts import Logprobs
from swe_srl.training.runner import EpisodeRunner
from swe_srl.training.sampled import EpisodeStore, Keep, Key, SampledEpisode
from swe_srl.training.update import PolicyGroup
from swe_srl.training.workplace import Workplace


class RlvrMethod(BaseMethod):
    """Sampled episodes of the training tasks, rewarded 1 when the hidden tests pass by the hardened rules, else 0.

    With `step_weight`, a resolved episode earns more the closer its commands are to the expert's (rewards that an unresolved
    one earns too are hacked: arXiv 2508.10548).
    """

    criterion = "validation_resolved"
    later_on_ties = True  # a share of few tasks is often the same: what has learnt longer is preferred

    def __init__(self, work: Workplace, index: int, start: Path | str) -> None:
        super().__init__(work, index, start)
        self.runner = EpisodeRunner(work, index, derive_seed(self.seed, "episodes"), self._step_rewards())
        self.validator = EpisodeRunner(work, index, derive_seed(self.seed, "validation"))
        self.store = EpisodeStore(work.journal.run.file("rollouts") / str(index), work.processes.index)
        self.sampler = EpisodeSampler(work.tasks, self.stage, self.seed, self._run, self.store, work.processes)

    def prepare(self) -> int:
        """The training tasks."""
        return len(self.work.tasks)

    def state(self) -> dict[str, Any]:
        """Of the sampler."""
        return self.sampler.state()

    def restore(self, state: dict[str, Any], updates: int) -> None:
        """Go on from `state`; episodes that were finished since then are on disk."""
        self.sampler.restore(state)
        self.resumed = updates > 0

    def saved(self, updates: int) -> None:
        """Remove the episodes that led to the checkpoint."""
        self.store.forget(updates)

    def update(self, number: int, clock: Clock) -> dict[str, Any]:
        """Sample episodes until the batch is full, then update."""
        with clock.phase("episodes"), self.work.whole(), self.updater.context():
            batch = self.sampler.batch(number)
        self._require(batch, number)
        if said := self.watch.see(batch.kept, batch.drawn):
            self.work.progress.note(f"{self.name}: {said}")
        self.work.release()
        found = batch.metrics(self.stage.epsilon, self.stage.dynamic_sampling, self.stage.step_weight > 0)
        row: dict[str, Any] = {"epoch": self.sampler.stream.epoch, **found, **self.unfilled(len(batch.kept), number)}
        self.tell_unfinished(row)
        if not batch.kept:
            return row | self.tokens(batch.forward_tokens)
        scored = self.updater.scored
        first = [one for group in batch.kept for one in unit_of(group, self.stage.std_scaling)]
        self.check([one.tokens for one in first], clock, None if self.work.served else [one.old for one in first])
        drawn = set(map(id, batch.drawn))
        fresh = [one for group in batch.kept if id(group) in drawn for one in unit_of(group, self.stage.std_scaling)]
        row |= self.server_gap([one.tokens for one in fresh], [one.old for one in fresh], clock)
        with clock.phase("update"):
            self._rescore(batch)
        rescored = self.updater.scored - scored
        units = [unit_of(group, self.stage.std_scaling) for group in batch.kept]
        with clock.phase("update"):
            totals = self.updater.policy(units, derive_seed(self.seed, "minibatches", number - 1), number)
        row |= self.guarded(totals, number) | self.tokens(batch.forward_tokens, totals, rescored)
        if self.recorded(number):
            with clock.phase("samples"):
                self._show(batch.kept, number)
        return row

    def validate(self, clock: Clock) -> dict[str, Any]:
        """The share of held-out tasks that are resolved, one episode each, and what else is known of these episodes.

        When the infrastructure failed some of them, there is no share: that of the others would not compare.
        """
        tasks = sorted(self.work.held_tasks, key=lambda task: derive_seed(self.seed, "validation", task.instance_id))
        jobs = [EpisodeJob(task) for task in tasks[: self.stage.validation_steps]]
        processes = self.work.processes

        def share() -> dict[Key, SampledEpisode]:
            own: dict[Key, SampledEpisode] = {}
            mine = jobs[processes.index :: processes.count]
            self.validator.run(mine, (), lambda episode: own.update({episode.key: episode}), "validation")
            return own

        with clock.phase("validate"), self.work.whole(), self.updater.context():
            found = {key: episode for part in processes.each(share) for key, episode in part.items()}
        ended = [found[key] for key in sorted(found)]
        failed = [episode for episode in ended if episode.error]
        if failed:
            self.work.progress.note(
                f"{self.name}: {len(failed)} of {len(ended)} validation episodes failed for reasons that are not the model's, "
                f"so this update is not compared; the first: {failed[0].task_id}: {failed[0].error}"
            )
        if failed or not ended:
            return {"validation_failed": len(failed)} if failed else {}
        row = {f"validation_{name}": value for name, value in episode_metrics(ended).items()}
        return {"validation_resolved": row.pop("validation_reward_mean"), "validation_episodes": len(ended), **row}

    def _step_rewards(self) -> StepRewards | None:
        """What commands earn, when the stage asks for it. Validation is by the verdict alone."""
        if not self.stage.step_weight:
            return None
        commands, names = expert_commands(self.work.settings), [task.instance_id for task in self.work.tasks]
        count = require_experts(commands, names, self.work.settings.trajectories)
        if count < len(names):
            self.work.progress.note(
                f"{self.name}: {len(names) - count} of {len(names)} tasks have no expert: no step rewards"
            )
        return StepRewards(commands, self.stage, self.work.action_format)

    def _run(self, jobs: Sequence[EpisodeJob], ungraded: Sequence[SampledEpisode], keep: Keep) -> None:
        self.runner.run(jobs, ungraded, keep, "sampled")

    def _require(self, batch: EpisodeBatch, number: int) -> None:
        if batch.drawn or batch.kept:
            return
        if batch.failed:
            self.work.processes.from_main(lambda: self.store.forget_failures(number))
            raise TrainingError(
                f"no task has two episodes to compare: {len(batch.failed)} failed for reasons that are not the model's; the "
                f"first: {batch.failed[0].task_id}: {batch.failed[0].error}"
            )
        raise TrainingError(
            f"the first context of each of {batch.too_long} episodes is too long for the model: raise max_context_tokens, or "
            "use an agent definition with a shorter context"
        )

    def _rescore(self, batch: EpisodeBatch) -> None:
        """Log-probabilities at the sampling temperature, of groups that are trained on now and of those that wait."""
        if self.stage.temperature == 1.0:
            return
        groups = batch.kept + self.sampler.waiting
        for index, group in enumerate(groups):
            if not group.rescored:
                groups[index] = with_logprobs(group, self._logprobs(group))
        count = len(batch.kept)
        batch.kept, self.sampler.waiting = groups[:count], groups[count:]

    def _logprobs(self, group: EpisodeGroup) -> Logprobs:
        """Of the model as it is now, by turn."""
        turns = [turn for episode in group.episodes for turn in episode.turns]
        found = self.updater.logprobs([TokenGroup(turn.context, (turn.token_ids,)) for turn in turns])
        return tuple(rows[0] for rows in found)

    def _show(self, groups: Sequence[EpisodeGroup], number: int) -> None:
        """Write down one group of the update, with what the update did to it."""
        group = max(groups, key=lambda one: one.spread)
        place = {"stage": self.index, "update": number}
        self.work.journal.episodes(place, group, self.stage.std_scaling, self._logprobs(group))


def unit_of(group: EpisodeGroup, std_scaling: bool) -> list[PolicyGroup]:
    """All turns of a task's episodes, each with its episode's advantage; the prefixes that they share are computed once."""
    advantages = group_advantages(torch.tensor([group.rewards]), std_scaling)[0].tolist()
    return [
        PolicyGroup(TokenGroup(turn.context, (turn.token_ids,)), (turn.logprobs,), (advantage,), (episode.tokens,))
        for episode, advantage in zip(group.episodes, advantages, strict=True)
        for turn in episode.turns
    ]
