"""`swe-srl grade`: verdicts on anybody's patches, or once more on the saved test logs of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from swe_srl.cli.console import Console
from swe_srl.cli.images import RULE
from swe_srl.cli.tasks import REVISION, SPLIT
from swe_srl.errors import ConfigError
from swe_srl.evaluation.settings import QUICKSTART, parse_size
from swe_srl.settings import check_at_least, setting
from swe_srl.tasks.images import IMAGE_RULES
from swe_srl.types import Task


@dataclass(frozen=True)
class GradeSettings:
    """Settings of `swe-srl grade`."""

    predictions: str = setting(
        "",
        "Predictions in SWE-bench's format (.json, .jsonl); or the folder of a run, whose saved logs are judged again.",
    )
    split: str = setting(
        "",
        f"The predictions' tasks; empty: those of the run, when PREDICTIONS is a run's folder, else quickstart. {SPLIT}",
    )
    tasks: str = setting("", "File of task rows that stands in for the split.")
    revision: str = setting("", REVISION)
    sandbox: str = setting("auto", "Where the tests run.", choices=("auto", "local", "docker"))
    timeout: float = setting(1800.0, "Seconds that a task's tests may take.")
    hardened: bool = setting(True, "Run the tests of every officially resolved patch a second time, hardened.")
    regrade: int = setting(1, "Gradings of every patch: the majority decides, and what differs is named as flaky.")
    workers: int = setting(2, "Patches graded at a time.")
    images: str = setting("auto", RULE, IMAGE_RULES)
    pull: bool = setting(False, "Pull images that are not here when a task needs them.")
    pulls: int = setting(2, "Images pulled or built at a time.")
    pull_timeout: float = setting(
        300.0, "Seconds without a byte after which a pull is broken off and tried again; 0: never."
    )
    disk_budget: str = setting(
        "",
        "Room for container images, as 60GB: images that swe-srl pulled or built and nobody uses make room. Empty: no bound.",
    )
    platform: str = setting(
        "", "Take images of this platform (linux/amd64) although the engine's own is another: emulated."
    )
    cache: str = setting("", "Folder of verdicts known already, shared between runs; empty grades everything anew.")
    output: Path | None = setting(None, "Run folder; none: runs/grade/, named by the predictions file.")

    def __post_init__(self) -> None:
        if self.timeout <= 0:
            raise ConfigError(f"timeout must be positive, not {self.timeout}")
        check_at_least(self, workers=1, regrade=1, pulls=1, pull_timeout=0)
        parse_size(self.disk_budget)

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.output or Path("runs/grade") / Path(self.predictions).stem


def run(settings: GradeSettings, console: Console) -> int:
    """Grade; the exit code is 1 when nothing could be graded."""
    if not Path(settings.predictions).exists():
        raise ConfigError(f"PREDICTIONS: no such file or run folder: {settings.predictions}")
    if Path(settings.predictions).is_dir():
        return judge_logs(settings.predictions, tasks_of_run(settings), console)
    return grade_file(settings, named_tasks(settings), console)


def origin(settings: GradeSettings) -> dict[str, str]:
    """Where the tasks are read, as the run records it."""

    def lasting(source: str) -> str:
        return str(Path(source).absolute()) if source and Path(source).exists() else source

    return {
        "split": lasting(settings.split or QUICKSTART),
        "tasks": lasting(settings.tasks),
        "revision": settings.revision,
        "images": settings.images,
    }


def named_tasks(settings: GradeSettings) -> list[Task]:
    """The tasks that are named, with the images that the settings' rule gives them."""
    from swe_srl.tasks import load_tasks
    from swe_srl.tasks.images import with_image
    from swe_srl.tasks.scripts import with_script

    tasks = load_tasks(settings.tasks or settings.split or QUICKSTART, settings.revision)
    return [with_script(with_image(task, settings.images)) for task in tasks]


def tasks_of_run(settings: GradeSettings) -> list[Task]:
    """The tasks that are named, else those that the run records."""
    from swe_srl.evaluation.recorded import RecordedRun

    recorded = RecordedRun.read(settings.predictions)
    if settings.tasks or settings.split or "split" not in recorded.run.settings:
        return named_tasks(settings)
    return list(recorded.tasks().values())


def grade_file(settings: GradeSettings, tasks: list[Task], console: Console) -> int:
    """Run the tests of every prediction."""
    from swe_srl.evaluation import grade_predictions
    from swe_srl.evaluation.markdown import report_markdown
    from swe_srl.evaluation.pulling import BackOff
    from swe_srl.evaluation.store import ImageStore
    from swe_srl.grading import GradingSettings

    console.resumable(settings.folder)
    console.sweep()
    grading = GradingSettings(settings.sandbox, settings.timeout, hardened=settings.hardened, times=settings.regrade)
    progress = console.progress()
    images = ImageStore(
        settings.pull,
        settings.pulls,
        parse_size(settings.disk_budget),
        platform=settings.platform,
        back_off=BackOff(note=progress.note, silence=settings.pull_timeout),
    )
    report = grade_predictions(
        settings.predictions,
        tasks,
        settings.folder,
        grading,
        settings.workers,
        settings.cache,
        progress,
        images,
        origin(settings),
    )
    console.markdown(report_markdown(report))
    console.say(f"run folder: {settings.folder}")
    return 0 if report.samples else 1


def judge_logs(folder: str, tasks: list[Task], console: Console) -> int:
    """Judge a run's saved logs by the present rules, and say which verdicts differ from the recorded ones."""
    from swe_srl.evaluation import judge_again
    from swe_srl.evaluation.logs import GRADED
    from swe_srl.grading.cache import verdict_from_row
    from swe_srl.runs import RunFolder

    run = RunFolder.read(folder, GRADED)
    recorded = {(str(row["task_id"]), int(row["sample"])): verdict_from_row(row) for row in run.rows("verdicts")}
    again = judge_again(folder, tasks)
    for sample, verdict in again:
        before = recorded.get((verdict.task_id, sample))
        if before is None or (before.official, before.hardened) != (verdict.official, verdict.hardened):
            was = "not recorded" if before is None else before.status.value
            console.say(f"{verdict.task_id}#{sample}: {was}, now {verdict.status.value}: {verdict.reason}")
    official, hardened = (sum(getattr(verdict, rule) for _, verdict in again) for rule in ("official", "hardened"))
    rest = "no hardened runs were made" if run.settings.get("hardened") is False else f"{hardened} by the hardened ones"
    console.say(f"{len(again)} logs judged: {official} resolved by the official rules, {rest}")
    left_out = {task_id for task_id, _ in recorded} - {task.instance_id for task in tasks}
    if left_out:
        console.say(
            f"{len(left_out)} of the run's tasks are not among the {len(tasks)} that were read, so their logs were not judged "
            f"({min(left_out)}, …): name the run's own tasks with --split or --tasks"
        )
    elif not again:
        console.say(
            f"{run.file('logs')} holds no saved log of these tasks: empty patches and verdicts from a cache have none"
        )
    return 0 if again else 1
