"""Studies without running anything: definitions, order, estimates and budgets, intervals, what the results say."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from swe_srl.cli import main
from swe_srl.errors import ConfigError, TaskError
from swe_srl.evaluation.statistics import Estimate, paired_bootstrap
from swe_srl.progress import SilentProgress
from swe_srl.runs import RunFolder
from swe_srl.settings import as_mapping
from swe_srl.studies import Arm, ReproduceSettings, Study, reading
from swe_srl.studies.conclusions import conclusions, summary
from swe_srl.studies.definition import load_study, recipe_of
from swe_srl.studies.figures import learning_figure
from swe_srl.studies.joining import check_joined, joined
from swe_srl.studies.markdown import results_markdown, row_cells
from swe_srl.studies.planning import MARGIN, RESERVE, Costs, choose_share
from swe_srl.studies.records import Record, Records
from swe_srl.studies.results import ArmResult, Results, lines_of
from swe_srl.studies.running import _identity, plan_of, reproduce
from swe_srl.studies.settings import COMPUTE, DATA
from swe_srl.studies.statistics import Values, difference, includes_zero, mean_of
from swe_srl.studies.units import MANY, Runs, Unit
from swe_srl.studies.writing import write_results
from swe_srl.training.settings import StageSettings
from swe_srl.types import Action, Trajectory, Turn

STUDY = """
description: a study of two arms
samples: 1
arms:
  - {name: base, title: the base}
  - {name: srl, title: SRL, recipe: quickstart, seconds: 10, tokens: 1000}
  - {name: sft, title: SFT, recipe: quickstart-sft, settings: [learning_rate=1e-4], seconds: 2, tokens: 100}
  - {name: then, title: SFT → RLVR, recipe: quickstart-rlvr, after: sft, seconds: 50, tokens: 5000}
