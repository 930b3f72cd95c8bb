"""What a pass has to compute: shapes of models, floating-point operations of loss and gradient, peaks of devices."""

from __future__ import annotations

from typing import Any

_SMALL = {"vocab_size": 151_936, "num_key_value_heads": 2, "tie_word_embeddings": True}
SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {
        "hidden_size": 64,
        "intermediate_size": 176,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 512,
        "tie_word_embeddings": True,
    },
    "0.5B": {
        **_SMALL,
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
    },
    "1.5B": {
        **_SMALL,
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
    },
    "7B": {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152_064,
        "tie_word_embeddings": False,
    },
}  # of Qwen2.5 (arXiv 2412.15115), but for tiny
PEAKS = (  # part of the device's name; FLOP/s, dense, as its maker states: bfloat16 tensor cores, float32 without them
    ("H100 PCIe", {"bfloat16": 756e12, "float32": 51e12}),
    ("H100", {"bfloat16": 989e12, "float32": 67e12}),
    ("H200", {"bfloat16": 989e12, "float32": 67e12}),
    ("A100", {"bfloat16": 312e12, "float32": 19.5e12}),
)


def flops(shape: dict[str, Any], tokens: int, pairs: int, logits: int) -> float:
    """Operations of a forward and a backward pass, a multiplication and an addition counting as two.

    Going backward takes twice what going forward does. Normalisations, rotations and what is computed again are not counted.

    Args:
        shape: of the model, as in `SHAPES`.
        tokens: that go through the layers.
        pairs: of a token and one that it attends to, itself among them.
        logits: tokens whose logits are computed.
    """
    hidden, layers, heads = shape["hidden_size"], shape["num_hidden_layers"], shape["num_attention_heads"]
    size = shape.get("head_dim") or hidden // heads
    projections = hidden * size * (2 * heads + 2 * shape["num_key_value_heads"])
    weights = layers * (projections + 3 * hidden * shape["intermediate_size"])
    forward = 2 * weights * tokens + 4 * layers * heads * size * pairs + 2 * hidden * shape["vocab_size"] * logits
    return float(3 * forward)


def peak_of(device: str, dtype: str) -> float:
    """FLOP/s of a device at its peak; 0 when they are not known."""
    return next((rates[dtype] for name, rates in PEAKS if name in device), 0.0)
