"""A real browser without a window, driven over a pipe: keys, clicks, pictures, and what a page says."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any


def chromium() -> str | None:
    """Return the browser, where there is one."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def _pipe() -> tuple[int, int]:
    """Return a pipe whose ends are far from 3 and 4, which the browser's shell puts them in place of."""
    ends = os.pipe()
    far = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 50) for end in ends)
    for end in ends:
        os.close(end)
    return far[0], far[1]


KEYS = {
    "ArrowLeft": 37, "ArrowRight": 39, "ArrowDown": 40, "Backspace": 8, " ": 32, "s": 83,
}  # fmt: skip


class Browser:
    """One page of a headless chromium, spoken to by its DevTools protocol over file descriptors 3 and 4."""

    def __init__(self, width: int = 1280, height: int = 800, dark: bool = False) -> None:
        found = chromium()
        assert found is not None
        self._home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        ours, theirs_out = _pipe()
        theirs_in, ours_out = _pipe()
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}', found, "--headless", "--no-sandbox",
             "--disable-gpu", "--remote-debugging-pipe", f"--user-data-dir={self._home.name}",
             f"--window-size={width},{height}", "about:blank"],
            pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._in, self._out = os.fdopen(ours, "rb"), os.fdopen(ours_out, "wb")
        self._rest, self._count, self._session = b"", 0, None
        targets = self._ask("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self._ask("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        self._ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(20)
        self._in.close()
        self._out.close()
        self._home.cleanup()

    def _ask(self, method: str, **params: Any) -> Any:
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        self._out.flush()
        while True:
            while b"\0" not in self._rest:
                read = os.read(self._in.fileno(), 1 << 20)
                assert read, "the browser has gone"
                self._rest += read
            text, _, self._rest = self._rest.partition(b"\0")
            answer = json.loads(text)
            if answer.get("id") == self._count:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def go(self, url: str) -> None:
        """Open a page."""
        self._ask("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """Return the value of an expression of JavaScript."""
        told = self._ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def wait(self, script: str, seconds: float = 30.0) -> Any:
        """Return the value of an expression once it counts as true; one that fails (there is no page yet) does not."""
        until = time.monotonic() + seconds
        while not (
            value := self.run(f"(() => {{ try {{ return {script}; }} catch {{ return false; }} }})()")
        ):
            assert time.monotonic() < until, (
                f"{script}: {value!r}; the page says: {self.run('document.body.innerText')}"
            )
            time.sleep(0.03)
        return value

    def press(self, key: str, repeat: bool = False) -> None:
        """Press a key, as a keyboard does."""
        facts = {"key": key, "windowsVirtualKeyCode": KEYS[key], "autoRepeat": repeat}
        self._ask("Input.dispatchKeyEvent", type="rawKeyDown", **facts)
        self._ask("Input.dispatchKeyEvent", type="keyUp", **facts)

    def click(self, selector: str) -> None:
        """Click into the middle of an element, as a mouse does."""
        x, y = self.run(
            f"(() => {{ const b = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def picture(self, path: Path) -> None:
        """Save what is seen."""
        path.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"]))
