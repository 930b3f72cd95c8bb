"""HOW CLOSE: pure functions on commands, from (predicted, target) to a score with the parts that made it.

`effect` alone is not pure: it asks a `Probe` what the commands do.
"""

from swe_srl.rewards.effect import Effect, EffectSimilarity, Probe
from swe_srl.rewards.guards import Guarded, no_operation
from swe_srl.rewards.own import OwnSimilarity
from swe_srl.rewards.pivot import PivotSimilarity
from swe_srl.rewards.registry import get_similarity, similarity_names
from swe_srl.rewards.sequence import SequenceSimilarity
from swe_srl.rewards.shell.compare import ShellSimilarity
from swe_srl.rewards.step import step_reward

__all__ = [
    "Effect",
    "EffectSimilarity",
    "Guarded",
    "OwnSimilarity",
    "PivotSimilarity",
    "Probe",
    "SequenceSimilarity",
    "ShellSimilarity",
    "get_similarity",
    "no_operation",
    "similarity_names",
    "step_reward",
]
