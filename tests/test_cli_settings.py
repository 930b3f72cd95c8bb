"""Settings dataclasses: filling them from files, flags and overrides, and writing them back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_srl.errors import ConfigError
from swe_srl.settings import Draft, as_mapping, as_yaml, from_mapping, setting, settings_of


class Colour(str, Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Draw:
    temperature: float = setting(1.0, "Sampling temperature.")
    top_k: int = setting(0, "0 switches it off.")


@dataclass(frozen=True)
class Stage:
    method: str = setting("srl", "How to train.", choices=("srl", "sft", "rlvr"))
    learning_rate: float = setting(1e-5, "Learning rate.")
    draw: Draw = setting(Draw(), "How rollouts are drawn.")


@dataclass(frozen=True)
class Job:
    name: str = setting("job", "A name.")
    seed: int = setting(0, "Seed.")
    resume: bool = setting(False, "Go on with an earlier run.")
    folder: Path = setting(Path("runs"), "Where runs go.")
    limit: int | None = setting(None, "At most so many.")
    rates: tuple[float, ...] = setting((0.1, 0.2), "Rates.")
    names: list[str] = setting(["a"], "Names.", choices=("a", "b", "c"))
    mode: Literal["fast", "slow"] = setting("fast", "Mode.")
    colour: Colour = setting(Colour.RED, "Colour.")
    env: dict[str, int] = setting({"x": 1}, "Variables.")
    draw: Draw = setting(Draw(), "Sampling.")
    other: Draw | None = setting(None, "Another sampling.")
    stages: tuple[Stage, ...] = setting((Stage(),), "The stages of the run.")

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ConfigError(f"seed must be at least 0, not {self.seed}")


def test_defaults_survive_and_are_not_shared() -> None:
    first, second = Draft(Job).build(), Draft(Job).build()
    assert first == Job()
    first.names.append("b")
    assert second.names == ["a"] and Job().names == ["a"]


def test_later_layers_win() -> None:
    draft = Draft(Job)
    draft.update({"seed": 1, "name": "file", "draw": {"top_k": 5}}, "job.yaml")
    draft.set("seed", "2", "--seed")
    draft.set("draw.temperature", "0.5", "draw.temperature=0.5")
    built = draft.build()
    assert (built.name, built.seed, built.draw) == ("file", 2, Draw(0.5, 5))


def test_stages_from_a_file_then_one_override() -> None:
    draft = Draft(Job)
    draft.update({"stages": [{"method": "sft"}, {"draw": {"top_k": 3}}]}, "job.yaml")
    draft.set("stages.1.learning_rate", "1e-4", "stages.1.learning_rate=1e-4")
    draft.set("stages.1.draw.temperature", "0", "stages.1.draw.temperature=0")
    assert draft.build().stages == (Stage(method="sft"), Stage(learning_rate=1e-4, draw=Draw(0.0, 3)))


def test_an_override_reaches_the_default_stage_and_an_absent_nested_one() -> None:
    draft = Draft(Job)
    draft.set("stages.0.method", "sft", "stages.0.method=sft")
    draft.set("other.top_k", "4", "other.top_k=4")
    built = draft.build()
    assert built.stages == (Stage(method="sft"),) and built.other == Draw(top_k=4)
    assert Job().stages == (Stage(),)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("name", "12", "12"),
        ("seed", "7", 7),
        ("resume", "yes", True),
        ("resume", "0", False),
        ("folder", "a/b", Path("a/b")),
        ("limit", "none", None),
        ("limit", "3", 3),
        ("rates", "1e-3, 2", (0.001, 2.0)),
        ("rates", "[1, 2.5]", (1.0, 2.5)),
        ("rates", "", ()),
        ("names", "b,c", ["b", "c"]),
        ("mode", "slow", "slow"),
        ("colour", "blue", Colour.BLUE),
        ("env", "{y: 2}", {"y": 2}),
        ("draw", "{top_k: 9}", Draw(top_k=9)),
        ("other", "null", None),
        ("stages", "[{method: rlvr}]", (Stage(method="rlvr"),)),
    ],
)
def test_text_becomes_the_annotated_type(key: str, text: str, value: object) -> None:
    draft = Draft(Job)
    draft.set(key, text, f"--{key}")
    result = getattr(draft.build(), key)
    assert result == value and type(result) is type(value)


@pytest.mark.parametrize(
    ("key", "text", "parts"),
    [
        ("seed", "x1", ["--seed", "'x1'", "a whole number"]),
        ("seed", "1.5", ["--seed", "'1.5'", "a whole number"]),
        ("resume", "maybe", ["--resume", "'maybe'", "true or false"]),
        ("limit", "few", ["--limit", "'few'", "a whole number, or none"][:2]),
        ("rates", "1,x", ["--rates", "'x'", "a number"]),
        ("rates", "nan", ["--rates", "'nan'", "a number"]),
        ("mode", "slw", ["--mode", "did you mean 'slow'"]),
        ("names", "a,z", ["--names", "'z'", "a, b, c"]),
        ("colour", "green", ["--colour", "'green'", "red, blue"]),
        ("folder", "", ["--folder", "a path"]),
        ("draw", "3", ["--draw", "a mapping of settings"]),
        ("draw", "{top_q: 3}", ["--draw", "did you mean 'top_k'"]),
        ("stages", "{method: sft}", ["--stages", "a list of mappings"]),
        ("env", "[1]", ["--env", "a mapping"]),
        ("env", "{a: b}", ["--env.a", "a whole number"]),
    ],
)
def test_a_value_that_does_not_fit_names_flag_value_and_expectation(key: str, text: str, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        Draft(Job).set(key, text, f"--{key}")
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"sed": 1}, ["job.yaml: unknown setting 'sed'", "did you mean 'seed'"]),
        ({"draw": {"temprature": 1}}, ["job.yaml: draw", "did you mean 'temperature'"]),
        ({"stages": [{}, {"learning_rat": 1}]}, ["job.yaml: stages.1", "did you mean 'learning_rate'"]),
        ({"stages": [{"learning_rate": "high"}]}, ["job.yaml: stages.0.learning_rate", "'high'", "a number"]),
        ({"stages": ["srl"]}, ["job.yaml: stages.0", "a mapping of settings"]),
        ({"seed": True}, ["job.yaml: seed", "True (bool)"]),
        ({"seed": None}, ["job.yaml: seed", "nothing"]),
        ({"name": 3}, ["job.yaml: name", "3 (int)", "quote it"]),
        ({"draw": None}, ["job.yaml: draw", "None"]),
    ],
)
def test_a_wrong_file_names_file_and_key(values: dict[str, object], parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        Draft(Job).update(values, "job.yaml")
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("key", "part"),
    [
        ("sed", "did you mean 'seed'"),
        ("seed.x", "seed is a single value"),
        ("stages.1.method", "stages has 1 elements"),
        ("stages.method", "address one as stages.0.NAME"),
        ("stages.0.metod", "did you mean 'method'"),
        ("drw.top_k", "did you mean 'draw'"),
    ],
)
def test_a_wrong_override_key(key: str, part: str) -> None:
    with pytest.raises(ConfigError, match=r"the-override") as caught:
        Draft(Job).set(key, "1", "the-override")
    assert part in str(caught.value)


def test_the_class_checks_the_finished_settings_only() -> None:
    draft = Draft(Job)
    draft.update({"seed": -1}, "job.yaml")
    with pytest.raises(ConfigError, match="seed must be at least 0"):
        draft.build()
    draft.set("seed", "0", "--seed")
    assert draft.build().seed == 0


def test_a_field_without_default_is_a_defect_of_the_class() -> None:
    @dataclass
    class Bad:
        name: str

    with pytest.raises(TypeError, match=r"Bad\.name has no default"):
        settings_of(Bad)


def test_flags_are_made_from_names() -> None:
    @dataclass
    class Named:
        n_samples: int = setting(1, "Samples.")
        what: str = setting("", "Other.", flag="--else")

    assert [item.flag for item in settings_of(Named).values()] == ["--n-samples", "--else"]


def test_yaml_shows_help_and_choices() -> None:
    text = as_yaml(Job())
    assert (
        "# The stages of the run.\nstages:\n  -\n    # How to train. One of: srl, sft, rlvr.\n    method: srl" in text
    )
    assert "#" not in as_yaml(Job(), comments=False)


_texts = st.text(max_size=20)
_draws = st.builds(Draw, st.floats(allow_nan=False, allow_infinity=False), st.integers())
_stages = st.builds(
    Stage, st.sampled_from(["srl", "sft", "rlvr"]), st.floats(allow_nan=False, allow_infinity=False), _draws
)
_jobs = st.builds(
    Job,
    name=_texts,
    seed=st.integers(min_value=0),
    resume=st.booleans(),
    folder=st.text("abc/", min_size=1).map(Path),
    limit=st.none() | st.integers(),
    rates=st.lists(st.floats(allow_nan=False, allow_infinity=False)).map(tuple),
    names=st.lists(st.sampled_from(["a", "b", "c"])),
    mode=st.sampled_from(["fast", "slow"]),
    colour=st.sampled_from(Colour),
    env=st.dictionaries(_texts, st.integers(), max_size=3),
    draw=_draws,
    other=st.none() | _draws,
    stages=st.lists(_stages, max_size=3).map(tuple),
)


@settings(deadline=None)
@given(job=_jobs)
def test_what_is_printed_reads_back_equal(job: Job) -> None:
    assert from_mapping(Job, yaml.safe_load(as_yaml(job)), "printed") == job
    assert from_mapping(Job, as_mapping(job), "plain") == job
