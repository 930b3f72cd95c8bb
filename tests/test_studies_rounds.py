"""Self-improvement in rounds: what each is made of, its table, and a small one for real."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from swe_srl.cli import main
from swe_srl.envs import SweEnv
from swe_srl.errors import ConfigError, SandboxError, SweSrlError
from swe_srl.evaluation.collection import Collection
from swe_srl.evaluation.statistics import Estimate
from swe_srl.files import read_jsonl, write_jsonl
from swe_srl.studies import rounds
from swe_srl.studies.rounds import (
    COLUMNS,
    Round,
    collecting_of,
    evaluation_of,
    rounds_markdown,
    self_improve,
    training_of,
)
from swe_srl.studies.rounds_settings import RoundsSettings
from swe_srl.tasks import load_tasks
from swe_srl.types import Trajectory

SOLVED = ("quickstart__access-13", "quickstart__stats-4", "quickstart__stats-9", "quickstart__stats-13")
RECIPE = """
model: quickstart
trajectories: quickstart
agent: quickstart
stages:
  - {method: srl, batch_steps: 2, group_size: 2, max_new_tokens: 48, validation_steps: 2, epsilon: 0.0}
"""
KEPT = Collection(
    (Trajectory("a", "t1", ()), Trajectory("b", "t2", ())), episodes=80, unresolved=76, duplicates=1, beyond=1
)


def test_a_round_is_made_of_the_models_own_episodes(tmp_path: Path) -> None:
    settings = RoundsSettings(output=tmp_path, updates=3)
    training = training_of(settings, 2, "before")
    assert training.trajectories == str(tmp_path / "round-2" / "collect" / "trajectories.jsonl")
    assert (training.model, training.agent_name, training.evaluation_split) == (
        "before",
        "quickstart",
        "quickstart-test",
    )
    assert training.validation == "" and [stage.updates for stage in training.stages] == [3]
    first, second = (collecting_of(settings, number, "m") for number in (1, 2))
    assert first.seed != second.seed and first.split == "quickstart-train" and first.agent_name == "quickstart"
    held_out = [evaluation_of(settings, number, "m") for number in (0, 1)]
    assert held_out[0].seed == held_out[1].seed and held_out[0].folder != held_out[1].folder
    with pytest.raises(ConfigError, match="quickstart-rlvr has an rlvr stage"):
        training_of(RoundsSettings(recipe="quickstart-rlvr"), 1, "m")


def test_the_table_has_a_row_for_every_model() -> None:
    start = Round(0, 0, 0, Estimate(0.05, 0.02, 0.09), None, 0.77, 0.04, 0, KEPT)
    after = Round(1, 2, 12, Estimate(0.1, 0.05, 0.15), Estimate(0.05, -0.01, 0.11), None, 0.02, 3, None)
    page = rounds_markdown(RoundsSettings(), [start, after])
    assert "| at the start |  |  | 5.0% (95% interval 2.0% to 9.0%) |  | 0.770 | 4.0% | 80 | 4 (5.0%) | 2 | 2 |" in page
    assert (
        "| after round 1 | 2 | 12 | 10.0% (95% interval 5.0% to 15.0%) | +5.0 (-1.0 to +11.0) | unknown | 2.0% |"
        in page
    )
    assert "3 held-out samples were lost" in page and len(start.cells()) == len(after.cells()) == len(COLUMNS)
    assert start.as_dict()["collected"] == {
        **{"episodes": 80, "unresolved": 76, "fooled": 0, "duplicates": 1, "beyond": 1},
        **{"kept": 2, "tasks": 2},
    }


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"difficulty": ("harrd",)}, "unknown difficulty 'harrd': did you mean 'hard'"),
        ({"split": "quickstart-train"}, "280 tasks of quickstart-train are held-out ones of quickstart-train"),
        ({"tasks": "nowhere.jsonl"}, "nowhere.jsonl: no such file"),
    ],
)
def test_what_no_round_could_begin_with_is_refused_before_the_first_episode(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    settings = RoundsSettings(output=tmp_path / "out", held_out_limit=1, model="gold", **change)
    with pytest.raises(SweSrlError, match=message):
        self_improve(settings)
    assert not settings.output.exists()


def test_rounds_that_are_there_are_not_cut_off(tmp_path: Path) -> None:
    made = '[{"number": 0}, {"number": 1}, {"number": 2}]'
    (tmp_path / "rounds.json").write_text(made)
    with pytest.raises(ConfigError, match=r"rounds: .* holds 2 already: it cannot be made shorter"):
        self_improve(RoundsSettings(output=tmp_path, rounds=1, model="gold"))
    assert (tmp_path / "rounds.json").read_text() == made


@pytest.mark.sandbox
def test_what_a_round_was_trained_on_stays_although_the_infrastructure_broke_some_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start would try a broken episode again, and the training refuse what has been collected anew."""
    training = tmp_path / "out" / "round-1" / "train"
    trained_on: list[list[str]] = []

    def train(settings: Any, progress: Any) -> Path:
        trained_on.append([row["task_id"] for row in read_jsonl(Path(settings.trajectories))])
        training.mkdir(exist_ok=True)
        (training / "run.json").write_text("{}")
        (training / "steps.json").write_text('{"trajectories_trained_on": 1, "training": 2}')
        if len(trained_on) == 1:
            raise KeyboardInterrupt
        return training

    def evaluated(settings: Any, *_: Any, **named: Any) -> Any:
        rate = {"samples": 0, "resolve_rate": Estimate(0, 0, 0), "similarity": None, "format_error_rate": 0.0}
        return SimpleNamespace(**rate, failures=[])

    def interrupted(*_: Any, **named: Any) -> Any:
        raise KeyboardInterrupt

    def broken(self: SweEnv, **named: Any) -> Any:
        if named["options"]["task"] == SOLVED[0]:
            raise SandboxError("no engine answers")
        return reset(self, **named)

    tasks = {task.instance_id: task for task in load_tasks("quickstart-test")}
    write_jsonl(tmp_path / "rows.jsonl", [tasks[name].row() for name in SOLVED[:2]])
    monkeypatch.setattr("swe_srl.training.train", train)
    monkeypatch.setattr(rounds, "evaluate", evaluated)
    settings = RoundsSettings(
        model="gold", rounds=1, samples=1, sandbox="local", split="quickstart-validation", held_out_limit=1,
        tasks=str(tmp_path / "rows.jsonl"), output=tmp_path / "out",
    )  # fmt: skip
    reset = SweEnv.reset
    with monkeypatch.context() as patching, pytest.raises(KeyboardInterrupt):
        patching.setattr(SweEnv, "reset", broken)
        self_improve(settings)
    start, _ = self_improve(settings)
    assert trained_on == [[SOLVED[1]]] * 2 and start.collected is not None and start.collected.episodes == 1
    pages = [(settings.output / name).read_bytes() for name in ("rounds.json", "rounds.md")]
    monkeypatch.setattr("swe_srl.training.train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        self_improve(settings)
    assert [(settings.output / name).read_bytes() for name in ("rounds.json", "rounds.md")] == pages


@pytest.mark.sandbox
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_small_round_for_real(run_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tasks that the bundled model resolves now and then; then the same command again, and a policy that resolves nothing."""
    tasks = {task.instance_id: task for task in load_tasks("quickstart-test")}
    write_jsonl(Path("rows.jsonl"), [tasks[name].row() for name in SOLVED])
    Path("small.yaml").write_text(RECIPE)
    small = [
        "--recipe",
        "small.yaml",
        "--samples",
        "4",
        "--held-out-limit",
        "1",
        "--held-out-samples",
        "1",
        "--updates",
        "1",
        "--workers",
        "4",
    ]
    command = ["self-improve", "--rounds", "1", "--tasks", "rows.jsonl", "--split", "quickstart-validation", *small]
    assert main([*command, "--output", "out"]) == 0
    assert "after round 1" in capsys.readouterr().out
    start, after = json.loads(Path("out/rounds.json").read_text())
    kept = [row["task_id"] for row in read_jsonl(Path("out/round-1/collect/trajectories.jsonl"))]
    assert start["collected"]["kept"] == start["collected"]["tasks"] == len(kept) >= 1
    assert start["collected"]["episodes"] == 16 and after["collected"] is None
    assert 1 <= after["trajectories"] <= len(kept) and after["steps"] > 0
    trained = Path("out/round-1/train/settings.yaml").read_text()
    assert "trajectories: out/round-1/collect/trajectories.jsonl" in trained and "model: quickstart" in trained
    assert "| after round 1 |" in Path("out/rounds.md").read_text()
    episodes = Path("out/round-1/collect/episodes.jsonl").read_bytes()
    before = Path("out/rounds.json").read_text()
    assert main([*command, "--output", "out"]) == 0
    assert Path("out/round-1/collect/episodes.jsonl").read_bytes() == episodes
    assert Path("out/rounds.json").read_text() == before

    nothing = ["--tasks", "rows.jsonl", "--split", "quickstart-validation", "--limit", "1", "--model", "empty"]
    assert main(["self-improve", "--rounds", "2", *nothing, "--held-out-limit", "1", "--output", "none"]) == 1
    (only,) = json.loads(Path("none/rounds.json").read_text())
    assert only["collected"]["kept"] == 0
