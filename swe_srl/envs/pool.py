"""Places kept ready, so that a reset need not wait for a sandbox to start."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from swe_srl.envs.definition import EnvironmentDefinition
from swe_srl.envs.image_places import Place
from swe_srl.errors import SweSrlError

AGE_SECONDS = 1800.0  # a place that waited longer is replaced: containers are bounded in life
PROBE_SECONDS = 5.0
MAKE_SECONDS = 60.0  # that `let_go` waits for a place that is just being made or closed
Make = Callable[[], Place]
log = logging.getLogger(__name__)


class PlaceKey(NamedTuple):
    """What makes the places of two tasks alike."""

    image: str
    source: str
    setup_patch: str
    around: Hashable = None  # what a sandbox shows and sets besides, or withholds


@dataclass
class _Ready:
    place: Place
    since: float = field(default_factory=time.monotonic)


class WarmPool:
    """Fresh places, made ahead by one thread.

    It holds `size` places in all, for what was taken last: one task's places when one task is worked on again and again, in
    proportion when there are several. It starts with the first `take`. Safe to share between threads.

    Args:
        size: places that wait.
        rate: places made in a second, at most; 0 is as many as the machine makes.
    """

    def __init__(self, size: int, rate: float) -> None:
        self._size = size
        self._pause = 1 / rate if rate else 0.0
        self._changed = threading.Condition()
        self._ready: dict[Hashable, deque[_Ready]] = {}
        self._make: dict[Hashable, Make] = {}
        self._taken: deque[Hashable] = deque(maxlen=size)
        self._old: deque[Place] = deque()
        self._making: Hashable = None  # the key of the place that the thread is making
        self._closing = False  # whether it is closing one
        self._closed = False
        self._ended = False  # the thread: a `join` that was interrupted may take it for ended
        self._owner = os.getpid()
        self._thread = threading.Thread(target=self._live, name="warm-pool", daemon=True)
        self._thread.start()

    def is_own(self) -> bool:
        """Whether this process made the pool: one that was forked since has neither its thread nor its places."""
        return self._owner == os.getpid()

    def take(self, key: Hashable, make: Make) -> Place:
        """A place that waits under `key`, or one that `make` makes now; more of them are made from now on."""
        with self._changed:
            self._make[key] = make
            self._taken.append(key)
            self._changed.notify_all()
        while True:
            ready = None
            try:
                with self._changed:
                    self._changed.notify_all()
                    if not (waiting := self._ready.get(key)):
                        break
                    ready = waiting[0]
                    del waiting[0]
                if time.monotonic() - ready.since < AGE_SECONDS and _is_well(ready.place):
                    return ready.place
                self.dispose(ready.place)
            except BaseException:  # an interrupt
                if ready is not None:
                    self.dispose(ready.place)
                raise
        return make()

    def dispose(self, place: Place) -> None:
        """Close a place soon, in the pool's thread; now, when the pool is closed."""
        with self._changed:
            closed = self._closed
            if not closed:
                self._old.append(place)
                self._changed.notify_all()
        if closed:
            _close(place)

    def let_go(self, unwanted: Callable[[Hashable], bool]) -> None:
        """Close the places that wait under such keys, and make no more of them until one is taken again."""
        with self._changed:
            kept = [key for key in self._taken if not unwanted(key)]
            self._taken.clear()
            self._taken.extend(kept)
            for key in [key for key in self._make if unwanted(key)]:
                del self._make[key]
            left, self._old = list(self._old), deque()
            self._changed.wait_for(lambda: not (self._closing or unwanted(self._making)), MAKE_SECONDS)
            for key in [key for key in self._ready if unwanted(key)]:
                left += [ready.place for ready in self._ready.pop(key)]
            self._changed.notify_all()
        for place in left:
            _close(place)

    def wait(self, seconds: float) -> int:
        """Wait until the pool is full, or nothing more can be made; how many places are ready."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (not self._old and self._next() is None), seconds)
            return sum(map(len, self._ready.values()))

    def close(self) -> None:
        """Close every place. Idempotent."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._ended)
            self._old.extend(ready.place for waiting in self._ready.values() for ready in waiting)
            self._ready.clear()
        for place in list(self._old):  # an interrupt may come, and `close` be repeated
            _close(place)
        self._old.clear()

    def _wanted(self) -> Counter[Hashable]:
        """How many places of each key should wait: what was taken last, repeated up to the pool's size."""
        taken = list(self._taken)
        return Counter(taken[number % len(taken)] for number in range(self._size)) if taken else Counter()

    def _next(self) -> Hashable | None:
        """A key with too few places that can be made."""
        lacking = (key for key, count in self._wanted().items() if len(self._ready.get(key, ())) < count)
        return next((key for key in lacking if key in self._make), None)

    def _live(self) -> None:
        try:
            self._work()
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _work(self) -> None:
        not_before = 0.0
        while True:
            with self._changed:
                self._retire()
                while not (self._closed or self._old or self._next() is not None):
                    self._changed.wait()
                    self._retire()
                if self._closed:
                    break
                old = self._old.popleft() if self._old else None
                key = None if old else self._next()
                if key is not None and (wait := not_before - time.monotonic()) > 0:
                    self._changed.wait(wait)
                    continue
                make = self._make.get(key) if key is not None else None
                self._making, self._closing = key, old is not None
            if old is not None:
                _close(old)
            elif key is not None and make is not None:
                not_before = time.monotonic() + self._pause
                self._add(key, make)
            with self._changed:
                self._making, self._closing = None, False
                self._changed.notify_all()

    def _add(self, key: Hashable, make: Make) -> None:
        try:
            place = make()
        except Exception as error:  # whatever it is: the next `take` makes its own, and is told
            expected = isinstance(error, (SweSrlError, OSError))
            log.warning("no sandbox could be made ahead: %s", error, exc_info=not expected)
            with self._changed:
                self._make.pop(key, None)
            return
        with self._changed:
            self._ready.setdefault(key, deque()).append(_Ready(place))

    def _retire(self) -> None:
        """Let go of places that are no longer wanted."""
        wanted = self._wanted()
        for key, waiting in self._ready.items():
            while len(waiting) > wanted[key]:
                self._old.append(waiting.popleft().place)
        for key in [key for key in self._make if key not in wanted]:
            del self._make[key]


