"""WHO acts: agent definitions, policies and the rollout loop."""

from swe_srl.agents.definition import AgentDefinition
from swe_srl.agents.episode import Episode, EpisodeJob
from swe_srl.agents.policies import EmptyPolicy, ExpertPolicy, GoldPolicy, ModelPolicy, PolicyAnswer
from swe_srl.agents.rollout import run_episodes

__all__ = [
    "AgentDefinition",
    "EmptyPolicy",
    "Episode",
    "EpisodeJob",
    "ExpertPolicy",
    "GoldPolicy",
    "ModelPolicy",
    "PolicyAnswer",
    "run_episodes",
]
