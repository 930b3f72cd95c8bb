"""LoRA: only adapters change, the shared-prefix pass and resuming are as exact as without, merged is the same model."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import make_model, make_tokenizer, save_model
from training_data import SFT, SRL, train_settings
from transformers import AutoModelForCausalLM

from swe_srl.errors import ConfigError, TrainingError
from swe_srl.files import read_jsonl
from swe_srl.generation import TransformersGenerator
from swe_srl.generation.attention import use_grouped
from swe_srl.training import TrainSettings, method, train
from swe_srl.training.adapter_settings import LoraSettings
from swe_srl.training.adapters import FILE, add_adapter, has_adapter, load_adapter, merged
from swe_srl.training.budget import CPU, fixed_bytes
from swe_srl.training.checkpoints import save_result
from swe_srl.training.data import load_steps
from swe_srl.training.explain import ExplainSettings, explain
from swe_srl.training.forward import TokenGroup, score
from swe_srl.training.optimiser import Optimiser
from swe_srl.training.reference import Reference, StartAdapters
from swe_srl.training.settings import StageSettings
from swe_srl.training.update import PolicyGroup, Updater
from swe_srl.types import Message, Sampling

pytest.importorskip("peft")
pytestmark = pytest.mark.timeout(900)
LORA = LoraSettings(rank=4)
GROUPS = [TokenGroup((5, 6, 7, 8), ((9, 10, 2), (11, 2))), TokenGroup((5, 6), ((12, 13, 14, 2), (15, 2)))]
SEQUENCES = [sequence for group in GROUPS for sequence in group.sequences]


def adapted(base: Path | str = "", seed: int = 0, rank: int = 4, vocab: int = 400) -> Any:
    model = make_model(vocab=vocab)
    add_adapter(model, LoraSettings(rank=rank), base, seed)
    use_grouped(model)
    return model


def updated(model: Any, updates: int = 2) -> Any:
    """A model after updates on made-up rewards."""
    updater = Updater(model, StageSettings(learning_rate=1e-2), 10, 4096)
    for number in range(updates):
        old = updater.logprobs(GROUPS)
        units = [[PolicyGroup(group, o, (1.0, -1.0))] for group, o in zip(GROUPS, old, strict=True)]
        updater.policy(units, number)
    return model


def logprobs(model: Any, plain: bool = False) -> torch.Tensor:
    return score(model, SEQUENCES, plain=plain).logprob_NT.detach()


def rows_without_times(run: Path) -> list[dict[str, Any]]:
    """The metrics of a run that another one must repeat."""
    return [
        {key: value for key, value in row.items() if key not in ("seconds", "memory_mb")}
        for row in read_jsonl(run / "metrics.jsonl")
    ]


def test_new_adapters_change_nothing_and_only_they_are_trained() -> None:
    plain, model = make_model(), adapted()
    use_grouped(plain)
    assert torch.equal(logprobs(plain), logprobs(model))
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    after = updated(model).state_dict()
    changed = {name for name, weight in after.items() if not torch.equal(weight, before[name])}
    assert changed == {name for name in after if ".lora_" in name}
    assert len(Optimiser(model, StageSettings(), 1).parameters) == len(changed)


def test_the_shared_pass_equals_separate_sequences_with_adapters() -> None:
    model = updated(adapted())
    assert torch.allclose(logprobs(model), logprobs(model, plain=True), atol=1e-5)
    gradients = []
    for plain in (False, True):
        model.zero_grad(set_to_none=True)
        score(model, SEQUENCES, plain=plain).logprob_NT.sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.requires_grad]))
    assert float((gradients[0] - gradients[1]).norm() / gradients[1].norm()) < 1e-5


def test_merged_weights_are_the_same_model(tmp_path: Path) -> None:
    model = updated(adapted())
    whole = merged(model)
    use_grouped(whole)
    assert has_adapter(model) and not has_adapter(whole)
    assert torch.allclose(logprobs(whole), logprobs(model), atol=1e-5)
    assert not torch.allclose(logprobs(whole), logprobs(adapted()), atol=1e-3)


def test_saved_adapters_are_read_back_exactly(tmp_path: Path) -> None:
    base = save_model(tmp_path / "base")
    model = updated(adapted(base, vocab=len(make_tokenizer())))
    for merge in (True, False):
        (tmp_path / str(merge)).mkdir()
        save_result(tmp_path / str(merge), model, make_tokenizer(), merge)
        again = adapted(base, seed=1, vocab=len(make_tokenizer()))
        load_adapter(again, tmp_path / str(merge))
        assert torch.equal(logprobs(again), logprobs(model))
    assert (tmp_path / "True/config.json").is_file() and not (tmp_path / "False/model.safetensors").exists()
    context = [(Message("user", "The function returns the wrong value."),)]
    sampling = Sampling(max_new_tokens=6)
    texts = [
        TransformersGenerator(tmp_path / str(merge)).generate(context, 2, sampling, [3]) for merge in (True, False)
    ]
    assert [one.token_ids for one in texts[0][0]] == [one.token_ids for one in texts[1][0]]


@pytest.mark.parametrize("former", [False, True], ids=["new adapters", "those of a stage before"])
def test_the_divergence_is_that_from_a_copy_of_the_start(former: bool) -> None:
    """Loss and gradient, in several passes, of a model that has moved since."""
    model = updated(adapted(), 3) if former else adapted()
    copied = copy.deepcopy(model).requires_grad_(False)
    references = Reference(copied, score), StartAdapters(model, score)
    base = make_model()
    use_grouped(base)
    assert torch.equal(logprobs(copied), logprobs(base)) is not former
    updated(model)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    old = Updater(model, StageSettings(), 1, 4096).logprobs(GROUPS)
    units = [[PolicyGroup(group, o, (1.0, -1.0))] for group, o in zip(GROUPS, old, strict=True)]
    found = []
    for reference in references:
        updater = Updater(model, StageSettings(kl=0.5), 1, 8, reference=reference)
        gradients: list[torch.Tensor] = []

        def gather(place: int, into: list[torch.Tensor] = gradients) -> tuple[float, float]:
            into.extend(p.grad.clone() for p in model.parameters() if p.requires_grad)
            model.zero_grad(set_to_none=True)
            return 1.0, 0.0

        updater.optimiser.step = gather  # type: ignore[method-assign]
        found.append((updater.policy(units, 0).sums, gradients))
    assert found[0][0] == found[1][0] and found[0][0]["kl"] > 1e-4
    assert all(torch.equal(one, other) for one, other in zip(found[0][1], found[1][1], strict=True))
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_an_interruption_leaves_the_trained_adapters_in_the_model() -> None:
    model, halfway = adapted(), []

    def interrupted(*arguments: Any) -> Any:
        halfway.append((updater.halfway, logprobs(model)))
        raise KeyboardInterrupt

    updater = Updater(model, StageSettings(kl=0.5), 1, 4096, reference=StartAdapters(model, interrupted))
    start, now = logprobs(model), logprobs(updated(model))
    with pytest.raises(KeyboardInterrupt):
        updater.policy([[PolicyGroup(GROUPS[0], ((0.0,) * 3, (0.0,) * 2), (1.0, -1.0))]], 0)
    ((there, seen),) = halfway
    assert there and torch.equal(seen, start)
    assert not updater.halfway and torch.equal(logprobs(model), now) and not torch.equal(now, start)


def test_the_start_is_not_counted_as_a_second_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swe_srl.training.budget._held", lambda: 0)
    model = adapted()
    sizes = [
        4 * sum(one.numel() for one in model.parameters() if one.requires_grad in kinds)
        for kinds in ((True,), (True, False))
    ]
    trained, whole = sizes
    lora = {"lora": LORA, "memory": "1GB"}
    assert fixed_bytes(TrainSettings(**lora), model, CPU, 1) == whole + 3 * trained
    assert fixed_bytes(TrainSettings(**lora, kl=0.1), model, CPU, 1) == whole + 5 * trained < 1.5 * whole


@pytest.mark.slow
def test_a_stage_that_goes_on_from_adapters_resumes_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a divergence from what the stage before ended with, and one model in memory."""
    first = {**SFT, "updates": 1, "batch_steps": 2, "learning_rate": 1e-3, "eval_every": 0, "save_every": 0}
    second = {**SRL, "updates": 3, "batch_steps": 2, "learning_rate": 1e-2, "kl": 0.5, "eval_every": 0, "save_every": 1}
    extra = {"lora": {"rank": 2, "merge": False}, "model": "quickstart", "final_model": "last", "samples_every": 9}
    loaded = []
    load = method.load_model
    monkeypatch.setattr(method, "load_model", lambda *arguments: loaded.append(arguments) or load(*arguments))
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    whole = train(train_settings(tmp_path / "whole", first, second, **extra))
    settings = train_settings(tmp_path / "stopped", first, second, **extra)
    step, calls = Optimiser.step, []

    def stopped(self: Optimiser, place: int) -> tuple[float, float]:
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("gone")
        return step(self, place)

    monkeypatch.setattr(Optimiser, "step", stopped)
    with pytest.raises(RuntimeError, match="gone"):
        train(settings)
    run = train(settings)
    kept = [rows_without_times(one) for one in (whole, run)]
    assert kept[0] == kept[1] and next(row["kl"] for row in kept[0] if "kl" in row) < 1e-9 < kept[0][-1]["kl"]
    assert (whole / "model" / FILE).read_bytes() == (run / "model" / FILE).read_bytes() and not loaded


