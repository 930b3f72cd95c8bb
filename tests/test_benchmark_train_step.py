"""The benchmark of one update: its count of operations is that of torch, and it runs at a small scale."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen2Config, Qwen2ForCausalLM

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import train_step_flops

    return train_step_flops


@pytest.mark.parametrize("tokens", [7, 40])
def test_operations_are_those_that_torch_counts(counted: Any, tokens: int) -> None:
    """Of ordinary attention, which computes all pairs, visible or not."""
    shape = counted.SHAPES["tiny"]
    model = Qwen2ForCausalLM(Qwen2Config(**shape, attn_implementation="eager"))
    with FlopCounterMode(display=False) as counter:
        model(torch.arange(tokens)[None]).logits.sum().backward()
    rotations = sum(count for name, count in counter.get_flop_counts()["Global"].items() if "bmm" in str(name))
    attention = 12 * shape["num_hidden_layers"] * shape["hidden_size"] * tokens**2
    angles = rotations - attention  # of the rotary embedding: a product of one column and one row, once
    assert 0 <= angles <= 2 * tokens * shape["hidden_size"]
    assert counted.flops(shape, tokens, tokens**2, tokens) == counter.get_total_flops() - angles


def test_shapes_have_the_parameters_of_their_names(counted: Any) -> None:
    """Those of Qwen2.5, as its report gives them: without embeddings 0.36, 1.31 and 6.53 billion."""
    for name, billions in (("0.5B", 0.36), ("1.5B", 1.31), ("7B", 6.53)):
        assert counted.flops(counted.SHAPES[name], 1, 0, 0) / 6e9 == pytest.approx(billions, abs=0.01)


def test_peaks_are_found_by_the_name_of_the_device(counted: Any) -> None:
    assert counted.peak_of("NVIDIA H100 80GB HBM3", "bfloat16") == 989e12
    assert counted.peak_of("NVIDIA H100 PCIe", "bfloat16") < 989e12 and counted.peak_of("x86_64 CPU", "float32") == 0


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_small_shape_is_measured(dtype: str) -> None:
    command = [sys.executable, str(BENCHMARKS / "train_step.py"), "--sides", "forest,plain", "--shape", "tiny"]
    command += ["--context", "192", "--completion", "8", "--steps", "2", "--group-size", "2", "--dtype", dtype]
    done = subprocess.run(
        [*command, "--peak-flops", "1e12", "--threads", "1"], capture_output=True, text=True, check=True
    )
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line.split()[-1].endswith("%")}
    assert rows.keys() == {"forest", "plain"} and int(rows["forest"][1]) < int(rows["plain"][1])
    assert float(rows["plain"][5]) < (1e-4 if dtype == "float32" else 0.1)  # difference of the gradients
    assert "1e+12 FLOP/s" in done.stdout
