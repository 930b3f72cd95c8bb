"""`swe-srl images`: the container images of a task set: which are here, pull them, remove what was pulled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from swe_srl.cli.console import Console
from swe_srl.cli.tasks import REVISION, SPLIT
from swe_srl.errors import SandboxError
from swe_srl.evaluation.settings import EvalSettings, parse_size
from swe_srl.settings import check_at_least, setting
from swe_srl.tasks.images import IMAGE_RULES

RULE = "How the images of rows that name none are called; auto: by the data set's own rule."


@dataclass(frozen=True)
class ListSettings:
    """Settings of `swe-srl images list`."""

    split: str = setting("", SPLIT)
    revision: str = setting("", REVISION)
    images: str = setting("auto", RULE, IMAGE_RULES)
    json: bool = setting(False, "Print the images as JSON.")


@dataclass(frozen=True)
class PullSettings:
    """Settings of `swe-srl images pull`."""

    split: str = setting("", SPLIT)
    revision: str = setting("", REVISION)
    images: str = setting("auto", RULE, IMAGE_RULES)
    instances: tuple[str, ...] = setting((), "Only these instances: ids, or .txt lists.")
    filter: str = setting("", "Only instances whose id matches this regular expression.")
    limit: int = setting(0, "Only the first so many instances; 0 takes all.")
    shard: str = setting("", "Only part i of n, as 2/4.")
    pulls: int = setting(2, "Images pulled or built at a time.")
    pull_timeout: float = setting(
        300.0, "Seconds without a byte after which a pull is broken off and tried again; 0: never."
    )
    disk_budget: str = setting(
        "", "Room for container images, as 60GB: pulling stops when it is spent. Empty: no bound."
    )
    platform: str = setting(
        "", "Take images of this platform (linux/amd64) although the engine's own is another: emulated."
    )

    def __post_init__(self) -> None:
        check_at_least(self, limit=0, pulls=1, pull_timeout=0)
        parse_size(self.disk_budget)

    def selection(self) -> EvalSettings:
        """The same choice of tasks as an evaluation's."""
        return EvalSettings(
            split=self.split,
            revision=self.revision,
            images=self.images,
            instances=self.instances,
            filter=self.filter,
            limit=self.limit,
            shard=self.shard,
        )


@dataclass(frozen=True)
class PruneSettings:
    """Settings of `swe-srl images prune`."""


def list_images(settings: ListSettings, console: Console) -> None:
    """The images of a task set with their state and size, and what all images of the engine take."""
    from swe_srl.evaluation.ahead import sizes
    from swe_srl.evaluation.selection import select_tasks
    from swe_srl.evaluation.store import ImageStore

    tasks = select_tasks(EvalSettings(split=settings.split, revision=settings.revision, images=settings.images))
    wanted = Counter(task.image for task in tasks if task.image)
    built = {task.image: task.image_source for task in tasks if task.image_source}
    found, store = sizes(wanted), ImageStore()
    ours, total = {one.name for one in store.pulled()}, store.total()
    if settings.json:
        rows = [
            {
                "image": name,
                "tasks": count,
                "here": name in found,
                "bytes": found.get(name),
                "pulled": name in ours and name not in built,
                "dockerfile": built.get(name),
            }
            for name, count in wanted.items()
        ]
        console.json({"images": rows, "total": total})
        return
    lines = [
        (name, count, _size(found[name]) if name in found else "", _state(name, found, ours, built))
        for name, count in wanted.items()
    ]
    console.table(("image", ">tasks", ">size", "state"), lines)
    console.say(f"{len(found)} of {len(wanted)} images are here; all images of this engine take {_size(total)}")
    without = sum(not task.image for task in tasks)
    if without:
        console.say(f"{without} tasks have no image")


def pull_images(settings: PullSettings, console: Console) -> int:
    """Pull ahead; the exit code is 1 when some are still missing."""
    from swe_srl.evaluation.ahead import pull_ahead
    from swe_srl.evaluation.pulling import BackOff
    from swe_srl.evaluation.store import ImageStore

    progress = console.progress()
    store = ImageStore(
        pull=True,
        pulls=settings.pulls,
        budget=parse_size(settings.disk_budget),
        platform=settings.platform,
        evicts=False,
        back_off=BackOff(note=progress.note, silence=settings.pull_timeout),
    )
    console.resumable("the engine")
    missing = _missing(settings)
    progress.track("images", len(missing))
    outcome = pull_ahead(store, missing, lambda image: progress.advance("images", info=image))
    for image, reason in outcome.failed.items():
        console.say(f"{image}: {reason}")
    left = f", no room for {len(outcome.no_room)} (--disk-budget {settings.disk_budget})" if outcome.no_room else ""
    failed = f", {len(outcome.failed)} failed" if outcome.failed else ""
    console.say(f"pulled {len(outcome.pulled)} of {len(missing)} missing images{left}{failed}")
    return 1 if outcome.failed or outcome.no_room else 0


def plan_pull(settings: PullSettings, console: Console) -> None:
    """Say what would be pulled."""
    missing = _missing(settings)
    for image, dockerfile in missing.items():
        console.say(f"{image}{f' from {dockerfile}' if dockerfile else ''}")
    console.say(f"would pull {len(missing)} images")


def prune_images(settings: PruneSettings, console: Console) -> None:
    """Remove the images that this program pulled or built and nobody uses."""
    from swe_srl.evaluation.store import ImageStore

    store = ImageStore()
    before, ours = store.total(), store.pulled()
    removed = [one.name for one in ours if store.remove(one.name)]
    kept = f"; {len(ours) - len(removed)} are in use and stay" if len(ours) > len(removed) else ""
    console.say(f"removed {len(removed)} images, {_size(before - store.total())}{kept}")


def plan_prune(settings: PruneSettings, console: Console) -> None:
    """Say what would be removed, as far as it is not in use."""
    from swe_srl.evaluation.store import ImageStore

    ours = ImageStore().pulled()
    for one in ours:
        console.say(f"{one.name}  {_size(one.size)}")
    console.say(f"would remove {len(ours)} images, those in use excepted")


def _missing(settings: PullSettings) -> dict[str, str]:
    """The images that are not here, each with its Dockerfile, or ""."""
    from swe_srl.evaluation.ahead import sizes
    from swe_srl.evaluation.selection import select_tasks

    wanted = {task.image: task.image_source for task in select_tasks(settings.selection()) if task.image}
    if not wanted:
        raise SandboxError(f"{settings.split}: no task has an image: --images tells by which rule they are called")
    here = sizes(wanted)
    return {image: dockerfile for image, dockerfile in wanted.items() if image not in here}


def _state(name: str, found: Mapping[str, int], ours: set[str], built: Mapping[str, str]) -> str:
    if name in built:
        return f"{'built' if name in found else 'to be built'} from {built[name]}"
    return "missing" if name not in found else "pulled by swe-srl" if name in ours else "here"


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
