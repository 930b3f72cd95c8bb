"""Root file systems of container images, unpacked once into a cache: what local sandboxes run tasks with an image in.

One entry for each image id, shared by processes and only ever read: `root` (the files), `image.json` (what the image says
beside them), `places` (see `swe_srl.envs.image_places`). `names` maps the names that images were unpacked under to ids, for
machines without an engine.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote

from swe_srl.errors import ConfigError, SandboxError, SandboxUnavailableError
from swe_srl.files import write_atomic
from swe_srl.sandboxes.container_transport import GLANCE_SECONDS, engine, engine_errors
from swe_srl.sandboxes.docker_sandbox import owner_labels
from swe_srl.sandboxes.host_view import is_id
from swe_srl.sandboxes.image_unpack import Unpacked, unpack_archive, unpack_from_engine
from swe_srl.sandboxes.making import alone, default_cache, discard_unused, made_beside, put, sweep_half_made, use
from swe_srl.sandboxes.transport import SHELL_VARIABLES
from swe_srl.types import SandboxSpec


@dataclass(frozen=True, slots=True)
class ImageRoot:
    """An unpacked image.

    Args:
        id: the image's.
        folder: its entry in the cache.
        user: who it runs as: `uid:gid`.
        env: its variables, with HOME.
    """

    id: str
    folder: Path
    user: str
    env: tuple[tuple[str, str], ...]

    @property
    def path(self) -> Path:
        """The root file system: never write to it."""
        return self.folder / "root"

    def spec(self, spec: SandboxSpec) -> SandboxSpec:
        """The spec of a local sandbox that stands for a container of this image."""
        own = tuple((name, value) for name, value in self.env if name == "PATH" or name not in SHELL_VARIABLES)
        return replace(spec, image="", root=str(self.path), user=spec.user or self.user, env=own + spec.env)


def image_cache() -> Path:
    """The folder of this user's unpacked images."""
    return default_cache().parent / "images"


def find_root(name: str) -> ImageRoot | None:
    """The unpacked image of that name: the one that the engine means by it, or where none answers, the last one unpacked."""
    image_id = _engine_id(name)
    if not image_id:
        index = _index(name)
        image_id = index.read_text(encoding="utf-8").strip() if index.is_file() else ""
    return _entry(image_id) if image_id else None


@functools.cache
def image_root(name: str) -> ImageRoot:
    """The unpacked image of that name, unpacked from the engine on first use. Looked up once in a process, which uses it from
    then on: no other process removes it.

    Raises:
        SandboxUnavailableError: it is not unpacked, and no engine has it; the message says what to do.
        SandboxError: it could not be unpacked.
    """
    found = find_root(name)
    if found is not None:
        use(found.folder)
        if _entry(found.id) is not None:  # it was not removed meanwhile
            return found
    try:
        client = engine()
        with engine_errors(f"looking for image {name}"):
            image = client.images.get(name)
    except SandboxUnavailableError as error:
        raise SandboxUnavailableError(
            f"image {name} is not unpacked, and no container engine here has it: "
            f"swe-srl images unpack {name} --archive FILE unpacks what `docker save` wrote elsewhere"
        ) from error
    try:
        return _keep(name, str(image.id), lambda tree: unpack_from_engine(client, image, tree, owner_labels()))
    finally:
        client.close()


def unpack(name: str, archive: Path) -> ImageRoot:
    """Unpack an image from an archive (see `unpack_archive`) under a name.

    Raises:
        ConfigError: there is no such file.
        SandboxError: it could not be unpacked.
    """
    if not archive.is_file():
        raise ConfigError(f"archive: there is no file {archive}")
    image_root.cache_clear()
    return _keep(name, "", lambda tree: unpack_archive(archive, tree))


def unpacked_images() -> dict[str, ImageRoot]:
    """The unpacked images by name."""
    names = sorted(path for path in (image_cache() / "names").glob("*") if not path.name.startswith("."))
    found = {unquote(path.name): _entry(path.read_text(encoding="utf-8").strip()) for path in names}
    return {name: root for name, root in found.items() if root}


