# SPDX-License-Identifier: MIT
"""A language model's server for tests, which speaks four dialects and misbehaves on request.

    llm_server.py PORT_FILE [VOCABULARY]

The first parts of the path say how it behaves ("/cut3/llama/completion": cuts each first answer after
three ids). Its "model" is arithmetic on all ids so far, so that a reply that is resumed must equal
one that was not cut. /pictureN replies with N codes (ids from 100 on) and the id 64101. /stats tells
connections and requests, /last the request before. Requests must have the members that their dialect has
for them and no others, of the documented types: the real servers refuse unknown ones, or worse, ignore them.
"""

import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VOCABULARY = int(sys.argv[2]) if len(sys.argv) > 2 else 1200
CONTEXT = 512
END = 2
lock = threading.Lock()
stats = {"connections": 0, "requests": 0, "most_at_once": 0, "at_once": 0}
last = [{}]
seen = {}  # path and body of requests that were disturbed already


def next_id(ids):
    """3 to the end of the vocabulary, by all ids so far."""
    h = 0
    for i in ids:
        h = (h * 31 + i + 7) % 1000003
    return 3 + h % (VOCABULARY - 3)


def piece(i):
    return "<|code %04d|>" % i


class Gone(Exception):
    pass


WHOLE, REAL, TEXT, FLAG = (int,), (int, float), (str,), (bool,)
SAMPLED = {"temperature": REAL, "top_p": REAL, "top_k": WHOLE}
# What a request may have, by dialect; "!" is a member that it must have.
WIRE = {
    "llama": dict(SAMPLED, **{"!prompt": (list,), "!n_predict": WHOLE, "!stream": FLAG, "!return_tokens": FLAG, "!cache_prompt": FLAG,
                              "min_p": REAL, "seed": WHOLE, "n_probs": WHOLE, "grammar": TEXT}),
    "openai": dict(SAMPLED, **{"!model": TEXT, "!prompt": (list,), "!max_tokens": WHOLE, "!stream": FLAG, "!return_token_ids": FLAG,
                               "seed": WHOLE, "logprobs": WHOLE}),
    "vllm": {"!model": TEXT, "!token_ids": (list,),
             "!sampling_params": dict(SAMPLED, **{"!max_tokens": WHOLE, "seed": WHOLE, "logprobs": WHOLE})},
    "sglang": {"!input_ids": (list,), "!return_logprob": FLAG, "top_logprobs_num": WHOLE,
               "!sampling_params": dict(SAMPLED, **{"!max_new_tokens": WHOLE, "!skip_special_tokens": FLAG, "sampling_seed": WHOLE})},
}


def dialect_of(path):
    if path.endswith("/inference/v1/generate"):
        return "vllm"
    return "llama" if path.endswith("/completion") else "sglang" if path.endswith("/generate") else "openai"