"""

SETTING = re.compile(r"`(\w+): ([^`]+)`")


def study(text: str = STUDY, folder: Path | None = None) -> Study:
    assert folder is not None
    (folder / "mine.yaml").write_text(text)
    return load_study(str(folder / "mine.yaml"))


def runs_of(folder: Path, **settings: object) -> Runs:
    return Runs(ReproduceSettings(study="mine.yaml", output=folder / "out", **settings), study(folder=folder))  # type: ignore[arg-type]


def test_the_packaged_study_has_the_papers_rows_and_both_controls() -> None:
    found = {arm.name: arm for arm in load_study("quickstart").arms}
    assert list(found)[:4] == ["base", "srl", "sft", "rlvr"]
    assert {"lr0", "shuffled", "no-dynamic", "holistic", "sft-rlvr", "srl-rlvr"} <= found.keys()
    runs = Runs(ReproduceSettings(study="quickstart"), load_study("quickstart"))
    trainings = {name: runs.training(Unit(DATA, arm, 0)) for name, arm in found.items() if arm.recipe}
    assert trainings["lr0"].stages[0].learning_rate == 0 and trainings["shuffled"].stages[0].shuffle_targets
    assert (
        trainings["holistic"].stages[0].srl_target == "rest" and not trainings["no-dynamic"].stages[0].dynamic_sampling
    )
    assert [stage.method for stage in trainings["srl-rlvr"].stages] == ["rlvr"]
    assert trainings["srl-rlvr"].model.endswith("runs/data/srl-0/train/model")
    assert {one.evaluation_split for one in trainings.values()} == {"quickstart-test"}
    both = runs.training(Unit(COMPUTE, found["srl-rlvr"], 0), compute=1000)
    assert [(one.method, one.compute_tokens, one.updates) for one in both.stages] == [
        ("srl", 500, MANY),
        ("rlvr", 500, MANY),
    ]
    assert both.model == "quickstart"
    kept = runs.training(Unit(COMPUTE, found["no-dynamic"], 0), compute=1000).stages[0]
    assert not kept.dynamic_sampling and kept.compute_tokens == 1000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("name: srl,", "name: sft,"), "two have the name 'sft'"),
        (("after: sft", "after: sfd"), "did you mean 'sft'"),
        (("recipe: quickstart-sft", "recipe: quickstart-sfd"), r"mine\.yaml: arm sft: .*did you mean 'quickstart-sft'"),
        (("learning_rate=1e-4", "learning_rat=1e-4"), r"mine\.yaml: arm sft: .*did you mean 'learning_rate'"),
        (("learning_rate=1e-4", "model=other"), "arm sft has model other, others have quickstart"),
        (("title: the base", "title: the base, recipe: quickstart"), "so it is not the base model"),
        (("samples: 1", "sample: 1"), "did you mean 'samples'"),
        (("samples: 1", "main: sfd"), "main: unknown arm 'sfd': did you mean 'sft'.*The study says `main: NAME`"),
        (("samples: 1", "base: none"), "base: unknown arm 'none'.*The study says `base: NAME`"),
    ],
)
def test_a_study_that_cannot_be_used_is_refused(change: tuple[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        study(STUDY.replace(*change), tmp_path)


def test_arms_bring_those_that_they_need(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, arms=("then",), seeds=1)
    assert [arm.name for arm in runs.arms] == ["base", "sft", "then"]
    assert [unit.name for unit in runs.units()] == [
        "data/base-0",
        "data/sft-0",
        "data/then-0",
    ]  # no main arm: no second table


def test_the_first_arms_get_two_seeds_before_the_others(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, seeds=3)
    runs = dataclasses.replace(runs, study=dataclasses.replace(runs.study, core=2))
    names = [unit.name for unit in runs.units()]
    assert names[:5] == ["data/base-0", "data/srl-0", "data/base-1", "data/srl-1", "data/sft-0"]
    assert names.index("compute/then-1") < names.index("data/base-2") and "compute/srl-0" not in names
    assert len(names) == len(set(names)) == 3 * 4 + 3 * 2


def test_a_seed_of_every_control_comes_before_all_but_the_first_arms(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, seeds=3)
    arms = [arm if arm.name != "then" else dataclasses.replace(arm, control=True, after="") for arm in runs.study.arms]
    runs = dataclasses.replace(runs, study=dataclasses.replace(runs.study, core=3, arms=tuple(arms)))
    names = [unit.name for unit in runs.units()]
    assert names[6:10] == ["data/then-0", "compute/sft-0", "compute/sft-1", "data/then-1"]
    assert len(names) == len(set(names)) == 3 * 4 + 3 * 2
    with pytest.raises(ConfigError, match="then is a control, so it goes on from no other arm"):
        study(STUDY.replace("after: sft", "after: sft, control: true"), tmp_path)


@pytest.mark.parametrize("name", ["quickstart", "data-scale", "similarity", "group-size", "context"])
def test_an_hour_is_enough_for_the_controls_of_every_study(name: str) -> None:
    runs = Runs(ReproduceSettings(study=name, budget="1h"), load_study(name))
    runs = dataclasses.replace(runs, share=choose_share(runs, [], 60, 3600))
    taken = {unit.name for unit, _ in Costs(runs, [], 60).choose(3600).taken}
    assert {"data/base-1", "data/lr0-0", "data/shuffled-0"} <= taken
    assert {f"data/{arm.name}-1" for arm in runs.arms[: runs.study.core]} <= taken
    assert {arm.name for arm in runs.controls} == {"lr0", "shuffled"}


def test_a_night_is_enough_for_five_seeds() -> None:
    runs = Runs(ReproduceSettings(study="quickstart", budget="12h"), load_study("quickstart"))
    assert choose_share(runs, [], 60, 12 * 3600) == 1.0
    assert len(runs.seeds) == 5 and not Costs(runs, [], 60).choose(12 * 3600).left


def test_another_model_and_other_settings_reach_every_arm_but_a_control_stays_one() -> None:
    overrides = ("learning_rate=1e-5", "agent=plain", "dtype=bfloat16", "srl-rlvr:learning_rate=1e-6")
    settings = ReproduceSettings(study="quickstart", model="some/model", overrides=overrides)
    study = load_study("quickstart", settings.model, settings.overrides)
    runs, found = Runs(settings, study), {arm.name: arm for arm in study.arms}
    trainings = {name: runs.training(Unit(DATA, arm, 0)) for name, arm in found.items() if arm.recipe}
    rates = {name: one.stages[0].learning_rate for name, one in trainings.items()}
    assert rates.pop("lr0") == 0 and rates.pop("srl-rlvr") == 1e-6 and set(rates.values()) == {1e-5}
    assert {one.agent_name for one in trainings.values()} == {"plain"}
    assert {one.model for name, one in trainings.items() if not found[name].after} == {"some/model"}
    assert trainings["holistic"].stages[0].max_new_tokens == 256  # the arm's own
    base, srl = (runs.evaluation(Unit(DATA, found[name], 0)) for name in ("base", "srl"))
    assert (base.policy, base.agent, base.dtype) == ("some/model", "plain", "bfloat16") and srl.dtype == "bfloat16"
    assert found["base"].title == "base: some/model"
    stage = load_study("quickstart", overrides=["stages.0.learning_rate=1e-5"])
    assert Runs(settings, stage).training(Unit(DATA, stage.arm("lr0"), 0)).stages[0].learning_rate == 0


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("learning_rate", ["written KEY=VALUE or ARM:KEY=VALUE", "'learning_rate'"]),
        ("sfd:learning_rate=1", ["sfd", "sft"]),
        ("base:learning_rate=1", ["base is the base model as it is"]),
        ("model=other", ["model is set for all arms by --model"]),
        ("srl:seed=3", ["seed is set for all arms by --seed"]),
        ("learning_rat=1", ["arm srl", "learning_rat", "learning_rate"]),
        ("srl:agent=plain", ["agent_name", "arms are to be compared"]),
    ],
)
def test_an_override_that_cannot_be_is_refused(override: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_study("quickstart", overrides=[override])
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize("name", ["gold", "no/such/folder"])
def test_a_base_model_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such model folder"):
        reproduce(ReproduceSettings(study="quickstart", model=name, output=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_folder_of_another_model_or_override_is_not_gone_on_with(tmp_path: Path) -> None:
    made = ReproduceSettings(study="quickstart", output=tmp_path / "out")
    with RunFolder.start(made.folder, "reproduce", *_identity(made, load_study(made.study))):
        pass
    assert RunFolder.check(made.folder, "reproduce", *_identity(made, load_study(made.study)))
    for change in ({"model": "some/model"}, {"overrides": ("learning_rate=1e-5",)}):
        other = dataclasses.replace(made, **change)  # type: ignore[arg-type]
        study = load_study(other.study, other.model, other.overrides)
        with pytest.raises(ConfigError, match=next(iter(change))):
            RunFolder.check(other.folder, "reproduce", *_identity(other, study))


def record(name: str, compute: int, updates: int, seconds: float, episodes: int = 0) -> Record:
    return Record(name, "done", "", seconds, 2.0 * episodes, episodes, compute, 0, compute, 0, (updates,), (updates,))


def test_estimates_are_the_studys_own_until_something_is_measured(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, seeds=1, updates=10)
    units = {unit.name: unit for unit in runs.units()}
    before = Costs(runs, [], tasks=5)
    assert before.of(units["data/srl-0"]).tokens == 10_000 and before.of(units["data/then-0"]).tokens == 50_000
    assert before.of(units["data/srl-0"]).seconds > 100
    measured = [record("data/base-0", 0, 0, 0.0, episodes=5), record("data/srl-0", 20_000, 10, 400.0, episodes=5)]
    after = Costs(runs, measured, tasks=5)
    assert after.of(units["data/srl-0"]).seconds == 0 and after.episode_seconds == 2.0
    assert after.speed == pytest.approx(2.0)  # 0.02 seconds a token instead of 0.01
    assert after.of(units["data/sft-0"]).seconds - before.of(units["data/sft-0"]).seconds == pytest.approx(20 + 5)
    assert after.of(units["compute/sft-0"]).tokens == 20_000  # what the main arm took
    close = [*measured, record("data/sft-0", 19_500, 10, 20.0)]
    assert Costs(runs, close, tasks=5).of(units["compute/sft-0"]).seconds == 0  # it stands in both tables


def test_a_budget_leaves_out_what_does_not_fit_and_what_needs_it(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, seeds=1, updates=10)
    costs = Costs(runs, [], tasks=5)
    everything = costs.choose(1e9)
    assert not everything.left and len(everything.taken) == len(runs.units())
    named = {unit.name: cost for unit, cost in everything.taken}
    needed = sum(MARGIN * named[name].seconds for name in ("data/base-0", "data/srl-0", "data/sft-0"))
    choice = costs.choose(needed + RESERVE + 1)
    assert [unit.name for unit, _ in choice.taken] == ["data/base-0", "data/srl-0", "data/sft-0"]
    assert [unit.name for unit, _ in choice.left] == ["data/then-0", "compute/sft-0", "compute/then-0"]
    assert MARGIN * choice.total.seconds + RESERVE <= needed + RESERVE + 1
    assert not costs.choose(10).taken


def test_a_short_budget_shortens_the_stages(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, seeds=1)
    shares = [choose_share(runs, [], 5, budget) for budget in (1e9, 700, 400, 1)]
    assert shares == [1.0, 0.5, 0.25, 0.25]
    short = dataclasses.replace(runs, share=0.5)
    assert short.stages(runs.study.arm("srl"))[0].updates == 9
    assert runs_of(tmp_path, updates=3).stages(runs.study.arm("srl"))[0].updates == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"budget": "soon"}, "a time such as 90m"),
        ({"budget": "12"}, "a time such as 90m"),
        ({"budget": "0h"}, "no time at all"),
        ({"tables": ("dat",)}, "did you mean 'data'"),
        ({"updates": 0}, "updates must be at least 1"),
    ],
)
def test_settings_that_cannot_be_used(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ReproduceSettings(study="quickstart", **settings)  # type: ignore[arg-type]


def test_with_one_seed_the_interval_is_that_of_the_paired_bootstrap() -> None:
    tasks = [f"t{number}" for number in range(60)]
    a = {task: float(number % 7 == 0) for number, task in enumerate(tasks)}
    b = {task: float(number % 3 == 0) for number, task in enumerate(tasks)}
    ours = difference({0: a}, {0: b})
    theirs = paired_bootstrap({task: [a[task]] for task in tasks}, {task: [b[task]] for task in tasks})
    assert ours is not None and ours.value == pytest.approx(theirs.value)
    assert ours.low == pytest.approx(theirs.low, abs=0.02) and ours.high == pytest.approx(theirs.high, abs=0.02)


def test_seeds_that_differ_widen_the_interval() -> None:
    tasks = [f"t{number}" for number in range(60)]
    alike: Values = {seed: {task: float(int(task[1:]) % 2) for task in tasks} for seed in range(4)}
    apart: Values = {seed: {task: float(seed % 2) for task in tasks} for seed in range(4)}
    narrow, wide = mean_of(alike), mean_of(apart)
    assert narrow.value == wide.value == 0.5
    assert narrow.high - narrow.low < 0.3 < 0.9 < wide.high - wide.low
    assert difference({0: {"a": 1.0}}, {1: {"a": 1.0}}) is None
    same = difference(alike, alike)
    assert same is not None and same.value == 0 and same.low < 0 < same.high and includes_zero(same)


def arm_result(arm: Arm, values: Values, base: Values | None, tokens: float = 20.0, **extra: object) -> ArmResult:
    lengths = {seed: dict.fromkeys(tasks, tokens) for seed, tasks in values.items()}
    flat = {seed: dict.fromkeys(tasks, 20.0) for seed, tasks in values.items()}
    return ArmResult(
        arm=arm,
        seeds=tuple(values),
        resolved=values,
        hardened=values,
        rate=mean_of(values),
        hardened_rate=mean_of(values),
        change=None if base is None else difference(base, values),
        similarity=0.8,
        format_errors=0.01,
        tokens=tokens,
        thought_tokens=10.0,
        turn_tokens=lengths,
        longer=None if base is None else difference(flat, lengths, (-100, 100)),
        turns=6.0,
        turns_resolved=5.0,
        samples=40,
        lost=0,
        by_difficulty={"hard": (1, 50), "easy": (3, 30)},
        by_kind={"boundary": (3, 20), "constant": (1, 60)},
        trajectories=int(arm.name.partition("-")[2]) if arm.line else None,
        skipped=0.25,
        records=(record(f"data/{arm.name}-0", 1_000_000, 18, 60.0),),
        settings={"stages": [{"method": "srl", "learning_rate": 0.0 if arm.name == "sft" else 1e-4}]}
        if arm.recipe
        else {},
        **extra,  # type: ignore[arg-type]
    )


def outcomes(share: float, seeds: Sequence[int] = (0, 1), count: int = 40) -> Values:
    return {seed: {f"t{n}": float((n * 7 + seed) % count < share * count) for n in range(count)} for seed in seeds}


def results_of(folder: Path, shares: dict[str, float], tokens: float = 20.0) -> Results:
    runs = runs_of(folder, arms=("base", "srl", "sft"), tables=(DATA,), figures=False)
    base = outcomes(shares["base"])
    rows = [
        arm_result(arm, outcomes(shares[arm.name]), base if arm.recipe else None, tokens if arm.recipe else 20.0)
        for arm in runs.arms
    ]
    machine = {"platform": "Linux", "cpus": 2, "python": "3.11", "versions": {"torch": "2"}, "git": {}}
    left = {"data/srl-2": "it would take about 9.0 minutes, and 2.0 minutes of the budget are left"}
    return Results(runs, {DATA: rows}, left, "swe-srl reproduce mine.yaml", 90.0, machine)


def test_the_bases_own_episodes_differ_by_nothing(tmp_path: Path) -> None:
    """Equal outcomes leave an interval, the same words none: a seed with another word is enough for it."""
    results = results_of(tmp_path, {"base": 0.1, "srl": 0.6, "sft": 0.1})
    rows = {row.arm.name: row for row in results.tables[DATA]}

    def told(base: dict[int, str], own: dict[int, str], name: str = "sft") -> tuple[ArmResult, str]:
        row = reading._against(replace(rows["base"], episodes=base), replace(rows[name], episodes=own))
        changed = replace(results, tables={DATA: [rows["base"], rows["srl"], row]})
        return row, " ".join(conclusions(changed, DATA))

    same, said = told({0: "a", 1: "b", 2: "c"}, {0: "a", 1: "b"})
    assert same.change == same.longer == Estimate(0.0, 0.0, 0.0)
    assert row_cells(same)[3] == "+0.0, the same episodes"
    assert f"{same.arm.title} against the base model: the same episodes, word for word." in said
    for base, own, name in (
        ({0: "a", 1: "b"}, {0: "a", 1: "x"}, "sft"),
        ({0: "a"}, {}, "sft"),
        ({0: "a", 1: "b"}, {0: "a", 1: "b"}, "srl"),
    ):
        other, said = told(base, own, name)
        assert other.change is not None and other.change.low < other.change.high and not other.as_base
        assert "same episodes" not in said and "same episodes" not in row_cells(other)[3]


def test_the_digest_of_episodes_is_of_what_was_written() -> None:
    turn = Turn(Action("ls"), raw="<think>a</think> ls")
    episode = Trajectory("t#0", "t", (turn,), patch="p")
    digest = reading._digest({("t", 0): episode, ("u", 0): episode})
    assert digest == reading._digest({("u", 0): replace(episode, trajectory_id="other"), ("t", 0): episode})
    for other in (replace(episode, patch="q"), replace(episode, turns=(replace(turn, raw="<think>b</think> ls"),))):
        assert reading._digest({("t", 0): other, ("u", 0): episode}) != digest
    assert reading._digest({("t", 1): episode, ("u", 0): episode}) != digest


def test_what_the_figures_do_not_support_is_not_said(tmp_path: Path) -> None:
    better = conclusions(results_of(tmp_path, {"base": 0.1, "srl": 0.6, "sft": 0.1}), DATA)
    assert any(one.startswith("SRL resolves more than the base model: +50.0 points") for one in better)
    assert any(one.startswith("SFT against the base model: +0.0 points") and "includes 0" in one for one in better)
    assert any(one.startswith("SRL resolves more than SFT") for one in better)
    assert any("resolves exactly what the base model does" in one for one in better)  # its learning rate is 0
    worse = conclusions(results_of(tmp_path, {"base": 0.5, "srl": 0.1, "sft": 0.6}), DATA)
    assert any(one.startswith("SRL resolves less than the base model: -40.0") for one in worse)
    assert any(one.startswith("SRL resolves LESS than SFT") for one in worse)
    assert any("WHICH IT MUST NOT" in one for one in worse)
    results = results_of(tmp_path, {"base": 0.5, "srl": 0.1, "sft": 0.6})
    base, *rest = results.tables[DATA]
    rows = [base, *(replace(row, arm=replace(row.arm, settings=("agent=shell",))) for row in rest)]
    other = conclusions(replace(results, tables={DATA: rows}), DATA)
    assert not any("WHICH IT MUST NOT" in one for one in other), "SRL is shown something else than the base is"
    assert not any("includes 0" in one and "resolve" in one for one in worse)
    even = results_of(tmp_path, {"base": 0.3, "srl": 0.35, "sft": 0.3})
    assert "no difference is shown" in summary(even)
    assert any("trainings of an arm say little" in one for one in conclusions(even, DATA))


def test_the_length_of_answers_is_told_either_way(tmp_path: Path) -> None:
    shares = {"base": 0.1, "srl": 0.6, "sft": 0.1}
    assert any(
        "no difference is shown" in one and "tokens a turn" in one
        for one in conclusions(results_of(tmp_path, shares), DATA)
    )
    longer = conclusions(results_of(tmp_path, shares, tokens=60.0), DATA)
    assert any(one.startswith("Answers of SRL are longer than the base model's: +40.0 tokens") for one in longer)


def test_the_page_has_the_command_every_setting_and_what_is_left_out(tmp_path: Path) -> None:
    results = results_of(tmp_path, {"base": 0.1, "srl": 0.6, "sft": 0.1})
    page = write_results(results, SilentProgress()).read_text()
    for words in (
        "swe-srl reproduce mine.yaml",
        "| SRL | 2 | 60.0% (",
        "`data/srl`, seed 2: it would take about 9.0 minutes",
        "learning_rate: 0.0001",
        "1.00M / 0.0k",
        "torch 2",
        "| 18 | 25% | 1.00M / 0.0k |",
        "| constant | 1 of 60 | 1 of 60 | 1 of 60 |",
        "| easy | 3 of 30 | 3 of 30 | 3 of 30 |\n| hard | 1 of 50 | 1 of 50 | 1 of 50 |",
    ):
        assert words in page, words
    data = json.loads((tmp_path / "out" / "results.json").read_text())
    (_, srl, _) = data["tables"][DATA]
    assert srl["rate"]["value"] == pytest.approx(0.6) and srl["change"]["low"] > 0 and srl["arm"]["name"] == "srl"
    assert data["command"] == results.command and data["left_out"] == dict(results.left)


def test_figures_are_drawn_as_svg_and_png(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    results = results_of(tmp_path, {"base": 0.1, "srl": 0.6, "sft": 0.1})
    settings = dataclasses.replace(results.runs.settings, figures=True)
    results = dataclasses.replace(results, runs=dataclasses.replace(results.runs, settings=settings))
    page = write_results(results, SilentProgress()).read_text()
    for name in ("resolved-data", "difference-data", "learning-data"):
        assert f"](figures/{name}.svg)" in page
        svg = (tmp_path / "out" / "figures" / f"{name}.svg").read_text()
        assert "<svg" in svg
        assert (tmp_path / "out" / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    first = (tmp_path / "out" / "figures" / "resolved-data.svg").read_bytes()
    write_results(results, SilentProgress())
    assert (tmp_path / "out" / "figures" / "resolved-data.svg").read_bytes() == first


def test_curves_of_several_measures_name_them(tmp_path: Path) -> None:
    text = pytest.importorskip("matplotlib.text").Text
    results = results_of(tmp_path, {"base": 0.1, "srl": 0.6, "sft": 0.1})
    srl, sft = results.row(DATA, "srl"), results.row(DATA, "sft")
    assert srl is not None and sft is not None
    srl = dataclasses.replace(srl, settings={"stages": [{"method": "srl", "similarity": "shell"}]})
    for row in (srl, sft):
        metrics = results.runs.settings.folder / "runs" / row.records[0].name / "train" / "metrics.jsonl"
        metrics.parent.mkdir(parents=True)
        metrics.write_text('{"validation_similarity": 0.5}\n{"validation_similarity": 0.6}\n')

    def labels(*rows: ArmResult) -> set[str]:
        return {one.get_text() for one in learning_figure(results, DATA, rows).findobj(text)}

    assert {"SRL (by shell)", "SFT (by sequence)"} <= labels(srl, sft)
    assert {"SRL", "similarity on held-out steps"} <= labels(srl)


LINES = """
main: srl-50
axis: trajectories
tables: [data]
arms:
  - {name: base, title: the base}
  - {name: srl-50, title: SRL on 50, line: SRL, recipe: quickstart, settings: [most_trajectories=50]}
  - {name: srl-25, title: SRL on 25, line: SRL, recipe: quickstart, settings: [most_trajectories=25]}
  - {name: sft-25, title: SFT on 25, line: SFT, recipe: quickstart-sft, settings: [most_trajectories=25]}
