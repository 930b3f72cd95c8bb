"""Container images on this machine: pulled or built when a task needs them, removed when the room for them is spent.

Only what this program brought is ever removed, and never what is in use. Both are told by files in a folder that all processes
of this user share, one pair for each image: `NAME.json` says that we brought it (its time is that of the last use), and
`NAME.lock` is locked, shared, as long as somebody uses it: a lock goes with the process that holds it, however that ends.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swe_srl.errors import SandboxError, SandboxUnavailableError
from swe_srl.evaluation.building import BuildError, build
from swe_srl.evaluation.locks import POLL, alone, lock, locked, unlock
from swe_srl.evaluation.pulling import BackOff, PullStoppedError, pull
from swe_srl.files import write_atomic
from swe_srl.sandboxes.container_transport import engine, engine_errors

log = logging.getLogger(__name__)
_ROOM_POLL = 1.0  # seconds between looks for room


@dataclass(frozen=True, slots=True)
class Pulled:
    """An image that this program pulled or built.

    Args:
        name: as it was asked for.
        size: bytes of all its layers, those that it shares with others too.
        used: when it was last used, seconds since the epoch.
    """

    name: str
    size: int
    used: float


def images_folder() -> Path:
    """Where the files about pulled images are: `$XDG_CACHE_HOME/swe-srl/pulled`, by default below `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "swe-srl" / "pulled"


@dataclass
class ImageStore:
    """Gives out images to use. Safe for threads; several processes may share the engine and the folder.

    Args:
        pull: whether an image that is not here is pulled. One that has a Dockerfile is built in any case.
        pulls: pulls and builds at a time.
        budget: bytes that all images of the engine may take; 0 is unlimited. Images in use stay, so those used at once must
            fit, or they take more while they are.
        platform: images of this platform are wanted, whatever the engine's own is; "" for the engine's.
        evicts: whether images make room for others.
        back_off: of the pulls.
        folder: see `images_folder`.
        let_go: is called with an image that is to be removed: containers that this process keeps ready of it are closed.
    """

    pull: bool = False
    pulls: int = 2
    budget: int = 0
    platform: str = ""
    evicts: bool = True
    back_off: BackOff = field(default_factory=BackOff)
    folder: Path = field(default_factory=images_folder)
    let_go: Callable[[str], None] = lambda image: None

    def __post_init__(self) -> None:
        self._slots = threading.BoundedSemaphore(self.pulls)
        self._room = threading.Lock()
        self._coming = 0  # pulls that have been given room
        self._unbuilt: dict[str, BuildError] = {}  # a Dockerfile that fails is not tried again for every task

    @contextmanager
    def holding(self, image: str, stopped: threading.Event | None = None, dockerfile: str = "") -> Iterator[None]:
        """Use an image: it is here, and stays, until the block ends. "" is no image, and always here.

        Args:
            image: its name.
            stopped: set by another thread to give up waiting for it.
            dockerfile: what it is built from; "" for an image that is pulled.

        Raises:
            SandboxUnavailableError: it is not here and is not pulled; no engine answers; it is of another platform; or images of
                others take up the whole budget.
            PullError, BuildError: it cannot be pulled or built.
        """
        if not image:
            yield
            return
        given_up = stopped or threading.Event()
        client = engine()
        try:
            with locked(self._file(client, image, "lock"), fcntl.LOCK_SH, given_up) as handle:
                while not self._here(client, image):
                    self._fetch(client, image, handle, given_up, dockerfile)
                self._check_platform(client, image)
                with suppress(FileNotFoundError):
                    os.utime(self._file(client, image, "json"))
                yield
            self._tidy(client)  # what it took too much while it was used
        finally:
            client.close()

    def pulled(self) -> list[Pulled]:
        """What this program pulled or built and is still here, the longest unused first."""
        client = engine()
        try:
            return self._pulled(client)
        finally:
            client.close()

    def total(self) -> int:
        """Bytes that all images of the engine take."""
        client = engine()
        try:
            return self._total(client)
        finally:
            client.close()

    def has_room(self) -> bool:
        """Whether one more image, as large as the largest known one, fits into the budget."""
        if not self.budget:
            return True
        client = engine()
        try:
            largest = max((one.size for one in self._pulled(client)), default=0)
            with self._room:
                return self._total(client) + largest * (self._coming + 1) < self.budget
        finally:
            client.close()

    def remove(self, image: str) -> bool:
        """Remove an image that this program pulled or built; False when it is in use, or not one of them."""
        client = engine()
        try:
            return self._evict(client, image)
        finally:
            client.close()

    def _fetch(self, client: Any, image: str, handle: int, stopped: threading.Event, dockerfile: str) -> None:
        """Pull or build with the lock held alone, so that no two processes do the same; afterwards it is held shared again."""
        if not self.pull and not dockerfile:
            raise SandboxUnavailableError(f"the image {image} is not on this machine: docker pull {image}, or --pull")
        unlock(handle)
        while not self._slots.acquire(timeout=POLL):
            if stopped.is_set():
                raise PullStoppedError(f"waiting for the image {image} was interrupted")
        try:
            lock(handle, fcntl.LOCK_EX, stopped)
            if not self._here(client, image):
                with self._room_for(client, image, stopped):
                    self._bring(client, image, stopped, dockerfile)
                    with engine_errors(f"looking at the image {image}"):
                        record = {"name": image, "size": int(client.images.get(image).attrs["Size"])}
                    write_atomic(self._file(client, image, "json"), json.dumps(record) + "\n")
        finally:
            self._slots.release()
            unlock(handle)
        lock(handle, fcntl.LOCK_SH, stopped)
        self._tidy(client)

    def _bring(self, client: Any, image: str, stopped: threading.Event, dockerfile: str) -> None:
        if not dockerfile:
            pull(client, image, self.back_off, stopped, self.platform)
            return
        if image in self._unbuilt:
            raise self._unbuilt[image]
        try:
            build(client, image, dockerfile, stopped, self.platform, tidy=bool(self.budget))
        except BuildError as error:
            self._unbuilt[image] = error
            raise

    @contextmanager
    def _room_for(self, client: Any, image: str, stopped: threading.Event) -> Iterator[None]:
        """Room for an image as large as the largest known one, until the block ends: what nobody uses is removed for it. Waits
        while others use what stands in the way."""
        while not self._take_room(client):
            if stopped.wait(_ROOM_POLL):
                raise PullStoppedError(f"pulling {image} was interrupted")
        try:
            yield
        finally:
            with self._room:
                self._coming -= 1

    def _take_room(self, client: Any) -> bool:
        with self._room:
            known = self._pulled(client)
            largest = max((one.size for one in known), default=0)
            waiting = self._coming or any(self._held(client, one.name) for one in known)
            roomy = not self.budget or self._shrink(client, max(0, self.budget - largest * (self._coming + 1)))
            if not roomy and not waiting:
                total = self._total(client)  # nothing will be given back
                if total >= self.budget:
                    raise SandboxUnavailableError(
                        f"disk_budget: images that swe-srl did not bring, or that have containers, take {total / 1e9:.2f} GB; "
                        f"{self.budget / 1e9:.2f} GB are for images: remove some (docker rmi), or allow more"
                    )
                roomy = True
            self._coming += roomy
            return roomy

    def _tidy(self, client: Any) -> None:
        """Go back below the budget. What was done with the image stands, whether that works or not: the next use tries again."""
        if not self.budget or not self.evicts:
            return
        try:
            with self._room:
                self._shrink(client, self.budget)
        except SandboxError as error:
            log.warning("no room was made for images: %s", error)

    def _shrink(self, client: Any, most: int) -> bool:
        """Remove images, the longest unused first, until all together take at most so many bytes; whether they do."""
        for one in self._pulled(client) if self.evicts else ():
            if self._total(client) <= most:
                return True
            self._evict(client, one.name)
        return self._total(client) <= most

    def _held(self, client: Any, image: str) -> bool:
        """Whether somebody uses the image."""
        with alone(self._file(client, image, "lock")) as free:
            return not free

    def _evict(self, client: Any, image: str) -> bool:
        import requests
        from docker.errors import APIError, ImageNotFound

        file = self._file(client, image, "json")
        with alone(self._file(client, image, "lock")) as free:
            if not free or not file.is_file():
                return False
            self.let_go(image)
            try:
                client.images.remove(image)  # not forced: the engine refuses while a container is made of it
            except ImageNotFound:
                pass
            except (APIError, requests.RequestException):
                return False
            file.unlink(missing_ok=True)
            return True

    def _pulled(self, client: Any) -> list[Pulled]:
        found = []
        for file in self._place(client).glob("*.json"):
            with suppress(OSError, ValueError, KeyError):
                record = json.loads(file.read_text(encoding="utf-8"))
                if self._here(client, record["name"]):
                    found.append(Pulled(record["name"], int(record["size"]), file.stat().st_mtime))
                else:  # removed by somebody else
                    file.unlink(missing_ok=True)
        return sorted(found, key=lambda one: one.used)

    def _check_platform(self, client: Any, image: str) -> None:
        with engine_errors(f"looking at the image {image}"):
            found, own = client.images.get(image).attrs.get("Architecture", ""), client.version().get("Arch", "")
        wanted = [*self.platform.split("/"), ""][1] or own  # of linux/arm64/v8 the second part
        if found and wanted and found != wanted:
            raise SandboxUnavailableError(
                f"the image {image} is for {found}, this machine's engine is for {own}: it would be emulated, slowly and not "
                f"always rightly, where the kernel can. Give the row an image for {own}, or allow it: --platform linux/{found}"
            )

    def _here(self, client: Any, image: str) -> bool:
        from docker.errors import ImageNotFound

        with engine_errors(f"looking for the image {image}"):
            try:
                client.images.get(image)
            except ImageNotFound:
                return False
        return True

    def _total(self, client: Any) -> int:
        with engine_errors("asking what the images take"):
            return int(client.df().get("LayersSize") or 0)

    def _place(self, client: Any) -> Path:
        with engine_errors("asking the engine for its name"):
            place = self.folder / hashlib.sha256(str(client.info()["ID"]).encode()).hexdigest()[:16]
        place.mkdir(parents=True, exist_ok=True)
        return place

    def _file(self, client: Any, image: str, kind: str) -> Path:
        return self._place(client) / f"{hashlib.sha256(image.encode()).hexdigest()[:24]}.{kind}"