def remove_image(name: str) -> None:
    """Forget a name, and remove the image's files when no other name is left for them. This process's sandboxes over them break.

    Raises:
        ConfigError: no image was unpacked under that name.
        SandboxError: another process uses the files.
    """
    known = unpacked_images()
    if name not in known:
        raise ConfigError(f"no image is unpacked under the name {name}: swe-srl images unpacked shows those that are")
    root = known.pop(name)
    image_root.cache_clear()
    if root.id not in {other.id for other in known.values()} and not discard_unused(root.folder):
        raise SandboxError(f"the image {name} is in use by another process: discard it when that has ended")
    _index(name).unlink(missing_ok=True)


def _keep(name: str, image_id: str, unpack_into: Callable[[Path], Unpacked]) -> ImageRoot:
    """Unpack to a folder beside the cache's entries, and make it one: whole or not at all."""
    cache = image_cache()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        cache.chmod(0o700)  # it holds set-uid programs that nobody keeps up to date
        with alone(cache / f".lock-{quote(image_id or name, safe='')}"):  # only one process unpacks it
            root = _entry(image_id) if image_id else None
            if root is None:
                sweep_half_made(cache)
                root = _unpacked(unpack_into)
            use(root.folder)
            write_atomic(_index(name), f"{root.id}\n")
    except OSError as error:
        raise SandboxError(f"image {name} could not be unpacked to {cache}: {error}") from error
    return root


def _unpacked(unpack_into: Callable[[Path], Unpacked]) -> ImageRoot:
    with made_beside(image_cache()) as making:
        (making / "root").mkdir()
        facts = unpack_into(making / "root")
        user, home = _user(facts)
        env = dict(facts.env) if "HOME" in dict(facts.env) else {**dict(facts.env), "HOME": home}
        if bad := [name for name, value in env.items() if "\0" in name + value]:
            raise SandboxError(f"image {facts.id}: its variable {bad[0]!r} has a NUL, which no program can be given")
        write_atomic(making / "image.json", json.dumps({"id": facts.id, "user": user, "env": env}))
        put(making, _folder(facts.id), lambda: _entry(facts.id) is not None)
    root = _entry(facts.id)
    if root is None:
        raise SandboxError(f"image {facts.id} could not be unpacked: {_folder(facts.id)} cannot be read")
    return root


def _user(facts: Unpacked) -> tuple[str, str]:
    """Numbers of the user that an image runs as, and the home; / where the image does not know it.

    Raises:
        SandboxError: the image names a user that it does not have.
    """
    wanted, _, group = facts.user.partition(":")
    lines = [line.split(":") for line in facts.passwd.splitlines() if line.count(":") == 6]
    for line in lines:
        if (wanted or "0") in (line[0], line[2]) and is_id(line[2]) and is_id(line[3]):
            return f"{line[2]}:{group if is_id(group) else line[3]}", line[5] or "/"
    if wanted and not is_id(wanted):
        raise SandboxError(
            f"image {facts.id} runs as user {wanted!r}, whom its /etc/passwd does not have: make the image with that user, or "
            "with its number (USER 1000)"
        )
    return f"{wanted or 0}:{group if is_id(group) else 0}", "/"


def _entry(image_id: str) -> ImageRoot | None:
    folder = _folder(image_id)
    try:
        said = json.loads((folder / "image.json").read_text(encoding="utf-8"))
        return ImageRoot(said["id"], folder, said["user"], tuple(said["env"].items()))
    except (OSError, ValueError, KeyError):  # there is none, or it was cut short: it is unpacked again
        return None


def _engine_id(name: str) -> str:
    """The id that the engine knows under a name; "" when it knows none, or no engine answers."""
    from docker.errors import DockerException

    try:
        client = engine(GLANCE_SECONDS)
    except SandboxUnavailableError:
        return ""
    try:
        return str(client.images.get(name).id)
    except (DockerException, OSError):
        return ""
    finally:
        client.close()


def _folder(image_id: str) -> Path:
    return image_cache() / quote(image_id.removeprefix("sha256:"), safe="")


def _index(name: str) -> Path:
    return image_cache() / "names" / quote(name, safe="")


def size_of(root: ImageRoot) -> int:
    """Bytes that an unpacked image takes on the disk."""
    total = 0
    for folder, _, files in os.walk(root.folder):
        total += sum(Path(folder, file).lstat().st_blocks * 512 for file in files)
    return total
