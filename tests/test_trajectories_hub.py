"""Data sets by their hub ids, with split and revision, from a hub on this machine."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fake_hub import commit_of, fake_hub

from swe_srl import hub
from swe_srl.hub import quiet_hub

ROOT = Path(__file__).resolve().parent.parent
NAME = "someone/agent-runs.v2"
READ = """
import json, sys
from swe_srl.errors import TrajectoryError
from swe_srl.trajectories import ReadReport, read_trajectories

for name in sys.argv[1:]:
    report = ReadReport()
    try:
        commands = [t.turns[0].action.command for t in read_trajectories(name, report)]
    except TrajectoryError as error:
        commands = str(error)
    print(json.dumps([name, commands, {key: one.example.file for key, one in report.records.items()}]))
"""


def rows(*commands: str) -> bytes:
    chats = [
        {
            "messages": [
                {"role": "user", "content": "Fix."},
                {"role": "assistant", "content": f"```bash\n{command}\n```"},
            ]
        }
        for command in commands
    ]
    return "".join(json.dumps(chat) + "\n" for chat in chats).encode()


@pytest.mark.slow
def test_split_and_revision_of_a_data_set_on_the_hub(tmp_path: Path) -> None:
    revisions = {
        "main": {"data/tool-0.jsonl": rows("ls new", "cat new"), "data/xml-0.jsonl": rows("ls xml")},
        "v1.0": {"data/tool-0.jsonl": rows("ls old"), "data/xml-0.jsonl": rows("ls oldxml")},
    }
    revisions = {
        name: {**files, "README.md": b"---\nconfigs:\n- config_name: default\n  data_files:\n"
               b"  - split: tool\n    path: data/tool-*\n  - split: xml\n    path: data/xml-*\n---\n"}
        for name, files in revisions.items()
    }  # fmt: skip
    names = [
        f"{NAME}@tool",
        NAME,
        f"{NAME}@tool@v1.0",
        f"{NAME}@@{commit_of('v1.0')}",
        f"{NAME}@tool@v9",
        f"{NAME}@test",
    ]
    with fake_hub(NAME, revisions) as address:
        env = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
        env |= {
            "PYTHONPATH": str(ROOT),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1",
        }
        done = subprocess.run(
            [sys.executable, "-c", READ, *names], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=240
        )
    assert done.returncode == 0, done.stderr
    found = {name: commands for name, commands, _ in map(json.loads, done.stdout.splitlines())}
    assert found[f"{NAME}@tool"] == ["ls new", "cat new"]
    assert found[NAME] == ["ls new", "cat new", "ls xml"]
    assert found[f"{NAME}@tool@v1.0"] == ["ls old"]
    assert found[f"{NAME}@@{commit_of('v1.0')}"] == ["ls old", "ls oldxml"]
    assert "neither a file here nor a data set that can be loaded" in found[f"{NAME}@tool@v9"]
    assert "neither a file here nor a data set that can be loaded" in found[f"{NAME}@test"]


def test_the_hubs_client_keeps_its_tries_to_itself(caplog: pytest.LogCaptureFixture) -> None:
    client = logging.getLogger("huggingface_hub.utils._http")
    with quiet_hub():
        client.warning("Retrying in 1s [Retry 1/5].")
    client.warning("afterwards")
    assert [record.message for record in caplog.records] == ["afterwards"]


def test_waiting_for_the_hub_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "PATIENCE", 0.01)
    told = threading.Event()
    monkeypatch.setattr(hub._log, "warning", lambda text, asked: told.set() if asked == "the model a/b" else None)
    with quiet_hub("the model a/b"):
        assert told.wait(60)
    told.clear()
    with quiet_hub():
        assert not told.wait(0.1)
    monkeypatch.setattr(hub, "PATIENCE", 4.0)
    with quiet_hub("the model a/b"):
        pass
    assert not told.wait(4.5)
