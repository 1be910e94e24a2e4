# SPDX-License-Identifier: MIT
"""A web server that misbehaves as its paths say, for tests/cli/fetch_files.sh.

    fetch_server.py FILE LOG PORTFILE [OTHER]

serves FILE's bytes as /<manner>/<anything>; writes the port to PORTFILE and a line "METHOD path
range if-range -> code" for each request to LOG, with the login it shows behind it. What a manner
remembers, it remembers for the path. OTHER is another server's address.
"""
import hashlib
import http.server
import os
import sys
import time

body = open(sys.argv[1], "rb").read()
log = open(sys.argv[2], "a", buffering=1)
times = {}  # path -> requests so far


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, code, headers, data, cut=None):
        log.write(f"{self.command} {self.path} {self.headers.get('Range')} "
                  f"{self.headers.get('If-Range')} -> {code}"
                  f"{' ' + login if (login := self.headers.get('Authorization')) else ''}\n")
        self.send_response(code)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data if cut is None else data[:cut])
        self.wfile.flush()
        if cut is not None:
            self.close_connection = True

    def ranged(self, data, headers, cut=None, etag=None):
        """200 or 206, as a good server would."""
        wanted = self.headers.get("Range")
        condition = self.headers.get("If-Range")
        if wanted and (condition is None or condition == etag):
            start = int(wanted[len("bytes="):].split("-")[0])
            if start >= len(data):
                self.answer(416, {"Content-Range": f"bytes */{len(data)}", "Content-Length": 0}, b"")
                return
            part = data[start:]
            self.answer(206, {**headers, "Content-Length": len(part), "Content-Range":
                              f"bytes {start}-{len(data) - 1}/{len(data)}"}, part, cut)
        else:
            self.answer(200, {**headers, "Content-Length": len(data)}, data, cut)

    def do_GET(self):
        manner = self.path.split("/")[1]
        n = times[self.path] = times.get(self.path, 0) + 1
        etag = '"%s"' % hashlib.sha1(body).hexdigest()
        tagged = {"ETag": etag}
        third = len(body) // 3
        if manner == "good":
            self.ranged(body, tagged, etag=etag)
        elif manner == "cut":  # twice, then well
            self.ranged(body, tagged, third if n < 3 else None, etag)
        elif manner == "cutonce":  # ends each first connection of a run of the program
            self.ranged(body, tagged, third if n % 2 else None, etag)
        elif manner == "bare":  # cut once, no validator at all
            self.ranged(body, {}, third if n < 2 else None)
        elif manner == "always":  # never a byte beyond the first third
            self.answer(200, {**tagged, "Content-Length": len(body)}, body, third)
        elif manner == "norange":  # cut once, then ignores Range
            self.answer(200, {**tagged, "Content-Length": len(body)}, body, third if n < 2 else None)
        elif manner == "changed":  # another file of the same length after the cut
            data = body if n < 2 else body[::-1]
            tag = '"%d"' % n
            self.ranged(data, {"ETag": tag}, third if n < 2 else None, tag)
        elif manner == "badrange":  # cut once, then another range than asked, then well
            if n == 2:
                self.answer(206, {**tagged, "Content-Length": 10, "Content-Range":
                                  f"bytes 5-14/{len(body)}"}, body[5:15])
            else:
                self.ranged(body, tagged, third if n < 2 else None, etag)
        elif manner == "wrong":  # the right size, one bit wrong
            self.ranged(body[:-1] + bytes([body[-1] ^ 1]), tagged, etag=etag)
        elif manner == "short":
            self.ranged(body[:-7], tagged, etag=etag)
        elif manner == "hub":  # as the large model hub does: a redirect that states size and hash
            self.answer(302, {"Location": "/good/hub", "Content-Length": 0, "X-Linked-Size": len(body),
                              "X-Linked-Etag": '"%s"' % hashlib.sha256(body).hexdigest()}, b"")
        elif manner == "lyinghub":
            self.answer(302, {"Location": "/good/hub", "Content-Length": 0,
                              "X-Linked-Etag": '"%s"' % ("0" * 64)}, b"")
        elif manner == "members":  # for those who have logged in
            if self.headers.get("Authorization") == "Bearer hf_secret":
                self.ranged(body, tagged, etag=etag)
            else:
                self.answer(401, {"Content-Length": 2}, b"no")
        elif manner == "otherport":  # another server on this host
            self.answer(302, {"Location": sys.argv[4] + "/good/x", "Content-Length": 0}, b"")
        elif manner == "otherhost":  # this server under another name
            self.answer(307, {"Location": "http://localhost:%d/good/y" % self.server.server_address[1],
                              "Content-Length": 0}, b"")
        elif manner == "circle":
            self.answer(302, {"Location": self.path, "Content-Length": 0}, b"")
        elif manner == "escape":
            self.answer(302, {"Location": "file:///etc/passwd", "Content-Length": 0}, b"")
        elif manner == "busy":  # twice
            if n < 3:
                self.answer(503, {"Content-Length": 4}, b"busy")
            else:
                self.ranged(body, tagged, etag=etag)
        elif manner == "forbidden":
            self.answer(403, {"Content-Length": 2}, b"no")
        elif manner == "page":
            page = b"\n<!DOCTYPE html><html>gone</html>"
            self.answer(200, {"Content-Length": len(page)}, page)
        elif manner == "endless":  # no length: the end of the connection is the end of the file
            self.answer(200, {"Connection": "close"}, body, len(body))
        elif manner == "chunked":
            log.write(f"GET {self.path} -> 200\n")
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            stop = len(body) if n % 2 == 0 else third
            for at in range(0, stop, 50000):
                piece = body[at:at + 50000]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if stop == len(body):
                self.wfile.write(b"0\r\n\r\n")
            else:
                self.close_connection = True
        elif manner == "stall":  # some bytes, then silence
            self.answer(200, {**tagged, "Content-Length": len(body)}, body[:1000] if n < 2 else body)
            if n < 2:
                time.sleep(3)
                self.close_connection = True
        elif manner == "slow":
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", etag)
            self.end_headers()
            for at in range(0, len(body), 20000):
                self.wfile.write(body[at:at + 20000])
                self.wfile.flush()
                time.sleep(0.2)
        elif manner == "empty":
            self.answer(200, {"Content-Length": 0}, b"")
        else:
            self.answer(404, {"Content-Length": 9}, b"not found")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):  # a client that went away is what some tests are about
        pass


server = Server(("127.0.0.1", 0), Handler)
with open(sys.argv[3] + ".new", "w") as port:
    port.write(str(server.server_address[1]))
os.rename(sys.argv[3] + ".new", sys.argv[3])
server.serve_forever()
