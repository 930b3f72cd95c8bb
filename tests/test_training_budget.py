"""Token budgets that fit into a memory: what is counted, what is refused, that a resumed run keeps them."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import make_model
from training_data import train_settings

from swe_srl.errors import ConfigError
from swe_srl.generation.attention import use_grouped
from swe_srl.training import TrainSettings
from swe_srl.training.budget import CPU, MOST_UPDATE, _most, budgets_of, fit, fixed_bytes, kept_bytes
from swe_srl.training.memory import peak_bytes


def settings_for(memory: str, **extra: Any) -> TrainSettings:
    return TrainSettings(memory=memory, **extra)


@pytest.fixture(scope="module")
def model() -> Any:
    made = make_model(layers=4)
    use_grouped(made)
    return made


def test_more_memory_is_more_tokens(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swe_srl.training.budget._held", lambda: 0)
    few, many = (fit(settings_for(memory), model, nullcontext) for memory in ("40MB", "80MB"))
    assert 64 < few.update_tokens < many.update_tokens < MOST_UPDATE
    assert few.generate_tokens < many.generate_tokens
    taken = few.fixed_mb * 2**20 + few.update_tokens * (few.update_token_kb * 1024 + 16 * 400)
    assert 0.8 * 40e6 < taken < 40e6


def test_what_a_pass_keeps_is_measured(model: Any) -> None:
    whole = kept_bytes(model, nullcontext, False)
    assert whole > 4 * 4 * (2 * 32 + 48)  # layers, bytes, at least the inputs of attention and of the feed-forward part
    assert kept_bytes(model, nullcontext, True) < whole / 2
    half = kept_bytes(model, lambda: torch.autocast("cpu", dtype=torch.bfloat16), False)
    assert half < whole


def test_the_optimiser_and_a_reference_are_counted(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swe_srl.training.budget._held", lambda: 0)
    size = 4 * sum(one.numel() for one in model.parameters())
    assert fixed_bytes(settings_for("1GB"), model, CPU, 1) == 4 * size
    assert fixed_bytes(settings_for("1GB", kl=0.1), model, CPU, 1) == 5 * size
    assert fixed_bytes(settings_for("1GB"), model, CPU, 4) == 2 * size  # its share of all, and the whole for sampling


def test_a_model_that_does_not_fit_is_refused(model: Any) -> None:
    with pytest.raises(ConfigError, match=r"memory: 2MB is too little: .* Give at least .* GiB, train adapters"):
        fit(settings_for("2MB"), model, nullcontext)


def test_logits_stop_to_grow_at_the_bound_of_a_block() -> None:
    assert _most(1000.0, 10.0, 90.0, 10_000.0, 10**6) == 10
    assert _most(1_000_000.0, 10.0, 90.0, 9_000.0, 10**6) == 99_100
    assert _most(1e12, 10.0, 90.0, 9_000.0, 500) == 500 and _most(-5.0, 1.0, 1.0, 1.0, 9) == 0


def test_a_resumed_run_keeps_its_budgets(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swe_srl.training.budget._held", lambda: 0)
    first = budgets_of(tmp_path, settings_for("40MB"), model, nullcontext)
    monkeypatch.setattr("swe_srl.training.budget._held", lambda: 30_000_000)
    assert budgets_of(tmp_path, settings_for("40MB"), model, nullcontext) == first
    assert fit(settings_for("40MB"), model, nullcontext).update_tokens < first.update_tokens


def test_a_run_that_is_shared_out_otherwise_is_measured_anew(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What several processes share, one alone has to hold."""
    monkeypatch.setattr("swe_srl.training.budget._held", lambda: 0)
    shared = budgets_of(tmp_path, settings_for("40MB"), model, nullcontext, shares=4)
    alone = budgets_of(tmp_path, settings_for("40MB"), model, nullcontext)
    assert alone.update_tokens < shared.update_tokens
    assert alone == fit(settings_for("40MB"), model, nullcontext)
    assert budgets_of(tmp_path, settings_for("40MB"), model, nullcontext) == alone


GROWN = """
import torch
from swe_srl.training.budget import _held
from swe_srl.training.memory import release

kept = [torch.ones(2**13) for _ in range(6000)]  # 32 KiB each
last = torch.ones(2**13)  # above them: the heap cannot shrink
most = _held()
del kept
freed = _held()
release()
print(most, freed, _held())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc keeps what is freed")
def test_what_is_freed_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", GROWN], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    most, freed, released = map(int, done.stdout.split())
    assert most - freed < 50e6, "the C library keeps nothing: this shows nothing"
    assert most - released > 150e6


LARGE = """
import sys
import torch
from swe_srl.training.budget import _held
from swe_srl.training.memory import give_back_at_once

if sys.argv[1] == "at once":
    give_back_at_once()
del (first := [torch.ones(2**22)])[0]  # 16 MiB: from now on glibc takes what is smaller from its heap
kept = [(torch.ones(2**21), torch.ones(2**13)) for _ in range(20)]  # 8 MiB each, and something above it that stays
most = _held()
small = [pair[1] for pair in kept]
del kept
print(most - _held())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc keeps what is freed")
def test_large_blocks_are_given_back_at_once() -> None:
    freed = {}
    for when in ("later", "at once"):
        done = subprocess.run([sys.executable, "-c", LARGE, when], capture_output=True, text=True, timeout=250)
        assert done.returncode == 0, done.stderr
        freed[when] = int(done.stdout)
    assert freed["later"] < 50e6, "the C library keeps nothing: this shows nothing"
    assert freed["at once"] > 150e6


PEAK = """
import sys
from swe_srl.training import load_recipe, train
from swe_srl.training.memory import peak_bytes

train(load_recipe("quickstart", updates=1, eval_every=0, save_every=0, memory="1GB", output=sys.argv[1], threads=1))
print(peak_bytes())
"""


@pytest.mark.slow
def test_a_run_keeps_within_its_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PEAK, str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert 0.5e9 < int(done.stdout) < 1e9


def test_the_peak_is_the_process_own() -> None:
    code = "from swe_srl.training.memory import peak_bytes; print(peak_bytes())"
    most = [torch.ones(2**28), peak_bytes()]  # 1 GiB: more than the other process takes
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    assert 50e6 < int(done.stdout) < 2**30 < most[1]


@pytest.mark.parametrize("text", ["24", "much", "-1GB", "0GB", "1.2.3GB", "GB"])
def test_an_amount_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="memory: expected an amount such as 24GB"):
        train_settings(tmp_path, memory=text)
