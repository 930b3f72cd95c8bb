"""Settings of sampling with a vLLM server. Imports neither torch nor a model."""

from __future__ import annotations

from dataclasses import dataclass

from swe_srl.errors import ConfigError
from swe_srl.settings import setting


@dataclass(frozen=True)
class VllmSettings:
    """A vLLM server that samples in place of the trainer's own generator; its weights follow the model's."""

    url: str = setting(
        "", "vLLM server that samples, such as http://127.0.0.1:8000; empty: the trainer samples itself."
    )
    folder: str = setting(
        "", "Folder through which the server gets the weights, seen under the same path by both; empty: the run's."
    )

    def __post_init__(self) -> None:
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ConfigError(f"vllm.url: expected a URL such as http://127.0.0.1:8000, not {self.url!r}")
        if self.folder and not self.url:
            raise ConfigError("vllm.folder is for a server: give vllm.url too")
