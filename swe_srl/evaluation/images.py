"""Images of SWE-bench instances made without a registry, from the recipes in `docker/swebench/`.

The source archive of the release just before the fix, from PyPI, becomes the base commit; or the one just after it, with
the instance's gold and test patches taken back. The host downloads with its
own pip; the container that installs has no network, so nothing of the host's configuration ends up in an image.
"""

from __future__ import annotations

import hashlib
import io
import shlex
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from swe_srl.definitions import definition_root, load_definition
from swe_srl.errors import ConfigError, GradingError, TaskError, suggest
from swe_srl.files import write_jsonl
from swe_srl.progress import Progress, SilentProgress
from swe_srl.sandboxes.docker_sandbox import owner_labels
from swe_srl.types import Task

REPOSITORY = "swe-srl-eval"
LABEL = "swe-srl.base-commit"
_PATH = "/opt/miniconda3/envs/testbed/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BUILD_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one instance's image is made (`docker/swebench/<instance_id>.yaml`).

    Args:
        instance_id: the SWE-bench instance.
        source: requirement of the source archive that becomes the base commit, as `Flask==2.2.3`.
        base: the image to start from.
        requirements: what is installed beside it, from wheels.
        source_requirements: what is installed beside it from source archives, for lack of a wheel.
        install: arguments of the `pip install` that installs the repository.
        python: the base image's Python, for which wheels are chosen.
        environment: variables set while installing.
        fixed: the source has the fix: the instance's gold and test patches are taken back from it.
    """

    instance_id: str
    source: str
    requirements: tuple[str, ...]
    install: tuple[str, ...]
    source_requirements: tuple[str, ...] = ()
    base: str = "swe-srl-base:bookworm"
    python: str = "3.11"
    environment: tuple[tuple[str, str], ...] = ()
    fixed: bool = False
    description: str = ""

    @classmethod
    def load(cls, name: str) -> Recipe:
        """The packaged recipe of an instance, or the one at a path.

        Raises:
            ConfigError: no such recipe, or an unknown or missing key in it.
        """
        path = name if "/" in name else str(definition_root("docker") / "swebench" / f"{name}.yaml")
        if "/" not in name and name not in recipe_names():
            raise ConfigError(suggest(name, recipe_names(), "image recipe"))
        raw = load_definition("docker", path)
        known = [field.name for field in fields(cls)]
        for key in raw:
            if key not in known:
                raise ConfigError(f"{path}: {suggest(str(key), known, 'key')}")
        missing = [key for key in ("instance_id", "source", "requirements", "install") if not raw.get(key)]
        if missing:
            raise ConfigError(f"{path}: {missing[0]} is missing")
        lists = {key: tuple(raw.get(key) or ()) for key in ("requirements", "source_requirements", "install")}
        environment = tuple(sorted((raw.get("environment") or {}).items()))
        return cls(**{**raw, **lists, "environment": environment})

    @property
    def tag(self) -> str:
        """Name of the image: it changes with the recipe and the installing script."""
        script = (definition_root("docker") / "swebench" / "install.sh").read_text(encoding="utf-8")
        digest = hashlib.sha256(repr((replace(self, description=""), script)).encode()).hexdigest()
        return f"{REPOSITORY}/{self.instance_id.lower()}:{digest[:12]}"


def recipe_names() -> list[str]:
    """Instances whose image can be made here, sorted."""
    folder = definition_root("docker") / "swebench"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def make_instances(
    rows: Iterable[str], names: Sequence[str], out: Path, progress: Progress | None = None
) -> list[Task]:
    """Make the images of some instances and write their rows, adapted to them.

    Args:
        rows: files or folders of published SWE-bench rows.
        names: instances, or paths of recipes; empty for all packaged recipes.
        out: JSONL file of the adapted rows.
        progress: is told of every image.

    Raises:
        ConfigError: no such recipe.
        TaskError: no published row of an instance.
        GradingError: Docker or pip failed; the message holds the end of their output.
    """
    from swe_srl.tasks import load_tasks

    told = progress or SilentProgress()
    published = {task.instance_id: task for source in rows for task in load_tasks(source)}
    recipes = [Recipe.load(name) for name in (names or recipe_names())]
    for recipe in recipes:
        if recipe.instance_id not in published:
            raise TaskError(f"{recipe.instance_id}: no row of this instance in {', '.join(rows)}")
    told.track("images", len(recipes))
    adapted: list[Task] = []
    for recipe in recipes:
        task = published[recipe.instance_id]
        commit = make_image(recipe, (task.patch, task.test_patch) if recipe.fixed else ())
        told.advance("images", info=f"{recipe.instance_id}: {recipe.tag}, base commit {commit[:12]}")
        adapted.append(adapt(task, recipe.tag, commit))
    write_jsonl(out, [task.row() for task in adapted])
    return adapted


def adapt(task: Task, image: str, base_commit: str) -> Task:
    """The task on a local image: the published commit is replaced in the row and in the evaluation script.

    Raises:
        TaskError: the row has no evaluation script (rows of before swebench 5), or the script does not name the commit.
    """
    if task.base_commit not in task.eval_script:
        raise TaskError(f"{task.instance_id}: the row's eval_script does not name its base_commit {task.base_commit}")
    script = task.eval_script.replace(task.base_commit, base_commit)
    return replace(task, image=image, base_commit=base_commit, eval_script=script)


def make_image(recipe: Recipe, undone: Sequence[str] = ()) -> str:
    """Make one image unless it is there, with the `undone` patches taken back from its source; returns its base commit.

    Raises:
        GradingError: Docker or pip failed.
    """
    import requests
    from docker.client import DockerClient
    from docker.errors import DockerException, ImageNotFound

    try:
        client = DockerClient.from_env(timeout=_BUILD_SECONDS)
    except DockerException as error:
        raise GradingError(f"no Docker engine answers ({error}): start it, or see `swe-srl doctor`") from error
    try:
        try:
            return str(client.images.get(recipe.tag).labels[LABEL])
        except ImageNotFound:
            return _build(client, recipe, undone)
    except ImageNotFound as error:
        raise GradingError(f"base image {recipe.base} is missing: run docker/make-base-image.sh") from error
    except (DockerException, requests.RequestException) as error:
        raise GradingError(f"{recipe.instance_id}: making the image failed: {error}") from error
    finally:
        client.close()


def _build(client: Any, recipe: Recipe, undone: Sequence[str]) -> str:
    """Install in a container without a network and commit it; returns the base commit. The container is bounded in life and
    is swept when this process ends before it; its image is not."""
    environment = {"PIP_NO_CACHE_DIR": "1", **dict(recipe.environment)}
    command = ["timeout", "--kill-after=10", str(_BUILD_SECONDS), "bash", "/build/install.sh"]
    owner = owner_labels()
    container = client.containers.create(
        recipe.base, command, network_mode="none", environment=environment, labels={LABEL: "", **owner}
    )
    try:
        with tempfile.TemporaryDirectory(prefix="swe-srl-image-") as folder:
            container.put_archive("/", _context(recipe, undone, Path(folder)))
        container.start()
        status = container.wait(timeout=_BUILD_SECONDS + 60)["StatusCode"]
        log = container.logs().decode(errors="replace").strip()
        if status == 124:
            raise GradingError(
                f"{recipe.instance_id}: installing took more than {_BUILD_SECONDS} seconds:\n{log[-3000:]}"
            )
        if status:
            raise GradingError(f"{recipe.instance_id}: installing in the image failed:\n{log[-3000:]}")
        commit: str = log.splitlines()[-1]
        name, tag = recipe.tag.rsplit(":", 1)
        labels = " ".join([f"{LABEL}={commit}", *(f'{name}=""' for name in owner)])
        changes = [f"ENV PATH={_PATH}", f"LABEL {labels}", "WORKDIR /testbed", 'CMD ["/bin/bash"]']
        container.commit(name, tag, changes=changes)
        return commit
    finally:
        container.remove(force=True)


def _context(recipe: Recipe, undone: Sequence[str], folder: Path) -> bytes:
    """The tar of `/build`: source archive, packages, script and its settings, and what is taken back from the source."""
    packages = folder / "packages"
    _pip_download(folder / "source", recipe.source, "--no-deps", "--no-binary", _name(recipe.source))
    wheels = ("--only-binary", ":all:", "--python-version", recipe.python)
    _pip_download(packages, *recipe.requirements, *wheels)
    for requirement in recipe.source_requirements:
        _pip_download(packages, requirement, "--no-deps", "--no-binary", _name(requirement))
    archive = next((folder / "source").iterdir())
    settings = f"REQUIREMENTS=({shlex.join([*recipe.requirements, *recipe.source_requirements])})\n"
    settings += f"INSTALL=({shlex.join(recipe.install)})\n"
    script = (definition_root("docker") / "swebench" / "install.sh").read_bytes()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(archive, "build/source.tar", filter=_anonymous)
        tar.add(packages, "build/packages", filter=_anonymous)
        undo = "".join(patch if patch.endswith("\n") else patch + "\n" for patch in undone)
        for name, content in (
            ("install.sh", script),
            ("settings.sh", settings.encode()),
            ("undo.patch", undo.encode()),
        ):
            member = tarfile.TarInfo(f"build/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def _name(requirement: str) -> str:
    return requirement.split("==")[0]


def _pip_download(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GradingError(f"{shlex.join(command[1:])} failed:\n{done.stderr.strip()[-2000:]}")
