"""From the `policy` setting to a policy and the agent definition it acts with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from swe_srl.agents import AgentDefinition, EmptyPolicy, ExpertPolicy, GoldPolicy, ModelPolicy
from swe_srl.errors import ConfigError, TaskError
from swe_srl.evaluation.settings import QUICKSTART, SCRIPTED, EvalSettings
from swe_srl.generation.source import check_model_source
from swe_srl.protocols import Generator, Policy
from swe_srl.tasks.expert import expert_actions
from swe_srl.trajectories import read_trajectories
from swe_srl.trajectories.steps import as_acted
from swe_srl.types import Task, Trajectory, Turn

OPENAI_KEY = "OPENAI_API_KEY"


def agent_of(settings: EvalSettings) -> AgentDefinition:
    """The agent definition with the settings' own limits and sampling in place of its own.

    Raises:
        ConfigError: no such definition, or sampling that nothing can be drawn with.
    """
    agent = AgentDefinition.load(settings.agent_name)
    given: dict[str, Any] = {"temperature": settings.temperature, "max_new_tokens": settings.max_new_tokens}
    try:
        sampling = replace(agent.sampling, **{name: value for name, value in given.items() if value is not None})
    except ValueError as error:
        raise ConfigError(str(error)) from error
    limits: dict[str, Any] = {name: getattr(settings, name) for name in ("max_turns", "max_tokens", "max_seconds")}
    if settings.policy in SCRIPTED and settings.max_turns is None:
        limits["max_turns"] = 1000  # a script ends by itself
    return replace(agent, sampling=sampling, **{name: value for name, value in limits.items() if value is not None})


def alike(settings: EvalSettings) -> str:
    """A warning when all samples of a task are drawn alike; "" when they are not."""
    if settings.samples == 1 or settings.policy in SCRIPTED or agent_of(settings).sampling.temperature:
        return ""
    return (
        f"warning: --samples {settings.samples} at temperature 0: all samples of a task are drawn alike, and tell no more than "
        f"one; give a --temperature above 0, or leave --samples out"
    )


def make_policy(settings: EvalSettings, agent: AgentDefinition, tasks: Sequence[Task]) -> Policy:
    """The policy that acts.

    Raises:
        ConfigError: the expert is asked for and a task has no expert trajectory; or there is no such model.
        GenerationError: the model cannot be loaded.
    """
    if settings.policy == "empty":
        return EmptyPolicy(agent.submit)
    if settings.policy == "gold":
        return GoldPolicy(tasks, agent.submit)
    if settings.policy == "expert":
        experts = expert_trajectories(settings, tasks)
        missing = [task.instance_id for task in tasks if task.instance_id not in experts]
        if missing:
            raise ConfigError(
                f"policy expert: no expert trajectory of {missing[0]} ({len(missing)} tasks have none): give --trajectories"
            )
        return ExpertPolicy(experts.values())
    return ModelPolicy(make_generator(settings), agent.sampling, agent.prompting.action_format)


def check_policy(settings: EvalSettings, scripted: Sequence[str] = SCRIPTED) -> None:
    """Check what can be checked of a model without loading it.

    Args:
        settings: name the policy.
        scripted: the policies without a model that the caller knows.

    Raises:
        ConfigError: neither a policy's name, nor a model folder, nor a hub id; or no such device; or an endpoint's key is
            not where the settings say.
    """
    if settings.is_endpoint:
        key_variable(settings)
    if settings.is_endpoint or settings.policy in scripted:
        return
    check_source(settings, scripted)
    if settings.device != "auto":
        from swe_srl.generation.loading import pick_device

        pick_device(settings.device)


def check_source(settings: EvalSettings, scripted: Sequence[str] = SCRIPTED) -> None:
    """Check that a local model's folder is there, as far as that can be told without the hub.

    Args:
        settings: name the model.
        scripted: what else could be meant, for the message.

    Raises:
        ConfigError: it is not, or the name is neither a folder's nor a hub id.
    """
    check_model_source(model_path(settings.policy), (QUICKSTART, *scripted))


def make_generator(settings: EvalSettings, concurrency: int = 8) -> Generator:
    """The local model, for whole episodes, or the endpoint that the `policy` setting names.

    Args:
        settings: name the model.
        concurrency: requests to an endpoint at a time.

    Raises:
        ConfigError: there is no such model or device.
        GenerationError: the model cannot be loaded.
    """
    if settings.is_endpoint:
        from swe_srl.generation import EndpointGenerator

        key = key_variable(settings)
        return EndpointGenerator(settings.policy, settings.endpoint_model, api_key_env=key, concurrency=concurrency)
    check_policy(settings)
    from swe_srl.generation import TransformersGenerator

    generator = TransformersGenerator(model_path(settings.policy), device=settings.device, dtype=settings.dtype)
    return generator.for_episodes()


def key_variable(settings: EvalSettings) -> str:
    """The environment variable that holds the endpoint's key, or "".

    Raises:
        ConfigError: one is named that is not set.
    """
    name = settings.api_key_env
    if name and not os.environ.get(name):
        raise ConfigError(f"api_key_env: the environment variable {name} is not set: it must hold the endpoint's key")
    return name or (OPENAI_KEY if os.environ.get(OPENAI_KEY) else "")


def model_path(policy: str) -> str:
    """Path or hub id of the model."""
    if policy == QUICKSTART:
        from importlib import resources

        return str(resources.files("swe_srl") / "data" / "quickstart" / "model")
    return policy


def expert_trajectories(settings: EvalSettings, tasks: Sequence[Task]) -> dict[str, Trajectory]:
    """What an expert did on each task, as far as it is known: from the given file, else by the scripted expert. What
    ends an episode there is the agent definition's reserved command."""
    wanted = {task.instance_id for task in tasks}
    found: dict[str, Trajectory] = {}
    if settings.trajectories:
        if not Path(settings.trajectories).exists():
            raise ConfigError(f"trajectories: no such file or folder: {settings.trajectories}")
        read = read_trajectories(settings.trajectories)
        found = {trajectory.task_id: trajectory for trajectory in read if trajectory.task_id in wanted}
    for task in tasks:
        if task.instance_id not in found and task.source:
            try:
                turns = tuple(Turn(action) for action in expert_actions(task))
            except TaskError:  # a task that the scripted expert does not know how to solve
                continue
            found[task.instance_id] = Trajectory(f"{task.instance_id}#expert", task.instance_id, turns)
    agent = AgentDefinition.load(settings.agent_name)
    submit, form = agent.submit, agent.prompting.action_format
    return {
        name: replace(one, turns=tuple(as_acted(turn, submit, form) for turn in one.turns))
        for name, one in found.items()
    }
