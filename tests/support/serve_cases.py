#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`tessera serve` as its clients see it: serve_cases.py good|bad|limits|stop|load [SECONDS]

Runs $TESSERA; one line for each thing that is not as wanted, and at the end how many were looked at. Needs Python's own
library alone.
"""
import base64
import http.client
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib

TESSERA = os.environ["TESSERA"]
checks = failures = 0
lock = threading.Lock()


def is_(what, wanted, got):
    global checks, failures
    with lock:
        checks += 1
        if wanted != got:
            failures += 1
            print("FAILED: %s: wanted %r, got %r" % (what, wanted, got), flush=True)


def has(what, wanted, got):
    is_(what, True, wanted in got or "no %r in %r" % (wanted, got[:300]))


def png(width, height, rows=None, seed=1):
    """A PNG file; `rows` None paints one, else its compressed rows."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    if rows is None:
        raw = bytearray()
        for y in range(height):
            raw.append(0)
            for x in range(width):
                edge = 60 if ((x >> 4) ^ (y >> 4)) & 1 else 0
                raw += bytes(((x * (3 + seed) // 2 + edge) & 255, (y * 2 + seed * 40 + edge) & 255, (x + y + seed * 7) & 255))
        rows = zlib.compress(bytes(raw))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", rows) + chunk(b"IEND", b""))


class Server:
    @staticmethod
    def environment(more):
        """AddressSanitizer keeps freed memory back, 256 MB by default: little of it, so that growth is seen."""
        env = dict(os.environ, **more)
        env["ASAN_OPTIONS"] = ":".join(filter(None, [env.get("ASAN_OPTIONS"), "quarantine_size_mb=4"]))
        return env

    def __init__(self, *options, env=None):
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen([TESSERA, "serve", "--port", "0", "--json", "--device", "cpu"] + list(options),
                                        stdout=subprocess.PIPE, stderr=self.log, env=self.environment(env or {}))
        text = b""
        for line in self.process.stdout:
            text += line
            if line == b"}\n":
                break
        self.info = json.loads(text or b"{}")
        if "port" not in self.info:
            raise SystemExit("the server did not start: %r" % self.said())
        self.port = self.info["port"]

    def said(self):
        self.log.seek(0)
        return self.log.read().decode()

    def connect(self, timeout=60):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, method, path, body=None, headers=None, connection=None):
        c = connection or self.connect()
        c.request(method, path, body=body, headers=headers or {})
        r = c.getresponse()
        data = r.read()
        if not connection:
            c.close()
        return r.status, dict(r.getheaders()), data

    def raw(self, data, timeout=30):
        """Sends bytes and returns everything that comes until the end."""
        got = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as s:
            try:
                s.sendall(data)
            except OSError:
                pass
            try:
                while True:
                    more = s.recv(65536)
                    if not more:
                        break
                    got += more
            except OSError:
                pass
        return got

    def memory(self):
        with open("/proc/%d/status" % self.process.pid) as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        code = self.process.wait(60)
        self.process.stdout.close()
        return code


def cli(*arguments, data=None):
    return subprocess.run([TESSERA] + list(arguments), input=data, stdout=subprocess.PIPE, check=True).stdout


def cli_file(data, name, *options):
    """The token file that the command line makes of these bytes under this name."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, name)
        with open(path, "wb") as f:
            f.write(data)
        cli("encode", path, "-o", os.path.join(folder, "x.tess"), "-q", "--device", "cpu", *options)
        with open(os.path.join(folder, "x.tess"), "rb") as f:
            return f.read()


IMAGE = {"Content-Type": "image/png"}
JSON = {"Content-Type": "application/json"}


def multipart(fields):
    body = b""
    for name, value, file in fields:
        body += b'--frontier\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n' % (
            name.encode(), b'; filename="x"\r\nContent-Type: image/png' if file else b"")
        body += value + b"\r\n"
    return body + b"--frontier--\r\n", {"Content-Type": "multipart/form-data; boundary=frontier"}


def error(answer, status, code, text, what):
    is_(what + ": status", status, answer[0])
    try:
        e = json.loads(answer[2])["error"]
        is_(what + ": code", code, e["code"])
        has(what, text, e["message"])
    except (ValueError, KeyError):
        is_(what + ": a JSON error", True, answer[2][:200])


def good():
    s = Server("--batch-wait", "20")
    picture = png(320, 200)
    whole = cli_file(picture, "a.png")
    # The same bytes as the command line makes, whichever way the picture comes.
    for what, query, body, headers in [
            ("a picture", "", picture, IMAGE),
            ("base 64 in JSON", "", json.dumps({"image": base64.b64encode(picture).decode()}), JSON),
            ("an address with data", "", json.dumps({"image": "data:image/png;base64," + base64.b64encode(picture).decode()}), JSON),
            ("a form", "") + multipart([("image", picture, True)])]:
        status, headers, data = s.ask("POST", "/v1/encode?format=tess&name=a.png" + query, body, headers)
        is_(what, (200, "application/vnd.tessera", True), (status, headers["Content-Type"], data == whole))
    body, headers = multipart([("tokens", b"16", False), ("image", picture, True), ("name", b"b", False), ("fit", b"crop", False)])
    status, _, data = s.ask("POST", "/v1/encode", body, headers)
    is_("options of a form", (200, 16, "b", "crop"), (status, json.loads(data)["token_count"], json.loads(data)["name"], json.loads(data)["item"]["fit"]))
    for options, more in [("tokens=16", ["-k", "16"]), ("quality=0.1", ["--quality", "0.1"]), ("fit=pad&background=ff0000", ["--fit", "pad", "--background", "ff0000"]),
                          ("layers=4&coding=raw", ["--layers", "4", "--coding", "raw"]), ("target=psnr%3D18", ["--target", "psnr=18"])]:
        status, _, data = s.ask("POST", "/v1/encode?name=a.png&" + options, picture, dict(IMAGE, Accept="application/vnd.tessera"))
        is_("as the command line with " + options, (200, True), (status, data == cli_file(picture, "a.png", *more)))
    # JSON: what comes back decodes to the command line's pixels, in whole and in part.
    status, headers, data = s.ask("POST", "/v1/encode", picture, IMAGE)
    answer = json.loads(data)
    is_("JSON", (200, "application/json", s.info["tokenizer"], 512), (status, headers["Content-Type"], answer["model"], answer["token_count"]))
    is_("bytes of ids", 1024, answer["id_bytes"])
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/a.tess", "wb") as f:
            f.write(whole)
        for k in (1, 40, 256):
            cli("decode", folder + "/a.tess", "-o", folder + "/a.png", "-k", str(k), "-q", "-f", "--device", "cpu")
            with open(folder + "/a.png", "rb") as f:
                wanted = f.read()
            for what, body, headers in [("ids", json.dumps(dict(answer, tokens=k)), JSON), ("a token file", whole, {"Content-Type": "application/vnd.tessera"}),
                                        ("a token file in JSON", json.dumps({"tess": base64.b64encode(whole).decode()}), JSON),
                                        ("a token file in a form",) + multipart([("tess", whole, True)])]:
                status, headers, data = s.ask("POST", "/v1/decode?tokens=%d" % k, body, headers)
                is_("decode %s, %d tokens" % (what, k), (200, "image/png", True), (status, headers["Content-Type"], data == wanted))
    status, headers, data = s.ask("POST", "/v1/decode", json.dumps({"ids": answer["item"]["ids"][:16]}), JSON)
    is_("ids of one tile", (200, b"\x89PNG"), (status, data[:4]))
    is_("its size", (256, 256), struct.unpack(">II", data[16:24]))
    status, headers, data = s.ask("POST", "/v1/decode", json.dumps({"ids": [], "format": "png"}), JSON)
    is_("no ids are a picture, too", 200, status)
    two = cli_merge(whole, cli_file(png(64, 64), "b.png"))
    status, _, data = s.ask("POST", "/v1/decode?item=b.png", two)
    is_("an item by its key", (200, (64, 64)), (status, struct.unpack(">II", data[16:24])))
    clips(s)
    tiles()
    many(s)
    others(s)
    is_("stopped", 0, s.stop())
    has("log", "POST /v1/encode 200", s.said())


def tiles():
    """Ids of a client with tiles of another size do not change what the next one gets."""
    with tempfile.TemporaryDirectory() as folder:
        picture, weights = folder + "/a.png", folder + "/w.safetensors"
        with open(picture, "wb") as f:
            f.write(png(128, 128))
        cli("codebook", "train", picture, "-p", "8", "-k", "16", "-o", weights, "-q")
        cli("encode", picture, "-t", weights, "--tile", "64x64", "-o", folder + "/small.tess", "-q", "--device", "cpu")
        with open(folder + "/small.tess", "rb") as f:
            small = f.read()
        s = Server("-t", weights)
        with open(picture, "rb") as f:
            picture = f.read()
        before = s.ask("POST", "/v1/encode", picture, IMAGE)
        is_("a picture", (200, 256), (before[0], json.loads(before[2])["item"]["tile_width"]))
        is_("ids of small tiles", 200, s.ask("POST", "/v1/decode", small)[0])
        is_("the same picture again", before[2], s.ask("POST", "/v1/encode", picture, IMAGE)[2])
        s.stop()


def clips(s):
    """A video: as the command line makes a clip of it."""
    if "+video" not in cli("--version").decode():
        print("left out: this build was made without FFmpeg")
        return
    path = os.path.join(os.environ["SOURCE"], "tests/golden/video-in/timing/vfr.mkv")
    with open(path, "rb") as f:
        data = f.read()
    for query, more in [("frames=3", ["--frames", "3"]), ("every=6&tokens=8&fit=crop", ["--every", "6", "-k", "8", "--fit", "crop"])]:
        wanted = cli_file(data, "vfr.mkv", *more)
        status, headers, got = s.ask("POST", "/v1/encode?format=tess&name=vfr.mkv&" + query, data, {"Content-Type": "video/x-matroska"})
        is_("a clip, " + query, (200, True), (status, got == wanted))
    # pictures go on while a clip has the same model: both get what they would get alone
    picture = png(300, 200)
    alone, got = s.ask("POST", "/v1/encode", picture, IMAGE)[2], []

    def client():
        c = s.connect()
        for _ in range(4):
            got.append(s.ask("POST", "/v1/encode", picture, IMAGE, c)[2] == alone)
    threads = [threading.Thread(target=client) for _ in range(3)]
    for t in threads:
        t.start()
    whole = s.ask("POST", "/v1/encode?format=tess&name=vfr.mkv", data, {"Content-Type": "video/x-matroska"})
    for t in threads:
        t.join()
    is_("a clip among pictures", (200, True), (whole[0], whole[2] == cli_file(data, "vfr.mkv")))
    is_("pictures beside a clip", [True] * 12, got)
    status, _, png_ = s.ask("POST", "/v1/decode?item=1", wanted)
    is_("a frame of it", (200, b"\x89PNG"), (status, png_[:4]))
    error(s.ask("POST", "/v1/encode", data, {}), 406, "not_acceptable", "ask for format=tess", "a clip as JSON")
    answer = s.ask("POST", "/v1/encode?format=tess", data[:200], {})
    is_("half a clip", True, answer[0] in (400, 413, 422))
    is_("its place is not told", False, b"tessera-serve-" in answer[2])


def cli_merge(*files):
    with tempfile.TemporaryDirectory() as folder:
        for i, data in enumerate(files):
            with open("%s/%d.tess" % (folder, i), "wb") as f:
                f.write(data)
        cli("merge", *["%s/%d.tess" % (folder, i) for i in range(len(files))], "-o", folder + "/all.tess", "-q")
        with open(folder + "/all.tess", "rb") as f:
            return f.read()


def many(s):
    """64 clients at once, with different pictures: each has the ids of the command line."""
    pictures = [png(64 + 8 * (i % 5), 64, seed=i) for i in range(64)]
    wanted = [cli_file(p, "p.png") for p in pictures[:2]]
    got = [None] * 64

    def client(i):
        got[i] = s.ask("POST", "/v1/encode?format=tess&name=p.png", pictures[i], IMAGE)[2]
    threads = [threading.Thread(target=client, args=(i,)) for i in range(64)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    with tempfile.TemporaryDirectory() as folder: # one call of the command line makes the rest
        for i in range(64):
            with open("%s/%02d.png" % (folder, i), "wb") as f:
                f.write(pictures[i])
            with open("%s/%02d.tess" % (folder, i), "wb") as f:
                f.write(got[i])
        names = ["%s/%02d" % (folder, i) for i in range(64)]
        cli("encode", *[n + ".png" for n in names], "-o", folder + "/cli.tess", "-q", "--device", "cpu")
        cli("merge", *[n + ".tess" for n in names], "-o", folder + "/served.tess", "-q")
        ids = [json.loads(cli("info", "%s/%s.tess" % (folder, which), "--ids", "--json"))["items"] for which in ("cli", "served")]
    for i in range(64):
        is_("client %d has the ids of the command line" % i, ids[0][i]["ids"], ids[1][i]["ids"])
    for i in range(2):
        is_("client %d has the bytes of the command line" % i, True, got[i] == wanted[i])
    text = s.ask("GET", "/metrics")[2].decode()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line and line[0] != "#")
    batches, jobs = float(values["tessera_batch_size_count"]), float(values["tessera_batch_size_sum"])
    is_("some of them were encoded together", True, jobs > batches)


def others(s):
    status, _, data = s.ask("GET", "/health")
    health = json.loads(data)
    is_("health", (200, "ok", s.info["weights_hash"], 256, True),
        (status, health["status"], health["weights_hash"], health["tokens_of_a_tile"], health["prefixes_decode"]))
    status, headers, data = s.ask("GET", "/metrics")
    text = data.decode()
    is_("metrics", (200, "text/plain; version=0.0.4; charset=utf-8"), (status, headers["Content-Type"]))
    for line in text.splitlines(): # every line is a comment or a sample
        if not line.startswith("#"):
            float(line.rsplit(" ", 1)[1])
    has("metrics", 'tessera_requests_total{route="/v1/encode",status="200"}', text)
    has("metrics", 'tessera_model_info{model="%s",' % s.info["tokenizer"], text)
    has("metrics", "tessera_queue_length 0\n", text)
    status, headers, data = s.ask("GET", "/")
    is_("page", (200, "text/html; charset=utf-8"), (status, headers["Content-Type"]))
    has("page", "default-src 'none'", headers["Content-Security-Policy"])
    is_("page: nothing of other places", False, b"http://" in data or b"https://" in data)
    status, headers, data = s.ask("HEAD", "/health")
    is_("HEAD", (200, b""), (status, data))
    prompt(s)


def prompt(s):
    """Ids of a file of another tokenizer: as `tessera prompt` has them."""
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/p.tess"
        with open(folder + "/p.jsonl", "w") as f:
            f.write(json.dumps({"key": "a", "ids": [7919 * i % 8192 for i in range(1024)]}) + "\n")
        cli("import", folder + "/p.jsonl", "-o", path, "--from", "jsonl", "-k", "8192", "--rows", "32", "--columns", "32", "-q")
        with open(path, "rb") as f:
            data = f.read()
        for query, more in [("", []), ("&template=image", ["--template", "image"]), ("&form=string", ["--form", "string"])]:
            wanted = cli("prompt", path, "--map", "chameleon", "-o", "-", "-q", *more)
            status, _, got = s.ask("POST", "/v1/prompt?map=chameleon" + query, data)
            is_("prompt" + query, 200, status)
            wanted = wanted.decode() if "string" in query else json.loads(wanted)
            answer = json.loads(got)
            is_("prompt%s: as the command line" % query, wanted, answer.get("text") if "string" in query else answer)
        tess = {"tess": base64.b64encode(data).decode(), "map": "chameleon", "template": "prompt", "form": "mixed", "text": {"question": "what is it?"}}
        wanted = json.loads(cli("prompt", path, "--map", "chameleon", "--template", "prompt", "--form", "mixed", "--text", "question=what is it?", "-o", "-", "-q"))
        status, _, got = s.ask("POST", "/v1/prompt", json.dumps(tess), JSON)
        is_("prompt with text: as the command line", (200, wanted), (status, json.loads(got)))
        # several pictures: of a file all, or those that are named, in their order; or ids
        with open(folder + "/q.jsonl", "w") as f:
            for k, key in enumerate("abc"):
                f.write(json.dumps({"key": key, "ids": [(7919 * i + k) % 8192 for i in range(1024)]}) + "\n")
        cli("import", folder + "/q.jsonl", "-o", folder + "/q.tess", "--from", "jsonl", "-k", "8192", "--rows", "32", "--columns", "32", "-q")
        with open(folder + "/q.tess", "rb") as f:
            several = f.read()
        two = {"tess": base64.b64encode(several).decode(), "map": "chameleon", "template": "two", "form": "mixed", "text": {"and": "and"}}
        for names in (["c", "a"], ["1", "2"]):
            items = [word for name in names for word in ("--item", name)]
            wanted = json.loads(cli("prompt", folder + "/q.tess", "--map", "chameleon", "--template", "two", "--form", "mixed", "--text", "and=and", "-o", "-", "-q", *items))
            query = "/v1/prompt?" + "&".join("item=" + name for name in names)
            for what, answer in [("JSON", s.ask("POST", "/v1/prompt", json.dumps(dict(two, item=names)), JSON)), ("address", s.ask("POST", query, json.dumps(two), JSON))]:
                is_("prompt of %r, %s: as the command line" % (names, what), (200, wanted), (answer[0], json.loads(answer[2])))
        error(s.ask("POST", "/v1/prompt", json.dumps(two), JSON), 400, "bad_request", "", "three pictures for two places")
        error(s.ask("POST", "/v1/prompt", json.dumps(dict(two, item=["a", "x"])), JSON), 400, "bad_request", "x", "a key that is none")
        error(s.ask("POST", "/v1/prompt", json.dumps(dict(two, item=["a", None])), JSON), 400, "bad_request", "item: wanted items, numbers or keys", "no name")
        error(s.ask("POST", "/v1/prompt", json.dumps(dict(two, item=["a"] * 33)), JSON), 400, "bad_request", "item: wanted at most 32", "too many names")
        error(s.ask("POST", "/v1/decode", json.dumps({"item": [{}]}), JSON), 400, "bad_request", "item", "several items to decode")
        for body, status, code, text in [(dict(tess, map="chamelion"), 400, "bad_request", "got 'chamelion'; did you mean chameleon"),
                                         (dict(tess, map="/etc/passwd"), 400, "bad_request", "map: wanted one of"),
                                         (dict(tess, map=folder + "/own.json"), 400, "bad_request", "map: wanted one of"),
                                         (dict(tess, form="x"), 400, "bad_request", "form: wanted ids, mixed or string"),
                                         (dict(tess, template="nope"), 404, "not_found", "nope"),
                                         (dict(tess, text={"question": 3}), 400, "bad_request", "text: question: wanted a text"),
                                         ({"ids": [1, 2], "map": "chameleon"}, 422, "unprocessable", "8192"),
                                         ({"ids": [1, 2]}, 400, "bad_request", "map: wanted one of")]:
            error(s.ask("POST", "/v1/prompt", json.dumps(body), JSON), status, code, text, "prompt: " + text)


def bad():
    s = Server()
    picture, b64 = png(32, 32), lambda data: base64.b64encode(data).decode()
    encode, decode = "/v1/encode", "/v1/decode"
    for status, code, text, method, path, body, headers in [
            (404, "not_found", "'/v1/encoed': there is nothing here", "POST", "/v1/encoed", b"", {}),
            (404, "not_found", "there is nothing here", "GET", "/../../etc/passwd", None, {}),
            (405, "method_not_allowed", "/v1/encode: wanted POST, got GET", "GET", encode, None, {}),
            (405, "method_not_allowed", "/health: wanted GET, got DELETE", "DELETE", "/health", None, {}),
            (415, "unsupported_media_type", "Content-Type: wanted image/*", "POST", encode, picture, {"Content-Type": "text/plain"}),
            (415, "unsupported_media_type", "got 'application/x-www-form-urlencoded'", "POST", encode, picture, {"Content-Type": "application/x-www-form-urlencoded"}),
            (415, "unsupported_media_type", "got 'image/png'", "POST", decode, picture, IMAGE),
            (406, "not_acceptable", "Accept: wanted application/json", "POST", encode, picture, dict(IMAGE, Accept="text/html")),
            (406, "not_acceptable", "Accept: wanted image/png", "POST", decode, b"x", {"Accept": "text/html"}),
            (400, "bad_request", "body: wanted a picture, got nothing", "POST", encode, b"", {}),
            (400, "bad_request", "tokns: no option of this route; did you mean 'tokens'?", "POST", encode + "?tokns=3", picture, IMAGE),
            (400, "bad_request", "tokens: wanted a whole number from 1", "POST", encode + "?tokens=0", picture, IMAGE),
            (400, "bad_request", "fit: wanted auto, crop, pad, stretch or tile, got 'cropp'; did you mean 'crop'?", "POST", encode + "?fit=cropp", picture, IMAGE),
            (400, "bad_request", "exclude each other", "POST", encode + "?tokens=3&quality=0.1", picture, IMAGE),
            (400, "bad_request", "steps: no option of this route", "POST", encode + "?steps=3", picture, IMAGE),
            (400, "bad_request", "noise: no option of this route", "POST", encode + "?noise=/etc/passwd", picture, IMAGE),
            (400, "bad_request", "attributes: no option of this route", "POST", encode, json.dumps({"attributes": "/etc/passwd"}), JSON),
            (400, "bad_request", "model: no option of this route", "POST", encode + "?model=x", picture, IMAGE),
            (400, "bad_request", "format: wanted json or tess, got 'png'", "POST", encode + "?format=png", picture, IMAGE),
            # Never a path, never an address.
            (422, "unprocessable", "picture:", "POST", encode, b"/etc/hostname", {}),
            (422, "unprocessable", "picture:", "POST", encode, b"file:///etc/hostname", IMAGE),
            (422, "unprocessable", "picture:", "POST", encode, b"http://127.0.0.1:%d/metrics" % s.port, IMAGE),
            (400, "bad_request", "paths and addresses are never opened", "POST", encode, json.dumps({"image": "file:///etc/hostname"}), JSON),
            (400, "bad_request", "paths and addresses are never opened", "POST", encode, json.dumps({"image": "http://127.0.0.1/a.png"}), JSON),
            (400, "bad_request", "paths and addresses are never opened", "POST", encode, json.dumps({"image": {"url": "x"}}), JSON),
            (422, "unprocessable", "picture:", "POST", encode, json.dumps({"image": b64(b"/etc/hostname")}), JSON),
            (422, "unprocessable", "picture:", "POST", encode, picture[:-40], IMAGE),
            # A picture bomb: 12 kB that would be 10^10 pixels; and a size that nobody takes.
            (413, "too_large", "100000x100000", "POST", encode, png(100000, 100000, zlib.compress(bytes(10000000))), IMAGE),
            (413, "too_large", "", "POST", encode, b"P6\n5000 5000\n255\n", {}),
            # JSON
            (400, "bad_request", "JSON: wanted an object, got what is no JSON", "POST", encode, b"{", JSON),
            (400, "bad_request", "JSON: wanted an object, got something else", "POST", encode, b"[1]", JSON),
            (400, "bad_request", "JSON: wanted one object, got more", "POST", encode, b"{} {}", JSON),
            (400, "bad_request", 'wanted "image"', "POST", encode, b"{}", JSON),
            (400, "bad_request", "what is no JSON", "POST", encode, b"[" * 100000, JSON),
            (413, "too_large", "JSON: wanted at most 262144 values", "POST", encode, b'{"x":[' + b"1," * 300000 + b"1]}", JSON),
            (400, "bad_request", "tokens: wanted a number, a text, true or false", "POST", encode, json.dumps({"tokens": [3]}), JSON),
            (400, "bad_request", "wanted \"item\", \"ids\" or \"tess\"", "POST", decode, b"{}", JSON),
            # ids
            (422, "unprocessable", "id: wanted below", "POST", decode, json.dumps({"ids": [99999999]}), JSON),
            (400, "bad_request", "ids: number 1: wanted a whole number", "POST", decode, json.dumps({"ids": [1, -2]}), JSON),
            (400, "bad_request", "ids: number 0: wanted a whole number", "POST", decode, json.dumps({"ids": [1.5]}), JSON),
            (400, "bad_request", "ids: number 0: wanted a whole number", "POST", decode, json.dumps({"ids": ["1"]}), JSON),
            (400, "bad_request", "ids: wanted a list", "POST", decode, json.dumps({"ids": "1 2 3"}), JSON),
            (422, "unprocessable", "wanted at most 256, got 300", "POST", decode, json.dumps({"ids": [1] * 300}), JSON),
            (400, "bad_request", "item: wanted ids, counts", "POST", decode, json.dumps({"item": {"ids": [1]}}), JSON),
            (400, "bad_request", "item.x: no member", "POST", decode, json.dumps({"item": {"x": 1}}), JSON),
            (409, "conflict", "wanted tokens of", "POST", decode, json.dumps({"ids": [1], "weights_hash": "0123456789abcdef"}), JSON),
            (422, "unprocessable", "body:", "POST", decode, b"no token file", {}),
            (400, "bad_request", "form: wanted a field 'image'", "POST", encode) + multipart([("tokens", b"3", False)]),
            (400, "bad_request", "tokens: wanted a whole number", "POST", encode) + multipart([("image", picture, True), ("tokens", b"x", False)]),
            (400, "bad_request", "form: wanted one file", "POST", encode) + multipart([("image", picture, True), ("image", picture, True)]),
            (400, "bad_request", "form:", "POST", encode, b"no form", {"Content-Type": "multipart/form-data; boundary=frontier"}),
            # Pages of other places, in the browser of somebody on this machine.
            (403, "forbidden", "Origin: wanted a page of this server", "POST", encode, picture, dict(IMAGE, Origin="http://example.org")),
            (403, "forbidden", "Host: wanted localhost", "POST", encode, picture, dict(IMAGE, Host="example.org:%d" % s.port))]:
        try:
            answer = s.ask(method, path, body, headers)
        except OSError as e:
            is_("%s %s %s" % (method, path, text), "an answer", repr(e))
            continue
        error(answer, status, code, text, "%s %s: %s" % (method, path, text))
    answer = s.ask("POST", encode, picture, IMAGE)
    item = json.loads(answer[2])
    for change, text in [({"width": 5000}, "tiles: wanted"), ({"tile_columns": 3}, "counts: wanted 3"), ({"counts": [7]}, "ids: wanted 7"),
                         ({"width": 1 << 24, "height": 1 << 24}, "wanted at most"), ({"tile_width": 512}, "512x256"), ({"overlap": 300}, "overlap"),
                         ({"fit": "auto"}, "item: wanted ids"), ({"kept": "AAAA"}, "item.kept: wanted"), ({"crop_x": 5, "fit": "pad"}, "padded size")]:
        status, _, data = s.ask("POST", decode, json.dumps({"item": dict(item["item"], **change)}), JSON)
        is_("item with %r" % change, True, status in (400, 409, 413, 422))
        has("item with %r" % change, text, data.decode())
    allowed = s.ask("GET", encode)
    is_("Allow", "POST", allowed[1].get("Allow"))
    for broken in (b"\0" * 100, b"GET\r\n\r\n", b"POST /v1/encode HTTP/1.1\r\nContent-Length: -5\r\n\r\n", b"X" * 200000,
                   b"POST /v1/encode HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):
        s.raw(broken, timeout=5)
    is_("answers after all that", 200, s.ask("POST", encode, picture, IMAGE)[0])
    taken = subprocess.run([TESSERA, "serve", "--port", str(s.port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    is_("port in use: exit code", 3, taken.returncode)
    has("port in use", "Address already in use; --port 0 takes a free one", taken.stderr.decode())
    is_("stopped", 0, s.stop(signal.SIGINT))
    tokens()


def tokens():
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/token", "w") as f:
            f.write("correct-horse-battery\n")
        for s in (Server("--token-file", folder + "/token"), Server(env={"TESSERA_SERVE_TOKEN": "correct-horse-battery"})):
            for given in (None, "Bearer wrong", "Bearer correct-horse-batter", "Bearer correct-horse-batteryy", "Basic correct-horse-battery", "Bearer "):
                answer = s.ask("POST", "/v1/encode", png(16, 16), dict(IMAGE, **({"Authorization": given} if given else {})))
                error(answer, 401, "unauthorized", "Authorization: wanted 'Bearer '", "token %r" % given)
                is_("token %r" % given, "Bearer", answer[1].get("WWW-Authenticate"))
            is_("metrics want the token", 401, s.ask("GET", "/metrics")[0])
            is_("health does not", 200, s.ask("GET", "/health")[0])
            is_("the page does not", 200, s.ask("GET", "/")[0])
            right = {"Authorization": "Bearer correct-horse-battery"}
            is_("the right token", 200, s.ask("POST", "/v1/encode", png(16, 16), dict(IMAGE, **right))[0])
            is_("stopped", 0, s.stop())
        with open(folder + "/token", "w") as f:
            f.write("short\n")
        for path, text, code in [(folder + "/token", "token: wanted 8 to 256 characters", 4), (folder + "/none", "No such file", 3)]:
            r = subprocess.run([TESSERA, "serve", "--port", "0", "--token-file", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            is_("%s: exit code" % path, code, r.returncode)
            has(path, text, r.stderr.decode())
    r = subprocess.run([TESSERA, "serve", "--port", "0", "--host", "localhost.example"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    is_("a name as address: exit code", 2, r.returncode)
    has("a name as address", "--host: wanted an address in numbers", r.stderr.decode())


HEAD = b"POST /v1/encode HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"


def stream(s, most):
    """A body in chunks without end, until the server ends it; what it said, and what was sent."""
    sent, got = 0, b""
    with socket.create_connection(("127.0.0.1", s.port), timeout=30) as c:
        c.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        try:
            while sent < most:
                c.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")
                sent += 65536
        except OSError:
            pass
        try:
            while True:
                more = c.recv(65536)
                if not more:
                    break
                got += more
        except OSError:
            pass
    return got, sent


def limits():
    s = Server("--max-body", "1M", "--timeout", "2", "--connections", "64", "--max-pixels", "10000", "--concurrency", "2", "--queue", "4")
    picture = png(32, 32)
    got = s.raw(HEAD + b"Content-Length: 4294967296\r\n\r\n")
    has("4 GB by Content-Length", b"413", got[:40])
    has("4 GB by Content-Length", b"body: wanted at most 1048576 bytes, got 4294967296", got)
    got, sent = stream(s, 1 << 32)
    is_("4 GB in chunks end early", True, sent < 64 << 20)
    has("4 GB in chunks", b"HTTP/1.1 413", got)
    has("4 GB in chunks", b"body: wanted at most 1048576 bytes, got more", got)
    error(s.ask("POST", "/v1/encode", png(101, 100), IMAGE), 413, "too_large", "10000", "pixels")
    is_("as many pixels as may be", 200, s.ask("POST", "/v1/encode", png(100, 100), IMAGE)[0])
    tess = json.loads(s.ask("POST", "/v1/encode", png(100, 100), IMAGE)[2])
    error(s.ask("POST", "/v1/decode", json.dumps({"ids": [1]}), JSON), 413, "too_large", "256x256", "pixels of a decoded picture")
    is_("as many decoded pixels as may be", 200, s.ask("POST", "/v1/decode", json.dumps(tess), JSON)[0])
    # Half requests of three kinds are told, and none stays.
    for what, data in [("half a head", HEAD), ("half a body", HEAD + b"Content-Length: 1000\r\n\r\nabc"), ("nothing", b"")]:
        begun = time.monotonic()
        got = s.raw(data)
        is_(what + " ends in time", True, 1 < time.monotonic() - begun < 10)
        has(what, b"the request was not whole within 2 s", got)
    with socket.create_connection(("127.0.0.1", s.port), timeout=30) as c: # a byte at a time
        c.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        begun, ended = time.monotonic(), False
        while time.monotonic() - begun < 10 and not ended:
            try:
                c.sendall(b"x")
                c.settimeout(0.1)
                ended = bool(c.recv(4096))
            except socket.timeout:
                pass
            except OSError:
                ended = True
        is_("a byte at a time ends in time", True, ended and time.monotonic() - begun < 8)
    # 1,000 connections: those without a request make room for one with.
    crowd = []
    for _ in range(1000):
        c = socket.socket()
        c.setblocking(False)
        c.connect_ex(("127.0.0.1", s.port))
        crowd.append(c)
    begun = time.monotonic()
    status = s.ask("POST", "/v1/encode", picture, IMAGE)[0]
    is_("answered among 1,000 connections", 200, status)
    is_("and soon", True, time.monotonic() - begun < 30)
    for c in crowd:
        c.close()
    # More at once than may wait: some are told to come back, all others are answered.
    answers = []

    def client():
        try:
            a = s.ask("POST", "/v1/encode", png(90, 90), IMAGE)
            answers.append((a[0], a[1].get("Retry-After")))
        except OSError as e:
            answers.append((repr(e), None))
    threads = [threading.Thread(target=client) for _ in range(40)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    is_("answers when too many come", set(), set(answers) - {(200, None), (503, "1")})
    is_("some are answered", True, (200, None) in answers)
    is_("answers after all that", 200, s.ask("POST", "/v1/encode", picture, IMAGE)[0])
    is_("stopped", 0, s.stop())


def stop():
    """Stopped in the middle: what runs is answered, what comes is refused, exit code 0."""
    s = Server("--concurrency", "4")
    picture = png(1500, 900)
    answers = []

    def client():
        answers.append(s.ask("POST", "/v1/encode", picture, IMAGE)[0])
    threads = [threading.Thread(target=client) for _ in range(3)]
    for t in threads:
        t.start()
    while json.loads(s.ask("GET", "/health")[2])["running"] < 3 and any(t.is_alive() for t in threads):
        time.sleep(0.01)
    code = s.stop()
    for t in threads:
        t.join()
    is_("stopped: exit code", 0, code)
    is_("what was running is answered", [200] * 3, answers)
    refused = False
    try:
        s.ask("GET", "/health")
    except OSError:
        refused = True
    is_("nobody listens any more", True, refused)
    s = Server()
    idle = socket.create_connection(("127.0.0.1", s.port))
    begun = time.monotonic()
    is_("stopped with an idle connection", 0, s.stop(signal.SIGINT))
    is_("at once", True, time.monotonic() - begun < 10)
    idle.close()


def load(seconds):
    """Good and hostile clients at the same time: the good ones are answered, memory stays."""
    s = Server("--max-body", "4M", "--timeout", "3", "--connections", "128", "--max-pixels", "1000000")
    pictures = [png(64, 64, seed=i) for i in range(4)]
    item = s.ask("POST", "/v1/encode", pictures[0], IMAGE)[2]
    wanted = [json.loads(s.ask("POST", "/v1/encode", p, IMAGE)[2])["item"]["ids"] for p in pictures]
    ended, answered, hostile = threading.Event(), [0], [0]

    def good_client(n):
        i = n
        while not ended.is_set():
            i += 1
            try:
                if i % 3:
                    status, _, data = s.ask("POST", "/v1/encode", pictures[i % 4], IMAGE)
                    ok = status == 200 and json.loads(data)["item"]["ids"] == wanted[i % 4]
                else:
                    status, _, data = s.ask("POST", "/v1/decode?tokens=%d" % (1 + i % 256), item, JSON)
                    ok = status == 200 and data[:4] == b"\x89PNG"
            except OSError as e: # a crowd of connections may take the place of one that has asked nothing yet
                ok, status = False, repr(e)
            if ok:
                answered[0] += 1
            elif status != 503 and "ConnectionReset" not in str(status) and "RemoteDisconnected" not in str(status):
                is_("a good request", 200, status)

    def bad_client(n):
        r = random.Random(n)
        kinds = [lambda: s.raw(HEAD + b"Content-Length: 4294967296\r\n\r\n", 5), lambda: stream(s, 1 << 26),
                 lambda: s.raw(HEAD + b"Content-Length: 500000\r\n\r\n" + bytes(r.randrange(1000)), 5),
                 lambda: s.raw(r.randbytes(r.randrange(5000)), 5),
                 lambda: s.raw(HEAD + b"Content-Length: 100\r\n\r\n" + r.randbytes(100) + b"GET /health HTTP/1.1\r\n\r\n", 1),
                 lambda: s.ask("POST", "/v1/encode", png(100000, 100000, zlib.compress(bytes(1000))), IMAGE),
                 lambda: s.ask("POST", "/v1/encode", flip(r, pictures[0]), IMAGE),
                 lambda: s.ask("POST", "/v1/encode", flip(r, json.dumps({"image": "AAAA", "tokens": 3}).encode()), JSON),
                 lambda: s.ask("POST", "/v1/decode", flip(r, item), JSON),
                 lambda: s.ask("POST", "/v1/decode", flip(r, wanted_file), {}),
                 lambda: s.ask("POST", "/v1/encode", *multipart([("image", flip(r, pictures[1]), True), ("tokens", b"x" * r.randrange(3000), False)])),
                 lambda: abort(r, s), lambda: crowd(s)]
        while not ended.is_set():
            try:
                kinds[r.randrange(len(kinds))]()
            except (OSError, http.client.HTTPException):
                pass
            hostile[0] += 1
    wanted_file = s.ask("POST", "/v1/encode?format=tess", pictures[0], IMAGE)[2]
    before = after = 0
    threads = [threading.Thread(target=good_client, args=(n,)) for n in range(4)] + [threading.Thread(target=bad_client, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    time.sleep(seconds / 3)
    before = max(s.memory(), before) # when every kind has been there
    time.sleep(seconds * 2 / 3)
    ended.set()
    for t in threads:
        t.join()
    time.sleep(0.5)
    after = s.memory()
    is_("the server still runs", None, s.process.poll())
    is_("good requests were answered", True, answered[0] >= max(5, seconds))
    is_("hostile ones came", True, hostile[0] >= seconds)
    is_("memory stays (kB before and after: %d, %d)" % (before, after), True, after < before * 1.3 + 30000)
    is_("the same ids after all that", wanted[0], json.loads(s.ask("POST", "/v1/encode", pictures[0], IMAGE)[2])["item"]["ids"])
    is_("stopped", 0, s.stop())
    print("%d good requests answered, %d hostile ones; memory %d kB, then %d kB" % (answered[0], hostile[0], before, after))


def flip(r, data):
    data = bytearray(data)
    for _ in range(r.randrange(1, 8)):
        data[r.randrange(len(data))] = r.randrange(256)
    return bytes(data)


def abort(r, s):
    """A whole request whose client has gone when the answer is ready."""
    picture = png(64, 64, seed=r.randrange(9))
    with socket.create_connection(("127.0.0.1", s.port), timeout=5) as c:
        c.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(picture) + picture)


def crowd(s):
    all_ = []
    for _ in range(100):
        c = socket.socket()
        c.setblocking(False)
        c.connect_ex(("127.0.0.1", s.port))
        all_.append(c)
    time.sleep(0.2)
    for c in all_:
        c.close()


if __name__ == "__main__":
    os.environ.pop("TESSERA_SERVE_TOKEN", None)
    what = sys.argv[1]
    if what == "load":
        load(float(sys.argv[2]))
    else:
        {"good": good, "bad": bad, "limits": limits, "stop": stop}[what]()
    print("%s: %d checks, %d failed" % (what, checks, failures))
    sys.exit(1 if failures else 0)
