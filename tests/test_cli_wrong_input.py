"""Input that cannot be used: one line that says what, where and what to do; never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from swe_srl.cli import main
from swe_srl.files import write_jsonl
from swe_srl.trajectories import write_trajectories
from swe_srl.types import Action, Trajectory, Turn

Run = Callable[..., tuple[int, str]]
LATIN_1 = '{"instance_id": "caf\xe9"}\n'.encode("latin-1")


@pytest.fixture
def run(run_root: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run one command in a folder with damaged and good files: exit code, and all that was printed."""
    (run_root / "latin.jsonl").write_bytes(LATIN_1)
    (run_root / "latin.json").write_bytes(b"[" + LATIN_1 + b"]")
    (run_root / "latin.yaml").write_bytes(b"model: caf\xe9\n")
    (run_root / "twice.yaml").write_text("model: random\nseed: 1\nmodel: quickstart\n")
    (run_root / "empty.jsonl").write_text("")
    (run_root / "bad.jsonl").write_text("not json\n")
    (run_root / "cut.jsonl").write_text(
        '{"instance_id": "quickstart__access-1", "model_patch": ""}\n{"instance_id": "quick'
    )
    (run_root / "mine.py").write_text("def mine(predicted, target):\n    return 1.0\n")
    (run_root / "own.py").write_text(
        "def broken(predicted, target):\n    return 1 / 0\n\n\ndef percent(predicted, target):\n    return 100\n"
    )
    (run_root / "latin.txt").write_bytes(LATIN_1)
    (run_root / "odd.yaml").write_text("nothing: 1\n")
    (run_root / "misnamed.jsonl").write_text('{"instance_id": "quickstart__access-1", "patch": "diff"}\n')
    (run_root / "void.yaml").write_text("")
    (run_root / "typo.jsonl").write_text('{"problem": "1 + 1?", "anser": "2"}\n')
    (run_root / "finished" / "model").mkdir(parents=True)
    (run_root / "finished" / "model" / "config.json").write_text("{}")
    (run_root / "wordless").mkdir()
    (run_root / "wordless" / "config.json").write_text("{}")
    (run_root / "wordless" / "model.safetensors").write_bytes(b"")
    (run_root / "file").write_text("")
    (run_root / "some.gguf").write_text("GGUF")
    (run_root / "folder").mkdir()
    write_trajectories(run_root / "good.jsonl", [Trajectory("t", "quick__no-1", (Turn(Action("ls")),))])
    for name, content in (
        ("broken", "{"),
        ("list", "[]"),
        ("kindless", "{}"),
        ("trained", '{"kind": "train", "data": {}}'),
    ):
        (run_root / name).mkdir()
        (run_root / name / "run.json").write_text(content)
        (run_root / name / "settings.yaml").write_text("{}\n")

    def call(*arguments: str) -> tuple[int, str]:
        code = main(arguments)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out + captured.err

    return call


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("tasks list latin.jsonl", 2, "latin.jsonl, line 1: not UTF-8 text"),
        ("tasks list latin.json", 2, "latin.json: not UTF-8 text"),
        ("tasks show json=true quickstart nope", 2, "unknown task 'nope'"),
        ("tasks show quickstart quickstart__coins-3", 2, "it is in the task set 'quickstart-train'"),
        ("train --dry-run --estimate", 2, "give one of them"),
        ("eval --policy runs/none/model", 2, "no such model folder (a model is a folder with config.json"),
        ("tasks validate quickstart --limit -1", 2, "limit must be at least 0, not -1"),
        ("tasks validate quickstart --workers 0", 2, "workers must be at least 1, not 0"),
        (
            "train --config void.yaml",
            2,
            "void.yaml: a definition is a mapping of keys to values, and the file is empty",
        ),
        ("train stages.0.lr=1", 2, "did you mean 'learning_rate'"),
        (
            "tasks list typo.jsonl",
            2,
            "or a problem with its answer (columns problem and answer); this row has problem, anser",
        ),
        ("train --config latin.yaml", 2, "latin.yaml: not UTF-8 text"),
        (
            "eval --instances latin.txt",
            2,
            "latin.txt: a list of instance ids, one a line, was expected: not UTF-8 text",
        ),
        ("eval --exclude latin.txt", 2, "latin.txt: a list of instance ids"),
        ("eval --tasks latin.txt", 2, "latin.txt: a list of instance ids"),
        ("eval --environment folder/../odd.yaml", 2, "eval: folder/../odd.yaml: unknown key 'nothing'"),
        ("eval --agent odd.yaml", 2, "eval: odd.yaml: unknown key 'nothing'"),
        ("tasks validate empty.jsonl", 2, "empty.jsonl: there is no task in it"),
        ("eval --split math500 --tasks folder", 2, "folder: this is a folder: name the file with the rows of math500"),
        ("train --config twice.yaml", 2, "the key 'model' occurs twice"),
        ("train --threads -1", 2, "threads must be at least 0, not -1"),
        ("train --dtype float8", 2, "unknown value 'float8'"),
        ("trajectories steps quickstart --limit -1", 2, "limit must be at least 1, not -1"),
        ("trajectories steps quickstart --last-turn -2", 2, "last_turn must be at least -1, not -2"),
        ("trajectories steps bad.jsonl", 1, "bad.jsonl"),
        ("trajectories steps empty.jsonl", 1, "empty"),
        ("trajectories inspect quickstrat", 2, "did you mean 'quickstart'"),
        ("trajectories inspect bad.jsonl", 1, "bad.jsonl: no trajectory in 1 files"),
        ("trajectories inspect file", 1, "empty file"),
        ("trajectories inspect bad.jsonl --json", 1, '"trajectories": 0'),
        ("trajectories inspect good.jsonl", 0, "1 files, 1 trajectories"),
        ("trajectories replay quickstart --limit -1", 2, "limit must be at least 0, not -1"),
        ("trajectories replay bad.jsonl", 2, "bad.jsonl: no trajectory to replay"),
        ("trajectories replay good.jsonl --instances other", 2, "none of the tasks asked for"),
        ("trajectories steps good.jsonl --output file/steps.jsonl", 1, "file: File exists"),
        ("grade empty.jsonl", 2, "empty.jsonl: there is no prediction in it"),
        ("grade bad.jsonl", 2, "bad.jsonl, line 1: the predictions cannot be read"),
        ("grade cut.jsonl", 2, "cut.jsonl, line 2: the predictions cannot be read"),
        ("grade misnamed.jsonl", 2, "row 1: no model_patch; this row has instance_id, patch"),
        ("grade bad.jsonl", 2, "swe-srl grade: bad.jsonl, line 1"),
        ("eval --split empty.jsonl", 2, "empty.jsonl: there is no task in it"),
        ("eval --split empty.jsonl --dry-run", 2, "empty.jsonl: there is no task in it"),
        ("grade broken", 2, "run.json is damaged"),
        ("compare broken list", 2, "run.json is damaged"),
        ("compare list broken", 2, "run.json is damaged"),
        ("compare kindless broken", 2, "run.json is damaged"),
        ("compare trained trained", 2, "holds a run of kind 'train'; what is needed is one of: eval, grade"),
        ("grade trained", 2, "holds a run of kind 'train'"),
        ("eval --policy golden", 2, "did you mean 'gold'"),
        ("eval --policy gold --environment nope", 2, "unknown environment definition 'nope'"),
        ("eval --policy gold --environment nope --dry-run", 2, "unknown environment definition 'nope'"),
        ("eval --policy nopefolder", 2, "no such model folder"),
        (
            "eval --policy finished",
            2,
            "finished: no model in this folder (no config.json): its model is finished/model",
        ),
        ("eval --policy folder", 2, "no config.json"),
        ("eval --policy wordless --dry-run", 2, "wordless: no tokenizer in this folder (no tokenizer.json): copy"),
        ("train --model wordless --dry-run", 2, "wordless: no tokenizer in this folder (no tokenizer.json): copy"),
        ("eval --policy file", 2, "this is a file"),
        (
            "train --model some.gguf --dry-run",
            2,
            "this is a file; docs/training.md, 'Recipes', makes a folder of a GGUF",
        ),
        ("eval --policy gold --output file", 2, "is not a folder"),
        ("eval --policy gold --output file/x", 2, "file/x"),
        ("eval --max-tokens -1", 2, "max_tokens must be at least 0, not -1"),
    ],
)
def test_refused_with_a_reason(run: Run, command: str, code: int, message: str) -> None:
    found, text = run(*command.split())
    assert message in text and found == code, text


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--model nopefolder", "no such model folder"),
        ("--model quikstart", "did you mean 'quickstart'"),
        ("--model folder", "no config.json"),
        ("--similarity mine.py", "name the function in it, too, as mine.py:FUNCTION"),
        ("--similarity own.py:broken", "similarity own.py:broken failed with ZeroDivisionError"),
        ("--similarity own.py:percent", "similarity own.py:percent returned 100"),
        ("--device gpu", "device 'gpu'"),
        ("--output file/x", "file/x"),
        ("--output file", "is not a folder"),
        ("--output folder --output broken", "run.json is damaged"),
    ],
)
def test_a_dry_run_of_training_refuses_what_the_run_refuses(run: Run, flags: str, message: str) -> None:
    for dry in (("--dry-run",), ()):
        code, text = run("train", "--updates", "1", *flags.split(), *dry)
        assert code == 2 and message in text, text
    assert not Path("runs").exists()


