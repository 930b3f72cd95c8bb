"""What a study is: a base model, held-out tasks, and arms: trainings that are compared (`studies/*.yaml`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from swe_srl.definitions import definition_place, load_definition
from swe_srl.errors import ConfigError, suggest
from swe_srl.settings import check_at_least, from_mapping, setting
from swe_srl.studies.settings import TABLES
from swe_srl.training import TrainSettings, load_recipe

TRAJECTORIES = "trajectories"  # an axis
AGENT = "agent"  # what arms may differ in
SET_BY_STUDY = {  # settings of a training that a study gives itself
    "model": "--model",
    "seed": "--seed and --seeds",
    "output": "--output",
    "difficulty": "--difficulty",
    "workers": "--workers",
    "sandbox": "--sandbox",
    "evaluation_split": "the study's split",
}


@dataclass(frozen=True)
class Arm:
    """One row of the tables: how a model is trained, or the base model itself (no recipe)."""

    name: str = setting("", "Of its folders, and for --arms.")
    title: str = setting("", "In the tables.")
    recipe: str = setting("", "Training recipe, by name or path; empty: the base model as it is.")
    settings: tuple[str, ...] = setting((), "Overrides of the recipe, each KEY=VALUE as on the command line.")
    after: str = setting("", "Arm whose model the training starts from; empty: the base model.")
    control: bool = setting(False, "Must not improve. One seed of it comes before all but the first arms.")
    line: str = setting("", "Arms of the same line are joined in the figure over the study's axis.")
    note: str = setting("", "What a reader of the tables has to know.")
    seconds: float = setting(0.0, "Estimate: seconds of an update, its share of the validations included.")
    tokens: float = setting(0.0, "Estimate: compute of an update (see compute_tokens).")

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise ConfigError(f"arms: an arm needs a name that a folder can have, not {self.name!r}")
        check_at_least(self, seconds=0, tokens=0)
        for text in self.settings:
            if "=" not in text:
                raise ConfigError(f"arms: {self.name}: settings are written KEY=VALUE, not {text!r}")


@dataclass(frozen=True)
class Study:
    """Several arms from the same model, on the same data."""

    description: str = setting("", "What it shows.")
    model: str = setting("quickstart", "The base model, which every recipe starts from.")
    split: str = setting("quickstart-test", "Held-out tasks.")
    samples: int = setting(2, "Episodes per task and seed.")
    seeds: int = setting(2, "Trainings of every arm.")
    most_seeds: int = setting(5, "Trainings of every arm when there is a budget: as many of them as fit.")
    base: str = setting("base", "Arm that the others are compared with: the base model.")
    main: str = setting("srl", "Arm that the study is about. Its compute is what the second table gives every arm.")
    core: int = setting(4, "The first so many arms come before the others, with two seeds.")
    axis: str = setting(
        "",
        "In what the arms of a line differ, for a table and a figure over it: how many trajectories.",
        ("", TRAJECTORIES),
    )
    vary: str = setting(
        "",
        "What arms may differ in beside how they are trained: the agent definition (prompts, context), by which each is "
        "trained and evaluated; the base has the main arm's.",
        ("", AGENT),
    )
    tables: tuple[str, ...] = setting(TABLES, "Tables that can be made of it.", TABLES)
    seconds_per_episode: float = setting(1.0, "Estimate: of an evaluation, its grading included.")
    arms: tuple[Arm, ...] = setting((), "The rows, the most important first.")

    def __post_init__(self) -> None:
        check_at_least(self, samples=1, seeds=1, most_seeds=1, core=1, seconds_per_episode=0)
        names = [arm.name for arm in self.arms]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"arms: two have the name {name!r}")
        for key, name in (("base", self.base), ("main", self.main)):
            if name not in names:
                raise ConfigError(
                    f"{key}: {suggest(name, names, 'arm')}. The study says `{key}: NAME`, of one of its arms"
                )
        if self.arm(self.base).recipe:
            raise ConfigError(f"base: {self.base} has a recipe, so it is not the base model")
        for arm in self.arms:
            if arm.control and arm.after:
                raise ConfigError(f"arms: {arm.name} is a control, so it goes on from no other arm")
            if arm.line and not self.axis:
                raise ConfigError(f"arms: {arm.name} has a line, but the study has no axis")
            if not arm.recipe and arm.name != self.base:
                raise ConfigError(f"arms: {arm.name} has no recipe; only the base ({self.base}) has none")
            if arm.after and names.index(self.arm(arm.after).name) >= names.index(arm.name):
                raise ConfigError(f"arms: {arm.name} goes on from {arm.after}, which has to come before it")

    def arm(self, name: str) -> Arm:
        """The arm of that name.

        Raises:
            ConfigError: there is none; the nearest is suggested.
        """
        found = {arm.name: arm for arm in self.arms}
        if name not in found:
            raise ConfigError(f"arms: {suggest(name, found, 'arm')}")
        return found[name]

    def chosen(self, names: tuple[str, ...]) -> list[Arm]:
        """The arms of these names (none: all), the base, and those that they go on from, in the study's order."""
        wanted = set(names or (arm.name for arm in self.arms)) | {self.base}
        for name in sorted(wanted):
            arm = self.arm(name)
            while arm.after:
                arm = self.arm(arm.after)
                wanted.add(arm.name)
        return [arm for arm in self.arms if arm.name in wanted]


