"""Where tasks come from: bundled task sets, local files and folders, the Hugging Face hub."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from swe_srl.errors import TaskError, suggest
from swe_srl.hub import quiet_hub
from swe_srl.tasks.dockerfiles import Dockerfiles, is_dockerfile
from swe_srl.tasks.files import DATA_SUFFIXES, read_rows
from swe_srl.tasks.images import with_image
from swe_srl.tasks.rows import task_from_row
from swe_srl.tasks.scripts import with_script
from swe_srl.tasks.surroundings import located
from swe_srl.types import Task


@dataclass(frozen=True, slots=True)
class HubSet:
    """A data set of the hub: its id, the commit that is read unless another revision is asked for, its usual split, and the
    rule by which its images are called (see `swe_srl.tasks.images`)."""

    hub_id: str
    revision: str
    split: str = "test"
    images: str = "swe-bench"


HUB_SETS: Mapping[str, HubSet] = {
    "lite": HubSet("SWE-bench/SWE-bench_Lite", "b0dde1093fe417d83b7184254edf8199c1f0dff5"),
    "verified": HubSet("SWE-bench/SWE-bench_Verified", "78f471bf655a3137b2e8a75af1501690ec009ec3"),
    "full": HubSet("SWE-bench/SWE-bench", "c6fe717fd7a4c3ac1daa4055a4fd082c6a1d28a2"),
    "multilingual": HubSet("SWE-bench/SWE-bench_Multilingual", "846e647b9f33c0b51b739d005d13d85493c9af09"),
    "swe-gym": HubSet("SWE-Gym/SWE-Gym", "bb94ed9e39bbeb96a7fcbfb533b80f25a7fd59cb", "train", "swe-gym"),
    "swe-gym-lite": HubSet("SWE-Gym/SWE-Gym-Lite", "f70b1a29ab120eb0a0ee7a1deb029825e735b2b0", "train", "swe-gym"),
    "swe-smith": HubSet("SWE-bench/SWE-smith", "ea6d7173829c7ec8fa16c22055699ff2e9188091", "train", "auto"),
    "swe-rebench": HubSet("nebius/SWE-rebench", "89cdfbab4ab1bd8f5a658bb212d1b63624f4f881", "filtered", "swe-rebench"),
}
BUNDLED: Mapping[str, str] = {
    "quickstart": "tasks-test.jsonl",
    "quickstart-test": "tasks-test.jsonl",
    "quickstart-train": "tasks-train.jsonl",
    "quickstart-validation": "tasks-validation.jsonl",
}
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+\Z")


def split_names() -> list[str]:
    """The names that `load_tasks` knows without a path, sorted."""
    from swe_srl.tasks.problems import PROBLEM_SETS

    return sorted([*HUB_SETS, *BUNDLED, *PROBLEM_SETS])


def load_tasks(name_or_path: str, revision: str = "", split: str = "") -> list[Task]:
    """The tasks of a named set, a local file or folder, or a hub data set.

    Args:
        name_or_path: one of `split_names()`; a .json, .jsonl or .parquet file, or a folder of such files; or a hub id
            such as `SWE-bench/SWE-bench_Lite`. A path that exists wins over a hub id. Rows of a file may be problems with an
            answer (see `swe_srl.tasks.problems`): they are named after the file. One that tells no answer is a task that
            cannot be graded.
        revision: commit, branch or tag of a hub data set; "" for the commit that a named set is pinned to, or the newest
            of another hub id.
        split: split of a hub data set ("" for the set's own); of a folder, only the files whose names end in it.

    Raises:
        TaskError: unknown name (the nearest is suggested), a row that is no task, an instance that occurs twice, a revision of
            what is not on the hub, or a data set that cannot be had here (the message says how to use a local file).
    """
    from swe_srl.tasks.problems import PROBLEM_SETS, load_problems

    path = Path(name_or_path)
    if name_or_path in PROBLEM_SETS:
        return load_problems(name_or_path, revision=revision)
    if revision and name_or_path not in HUB_SETS and (name_or_path in BUNDLED or path.exists()):
        raise TaskError(no_revision(name_or_path, revision))
    if name_or_path in BUNDLED:
        file = resources.files("swe_srl") / "data" / "quickstart" / BUNDLED[name_or_path]
        with resources.as_file(file) as local:
            return _tasks([local])
    if name_or_path in HUB_SETS:
        known = HUB_SETS[name_or_path]
        found = _hub_tasks(known.hub_id, revision or known.revision, split or known.split)
        return [with_script(with_image(task, known.images)) for task in found]
    if path.is_dir():
        return _tasks(_folder_files(path, split))
    if path.is_file():
        return _tasks([path])
    if path.suffix in DATA_SUFFIXES or name_or_path.startswith((".", "/")):
        raise TaskError(f"{name_or_path}: no such file")
    if _HUB_ID.match(name_or_path):
        rule = next((known.images for known in HUB_SETS.values() if known.hub_id == name_or_path), "auto")
        found = _hub_tasks(name_or_path, revision, split or "test")
        return [with_script(with_image(task, rule)) for task in found]
    raise TaskError(suggest(name_or_path, split_names(), "task set"))


def no_revision(source: str, revision: str) -> str:
    """What to say of a revision of tasks that are not read from the hub."""
    return (
        f"revision {revision!r}: {source} is read from this machine, only data sets of the hub have one: leave it out"
    )


def built_images(path: Path) -> set[str]:
    """The images of a file or folder of rows that are built from Dockerfiles beside them (see `swe_srl.tasks.dockerfiles`).

    Raises:
        TaskError: as for `load_tasks`.
    """
    named = set()
    for file in _folder_files(path, "") if path.is_dir() else [path] if path.suffix in DATA_SUFFIXES else []:
        dockerfiles = Dockerfiles(file.parent)
        images = {str(row.get("image") or "") for _, row in read_rows(file)}
        named |= {dockerfiles.image(image)[0] for image in images if is_dockerfile(image)}
    return named


def _folder_files(folder: Path, split: str) -> list[Path]:
    """The data files of a folder; with a split, those named like `test.jsonl`, `x__test.parquet`, `test-0-of-1.json`.

    Of a folder that this project wrote (it has a run.json), its `tasks.jsonl`.
    """
    if not split and (folder / "run.json").is_file() and (folder / "tasks.jsonl").is_file():
        return [folder / "tasks.jsonl"]
    files = sorted(path for path in folder.iterdir() if path.suffix in DATA_SUFFIXES)
    if split:
        wanted = re.compile(rf"(?:.*[^a-zA-Z])?{re.escape(split)}(?:-\d+-of-\d+)?\Z")
        files = [path for path in files if wanted.match(path.stem)]
    if not files:
        named = f" of split {split!r}" if split else ""
        raise TaskError(f"{folder}: no {', '.join(DATA_SUFFIXES)} files{named} in this folder")
    return files


def _tasks(files: Iterable[Path]) -> list[Task]:
    from swe_srl.tasks.problems import is_problem_row, problem_from_row

    tasks: dict[str, Task] = {}
    origin: dict[str, Path] = {}
    for file in files:
        dockerfiles = Dockerfiles(file.parent)
        for number, (where, row) in enumerate(read_rows(file), 1):
            if is_problem_row(row):
                task = problem_from_row(file.stem, number, row, where, answered=False)
            else:
                task = with_script(dockerfiles.with_image(_task(located(row, file.parent), where)))
            if task.instance_id in tasks:
                first = origin[task.instance_id]
                if first == file:
                    raise TaskError(f"{where}: {task.instance_id} occurs twice in this file: give one row per task")
                places = f"{first.name} and {file.name}"
                raise TaskError(
                    f"{task.instance_id} occurs twice, in {places}: give one file, or a split of the folder"
                )
            tasks[task.instance_id] = task
            origin[task.instance_id] = file
    return list(tasks.values())


def _task(row: Mapping[str, Any], where: str) -> Task:
    try:
        return task_from_row(row)
    except TaskError as error:
        raise TaskError(f"{where}: {error}") from error


def _hub_tasks(hub_id: str, revision: str, split: str) -> list[Task]:
    return [_task(row, where) for where, row in hub_rows(hub_id, revision, split)]


def hub_rows(hub_id: str, revision: str, split: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows of a data set on the hub, each with its place for messages.

    Raises:
        TaskError: it cannot be loaded; the message says how to use a local file.
    """
    import datasets
    from datasets.exceptions import DatasetsError

    try:
        with quiet_hub(f"the data set {hub_id}"):
            rows = datasets.load_dataset(hub_id, split=split, revision=revision or None)
    except (DatasetsError, OSError, ValueError, RuntimeError) as error:
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no details'}"
        raise TaskError(
            f"{hub_id} (split {split}, revision {revision or 'newest'}) cannot be loaded from the Hugging Face hub: "
            f"{reason}. Without the hub, download the data set's .parquet or .jsonl file elsewhere and give its path "
            f"instead of the name; a filled cache is used with HF_HUB_OFFLINE=1"
        ) from error
    for number, row in enumerate(rows):
        yield f"{hub_id}, row {number}", row