def test_a_wrong_rank_is_named_as_it_is_set() -> None:
    with pytest.raises(ConfigError, match=r"^lora\.rank must be at least 0, not -1"):
        LoraSettings(rank=-1)


def test_an_adapter_of_another_rank_or_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "four").mkdir()
    save_result(tmp_path / "four", adapted(), make_tokenizer(), False)
    with pytest.raises(TrainingError, match="holds an adapter of another model"):
        load_adapter(adapted(rank=2), tmp_path / "four")
    with pytest.raises(TrainingError, match="holds no adapter"):
        load_adapter(adapted(), tmp_path)


def test_what_is_wrong_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"lora\.targets: .*nonsense"):
        add_adapter(make_model(), LoraSettings(rank=2, targets="nonsense"), "", 0)
    with pytest.raises(ConfigError, match=r"lora\.targets: name at least one"):
        LoraSettings(targets=" , ")
    for targets in ("lm_head", "q_proj,lm_head", "embed_tokens"):
        with pytest.raises(ConfigError, match="input and output embeddings are one matrix"):
            model = make_model()
            model.config.tie_word_embeddings = True
            add_adapter(model, LoraSettings(rank=2, targets=targets), "", 0)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ConfigError, match=r"swe-srl\[lora\]"):
        add_adapter(make_model(), LORA, "", 0)