def load_study(name: str, model: str = "", overrides: Sequence[str] = ()) -> Study:
    """The packaged study of that name, or the one in a file.

    Args:
        name: of the study, or the path of its file.
        model: base model of all arms in place of the study's; "" keeps that.
        overrides: KEY=VALUE for the recipes of all arms, which the arms' own settings override, or ARM:KEY=VALUE, which overrides
            these.

    Raises:
        ConfigError: no such study, an unknown key, or a value that does not fit; or arms with other models or data.
    """
    where = definition_place("studies", name)
    study = _adapted(from_mapping(Study, load_definition("studies", name), where), model, overrides)
    seen: dict[str, object] = {"model": study.model}
    for arm in study.arms:
        if not arm.recipe:
            continue
        try:
            settings = recipe_of(arm)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
        for key in ("model", "trajectories", "agent_name", "validation", "steps"):
            if key == "agent_name" and study.vary == AGENT:
                continue
            value = getattr(settings, key)
            if seen.setdefault(key, value) != value:
                raise ConfigError(
                    f"{where}: arm {arm.name} has {key} {value}, others have {seen[key]}: arms are to be compared"
                )
    return study


def _adapted(study: Study, model: str, overrides: Sequence[str]) -> Study:
    """The study with another base model and with the user's settings in its recipes."""
    common = [f"model={model}"] if model else []
    own: dict[str, list[str]] = {}
    for text in overrides:
        key, equals, _ = text.partition("=")
        name, colon, key = key.rpartition(":")
        if not equals or not key:
            raise ConfigError(f"overrides: written KEY=VALUE or ARM:KEY=VALUE, not {text!r}")
        if key in SET_BY_STUDY:
            raise ConfigError(f"overrides: {key} is set for all arms by {SET_BY_STUDY[key]}")
        if colon and not study.arm(name).recipe:
            raise ConfigError(f"overrides: arm {name} is the base model as it is: it has no recipe")
        (own.setdefault(name, []) if colon else common).append(text.removeprefix(f"{name}:"))
    arms = tuple(
        replace(arm, settings=(*common, *arm.settings, *own.get(arm.name, ()))) if arm.recipe else arm
        for arm in study.arms
    )
    if not model:
        return replace(study, arms=arms)
    titled = (replace(arm, title=f"base: {model}") if arm.name == study.base else arm for arm in arms)
    return replace(study, model=model, arms=tuple(titled))


@lru_cache(maxsize=256)
def recipe_of(arm: Arm) -> TrainSettings:
    """The training settings of an arm with a recipe.

    Raises:
        ConfigError: no such recipe, or one of the arm's settings is unknown or does not fit; the message names the arm.
    """
    try:
        return load_recipe(arm.recipe, **dict(text.split("=", 1) for text in arm.settings))
    except ConfigError as error:
        raise ConfigError(f"arm {arm.name}: {error}") from error
