"""What the model says: tokens with their log-probabilities, from `transformers`, vLLM or an OpenAI-compatible endpoint.

The generators are loaded on first use, so that importing this package does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swe_srl.generation.endpoint import EndpointGenerator
    from swe_srl.generation.local import TransformersGenerator
    from swe_srl.generation.vllm import VllmGenerator, VllmServer

__all__ = ["EndpointGenerator", "TransformersGenerator", "VllmGenerator", "VllmServer"]


def __getattr__(name: str) -> Any:
    if name == "TransformersGenerator":
        from swe_srl.generation.local import TransformersGenerator

        return TransformersGenerator
    if name == "EndpointGenerator":
        from swe_srl.generation.endpoint import EndpointGenerator

        return EndpointGenerator
    if name in ("VllmGenerator", "VllmServer"):
        from swe_srl.generation import vllm

        return getattr(vllm, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