"""


def test_a_study_over_the_number_of_trajectories(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    runs = Runs(ReproduceSettings(study="mine.yaml", output=tmp_path / "out"), study(LINES, tmp_path))
    assert runs.tables() == (DATA,) and all(unit.table == DATA for unit in runs.units())
    assert runs.training(Unit(DATA, runs.study.arm("srl-25"), 0)).most_trajectories == 25
    shares = {"base": 0.1, "srl-50": 0.6, "srl-25": 0.3, "sft-25": 0.2}
    rows = [arm_result(arm, outcomes(shares[arm.name]), outcomes(0.1) if arm.recipe else None) for arm in runs.arms]
    assert {name: [count for count, _ in points] for name, points in lines_of(rows).items()} == {
        "SRL": [25, 50],
        "SFT": [25],
    }
    machine = {"platform": "Linux", "cpus": 2, "python": "3.11", "versions": {}, "git": {}}
    page = write_results(Results(runs, {DATA: rows}, {}, "x", 9.0, machine), SilentProgress()).read_text()
    (table,) = [part for part in page.split("\n\n") if part.startswith("| trajectories | SRL | SFT |")]
    assert table.splitlines()[2].startswith("| 25 | 30.0% (") and table.splitlines()[3].endswith("|  |")
    assert "so many of the same trajectories" in page and "](figures/trajectories-data.svg)" in page
    svg = (tmp_path / "out" / "figures" / "trajectories-data.svg").read_text()
    assert "number of trajectories" in svg and "SFT" in svg
    with pytest.raises(ConfigError, match=r"tables: mine\.yaml has only data"):
        dataclasses.replace(runs, settings=ReproduceSettings(study="mine.yaml", tables=(COMPUTE,))).tables()
    with pytest.raises(ConfigError, match="srl-50 has a line, but the study has no axis"):
        study(LINES.replace("axis: trajectories\n", ""), tmp_path)


def test_the_packaged_studies_of_data_scale_and_similarity() -> None:
    scale = Runs(ReproduceSettings(study="data-scale"), load_study("data-scale"))
    trainings = {arm.name: scale.training(Unit(DATA, arm, 0)) for arm in scale.arms if arm.recipe}
    for method in ("srl", "sft"):
        assert {trainings[f"{method}-{count}"].most_trajectories for count in (25, 50, 100, "all")} == {25, 50, 100, 0}
        assert {one.stages for name, one in trainings.items() if name.startswith(method)} == {
            trainings[f"{method}-all"].stages
        }
    alike = Runs(ReproduceSettings(study="similarity"), load_study("similarity"))
    stages = {arm.name: alike.training(Unit(DATA, arm, 0)).stages[0] for arm in alike.arms if arm.recipe}
    assert {name: (stage.similarity, stage.sharpness, stage.epsilon) for name, stage in stages.items()} == {
        "shell": ("shell", 8, 0.1),
        "sequence": ("sequence", 8, 0.1),
        "shell-plain": ("shell", 1, 0.01),
        "sequence-plain": ("sequence", 1, 0.01),
        "effect": ("effect", 8, 0.1),
        "lr0": ("shell", 8, 0.1),
        "shuffled": ("shell", 8, 0.1),
    }


def test_arms_that_vary_the_agent_are_trained_and_evaluated_with_their_own(tmp_path: Path) -> None:
    runs = Runs(ReproduceSettings(study="context"), load_study("context"))
    units = [Unit(DATA, arm, 0) for arm in runs.arms]
    assert {unit.arm.name: runs.evaluation(unit).agent for unit in units} == {
        **dict.fromkeys(("base", "full", "lr0", "shuffled"), "quickstart"),
        **dict.fromkeys(("two", "two-lr0"), "quickstart-last-two"),
        **dict.fromkeys(("one", "one-lr0"), "quickstart-last-one"),
    }
    for unit in units:
        if unit.arm.recipe:
            assert runs.training(unit).agent_name == runs.evaluation(unit).agent
    with pytest.raises(ConfigError, match="arm sft has agent_name shell, others have quickstart"):
        study(STUDY.replace("settings: [", "settings: [agent=shell, "), tmp_path)


def test_a_study_of_one_difficulty_trains_on_it_and_evaluates_it(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, difficulty=("hard",))
    unit = Unit(DATA, runs.study.arm("srl"), 0)
    assert runs.training(unit).difficulty == runs.evaluation(unit).difficulty == ("hard",)
    assert runs_of(tmp_path).evaluation(unit).difficulty == ()


def test_without_matplotlib_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # importing it fails
    notes: list[str] = []

    class Told(SilentProgress):
        def note(self, text: str) -> None:
            notes.append(text)

    results = results_of(tmp_path, {"base": 0.1, "srl": 0.6, "sft": 0.1})
    runs = dataclasses.replace(results.runs, settings=dataclasses.replace(results.runs.settings, figures=None))
    page = write_results(dataclasses.replace(results, runs=runs), Told()).read_text()
    assert "figures/" not in page and notes == ["figures need matplotlib: pip install 'swe-srl[figures]'"]
    assert main(["reproduce", "quickstart", "--figures", "--dry-run"]) == 2
    assert "swe-srl[figures]" in capsys.readouterr().err


def test_an_interval_knows_zero() -> None:
    assert includes_zero(Estimate(0.1, 0.0, 0.2)) and includes_zero(Estimate(0.0, -0.1, 0.1))
    assert not includes_zero(Estimate(0.1, 0.01, 0.2)) and not includes_zero(Estimate(-0.1, -0.2, -0.01))


def test_the_page_of_a_study_without_a_finished_run(tmp_path: Path) -> None:
    results = results_of(tmp_path, {"base": 0.1, "srl": 0.6, "sft": 0.1})
    empty = dataclasses.replace(results, tables={DATA: []})
    assert "No run is finished." in results_markdown(empty) and empty.tasks == 0
    assert summary(empty).startswith("The main arm is not finished")


def finished_elsewhere(folder: Path, seed: int, **settings: object) -> ReproduceSettings:
    """A study's folder in which the base and SRL are finished with one seed, and SFT has failed."""
    (folder / "mine.yaml").write_text(STUDY)
    made = ReproduceSettings(
        study=str(folder / "mine.yaml"), output=folder / f"out-{seed}", seed=seed, seeds=1, **settings
    )  # type: ignore[arg-type]
    with RunFolder.start(made.folder, "reproduce", *_identity(made, load_study(made.study))) as run:
        records = Records(run)
        for name in ("base", "srl"):
            place = made.folder / "runs" / "data" / f"{name}-{seed}"
            (place / "train" / "checkpoints").mkdir(parents=True)
            (place / "train" / "metrics.jsonl").write_text(f"{name} {seed}\n")
            records.keep(Record(f"data/{name}-{seed}", "done"))
        records.keep(Record(f"data/sft-{seed}", "failed", "no memory"))
    (made.folder / "clock.json").write_text('{"seconds": 100}\n')
    return made


