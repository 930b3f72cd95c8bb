"""The forest's pass on a GPU, FlexAttention with a block mask, against separate sequences; the same checks on a CPU."""

from __future__ import annotations

import random
from contextlib import nullcontext

import pytest
import torch
from transformers import PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from swe_srl.generation.attention import use_grouped
from swe_srl.training.forest import Forest, TokenSequence
from swe_srl.training.forest_flex import BLOCK, FlexPlan
from swe_srl.training.forward import TokenGroup, _plan, score
from swe_srl.training.objective import policy_loss

LENGTHS = (60, 3 * BLOCK, 5 * BLOCK + 17)
pytestmark = pytest.mark.timeout(600)  # the first pass on a GPU compiles


def make(device: str, kv_heads: int) -> PreTrainedModel:
    torch.manual_seed(kv_heads)
    config = Qwen2Config(
        vocab_size=300,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=kv_heads,
    )
    model = Qwen2ForCausalLM(config).to(device)
    use_grouped(model)
    return model


def made_sequences(longest: int, size: int = 3) -> list[TokenSequence]:
    """Completions of three contexts that are prefixes of one another, the last one over several blocks."""
    rng = random.Random(longest)
    tokens = lambda count: tuple(rng.randrange(3, 300) for _ in range(count))  # noqa: E731
    trunk = tokens(longest)
    contexts = [trunk[: longest // 3], trunk[: longest // 2], trunk]
    groups = [TokenGroup(one, tuple(tokens(rng.randint(5, 40)) for _ in range(size))) for one in contexts]
    return [one for group in groups for one in group.sequences]


def loss_and_gradient(
    model: PreTrainedModel, sequences: list[TokenSequence], plain: bool, half: bool
) -> tuple[float, torch.Tensor]:
    """The policy loss, and its gradient as one vector in float64."""
    device = model.device
    model.zero_grad(set_to_none=True)
    with torch.autocast(device.type, dtype=torch.bfloat16) if half else nullcontext():
        scored = score(model, sequences, 0.9, plain)
    advantage = torch.linspace(-1.0, 1.5, len(sequences), device=device)
    weight = torch.full((len(sequences),), 1 / 100, device=device)
    new = scored.logprob_NT
    loss = policy_loss(new, new.detach(), advantage, scored.mask_NT, weight, 0.2, 0.2).loss
    loss.backward()  # type: ignore[no-untyped-call]
    found = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    return float(new.detach()[scored.mask_NT].mean()), found.double().cpu()


def off(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm())


def on_gpu(*values: object) -> object:
    return pytest.param("cuda", *values, marks=pytest.mark.gpu)


EXACT = [("cpu", 2, 60), *(on_gpu(kv_heads, longest) for kv_heads in (1, 2, 4) for longest in LENGTHS)]
HALF = [("cpu", 60), *(on_gpu(longest) for longest in LENGTHS)]


@pytest.mark.parametrize(("device", "kv_heads", "longest"), EXACT)
def test_loss_and_gradient_are_those_of_separate_sequences(device: str, kv_heads: int, longest: int) -> None:
    model, sequences = make(device, kv_heads), made_sequences(longest)
    ours, mine = loss_and_gradient(model, sequences, plain=False, half=False)
    theirs, other = loss_and_gradient(model, sequences, plain=True, half=False)
    assert ours == pytest.approx(theirs, abs=1e-4) and float(other.norm()) > 0
    assert off(mine, other) < 1e-3


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize(("kv_heads", "longest"), list(zip((4, 1, 2), LENGTHS, strict=True)))
def test_the_block_masks_gradient_without_a_gpu(kv_heads: int, longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """FlexAttention refuses a backward pass on a CPU; its uncompiled one, which knows no device, is sound there."""
    from torch.nn.attention import flex_attention

    from swe_srl.training import forward

    monkeypatch.setattr(flex_attention, "_validate_device", lambda *tensors: None)
    monkeypatch.setattr(forward, "_plan", FlexPlan)
    model, sequences = make("cpu", kv_heads), made_sequences(longest)
    ours, mine = loss_and_gradient(model, sequences, plain=False, half=False)
    theirs, other = loss_and_gradient(model, sequences, plain=True, half=False)
    assert ours == pytest.approx(theirs, abs=1e-5) and off(mine, other) < 1e-5


@pytest.mark.parametrize(("device", "longest"), HALF)
def test_bfloat16_is_as_near_as_that_of_separate_sequences(device: str, longest: int) -> None:
    """Both are compared with separate sequences in float32."""
    model, sequences = make(device, 2), made_sequences(longest)
    exact, gradient = loss_and_gradient(model, sequences, plain=True, half=False)
    ours, mine = loss_and_gradient(model, sequences, plain=False, half=True)
    theirs, other = loss_and_gradient(model, sequences, plain=True, half=True)
    assert 0 < off(mine, gradient) < 2 * off(other, gradient) < 0.2
    assert abs(ours - exact) < 2 * abs(theirs - exact) + 1e-2


@pytest.mark.gpu
def test_a_gpu_takes_the_block_mask() -> None:
    """What the tests above compare on a GPU is FlexAttention, whose shapes change from batch to batch."""
    model = make("cuda", 2)
    for longest in (130, 400, 900, 260):
        sequences = made_sequences(longest)
        assert isinstance(_plan(Forest.of(sequences), model.device), FlexPlan)
        ours, mine = loss_and_gradient(model, sequences, plain=False, half=False)
        theirs, other = loss_and_gradient(model, sequences, plain=True, half=False)
        assert ours == pytest.approx(theirs, abs=1e-4) and off(mine, other) < 1e-3