def test_a_step_of_a_run_with_adapters_is_explained(tmp_path: Path) -> None:
    stage = {
        **SRL,
        "updates": 1,
        "batch_steps": 1,
        "group_size": 2,
        "eval_every": 0,
        "save_every": 1,
        "max_resampling": 1,
    }
    settings = train_settings(tmp_path, stage, lora={"rank": 2, "merge": False}, final_model="last")
    run = train(settings)
    step = load_steps(settings).training[0].step_id
    for more in ({"before": 0, "after": 1}, {}):
        found = explain(ExplainSettings(run=str(run), step=step, resample=True, **more))
        assert len(found.completions) == 2 and all(one.before is not None for one in found.completions)
    with pytest.raises(ConfigError, match="holds adapters, not a whole model"):
        (tmp_path / "next").mkdir()
        train(train_settings(tmp_path / "next", stage, model=str(run / "model")))
    assert not (tmp_path / "next/run").exists()


@pytest.mark.slow
def test_a_run_with_adapters_resumes_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = {**SFT, "updates": 2, "batch_steps": 2, "eval_every": 2, "save_every": 1, "validation_steps": 2}
    stages = (stage, stage)
    extra = {"lora": {"rank": 2}, "final_model": "last", "gradient_checkpointing": True}
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    whole = train(train_settings(tmp_path / "whole", *stages, **extra))
    settings = train_settings(tmp_path / "stopped", *stages, **extra)
    steps, calls = Optimiser.step, []

    def stopped(self: Optimiser, place: int) -> tuple[float, float]:
        calls.append(1)
        if len(calls) in (2, 5):  # in either stage
            raise RuntimeError("gone")
        return steps(self, place)

    monkeypatch.setattr(Optimiser, "step", stopped)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="gone"):
            train(settings)
    run = train(settings)
    kept = [rows_without_times(one) for one in (whole, run)]
    assert kept[0] == kept[1] and len(kept[0]) == 6
    file = "model/adapter/adapter_model.safetensors"
    assert (whole / file).read_bytes() == (run / file).read_bytes()
    assert sorted(path.name for path in (run / "checkpoints/s1-u000002").glob("*.safetensors")) == [
        "adapter_model.safetensors"
    ]
    start, model = load_file(run / "random-model/model.safetensors"), load_file(run / "model/model.safetensors")
    changed = {name for name in start if not torch.equal(start[name], model[name])}
    assert changed and all("proj" in name for name in changed)
    assert AutoModelForCausalLM.from_pretrained(run / "model").num_parameters() == sum(
        w.numel() for w in model.values()
    )
