"""A model server on loopback that can do what real ones do: badly, late, half."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any

from deploy.demo.servers.models import MODELS, Handler

SECRET = "sk-upstream-0123456789abcdef"
# A model's name says how the server behaves.
ODD = (
    "silent",
    "slow",
    "cut",
    "error",
    "echo",
    "refused",
    "endless",
    "counting",
    "not-http",
    "odd-usage",
    "late-usage",
)


@dataclass
class ModelServerOnLoopback:
    """What it was sent, and how far it came with each stream."""

    port: int = 0
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    sent: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


class OddHandler(Handler):
    """Behaves as the model's name says."""

    models = (*MODELS, *ODD)
    told: ModelServerOnLoopback

    def do_POST(self) -> None:
        """Keep what was sent, then behave."""
        length = int(self.headers["content-length"])
        raw = self.rfile.read(length)
        self.told.bodies.append(raw)
        self.told.headers.append({k.lower(): v for k, v in self.headers.items()})
        body = json.loads(raw)
        behave = getattr(self, "as_" + str(body["model"]).replace("-", "_"), None)
        if behave is not None:
            behave(body)
        elif body.get("stream"):
            self.stream(self.chunks(body))
        else:
            self.reply(200, self.whole(body))

    def as_silent(self, body: dict[str, Any]) -> None:
        """Says nothing of usage, whatever is asked."""
        if body.get("stream"):
            chunks = self.chunks(body | {"stream_options": None})
            self.stream(chunks)
        else:
            whole = self.whole(body)
            del whole["usage"]
            self.reply(200, whole)

    def as_odd_usage(self, body: dict[str, Any]) -> None:
        whole = self.whole(body)
        whole["usage"] = {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 99},
        }
        self.reply(200, whole)

    def as_slow(self, body: dict[str, Any]) -> None:
        time.sleep(5)

    def as_cut(self, body: dict[str, Any]) -> None:
        """Ends the connection after three chunks."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number, chunk in enumerate(self.chunks(body)):
            if number == 3:
                break
            self.event(json.dumps(chunk))
        self.close_connection = True

    def as_error(self, body: dict[str, Any]) -> None:
        self.reply(400, {"error": {"message": f"bad; key {SECRET}", "code": "x"}})

    def as_refused(self, body: dict[str, Any]) -> None:
        self.reply(401, {"error": {"message": f"wrong key {SECRET}"}})

    def as_not_http(self, body: dict[str, Any]) -> None:
        self.wfile.write(b"this is no HTTP\r\n\r\n")
        self.close_connection = True

    def as_endless(self, body: dict[str, Any]) -> None:
        """Goes on until nobody listens."""
        self.told.stopped.clear()
        self.told.sent = 0
        head = self.head(body, "chat.completion.chunk")
        text = "word " * int(body.get("max_tokens") or 1)
        choice = {"index": 0, "delta": {"content": text}}
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            while not self.told.stopped.is_set():
                self.event(json.dumps({**head, "choices": [choice]}))
                self.told.sent += len(text)
                time.sleep(float(body.get("pause", 0.01)))
        except OSError:
            self.told.stopped.set()
        self.close_connection = True

    def as_counting(self, body: dict[str, Any]) -> None:
        """Counts on with each chunk, as some servers do."""
        chunks = list(self.chunks(body))
        for number, chunk in enumerate(chunks):
            chunk["usage"] = {"prompt_tokens": 7, "completion_tokens": number}
        self.stream(iter(chunks))


@contextmanager
def model_server() -> Iterator[ModelServerOnLoopback]:
    """Serve until the context ends."""
    told = ModelServerOnLoopback()
    handler = type("Told", (OddHandler,), {"told": told})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        told.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield told
        finally:
            told.stopped.set()
            server.shutdown()
            thread.join()
