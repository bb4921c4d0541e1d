"""A headless Chromium, driven over its debugging pipe (the DevTools protocol). Standard library only."""
import base64
import ctypes
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

PATIENCE_S = 30
_libc = ctypes.CDLL(None)


def find_chromium():
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


class Browser:
    """`with Browser(path) as b: page = b.open()`. The browser reads commands at descriptor 3 and answers at 4."""

    def __init__(self, program):
        self._program = program
        self._next = 0
        self._rest = b""
        self._pages = {}

    def __enter__(self):
        self._profile = tempfile.mkdtemp(prefix="sluice-browser-")
        (to_read, self._to), (self._from, from_write) = (self._high(os.pipe()), self._high(os.pipe()))
        flags = ["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync",
                 "--disable-extensions", "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=en",
                 f"--user-data-dir={self._profile}", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{to_read} 4>&{from_write}', "browser", self._program, *flags],
            pass_fds=(to_read, from_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, preexec_fn=lambda: _libc.prctl(1, signal.SIGKILL))
        os.close(to_read)
        os.close(from_write)
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close")
            self._process.wait(10)
        except (OSError, RuntimeError, subprocess.TimeoutExpired):
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        os.close(self._to)
        os.close(self._from)
        shutil.rmtree(self._profile, ignore_errors=True)

    @staticmethod
    def _high(pipe):
        """Out of the way of 3 and 4."""
        moved = tuple(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for fd in pipe)
        for fd in pipe:
            os.close(fd)
        return moved

    def call(self, method, params=None, session=None):
        self._next += 1
        message = {"id": self._next, "method": method, "params": params or {}}
        if session:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + PATIENCE_S
        while True:
            answer = self._read(end)
            if answer is None:
                raise RuntimeError(f"the browser did not answer {method}")
            if answer.get("id") == self._next:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _read(self, end):
        """The next message; events go to their page. None when time is up or the browser is gone."""
        while b"\0" not in self._rest:
            if not select.select([self._from], [], [], max(0, end - time.monotonic()))[0]:
                return None
            more = os.read(self._from, 1 << 20)
            if not more:
                return None
            self._rest += more
        line, self._rest = self._rest.split(b"\0", 1)
        message = json.loads(line)
        if page := self._pages.get(message.get("sessionId")):
            page.on_event(message)
        return message

    def open(self):
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = self._pages[session] = Page(self, session)
        page.start()
        return page


class Page:
    """One tab. `faults`: what its console, its policy and its scripts complained of. `requests`: addresses asked for."""

    def __init__(self, browser, session):
        self._browser, self._session = browser, session
        self.faults, self.requests = [], []

    def start(self):
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source="addEventListener('securitypolicyviolation', "
                  "e => console.error('policy', e.violatedDirective, e.blockedURI))")

    def on_event(self, e):
        method, p = e.get("method"), e.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.faults.append("exception: " + json.dumps(p["exceptionDetails"])[:600])
        elif method == "Runtime.consoleAPICalled" and p["type"] in ("error", "warning", "assert"):
            self.faults.append("console: " + " ".join(str(a.get("value", a.get("description"))) for a in p["args"]))
        elif method == "Log.entryAdded" and p["entry"]["level"] in ("error", "warning"):
            self.faults.append("log: {source} {text} {url}".format(**{"url": "", **p["entry"]}))
        elif method == "Network.requestWillBeSent":
            self.requests.append(p["request"]["url"])

    def call(self, method, **params):
        return self._browser.call(method, params, self._session)

    def shape(self, width, height, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 600)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def go(self, url):
        self.call("Page.navigate", url=url)

    def run(self, expression):
        """The value of a JavaScript expression; a promise is waited for."""
        r = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in r:
            raise RuntimeError(f"{expression}: {json.dumps(r['exceptionDetails'])[:600]}")
        return r["result"].get("value")

    def until(self, expression, limit_s=PATIENCE_S):
        """Waits until the expression is true; else the failure shows the page's words."""
        end = time.monotonic() + limit_s
        while not self.run(f"!!({expression})"):
            if time.monotonic() > end:
                body = self.run("document.body.innerText")
                raise AssertionError(f"never true: {expression}\nfaults: {self.faults}\n{body[:3000]}")
            time.sleep(0.05)

    def text(self, selector):
        return self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def type(self, selector, text):
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        self.call("Input.insertText", text=text)

    def press(self, key):
        codes = {"Tab": 9, "Enter": 13, "Space": 32}
        text = {"Enter": "\r", "Space": " "}.get(key)
        at = {"key": " " if key == "Space" else key, "code": key, "windowsVirtualKeyCode": codes[key]}
        self.call("Input.dispatchKeyEvent", type="keyDown", **at, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **at)

    def offline(self, yes):
        self.call("Network.emulateNetworkConditions", offline=yes, latency=0, downloadThroughput=-1, uploadThroughput=-1)

    def shot(self, file, height=None):
        """A picture of the page, all of it or its top."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(height or size["height"], size["height"]), "scale": 1}
        r = self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(r["data"]))
