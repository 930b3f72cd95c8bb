"""The commands by name. Settings and handlers are named as text and imported when the command is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from swe_srl.errors import ConfigError, suggest


@dataclass(frozen=True, slots=True)
class Command:
    """One command of the command line.

    Args:
        name: its words, as typed: `tasks list`.
        summary: one line for the list of commands.
        settings: `module:Class` of the settings dataclass.
        handler: `module:function` that gets (settings, console) and returns the exit code, or None for 0.
        plan: `module:function` for `--dry-run`: it gets (settings, console) and runs nothing; "" for none.
        estimate: `module:function` for `--estimate`: it gets (settings, console) and probes what a run would take; "" for none.
        positionals: settings that are given without a flag, in order; each is needed unless it has a default. A list, which
            can only be the last, takes all words that are left.
        optional: those of the positionals that another setting can stand in for: the handler checks them.
        recipes: kind of definition that `--config` finds by name, or "".
        letters: settings that have a flag of one letter too: (letter, setting).
    """

    name: str
    summary: str
    settings: str
    handler: str
    plan: str = ""
    estimate: str = ""
    positionals: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    recipes: str = ""
    letters: tuple[tuple[str, str], ...] = ()

    def settings_class(self) -> type[Any]:
        loaded: type[Any] = load(self.settings)
        return loaded


COMMANDS = (
    Command(
        "train",
        "train a model: SRL or SFT on expert trajectories, RLVR on tasks, or stages of them",
        "swe_srl.training.settings:TrainSettings",
        "swe_srl.cli.train:run",
        plan="swe_srl.cli.train:plan",
        estimate="swe_srl.cli.estimate:run",
        recipes="recipes",
    ),
    Command(
        "explain",
        "a training step (srl, sft) or a task's episodes (rlvr): what was sampled, rewards, and what the update did to it",
        "swe_srl.training.explain:ExplainSettings",
        "swe_srl.cli.explain:run",
        positionals=("run", "step"),
    ),
    Command(
        "eval",
        "let an agent work on tasks, grade its patches, report the resolve rate",
        "swe_srl.evaluation.settings:EvalSettings",
        "swe_srl.cli.evaluate:run",
        plan="swe_srl.cli.evaluate:plan",
    ),
    Command(
        "grade",
        "grade a predictions file in SWE-bench's format",
        "swe_srl.cli.grade:GradeSettings",
        "swe_srl.cli.grade:run",
        positionals=("predictions",),
    ),
    Command(
        "merge",
        "make one run of the parts of an evaluation (eval --shard)",
        "swe_srl.cli.merge:MergeSettings",
        "swe_srl.cli.merge:run",
        positionals=("parts",),
    ),
    Command(
        "compare",
        "compare two evaluation runs, task by task",
        "swe_srl.cli.compare:CompareSettings",
        "swe_srl.cli.compare:run",
        positionals=("before", "after"),
    ),
    Command(
        "images list",
        "the container images of a task set: which are here, and what they take",
        "swe_srl.cli.images:ListSettings",
        "swe_srl.cli.images:list_images",
        positionals=("split",),
    ),
    Command(
        "images pull",
        "pull the images of a task set ahead",
        "swe_srl.cli.images:PullSettings",
        "swe_srl.cli.images:pull_images",
        plan="swe_srl.cli.images:plan_pull",
        positionals=("split",),
    ),
    Command(
        "images prune",
        "remove the images that swe-srl pulled and nobody uses",
        "swe_srl.cli.images:PruneSettings",
        "swe_srl.cli.images:prune_images",
        plan="swe_srl.cli.images:plan_prune",
    ),
    Command(
        "view",
        "write runs as a folder of web pages that a browser opens without a server",
        "swe_srl.cli.view:ViewSettings",
        "swe_srl.cli.view:run",
        positionals=("runs",),
    ),
    Command(
        "fork",
        "open a recorded turn in a live sandbox and try another command from there",
        "swe_srl.cli.fork:ForkSettings",
        "swe_srl.cli.fork:run",
        positionals=("episode",),
        letters=(("c", "command"),),
    ),
    Command(
        "tasks list",
        "list the tasks of a split",
        "swe_srl.cli.tasks:ListSettings",
        "swe_srl.cli.tasks:list_tasks",
        positionals=("split",),
    ),
    Command(
        "tasks show",
        "show one task",
        "swe_srl.cli.tasks:ShowSettings",
        "swe_srl.cli.tasks:show_task",
        positionals=("split", "task"),
    ),
    Command(
        "tasks validate",
        "check tasks: the gold patch resolves, the empty patch does not",
        "swe_srl.cli.tasks:ValidateSettings",
        "swe_srl.cli.tasks:validate_tasks",
        positionals=("split",),
    ),
    Command(
        "tasks synthesise",
        "make new tasks from a package or a repository by planting bugs",
        "swe_srl.tasks.synthesis.settings:SynthesiseSettings",
        "swe_srl.cli.synthesise:run",
        positionals=("source",),
        optional=("source",),
    ),
    Command(
        "images unpack",
        "unpack a container image, so that its tasks run without an engine",
        "swe_srl.cli.roots:UnpackSettings",
        "swe_srl.cli.roots:unpack_image",
        positionals=("image",),
    ),
    Command(
        "images unpacked",
        "list the unpacked images",
        "swe_srl.cli.roots:UnpackedSettings",
        "swe_srl.cli.roots:list_images",
    ),
    Command(
        "images discard",
        "remove an unpacked image",
        "swe_srl.cli.roots:DiscardSettings",
        "swe_srl.cli.roots:discard_image",
        positionals=("image",),
    ),
    Command(
        "trajectories inspect",
        "what a file of trajectories holds, and what cannot be read and why",
        "swe_srl.cli.trajectories:InspectSettings",
        "swe_srl.cli.trajectories:inspect",
        positionals=("path",),
    ),
    Command(
        "trajectories steps",
        "turn trajectories into training steps and show them",
        "swe_srl.cli.trajectories:StepsSettings",
        "swe_srl.cli.trajectories:steps",
        positionals=("path",),
    ),
    Command(
        "trajectories collect",
        "let a policy work on tasks and keep the episodes that resolved them, to train on",
        "swe_srl.evaluation.collect_settings:CollectSettings",
        "swe_srl.cli.collect:run",
        plan="swe_srl.cli.collect:plan",
    ),
    Command(
        "trajectories rewrite",
        "let a teacher restate free-form solutions as numbered steps with titles, to train on",
        "swe_srl.evaluation.rewrite_settings:RewriteSettings",
        "swe_srl.cli.rewrite:run",
        plan="swe_srl.cli.rewrite:plan",
        positionals=("source",),
    ),
    Command(
        "trajectories export",
        "write trajectories in the form of another tool: mini-swe-agent, chat messages, ATIF",
        "swe_srl.cli.export:ExportSettings",
        "swe_srl.cli.export:run",
        positionals=("path",),
    ),
    Command(
        "trajectories replay",
        "run the commands of trajectories again and compare what they show",
        "swe_srl.cli.replay:ReplaySettings",
        "swe_srl.cli.replay:run",
        positionals=("path",),
    ),
    Command(
        "reproduce",
        "train and evaluate the arms of a study (SRL, its baselines, ablations and controls), and write the tables",
        "swe_srl.studies.settings:ReproduceSettings",
        "swe_srl.cli.reproduce:run",
        plan="swe_srl.cli.reproduce:plan",
        positionals=("study",),
    ),
    Command(
        "self-improve",
        "a model as its own teacher: collect what it resolves, train on it, and again, with figures per round",
        "swe_srl.studies.rounds_settings:RoundsSettings",
        "swe_srl.cli.rounds:run",
        plan="swe_srl.cli.rounds:plan",
    ),
    Command(
        "doctor",
        "what this machine can do, and how to get what is missing",
        "swe_srl.cli.doctor:DoctorSettings",
        "swe_srl.cli.doctor:run",
    ),
    Command(
        "demo",
        "evaluate, train with SRL, evaluate again: on the bundled tasks with the bundled tiny model",
        "swe_srl.cli.demo:DemoSettings",
        "swe_srl.cli.demo:run",
        plan="swe_srl.cli.demo:plan",
    ),
)


def load(reference: str) -> Any:
    """The object that `module:name` names."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


def handler_of(reference: str) -> Callable[[Any, Any], int | None]:
    """The function that `module:name` names."""
    function: Callable[[Any, Any], int | None] = load(reference)
    return function


def find(arguments: list[str]) -> tuple[Command, list[str]]:
    """The command that the arguments begin with, and the arguments after it.

    Raises:
        ConfigError: no such command; the nearest is suggested.
    """
    for words in (2, 1):
        named = " ".join(arguments[:words])
        for command in COMMANDS:
            if command.name == named:
                return command, arguments[words:]
    group = group_of(arguments)
    if group and len(arguments) > 1:
        known = [command.name.split()[1] for command in group]
        raise ConfigError(suggest(arguments[1], known, f"{arguments[0]} command"))
    raise ConfigError(suggest(arguments[0], {command.name.split()[0] for command in COMMANDS}, "command"))


def group_of(arguments: list[str]) -> list[Command]:
    """The commands that share the first word, when it is the word of a group (`tasks`); else none."""
    return [command for command in COMMANDS if " " in command.name and command.name.split()[0] == arguments[0]]
