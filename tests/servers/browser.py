"""A private Chromium without a window, driven through chromedriver by the W3C WebDriver protocol over HTTP."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.servers.processes import Server, find_program, free_port, wait_until

_ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-proxy-server",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--force-device-scale-factor=1",
)  # fmt: skip
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Browser(Server):
    """One window of a laptop's size, with a profile of its own.

    :param folder: holds the profile and the log.
    """

    def __init__(self, folder: Path, *, width: int = 1440, height: int = 900) -> None:
        super().__init__(folder)
        self._size = (width, height)
        self._url = f"http://127.0.0.1:{free_port()}"
        self._session = ""

    def start(self) -> None:
        """Start chromedriver, and with it Chromium."""
        port = self._url.rpartition(":")[2]
        self._launch([find_program("chromedriver"), f"--port={port}"], self._ready)
        arguments = [
            *_ARGUMENTS,
            f"--user-data-dir={self.folder / 'profile'}",
            f"--window-size={self._size[0]},{self._size[1]}",
        ]
        options = {"args": arguments, "binary": find_program("chromium")}
        # An element may take that long to appear, in milliseconds.
        matched = {"goog:chromeOptions": options, "timeouts": {"implicit": 30_000}}
        wanted = {"capabilities": {"alwaysMatch": matched}}
        self._session = f"/session/{self._call('POST', '/session', wanted)['sessionId']}"
        self.resize(self._size[1])

    def resize(self, height: int) -> None:
        """Make the page as high as that; its width stays."""
        self._call("POST", f"{self._session}/window/rect", {"width": self._size[0], "height": height})

    def open(self, url: str) -> None:
        """Go to a page and wait until it has loaded; what its scripts then add may come later."""
        self._call("POST", f"{self._session}/url", {"url": url})

    def cookie(self, name: str, value: str) -> None:
        """Set a cookie for the site of the page that is open."""
        self._call("POST", f"{self._session}/cookie", {"cookie": {"name": name, "value": value, "path": "/"}})

    def run(self, script: str, *arguments: object) -> Any:
        """Run JavaScript in the page and return what it returns."""
        return self._call("POST", f"{self._session}/execute/sync", {"script": script, "args": list(arguments)})

    def wait_for(self, text: str, seconds: float = 60) -> None:
        """Wait until the page shows this text."""
        wait_until(
            lambda: text in str(self.run("return document.body.innerText")), seconds,
            f"the page does not show {text!r}", every=0.25,
        )  # fmt: skip

    def click(self, path: str) -> None:
        """Click what the XPath expression finds, as a mouse would, once it is there."""
        self._call("POST", f"{self._element(path)}/click", {})

    def type(self, path: str, text: str) -> None:
        """Type into the field that the XPath expression finds."""
        self._call("POST", f"{self._element(path)}/value", {"text": text})

    def screenshot(self, file: Path, path: str | None = None) -> None:
        """Write what the window shows as a PNG, or only what the XPath expression finds."""
        place = self._element(path) if path else self._session
        file.write_bytes(base64.b64decode(self._call("GET", f"{place}/screenshot")))

    def _element(self, path: str) -> str:
        wanted = {"using": "xpath", "value": path}
        [number] = self._call("POST", f"{self._session}/element", wanted).values()
        return f"{self._session}/element/{number}"

    def _ready(self) -> bool:
        try:
            return bool(self._call("GET", "/status")["ready"])
        except OSError:
            return False

    def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        request = urllib.request.Request(self._url + path, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with _NO_PROXY.open(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"WebDriver {path}: {error.read().decode(errors='replace')[:500]}") from None
