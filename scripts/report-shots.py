#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Looks at a report page in a real Chromium: report-shots.py index.html [FOLDER]

Checks, with one line each: nothing is said on the console and no exception is thrown; nothing but the file itself is
asked for; every picture is shown and has a text for those who do not see it; at 400 pixels width nothing stands beyond
the window; headings follow their order; the table sorts, the theme switches, a picture opens, is compared and closes by
keyboard; without scripts the page says the same. With FOLDER it keeps screenshots there: 1280 and 400 pixels wide,
light and dark, and on paper. Exit code 0 when all is well, 1 when something is not, 77 without Chromium ($CHROMIUM says which).
Needs Python's own library alone: it talks to the browser over two pipes.
"""
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile


class Browser:
    """One headless browser with one page, driven by the DevTools protocol."""

    def __init__(self, program, profile):
        to_read, self.to_write = os.pipe()
        self.from_read, from_write = os.pipe()

        def descriptors():  # the browser reads commands from 3 and writes answers to 4
            a, b = os.dup(to_read), os.dup(from_write)
            os.dup2(a, 3)
            os.dup2(b, 4)

        flags = ["--headless", "--remote-debugging-pipe", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
                 "--user-data-dir=" + profile]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")  # Chromium refuses root otherwise
        self.process = subprocess.Popen([program] + flags + ["about:blank"], preexec_fn=descriptors, close_fds=False,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(from_write)
        self.rest, self.number, self.events, self.session = b"", 0, [], None
        page = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")

    def message(self):
        while b"\0" not in self.rest:
            more = os.read(self.from_read, 1 << 16)
            if not more:
                raise SystemExit("the browser ended")
            self.rest += more
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **parameters):
        self.number += 1
        command = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            command["sessionId"] = self.session
        os.write(self.to_write, json.dumps(command).encode() + b"\0")
        while True:
            m = self.message()
            if m.get("id") == self.number:
                if "error" in m:
                    raise SystemExit("%s: %s" % (method, m["error"]["message"]))
                return m["result"]
            self.events.append(m)

    def wait(self, method):
        while not any(e.get("method") == method for e in self.events):
            self.events.append(self.message())

    def open(self, url, width, dark=False, scripts=True, media=""):
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.events = [e for e in self.events if e.get("method") != "Page.loadEventFired"]
        self.call("Page.navigate", url=url)
        self.wait("Page.loadEventFired")

    def value(self, expression):
        r = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in r:
            raise SystemExit("%s: %s" % (expression, r["exceptionDetails"]))
        return r["result"].get("value")

    def key(self, key, code):
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)
        if key == "Enter":
            self.call("Input.dispatchKeyEvent", type="char", text="\r")

    def shot(self, path, whole=True):
        """The page down to 16,000 pixels, or what the window shows."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16000), "scale": 1}
        more = {"clip": clip, "captureBeyondViewport": True} if whole else {}
        data = self.call("Page.captureScreenshot", format="png", **more)["data"]
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))

    def close(self):
        self.session = None
        try:
            self.call("Browser.close")
        except SystemExit:
            pass
        self.process.wait(20)


failures = 0


def is_(what, wanted, got):
    global failures
    good = wanted == got
    failures += not good
    print("%s %s%s" % ("ok    " if good else "FAILED", what, "" if good else ": wanted %r, got %r" % (wanted, got)))