def test_runs_made_elsewhere_are_joined(tmp_path: Path) -> None:
    other = finished_elsewhere(tmp_path, 1)
    here = dataclasses.replace(finished_elsewhere(tmp_path, 0), join=(other.folder,), seeds=2)
    check_joined(here, *_identity(here, load_study(here.study)))
    half = here.folder / "runs" / "data" / ".srl-1.joined"
    half.mkdir()  # what an interrupted copy left
    (half / "rubbish").touch()
    taken = joined(here, other.folder, ["data/base-0", "data/base-1"])
    assert [record.name for record in taken] == ["data/srl-1"]
    place = here.folder / "runs" / "data" / "srl-1"
    assert (place / "train" / "metrics.jsonl").read_text() == "srl 1\n"
    assert not (place / "train" / "checkpoints").exists() and not half.exists() and not (place / "rubbish").exists()
    assert joined(here, other.folder, [f"data/{name}-1" for name in ("base", "srl")]) == []
    shutil.rmtree(other.folder / "runs")
    with pytest.raises(ConfigError, match=r"join: .* says that data/base-1 is finished, but .* is not there"):
        joined(here, other.folder, [])
    assert place.exists()


def test_runs_of_another_study_are_not_joined(tmp_path: Path) -> None:
    here = finished_elsewhere(tmp_path, 0)
    (tmp_path / "empty").mkdir()

    def refused(folder: Path) -> str:
        with pytest.raises(ConfigError) as error:
            check_joined(
                dataclasses.replace(here, join=(folder,)),
                *_identity(dataclasses.replace(here, join=(folder,)), load_study(here.study)),
            )
        return str(error.value)

    assert refused(tmp_path / "empty") == f"join: {tmp_path / 'empty'} holds no results of swe-srl reproduce"
    other = finished_elsewhere(tmp_path, 1, samples=3, workers=5)
    assert refused(other.folder).endswith("Differing: samples: was 3, is 0")
    shorter = finished_elsewhere(tmp_path, 2)
    (shorter.folder / "plan.json").write_text('{"share": 0.5}')
    assert refused(shorter.folder).endswith("Differing: share of the recipes' updates: was 0.5, is 1")
    (tmp_path / "mine.yaml").write_text(STUDY.replace("learning_rate=1e-4", "learning_rate=2e-4"))
    assert "data.study: was" in refused(finished_elsewhere_as_it_is(tmp_path))


