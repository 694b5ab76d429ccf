"""A headless Chromium, driven over WebDriver: what a report's tests click in. No dependency but the two programs."""

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
MISSING = "" if CHROMIUM and DRIVER else "no chromium with chromedriver is installed"
NARROWEST = 500
"""Pixels of a window of Chromium's; what is narrower is a phone, which is touched."""
PATIENCE = 120.0
"""Seconds for one command; only a bug takes longer, or a machine with much else to do."""


class Browser:
    """One window, offline: whatever a page fetches fails, and is in `console`."""

    def __init__(self, width: int, height: int) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        assert DRIVER is not None
        self._driver = subprocess.Popen(
            [DRIVER, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._root = f"http://127.0.0.1:{port}"
        self._session = ""
        self._touch = width < NARROWEST
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        flags += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--window-size={width},{height}"]
        options: dict[str, Any] = {"binary": CHROMIUM, "args": flags}
        if self._touch:
            options["mobileEmulation"] = {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 1.0}}
        capabilities = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        self._ready()
        found = self._call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self._session = f"/session/{found['sessionId']}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._call("DELETE", self._session)
        finally:
            self._driver.terminate()
            self._driver.wait(PATIENCE)

    def open(self, path: Path) -> None:
        self._call("POST", f"{self._session}/url", {"url": path.resolve().as_uri()})

    def ask(self, script: str) -> Any:
        """What a script returns in the page."""
        return self._call("POST", f"{self._session}/execute/sync", {"script": f"return {script}", "args": []})

    def point_at(self, selector: str) -> None:
        """Move the pointer over the middle of the first such element; on a phone, touch it."""
        self.ask(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        actions: list[dict[str, Any]] = [
            {"type": "pointerMove", "duration": 0, "x": 0, "y": 0, "origin": self._find(selector)}
        ]
        if self._touch:
            actions += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        else:
            actions += [{"type": "pointerMove", "duration": 0, "x": 1, "y": 0, "origin": "pointer"}]
        kind = "touch" if self._touch else "mouse"
        pointer = {"type": "pointer", "id": kind, "parameters": {"pointerType": kind}, "actions": actions}
        self._call("POST", f"{self._session}/actions", {"actions": [pointer]})

    def click(self, selector: str) -> None:
        element = next(iter(self._find(selector).values()))
        self._call("POST", f"{self._session}/element/{element}/click", {})

    def type(self, selector: str, text: str) -> None:
        element = next(iter(self._find(selector).values()))
        self._call("POST", f"{self._session}/element/{element}/value", {"text": text})

    def console(self) -> list[str]:
        """Errors and warnings since it was last asked."""
        found = self._call("POST", f"{self._session}/se/log", {"type": "browser"})
        return [entry["message"] for entry in found]

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._call("GET", f"{self._session}/screenshot")))

    def _find(self, selector: str) -> dict[str, str]:
        found: dict[str, str] = self._call(
            "POST", f"{self._session}/element", {"using": "css selector", "value": selector}
        )
        return found

    def _ready(self) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                if self._call("GET", "/status")["ready"]:
                    return
            except (urllib.error.URLError, ConnectionError):
                if time.monotonic() > end:
                    raise
            time.sleep(0.05)

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._root + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.read().decode()[:500]}") from error
