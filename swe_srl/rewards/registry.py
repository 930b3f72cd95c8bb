"""Similarities by name."""

from __future__ import annotations

from swe_srl.errors import ConfigError, suggest
from swe_srl.protocols import Similarity
from swe_srl.rewards.guards import Guarded
from swe_srl.rewards.pivot import PivotSimilarity
from swe_srl.rewards.sequence import SequenceSimilarity
from swe_srl.rewards.shell.compare import ShellSimilarity

_SIMILARITIES: dict[str, Similarity] = {
    "sequence": SequenceSimilarity(),
    "sequence-autojunk": SequenceSimilarity(autojunk=True),
    "shell": ShellSimilarity(),
    "pivot": PivotSimilarity(),
}


def similarity_names() -> list[str]:
    """Names that `get_similarity` knows, sorted."""
    return sorted(_SIMILARITIES)


def get_similarity(name: str) -> Similarity:
    """The similarity of that name, guarded against commands that do nothing; picklable and pure.

    Raises:
        ConfigError: no such name; the message suggests the nearest.

    >>> get_similarity("sequence")("ls -l", "ls -la").value
    0.9090909090909091
    """
    if name not in _SIMILARITIES:
        raise ConfigError(suggest(name, _SIMILARITIES, "similarity"))
    return Guarded(_SIMILARITIES[name])
