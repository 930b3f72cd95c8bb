"""What training computed, counted in tokens: what methods of different kinds are compared by. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from swe_srl.files import read_jsonl

BACKWARD = 2  # what a backward token counts for: its arithmetic is about that of two forward ones (arXiv 2001.08361)


def compute_of(row: Mapping[str, Any]) -> int:
    """The compute of an update, from its row of metrics: forward tokens, and `BACKWARD` times the backward ones.

    >>> compute_of({"update": 3, "forward_tokens": 100, "backward_tokens": 10})
    120
    """
    return int(row.get("forward_tokens", 0) + BACKWARD * row.get("backward_tokens", 0))


def tokens_of_run(run: Path) -> tuple[int, int]:
    """Forward and backward tokens of a run's updates, of all stages; validations are not counted."""
    rows = list(read_jsonl(run / "metrics.jsonl"))
    return _total(rows, "forward_tokens"), _total(rows, "backward_tokens")


def _total(rows: Iterable[Mapping[str, Any]], name: str) -> int:
    return int(sum(row.get(name, 0) for row in rows))
