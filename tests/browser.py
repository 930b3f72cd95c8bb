"""A headless Chromium, driven through the DevTools protocol over a pipe: no port, no further package."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio", "--hide-scrollbars",
    "--remote-debugging-pipe", "--force-color-profile=srgb", "--password-store=basic", "--no-proxy-server",
)  # fmt: skip
SECONDS = 60.0


def browser_path() -> str:
    """The installed Chromium, or ""."""
    return next((found for name in NAMES if (found := shutil.which(name))), "")


def _pipes() -> tuple[int, int, int, int]:
    """Our ends (reading, writing) and the browser's (reading, writing), the latter clear of the numbers it expects them at."""
    (theirs, write), (read, answers) = os.pipe(), os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (theirs, answers)]
    os.close(theirs)
    os.close(answers)
    return read, write, high[0], high[1]


# What `content-visibility: auto` leaves out until it is near has no text before it has been drawn.
FRAMES = """Promise.race([
  new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))), new Promise((done) => setTimeout(done, 2000)),
])"""


class Browser:
    """One browser with one page. A context manager.

    Attributes:
        problems: uncaught errors, console errors and failed loads of the page, since the last `problems.clear()`.
        requests: addresses that the page asked for.
    """

    def __init__(self, width: int = 1280, height: int = 900) -> None:
        self.problems: list[str] = []
        self.requests: list[str] = []
        self._number = 0
        self._buffer = b""
        self._profile = tempfile.mkdtemp(prefix="swe-srl-browser-")
        self._read, self._write, commands, answers = _pipes()
        script = f'exec "$0" "$@" 3<&{commands} 4>&{answers} {commands}<&- {answers}>&-'
        arguments = [browser_path(), *FLAGS, f"--user-data-dir={self._profile}", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", script, *arguments],
            pass_fds=(commands, answers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={
                **os.environ,
                "HOME": self._profile,
                "XDG_CACHE_HOME": self._profile,
                "XDG_CONFIG_HOME": self._profile,
            },
        )
        os.close(commands)
        os.close(answers)
        self._session = ""
        try:
            self._attach(width, height)
        except BaseException:
            self.close()
            raise

    def _attach(self, width: int, height: int) -> None:
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(one["targetId"] for one in targets if one["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.size(width, height)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the browser and remove its profile."""
        try:
            self._session = ""
            self.call("Browser.close")
            self._process.wait(20)
        except (OSError, RuntimeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self._profile, ignore_errors=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol; events that come in between are noted."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + SECONDS
        while True:
            answer = self._next(deadline)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])
            self._note(answer)

    def open(self, page: Path, place: str = "") -> None:
        """Load a page from the disk, anew."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=f"{page.resolve().as_uri()}{place}")
        self.wait("document.readyState === 'complete' && document.querySelector('main')?.children.length > 0")
        self.settle()

    def go(self, place: str) -> None:
        """Change the address within the page, as a link does."""
        self.js(f"location.hash = {json.dumps(place)}")
        self.settle()

    def js(self, expression: str) -> Any:
        """The value of an expression in the page.

        Raises:
            RuntimeError: it threw.
        """
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']['exception'].get('description')}")
        return result["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until an expression holds."""
        deadline = time.monotonic() + SECONDS
        while not self.js(f"Boolean({condition})"):
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"never came true: {condition}; the page says {self.js('document.body.innerText')[:500]}"
                )
            time.sleep(0.02)

    def settle(self) -> None:
        """Until the page shows what it was asked for, and nothing is being loaded."""
        self.js("new Promise((done) => setTimeout(done, 0))")
        self.js(FRAMES)
        self.wait("![...document.querySelectorAll('.nothing')].some((one) => one.textContent === 'Loading…')")

    def text(self, selector: str) -> str:
        """Visible text of the first such element; "" without one."""
        return str(self.js(f"(document.querySelector({json.dumps(selector)}) || {{innerText: ''}}).innerText"))

    def count(self, selector: str) -> int:
        """How many such elements can be seen."""
        found = self.js(
            f"[...document.querySelectorAll({json.dumps(selector)})].filter((e) => e.getClientRects().length).length"
        )
        return int(found)

    def click(self, selector: str) -> None:
        """A click with the mouse in the middle of the first such element, where it is once what is around it has been drawn."""
        self.js(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        self.js(FRAMES)
        box = self.js(
            f"(() => {{ const b = document.querySelector({json.dumps(selector)}).getBoundingClientRect(); "
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)
        self.settle()

    def key(self, key: str) -> None:
        """Press a key."""
        code = {"Enter": 13, "Escape": 27}.get(key, 0)
        text = {"Enter": "\r", "Escape": ""}.get(key, key)
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=text, windowsVirtualKeyCode=code)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)
        self.settle()

    def type(self, text: str) -> None:
        """Text for what has the focus."""
        self.call("Input.insertText", text=text)
        self.settle()

    def choose(self, selector: str, value: str) -> None:
        """Choose in a drop-down list."""
        self.js(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.value = {json.dumps(value)}; "
            "e.dispatchEvent(new Event('change')); })()"
        )
        self.settle()

    def size(self, width: int, height: int, mobile: bool = False) -> None:
        """The size of the window, or of a phone's screen."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def scheme(self, name: str) -> None:
        """What the system prefers: "light" or "dark"."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def screenshot(self, path: Path) -> None:
        """What the window shows, as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            if not select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise RuntimeError("the browser does not answer")
            piece = os.read(self._read, 1 << 20)
            if not piece:
                raise RuntimeError("the browser has ended")
            self._buffer += piece
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))

    def _note(self, event: dict[str, Any]) -> None:
        method, details = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            thrown = details["exceptionDetails"]
            self.problems.append(thrown.get("exception", {}).get("description") or thrown["text"])
        elif method == "Runtime.consoleAPICalled" and details["type"] in ("error", "warning", "assert"):
            self.problems.append(f"console.{details['type']}: {details['args']}")
        elif method == "Log.entryAdded" and details["entry"]["level"] in ("error", "warning"):
            self.problems.append(f"{details['entry']['source']}: {details['entry']['text']}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(details["request"]["url"])
