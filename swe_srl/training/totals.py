"""What an update sums up over its tokens and its processes, and the metrics made of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class Totals:
    """Sums over the tokens of an update, and what its optimiser steps reported."""

    sums: dict[str, float] = field(default_factory=dict)
    norms: list[float] = field(default_factory=list)
    rate: float = 0.0
    tokens: int = 0  # of completions
    computed: int = 0  # tokens in the forward passes, and in the backward ones
    plain: int = 0  # tokens that separate sequences would have taken

    def add(self, name: str, value: Tensor) -> None:
        """Add to a sum over tokens."""
        self.sums[name] = self.sums.get(name, 0.0) + float(value.detach())

    def merge(self, other: Totals) -> None:
        """Add the sums of another process."""
        for name, value in other.sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.tokens += other.tokens
        self.computed += other.computed
        self.plain += other.plain

    def metrics(self) -> dict[str, float]:
        """Means per completion token; `loss` is the mean over optimiser steps."""
        steps = max(1, len(self.norms))
        row = {name: value / max(1, self.tokens) for name, value in self.sums.items() if name != "loss"}
        row |= {"loss": self.sums.get("loss", 0.0) / steps, "grad_norm": sum(self.norms) / steps}
        row |= {"learning_rate": self.rate, "updated_tokens": self.computed}
        row["sharing_ratio"] = self.plain / max(1, self.computed)
        return row
