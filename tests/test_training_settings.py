"""Settings of a training run: stages, overrides of every stage, checks, recipes."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import yaml

from swe_srl.agents.definition import AgentDefinition
from swe_srl.definitions import definition_names
from swe_srl.errors import ConfigError
from swe_srl.settings import Draft, as_mapping, as_yaml, from_mapping, settings_of
from swe_srl.training import StageSettings, TrainSettings, load_recipe
from swe_srl.training.method_settings import READ_BY


def test_a_setting_of_the_run_replaces_that_of_every_stage() -> None:
    draft = Draft(TrainSettings)
    draft.update({"stages": [{"method": "sft", "updates": 5}, {"method": "srl", "group_size": 4}]}, "file")
    draft.set("learning_rate", "2e-4", "--learning-rate")
    draft.set("shuffle_targets", "true", "--shuffle-targets")
    stages = draft.build().stages
    assert [stage.learning_rate for stage in stages] == [2e-4, 2e-4]
    assert [(stage.method, stage.updates, stage.group_size) for stage in stages] == [("sft", 5, 8), ("srl", 0, 4)]
    assert all(stage.shuffle_targets for stage in stages)


def test_a_dotted_key_reaches_one_stage() -> None:
    draft = Draft(TrainSettings)
    draft.update({"stages": [{}, {}]}, "file")
    draft.set("stages.1.kl", "0.1", "stages.1.kl=0.1")
    assert [stage.kl for stage in draft.build().stages] == [0.0, 0.1]


def test_resolved_settings_read_back_equal() -> None:
    settings = from_mapping(TrainSettings, {"updates": 3, "learning_rate": 1e-6, "stages": [{}, {"kl": 0.5}]}, "test")
    assert from_mapping(TrainSettings, yaml.safe_load(as_yaml(settings)), "printed") == settings
    assert from_mapping(TrainSettings, as_mapping(settings), "plain") == settings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": 0}, "temperature must be positive"),
        ({"group_size": 1}, "group_size must be at least 2"),
        ({"warmup": 1}, "warmup must be at least 0 and below 1"),
        ({"batch_steps": 2, "minibatches": 3}, "minibatches"),
        ({"method": "slr"}, "did you mean 'srl'"),
        ({"epsilon": -0.1}, "epsilon must be at least 0"),
    ],
)
def test_wrong_stages(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_mapping(TrainSettings, {"stages": [values]}, "test")
    assert StageSettings(method="sft", group_size=1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stages": [{"method": "sft", "inner_epochs": 3}]}, r"stages\.0\.inner_epochs is 3, .*sft, .*of srl and rlvr"),
        ({"stages": [{}, {"method": "sft", "kl": 0.5}]}, r"stages\.1\.kl is 0\.5, but the stage's method, sft,"),
        ({"stages": [{"method": "rlvr", "steps_per_trajectory": 2}]}, r"stages\.0\.steps_per_trajectory .*srl and sft"),
        ({"stages": [{"method": "rlvr", "srl_target": "rest"}]}, r"stages\.0\.srl_target .* a setting of srl:"),
        ({"stages": [{"step_weight": 0.5}]}, r"stages\.0\.step_weight .* a setting of rlvr:"),
        ({"stages": [{"epsilon": 0.1}], "method": "sft"}, r"stages\.0\.epsilon is 0\.1, .* method, sft,"),
        ({"method": "sft", "pivot_samples": 4}, "pivot_samples: no stage of this run reads it. .*; the stages are sft"),
        ({"stages": [{}, {"method": "sft"}], "step_weight": 0.5}, "step_weight: no stage .*; the stages are srl, sft"),
        ({"lora": {"targets": "nosuch"}}, r"lora: .* without lora\.rank"),
    ],
)
def test_settings_that_nothing_reads_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_mapping(TrainSettings, values, "test")


def test_a_setting_of_the_run_goes_to_the_stages_that_read_it() -> None:
    stages = [{"method": "sft"}, {"method": "srl"}, {"method": "rlvr"}]
    values = {"stages": stages, "group_size": 4, "step_weight": 0.5, "pivot_samples": 3, "sft_target": "command"}
    settings = from_mapping(TrainSettings, values, "test")
    assert [one.group_size for one in settings.stages] == [8, 4, 4]
    assert [one.step_weight for one in settings.stages] == [0, 0, 0.5]
    assert [one.pivot_samples for one in settings.stages] == [0, 3, 0]
    assert [one.sft_target for one in settings.stages] == ["command", "command", "thought+command"]
    assert from_mapping(TrainSettings, as_mapping(settings), "plain") == settings
    assert set(READ_BY) <= set(settings_of(StageSettings))
    turned = from_mapping(TrainSettings, {"stages": [{"group_size": 4}], "method": "rlvr", "step_weight": 1}, "test")
    assert (turned.stages[0].group_size, turned.stages[0].step_weight) == (4, 1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "SRL"}, "method: unknown value 'SRL'"),
        ({"learning_rate": 1e39}, "learning_rate must be within the range of float32"),
        ({"learning_rate": 1e38}, r"learning_rate 1e\+38 makes steps beyond float32: it must be at most 3.1e\+37"),
        ({"learning_rate": 1e37, "weight_decay": 100.0}, "learning_rate 1e.37 times weight_decay makes steps beyond"),
        ({"schedule": "cosin"}, "schedule: .*did you mean 'cosine'"),
        ({"average": "tokens"}, "average: .*did you mean 'token'"),
        ({"sft_target": "thought"}, "sft_target: "),
        ({"similarity": "sequense"}, "did you mean 'sequence'"),
    ],
)
def test_choices_are_checked_in_python_too(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StageSettings(**values)
    with pytest.raises(ConfigError, match=message):
        from_mapping(TrainSettings, {"stages": [{}, values]}, "test")


def test_the_runs_own_choices_are_checked_in_python_too() -> None:
    with pytest.raises(ConfigError, match="did you mean 'best'"):
        TrainSettings(final_model="Best")
    with pytest.raises(ConfigError, match="method: unknown value 'SRL'\\. Known: rlvr, sft, srl"):
        TrainSettings(method="SRL")


def test_the_help_of_epochs_says_what_dynamic_sampling_does_to_them() -> None:
    assert "dynamic sampling draws others" in settings_of(StageSettings)["epochs"].help


@pytest.mark.parametrize(
    ("values", "message"),
    [({"stages": []}, "at least one"), ({"keep": 0}, "keep must be"), ({"validation_share": 1}, "validation_share")],
)
def test_wrong_runs(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_mapping(TrainSettings, values, "test")


def test_the_agent_follows_the_data() -> None:
    assert TrainSettings().agent_name == "quickstart"
    assert TrainSettings(trajectories="mine.jsonl").agent_name == "shell"
    assert TrainSettings(trajectories="mine.jsonl", agent="own.yaml").agent_name == "own.yaml"


@pytest.mark.parametrize("name", definition_names("recipes"))
def test_every_recipe_loads(name: str) -> None:
    settings = load_recipe(name, seed=7)
    assert settings.seed == 7 and settings.stages


def test_the_papers_values_for_mathematics() -> None:
    recipe = load_recipe("math-srl-rlvr")
    assert [(stage.method, stage.batch_steps) for stage in recipe.stages] == [("srl", 512), ("rlvr", 128)]
    for stage in recipe.stages:
        assert (stage.learning_rate, stage.group_size, stage.temperature, stage.kl) == (5e-7, 8, 1.0, 0.0)
        assert (stage.grad_norm, stage.warmup, stage.schedule, stage.epochs) == (1.0, 0.0, "constant", 30)


def test_the_papers_values() -> None:
    """arXiv 2510.25992, table of hyper-parameters: batch 512, learning rate 5e-7, G = 8, temperature 1, KL 0, norm 1."""
    (stage,) = load_recipe("srl-7b").stages
    assert (stage.method, stage.batch_steps, stage.learning_rate, stage.warmup) == ("srl", 512, 5e-7, 0.0)
    assert (stage.group_size, stage.temperature, stage.kl, stage.grad_norm) == (8, 1.0, 0.0, 1.0)
    assert stage.std_scaling and stage.dynamic_sampling and stage.average == "sequence"
    assert (stage.schedule, stage.format_penalty, stage.similarity, stage.sharpness) == (
        "constant",
        -1.0,
        "sequence",
        1.0,
    )
    assert (stage.epsilon, stage.clip_low, stage.clip_high) == (0.01, 0.2, 0.2)  # not given by the paper: chosen here
    assert (stage.pivot_samples, stage.validation_steps, stage.shuffle_targets) == (0, 650, False)
    recipe = load_recipe("srl-7b")
    assert (recipe.model, recipe.dtype) == ("Qwen/Qwen2.5-Coder-7B-Instruct", "bfloat16")
    assert (recipe.evaluation_split, recipe.lora.rank, recipe.final_model) == ("verified", 0, "best")
    agent = AgentDefinition.load(recipe.agent_name)  # the issue and the last two rounds
    assert (agent.prompting.context, agent.prompting.rounds) == ("last_k", 2)


def test_the_controls_differ_from_the_quickstart_recipe_in_one_setting() -> None:
    base = load_recipe("quickstart")
    for name, changed in {
        "quickstart-lr0": {"learning_rate": 0.0},
        "quickstart-shuffled": {"shuffle_targets": True},
    }.items():
        (control,) = load_recipe(name).stages
        expected = {**as_mapping(base.stages[0]), **changed}
        assert as_mapping(control) == expected


def test_importing_the_settings_does_not_import_torch() -> None:
    script = (
        "import sys, swe_srl.training, swe_srl.training.settings, swe_srl.generation; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_stage_defaults_are_documented() -> None:
    text = as_yaml(TrainSettings())
    assert "# Dynamic sampling keeps groups whose rewards' standard deviation exceeds this.\n    epsilon: 0.01" in text
    assert StageSettings().clip_low == StageSettings().clip_high == 0.2
