"""`swe-srl images unpack`, `unpacked`, `discard`: root file systems of container images, for the local sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from swe_srl.cli.console import Console
from swe_srl.errors import ConfigError
from swe_srl.settings import setting


@dataclass(frozen=True)
class UnpackSettings:
    """Settings of `swe-srl images unpack`."""

    image: str = setting("", "Name of the image, as tasks have it.")
    archive: Path | None = setting(
        None, "File that docker save (or docker export) wrote; none: the image comes from the container engine."
    )


@dataclass(frozen=True)
class UnpackedSettings:
    """Settings of `swe-srl images unpacked`."""

    json: bool = setting(False, "Print the images as JSON.")


@dataclass(frozen=True)
class DiscardSettings:
    """Settings of `swe-srl images discard`."""

    image: str = setting("", "Name that the image was unpacked under.")


def unpack_image(settings: UnpackSettings, console: Console) -> None:
    """Unpack one image; nothing is done when it is there already."""
    from swe_srl.sandboxes.image_roots import image_root, size_of, unpack

    if not settings.image:
        raise ConfigError("image: the name that tasks give the image is missing")
    console.sweep()
    root = unpack(settings.image, settings.archive) if settings.archive else image_root(settings.image)
    console.say(f"{settings.image}: {root.path} ({size_of(root) >> 20} MB)")


def list_images(settings: UnpackedSettings, console: Console) -> None:
    """The unpacked images."""
    from swe_srl.sandboxes.image_roots import size_of, unpacked_images

    found = unpacked_images()
    if settings.json:
        rows = [{"image": name, "id": root.id, "root": str(root.path)} for name, root in found.items()]
        console.json(rows)
        return
    table = [(name, root.id.removeprefix("sha256:")[:12], size_of(root) >> 20) for name, root in found.items()]
    console.table(("image", "id", ">MB"), table)
    console.say(f"{len(found)} images unpacked")


def discard_image(settings: DiscardSettings, console: Console) -> None:
    """Remove one image's files."""
    from swe_srl.sandboxes import image_roots

    image_roots.remove_image(settings.image)
    console.say(f"{settings.image}: discarded")
