"""A headless Chromium for tests, spoken to over a pipe (Chrome DevTools Protocol).

The browser is that of ``make browser``, or the machine's own; ``find`` tells whether there is one.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.local.browser import PACKED, unpack

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
SECONDS: Final = 60
KEYS: Final = {"Tab": 9, "Enter": 13, "ArrowLeft": 37, "ArrowRight": 39, "Home": 36, " ": 32}
TEXTS: Final = {"Enter": "\r", " ": " "}
"""Keys that also write something; without it Chromium takes no default action."""


class BrowserError(RuntimeError):
    """The browser did not answer, or a script failed."""


@dataclass(frozen=True)
class Chromium:
    """How to start a browser."""

    path: str
    options: tuple[str, ...]
    environment: dict[str, str]


def find(scratch: Path) -> Chromium | None:
    """Return the browser, unpacked below ``scratch`` if it comes packed, or ``None``."""
    if PACKED.is_dir():
        folder = unpack(scratch)
        environment = {
            **{"PATH": os.environ["PATH"], "HOME": str(scratch)},
            **{"LD_LIBRARY_PATH": str(folder / "lib"), "FONTCONFIG_PATH": str(folder)},
        }
        options = (
            "--headless=shell",
            "--no-zygote",
            "--single-process",
            "--font-render-hinting=none",
        )
        return Chromium(str(folder / "chromium"), options, environment)
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    return Chromium(found, ("--headless=new",), dict(os.environ)) if found else None


class Page:
    """One tab."""

    def __init__(self, process: subprocess.Popen[bytes], read: int, write: int) -> None:
        self._process, self._read, self._write = process, read, write
        self._rest, self._last, self._session = b"", 0, ""
        self.requests: list[str] = []
        self.errors: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command; return its result, noting what the page does meanwhile."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        for answer in self._messages():
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result
        raise BrowserError(f"{method}: no answer")

    def open(self, path: Path) -> None:
        """Load a file and wait until its scripts have run."""
        self.call("Page.navigate", url=path.as_uri())
        end = time.monotonic() + SECONDS
        loaded = "document.readyState == 'complete' && location.protocol == 'file:'"
        while not self.evaluate(loaded):
            if time.monotonic() > end:
                raise BrowserError(f"{path.name} does not load")
            time.sleep(0.05)

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in answer:
            raise BrowserError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def press(self, key: str, times: int = 1) -> None:
        """Press a key as a person would."""
        code = KEYS[key]
        text = {"text": TEXTS[key]} if key in TEXTS else {}
        for _ in range(times):
            common: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": code}
            self.call("Input.dispatchKeyEvent", type="keyDown", **common, **text)
            self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def write(self, text: str) -> None:
        """Write a text into whatever has the focus."""
        self.call("Input.insertText", text=text)

    def prefer(self, scheme: str) -> None:
        """Let the system prefer ``light`` or ``dark``."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)
        self._paint()

    def resize(self, width: int, height: int) -> None:
        """Give the window a size."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def screenshot(self, *, whole: bool = False) -> bytes:
        """Return what is seen, or the whole page, as PNG."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(answer["data"])

    def _paint(self) -> None:
        """Wait until the page is drawn anew: what listens to the system hears of it then."""
        frames = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        late = "new Promise(done => setTimeout(done, 1000))"
        script = f"Promise.race([{frames}, {late}]).then(() => true)"
        self.call("Runtime.evaluate", expression=script, awaitPromise=True)

    def _messages(self) -> Iterator[dict[str, Any]]:
        end = time.monotonic() + SECONDS
        while True:
            while b"\0" in self._rest:
                text, _, self._rest = self._rest.partition(b"\0")
                message = json.loads(text)
                self._note(message)
                yield message
            ready, _, _ = select.select([self._read], [], [], max(end - time.monotonic(), 0))
            part = os.read(self._read, 1 << 16) if ready else b""
            if not part:
                raise BrowserError(f"the browser is silent (exit status {self._process.poll()})")
            self._rest += part

    def _note(self, message: dict[str, Any]) -> None:
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(str(parameters["exceptionDetails"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.errors.append(str(parameters["entry"]["text"]))


@contextmanager
def browser(chromium: Chromium, profile: Path) -> Iterator[Page]:
    """Start Chromium with a profile of its own; end it afterwards."""
    theirs, write = os.pipe()
    read, their_write = os.pipe()
    options = (
        *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
        *("--disable-extensions", "--disable-background-networking", "--remote-debugging-pipe"),
        *(f"--user-data-dir={profile}", *chromium.options, "about:blank"),
    )
    # The protocol's pipe is descriptors 3 and 4, wherever ours are.
    redirected = f'exec "$@" 3<&{theirs} 4>&{their_write}'
    process = subprocess.Popen(
        ["bash", "-c", redirected, "bash", chromium.path, *options],
        pass_fds=(theirs, their_write),
        env=chromium.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    os.close(their_write)
    try:
        yield Page(process, read, write)
    finally:
        os.close(write)  # ends the browser
        process.terminate()
        process.wait(SECONDS)
        os.close(read)
