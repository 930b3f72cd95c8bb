"""Settings of training an adapter (LoRA) instead of the whole model. Imports neither torch nor peft."""

from __future__ import annotations

from dataclasses import dataclass

from swe_srl.errors import ConfigError
from swe_srl.settings import setting


@dataclass(frozen=True)
class LoraSettings:
    """Low-rank adapters (arXiv 2106.09685): the model stays as it is, small matrices beside its layers are trained."""

    rank: int = setting(0, "Rank of LoRA adapters; 0 trains the whole model. Needs the lora extra.")
    alpha: int = setting(0, "Scale of the adapters, over their rank; 0: twice the rank.")
    targets: str = setting("all-linear", "Layers with an adapter: all-linear, or names of modules with commas.")
    merge: bool = setting(
        True, "Add the adapters to the weights in model/ (they are in model/adapter too); off: only they."
    )

    def __post_init__(self) -> None:
        for name in ("rank", "alpha"):
            if getattr(self, name) < 0:
                raise ConfigError(f"lora.{name} must be at least 0, not {getattr(self, name)}")
        if not self.targets.strip(", "):
            raise ConfigError("lora.targets: name at least one module, or all-linear")
        if not self.rank and (self.alpha or self.targets != "all-linear" or not self.merge):
            raise ConfigError("lora: alpha, targets and merge are of adapters, and there are none without lora.rank")