@pytest.mark.parametrize("flags", ["--policy nopefolder", "--policy gold --output file", "--device gpu"])
def test_a_dry_run_of_an_evaluation_refuses_what_the_run_refuses(run: Run, flags: str) -> None:
    wanted = None
    for dry in ((), ("--dry-run",)):
        code, text = run("eval", "--limit", "1", *flags.split(), *dry)
        assert code == 2 and wanted in (None, text.split(":", 1)[1]), text
        wanted = text.split(":", 1)[1]
    assert not list(Path("runs").rglob("run.json"))


def test_a_start_without_its_model_leaves_the_folder_free(run: Run, run_root: Path) -> None:
    write_jsonl(run_root / "folder" / "config.json", [{"model_type": "llama"}])  # a model's folder without its weights
    (run_root / "folder" / "tokenizer.json").write_text("{}")
    for command in ("train --updates 1 --output out --model folder", "eval --limit 1 --output out --policy folder"):
        code, text = run(*command.split())
        assert code == 1 and "cannot load a model from" in text and not Path("out").exists(), text


def test_an_override_is_no_positional(run: Run) -> None:
    code, text = run("tasks", "list", "json=true", "quickstart-test")
    assert code == 0 and json.loads(text.splitlines()[0])["instance_id"]


def test_a_replay_names_what_it_cannot_read(run: Run, run_root: Path) -> None:
    (run_root / "mixed.jsonl").write_text((run_root / "good.jsonl").read_text() + "not json\n")
    code, text = run("trajectories", "replay", "mixed.jsonl")
    assert code == 2 and "its task quick__no-1 is not in quickstart-train" in text


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train --model none/at/all", "none/at/all: no such model folder"),
        ("train --agent none", "unknown agent definition 'none'"),
        ("train --environment none", "unknown environment definition 'none'"),
        ("train --trajectories none.jsonl", "none.jsonl: no such file or folder"),
        ("train --trajectories quickstart --logs none", "none: no such file or folder"),
        ("train --dry-run --validation none.jsonl", "none.jsonl: no such file or folder"),
        ("eval --policy none/at/all --split math500 --tasks {tasks}", "none/at/all: no such model folder"),
        ("eval --policy none/at/all --limit 1 --dry-run", "none/at/all: no such model folder"),
    ],
)
def test_a_wrong_name_is_told_before_torch_is_loaded(tmp_path: Path, command: str, message: str) -> None:
    write_jsonl(tmp_path / "problems.jsonl", [{"problem": "1 + 1?", "answer": "2"}])
    probe = "import sys; from swe_srl.cli import main; code = main(sys.argv[1:]); sys.exit(9 if 'torch' in sys.modules else code)"
    arguments = command.format(tasks=tmp_path / "problems.jsonl").split()
    done = subprocess.run(
        [sys.executable, "-c", probe, *arguments], capture_output=True, text=True, timeout=240, cwd=tmp_path
    )
    assert done.returncode == 2 and message in done.stderr, done.stderr
    assert not (tmp_path / "runs").exists()
