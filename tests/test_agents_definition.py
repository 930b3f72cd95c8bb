from pathlib import Path

import pytest

from swe_srl.agents import AgentDefinition
from swe_srl.definitions import definition_names
from swe_srl.errors import ConfigError, DefinitionNotFoundError
from swe_srl.types import Sampling


@pytest.mark.parametrize("name", definition_names("agents"))
def test_every_packaged_definition_loads(name: str) -> None:
    definition = AgentDefinition.load(name)
    assert definition.submit
    assert definition.max_turns > 0
    assert "{{" in definition.prompting.instance


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(DefinitionNotFoundError, match="did you mean 'quickstart'"):
        AgentDefinition.load("quikstart")


def test_a_users_file_is_found_by_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("max_turns: 7\ncontext: last_k\nrounds: 3\ntemperature: 1\n")
    definition = AgentDefinition.load(str(file))
    assert (definition.max_turns, definition.prompting.rounds, definition.sampling.temperature) == (7, 3, 1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_turn: 7", "did you mean 'max_turns'"),
        ("max_turns: many", "max_turns must be int, not 'many'"),
        ("max_turns: true", "max_turns must be int, not True"),
        ("context: some", "context must be one of full, last_k"),
        ("- a\n- b", "a definition is a mapping"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_wrong_definition_is_a_clear_error(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        AgentDefinition.load(str(file))


@pytest.mark.parametrize(
    ("name", "value"), [("top_p", 0), ("top_p", 1.5), ("top_k", -1), ("temperature", -1), ("max_new_tokens", 0)]
)
def test_sampling_that_draws_nothing(tmp_path: Path, name: str, value: float) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"{name}: {value}\n")
    with pytest.raises(ConfigError, match=f"mine.yaml: {name} must be .*not {value}"):
        AgentDefinition.load(str(path))


@pytest.mark.parametrize("name", ["temperature", "top_p"])
def test_sampling_of_no_number(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Sampling(**{name: float("nan")})
