"""Names in training settings that can be looked up at once: a typing error is told before torch is loaded and data is read."""

from __future__ import annotations

from swe_srl.agents import AgentDefinition
from swe_srl.envs.definition import EnvironmentDefinition
from swe_srl.generation.source import check_model_source
from swe_srl.training.settings import QUICKSTART, RANDOM, TrainSettings
from swe_srl.trajectories import read_trajectories


def check_names(settings: TrainSettings) -> None:
    """Look for the model, the agent, the environment and the trajectories of a run that has no result yet.

    Raises:
        ConfigError: no such model folder, agent or environment.
        TrajectoryError: no such file, folder or data set.
    """
    if (settings.output / "result.json").exists():
        return
    if settings.model not in (QUICKSTART, RANDOM):
        check_model_source(settings.model, (QUICKSTART, RANDOM))
    AgentDefinition.load(settings.agent_name)
    if settings.environment:
        EnvironmentDefinition.load(settings.environment)
    if settings.needs_steps:
        for source in filter(None, (settings.trajectories, settings.validation, *settings.logs)):
            read_trajectories(source)  # nothing is read before the first one is asked for
