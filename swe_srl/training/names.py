"""Names in training settings that can be looked up at once: a typing error is told before torch is loaded and data is read."""

from __future__ import annotations

from importlib.util import find_spec

from swe_srl.agents import AgentDefinition
from swe_srl.envs.definition import EnvironmentDefinition
from swe_srl.errors import ConfigError
from swe_srl.generation.source import check_model_source
from swe_srl.training.settings import QUICKSTART, RANDOM, TrainSettings
from swe_srl.trajectories import read_trajectories


def check_names(settings: TrainSettings) -> None:
    """Look for the model, the agent, the environment, the trajectories and the extras of a run that has no result yet.

    Raises:
        ConfigError: no such model folder, agent or environment, or an extra that the settings need is not installed.
        TrajectoryError: no such file, folder or data set.
    """
    if (settings.output / "result.json").exists():
        return
    _check_extras(settings)
    if settings.model not in (QUICKSTART, RANDOM):
        check_model_source(settings.model, (QUICKSTART, RANDOM))
    AgentDefinition.load(settings.agent_name)
    if settings.environment:
        EnvironmentDefinition.load(settings.environment)
    if settings.needs_steps:
        for source in filter(None, (settings.trajectories, settings.validation, *settings.logs)):
            read_trajectories(source)  # nothing is read before the first one is asked for


def _check_extras(settings: TrainSettings) -> None:
    """That the packages of optional extras are there. Looks for them alone: nothing is loaded."""
    if settings.lora.rank and not _installed("peft"):
        raise ConfigError("peft is not installed: pip install 'swe-srl[lora]', or set lora.rank to 0")
    wanted = [*settings.track, *(("tensorboard",) if settings.tensorboard else ())]
    if missing := [name for name in wanted if not _installed(name)]:
        raise ConfigError(f"{', '.join(missing)} is not installed: pip install 'swe-srl[tracking]'")


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:  # a module put in its place has no spec
        return False
