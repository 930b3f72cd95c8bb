"""Sampling groups: rewards, dynamic sampling and its bound, the buffer, what the generator must give."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tiny_models import make_tokenizer
from training_data import make_trajectory

from swe_srl.agents import AgentDefinition
from swe_srl.errors import ConfigError, TrainingError
from swe_srl.training.rollouts import Rollouts, Sampler, mean_similarity, sharpened
from swe_srl.training.settings import StageSettings
from swe_srl.training.targets import target_tokens
from swe_srl.training.watch import Watch
from swe_srl.trajectories import make_steps
from swe_srl.trajectories.action_format import format_action
from swe_srl.trajectories.prompting import Prompting
from swe_srl.types import Action, Completion, Message, Sampling

STEPS = list(make_steps((make_trajectory(number) for number in range(10)), Prompting()))


class FakeGenerator:
    """Answers by seed: every third context gets identical completions, the others one good and one bad of two."""

    def __init__(self, same: int = 3, tokens: bool = True) -> None:
        self.same, self.tokens = same, tokens
        self.seeds: list[int] = []

    def generate(
        self, contexts: Sequence[tuple[Message, ...]], n: int, sampling: Sampling, seeds: Sequence[int]
    ) -> list[list[Completion]]:
        self.seeds += seeds
        return [[self._one(seed, j) for j in range(n)] for seed in seeds]

    def _one(self, seed: int, j: int) -> Completion:
        good = j % 2 == 0 or (self.same and seed % self.same == 0)
        text = format_action(Action("ls src" if good else "rm -rf everything", "I think."))
        ids = (1, 2, 3) if self.tokens else ()
        return Completion(text, ids, (-0.5,) * len(ids), True, 10)


def sampler(generator: Any, **stage: Any) -> Sampler:
    values = {"batch_steps": 4, "group_size": 4, "max_resampling": 4.0, **stage}
    return Sampler(generator, STEPS, StageSettings(**values), seed=5)


def test_groups_without_spread_are_replaced_until_the_batch_is_full() -> None:
    generator = FakeGenerator()
    source = sampler(generator)
    batches = [source.batch() for _ in range(6)]
    for batch in batches:
        assert len(batch.kept) == 4 and all(group.spread > 0.01 for group in batch.kept)
    drawn = [group for batch in batches for group in batch.drawn]
    kept = [group for batch in batches for group in batch.kept]
    assert any(group.spread == 0 for group in drawn)
    assert kept == [group for group in drawn if group.spread > 0.01][: len(kept)], (
        "usable groups were lost or reordered"
    )
    assert len(generator.seeds) == len(set(generator.seeds)) == len(drawn)
    row = batches[0].metrics(0.01)
    assert row["skipped_share"] == sum(g.spread <= 0.01 for g in batches[0].drawn) / row["drawn_groups"]


def test_completions_are_read_and_targets_written_in_the_agents_form() -> None:
    steps = list(make_steps([make_trajectory(0)], Prompting(action_format="plain")))

    def groups(form: str) -> list[Rollouts]:
        generator = FakeGenerator()
        generator._one = lambda seed, j: Completion(f"<think>Hm.</think>{steps[0].target}", (1,), (-0.5,), True, 10)
        return Sampler(generator, steps, StageSettings(similarity="sequence"), 0, form=form).sample([(0, 0)], 2)

    assert groups("plain")[0].rewards == (1.0, 1.0)
    assert groups("bash")[0].reasons == ("no fenced bash command",) * 2
    tokenizer = make_tokenizer()
    written = tokenizer.decode(target_tokens(tokenizer, steps[0], True, "tool"))
    said = format_action(Action(steps[0].target, steps[0].thought), bool(steps[0].thought), "tool")
    assert written == f"{said}{tokenizer.eos_token}"


@pytest.mark.parametrize(("agent", "reward"), [("math", 1.0), ("math-answer", 1.0), ("plain", 1.0), ("shell", 0.0)])
def test_only_shell_commands_are_guarded(agent: str, reward: float) -> None:
    form = AgentDefinition.load(agent).prompting.action_format
    step = replace(next(make_steps([make_trajectory(0)], Prompting())), target="### Let #A be 3.")
    generator = FakeGenerator()
    generator._one = lambda seed, j: Completion(format_action(Action(step.target), form=form), (1,), (-0.5,), True, 10)
    group = Sampler(generator, [step], StageSettings(similarity="sequence"), 0, form=form).sample([(0, 0)], 2)[0]
    assert group.rewards == (reward, reward)


def test_the_bound_on_resampling_holds() -> None:
    batch = sampler(FakeGenerator(same=1), max_resampling=2.5).batch()
    assert batch.kept == [] and len(batch.drawn) == 10
    assert batch.metrics(0.01)["skipped_share"] == 1.0


def test_without_dynamic_sampling_everything_is_kept() -> None:
    batch = sampler(FakeGenerator(same=1), dynamic_sampling=False).batch()
    assert len(batch.kept) == len(batch.drawn) == 4 and batch.rounds == 1


def test_a_larger_epsilon_keeps_less() -> None:
    lax, strict = (sampler(FakeGenerator(same=0), epsilon=epsilon).batch() for epsilon in (0.01, 0.25))
    assert any(group.spread <= 0.25 for group in lax.kept)
    assert strict.kept and all(group.spread > 0.25 for group in strict.kept)


def test_resuming_goes_on_with_the_same_groups() -> None:
    whole, first = sampler(FakeGenerator()), sampler(FakeGenerator())
    expected = [whole.batch().kept for _ in range(6)]
    assert [first.batch().kept for _ in range(3)] == expected[:3]
    second = sampler(FakeGenerator())
    second.restore(first.state())
    assert [second.batch().kept for _ in range(3)] == expected[3:]


def test_rows_read_back() -> None:
    (group, *_) = sampler(FakeGenerator()).batch().kept
    assert Rollouts.from_row(group.row()) == group
    rescored = replace(group, rescored=((-1.0, -2.0), (-3.0,)))
    assert Rollouts.from_row(json.loads(json.dumps(rescored.row()))) == rescored
    row = group.row()
    del row["rescored"]  # a checkpoint of a version that did not keep them
    assert Rollouts.from_row(row) == group


def test_groups_that_wait_keep_the_logprobs_of_the_policy_that_sampled_them() -> None:
    source = sampler(FakeGenerator(same=2), temperature=0.5)
    sampled_at: dict[tuple[int, int], float] = {}
    waited = 0
    for policy in range(1, 7):
        batch = source.batch()
        sampled_at |= {(group.epoch, group.index): -float(policy) for group in batch.drawn}
        source.rescore(batch, lambda groups, now=-float(policy): [((now,) * 3,) * 4 for _ in groups])
        assert len(batch.kept) == 4
        for group in batch.kept + source.waiting:
            assert group.old == ((sampled_at[group.epoch, group.index],) * 3,) * 4
            waited += sampled_at[group.epoch, group.index] != -float(policy)
        state = json.loads(json.dumps(source.state()))
        source = sampler(FakeGenerator(same=2), temperature=0.5)
        source.restore(state)
    assert waited


def test_at_temperature_one_the_generators_logprobs_are_the_old_ones() -> None:
    source = sampler(FakeGenerator())
    batch = source.batch()
    source.rescore(batch, lambda groups: pytest.fail("scored once more for nothing"))
    assert batch.kept[0].old == ((-0.5,) * 3,) * 4


def test_steps_that_do_not_fit_are_counted_not_sampled() -> None:
    generator = FakeGenerator(same=0)
    source = sampler(generator)
    source.fits = lambda step: step.index == 0
    batch = source.batch()
    assert {STEPS[group.index].index for group in batch.drawn} == {0}
    assert batch.too_long > 0 and len(batch.kept) == 4
    source.fits = lambda step: step is STEPS[-1]  # however rare: one at a time, the others passed over
    rare = source.batch()
    assert {group.index for group in rare.drawn} == {len(STEPS) - 1} and len(rare.drawn) >= 4
    assert rare.too_long == pytest.approx((len(STEPS) - 1) * len(rare.drawn), abs=len(STEPS))


def test_a_malformed_completion_gets_the_penalty_and_validates_as_nothing() -> None:
    class Babbling(FakeGenerator):
        def _one(self, seed: int, j: int) -> Completion:
            return Completion("ls" if j else "```bash\nls src\n```", (1,), (-1.0,), True, 3)

    source = sampler(Babbling(), format_penalty=-2.0)
    batch = source.batch()
    assert {group.rewards[1] for group in batch.drawn} == {-2.0}
    assert batch.metrics(0.01)["format_errors"] == 0.75 and batch.metrics(0.01)["unfinished"] == 0
    exact = [group for group in batch.drawn if STEPS[group.index].target == "ls src"]
    assert exact and mean_similarity(exact) == 0.25


def test_a_completion_that_was_cut_is_malformed_whole_as_it_may_look() -> None:
    class Cut(FakeGenerator):
        def _one(self, seed: int, j: int) -> Completion:
            return Completion("```bash\nls src\n```", (1,), (-1.0,), bool(j), 3)

    batch = sampler(Cut(), max_new_tokens=7).batch()
    for group in batch.drawn:
        assert group.rewards[0] == -1.0 and min(group.rewards[1:]) >= 0
        assert group.reasons == ("did not end within 7 tokens", "", "", "")
    assert batch.metrics(0.01)["format_errors"] == batch.metrics(0.01)["unfinished"] == 0.25


class Malformed(FakeGenerator):
    """Every completion lacks its fence."""

    def _one(self, seed: int, j: int) -> Completion:
        return Completion("ls", (1,), (-1.0,), True, 3)


def seen(watch: Watch, source: Sampler) -> str:
    batch = source.batch()
    return watch.see(batch.kept, batch.drawn)


def test_updates_without_a_usable_group_stop_a_stage_that_has_learnt_nothing() -> None:
    watch, source = Watch(), sampler(Malformed())
    assert [seen(watch, source) for _ in range(2)] == ["", ""]
    assert "without one usable group" in watch.unlearnt()
    with pytest.raises(
        TrainingError, match=r"3 consecutive .* 192 of 192 completions malformed: 192 × no fenced .*sft"
    ):
        seen(watch, source)
    alike = Watch()
    equal = sampler(FakeGenerator(same=1), dynamic_sampling=False)
    with pytest.raises(TrainingError, match=r"mean reward 0\.\d\d; 0 of 48 completions malformed\)"):
        [seen(alike, equal) for _ in range(3)]


def test_a_usable_group_starts_the_count_anew_and_a_converged_stage_goes_on() -> None:
    watch, useful = Watch(), sampler(FakeGenerator())
    empty = sampler(FakeGenerator(same=1))
    for _ in range(3):
        assert [seen(watch, source) for source in (empty, empty, useful)] == ["", "", ""]
    said = [seen(watch, empty) for _ in range(5)]
    assert "little left to learn" in said[2] and not any(said[:2] + said[3:]) and not watch.unlearnt()
    collapsed = sampler(Malformed())
    seen(watch, useful)
    with pytest.raises(TrainingError, match="no usable group"):
        [seen(watch, collapsed) for _ in range(3)]


def test_a_generator_without_token_ids_is_refused() -> None:
    with pytest.raises(TrainingError, match="without token ids"):
        sampler(FakeGenerator(tokens=False)).batch()


def test_sharpness_is_the_power_of_the_similarity():
    assert sharpened(0.5, 3.0) == 0.125 and sharpened(1.0, 8.0) == 1.0
    assert sharpened(0.0, 2.0) == 0.0 and sharpened(-1.0, 2.0) == -1.0
    with pytest.raises(ConfigError, match="sharpness must be positive"):
        StageSettings(sharpness=0.0)
