"""The simulated terminal of the tiny model's pre-training says what a real sandbox says."""

import importlib
import random
from pathlib import Path
from types import ModuleType

import pytest

from swe_srl.trajectories.action_format import parse_action
from swe_srl.trajectories.prompting import render_observation
from swe_srl.types import Action, SandboxSpec

SEEDS = range(6)


@pytest.fixture
def corpus(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parent.parent / "scripts"))
    return importlib.import_module("tiny_corpus")


def test_a_transcript_is_a_function_of_its_seed(corpus: ModuleType) -> None:
    assert corpus.episode(3) == corpus.episode(3)
    assert corpus.episode(3) != corpus.episode(4)


def test_every_assistant_message_is_a_well_formed_action_and_the_last_submits(corpus: ModuleType) -> None:
    for seed in range(40):
        actions = [parse_action(m["content"]) for m in corpus.episode(seed) if m["role"] == "assistant"]
        assert all(isinstance(action, Action) for action in actions)
        assert actions[-1].command == "submit"


def draw(corpus: ModuleType, seed: int) -> object:
    """The first package of the seed's stream whose names do not clash."""
    rng = random.Random(f"tiny-{seed}")
    while True:
        try:
            return corpus.Package(rng)
        except (LookupError, SyntaxError):
            continue


def write_checkout(package: object, folder: Path) -> None:
    """The simulated checkout as real files; the visible examples become tests."""
    source = folder / package.package  # type: ignore[attr-defined]
    source.mkdir(parents=True)
    (folder / "README.md").write_text("# A package\n")
    (source / "__init__.py").write_text("")
    for module in package.modules:  # type: ignore[attr-defined]
        own = module is package.module  # type: ignore[attr-defined]
        (source / f"{module.name}.py").write_text("\n".join(package.lines) if own else module.text)  # type: ignore[attr-defined]
    lines = ["import unittest", package.module.importing, "", "class Tests(unittest.TestCase):"]  # type: ignore[attr-defined]
    for number, (example, value) in enumerate(package.visible):  # type: ignore[attr-defined]
        lines.append(f"    def test_{number}(self):")
        check = f"self.assertRaises({value[1:].split(':')[0]}, lambda: {example})" if value.startswith("!") else ""
        lines.append(f"        {check or f'self.assertEqual({example}, {value})'}")
    (folder / "tests").mkdir()
    (folder / "tests" / "__init__.py").write_text("")
    (folder / "tests" / "test_all.py").write_text(
        "\n".join([*lines, "    def test_nothing(self):", "        pass"]) + "\n"
    )


@pytest.mark.sandbox
@pytest.mark.parametrize("seed", SEEDS)
def test_the_simulated_terminal_agrees_with_a_sandbox(corpus: ModuleType, tmp_path: Path, seed: int) -> None:
    from swe_srl.agents import AgentDefinition
    from swe_srl.sandboxes import LocalSandbox

    package = draw(corpus, seed)
    write_checkout(package, tmp_path / "repo")
    messages = corpus.Careless(package, corpus.Manners()).play()
    prompting = AgentDefinition.load("quickstart").prompting
    with LocalSandbox(SandboxSpec(repository=str(tmp_path / "repo"))) as sandbox:
        for said, seen in zip(messages[1:-1:2], messages[2::2], strict=True):
            action = parse_action(said["content"])
            assert isinstance(action, Action)
            result = sandbox.run(action.command)
            assert render_observation(prompting, result.output, result.exit_code) == seen["content"], action.command