def _is_well(place: Place) -> bool:
    """Whether a place that waited is as it was made: nobody ended it meanwhile."""
    try:
        result = place.sandbox.run(":", PROBE_SECONDS)
    except SweSrlError:
        return False
    return result.exit_code == 0 and not result.rebuilt


def _close(place: Place) -> None:
    try:
        place.sandbox.close()
    except Exception as error:  # whatever it is: the sweep of a later start removes what is left
        log.warning("a sandbox of the pool could not be closed: %s", error, exc_info=not isinstance(error, SweSrlError))


@dataclass
class _Shared:
    pool: WarmPool
    users: set[object] = field(default_factory=set)


_lock = threading.Lock()
_shared: dict[tuple[EnvironmentDefinition, str], _Shared] = {}
_unused: list[WarmPool] = []  # not closed yet
_kept = [0]  # holders of `pools_kept`


def join_pool(definition: EnvironmentDefinition, kind: str, user: object) -> WarmPool:
    """This process's pool of a definition and a kind of sandbox: one for all environments. `leave_pool` must follow."""
    with _lock:
        if not _shared:
            os.register_at_fork(after_in_child=_forget_parent)
            atexit.register(_close_all, os.getpid())
        shared = _shared.get((definition, kind))
        if shared is None:
            shared = _shared[definition, kind] = _Shared(WarmPool(definition.pool_size, definition.pool_rate))
        shared.users.add(user)
        return shared.pool


def leave_pool(definition: EnvironmentDefinition, kind: str, user: object) -> None:
    """One user less; the last one closes the pool, unless pools are kept (`pools_kept`). Idempotent."""
    with _lock:
        if shared := _shared.get((definition, kind)):
            shared.users.discard(user)
    _close_unused()


def let_go_of_image(image: str) -> None:
    """Close what waits in this process's pools in containers of an image, so that the image can be removed."""
    with _lock:
        pools = [shared.pool for shared in _shared.values()]
    for pool in pools:
        pool.let_go(lambda key: isinstance(key, PlaceKey) and key.image == image)


@contextlib.contextmanager
def pools_kept() -> Iterator[None]:
    """Pools outlive the environments that come and go meanwhile."""
    with _lock:
        _kept[0] += 1
    try:
        yield
    finally:
        with _lock:
            _kept[0] -= 1
        _close_unused()


def _close_unused() -> None:
    """Close the pools that nobody uses; those too whose closing was interrupted."""
    with _lock:
        names = [] if _kept[0] else [name for name, shared in _shared.items() if not shared.users]
        _unused.extend(_shared.pop(name).pool for name in names)
        closing = list(_unused)
    for pool in closing:
        pool.close()
        with contextlib.suppress(ValueError):  # another thread has closed it
            _unused.remove(pool)


def _forget_parent() -> None:
    global _lock
    _lock = threading.Lock()
    _shared.clear()
    _unused.clear()
    _kept[0] = 0


def _close_all(pid: int) -> None:
    if pid == os.getpid():
        for shared in list(_shared.values()):
            shared.pool.close()
