"""From arguments to settings, and the errors a user sees."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from swe_srl.cli import main
from swe_srl.cli.arguments import parse
from swe_srl.cli.commands import COMMANDS, Command, find
from swe_srl.errors import ConfigError
from swe_srl.settings import setting


@dataclass(frozen=True)
class Draw:
    temperature: float = setting(1.0, "Sampling temperature; 100% random at infinity.")


@dataclass(frozen=True)
class Stage:
    rate: float = setting(0.1, "Learning rate.")


@dataclass(frozen=True)
class Job:
    path: str = setting("", "What to read.")
    seed: int = setting(0, "Seed.")
    shuffle: bool = setting(True, "Shuffle.")
    method: str = setting("srl", "How.", choices=("srl", "sft"))
    scaled: bool | None = setting(None, "Scale, when given.")
    limit: int | None = setting(None, "At most.")
    names: tuple[str, ...] = setting((), "Names.")
    draw: Draw = setting(Draw(), "Sampling.")
    stages: tuple[Stage, ...] = setting((Stage(), Stage()), "Stages.")


JOB = Command("job", "a job", f"{__name__}:Job", "builtins:print", plan="builtins:print", positionals=("path",))


def job(*arguments: str) -> Job:
    settings = parse(JOB, ["input", *arguments]).settings
    assert isinstance(settings, Job)
    return settings


def test_flags_and_overrides() -> None:
    settings = job("--seed", "3", "--no-shuffle", "--names", "a,b", "--draw-temperature", "0.5", "stages.1.rate=1e-4")
    assert settings == Job("input", 3, False, names=("a", "b"), draw=Draw(0.5), stages=(Stage(), Stage(1e-4)))


def test_the_flag_of_a_list_may_be_given_again() -> None:
    assert job("--names", "a", "--names", "b, c", "--seed", "1").names == ("a", "b", "c")
    assert job("--names", "a,b").names == job("--names", "a", "--names", "b").names == ("a", "b")
    assert job("--names", "a", "--names", "").names == ("a",)
    assert job("--seed", "1", "--seed", "2").seed == 2


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("pytest>=6,<8", ["pytest>=6,<8"]),
        ("requests[socks,security]>=2, !=2.1,numpy", ["requests[socks,security]>=2, !=2.1", "numpy"]),
        ("a,~/b,c[d", ["a", "~/b", "c[d"]),
        ("a~=1.0,~=1.1,b ,c[d,e],", ["a~=1.0,~=1.1", "b", "c[d,e]", ""]),
    ],
)
def test_a_requirement_is_one_item_of_a_list(text: str, names: list[str]) -> None:
    assert job("--names", text).names == tuple(names)
    assert job("--names", text, "--names", "z").names == (*filter(None, names), "z")


def test_precedence_is_defaults_file_flags_overrides(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(
        yaml.safe_dump({"description": "a job", "path": "file", "seed": 1, "method": "sft", "names": ["x"]})
    )
    settings = parse(JOB, ["--config", str(file)]).settings
    assert (settings.path, settings.seed, settings.method, settings.shuffle) == ("file", 1, "sft", True)
    assert job("--config", str(file), "--seed", "2").seed == 2
    assert job("--config", str(file), "seed=3", "--seed", "2").seed == 3
    assert job("--config", str(file)).path == "input"


def test_overrides_may_stand_between_flags() -> None:
    assert job("seed=1", "--method", "sft", "draw.temperature=2") == Job("input", 1, method="sft", draw=Draw(2.0))


def test_optional_settings_have_flags_too() -> None:
    assert (job().scaled, job("--scaled").scaled, job("--no-scaled").scaled) == (None, True, False)
    assert (job("--limit", "3").limit, job("--limit", "3", "limit=none").limit) == (3, None)


def test_a_negative_number_is_a_value() -> None:
    assert job("--seed", "-3").seed == -3
    with pytest.raises(ConfigError, match="-2e1"):
        job("--seed", "-2e1")  # not "expected one argument"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--recipe", "quickstart"], "unknown flag '--recipe': give --config FILE|NAME"),
        (
            ["quickstart"],
            "unexpected argument 'quickstart': to take it as the recipe of that name, --config quickstart",
        ),
        (["nowhere"], "unexpected argument 'nowhere': KEY=VALUE sets"),
    ],
)
def test_a_recipe_is_given_by_config(arguments: list[str], hint: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(hint)):
        parse(next(one for one in COMMANDS if one.name == "train"), arguments)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--sed", "1"], ["unknown flag '--sed'", "did you mean '--seed'"]),
        (["--sed=1"], ["unknown flag '--sed'", "did you mean '--seed'"]),
        (["--seed", "x"], ["--seed", "'x'", "a whole number"]),
        (["--seed"], ["--seed", "expected one argument"]),
        (["--method", "slr"], ["--method", "did you mean 'srl'"]),
        (["--draw-temperature", "hot"], ["--draw-temperature", "'hot'", "a number"]),
        (["--stages.0.rate", "1"], ["unknown flag '--stages.0.rate'", "give stages.0.rate=VALUE"]),
        (["--rate", "1"], ["unknown flag '--rate'", "a setting of each of stages: give stages.0.rate=VALUE"]),
        (["seeed=1"], ["seeed=1", "did you mean 'seed'"]),
        (["stages.2.rate=1"], ["stages.2.rate=1", "stages has 2 elements"]),
        (["spare"], ["unexpected argument 'spare'", "KEY=VALUE"]),
        (["--config", "nowhere.yaml"], ["--config", "no such file", "nowhere.yaml"]),
        (["--config", "name"], ["--config", "path of a YAML file", "'name'"]),
    ],
)
def test_wrong_arguments(arguments: list[str], parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(JOB, ["input", *arguments])
    for part in parts:
        assert part in str(caught.value)


def test_a_wrong_file_is_named_with_its_key(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("stages:\n  - rat: 1\n")
    with pytest.raises(ConfigError, match=r"job\.yaml: stages\.0: unknown setting 'rat': did you mean 'rate'"):
        job("--config", str(file))
    file.write_text("- a\n")
    with pytest.raises(ConfigError, match=r"job\.yaml.*mapping"):
        job("--config", str(file))


def test_a_missing_positional_is_named_with_its_help() -> None:
    with pytest.raises(ConfigError, match=r"PATH is missing: What to read\."):
        parse(JOB, [])
    assert parse(JOB, ["--print-config"]).print_config


def test_what_a_lone_argument_was_taken_for_is_said() -> None:
    command = next(one for one in COMMANDS if one.name == "tasks show")
    with pytest.raises(ConfigError, match=r"TASK is missing \(SPLIT is 'quickstart__lexer-13'\): The task's"):
        parse(command, ["quickstart__lexer-13"])


def test_usage_tells_needed_arguments_from_optional_ones(capsys: pytest.CaptureFixture[str]) -> None:
    for name, shown in (("compare", "compare BEFORE AFTER [flags]"), ("tasks list", "tasks list [SPLIT] [flags]")):
        with pytest.raises(SystemExit):
            parse(find(name.split())[0], ["--help"])
        assert f"usage: swe-srl {shown}" in capsys.readouterr().out


def test_help_shows_every_setting_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        parse(JOB, ["--help"])
    assert done.value.code == 0
    text = capsys.readouterr().out
    for part in (
        "PATH",
        "--seed SEED",
        "(default: 0)",
        "--no-shuffle",
        "{srl,sft}",
        "100% random",
        "stages.0.rate",
        "KEY=VALUE",
        "--dry-run",
    ):
        assert part in text


def test_the_help_of_a_list_of_settings_fits_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["train", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    stages = lines[lines.index("each of stages:") :]
    assert len(stages) > 20 and max(map(len, stages)) <= 60
    assert "  stages.0.schedule: Learning rate after the warm-up." in stages


@pytest.mark.parametrize("columns", ["1", "2"])
def test_a_terminal_without_room_for_a_word_is_shown_words(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert main(["train", "--help"]) == 0


def test_a_command_without_a_plan_has_no_dry_run() -> None:
    plain = Command("job", "a job", f"{__name__}:Job", "builtins:print", positionals=("path",))
    with pytest.raises(ConfigError, match="unknown flag '--dry-run'"):
        parse(plain, ["input", "--dry-run"])


def test_a_list_of_positionals_takes_the_words_that_are_left() -> None:
    several = Command("job", "a job", f"{__name__}:Job", "builtins:print", positionals=("path", "names"))

    def names(*arguments: str) -> tuple[str, tuple[str, ...]]:
        settings = parse(several, arguments).settings
        return settings.path, settings.names

    assert names("input", "a", "b,c") == ("input", ("a", "b,c"))
    assert names("--seed", "1", "input", "a", "--no-shuffle", "b", "seed=2") == ("input", ("a", "b"))
    with pytest.raises(ConfigError, match="NAMES is missing"):
        names("input")


def test_a_flag_of_one_letter() -> None:
    lettered = Command("job", "a job", f"{__name__}:Job", "builtins:print", letters=(("s", "seed"),))
    assert parse(lettered, ["-s", "3"]).settings.seed == parse(lettered, ["--seed", "3"]).settings.seed == 3
    with pytest.raises(ConfigError, match="unknown flag '-x'"):
        parse(lettered, ["-x", "3"])