def finished_elsewhere_as_it_is(folder: Path) -> Path:
    """The folder of a study whose definition was another one then."""
    made = folder / "out-3"
    shutil.copytree(folder / "out-2", made)
    (made / "plan.json").unlink()
    return made


@pytest.mark.slow
@pytest.mark.sandbox
def test_a_budget_that_is_too_short_is_refused_before_anything_is_run(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    settings = ReproduceSettings(study="quickstart", budget="2m", limit=60, output=folder)
    with pytest.raises(ConfigError, match="in 2m: give it 5m at least"):
        plan_of(settings)
    with pytest.raises(ConfigError, match="in 2m: give it 5m at least"):
        reproduce(settings)
    assert not folder.exists()
    enough = plan_of(dataclasses.replace(settings, budget="5m")).choice
    assert [unit.name for unit, _ in enough.taken] == ["data/base-0", "data/sft-0"]


@pytest.mark.sandbox
def test_tasks_that_no_run_could_have_are_refused_before_anything_is_run(tmp_path: Path) -> None:
    settings = ReproduceSettings(study="quickstart", difficulty=("harrd",), arms=("base",), output=tmp_path / "out")
    with pytest.raises(TaskError, match="unknown difficulty 'harrd': did you mean 'hard'"):
        reproduce(settings)
    assert not settings.folder.exists()


@pytest.mark.sandbox
def test_the_base_alone_can_be_planned_without_a_budget(tmp_path: Path) -> None:
    settings = ReproduceSettings(study="quickstart", arms=("base",), seeds=2, output=tmp_path / "out")
    assert [unit.name for unit, _ in plan_of(settings).choice.taken] == ["data/base-0", "data/base-1"]


def test_the_results_page_states_every_setting_of_its_arms() -> None:
    page = (Path(__file__).parents[1] / "docs" / "results.md").read_text()
    section = page.split("### Settings\n")[1].split("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:2] == "| "]
    told = {title: (recipe, text) for title, recipe, text in cells}
    usual = as_mapping(StageSettings()) | {"final_model": "best"}

    def stated(title: str) -> dict[str, Any]:
        text = told[title][1]
        own = {name: yaml.safe_load(value) for name, value in SETTING.findall(text)}
        alike = re.match(r"as (\w+)", text)
        return (stated(alike[1]) if alike else usual) | own

    for arm in load_study("quickstart").arms:
        if arm.recipe:
            settings = recipe_of(arm)
            (stage,) = settings.stages
            assert told[arm.title][0] == f"`{arm.recipe}`"
            assert stated(arm.title) == as_mapping(stage) | {"final_model": settings.final_model}, arm.title
    for name, value in SETTING.findall(section.split("Defaults that matter")[1]):
        assert usual[name] == yaml.safe_load(value), name
