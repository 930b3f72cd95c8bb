"""Training on trajectories that nobody here wrote: a tiny random model, a tokenizer of their text, SFT and then SRL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from swe_srl.files import read_jsonl
from swe_srl.training import load_recipe, train

pytestmark = [pytest.mark.shared, pytest.mark.slow, pytest.mark.timeout(900)]


def smoke(source: Path, output: Path, **overrides: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The real-smoke recipe, shortened; returns steps.json and the metrics."""
    run = train(load_recipe("real-smoke", trajectories=str(source), output=str(output), threads=1, **overrides))
    return json.loads((run / "steps.json").read_text()), list(read_jsonl(run / "metrics.jsonl"))


def test_mini_swe_agent_trajectories_and_the_reward_rises(shared_data: Path, tmp_path: Path) -> None:
    steps, metrics = smoke(
        shared_data / "trajectories/mini-swe-agent/gemini3pro_verified",
        tmp_path / "run",
        **{
            "steps.max_context_characters": 1000,
            "stages.0.updates": 60,
            "stages.1.updates": 4,
            "stages.0.validation_steps": 12,
            "stages.1.validation_steps": 12,
            "eval_every": 60,
        },
    )
    assert steps["turns_read"] == steps["steps"] + steps["reported"] > 1500
    assert steps["training"] + steps["validation"] == steps["steps"] > 200
    assert all(row["file"] and row["count"] for row in steps["turns"])
    rewards = [row["validation_reward"] for row in metrics if "validation_reward" in row]
    assert rewards[0] == -1.0 and max(rewards[1:]) > -0.9, rewards
    srl = [row for row in metrics if row["method"] == "srl" and row["update"] > 0]
    assert any(row["format_errors"] < 1 for row in srl)
    assert any(row.get("grad_norm", 0) > 0 for row in srl)


def test_swe_smith_trajectories(shared_data: Path, tmp_path: Path) -> None:
    steps, metrics = smoke(
        shared_data / "trajectories/swe-smith",
        tmp_path / "run",
        **{
            "steps.max_context_characters": 3600,
            "stages.0.updates": 3,
            "stages.1.updates": 1,
            "batch_steps": 2,
            "eval_every": 0,
            "save_every": 0,
        },
    )
    assert steps["turns_read"] == steps["steps"] + steps["reported"] > 100 and steps["training"] > 20
    assert [row["method"] for row in metrics if row["update"]] == ["sft"] * 3 + ["srl"]
