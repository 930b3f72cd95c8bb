"""One update: what its objective is computed from."""

from __future__ import annotations

import pytest
import torch
from tiny_models import make_model, make_tokenizer
from torch import Tensor
from transformers import PreTrainedModel

from swe_srl.generation import TransformersGenerator
from swe_srl.generation.attention import use_grouped
from swe_srl.training.forward import TokenGroup, score
from swe_srl.training.memory import recompute_activations
from swe_srl.training.settings import StageSettings
from swe_srl.training.update import Updater
from swe_srl.types import Message, Sampling

GROUPS = (TokenGroup((5, 6, 7), ((8, 9, 2),)), TokenGroup((5, 11), ((30, 31, 32, 2),)))

SEQUENCES = [one for group in GROUPS for one in group.sequences]


def updater(**stage: object) -> Updater:
    model = make_model("qwen2", seed=3)
    use_grouped(model)
    return Updater(model, StageSettings(learning_rate=0.0, **stage), total=1, budget=10_000)  # type: ignore[arg-type]


@pytest.mark.parametrize("average", ["token", "sequence"])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_likelihood_of_targets_is_that_of_the_model_whatever_the_sampling_temperature(
    temperature: float, average: str
) -> None:
    trainer = updater(method="sft", temperature=temperature, average=average)
    expected = trainer.loss(GROUPS)
    row = trainer.likelihood(GROUPS).metrics()
    assert row["loss"] == pytest.approx(expected, rel=1e-5)
    with torch.no_grad():
        scored = score(trainer.model, SEQUENCES)
    sums = scored.logprob_NT.sum(dim=1).tolist()
    plain = -sum(sums) / 7 if average == "token" else -(sums[0] / 3 + sums[1] / 4) / 2
    assert expected == pytest.approx(plain, rel=1e-5)
    assert row["entropy"] == pytest.approx(float(scored.entropy_NT.sum()) / 7, rel=1e-5)


def test_logprobs_are_those_at_the_sampling_temperature() -> None:
    trainer = updater(temperature=0.5)
    with torch.no_grad():
        expected = score(trainer.model, SEQUENCES, 0.5).logprob_NT
    (first,), (second,) = trainer.logprobs(GROUPS)
    assert first == pytest.approx(expected[0, :3].tolist(), rel=1e-5) and second == pytest.approx(expected[1].tolist())


@pytest.mark.parametrize("family", ["qwen2", "sliding"])
def test_activations_are_recomputed_without_dropout_also_after_sampling(family: str) -> None:
    """Memory alone is saved, whatever dropout the configuration asks for: on shared prefixes and on separate sequences."""

    def gradient(model: PreTrainedModel) -> Tensor:
        model.zero_grad()
        (score(model, SEQUENCES).logprob_NT * torch.tensor([[1.0], [-2.0]])).sum().backward()  # type: ignore[no-untyped-call]
        return torch.cat([one.grad.flatten() for one in model.parameters() if one.grad is not None])

    model = make_model(family, seed=3, attention_dropout=0.5)
    use_grouped(model)
    expected = gradient(model)
    recompute_activations(model)
    generator = TransformersGenerator((model, make_tokenizer()))
    generator.generate([(Message("user", "list"),)], 2, Sampling(max_new_tokens=4), [0])
    calls: list[object] = []
    for layer in model.model.layers:
        layer.mlp.register_forward_pre_hook(lambda *_: calls.append(1))
    assert torch.equal(gradient(model), expected)
    assert len(calls) == 2 * len(model.model.layers), "each once forward, and once more going backward"