def find_program():
    """Path of a Chromium, or None."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


SEEN = """(function () { var bad = [];
 document.querySelectorAll('body img').forEach(function (i) { if (i.closest('dialog')) return;
  if (!i.naturalWidth) bad.push('not shown: ' + i.alt); if (!i.alt) bad.push('without a text: ' + i.src.slice(0, 40)); });
 return bad; })()"""
PRINTED = """Array.from(document.querySelectorAll('nav,select,.tabs,.command button')).filter(
 function (e) { return e.offsetParent !== null; }).map(function (e) { return e.outerHTML.slice(0, 60); })"""
HEADINGS = """(function () { var last = 0, bad = [];
 document.querySelectorAll('h1,h2,h3,h4').forEach(function (h) { var n = +h.tagName[1];
  if (n > last + 1) bad.push(h.textContent); last = n; }); return bad; })()"""
NAMES = """(function () { var bad = [];
 document.querySelectorAll('button,input,select,a[href]').forEach(function (e) { if (e.closest('dialog')) return;
  var name = e.getAttribute('aria-label') || e.textContent || (e.labels && e.labels[0] && e.labels[0].textContent);
  if (!name || !name.trim()) bad.push(e.outerHTML.slice(0, 80)); });
 document.querySelectorAll('th:not([scope])').forEach(function (e) { bad.push('scope: ' + e.textContent); });
 document.querySelectorAll('svg.plot:not(.key):not([aria-label])').forEach(function () { bad.push('a plot without a name'); });
 return bad; })()"""
COLUMN = "Array.from(document.querySelectorAll('#candidates tbody tr')).map(function (r) { return r.cells[%d].dataset.v; })"


def table(b):
    head = "document.querySelectorAll('#candidates th button')[%d]"
    b.value((head % 3) + ".click()")
    up = [float(v) for v in b.value(COLUMN % 3) if v is not None]
    b.value((head % 3) + ".click()")
    down = [float(v) for v in b.value(COLUMN % 3) if v is not None]
    is_("the table sorts upwards", sorted(up), up)
    is_("the table sorts downwards", sorted(up, reverse=True), down)
    is_("the sorted column says so", "descending", b.value("document.querySelectorAll('#candidates th')[3].getAttribute('aria-sort')"))


def viewer(b, folder):
    if not b.value("document.querySelectorAll('.shown').length"):
        print("left out: the page has no pictures")
        return
    b.value("document.querySelectorAll('.shown')[1].focus()")
    b.key("Enter", 13)
    is_("a picture opens by keyboard", True, b.value("document.getElementById('view').open"))
    before = b.value("document.querySelector('.view strong').textContent")
    b.value("new Promise(function (r) { setTimeout(r, 200); })")
    clip = b.value("document.querySelector('.stage .above').style.clipPath")
    b.key("ArrowRight", 39)
    is_("the comparison moves by keyboard", True, clip != "" and clip != b.value("document.querySelector('.stage .above').style.clipPath"))
    if folder:
        b.shot(os.path.join(folder, "compare.png"), False)
    b.value("document.querySelector('.view .next').click()")
    is_("the next one is another", True, before != b.value("document.querySelector('.view strong').textContent"))
    b.key("Escape", 27)
    is_("Escape closes it", False, b.value("document.getElementById('view').open"))
    first = b.value("document.querySelector('#gallery article').dataset.name")
    names = b.value("Array.from(document.querySelectorAll('#gallery article')).map(function (a) { return a.dataset.name; })")
    b.value("(function () { var o = document.getElementById('order'); o.value = 'name'; o.dispatchEvent(new Event('change')); })()")
    moved = b.value("Array.from(document.querySelectorAll('#gallery article')).map(function (a) { return a.dataset.name; })")
    is_("sorting by name keeps all pictures", sorted(names), sorted(moved))
    if len(names) > 1 and names != moved:
        is_("sorting by name changes the order", True, first != moved[0] or names != moved)


def check(b, page, folder):
    url = "file://" + os.path.abspath(page)
    for width in (1280, 400):
        for dark in (False, True):
            b.open(url, width, dark)
            name = "%d-%s" % (width, "dark" if dark else "light")
            is_("%s: nothing stands beyond the window" % name, True, b.value("document.documentElement.scrollWidth <= innerWidth"))
            if folder:
                b.shot(os.path.join(folder, name + ".png"))
    b.open(url, 720, media="print")  # the width of A4 between its margins
    is_("on paper: nothing stands beyond the sheet", True, b.value("document.documentElement.scrollWidth <= innerWidth"))
    is_("on paper: nothing to click on", [], b.value(PRINTED))
    if folder:
        b.shot(os.path.join(folder, "print.png"))
    b.open(url, 1280)
    is_("every picture is shown and has a text", [], b.value(SEEN))
    is_("headings follow their order", [], b.value(HEADINGS))
    is_("everything that can be used has a name", [], b.value(NAMES))
    table(b)
    b.value("document.getElementById('theme').click()")
    is_("the switch makes it dark", "dark", b.value("document.documentElement.dataset.theme"))
    b.value("document.getElementById('theme').click()")
    b.open(url, 1280)
    viewer(b, folder)
    text = b.value("document.querySelector('main').innerText.length")
    b.open(url, 1280, scripts=False)
    is_("without scripts nine tenths of the text are there", True,
        b.value("document.querySelector('main').innerText.length") > 0.9 * text)
    asked = [e["params"]["request"]["url"] for e in b.events if e.get("method") == "Network.requestWillBeSent"]
    is_("nothing but the page is asked for", [], sorted({u[:80] for u in asked if u != url and not u.startswith("data:")}))
    said = [json.dumps(e["params"])[:300] for e in b.events
            if e.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")]
    is_("nothing is said on the console", [], said)


def main():
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    program = find_program()
    if not program:
        print("skipped: no Chromium here (Debian: chromium)")
        return 77
    folder = sys.argv[2] if len(sys.argv) == 3 else None
    if folder:
        os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        b = Browser(program, profile)
        try:
            check(b, sys.argv[1], folder)
        finally:
            b.close()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
