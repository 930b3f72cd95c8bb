"""Pulling and building images before they are needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from swe_srl.errors import SandboxError
from swe_srl.evaluation.store import ImageStore
from swe_srl.sandboxes.container_transport import engine, engine_errors


@dataclass
class PulledAhead:
    """What became of the images.

    Args:
        pulled: those that are here now.
        failed: those that cannot be pulled, with the reason.
        no_room: those that were not tried, because the budget is spent.
    """

    pulled: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    no_room: list[str] = field(default_factory=list)


def pull_ahead(store: ImageStore, images: Mapping[str, str], told: Callable[[str], None]) -> PulledAhead:
    """Pull or build images until the store's budget is spent. Nothing is removed to make room: what is here is wanted too.

    Args:
        store: pulls; its budget counts, as far as images like the largest one known still fit.
        images: that are not here, each with its Dockerfile; "" for one that is pulled.
        told: is called with every image that has been tried.
    """
    outcome, lock, stopped = PulledAhead(), threading.Lock(), threading.Event()

    def one(image: str) -> None:
        if stopped.is_set():
            return
        if not store.has_room():
            with lock:
                outcome.no_room.append(image)
            return
        try:
            with store.holding(image, stopped, images[image]):
                reason = ""
        except SandboxError as error:
            reason = str(error)
        with lock:
            if reason:
                outcome.failed[image] = reason
            else:
                outcome.pulled.append(image)
            told(image)

    pool = ThreadPoolExecutor(store.pulls, thread_name_prefix="pulling")
    try:
        for future in [pool.submit(one, image) for image in images]:
            future.result()
    finally:
        stopped.set()
        pool.shutdown(wait=True, cancel_futures=True)
    return outcome


def sizes(images: Iterable[str]) -> dict[str, int]:
    """Bytes of those images that are here, shared layers counted with each."""
    from docker.errors import ImageNotFound

    client = engine()
    found: dict[str, int] = {}
    try:
        for image in images:
            with engine_errors(f"looking for the image {image}"):
                try:
                    found[image] = int(client.images.get(image).attrs["Size"])
                except ImageNotFound:
                    continue
    finally:
        client.close()
    return found
