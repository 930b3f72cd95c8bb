"""The repositories that the settings name, each as an archive in the run's folder, with what a user should know of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from swe_srl.progress import Progress
from swe_srl.sandboxes.repository import uncommitted
from swe_srl.tasks.packages.origin import (
    Origin,
    commit_origin,
    export_commit,
    fetch_package,
    parse_package,
    repository_commit,
)
from swe_srl.tasks.synthesis.settings import SynthesiseSettings

JOURNALS = "journals"
REPOSITORIES = "repositories"
_SHOWN = 3  # files named in a note


def origins(settings: SynthesiseSettings, progress: Progress) -> Iterator[Origin]:
    """The archives of all that the settings name, made where they are not there yet.

    Args:
        settings: with `package` or `repo`.
        progress: told what is fetched, of changes in `repo` that are not committed, and when the folder's tasks are of a
            commit that `commit` no longer names: it goes on with that one.

    Raises:
        ConfigError: no such repository or commit, or a package without a version.
        TaskError: a package cannot be had.
    """
    folder = settings.folder / REPOSITORIES
    if settings.repo:
        yield _repository(settings, folder, progress)
    for spec in settings.package:
        if not any(folder.glob(f"{'-'.join(parse_package(spec))}.sdist.*")):
            progress.note(f"{spec}: fetching its source archive")
        yield fetch_package(spec, folder)


def _repository(settings: SynthesiseSettings, folder: Path, progress: Progress) -> Origin:
    place, sha = repository_commit(settings.repo, settings.commit)
    known = [
        commit_origin(path, settings.name, place) for path in sorted(folder.glob(f"{place.name}-????????????.tar"))
    ]
    begun = [origin for origin in known if _has_tasks(settings.folder / JOURNALS / f"{origin.label}.jsonl")]
    if begun and not any(origin.version == sha[:12] for origin in begun):
        progress.note(
            f"--repo {settings.repo}: {settings.commit} is commit {sha[:12]} now, and {settings.folder} has tasks of "
            f"{begun[0].version}: going on with that one. Tasks of {sha[:12]} need another --output"
        )
        return begun[0]
    if sha == repository_commit(settings.repo, "HEAD")[1] and (changed := uncommitted(place, sha)):
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        progress.note(
            f"--repo {settings.repo}: {', '.join(changed[:_SHOWN])}{more}: not as in commit {sha[:12]}, which is taken as it is; "
            "commit them, and choose another --output, to have them in the tasks"
        )
    return export_commit(settings.repo, settings.commit, settings.name, folder)


def _has_tasks(journal: Path) -> bool:
    return journal.is_file() and journal.stat().st_size > 0
