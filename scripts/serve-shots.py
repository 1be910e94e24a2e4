#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Looks at the page of a running `tessera serve` in a real Chromium: serve-shots.py URL [FOLDER]

Checks, with one line each: a picture is encoded and shown, the slider changes picture, ids and bytes; every other fit
works; nothing stands beyond the window at 1280 and 400 pixels; nothing is said on the console, and nothing but the
server is asked. With FOLDER it keeps screenshots there, light and dark. Exit code 0 when all is well, 1 when something
is not, 77 without Chromium ($CHROMIUM says which).
"""
import importlib.util
import json
import os
import sys
import tempfile

spec = importlib.util.spec_from_file_location("report_shots", os.path.join(os.path.dirname(os.path.abspath(__file__)), "report-shots.py"))
shots = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shots)
is_ = shots.is_

# Waits until an expression is true, at most a minute.
UNTIL = """new Promise(function (done) { var tries = 0; (function look() {
 if (%s) { done(true); } else if (++tries > 600) { done(false); } else { setTimeout(look, 100); } })(); })"""
TEXT = "document.getElementById('%s').textContent"
SOURCE = "document.getElementById('decoded').src"


def until(b, what, condition):
    is_(what, True, b.value(UNTIL % condition))


def slide(b, n):
    b.value("(function () { var s = document.getElementById('count'); s.value = %d; s.dispatchEvent(new Event('input')); })()" % n)
    until(b, "%d tokens are decoded" % n, "document.body.dataset.decoded == '%d'" % n)


def draw(b):
    b.value("window.tessera.health.then(function () { document.getElementById('sample').click(); })")
    until(b, "the sample is encoded and shown", "document.body.dataset.decoded && document.getElementById('decoded').naturalWidth")


def use(b):
    draw(b)
    seen = []
    for n in (1, 16, 64, 256):
        slide(b, n)
        seen.append((b.value(SOURCE), b.value(TEXT % "bytes"), b.value(TEXT % "ids")))
        is_("%d tokens: what is said" % n, ("%d" % n, "%d bytes" % (2 * n), n),
            (b.value(TEXT % "shown"), seen[-1][1], len(seen[-1][2].split())))
    is_("each number has a picture of its own", 4, len({s[0] for s in seen}))
    is_("ids are the beginning of more ids", True, all(a[2].split() == z[2].split()[:len(a[2].split())] for a, z in zip(seen, seen[1:])))
    b.value("(function () { for (var n = 1; n < 256; n += 5) { var s = document.getElementById('count'); s.value = n;"
            " s.dispatchEvent(new Event('input')); } })()")
    until(b, "of many moves the last one is shown", "document.body.dataset.decoded == '251'")
    for fit, tiles in (("crop", 1), ("auto", 9)):
        b.value("(function () { delete document.body.dataset.decoded; var f = document.getElementById('fit'); f.value = '%s';"
                " f.dispatchEvent(new Event('change')); })()" % fit)
        until(b, "fit %s is shown" % fit, "document.body.dataset.decoded")
        is_("fit %s: tiles" % fit, True, ("in %d tiles" % tiles if tiles > 1 else "251 tokens of") in b.value(TEXT % "tokens"))
    is_("no fault is said", "", b.value(TEXT % "error"))
    b.value("(function () { var d = new DataTransfer(); d.items.add(new File(['no picture'], 'x.png', {type: 'image/png'}));"
            " document.dispatchEvent(new DragEvent('drop', {dataTransfer: d, bubbles: true})); })()")
    until(b, "what is no picture is said", "document.getElementById('error').textContent.indexOf('PNG') >= 0 || "
          "document.getElementById('error').textContent.indexOf('picture') >= 0")


def check(b, url, folder):
    b.open(url, 1280)
    use(b)
    bad = [e for e in b.events if e.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown")]
    is_("nothing is said on the console", [], [json.dumps(e["params"])[:300] for e in bad])
    b.events = []
    for width in (1280, 400):
        for dark in (False, True):
            b.open(url, width, dark)
            draw(b)
            slide(b, 96)
            name = "%d-%s" % (width, "dark" if dark else "light")
            is_("%s: nothing stands beyond the window" % name, True, b.value("document.documentElement.scrollWidth <= innerWidth"))
            is_("%s: headings follow their order" % name, [], b.value(shots.HEADINGS))
            is_("%s: everything that can be used has a name" % name, [], b.value(shots.NAMES))
            if folder:
                b.shot(os.path.join(folder, name + ".png"))
    said = [json.dumps(e["params"])[:300] for e in b.events
            if e.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")]
    is_("nothing is said on the console", [], said)
    asked = [e["params"]["request"]["url"] for e in b.events if e.get("method") == "Network.requestWillBeSent"]
    is_("nothing but the server is asked", [], sorted({u[:80] for u in asked if not u.startswith((url, "blob:" + url, "data:"))}))


def main():
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    program = shots.find_program()
    if not program:
        print("skipped: no Chromium here (Debian: chromium)")
        return 77
    folder = sys.argv[2] if len(sys.argv) == 3 else None
    if folder:
        os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        b = shots.Browser(program, profile)
        try:
            check(b, sys.argv[1], folder)
        finally:
            b.close()
    return 1 if shots.failures else 0


if __name__ == "__main__":
    sys.exit(main())