def unlike(value, wire, at=""):
    """What of a request is not as documented; None: all is."""
    for name, types in wire.items():
        plain = name.lstrip("!")
        if plain not in value:
            if name != plain:
                return "%s%s: missing" % (at, plain)
        elif isinstance(types, dict):
            wrong = unlike(value[plain], types, plain + ".")
            if wrong:
                return wrong
        elif not isinstance(value[plain], types) or (isinstance(value[plain], bool) and types is not FLAG):
            return "%s%s: %r" % (at, plain, value[plain])
    extra = [n for n in value if n not in wire and "!" + n not in wire]
    return "%s%s: unknown" % (at, extra[0]) if extra else None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        with lock:
            stats["connections"] += 1
        super().setup()

    def log_message(self, *_):
        pass

    def reply(self, code, value, headers=()):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, text in headers:
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def first_time(self, body):
        key = (self.path, len(body) if "cut" in self.path else body)
        with lock:
            n = seen.get(self.path, 0)
            seen[self.path] = n + 1
        return n, key

    def do_GET(self):
        path = self.path
        if path == "/stats":
            return self.reply(200, stats)
        if path == "/last":
            return self.reply(200, last[0])
        if not path.endswith("/v1/models"):
            return self.reply(404, {"error": {"code": 404, "message": "no such route"}})
        if path.startswith("/loading"):
            n, _ = self.first_time(b"")
            if n < 2:
                return self.reply(503, {"error": {"code": 503, "message": "Loading model"}})
        if path.startswith("/notjson"):
            return self.reply(200, b"<html>hello</html>")
        if path.startswith("/liefacts"):
            return self.reply(200, {"data": "none"})
        owner = "llamacpp" if "/llama" in path else "sglang" if "/sglang" in path else "vllm"
        model = {"id": "tiny", "object": "model", "owned_by": owner}
        if owner == "llamacpp":
            model["meta"] = {"n_vocab": VOCABULARY, "n_embd": 16, "n_ctx": CONTEXT}
        else:
            model["max_model_len"] = CONTEXT
        self.reply(200, {"object": "list", "data": [model]})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        counted = self.path.startswith("/slow")
        with lock:
            stats["requests"] += 1
            stats["at_once"] += counted
            stats["most_at_once"] = max(stats["most_at_once"], stats["at_once"])
        try:
            ask = json.loads(body)
            if "tokenize" not in self.path:
                last[0] = ask
            self.answer(ask, body)
        except Gone:
            self.close_connection = True
        finally:
            with lock:
                stats["at_once"] -= counted

    def answer(self, ask, body):
        if self.path.endswith("/tokenize"):
            text = ask.get("content", ask.get("prompt"))
            ids = [int(n) for n in re.findall(r"<\|code (\d+)\|>", text)]
            return self.reply(200, {"tokens": ids or [5] * len(text)})
        if self.path.endswith("/detokenize"):
            text = "".join(piece(i) for i in ask["tokens"])
            name = "content" if "/llama" in self.path else "text" if "/sglang" in self.path else "prompt"
            return self.reply(200, {name: text})
        how = self.path.split("/")[1]
        n, _ = self.first_time(body)
        number = int(re.search(r"\d+$", how).group()) if re.search(r"\d+$", how) else 0
        if how.startswith("busy") and n < number:
            return self.reply(429, {"error": {"code": 429, "message": "too many requests"}}, [("Retry-After", "0")])
        if how.startswith("down"):
            return self.reply(500, {"error": {"code": 500, "message": "out of memory"}})
        if how.startswith("denied"):
            if self.headers.get("Authorization") != "Bearer secret":
                return self.reply(401, {"error": {"code": 401, "message": "Invalid API Key"}})
        if how.startswith("reset"):
            self.connection.close()
            raise Gone
        if how.startswith("silent"):
            time.sleep(number)
            raise Gone
        if how.startswith("refuse"):
            return self.refuse(number)
        wrong = unlike(ask, WIRE[dialect_of(self.path)])
        if wrong:
            return self.reply(400, {"error": {"code": 400, "message": "not of this wire format: " + wrong}})
        self.generate(ask, how, number, n)

    def refuse(self, number):
        """Refusals in the forms of llama-server, of vLLM now and before, of FastAPI and SGLang."""
        message = "refused %d" % number
        forms = [(400, {"error": {"code": 400, "message": message, "type": "invalid_request_error"}}),
                 (400, {"error": {"message": message, "type": "BadRequestError", "param": None, "code": 400}}),
                 (400, {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": 400}),
                 (422, {"detail": [{"type": "int_parsing", "loc": ["body", "max_tokens"], "msg": message, "input": "x"}]}),
                 (400, {"error": message})]
        status, value = forms[number]
        return self.reply(status, value)

    # ---- replies ----

    def generate(self, ask, how, number, n):
        sampling = ask.get("sampling_params", ask)
        prompt = ask.get("prompt", ask.get("token_ids", ask.get("input_ids")))
        limit = sampling.get("n_predict", sampling.get("max_tokens", sampling.get("max_new_tokens")))
        if not all(isinstance(i, int) and 0 <= i < VOCABULARY for i in prompt):
            return self.reply(400, {"error": {"code": 400, "message": "Prompt contains invalid tokens"}})
        if len(prompt) + limit > CONTEXT:
            return self.reply(400, {"error": {"code": 400, "type": "exceed_context_size_error",
                                              "message": "the request exceeds the available context size"}})
        ids, stop = list(prompt), "limit"
        for _ in range(limit):
            ids.append(next_id(ids))
        new = ids[len(prompt):]
        if how.startswith("early"):
            new, stop = new[:number] + [END], "eos"
        if how.startswith("picture"):
            new, stop = [100 + i * 37 % 64000 for i in new[:number]] + [64101], "eos"
        if how.startswith("liebig"):
            new[1:2] = [VOCABULARY + 5]
        if how.startswith("lietype"):
            new[1:2] = ["17"]
        if how.startswith("liefloat"):
            new[1:2] = [17.5]
        if how.startswith("liemany"):
            new = new * 40
        if ask.get("stream"):
            return self.stream(new, prompt, ask, how, number, n, stop)
        self.reply(200, self.whole(new, prompt, ask, sampling, how, stop))

    def top(self, i, k):
        return [(-0.25 - 0.5 * j, (i + j) % VOCABULARY) for j in range(k)]

    def objects(self, new, k):
        return [{"id": i, "token": piece(i), "logprob": -0.25,
                 "top_logprobs": [{"id": t, "logprob": p} for p, t in self.top(i, k)]} for i in new]

    def whole(self, new, prompt, ask, sampling, how, stop):
        text = "".join(map(piece, new)) if not how.startswith("lie") else "?"
        reason = "length" if stop == "limit" else "stop"
        if self.path.endswith("/completion"):
            value = {"content": text, "tokens": new, "stop": True, "stop_type": stop,
                     "tokens_evaluated": len(prompt)}
            if ask.get("n_probs"):
                value["completion_probabilities"] = self.objects(new, ask["n_probs"])
        elif self.path.endswith("/inference/v1/generate"):
            choice = {"index": 0, "finish_reason": reason, "token_ids": new}
            if sampling.get("logprobs"):
                choice["logprobs"] = {"content": [
                    {"token": "token_id:%d" % i, "logprob": -0.25,
                     "top_logprobs": [{"token": "token_id:%d" % t, "logprob": p}
                                      for p, t in self.top(i, sampling["logprobs"])]} for i in new]}
            value = {"request_id": "generate-tokens-1", "choices": [choice], "prompt_logprobs": None, "kv_transfer_params": None}
        elif self.path.endswith("/generate"):
            meta = {"finish_reason": {"type": reason}, "prompt_tokens": len(prompt),
                    "output_token_logprobs": [[-0.25, i, None] for i in new]}
            if ask.get("top_logprobs_num"):
                meta["output_top_logprobs"] = [[[p, t, None] for p, t in self.top(i, ask["top_logprobs_num"])]
                                               for i in new]
            value = {"text": text, "meta_info": meta}
            if how.startswith("ids"):  # later versions
                value["output_ids"] = new
        else:
            choice = {"index": 0, "text": text, "finish_reason": reason, "logprobs": None}
            if how.startswith("content"):
                choice["logprobs"] = {"content": self.objects(new, ask.get("logprobs", 0))}
            elif not how.startswith("textonly"):
                choice["token_ids"] = new
                if ask.get("logprobs"):
                    choice["logprobs"] = {"token_logprobs": [-0.25] * len(new)}
            value = {"choices": [choice], "usage": {"prompt_tokens": len(prompt)}}
        return value

    def chunk(self, text):
        data = text.encode()
        self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")
        self.wfile.flush()

    def event(self, value):
        self.chunk("data: " + json.dumps(value) + "\n\n")

    def stream(self, new, prompt, ask, how, number, n, stop):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        llama = self.path.endswith("/completion")
        self.chunk(": a comment keeps the connection awake\r\n\r\n")
        for at, i in enumerate(new):
            cut = how.startswith("cut") and at == number and (n == 0 or "always" in self.path)
            if cut:
                self.connection.close()
                raise Gone
            if how.startswith("fault") and at == number and n == 0:
                if llama:
                    self.chunk('error: {"code":500,"message":"slot lost","type":"server_error"}\n\n')
                else:
                    self.event({"error": {"message": "slot lost", "type": "InternalServerError", "param": None, "code": 500}})
                    self.chunk("data: [DONE]\n\n")
                return self.chunk("")
            if how.startswith("stall") and at == number and n == 0:
                time.sleep(20)
            if how.startswith("slow"):
                time.sleep(0.02)
            if llama:
                value = {"content": piece(i) if isinstance(i, int) else "?", "tokens": [i], "stop": False}
                if ask.get("n_probs"):
                    value["completion_probabilities"] = self.objects([i], ask["n_probs"])
            else:
                choice = {"index": 0, "text": "?" if how.startswith("lie") else piece(i), "finish_reason": None}
                if not how.startswith("textonly"):
                    choice["token_ids"] = [i]
                if ask.get("logprobs"):
                    choice["logprobs"] = {"token_logprobs": [-0.25]}
                value = {"id": "cmpl-1", "object": "text_completion", "model": "tiny", "choices": [choice], "usage": None}
                if not at:
                    choice["prompt_token_ids"] = prompt
            self.event(value)
        if how.startswith("noend"):
            return self.chunk("")
        if llama:
            self.event({"content": "", "tokens": [], "stop": True, "stop_type": stop, "tokens_evaluated": len(prompt)})
        else:
            reason = "length" if stop == "limit" else "stop"
            self.event({"choices": [{"index": 0, "text": "", "finish_reason": reason}], "usage": None})
            self.event({"choices": [], "usage": {"prompt_tokens": len(prompt)}})
            self.chunk("data: [DONE]\n\n")
        self.chunk("")


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with open(sys.argv[1] + ".part", "w", encoding="ascii") as file:
        file.write("%d\n" % server.server_address[1])
    import os

    os.rename(sys.argv[1] + ".part", sys.argv[1])
    server.serve_forever()


main()
