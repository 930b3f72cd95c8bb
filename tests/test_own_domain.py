"""Any domain: a file of steps and a similarity of one's own, from the file to the trained model."""

from __future__ import annotations

import importlib.util
import json
import pickle
import sys
from pathlib import Path
from types import ModuleType

import pytest
from training_data import train_settings

from swe_srl.errors import ConfigError, TrajectoryError
from swe_srl.rewards import get_similarity
from swe_srl.training.data import load_steps
from swe_srl.trajectories import ReadReport, StepSettings, choose_steps, is_step_file, read_steps, read_trajectories
from swe_srl.trajectories.action_format import parse_action

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "chess_openings.py"
ROWS = (
    '{"context": [{"role": "user", "content": "1. e4"}], "target": "e5", "task_id": "a"}',
    "not JSON",
    '{"context": [{"role": "user", "content": "1. d4"}], "target": "d5", "task_id": "b", "repo": "x/y"}',
    '{"context": [], "target": "d5"}',
    '{"context": [{"role": "user", "content": "1. e4"}], "target": "e5", "task_id": "a"}',
    '{"context": [{"role": "user", "content": "1. c4"}], "target": "  ", "task_id": "c"}',
)
OWN = """
from swe_srl.types import Score

LEVEL = 0.5

def level(predicted, target):
    return Score(1.0 if predicted == target else LEVEL, {"method": "level"}, "why")

def much(predicted, target):
    return 3

def nothing(predicted, target):
    return None

def broken(predicted, target):
    return predicted[10]
"""


@pytest.fixture
def step_file(tmp_path: Path) -> Path:
    path = tmp_path / "openings.jsonl"
    path.write_text("\n".join(ROWS))
    return path


@pytest.fixture
def own(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(OWN)
    return str(tmp_path / "mine.py")


@pytest.fixture(scope="module")
def chess() -> ModuleType:
    spec = importlib.util.spec_from_file_location("chess_openings", EXAMPLE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["chess_openings"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_example_of_another_domain_trains(chess: ModuleType, tmp_path: Path) -> None:
    output = tmp_path / "chess"
    chess.main(chess.parse(["--output", str(output), "--imitate", "5", "--reward", "1"]))
    steps = list(read_steps(tmp_path / "chess.steps.jsonl"))
    assert len(steps) == 24 * 9 and all(step.context[-1].content.startswith(step.task_id) for step in steps)
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if row["stage"] == 0 and "loss" in row]
    assert losses[-1] < losses[0] - 1
    (row,) = [json.loads(line) for line in (output / "samples.jsonl").read_text().splitlines()][-1:]
    for one in row["completions"]:
        expected = (
            -1.0 if one["malformed"] else chess.same_move(parse_action(one["text"], "plain").command, row["target"])
        )
        assert one["reward"] == expected
    assert f'"similarity {EXAMPLE}:same_move": "sha256:' in (output / "run.json").read_text()
    assert (output / "model/model.safetensors").exists()


def test_a_file_of_steps_is_known_and_every_record_accounted_for(step_file: Path) -> None:
    assert is_step_file(step_file) and not is_step_file(step_file.parent)
    report = ReadReport()
    settings = StepSettings(deduplicate=True)
    steps = list(choose_steps(read_steps(step_file, report), report, settings, form="plain"))
    assert [(step.step_id, step.target) for step in steps] == [("openings:1", "e5"), ("openings:3", "d5")]
    assert {reason: entry.count for reason, entry in report.turns.items()} == {
        "duplicate": 1,
        "cannot be written: the command is empty": 1,
    }
    assert report.turns["duplicate"].example.record == 5
    assert {reason: entry.example.record for reason, entry in report.records.items()} == {
        "not JSON": 2,
        "no step: a step needs its context: a list of messages": 4,
    }
    report.check()
    with pytest.raises(TrajectoryError, match=r"openings.jsonl, record 2: not JSON"):
        list(read_steps(step_file))
    unread = ReadReport()
    assert not list(read_trajectories(step_file, unread))
    assert unread.records["a step, not a trajectory (train reads files of them)"].count == 5


def test_what_single_steps_do_not_tell_is_refused(step_file: Path) -> None:
    (only,) = choose_steps(read_steps(step_file, ReadReport()), None, StepSettings(repositories=("X/y",)), form="plain")
    assert only.target == "d5"
    for settings in (StepSettings(resolved_only=True), StepSettings(include_last=False)):
        with pytest.raises(ConfigError, match="do not tell it"):
            list(choose_steps([], None, settings))


def test_training_reads_files_of_steps(step_file: Path, own: str, tmp_path: Path) -> None:
    given = {"trajectories": str(step_file), "agent": "plain", "similarity": f"{own}:level"}
    data = load_steps(train_settings(tmp_path, validation_share=0.5, **given))
    assert len(data.training) + len(data.validation) == 3 and data.report.reported == 1
    split = tmp_path / "tasks.jsonl"
    row = {
        "instance_id": "b",
        "repo": "x/y",
        "base_commit": "1" * 40,
        "problem_statement": "d4?",
        "patch": "",
        "test_patch": "",
    }
    split.write_text(json.dumps({**row, "FAIL_TO_PASS": "[]", "PASS_TO_PASS": "[]"}))
    with pytest.raises(ConfigError, match=r"1 training steps belong to 1 tasks .*b \(by task\)"):
        load_steps(train_settings(tmp_path, validation_share=0, evaluation_split=str(split), **given))


def test_a_similarity_of_ones_own(own: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    level = pickle.loads(pickle.dumps(get_similarity(f"{own}:level")))
    assert level("true", "e4").value == 0.5 and level("e4", "e4").value == 1.0  # no guard: "true" may be an answer
    assert level("a", "b").parts == {"method": "level"}
    monkeypatch.syspath_prepend(str(tmp_path))
    assert get_similarity("mine:level")("a", "b").value == 0.5


def test_a_similarity_may_return_what_numpy_and_torch_compute(tmp_path: Path) -> None:
    """As a number that can be written down, in a `Score` too."""
    file = tmp_path / "arrays.py"
    file.write_text(
        "import numpy as np, torch\nfrom swe_srl import Score\n"
        "def narrow(a, b): return np.float32(0.5)\n"
        "def truth(a, b): return np.bool_(a != b)\n"
        "def tensor(a, b): return torch.tensor(0.25)\n"
        "def score(a, b): return Score(np.float32(0.5))\n"
        "def text(a, b): return '0.5'\n"
        "def wrong(a, b): return Score(None)\n"
        "def nan(a, b): return np.float32('nan')\n"
        "def several(a, b): return np.array([0.5, 0.5])\n"
    )
    values = [get_similarity(f"{file}:{name}")("a", "b").value for name in ("narrow", "truth", "tensor", "score")]
    assert values == [0.5, 1.0, 0.25, 0.5] and {type(one) for one in values} == {float}
    for name in ("text", "wrong", "nan", "several"):
        with pytest.raises(ConfigError, match=rf"arrays.py:{name} (returned|failed)"):
            get_similarity(f"{file}:{name}")("a", "b")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{own}:levle", r"has no function 'levle' \(it has Score, broken, level"),
        ("{own}:LEVEL", "has no function 'LEVEL'"),
        ("{own}x.py:level", "no such file"),
        ("no_such_module:level", "cannot be imported .*a file is named with its ending"),
    ],
)
def test_a_similarity_that_is_not_there_is_refused(own: str, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        get_similarity(name.format(own=own))


@pytest.mark.parametrize(
    ("function", "message"),
    [("much", "returned 3: a similarity is"), ("nothing", "returned None"), ("broken", "failed with IndexError")],
)
def test_a_similarity_that_is_wrong_names_itself_and_the_pair(own: str, function: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"mine.py:{function} {message}.*predicted 'a'.*target 'b'"):
        get_similarity(f"{own}:{function}")("a", "b")


def test_a_file_that_does_not_run_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("def level(:")
    with pytest.raises(ConfigError, match=r"bad\.py cannot be imported: SyntaxError"):
        get_similarity(f"{tmp_path / 'bad.py'}:level")
